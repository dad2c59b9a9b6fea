"""The most probable architectures against all of them."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgrad.arch import LogitGroup
from archgrad.decode import argmax, beam
from archgrad.genotype import Edge

CANDIDATES = ("none", "add", "mult")
GROUP = LogitGroup.dense("cell", inputs=2, nodes=2, candidates=CANDIDATES, choices={(1, 3): ("none", "mult")})


def enumerated(mixture):
    """(probability, edges by node) of all choices, best first."""
    found = []
    for names in itertools.product(*GROUP.choices):
        probability = np.prod([mixture[row, CANDIDATES.index(name)] for row, name in enumerate(names)])
        edges = [(target, Edge(name, source)) for name, (source, target) in zip(names, GROUP.edges, strict=True)]
        nodes = tuple(tuple(edge for end, edge in edges if end == t and edge.operation != "none") for t in (2, 3))
        found.append((probability, nodes))
    return sorted(found, key=lambda pair: -pair[0])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 200))
def test_the_first_of_all_choices(seed, width):
    mixture = np.random.default_rng(seed).dirichlet([0.5] * 3, size=5)
    found, expected = beam(mixture, GROUP, width), enumerated(mixture)
    assert len(expected) == 3**4 * 2
    assert found == [nodes for _, nodes in expected[:width]]
    assert found[0] == argmax(np.where(GROUP.mask, mixture, 0.0), GROUP)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=15, max_size=15))
def test_ties_and_zeros(values):
    """With few different values: the same probabilities, no choice twice, and none that is impossible."""
    mixture = np.array(values, dtype=float).reshape(5, 3)
    mixture[:, 0] += 1.0
    probabilities = {nodes: probability for probability, nodes in enumerated(mixture)}
    found = beam(mixture, GROUP, 1000)
    assert len(set(found)) == len(found) == sum(probability > 0 for probability in probabilities.values())
    ranked = [probabilities[nodes] for nodes in found]
    assert ranked == sorted(ranked, reverse=True)
    assert found == beam(mixture, GROUP, 1000)


def test_rows_without_any_weight_still_give_one_choice():
    assert beam(np.zeros((5, 3)), GROUP, 3) == [((), ())]


@pytest.mark.parametrize(
    ("mixture", "width", "message"),
    [
        (np.zeros((5, 3)), 0, r"width: must be at least 1, got 0"),
        (np.zeros((5, 2)), 1, r"mixture: has shape \(5, 2\), but group 'cell' has \(5, 3\)"),
        (np.full((5, 3), np.inf), 1, r"mixture: group 'cell' contains values that are not finite"),
    ],
)
def test_what_does_not_fit_is_refused(mixture, width, message):
    with pytest.raises(ValueError, match=message):
        beam(mixture, GROUP, width)
