"""Decoded graphs: values against sympy, derivatives against differences, for every way in which an edge can act."""

import itertools

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from archgrad.genotype import Cell, Edge
from archgrad.ops.symbolic import PRIMITIVES, Primitive
from archgrad.spaces.expression.graph import Graph

SAFE = [name for name in PRIMITIVES if not name.endswith(("ln", "sqrt", "arcsin", "arccos")) and name != "none"]


def cell(*nodes, outputs, inputs=2):
    return Cell("expression", tuple(tuple(Edge(*edge) for edge in node) for node in nodes), outputs, inputs)


EVERYTHING = cell(
    [("powered", 0), ("powered", 1)],
    [("linear_sin", 2), ("softplus", 0), ("constant", 0), ("sin", 2)],
    [("powered", 0), ("multiply", 3), ("divide", 2), ("add", 1), ("power", 0), ("powered", 2)],
    outputs=(2, 3, 4),
)


def table(seed=0, rows=7, low=1.0):
    return np.random.default_rng(seed).uniform(low, low + 1, (2, rows))


def check_derivatives(graph, theta, inputs, rtol=1e-5):
    value, jacobian = graph.evaluate(theta, inputs)
    assert value.shape == (len(theta), inputs.shape[1])
    assert jacobian.shape == (len(theta), graph.size, inputs.shape[1])
    for place in range(graph.size):
        step = np.zeros(graph.size)
        step[place] = 1e-6
        numeric = (graph.evaluate(theta + step, inputs)[0] - graph.evaluate(theta - step, inputs)[0]) / 2e-6
        scale = np.abs(numeric).max() + 1.0
        np.testing.assert_allclose(jacobian[:, place], numeric, rtol=rtol, atol=rtol * scale)


@pytest.mark.parametrize("offset", [True, False])
def test_every_combination_of_edges_has_the_right_derivatives(offset):
    graph = Graph(EVERYTHING, offset=offset)
    check_derivatives(graph, np.random.default_rng(1).normal(size=(3, graph.size)), table())


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(SAFE), min_size=3, max_size=3), st.integers(0, 10_000))
def test_values_agree_with_sympy_for_all_primitives(names, seed):
    graph = Graph(cell([(names[0], 0)], [(names[1], 1), (names[2], 2)], outputs=(2, 3)))
    theta = np.random.default_rng(seed).uniform(0.3, 1.2, graph.size)
    inputs = table(seed, rows=3)
    symbols = sympy.symbols("u v", positive=True)
    formula = graph.expression(list(theta), symbols)
    for row in range(3):
        expected = complex(formula.subs(dict(zip(symbols, inputs[:, row], strict=True))).evalf())
        found = graph.predict(theta, inputs)[row]
        if abs(expected.imag) < 1e-9 and np.isfinite(found) and abs(expected) < 1e12:
            assert found == pytest.approx(expected.real, rel=1e-8, abs=1e-8)


@pytest.mark.parametrize(
    ("first", "second"), list(itertools.product(["powered", "multiply", "divide", "add"], repeat=2))
)
def test_a_node_starts_from_one_if_its_first_edge_multiplies(first, second):
    graph = Graph(cell([(first, 0), (second, 1)], outputs=(2,)), offset=False)
    theta = np.ones(graph.size)
    x, y = table(rows=1)
    start = {"powered": x, "multiply": x, "divide": 1 / x, "add": x}[first]
    expected = {"powered": start * y, "multiply": start * y, "divide": start / y, "add": start + y}[second]
    np.testing.assert_allclose(graph.predict(theta, table(rows=1)), expected)


def test_members_of_a_batch_do_not_see_each_other():
    graph = Graph(EVERYTHING)
    theta = np.random.default_rng(2).normal(size=(4, graph.size))
    together = graph.evaluate(theta, table())
    for member in range(4):
        alone = graph.evaluate(theta[member : member + 1], table())
        for whole, one in zip(together, alone, strict=True):
            np.testing.assert_array_equal(whole[member], one[0])


def test_powers_of_negative_numbers_keep_the_sign_of_odd_exponents():
    graph = Graph(cell([("powered", 0)], outputs=(1,), inputs=1), offset=False)
    x = np.array([[-2.0, 3.0]])
    for exponent, expected in ((1, [-2, 3]), (2, [4, 9]), (3, [-8, 27]), (-1, [-0.5, 1 / 3]), (0, [1, 1])):
        np.testing.assert_allclose(graph.predict(np.array([exponent, 1.0]), x), expected)
    check_derivatives(graph, np.array([[1.1, 2.0], [2.2, 1.0]]), x)


def test_zero_to_the_zero_is_one_and_undefined_values_are_no_numbers():
    graph = Graph(cell([("powered", 0)], outputs=(1,), inputs=1), offset=False)
    assert graph.predict(np.array([0.0, 1.0]), np.zeros((1, 1))).tolist() == [1.0]
    logarithm = Graph(cell([("ln", 0)], outputs=(1,), inputs=1), offset=False)
    assert np.isnan(logarithm.predict(np.ones(1), np.array([[-1.0]]))).all()


def test_formulas_say_what_is_positive():
    graph = Graph(cell([("linear", 0)], [("powered", 2)], outputs=(3,)), offset=False)
    theta = np.array([-1.0, 5.0, 0.5, 1.0])
    symbols = sympy.symbols("u v", real=True)
    signs = graph.signs(theta, table())
    assert signs == (1, 1, 1, 1)
    assert not graph.expression([-1, 5, sympy.Rational(1, 2), 1], symbols, signs=signs).has(sympy.Abs)
    assert graph.expression([-1, 5, sympy.Rational(1, 2), 1], symbols).has(sympy.Abs)
    assert graph.expression([-1, 5, 2, 1], symbols) == (5 - symbols[0]) ** 2


def test_a_primitive_of_ones_own():
    own = Primitive("cube_root", lambda x: x, sympy.cbrt)
    family = cell([("cube_root", 0)], outputs=(1,), inputs=1)
    assert Graph(family, primitives={"cube_root": own}).predict(np.array([2.0, 1.0]), np.array([[27.0]]))[
        0
    ] == pytest.approx(7)
    with pytest.raises(ValueError, match="operation 'cube_root' is no primitive"):
        Graph(family)


def test_rays_are_the_nodes_that_are_linear_in_their_coefficients():
    graph = Graph(cell([("linear", 0), ("mult", 1)], [("linear", 2), ("sin", 1)], outputs=(3,)))
    assert graph.rays() == {0: [0, 1, 2], 1: [0, 1, 2], 2: [0, 1, 2]}
