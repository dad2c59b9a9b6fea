"""Every edge for itself against a brute-force twin."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgrad.arch import LogitGroup
from archgrad.decode import argmax
from archgrad.genotype import Edge

CANDIDATES = ("add", "none", "mult")
GROUP = LogitGroup.dense("cell", inputs=2, nodes=2, candidates=CANDIDATES, choices={(0, 3): ("none", "mult")})


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=15, max_size=15), st.none() | st.integers(1, 3))
def test_brute_force_twin(values, keep):
    """Few different values, so that there are ties."""
    mixture = np.array(values, dtype=float).reshape(5, 3)
    expected = {2: [], 3: []}
    for row, (source, target) in enumerate(GROUP.edges):
        allowed = [column for column, name in enumerate(CANDIDATES) if name in GROUP.choices[row]]
        best = max(allowed, key=lambda column: mixture[row, column])
        if CANDIDATES[best] != "none":
            expected[target].append((-mixture[row, best], Edge(CANDIDATES[best], source)))
    nodes = tuple(
        tuple(
            sorted(
                (edge for _, edge in sorted(found, key=lambda pair: pair[0])[:keep]),
                key=lambda edge: edge.source,
            )
        )
        for found in expected.values()
    )
    assert argmax(mixture, GROUP, keep) == nodes


def test_none_can_win():
    mixture = np.array([[0.2, 0.8, 0.0]] * 5)
    assert argmax(mixture, GROUP) == ((), ())


@pytest.mark.parametrize(
    ("mixture", "keep", "message"),
    [
        (np.zeros((5, 3)), 0, r"keep: must be at least 1, got 0"),
        (np.zeros((4, 3)), None, r"mixture: has shape \(4, 3\), but group 'cell' has \(5, 3\)"),
        (np.full((5, 3), np.nan), None, r"mixture: group 'cell' contains values that are not finite"),
    ],
)
def test_what_does_not_fit_is_refused(mixture, keep, message):
    with pytest.raises(ValueError, match=message):
        argmax(mixture, GROUP, keep)
