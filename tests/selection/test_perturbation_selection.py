"""DARTS-PT against its algorithm written out, and what is evaluated and tuned in which order."""

from itertools import pairwise

import pytest
import torch

from archgrad.decode import top_k
from archgrad.selection import PerturbationSelection


def changed_row(before, after):
    """The group and the row in which two mixtures differ."""
    differing = [
        (name, row)
        for name in before
        for row in range(len(before[name]))
        if not torch.equal(before[name][row], after[name][row])
    ]
    assert len(differing) == 1
    return differing[0]


@pytest.mark.parametrize("seed", range(5))
def test_kept_is_what_is_worth_most_where_worths_add_up(fakes, seed):
    space = fakes.Space(fakes.group("normal", nodes=3), fakes.group("reduce", nodes=3))
    mixture, values = fakes.mixture(space, seed), fakes.values(space, seed)
    probe = fakes.Probe(space, mixture, fakes.worth(values), seed=seed)
    found = PerturbationSelection(tune_epochs=1)(probe)
    best = {name: (values[name] * mixture[name]).argmax(dim=1) for name in values}
    # of the one-hot operations an edge is worth what its operation is worth
    worths = {
        name: torch.zeros_like(values[name]).scatter_(1, column[:, None], values[name].gather(1, column[:, None]))
        for name, column in best.items()
    }
    assert sorted_edges(found) == sorted_edges(space.decode(worths, top_k))


def sorted_edges(genotype):
    return [[sorted(edges) for edges in cell.nodes] for cell in genotype.cells]


def tangled(mixture, steps):
    """An accuracy in which the worth of a candidate depends on all others."""
    flat = torch.cat([weights.flatten() for weights in mixture.values()])
    weights = torch.sin(torch.arange(len(flat)) * 1.7)
    pairs = torch.cos(torch.outer(torch.arange(len(flat)) * 0.9, torch.arange(len(flat)) * 1.3))
    return weights @ flat + flat @ pairs @ flat + 0.01 * steps * flat[::3].sum()


def algorithm(space, mixture, order, *, steps, keep, accuracy):
    """The selection written out: `order` lists rounds of edges (group, row), then rounds of nodes (group, target)."""
    mixture = {name: weights.clone() for name, weights in mixture.items()}
    groups = {group.name: group for group in space.groups}
    operations, nodes = order
    for number, edges in enumerate(operations + nodes):
        for name, place in edges:
            accuracies = {}
            within = number < len(operations)
            parts = range(groups[name].shape[1]) if within else groups[name].entering(place)
            for part in parts:
                without = {key: weights.clone() for key, weights in mixture.items()}
                without[name][(place, part) if within else part] = 0
                accuracies[part] = float(accuracy(without, number * steps))
            ranked = sorted(parts, key=accuracies.__getitem__)
            if within:
                mixture[name][place] = 0
                mixture[name][place, ranked[0]] = 1
            else:
                mixture[name][list(ranked[keep:])] = 0
    return mixture


@pytest.mark.parametrize("seed", range(3))
def test_decisions_see_all_earlier_ones_and_the_tuning_between(fakes, seed):
    candidates = ("skip_connect", "max_pool_3x3", "sep_conv_3x3")
    space = fakes.Space(*(fakes.group(name, candidates=candidates) for name in ("normal", "reduce")))
    mixture = fakes.mixture(space, seed)
    probe = fakes.Probe(space, mixture, tangled, seed=seed)
    found = PerturbationSelection(tune_epochs=7)(probe)

    places = [changed_row(before, after) for before, after in decisions(probe)]
    # five edges of either cell, and the one node that has more edges than it keeps
    edges = [places[2 * number : 2 * number + 2] for number in range(5)]
    nodes = [[("normal", 3), ("reduce", 3)]]
    final = algorithm(space, mixture, (edges, nodes), steps=7, keep=2, accuracy=tangled)
    assert found == space.decode(final, top_k)


def decisions(probe):
    """The mixtures before and after each decision on an operation, of two cells that take turns."""
    states = [probe.mixture, *(mixture for _, mixture in probe.tunings[:5])]
    for before, after in pairwise(states):
        between = {"normal": after["normal"], "reduce": before["reduce"]}
        yield from ((before, between), (between, after))


def test_order_and_numbers_of_evaluations_and_tunings(fakes):
    group = fakes.group(nodes=3)  # 2 + 3 + 4 edges of 4 candidates, two nodes with more than two edges
    space = fakes.Space(group)
    probe = fakes.Probe(space, fakes.mixture(space), fakes.worth(fakes.values(space)))
    PerturbationSelection(tune_epochs=3)(probe)
    kinds = [kind for kind, _ in probe.log]
    first = kinds[9 * 5 :].index(3)
    assert first in (3, 4)  # the edges of the node that comes first
    assert kinds == (["evaluate"] * 4 + [3]) * 9 + ["evaluate"] * first + [3] + ["evaluate"] * (7 - first)
    hard = [int((mixture["cell"] == 1).any(dim=1).sum()) for _, mixture in probe.tunings]
    assert hard[:9] == list(range(1, 10))
    assert hard[9] == 9 - (first - 2)  # that node has let its other edges go


