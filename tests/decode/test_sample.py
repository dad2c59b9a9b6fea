from collections import Counter

import numpy as np
import pytest

from archgrad.arch import LogitGroup
from archgrad.decode import uniform

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
