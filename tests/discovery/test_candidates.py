"""Candidates: how rows are parted, how a graph is fitted, and which of many are kept."""

import numpy as np
import pytest

from archgrad.discovery.candidates import Candidate, Effort, Parts, fit_candidate, front, price
from archgrad.discovery.problem import Problem
from archgrad.genotype import Cell, Edge
from archgrad.spaces.expression.laws import Law

CELL = Cell("expression", ((Edge("add", 0),),), (1,), 1)


def candidate(size, loss):
    return Candidate(CELL, True, np.ones(2), loss, loss, size=size, stage="test")


def parts(rows=300, law=lambda u, v: u**2 / v):
    inputs = np.random.default_rng(0).uniform(1, 3, (2, rows))
    problem = Problem.of(inputs, law(*inputs), np.ones(rows))
    return Parts.split(problem, fraction=0.2, generator=np.random.default_rng(1))


def test_parts_are_disjoint_and_in_the_unit_of_the_whole():
    split = parts(50)
    assert (split.train.rows, split.validation.rows) == (40, 10)
    assert not set(split.train.targets) & set(split.validation.targets)
    assert split.train.unit == split.validation.unit
    tiny = parts(3)
    assert tiny.train is tiny.validation


def test_samples_come_from_the_training_part():
    split = parts(500)
    assert (split.start.rows, split.screen.rows) == (60, 140)
    assert set(split.start.targets) <= set(split.screen.targets) <= set(split.train.targets)


def test_a_law_is_found_with_simple_exponents():
    effort = Effort(drawn=200, kept=32, iterations=40)
    found = fit_candidate(
        Law(((),)).cell(2), parts(), np.random.default_rng(0), effort=effort, stage="law", offset=False
    )
    best = min(found, key=lambda c: c.validation_loss)
    assert best.exact
    np.testing.assert_allclose(best.coefficients, [2, -1, 1], atol=1e-9)
    assert best.stage == "law"


def test_a_graph_that_is_not_defined_on_the_data_gives_nothing():
    cell = Cell("expression", ((Edge("arcsin", 0),),), (2,), 2)
    effort = Effort(drawn=8, kept=4, iterations=5)
    assert fit_candidate(cell, parts(), np.random.default_rng(0), effort=effort, stage="test") == []


def test_warm_starts_are_tried():
    cell = Cell("expression", ((Edge("linear_sin", 0),),), (2,), 2)
    split = parts(law=lambda u, v: np.sin(40 * u + 1))
    effort = Effort(drawn=4, kept=4, iterations=30)
    without = fit_candidate(cell, split, np.random.default_rng(0), effort=effort, stage="test")
    warm = np.array([[40.01, 1.0, 1.0, 0.0]])
    with_it = fit_candidate(cell, split, np.random.default_rng(0), effort=effort, stage="test", warm=warm)
    assert min(c.loss for c in with_it) < 1e-16 < min(c.loss for c in without)


def test_memory_bounds_the_number_of_starts():
    assert Effort().within(10, 100) == Effort()
    assert Effort().within(10**5, 140).drawn == 4


def test_the_front_keeps_what_no_smaller_one_beats():
    pool = [candidate(*pair) for pair in ((3, 0.5), (1, 1.0), (5, 0.6), (7, 0.1), (3, 0.9))]
    assert [(c.size, c.loss) for c in front(pool, most=9)] == [(1, 1.0), (3, 0.5), (7, 0.1)]
    assert [c.size for c in front(pool, most=2)] == [1, 7]


def test_equal_cells_with_other_coefficients_are_different_candidates():
    assert candidate(1, 0.5) != candidate(1, 0.5)


def test_the_price_is_the_information_criterion():
    assert price(candidate(3, 0.5), 100) == pytest.approx(100 * np.log(0.5) + 3 * np.log(100))
