"""Levenberg-Marquardt: closed forms, SciPy as a twin, and what must not disturb it."""

import numpy as np
import pytest
from scipy.optimize import curve_fit

from archgrad.discovery.problem import Problem
from archgrad.discovery.refit import descend, polish, refit, solve_output_layer
from archgrad.genotype import Cell, Edge
from archgrad.spaces.expression.graph import Graph

X = np.linspace(0.1, 2.0, 40)


def graph(*edges, offset=True):
    return Graph(Cell("expression", (tuple(Edge(name, 0) for name in edges),), (1,), 1), offset=offset)


def problem(y, weights=None, link="identity"):
    return Problem.of(X[None], np.asarray(y, float), np.ones(len(X)) if weights is None else weights, link=link)


def test_the_output_layer_is_the_least_squares_line():
    weights = np.linspace(1, 3, len(X))
    y = 3 * np.sqrt(X) - 1 + 0.1 * np.sin(40 * X)
    theta = np.array([[7.0, 7.0]])
    solve_output_layer(graph("sqrt"), problem(y, weights), theta, free=np.ones_like(theta))
    slope, intercept = np.polyfit(np.sqrt(X), y, 1, w=np.sqrt(weights))
    np.testing.assert_allclose(theta[0], [slope, intercept], rtol=1e-9)


def test_a_law_within_the_family_is_found_to_rounding():
    y = 2.5 * np.exp(-1.3 * X) + 0.5
    family = graph("linear_exp")
    starts = np.random.default_rng(0).normal(size=(8, family.size))
    fit = refit(family, problem(y), starts)
    assert fit.losses[0] < 1e-22
    assert fit.coefficients[0, 0] == pytest.approx(-1.3)
    assert (np.diff(fit.losses) >= 0).all()


def test_it_agrees_with_scipy_on_noisy_data():
    y = np.exp(-1.3 * X) + 0.1 * np.random.default_rng(0).normal(size=len(X))
    family = graph("exp", offset=False)
    found, _ = curve_fit(lambda x, a, c: c * np.exp(a * x), X, y, p0=(-1, 1))
    family = Graph(Cell("expression", ((Edge("mult", 0),), (Edge("exp", 1),)), (2,), 1), offset=False)
    fit = refit(family, problem(y), np.array([[-1.0, 1.0]]))
    np.testing.assert_allclose(fit.coefficients[0], found, rtol=1e-5)


def test_losses_are_one_minus_r_squared():
    y = X**2
    family = graph("add")
    fit = refit(family, problem(y), np.ones((1, 2)))
    residual = y - np.polyval(np.polyfit(X, y, 1), X)
    assert fit.losses[0] == pytest.approx(residual.var() / y.var())


def test_fixed_coefficients_stay():
    y = 3 * np.exp(2 * X)
    family = graph("linear_exp")
    start = np.array([[1.5, 0.25, 1.0, 0.0]])
    fit = refit(family, problem(y), start, fixed=np.array([[True, True, False, False]]))
    np.testing.assert_array_equal(fit.coefficients[0, :2], [1.5, 0.25])


def test_an_undefined_start_does_not_disturb_the_others():
    y = np.log(X)
    family = graph("linear_ln", offset=False)
    starts = np.array([[-1.0, 0.0, 1.0], [2.0, 0.1, 1.0], [np.nan, 0.0, 1.0]])
    fit = refit(family, problem(y), starts)
    alone = refit(family, problem(y), starts[1:2])
    assert fit.losses[0] == pytest.approx(alone.losses[0])
    assert np.isinf(fit.losses[-1])


def test_descend_keeps_the_order_and_never_gets_worse():
    y = np.sin(3 * X)
    family = graph("linear_sin")
    starts = np.random.default_rng(1).normal(size=(6, family.size))
    before = problem(y).losses(family, starts)
    fit = descend(family, problem(y), starts, free=np.ones_like(starts), iterations=20, halvings={})
    assert fit.losses.shape == before.shape
    assert (fit.losses <= before).all()
    np.testing.assert_allclose(problem(y).losses(family, fit.coefficients), fit.losses)


@pytest.mark.parametrize("scale", [1e-150, 1e-6, 1.0, 130_000.0, 1e200])
def test_the_scale_of_the_targets_does_not_matter(scale):
    family = graph("linear_exp", offset=False)
    y = np.exp(-1.3 * X) * scale
    fit = refit(family, problem(y), np.array([[-1.0, 0.0, 1.0]]))
    assert fit.losses[0] < 1e-20


def test_polish_returns_nothing_worse():
    y = 2.5 * np.exp(-1.3 * X)
    family = graph("linear_exp")
    start = np.array([-1.25, 0.1, 2.0, 0.1])
    found, loss = polish(family, problem(y), start)
    assert loss < 1e-25
    assert problem(y).losses(family, found[None])[0] == loss
    kept, _ = polish(family, problem(y), start, fixed=[True, False, False, False])
    assert kept[0] == start[0]


@pytest.mark.parametrize("link", ["sigmoid", "deviance"])
def test_probabilities_are_fitted_through_their_link(link):
    y = 1 / (1 + np.exp(-(3 * X - 2)))
    family = graph("add")
    fit = refit(family, problem(y, link=link), np.array([[1.0, 0.0]]))
    np.testing.assert_allclose(fit.coefficients[0], [3, -2], rtol=1e-6)


def test_deviance_of_outcomes_is_logistic_regression():
    from sklearn.linear_model import LogisticRegression

    generator = np.random.default_rng(0)
    y = (generator.random(len(X)) < 1 / (1 + np.exp(-(2 * X - 2)))).astype(float)
    twin = LogisticRegression(C=np.inf, tol=1e-10).fit(X[:, None], y)
    fit = refit(graph("add"), problem(y, link="deviance"), np.array([[1.0, 0.0]]))
    np.testing.assert_allclose(fit.coefficients[0], [twin.coef_[0, 0], twin.intercept_[0]], rtol=1e-3)
