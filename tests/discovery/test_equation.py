"""Equations in a form to read: short ways to write them, none of which takes long, and the choice among them."""

import time

import pytest
import sympy

from archgrad.discovery.equation import complexity, simplified

X, Y = sympy.symbols("x y", positive=True)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (X * Y * (1 + Y / X), Y * (X + Y)),
        (X * (X * Y / X + Y), 2 * X * Y),
        (sympy.sqrt(X**2), X),
    ],
)
def test_the_shortest_way_is_taken(expression, expected):
    found = simplified(expression)
    assert sympy.simplify(found - expected) == 0
    assert complexity(found) <= complexity(expected)


def test_a_high_power_of_a_sum_is_not_multiplied_out():
    started = time.perf_counter()
    expression = (1 + X * sympy.sin(Y) + Y) ** 2000
    assert simplified(expression) == expression
    assert time.perf_counter() - started < 5


def test_complexity_counts_the_nodes_of_the_tree():
    assert complexity(X) == 1
    assert complexity(2 * X + sympy.exp(5 * Y)) == 8
