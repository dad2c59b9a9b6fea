"""Tables of costs: sums over edges, means over the genotypes that a mixture may become, and files."""

import json
from dataclasses import replace
from itertools import combinations, permutations, product
from math import prod

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from archgrad.arch import NONE, LogitGroup
from archgrad.costs import CostTable
from archgrad.costs.keeping import kept
from archgrad.decode import uniform
from archgrad.genotype import DARTS_V2, Cell, Edge, Genotype
from archgrad.identity import identify
from archgrad.relax import Sigmoid, Softmax

CANDIDATES = (NONE, "x", "y")
NARROW = {(0, 2): (NONE, "y"), (1, 3): (NONE,)}


def table_of(*, keeps_none=False, keep=2, choices=NARROW, seed=0):
    """A cell of two inputs and two nodes, with costs by lot."""
    group = LogitGroup.dense("cell", inputs=2, nodes=2, candidates=CANDIDATES, choices=choices, keeps_none=keeps_none)
    prices = np.random.default_rng(seed).uniform(0, 5, group.shape).round(2)
    prices *= group.mask & (np.array(CANDIDATES) != NONE)
    kept = tuple(len(edges) for edges in uniform(np.random.default_rng(0), group, keep))
    return CostTable(
        name="parameters",
        space="letters",
        groups=(group,),
        keep={"cell": kept},
        outputs={"cell": (2, 3)},
        fixed=7.0,
        values={"cell": tuple(map(tuple, prices.tolist()))},
    )


def genotype_of(*nodes, space="letters", name="cell", outputs=(2, 3)):
    return Genotype(space, (Cell(name, nodes, outputs),))


