"""The table of the convolutional space: groups, decoding, and what is refused by name."""

import numpy as np
import pytest
import torch

from archgrad.decode import top_k
from archgrad.genotype import DARTS_V2
from archgrad.ops import DARTS_CANDIDATES
from archgrad.spaces import ConvCellSpace, Space


def test_defaults_are_those_of_the_paper():
    space = ConvCellSpace()
    assert [group.name for group in space.groups] == ["normal", "reduce"]
    assert [group.shape for group in space.groups] == [(14, 8), (14, 8)]
    assert (space.channels, space.layers, space.num_classes, space.edges_per_node) == (16, 8, 10, 2)
    assert space.candidates == DARTS_CANDIDATES
    assert isinstance(space, Space)


def test_choices_narrow_the_groups():
    space = ConvCellSpace(choices={"reduce": {(0, 2): ("none", "skip_connect")}})
    normal, reduce = space.groups
    assert normal.mask.all()
    assert reduce.mask.sum() == 14 * 8 - 6


def test_a_mixture_of_hard_choices_decodes_to_its_genotype():
    space = ConvCellSpace()
    mixture = {}
    for group in space.groups:
        tensor = torch.zeros(group.shape)
        for target, edges in enumerate(DARTS_V2[group.name].nodes, start=2):
            for rank, (operation, source) in enumerate(edges):
                tensor[group.edges.index((source, target)), group.candidates.index(operation)] = 1 - 0.1 * rank
        mixture[group.name] = tensor
    assert space.decode(mixture, top_k) == DARTS_V2


def test_networks_have_the_size_of_the_space_unless_given():
    space = ConvCellSpace(channels=4, layers=3, num_classes=7, in_channels=2)
    network = space.network(DARTS_V2)
    assert (len(network.cells), network.classifier.weight.shape) == (3, (7, 4 * 16))
    assert network.eval()(torch.zeros(1, 2, 8, 8)).shape == (1, 7)
    larger = space.network(DARTS_V2, channels=6, layers=5, auxiliary=True)
    assert (len(larger.cells), larger.classifier.weight.shape) == (5, (7, 4 * 24))
    assert larger.auxiliary is not None


def test_random_genotypes_belong_to_the_space():
    space = ConvCellSpace(nodes=3, edges_per_node=1, candidates=("none", "skip_connect", "dil_conv_5x5"))
    genotype = space.random_genotype(np.random.default_rng(0))
    for cell in genotype.cells:
        assert [len(node) for node in cell.nodes] == [1, 1, 1]
        assert cell.outputs == (2, 3, 4)
        assert set(cell.operations) <= {"skip_connect", "dil_conv_5x5"}
    assert genotype == space.random_genotype(np.random.default_rng(0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channels": 0}, r"channels: must be at least 2, got 0"),
        ({"channels": 7}, r"channels: must be even for the factorised reductions, got 7"),
        ({"layers": 2}, r"layers: must be at least 3, got 2"),
        ({"num_classes": 1}, r"num_classes: must be at least 2, got 1"),
        ({"in_channels": 0}, r"in_channels: must be at least 1, got 0"),
        ({"nodes": 0}, r"nodes: must be at least 1, got 0"),
        ({"edges_per_node": 0}, r"edges_per_node: must be at least 1, got 0"),
        ({"stem": "cifar-10"}, r"stem: 'cifar-10' is unknown; did you mean 'cifar'\? Allowed: cifar, imagenet"),
        ({"candidates": ()}, r"candidates: needs at least one operation other than 'none', got \(\)"),
        ({"candidates": ("none",)}, r"candidates: needs at least one operation other than 'none', got \('none',\)"),
        ({"candidates": ("sep_conv_3",)}, r"candidates: 'sep_conv_3' is unknown; did you mean 'sep_conv_3x3'"),
        ({"candidates": ("none", "skip_connect", "skip_connect")}, r"candidates: \(.*\) lists a candidate twice"),
        ({"choices": {"normals": {}}}, r"choices: 'normals' is unknown; did you mean 'normal'\? Allowed: normal, re"),
        ({"choices": {"normal": {(2, 1): ("none",)}}}, r"choices: group 'normal' has no edge \(2, 1\); its edges are"),
        (
            {"choices": {"normal": {(0, 2): ("sep_conv_7x7",)}}},
            r"choices: edge \(0, 2\) of group 'normal' lists \['sep_conv_7x7'\]; allowed is a non-empty subset of",
        ),
        (
            {"choices": {"reduce": {(0, 2): ("none",), (1, 2): ("none",)}}},
            r"group 'reduce': node 2 has no edge with an operation other than 'none'",
        ),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        ConvCellSpace(**arguments)


def test_unknown_engine():
    with pytest.raises(ValueError, match=r"engine: 'bundle' is unknown; did you mean 'bundled'\? Allowed: bundled"):
        ConvCellSpace().supernet(engine="bundle")


@pytest.mark.parametrize(
    ("stem", "shape", "classes", "message"),
    [
        ("cifar", (3, 8), 10, r"images: need the shape \(channels, height, width\), got \(3, 8\)"),
        ("cifar", (1, 8, 8), 10, r"in_channels: the network reads 3 channels, the images have 1"),
        ("cifar", (3, 8, 7), 10, r"images: 8×7 is too small for the reductions; the 'cifar' stem needs at least 8×8"),
        ("imagenet", (3, 31, 64), 10, r"images: 31×64 is too small .* the 'imagenet' stem needs at least 32×32"),
        ("cifar", (3, 8, 8), 9, r"num_classes: the space has 10, the data has 9"),
    ],
)
def test_data_that_does_not_fit(stem, shape, classes, message):
    with pytest.raises(ValueError, match=message):
        ConvCellSpace(stem=stem).check_data(shape, classes)


def test_the_smallest_images_pass():
    for stem, size in (("cifar", 8), ("imagenet", 32)):
        space = ConvCellSpace(channels=4, layers=3, nodes=1, stem=stem)
        space.check_data((3, size, size), 10)
        space.check_data((3, size, size), None)
        mixture = {group.name: torch.full(group.shape, 1 / 8) for group in space.groups}
        assert space.supernet()(torch.randn(2, 3, size, size), mixture).isfinite().all()


def test_a_search_of_cells_is_no_ensemble():
    assert ConvCellSpace().ensemble == ()
