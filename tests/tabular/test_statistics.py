"""Expected best of uniform draws against the enumeration of all draws, and incumbents by hand."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archgrad.tabular.statistics import expected_best, incumbents

few = st.lists(st.integers(0, 5), min_size=1, max_size=5)


@given(few, st.integers(1, 4))
def test_expected_maximum_is_the_mean_over_all_draws(values, count):
    expected = np.mean([max(draw) for draw in product(values, repeat=count)])
    assert expected_best(np.array(values, dtype=float), count) == pytest.approx(expected)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=5), st.integers(1, 4))
def test_the_best_by_key_is_the_mean_over_all_draws(pairs, count):
    """Of equal keys the first one drawn is taken."""
    draws = product(pairs, repeat=count)
    expected = np.mean([max(draw, key=lambda pair: pair[0])[1] for draw in draws])
    keys, values = np.array(pairs, dtype=float).T
    assert expected_best(values, count, keys) == pytest.approx(expected)


def test_keys_change_the_choice():
    values = np.array([0.0, 1.0, 2.0])
    assert expected_best(values, 50) == pytest.approx(2)
    assert expected_best(values, 50, keys=-values) == pytest.approx(0, abs=1e-6)
    assert expected_best(values, 50, keys=np.zeros(3)) == pytest.approx(1)


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=20))
def test_incumbents_are_the_first_maxima(scores):
    for place, incumbent in enumerate(incumbents(scores)):
        seen = scores[: place + 1]
        assert incumbent == seen.index(max(seen))


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"count: must be at least 1, got 0"):
        expected_best(np.ones(2), 0)
    with pytest.raises(ValueError, match=r"values: must not be empty"):
        expected_best(np.ones(0), 1)
    with pytest.raises(ValueError, match=r"keys: 3 of them for 2 values"):
        expected_best(np.ones(2), 1, keys=np.ones(3))