def mixture_of(table, *, seed=0, relaxation=None, ensemble=()):
    (group,) = table.groups
    logits = torch.randn(*ensemble, *group.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return {"cell": (relaxation or Softmax())(logits, group.mask_tensor())}


def outcomes(table, mixture):
    """(probability, genotype) of all genotypes that are drawn: edges by lot, operations from the mixture."""
    (group,) = table.groups
    per_node = []
    for target, keep in zip((2, 3), table.keep["cell"], strict=True):
        rows = [row for row in group.entering(target) if group.decodable[row].any()]
        subsets = list(combinations(rows, keep))
        drawn = []
        for subset in subsets:
            for columns in product(*(np.flatnonzero(group.decodable[row]) for row in subset)):
                shares = [
                    float(mixture["cell"][row, column] / mixture["cell"][row][group.decodable[row]].sum())
                    for row, column in zip(subset, columns, strict=True)
                ]
                edges = tuple(
                    Edge(group.candidates[column], group.edges[row][0])
                    for row, column in zip(subset, columns, strict=True)
                )
                drawn.append((prod(shares) / len(subsets), edges))
        per_node.append(drawn)
    for chosen in product(*per_node):
        yield prod(share for share, _ in chosen), genotype_of(*(edges for _, edges in chosen))


def test_the_cost_of_a_genotype_is_the_sum_over_its_edges():
    table = table_of()
    values = table.values["cell"]
    genotype = genotype_of((Edge("y", 0), Edge("x", 1)), (Edge("x", 2),))
    assert table.of(genotype) == pytest.approx(7 + values[0][2] + values[1][1] + values[4][1])


@given(keep=st.integers(1, 3), keeps_none=st.booleans(), seed=st.integers(0, 99))
def test_the_expected_cost_is_the_mean_over_all_genotypes(keep, keeps_none, seed):
    table = table_of(keep=3 if keeps_none else keep, keeps_none=keeps_none, seed=seed)
    mixture = mixture_of(table, seed=seed)
    every = list(outcomes(table, mixture))
    assert sum(share for share, _ in every) == pytest.approx(1)
    mean = sum(share * table.of(genotype) for share, genotype in every)
    assert float(table.expected(mixture, table.groups)) == pytest.approx(mean)
    costs = [table.of(genotype) for _, genotype in every]
    assert table.bounds == pytest.approx((min(costs), max(costs)))


def test_none_counts_only_where_it_can_be_decoded():
    plain, kept = table_of(choices={}), table_of(choices={}, keeps_none=True, keep=3)
    absent = {"cell": torch.tensor([[0.9, 0.1, 0.0]]).expand(5, 3)}
    alone = {"cell": torch.tensor([[0.0, 1.0, 0.0]]).expand(5, 3)}
    torch.testing.assert_close(plain.expected(absent, plain.groups), plain.expected(alone, plain.groups))
    saved = kept.expected(alone, kept.groups) - kept.expected(absent, kept.groups)
    torch.testing.assert_close(saved, 0.9 * sum(torch.tensor(row[1]) for row in kept.values["cell"]))


def test_gradients_are_those_of_the_mean():
    table = table_of()
    logits = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    mask = table.groups[0].mask_tensor()
    assert torch.autograd.gradcheck(
        lambda alpha: table.expected({"cell": Softmax()(alpha, mask)}, table.groups), (logits,)
    )


def test_rows_of_sigmoids_count_by_their_shares():
    table = table_of()
    mixture = mixture_of(table, relaxation=Sigmoid())
    half = {"cell": mixture["cell"] / 2}
    torch.testing.assert_close(table.expected(mixture, table.groups), table.expected(half, table.groups))


def test_a_sample_that_takes_none_costs_nothing_and_has_a_finite_gradient():
    table = table_of(choices={})
    sample = torch.tensor([[1.0, 0.0, 0.0]]).expand(5, 3).clone().requires_grad_()
    cost = table.expected({"cell": sample}, table.groups)
    (gradient,) = torch.autograd.grad(cost, sample)
    assert cost == table.fixed
    assert gradient.isfinite().all()


def test_members_of_an_ensemble_have_costs_of_their_own():
    table = table_of()
    mixture = mixture_of(table, ensemble=(3,))
    together = table.expected(mixture, table.groups)
    alone = [table.expected({"cell": member}, table.groups) for member in mixture["cell"]]
    torch.testing.assert_close(together, torch.stack(alone))


def weigh_edges(group, *, seed=0, ensemble=()):
    nodes = group.node_weights()
    logits = torch.randn(*ensemble, *nodes.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return nodes, Softmax()(logits, nodes.mask_tensor())


@given(keep=st.integers(1, 4), seed=st.integers(0, 99))
def test_edges_are_drawn_by_their_weights_where_these_are_learnt(keep, seed):
    group = LogitGroup.dense("cell", inputs=2, nodes=3, candidates=("x",))
    nodes, weights = weigh_edges(group, seed=seed)
    shares = kept(group, (keep,) * 3, {"cell": torch.ones(group.shape), nodes.name: weights}, (group, nodes))
    for node, target in enumerate((2, 3, 4)):
        rows = group.entering(target)
        drawn = dict.fromkeys(rows, 0.0)
        for order in permutations(rows, min(keep, len(rows))):
            left, chance = 1.0, 1.0
            for row in order:
                weight = float(weights[node, group.edges[row][0]])
                chance, left = chance * weight / left, left - weight
            for row in order:
                drawn[row] += chance
        assert shares[list(rows)].tolist() == pytest.approx([drawn[row] for row in rows])


def test_equal_edge_weights_change_nothing():
    table = table_of(choices={}, keep=2)
    (group,) = table.groups
    nodes, mixture = group.node_weights(), mixture_of(table)
    weights = Softmax()(torch.zeros(nodes.shape, dtype=torch.float64), nodes.mask_tensor())
    with_weights = table.expected({**mixture, nodes.name: weights}, (group, nodes))
    torch.testing.assert_close(with_weights, table.expected(mixture, (group,)))


def test_edge_weights_of_members_are_their_own():
    table = table_of(choices={}, keep=1)
    (group,) = table.groups
    nodes, weights = weigh_edges(group, ensemble=(3,))
    mixture = mixture_of(table, ensemble=(3,))
    together = table.expected({**mixture, nodes.name: weights}, (group, nodes))
    pairs = zip(mixture["cell"], weights, strict=True)
    alone = [table.expected({"cell": p, nodes.name: beta}, (group, nodes)) for p, beta in pairs]
    torch.testing.assert_close(together, torch.stack(alone))
    assert len(set(together.tolist())) == 3


def test_weights_of_edges_without_an_operation_go_to_the_others():
    table = table_of(keep=1)  # edge (1, 3) has none alone
    (group,) = table.groups
    nodes = group.node_weights()
    weights = torch.tensor([[0.5, 0.5, 0.0], [0.2, 0.6, 0.2]], dtype=torch.float64)
    mixture = mixture_of(table)
    expected = table.expected({**mixture, nodes.name: weights}, (group, nodes))
    torch.testing.assert_close(expected, table.expected(mixture, (group,)))  # a half for each of two edges


def test_a_space_that_lost_candidates_is_the_same_space():
    table = table_of(choices={})
    fewer = LogitGroup.dense("cell", inputs=2, nodes=2, candidates=("y", NONE), choices={(0, 2): ("y",)})
    mixture = {"cell": torch.tensor([[1.0, 0.0]]).expand(5, 2)}
    same = {"cell": torch.tensor([[0.0, 0.0, 1.0]]).expand(5, 3)}
    torch.testing.assert_close(table.expected(mixture, (fewer,)), table.expected(same, table.groups))


@pytest.mark.parametrize(
    ("group", "message"),
    [
        (LogitGroup.dense("other", inputs=2, nodes=2, candidates=CANDIDATES), "group 'cell', the space has"),
        (LogitGroup.dense("cell", inputs=2, nodes=3, candidates=CANDIDATES), "5 edges, that of the space 9"),
        (LogitGroup.dense("cell", inputs=2, nodes=2, candidates=("x", "z")), "table: 'z' is unknown"),
    ],
)
def test_tables_of_another_space_are_refused(group, message):
    table = table_of()
    with pytest.raises(ValueError, match=message):
        table.expected({group.name: torch.full(group.shape, 0.5)}, (group,))


@pytest.mark.parametrize(
    ("genotype", "message"),
    [
        (DARTS_V2, "belongs to the space 'conv_cell', this table to 'letters'"),
        (genotype_of((Edge("x", 1),), (Edge("x", 1),), name="other"), r"has the cells \['other'\]"),
        (genotype_of((Edge("x", 1),), outputs=(2,)), "has 1 nodes"),
        (genotype_of((Edge("x", 1),), (Edge("x", 2),), outputs=(3,)), r"the outputs \[3\]"),
        (genotype_of((Edge("x", 0),), (Edge("x", 2),)), r"'x' on edge \(0, 2\); this table knows \['none', 'y'\]"),
    ],
)
def test_other_genotypes_are_refused(genotype, message):
    with pytest.raises(ValueError, match=message):
        table_of().of(genotype)


def test_a_table_is_plain_and_is_read_as_it_was_written(tmp_path):
    table = replace(table_of(), name="latency", unit="ms", conditions={"device": "cpu", "threads": 2})
    table.save(tmp_path / "costs.json")
    assert CostTable.load(tmp_path / "costs.json") == table
    plain = identify(table)
    assert plain["values"]["cell"] == [list(row) for row in table.values["cell"]]
    assert json.loads(json.dumps(plain)) == plain


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "letters"}, "not a costs file"),
        ({"version": 99}, "newer than this archgrad reads"),
        ({"groups": None}, "malformed entry"),
        ({"fixed": "NaN"}, "must be finite and at least 0, got nan"),
        ({"fixed": -1}, "must be finite and at least 0, got -1"),
    ],
)
def test_other_files_are_refused(change, message):
    document = json.loads(table_of().to_json()) | change
    with pytest.raises(ValueError, match=message):
        CostTable.from_json(json.dumps(document))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": {"cell": ((0.0, 1.0, 2.0),)}}, r"values: those of group 'cell' need the shape \(5, 3\)"),
        ({"values": {}}, "values: has nothing for group 'cell'"),
        ({"keep": {"cell": (2,)}}, "keep: group 'cell' has 2 nodes"),
    ],
)
def test_tables_have_the_shape_of_their_groups(change, message):
    with pytest.raises(ValueError, match=message):
        replace(table_of(), **change)
