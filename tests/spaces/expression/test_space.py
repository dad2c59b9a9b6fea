"""The table, and the way from mixtures to genotypes."""

import itertools
import pickle

import numpy as np
import pytest
import sympy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archgrad.decode import argmax, top_k
from archgrad.genotype import Cell, Edge
from archgrad.ops.symbolic import PRIMITIVES, Primitive
from archgrad.spaces.expression import ExpressionSpace, Graph
from archgrad.spaces.space import Space

NINE = ("add", "subtract", "mult", "linear", "exp", "linear_exp", "logistic", "sin", "cos")


def nodes_of(space, text):
    """Edges by node, from `name source` pairs, nodes separated by `|`."""
    words = [node.split() for node in text.split("|")]
    nodes = [[Edge(name, int(source)) for name, source in zip(w[::2], w[1::2], strict=True)] for w in words]
    return space.genotype(nodes).cells[0]


def test_it_is_a_space(space):
    assert isinstance(space, Space)
    assert (space.name, space.ensemble) == ("expression", (3,))
    (group,) = space.groups
    assert group.shape == (len(space.choices), len(space.known))
    assert group.mask.any(axis=1).all()


def test_it_survives_pickling(space):
    space.groups  # noqa: B018  what is cached must not be in the way
    again = pickle.loads(pickle.dumps(space))
    assert again == space
    assert again.groups == space.groups


# -- decoding -------------------------------------------------------------------------------------------------------


def test_nodes_without_edges_go_with_all_that_read_them():
    space = ExpressionSpace(columns=2, nodes=3)
    assert nodes_of(space, "| add 0 linear 2 | mult 1 add 2 linear 3") == Cell(
        "expression", ((Edge("add", 0),), (Edge("mult", 1), Edge("linear", 2))), (2, 3), 2
    )
    assert nodes_of(space, "| linear 2 | add 1 add 3") == Cell("expression", ((Edge("add", 1),),), (2,), 2)


def test_edges_are_in_order_of_their_source():
    """So that decoders may return them by strength, although factors do not commute with summands."""
    space = ExpressionSpace(columns=3, nodes=1, primitives=("none", "add", "multiply"))
    assert nodes_of(space, "multiply 2 add 0 add 1").nodes == ((Edge("add", 0), Edge("add", 1), Edge("multiply", 2)),)
    mixture = torch.tensor([[0.4, 0.6, 0.0], [0.1, 0.0, 0.9], [0.0, 0.7, 0.3]])[None]
    assert space.decode({"edges": mixture}, top_k).cells[0].nodes == (
        (Edge("add", 0), Edge("multiply", 1), Edge("add", 2)),
    )


def test_what_no_output_reads_goes():
    space = ExpressionSpace.laws(1, terms=1, factors=2, functions=1)
    cell = nodes_of(space, "powered 0 | powered 0 | linear 1 | linear 2 | powered 0 divide 4")
    assert cell.nodes == ((Edge("powered", 0),), (Edge("linear", 1),), (Edge("powered", 0), Edge("divide", 2)))
    assert cell.outputs == (3,)


def test_if_nothing_is_left_the_strongest_edge_stays():
    space = ExpressionSpace(columns=2, nodes=2, primitives=("none", "add", "linear"))
    mixture = torch.tensor([[0.9, 0.1, 0.0]] * 3 + [[0.5, 0.2, 0.3]] + [[0.6, 0.0, 0.4]])[None]
    (decoded,) = space.decode_members({"edges": mixture})
    assert decoded.cells[0] == Cell("expression", ((Edge("linear", 1),),), (2,), 2)
    assert nodes_of(space, "|").nodes == ((Edge("add", 0),),)
    laws = ExpressionSpace.laws(2, terms=1, factors=1, functions=1)
    assert nodes_of(laws, "powered 0 | linear 2 |").nodes == ((Edge("powered", 0),),)


def test_members_vote_and_the_lowest_wins_ties():
    space = ExpressionSpace(columns=1, nodes=1, primitives=("add", "exp", "sin"), restarts=5)

    def decoded(*choices):
        mixture = torch.nn.functional.one_hot(torch.tensor(choices), 3).float()[:, None]
        genotypes = space.decode_members({"edges": mixture})
        assert [g.cells[0].operations for g in genotypes] == [(("add", "exp", "sin")[choice],) for choice in choices]
        return space.decode({"edges": mixture}, argmax).cells[0].operations[0]

    assert decoded(0, 1, 2, 1, 0) == "add"
    assert decoded(0, 1, 1, 2, 2) == "exp"
    assert decoded(2, 1, 1, 1, 2) == "exp"


def test_the_decoder_is_used(space):
    (group,) = space.groups
    mixture = {"edges": torch.rand(3, *group.shape, generator=torch.Generator().manual_seed(0))}
    none = torch.zeros(len(space.known), dtype=torch.bool)
    none[[place for place, name in enumerate(group.candidates) if name == "none"]] = True
    mixture["edges"][:, :, none] += 0.5
    all_edges = space.decode_members(mixture, top_k)[0].cells[0]
    some_edges = space.decode_members(mixture)[0].cells[0]
    assert len(some_edges.operations) <= len(all_edges.operations)
    assert not none.any() or some_edges != all_edges


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["sums", "laws"]))
def test_random_genotypes_can_be_built_and_written(seed, layout):
    primitives = ("none", "linear", "linear_sin", *(("multiply",) if layout == "sums" else ()))
    space = ExpressionSpace(columns=2, layout=layout, primitives=primitives)
    genotype = space.random_genotype(np.random.default_rng(seed))
    (cell,) = genotype.cells
    assert (cell.name, cell.inputs) == ("expression", 2)
    assert type(genotype).from_json(genotype.to_json()) == genotype
    inputs = torch.rand(4, 2, dtype=torch.float64) + 0.5
    network = space.network(genotype).double()
    expected = Graph(cell).predict(network.coefficients.detach().numpy(), inputs.numpy().T)
    np.testing.assert_allclose(network(inputs).detach().numpy(), expected)


