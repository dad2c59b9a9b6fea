"""The table of the recurrent space: published counts, decoding, and what is refused."""

import numpy as np
import pytest
import torch

from archgrad.decode import top_k
from archgrad.genotype import (
    DARTS_V1,
    DARTS_V2_RECURRENT,
    ENAS_RECURRENT,
    RECURRENT_CELL,
    Cell,
    Edge,
    Genotype,
    published,
)
from archgrad.ops.dropout import NO_DROPOUT, Dropout
from archgrad.spaces import RecurrentCellSpace


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def small(**changes):
    return RecurrentCellSpace(**{"vocabulary_size": 11, "hidden_size": 6, "nodes": 3, **changes})


def test_published_parameter_counts():
    assert count(RecurrentCellSpace(vocabulary_size=10_000).supernet()) == 4_810_000
    with torch.device("meta"):
        treebank = RecurrentCellSpace(vocabulary_size=10_000).network(DARTS_V2_RECURRENT, hidden_size=850)
        wikitext = RecurrentCellSpace(vocabulary_size=33_278).network(DARTS_V2_RECURRENT, hidden_size=700)
    assert count(treebank) == 22_960_000  # published as 23 M
    assert count(wikitext) == 33_127_878  # published as 33 M


def test_eight_nodes_have_36_edges():
    (group,) = RecurrentCellSpace(vocabulary_size=10).groups
    assert (group.name, group.shape) == ("recurrent", (36, 5))
    assert group.candidates == ("none", "tanh", "relu", "sigmoid", "identity")


def test_decoding_keeps_the_strongest_edge_of_each_node_without_none():
    space = small(nodes=2)
    mixture = {
        "recurrent": torch.tensor(
            [[0.5, 0.3, 0.1, 0.1, 0.0], [0.9, 0.0, 0.0, 0.1, 0.0], [0.6, 0.0, 0.2, 0.1, 0.1]], dtype=torch.float64
        )
    }
    genotype = space.decode(mixture, top_k)
    cell = Cell("recurrent", ((Edge("tanh", 0),), (Edge("relu", 1),)), outputs=(1, 2), inputs=1)
    assert genotype == Genotype(RECURRENT_CELL, (cell,))


@pytest.mark.parametrize("name", published(RECURRENT_CELL))
def test_published_cells_are_built_and_learn(name):
    network = small(nodes=8).network(published(RECURRENT_CELL)[name])
    output = network(torch.randint(11, (4, 3)))
    assert output.scores.shape == (4, 3, 11)
    output.scores.square().mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_only_the_listed_states_make_the_output():
    """ENAS' cell has eleven nodes and averages six of them: weights of states that nothing reads get no gradient."""
    network = small().network(ENAS_RECURRENT)
    assert len(network.weights) == 11
    assert network.outputs == (2, 5, 6, 9, 10, 11)


def test_random_cells_are_cells_of_the_space():
    space, generator = small(nodes=8), np.random.default_rng(0)
    drawn = [space.random_genotype(generator) for _ in range(200)]
    operations = {operation for genotype in drawn for operation in genotype["recurrent"].operations}
    assert operations == {"tanh", "relu", "sigmoid", "identity"}
    assert {genotype["recurrent"].nodes[7][0].source for genotype in drawn} == set(range(8))
    assert len(set(drawn)) == 200


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"nodes": 0}, "nodes: must be at least 1"),
        ({"hidden_size": 0}, "hidden_size: must be at least 1"),
        ({"vocabulary_size": 1}, "vocabulary_size: must be at least 2"),
        (
            {"embedding_size": 5},
            "embedding_size: 5 differs from hidden_size 6, but tied .*=6, or tied=False",
        ),
        ({"candidates": ("tanh", "gelu")}, "candidates: 'gelu' is unknown"),
        ({"candidates": ("tanh", "tanh")}, "lists a candidate twice"),
        ({"candidates": ("none",)}, "needs at least one activation other than 'none'"),
        ({"engine": "fast"}, "engine: 'fast' is unknown"),
    ],
)
def test_bad_spaces(changes, said):
    with pytest.raises(ValueError, match=said):
        small(**changes)


def test_untied_weights_may_differ_in_size():
    space = small(tied=False, embedding_size=4)
    assert space.network(DARTS_V2_RECURRENT)(torch.zeros(2, 1, dtype=torch.int64)).scores.shape == (2, 1, 11)
    assert count(space.supernet()) == 11 * 4 + 11 * 6 + 11 + 10 * 12 + 3 * 6 * 12


def test_text_of_another_vocabulary():
    with pytest.raises(ValueError, match="vocabulary_size: the space has 11 tokens, the text's vocabulary 12"):
        small().check_data((), 12)
    with pytest.raises(ValueError, match="tokens: must be single numbers"):
        small().check_data((3, 8, 8), 11)


def one_cell(*edges, inputs=1):
    return Genotype(RECURRENT_CELL, (Cell("recurrent", (edges,), (inputs,), inputs),))


@pytest.mark.parametrize(
    ("genotype", "said"),
    [
        (DARTS_V1, "belongs to the space 'conv_cell'"),
        (Genotype(RECURRENT_CELL, ()), "has 0 cells"),
        (one_cell(Edge("tanh", 0), inputs=2), "needs one input"),
        (
            Genotype(RECURRENT_CELL, (Cell("a", ((Edge("tanh", 0), Edge("relu", 0)),), (1,), inputs=1),)),
            "one edge into",
        ),
        (
            Genotype(RECURRENT_CELL, (Cell("a", ((Edge("tan", 0),),), (1,), inputs=1),)),
            "'tan' is unknown; did you mean 'tanh'",
        ),
    ],
)
def test_genotypes_of_other_spaces(genotype, said):
    with pytest.raises(ValueError, match=said):
        small().network(genotype)


def test_bad_dropout():
    with pytest.raises(ValueError, match=r"dropout.hidden: must lie in \[0, 1\), got 1.0"):
        Dropout(hidden=1.0)
    assert Dropout(output=0, hidden=0, cell_input=0, embedding=0, rows=0) == NO_DROPOUT
