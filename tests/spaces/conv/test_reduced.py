"""The spaces S1 to S4 of Robust DARTS: their tables, and that they can be searched like any other."""

import numpy as np
import pytest
import torch

from archgrad.decode import top_k
from archgrad.spaces import ConvCellSpace
from archgrad.spaces.conv.reduced import REDUCED_CANDIDATES, reduced_space

TINY = {"channels": 4, "layers": 3, "num_classes": 3, "in_channels": 1}


def test_the_sets_of_the_paper():
    for name, candidates in (
        ("S2", ("skip_connect", "sep_conv_3x3")),
        ("S3", ("none", "skip_connect", "sep_conv_3x3")),
        ("S4", ("noise", "sep_conv_3x3")),
    ):
        for group in reduced_space(name).groups:
            assert group.choices == (candidates,) * 14
    assert {name: len(candidates) for name, candidates in REDUCED_CANDIDATES.items()} == {
        "S1": 6,
        "S2": 2,
        "S3": 3,
        "S4": 2,
    }


def test_every_edge_of_s1_has_two_candidates():
    normal, reduce = reduced_space("S1").groups
    for group in (normal, reduce):
        assert group.shape == (14, 6)
        assert all(len(pair) == 2 for pair in group.choices)
    assert {candidate for group in (normal, reduce) for pair in group.choices for candidate in pair} == set(
        REDUCED_CANDIDATES["S1"]
    )


def test_the_table_of_s1():
    """Counts by pair, and single edges, of the authors' list."""
    normal, reduce = reduced_space("S1").groups

    def count(group, *pair):
        return group.choices.count(pair)

    assert count(normal, "skip_connect", "dil_conv_3x3") == 4
    assert count(normal, "skip_connect", "dil_conv_5x5") == 2
    assert count(normal, "skip_connect", "sep_conv_3x3") == 4
    assert count(normal, "max_pool_3x3", "skip_connect") == 2
    assert count(normal, "dil_conv_3x3", "dil_conv_5x5") == 2
    assert count(reduce, "max_pool_3x3", "avg_pool_3x3") == 6
    assert count(reduce, "skip_connect", "dil_conv_5x5") == 5
    assert count(reduce, "max_pool_3x3", "dil_conv_3x3") == 1
    assert count(reduce, "max_pool_3x3", "sep_conv_3x3") == 1
    assert count(reduce, "skip_connect", "dil_conv_3x3") == 1
    assert normal.choices[normal.edges.index((0, 4))] == ("max_pool_3x3", "skip_connect")
    assert normal.choices[normal.edges.index((4, 5))] == ("dil_conv_3x3", "dil_conv_5x5")
    assert reduce.choices[reduce.edges.index((1, 4))] == ("max_pool_3x3", "sep_conv_3x3")


@pytest.mark.parametrize("name", REDUCED_CANDIDATES)
def test_random_genotypes_are_valid_and_run(name):
    space = reduced_space(name, **TINY)
    genotype = space.random_genotype(np.random.default_rng(0))
    for cell, group in zip(genotype.cells, space.groups, strict=True):
        for target, edges in enumerate(cell.nodes, start=2):
            for operation, source in edges:
                assert operation in group.choices[group.edges.index((source, target))]
                assert operation != "none"
    network = space.network(genotype)
    assert network(torch.randn(2, 1, 8, 8)).isfinite().all()


@pytest.mark.parametrize("name", REDUCED_CANDIDATES)
def test_supernets_run_and_decode(name):
    space = reduced_space(name, **TINY)
    mixture = {}
    for group in space.groups:
        mask = torch.from_numpy(group.mask).float()
        mixture[group.name] = (mask / mask.sum(dim=1, keepdim=True)).requires_grad_()
    scores = space.supernet()(torch.randn(4, 1, 8, 8), mixture)
    gradients = torch.autograd.grad(scores.square().sum(), list(mixture.values()))
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert space.decode(mixture, top_k).space == space.name


def test_size_is_that_of_the_space():
    assert reduced_space("S2", **TINY, nodes=2) == ConvCellSpace(
        **TINY, nodes=2, candidates=("skip_connect", "sep_conv_3x3")
    )
    assert reduced_space("S1", **TINY).layers == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "S5"}, r"name: 'S5' is unknown; Allowed: S1, S2, S3, S4"),
        ({"name": "S3x"}, r"name: 'S3X' is unknown; did you mean 'S3'\? Allowed: S1, S2, S3, S4"),
        ({"name": "S1", "nodes": 3}, r"nodes: S1 lists the candidates of the edges of 4 nodes, got 3; S2 to S4"),
        ({"name": "S3", "channels": 3}, r"channels: must be even"),
    ],
)
def test_what_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        reduced_space(**arguments)
