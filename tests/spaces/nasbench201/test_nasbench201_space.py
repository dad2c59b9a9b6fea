"""The table of NAS-Bench-201: groups, decoding with `none`, narrowing, and what is refused by name."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from archgrad.decode import argmax, categorical, top_k, viterbi
from archgrad.genotype import DARTS_V2
from archgrad.mixing import Mixing
from archgrad.ops import NASBENCH201_CANDIDATES
from archgrad.spaces import Space
from archgrad.spaces.nasbench201 import NASBench201Space, arch_string
from archgrad.spaces.nasbench201.strings import from_operations
from archgrad.spaces.space import Encodable, ImageSpace, Mixable, Narrowable

SPACE = NASBench201Space()
six_operations = st.tuples(*[st.sampled_from(NASBENCH201_CANDIDATES)] * 6)


def test_defaults_are_the_benchmarks():
    (group,) = SPACE.groups
    assert group.edges == ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
    assert group.candidates == ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
    assert group.mask.all()
    assert (SPACE.channels, SPACE.cells, SPACE.layers, SPACE.num_classes, SPACE.ensemble) == (16, 5, 15, 10, ())
    for protocol in (Space, ImageSpace, Mixable, Narrowable, Encodable):
        assert isinstance(SPACE, protocol)


@given(six_operations)
def test_hard_choices_decode_to_their_genotype(operations):
    genotype = from_operations(operations)
    mixture = SPACE.encode(genotype)
    assert mixture["cell"].dtype == torch.float32
    assert (mixture["cell"].sum(dim=1) == 1).all()
    for decoder in (top_k, argmax, categorical(np.random.default_rng(0))):
        assert SPACE.decode(mixture, decoder) == genotype


@given(st.lists(st.floats(0.01, 1), min_size=30, max_size=30))
def test_each_edge_has_its_strongest_candidate_none_included(values):
    """All edges are kept, in order of their source, however strong each is."""
    weights = torch.tensor(values).view(6, 5)
    expected = [SPACE.groups[0].candidates[column] for column in weights.argmax(dim=1)]
    for decoder in (top_k, argmax):
        genotype = SPACE.decode({"cell": weights}, decoder)
        assert list(genotype["cell"].operations) == expected
        arch_string(genotype)


def test_ties_go_to_the_earlier_candidate():
    for decoder in (top_k, argmax):
        genotype = SPACE.decode({"cell": torch.full((6, 5), 0.2)}, decoder)
        assert set(genotype["cell"].operations) == {"none"}


def test_random_genotypes_are_uniform_over_all_candidates():
    generator = np.random.default_rng(0)
    drawn = [SPACE.random_genotype(generator)["cell"].operations for _ in range(400)]
    for edge in range(6):
        for candidate in NASBENCH201_CANDIDATES:
            count = sum(operations[edge] == candidate for operations in drawn)
            assert 80 - 4 * 8 < count < 80 + 4 * 8  # four standard deviations of a binomial
    assert SPACE.random_genotype(np.random.default_rng(1)) == SPACE.random_genotype(np.random.default_rng(1))


def test_choices_mask_candidates():
    space = NASBench201Space(choices={"cell": {(0, 3): ("none", "skip_connect")}})
    assert space.groups[0].choices[3] == ("none", "skip_connect")
    assert space.groups[0].mask.sum() == 30 - 3
    drawn = {space.random_genotype(np.random.default_rng(seed))["cell"].operations[3] for seed in range(20)}
    assert drawn == {"none", "skip_connect"}
    with pytest.raises(ValueError, match=r"genotype: edge \(0, 3\) of cell 'cell' is 'nor_conv_3x3'; the space has"):
        space.encode(from_operations(["nor_conv_3x3"] * 6))


def test_narrowed_keeps_rows_and_grows_by_whole_stages():
    space = SPACE.narrowed({"cell": (("skip_connect",), *[("none", "nor_conv_3x3")] * 5)}, layers=9)
    assert (space.cells, space.layers) == (3, 9)
    assert [len(names) for names in space.groups[0].choices] == [1, 2, 2, 2, 2, 2]
    assert space.narrowed({}) == space
    for layers, nearest in ((2, "3"), (10, "9 or 12"), (0, "3")):
        with pytest.raises(ValueError, match=rf"layers: the 3 stages .* got {layers}; the nearest .* {nearest}\."):
            SPACE.narrowed({}, layers=layers)


def test_mixing_adds_weights_of_edges():
    space = SPACE.mixed(Mixing(edge_normalisation=True, partial_channels=4))
    operations, edges = space.groups
    assert (operations.name, edges.name, edges.shape, edges.role) == ("cell", "cell_edges", (3, 3), "edges")
    genotype = from_operations(["none", *["skip_connect"] * 5])
    mixture = space.encode(genotype)
    assert mixture["cell_edges"].sum(dim=1).tolist() == pytest.approx([1, 1, 1])
    assert space.decode(mixture, top_k) == genotype


def test_networks_have_the_size_of_the_space_unless_given(small, mixed_cell):
    network = small.network(mixed_cell).eval()
    assert network(torch.randn(1, 1, 8, 8)).shape == (1, 3)
    assert len(network.cells) == 5
    assert len(small.network(mixed_cell, cells=2).cells) == 8
    assert small.network(mixed_cell, channels=2).head.classifier.in_features == 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channels": 0}, r"channels: must be at least 1, got 0"),
        ({"cells": 0}, r"cells: must be at least 1, got 0"),
        ({"num_classes": 1}, r"num_classes: must be at least 2, got 1"),
        ({"in_channels": 0}, r"in_channels: must be at least 1, got 0"),
        ({"mixing": Mixing(partial_channels=5)}, r"partial_channels: must divide the channels, 16, got 5; the nearest"),
        ({"choices": {"cel": {}}}, r"choices: 'cel' is unknown; did you mean 'cell'"),
        ({"choices": {"cell": {(3, 0): ("none",)}}}, r"choices: group 'cell' has no edge \(3, 0\); its edges are"),
        ({"choices": {"cell": {(0, 3): ("sep_conv_3x3",)}}}, r"choices: edge \(0, 3\) of group 'cell' lists"),
    ],
)
def test_bad_spaces(arguments, message):
    with pytest.raises(ValueError, match=message):
        NASBench201Space(**arguments)


@pytest.mark.parametrize(
    ("shape", "classes", "message"),
    [
        ((3, 32), 10, r"images: need the shape \(channels, height, width\), got \(3, 32\)"),
        ((1, 32, 32), 10, r"in_channels: the network reads 3 channels, the images have 1"),
        ((3, 32, 3), 10, r"images: 32×3 is too small for the residual blocks; needed is at least 4×4"),
        ((3, 32, 32), 100, r"num_classes: the space has 10, the data has 100"),
    ],
)
def test_data_that_does_not_fit(shape, classes, message):
    with pytest.raises(ValueError, match=message):
        SPACE.check_data(shape, classes)
    SPACE.check_data((3, 4, 4), None)


def test_rules_and_genotypes_of_others():
    with pytest.raises(ValueError, match=r"decoder: viterbi does not decode the edges of a cell"):
        SPACE.check_decoder(viterbi)
    with pytest.raises(ValueError, match=r"genotype: belongs to the space 'conv_cell', needed is one of 'nasbench201'"):
        SPACE.encode(DARTS_V2)
    with pytest.raises(ValueError, match=r"genotype: node 3 needs 3 edges"):
        SPACE.decode({"cell": torch.rand(6, 5)}, lambda mixture, group, keep: top_k(mixture, group, 2))
    with pytest.raises(ValueError, match="engine: 'bundle' is unknown"):
        SPACE.supernet(engine="bundle")