def test_weights_are_masked_and_not_normalised_again(fakes):
    space = fakes.Space(fakes.group())
    mixture = fakes.mixture(space)
    probe = fakes.Probe(space, mixture, fakes.worth(fakes.values(space)))
    PerturbationSelection(tune_epochs=0)(probe)
    for column, evaluated in enumerate(probe.evaluated[:4]):
        _, row = changed_row(mixture, evaluated)
        expected = mixture["cell"][row].clone()
        expected[column] = 0
        assert torch.equal(evaluated["cell"][row], expected)


def test_the_searchs_mixture_stays_as_it_was(fakes):
    space = fakes.Space(fakes.group())
    probe = fakes.Probe(space, fakes.mixture(space), fakes.worth(fakes.values(space)))
    PerturbationSelection(tune_epochs=0)(probe)
    assert torch.equal(probe.mixture["cell"], fakes.mixture(space)["cell"])


def test_edge_weights_are_left_alone_and_passed_on(fakes):
    group = fakes.group()
    space = fakes.Space(group, group.node_weights())
    mixture, values = fakes.mixture(space), fakes.values(space)
    probe = fakes.Probe(space, mixture, fakes.worth({"cell": values["cell"]}))
    PerturbationSelection(tune_epochs=0)(probe)
    assert all(torch.equal(seen["cell_edges"], mixture["cell_edges"]) for seen in probe.evaluated)


def test_only_what_an_edge_has_is_tried_and_a_single_candidate_is_not(fakes):
    choices = {(0, 2): ("max_pool_3x3",), (1, 2): ("skip_connect", "sep_conv_3x3")}
    space = fakes.Space(fakes.group(nodes=1, choices=choices))
    probe = fakes.Probe(space, fakes.mixture(space), fakes.worth(fakes.values(space)))
    found = PerturbationSelection(tune_epochs=0)(probe)
    assert len(probe.evaluated) == 2
    assert found["cell"].nodes[0][0] == ("max_pool_3x3", 0)
    assert found["cell"].nodes[0][1].operation in choices[1, 2]


def test_where_all_edges_stay_none_is_a_choice_and_no_edge_is_tried(fakes):
    group = fakes.group(inputs=1, nodes=3, keeps_none=True)
    space = fakes.Space(group, keep=3)
    values = fakes.values(space)
    values["cell"][2] = torch.tensor([1.0, 0.1, 0.1, 0.1])
    probe = fakes.Probe(space, {"cell": torch.full(group.shape, 0.25)}, fakes.worth(values))
    found = PerturbationSelection(tune_epochs=2)(probe)
    assert [kind for kind, _ in probe.log].count("evaluate") == 6 * 4
    assert len(probe.tunings) == 5
    best = values["cell"].argmax(dim=1).tolist()
    assert [edge.operation for edges in found["cell"].nodes for edge in edges] == [group.candidates[o] for o in best]
    assert found["cell"].nodes[1][1] == ("none", 1)


def test_an_edge_that_comes_out_as_none_goes_first_or_gets_the_second_best(fakes):
    group = fakes.group(nodes=2)
    space = fakes.Space(group)
    values = fakes.values(space)
    harmful = torch.tensor([0.0, -3.0, -1.0, -2.0])  # without any of them the supernet is better: `none` wins
    values["cell"][[0, 3]] = harmful  # edges 0 -> 2 and 1 -> 3
    probe = fakes.Probe(space, {"cell": torch.full(group.shape, 0.25)}, fakes.worth(values))
    found = PerturbationSelection(tune_epochs=0)(probe)
    assert found["cell"].nodes[0][0] == ("max_pool_3x3", 0)
    assert sorted(edge.source for edge in found["cell"].nodes[1]) == [0, 2]


def test_the_earlier_operation_and_the_earlier_edges_win_ties(fakes):
    space = fakes.Space(fakes.group(candidates=("skip_connect", "max_pool_3x3")))
    probe = fakes.Probe(space, fakes.mixture(space), lambda mixture, steps: 0.5)
    found = PerturbationSelection(tune_epochs=0)(probe)
    assert set(found["cell"].operations) == {"skip_connect"}
    assert [edge.source for edge in found["cell"].nodes[1]] == [0, 1]


def test_every_argument_and_the_seed_change_the_result(fakes):
    candidates = ("skip_connect", "max_pool_3x3", "sep_conv_3x3")
    space = fakes.Space(fakes.group(nodes=3, candidates=candidates))
    mixture = fakes.mixture(space)

    def found(*, seed=0, **arguments):
        probe = fakes.Probe(space, mixture, tangled, seed=seed, loss=lambda mixture, steps: mixture["cell"][:, 0].sum())
        return PerturbationSelection(**arguments)(probe)

    assert found(tune_epochs=0) == found(tune_epochs=0)
    assert found(tune_epochs=0) != found(tune_epochs=400)
    assert found(tune_epochs=0) != found(tune_epochs=0, criterion="loss")
    assert len({found(tune_epochs=0, seed=seed) for seed in range(8)}) > 1


def test_what_makes_no_sense_is_refused(fakes):
    with pytest.raises(ValueError, match=r"tune_epochs: must be at least 0, got -1"):
        PerturbationSelection(tune_epochs=-1)
    with pytest.raises(ValueError, match=r"criterion: 'los' is unknown; did you mean 'loss'\?"):
        PerturbationSelection(criterion="los")
    space = fakes.Plain(fakes.group())
    with pytest.raises(ValueError, match=r"selection: needs a space .* which 'table' is not; .* selection=None"):
        PerturbationSelection()(fakes.Probe(space, fakes.mixture(space), tangled))
