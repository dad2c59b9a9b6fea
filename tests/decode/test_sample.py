from collections import Counter

import numpy as np
import pytest

from archgrad.arch import LogitGroup
from archgrad.decode import argmax, categorical, uniform

CANDIDATES = ("none", "skip_connect", "max_pool_3x3")


def test_edges_and_operations_are_uniform():
    group = LogitGroup.dense("cell", inputs=2, nodes=2, candidates=CANDIDATES)
    generator = np.random.default_rng(0)
    drawn = [uniform(generator, group, 2) for _ in range(600)]
    assert all(len(nodes) == 2 and len(node) == 2 for nodes in drawn for node in nodes)
    pairs = Counter(tuple(edge.source for edge in nodes[1]) for nodes in drawn)
    assert set(pairs) == {(0, 1), (0, 2), (1, 2)}
    operations = Counter(edge.operation for nodes in drawn for node in nodes for edge in node)
    assert set(operations) == {"skip_connect", "max_pool_3x3"}
    # four standard deviations of the two binomial counts
    assert all(abs(count - 200) < 47 for count in pairs.values())
    assert all(abs(count - 1200) < 98 for count in operations.values())


def test_only_what_an_edge_has_is_drawn():
    choices = {(0, 2): ["none"], (1, 2): ["none", "max_pool_3x3"]}
    group = LogitGroup.dense("cell", inputs=2, nodes=1, candidates=CANDIDATES, choices=choices)
    assert uniform(np.random.default_rng(0), group, 2) == ((("max_pool_3x3", 1),),)


def test_equal_generators_draw_equal_cells():
    group = LogitGroup.dense("cell", inputs=2, nodes=4, candidates=CANDIDATES)
    first, second, other = (uniform(np.random.default_rng(seed), group, 2) for seed in (1, 1, 2))
    assert first == second != other


def test_what_does_not_fit_is_refused():
    group = LogitGroup.dense("cell", inputs=2, nodes=1, candidates=("none",))
    with pytest.raises(ValueError, match=r"keep: must be at least 1, got 0"):
        uniform(np.random.default_rng(0), group, 0)
    with pytest.raises(ValueError, match=r"group 'cell': node 2 has no edge with an operation other than 'none'"):
        uniform(np.random.default_rng(0), group, 2)


MIXTURE = np.array([[0.5, 0.2, 0.3], [0.0, 0.9, 0.4]])
"""Of two edges into one node; the second row does not sum to one."""


def test_candidates_are_drawn_in_proportion_to_the_mixture():
    group = LogitGroup.dense("cell", inputs=2, nodes=1, candidates=CANDIDATES)
    rule = categorical(np.random.default_rng(0))
    drawn = Counter(edge for _ in range(2000) for edge in rule(MIXTURE, group)[0])
    expected = {
        ("skip_connect", 0): 0.2,
        ("max_pool_3x3", 0): 0.3,
        ("skip_connect", 1): 9 / 13,
        ("max_pool_3x3", 1): 4 / 13,
    }
    assert set(drawn) == set(expected)
    for edge, share in expected.items():
        assert abs(drawn[edge] / 2000 - share) < 4 * (share * (1 - share) / 2000) ** 0.5


def test_masked_candidates_are_not_drawn():
    group = LogitGroup.dense("cell", inputs=2, nodes=1, candidates=CANDIDATES, choices={(1, 2): ["max_pool_3x3"]})
    rule = categorical(np.random.default_rng(0))
    assert {rule(MIXTURE, group)[0][-1] for _ in range(30)} == {("max_pool_3x3", 1)}


def test_the_rule_keeps_the_edges_with_the_largest_weights():
    group = LogitGroup.dense("cell", inputs=2, nodes=1, candidates=CANDIDATES)
    certain = np.array([[0.0, 0.0, 0.4], [0.0, 0.6, 0.0]])
    rule = categorical(np.random.default_rng(0))
    assert rule(certain, group) == argmax(certain, group)
    assert rule(certain, group, 1) == ((("skip_connect", 1),),)


def test_equal_generators_draw_equal_candidates():
    group = LogitGroup.dense("cell", inputs=2, nodes=4, candidates=CANDIDATES)
    first, second, other = (categorical(np.random.default_rng(s))(np.ones(group.shape), group) for s in (1, 1, 2))
    assert first == second != other


@pytest.mark.parametrize(
    ("mixture", "keep", "message"),
    [
        (MIXTURE[:1], None, r"mixture: has shape \(1, 3\), but group 'cell' has \(2, 3\)"),
        (MIXTURE * np.nan, None, r"mixture: group 'cell' contains values that are not finite"),
        (MIXTURE, 0, r"keep: must be at least 1, got 0"),
    ],
)
def test_a_mixture_that_does_not_fit_is_refused(mixture, keep, message):
    group = LogitGroup.dense("cell", inputs=2, nodes=1, candidates=CANDIDATES)
    with pytest.raises(ValueError, match=message):
        categorical(np.random.default_rng(0))(mixture, group, keep)
