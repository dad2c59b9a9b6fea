"""Between mixtures and genotypes: edge weights in decoding, hard mixtures, narrowing, and what is refused by name."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archgrad.arch import LogitGroup
from archgrad.decode import argmax, categorical, top_k, viterbi
from archgrad.genotype import DARTS_V2, Cell, Edge, Genotype
from archgrad.mixing import Mixing
from archgrad.ops import DARTS_CANDIDATES
from archgrad.spaces import ConvCellSpace
from archgrad.spaces.conv.coding import encode_cells
from archgrad.spaces.conv.interior import edge_weights
from archgrad.spaces.space import Encodable, Mixable, Narrowable

NORMALISED = Mixing(edge_normalisation=True)
CANDIDATES = ("none", "skip_connect", "sep_conv_3x3")
SMALL = {"nodes": 2, "candidates": CANDIDATES}


def test_the_space_offers_what_methods_ask_for():
    space = ConvCellSpace()
    assert isinstance(space, Mixable)
    assert isinstance(space, Encodable)
    assert isinstance(space, Narrowable)


def test_edge_normalisation_adds_groups_of_nodes_and_states():
    space = ConvCellSpace(mixing=NORMALISED)
    assert [(group.name, group.shape, group.role) for group in space.groups] == [
        ("normal", (14, 8), "operations"),
        ("reduce", (14, 8), "operations"),
        ("normal_edges", (4, 5), "edges"),
        ("reduce_edges", (4, 5), "edges"),
    ]
    assert space.groups[2].mask.sum() == 14


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 3), st.integers(1, 4))
def test_edge_weights_are_read_by_node_and_state(inputs, nodes):
    group = LogitGroup.dense("cell", inputs=inputs, nodes=nodes, candidates=("skip_connect",))
    table = group.node_weights()
    weights = torch.rand(2, *table.shape)
    found = edge_weights(weights, group)
    assert found.shape == (2, len(group.edges))
    for row, (source, target) in enumerate(group.edges):
        assert torch.equal(found[:, row], weights[:, target - inputs, table.candidates.index(str(source))])


def test_decoding_ranks_edges_by_their_weight_times_that_of_their_operation():
    space = ConvCellSpace(nodes=1, edges_per_node=1, candidates=CANDIDATES, mixing=NORMALISED)
    p = torch.tensor([[0.1, 0.6, 0.3], [0.1, 0.4, 0.5]])
    for beta, kept in (([0.5, 0.5], Edge("skip_connect", 0)), ([0.4, 0.6], Edge("sep_conv_3x3", 1))):
        weights = torch.tensor([[*beta]])
        mixture = {"normal": p, "reduce": p, "normal_edges": weights, "reduce_edges": weights}
        assert space.decode(mixture, top_k)["normal"].nodes == ((kept,),)


def test_random_genotypes_have_no_cells_of_edge_weights():
    genotype = ConvCellSpace(mixing=NORMALISED).random_genotype(np.random.default_rng(0))
    assert [cell.name for cell in genotype.cells] == ["normal", "reduce"]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.booleans())
def test_encoding_is_undone_by_decoding(seed, normalised):
    space = ConvCellSpace(nodes=3, mixing=Mixing(edge_normalisation=normalised))
    genotype = space.random_genotype(np.random.default_rng(seed))
    mixture = space.encode(genotype)
    assert {name: tuple(weights.shape) for name, weights in mixture.items()} == {
        group.name: group.shape for group in space.groups
    }
    for weights in mixture.values():
        torch.testing.assert_close(weights.sum(dim=1), torch.ones(len(weights)))
    decoded = space.decode(mixture, top_k)
    for cell in genotype.cells:
        assert [set(edges) for edges in decoded[cell.name].nodes] == [set(edges) for edges in cell.nodes]


def test_encoding_of_a_published_cell():
    mixture = ConvCellSpace().encode(DARTS_V2)["normal"]
    rows = [DARTS_CANDIDATES[column] for column in mixture.argmax(dim=1)]
    assert rows[:2] == ["sep_conv_3x3"] * 2
    assert rows[2:5] == ["sep_conv_3x3", "sep_conv_3x3", "none"]
    assert rows[5:9] == ["skip_connect", "sep_conv_3x3", "none", "none"]
    assert mixture.dtype == torch.float32


def test_edges_that_are_not_kept_are_zero_without_none():
    space = ConvCellSpace(nodes=2, edges_per_node=1, candidates=CANDIDATES[1:], mixing=NORMALISED)
    cells = tuple(
        Cell(kind, ((Edge("skip_connect", 1),), (Edge("sep_conv_3x3", 2),)), (2, 3)) for kind in ("normal", "reduce")
    )
    mixture = space.encode(Genotype("conv_cell", cells))
    assert mixture["normal"].tolist() == [[0, 0], [1, 0], [0, 0], [0, 0], [0, 1]]
    assert mixture["normal_edges"].tolist() == [[0, 1, 0], [0, 0, 1]]


def test_none_that_is_written_out_is_a_choice_like_any_other():
    group = LogitGroup.dense("cell", inputs=1, nodes=2, candidates=CANDIDATES, keeps_none=True)
    nodes = ((Edge("none", 0),), (Edge("skip_connect", 0), Edge("none", 1)))
    genotype = Genotype("nasbench201", (Cell("cell", nodes, (2,), inputs=1),))
    mixture = encode_cells(genotype, (group, group.node_weights()))
    assert mixture["cell"].tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 0]]
    assert mixture["cell_edges"].tolist() == [[1, 0], [1, 0]]


def test_the_supernet_under_an_encoded_genotype_is_a_cell_of_its_operations():
    space = ConvCellSpace(channels=4, layers=3, in_channels=1, **SMALL)
    supernet = space.supernet()
    cells = tuple(
        Cell(kind, ((Edge("skip_connect", 0), Edge("skip_connect", 1)), (Edge("skip_connect", 2),)), (2, 3))
        for kind in ("normal", "reduce")
    )
    mixture = space.encode(Genotype("conv_cell", cells))
    x_0, x_1 = torch.randn(2, 2, 4, 8, 8)
    x_2, x_3 = supernet.cells[0].interior([x_0, x_1], mixture["normal"])
    torch.testing.assert_close(x_2, x_0 + x_1)
    torch.testing.assert_close(x_3, x_2)


@pytest.mark.parametrize(
    ("edge", "message"),
    [
        (Edge("sep_conv_5x5", 0), r"edge \(0, 2\) of cell 'normal' is 'sep_conv_5x5'; the space has \['none', 'skip_c"),
        (Edge("skip_connect", 0), r"has no cell 'reduce'; it has \['normal'\]"),
    ],
)
def test_genotypes_that_are_not_of_the_space(edge, message):
    genotype = Genotype("conv_cell", (Cell("normal", ((edge,), (edge,)), (2, 3)),))
    with pytest.raises(ValueError, match=f"genotype: {message}"):
        ConvCellSpace(**SMALL).encode(genotype)


def test_genotypes_with_more_nodes_than_the_space():
    with pytest.raises(ValueError, match=r"genotype: edge \(1, 4\) of cell 'normal' .* no such edge"):
        ConvCellSpace(nodes=2).encode(DARTS_V2)


def test_narrowing_masks_candidates_and_grows_the_supernet():
    space = ConvCellSpace(**SMALL, mixing=NORMALISED)
    first = space.narrowed({"normal": (("sep_conv_3x3", "none"),) * 4 + (("skip_connect",),)}, layers=5)
    assert first.layers == 5
    assert first.mixing == NORMALISED
    assert first.candidates == CANDIDATES
    assert first.groups[0].choices == (("none", "sep_conv_3x3"),) * 4 + (("skip_connect",),)
    assert first.groups[1:] == space.groups[1:]
    second = first.narrowed({"normal": (("sep_conv_3x3",),) * 4 + (("skip_connect",),)})
    assert (second.layers, second.groups[0].mask.sum()) == (5, 5)
    assert space.narrowed({}) == space.narrowed(
        {name: group.choices for name, group in zip(("normal", "reduce"), space.groups, strict=False)}
    )


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"normals": ()}, r"choices: has no group 'normals'; allowed are \['normal', 'reduce'\]"),
        ({"normal_edges": ()}, r"choices: has no group 'normal_edges'"),
        ({"normal": (("none",),)}, r"choices: group 'normal' has 5 edges, got 1 lists"),
        (
            {"normal": ((),) * 5},
            r"choices: edge \(0, 2\) of group 'normal' lists \[\]; allowed is a non-empty subset of",
        ),
        ({"reduce": (("max_pool_3x3",),) * 5}, r"edge \(0, 2\) of group 'reduce' lists \['max_pool_3x3'\]"),
        ({"reduce": (("none",),) * 5}, r"group 'reduce': node 2 has no edge with an operation other than 'none'"),
    ],
)
def test_narrowings_that_do_not_fit(choices, message):
    with pytest.raises(ValueError, match=message):
        ConvCellSpace(**SMALL, mixing=NORMALISED).narrowed(choices)


def test_what_was_dropped_does_not_come_back():
    space = ConvCellSpace(**SMALL).narrowed({"normal": (("skip_connect",),) * 5})
    with pytest.raises(ValueError, match=r"edge \(0, 2\) of group 'normal' lists \['sep_conv_3x3'\]"):
        space.narrowed({"normal": (("sep_conv_3x3",),) * 5})


def test_partial_channels_have_to_divide_the_channels():
    space = ConvCellSpace(channels=12)
    assert space.mixed(Mixing(partial_channels=12)).mixing.partial_channels == 12
    with pytest.raises(ValueError, match=r"must divide the channels, 12, got 5; the nearest that does is 4 or 6"):
        space.mixed(Mixing(partial_channels=5))


def test_a_decoder_of_paths_decodes_no_cells():
    space = ConvCellSpace()
    for decoder in (top_k, argmax, categorical(np.random.default_rng(0))):
        space.check_decoder(decoder)
    for refuse in (space.check_decoder, lambda decoder: space.decode(space.encode(DARTS_V2), decoder)):
        with pytest.raises(ValueError, match=r"decoder: viterbi does not decode the edges .* nearest valid .* top_k"):
            refuse(viterbi)