def test_random_genotypes_follow_from_the_generator_and_samples_from_the_mixture():
    space = ExpressionSpace(columns=3, nodes=2)
    first, second, other = (space.random_genotype(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == second != other
    (group,) = space.groups
    certain = np.zeros(group.shape)
    certain[:, group.candidates.index("linear")] = 1.0
    assert set(space.sampled_genotype(certain, np.random.default_rng(0)).cells[0].operations) == {"linear"}


# -- all graphs -----------------------------------------------------------------------------------------------------


def test_the_81_graphs_of_one_node():
    space = ExpressionSpace(columns=2, nodes=1, primitives=NINE)
    found = list(space.graphs())
    assert len(found) == len(set(found)) == space.count() == 81
    assert {genotype.cells[0].operations for genotype in found} == set(itertools.product(NINE, repeat=2))
    costs = [sum(PRIMITIVES[name].complexity for name in genotype.cells[0].operations) for genotype in found]
    assert costs == sorted(costs)
    assert found == list(space.graphs())


def test_with_none_graphs_are_counted_once_and_the_empty_one_never():
    """Of 3^3 choices: the second node alone, or before the first, is another graph only if it reads it."""
    space = ExpressionSpace(columns=1, nodes=2, primitives=("none", "add", "exp"))
    assert space.count() == 27
    found = set(space.graphs())
    everything = {
        space.genotype([[Edge(a, 0)] if a != "none" else [], [Edge(o, s) for o, s in ((b, 0), (c, 1)) if o != "none"]])
        for a, b, c in itertools.product(("none", "add", "exp"), repeat=3)
        if (a, b) != ("none", "none")
    }
    assert found == everything
    assert all(genotype.cells[0].operations for genotype in found)


def test_many_graphs_begin_at_once():
    space = ExpressionSpace(columns=5, nodes=3, primitives=("none", *NINE))
    assert space.count() == 10**18
    first = list(itertools.islice(space.graphs(), 20))
    assert all(len(genotype.cells[0].operations) == 1 for genotype in first)


def test_laws_are_counted_by_hand():
    space = ExpressionSpace.laws(2, terms=1, factors=1, functions=2, primitives=("sin",))
    assert space.count() == 2**4 * 4**2 * (2**2 * 4)


# -- arguments ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"columns": 3},
        {"nodes": 3},
        {"primitives": ("add", "exp")},
        {"restarts": 4},
        {"scales": (2.0, 1.0)},
        {"layout": "laws"},
        {"layout": "laws", "terms": 3},
        {"layout": "laws", "factors": 1},
        {"layout": "laws", "functions": 1},
    ],
)
def test_every_argument_changes_the_space(changes):
    laws = {name: value for name, value in changes.items() if name == "layout"}
    base = ExpressionSpace(columns=2, **(laws if len(changes) > 1 else {}))
    found = []
    for space in (base, ExpressionSpace(**{"columns": 2, **changes})):
        torch.manual_seed(0)
        found.append((space.groups, space.outputs, space.ensemble, [p.tolist() for p in space.supernet().parameters()]))
    assert found[0] != found[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"columns": 0}, r"columns: must be at least 1, got 0"),
        ({"nodes": 0}, r"nodes: must be at least 1, got 0"),
        ({"layout": "law"}, r"layout: 'law' is unknown; did you mean 'laws'\? Allowed: sums, laws"),
        ({"layout": "laws", "terms": 0}, r"terms: must be at least 1, got 0"),
        ({"layout": "laws", "nodes": 3}, r"nodes: the layout 'laws' has no such size; got 3"),
        ({"factors": 1}, r"factors: the layout 'sums' has no such size; got 1"),
        ({"primitives": ("sinn",)}, r"primitives: 'sinn' is unknown; did you mean 'sin'"),
        ({"primitives": ("sin", "sin")}, r"primitives: \['sin', 'sin'\] lists one twice"),
        ({"primitives": ("none",)}, r"primitives: needs at least one other than 'none', got \['none'\]"),
        ({"primitives": ()}, r"primitives: needs at least one other than 'none', got \[\]"),
        ({"scales": (1.0,)}, r"scales: needs one for each of 2 columns, got 1"),
        ({"scales": (1.0, 0.0)}, r"scales: must be above 0, got 0.0"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ExpressionSpace(**{"columns": 2, **arguments})


def test_data_must_fit():
    space = ExpressionSpace(columns=2)
    space.check_data((2,), None)
    with pytest.raises(ValueError, match=r"columns: the space has 2, the data has rows of shape \(3,\)"):
        space.check_data((3,), None)
    with pytest.raises(ValueError, match=r"num_classes: an expression has no classes, the data has 2"):
        space.check_data((2,), 2)


def test_primitives_of_ones_own_go_by_their_name():
    own = Primitive("cube_root", lambda x: x.sign() * x.abs() ** (1 / 3), sympy.cbrt)
    space = ExpressionSpace(columns=1, nodes=1, primitives=("none", own))
    genotype = space.genotype([[Edge("cube_root", 0)]])
    assert space.network(genotype)(torch.tensor([[27.0]])).item() == pytest.approx(3 + 1)
    supernet, mixture = space.supernet(), {"edges": torch.tensor([[[0.0, 1.0]]])}
    expected = 2.0 * supernet.outputs[0, 0]
    torch.testing.assert_close(supernet(torch.tensor([[8.0]]), mixture)[0, 0], expected)
