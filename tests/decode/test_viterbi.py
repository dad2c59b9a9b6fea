"""The Viterbi algorithm against all paths, one by one."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgrad.decode import viterbi


def all_paths(transitions):
    """Every path with its probability, the most probable first; ties by the states."""
    widths = [range(matrix.shape[1]) for matrix in transitions]
    found = []
    for states in itertools.product(*widths):
        steps = zip(transitions, (0, *states), states, strict=False)
        probability = math.prod(float(matrix[before, after]) for matrix, before, after in steps)
        if probability > 0:
            found.append((states, probability))
    return sorted(found, key=lambda path: (-path[1], path[0]))


@st.composite
def trellises(draw):
    widths = [1, *draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))]
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    matrices = []
    for before, after in itertools.pairwise(widths):
        matrix = generator.random((before, after)) * (generator.random((before, after)) < 0.8)
        matrices.append(matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1.0))
    return matrices


@settings(deadline=None)
@given(trellises(), st.integers(1, 30))
def test_equals_brute_force(transitions, count):
    expected = all_paths(transitions)[:count]
    if not expected:
        with pytest.raises(ValueError, match="no path has a probability above 0"):
            viterbi(transitions, count)
        return
    found = viterbi(transitions, count)
    np.testing.assert_allclose([path.probability for path in found], [p for _, p in expected], rtol=1e-12)
    assert [path.states for path in found] == [states for states, _ in expected]


def test_greedy_choices_are_not_the_best_path():
    """The most probable first step leads nowhere good."""
    transitions = [np.array([[0.6, 0.4]]), np.array([[0.5, 0.5], [0.0, 1.0]])]
    (path,) = viterbi(transitions)
    assert path.states == (1, 1)
    assert path.probability == pytest.approx(0.4)


def test_all_paths_of_a_stochastic_trellis_sum_to_one():
    generator = np.random.default_rng(0)
    matrices = [generator.dirichlet(np.ones(3), size=rows) for rows in (1, 3, 3, 3)]
    found = viterbi(matrices, 1000)
    assert len(found) == 3**4
    assert sum(path.probability for path in found) == pytest.approx(1.0)


def test_ties_go_to_the_earlier_state():
    even = [np.full((1, 2), 0.5), np.full((2, 2), 0.5)]
    assert [path.states for path in viterbi(even, 10)] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_long_paths_do_not_underflow():
    rows = np.array([[1e-3, 2e-3], [2e-3, 1e-3]])
    found = viterbi([rows[:1], *[rows] * 300], 1)
    assert found[0].states[:4] == (1, 0, 1, 0)


@pytest.mark.parametrize(
    ("transitions", "message"),
    [
        ([], "must not be empty"),
        ([np.ones((2, 2))], r"layer 0 have shape \(2, 2\), need \[1, states of the next\]"),
        ([np.ones((1, 2)), np.ones((3, 2))], r"layer 1 have shape \(3, 2\), need \[2"),
        ([np.array([[0.5, np.nan]])], r"layer 0 have an entry outside \[0, 1\]"),
        ([np.array([[-0.5, 0.5]])], r"outside \[0, 1\]"),
        ([np.zeros((1, 2))], "no path has a probability above 0"),
    ],
)
def test_bad_transitions(transitions, message):
    with pytest.raises(ValueError, match=message):
        viterbi(transitions)


def test_bad_count():
    with pytest.raises(ValueError, match="count: must be at least 1, got 0"):
        viterbi([np.ones((1, 1))], 0)
