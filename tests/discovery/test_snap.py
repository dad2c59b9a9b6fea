"""Snapping: exact laws come back exact, noise does not become structure, and no coefficient is snapped that matters."""

import numpy as np
import pytest
import sympy

from archgrad.discovery.problem import Problem
from archgrad.discovery.refit import refit
from archgrad.discovery.snap import Law, price, snap
from archgrad.genotype import Cell, Edge
from archgrad.spaces.expression.graph import Graph
from archgrad.spaces.expression.laws import Factor
from archgrad.spaces.expression.laws import Law as Shape

U, V = sympy.symbols("u v", positive=True)


def table(rows=120, seed=0):
    return np.random.default_rng(seed).uniform(1, 3, (2, rows))


def snapped(graph, y, start, noise=0.0):
    inputs = table()
    target = y(*inputs)
    target = target + noise * target.std() * np.random.default_rng(1).normal(size=target.shape)
    problem = Problem.of(inputs, target, np.ones(inputs.shape[1]))
    fit = refit(graph, problem, np.array([start], float))
    law = snap(graph, problem, fit.coefficients[0])
    return law, graph.expression(law.numbers, (U, V), signs=graph.signs(law.coefficients, inputs))


MONOMIAL = Graph(Shape(((),)).cell(2), offset=True)


@pytest.mark.parametrize(
    ("law", "expected"),
    [
        (lambda u, v: u**2 / v, U**2 / V),
        (lambda u, v: np.sqrt(u) * v**1.5, sympy.sqrt(U) * V ** sympy.Rational(3, 2)),
        (lambda u, v: u ** (1 / 3), U ** sympy.Rational(1, 3)),
        (lambda u, v: np.pi * u * v, sympy.pi * U * V),
        (lambda u, v: v / (4 * np.pi) + 2, V / (4 * sympy.pi) + 2),
        (lambda u, v: 1.5 * u**-2, sympy.Rational(3, 2) / U**2),
        (lambda u, v: np.sqrt(2) * u, sympy.sqrt(2) * U),
    ],
)
def test_exact_laws_come_back_exact(law, expected):
    found, formula = snapped(MONOMIAL, law, [0.4, 0.6, 1, 0])
    assert sympy.simplify(formula - expected) == 0
    assert len(found.exact) == MONOMIAL.size


def test_a_family_with_a_redundant_coefficient_gets_its_simplest_form():
    graph = Graph(Shape(((Factor(("",)),),)).cell(2), offset=False)
    _, formula = snapped(graph, lambda u, v: 7 * u / np.sqrt(1 + v**2), [0, 1.9, 0.9, 0, 0.9, 1.2, -0.4, 1])
    assert sympy.simplify(formula - 7 * U / sympy.sqrt(1 + V**2)) == 0


def test_with_noise_exponents_are_simple_and_coefficients_are_not_made_up():
    law, formula = snapped(MONOMIAL, lambda u, v: 2.3456 * u**2 / v, [1.8, -0.8, 1, 0], noise=0.02)
    assert formula.free_symbols == {U, V}
    assert formula.as_independent(U, V)[1] == U**2 / V
    assert float(formula.as_independent(U, V)[0]) == pytest.approx(2.3456, rel=0.02)
    assert law.exact[2 + 1] == 0  # the offset


def test_pure_noise_leaves_a_constant():
    inputs = table()
    target = np.random.default_rng(3).normal(size=inputs.shape[1])
    problem = Problem.of(inputs, target, np.ones(len(target)))
    law = snap(MONOMIAL, problem, np.array([1.0, 1.0, 0.1, 0.0]))
    assert not MONOMIAL.expression(law.numbers, (U, V)).free_symbols


def test_what_is_exact_already_stays():
    inputs = table()
    problem = Problem.of(inputs, 3 * inputs[0] ** 2, np.ones(inputs.shape[1]))
    law = snap(MONOMIAL, problem, np.array([1.0, 0.0, 1.0, 0.0]), exact={0: sympy.Integer(1)})
    assert law.exact[0] == 1
    assert law.coefficients[0] == 1


def test_the_price_of_a_loss_counts_rows_and_ignores_rounding():
    problem = Problem.of(table(), table()[0], np.ones(120))
    assert price(problem, 0.2, 0.1) == pytest.approx(120 * np.log(2))
    assert price(problem, 1e-25, 1e-30) == pytest.approx(0, abs=1e-5)


def test_a_law_is_refitted_to_other_data_where_it_is_free():
    cell = Cell("expression", ((Edge("linear", 0),),), (2,), 2)
    law = Law(Graph(cell, offset=False), np.array([1.0, 0.0, 1.0]), {1: sympy.Integer(0), 2: sympy.Integer(1)}, 1.0)
    inputs = table()
    again = law.refitted(Problem.of(inputs, 5 * inputs[0], np.ones(inputs.shape[1])))
    np.testing.assert_allclose(again.coefficients, [5, 0, 1])
    assert again.exact == law.exact
