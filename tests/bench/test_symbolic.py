"""A symbolic solution is the truth up to a constant summand or factor, and nothing that only comes close."""

import threading
import time
from typing import Any

import pytest
import sympy

from archgrad.bench import symbolic
from archgrad.bench.formulas import parse_formula
from archgrad.bench.symbolic import NUMERICAL, PROVED, TIME, UNROUNDED, judge, model_size, round_constants

POSITIVE = {"x": (1.0, 5.0), "y": (1.0, 5.0)}
SQUARE = "x**2 + 2*x*y + y**2 + 1.0"  # of x + y; sympy needs an expansion to see it
AROUND_ZERO = {"x": (-1.0, 1.0), "y": (-1.0, 1.0)}


def expression(text) -> Any:
    return sympy.sympify(text)


def verdict(truth, model, ranges=POSITIVE, **options):
    return judge(parse_formula(truth, ranges), expression(model), ranges, **options)


@pytest.mark.parametrize(
    ("truth", "model"),
    [
        ("x*y", "x*y"),
        ("x*y", "x*y + 3.17"),
        ("x*y", "-2.5*x*y"),
        ("x*y", "x*y + 1e12"),
        ("x*y/(4*pi)", "0.0795774715*x*y"),
        ("(x+y)**3", "x**3 + 3.0001*x**2*y + 2.9999*x*y**2 + y**3 + 0.0004*x"),
        ("sqrt(x)", "x**0.5003"),
        ("x*sqrt(1-y**2/x**2)", "sqrt(x**2 - y**2)"),
        ("ln(x*y)", "log(x) + log(y) + 1.5"),
        ("sin(x)*cos(y)", "0.5*sin(x + y) + 0.5*sin(x - y)"),
        ("tanh(x)", "1 - 2/(exp(2.0*x) + 1)"),
        ("sin(x)", "-cos(x + pi/2)"),
    ],
)
def test_the_truth_written_differently_is_proved(truth, model):
    ranges = {"x": (3.0, 10.0), "y": (1.0, 2.0)}
    assert verdict(truth, model, ranges) == symbolic.Verdict(True, PROVED)


@pytest.mark.parametrize(
    ("truth", "model"),
    [
        ("x*y", "x*y + 0.001*x"),
        ("x*y", "x*y**2"),
        ("x", "2"),
        ("x", "zoo"),
        ("x", "nan"),
        ("x", "x*y + 1e12"),
        ("x**10 + y", "x**10"),
        ("1000 + sin(x)/10**6", "1000 + y/10**6"),
        ("exp(x/(2*pi))", "exp(0.159*x)"),
        ("x", "0.0*y"),
        ("x", "sqrt(-x)"),
    ],
)
def test_what_differs_is_no_solution(truth, model):
    assert not verdict(truth, model).solved


@pytest.mark.parametrize(
    ("truth", "model"),
    [("exp(x/(2*pi))", "exp(0.159154943091895*x)"), ("sin(x)", "cos(x - 1.57079632679490)"), ("x/10**7", "1.0e-7*x")],
)
def test_constants_that_fit_too_well_for_three_decimals_count_unrounded(truth, model):
    assert verdict(truth, model) == symbolic.Verdict(True, UNROUNDED)


def test_a_series_that_fits_the_domain_to_rounding_is_no_solution():
    x = sympy.Symbol("x")
    series = sympy.series(sympy.sin(x), x, 0, 16).removeO().evalf()
    inside = symbolic._Sample(sympy.sin(x), {"x": (-1.0, 1.0)}, 0)
    assert inside.deviation(series, symbolic.mpmath.inf) < symbolic.FITTED
    assert not judge(sympy.sin(x), series, {"x": (-1.0, 1.0)}).solved


def test_signs_are_assumed_only_where_the_domain_has_them():
    assert verdict("x", "sqrt(x**2)").solved
    assert not verdict("x", "sqrt(x**2)", AROUND_ZERO).solved
    assert verdict("x", "Abs(x)", {"x": (0.0, 1.0)}).solved


def test_fifty_digits_decide_where_no_proof_is_found(monkeypatch):
    monkeypatch.setattr(symbolic, "_strategies", lambda: iter([lambda expression: expression]))
    found = verdict("tanh(x)", "1 - 2/(exp(2*x) + 1)")
    assert found == symbolic.Verdict(True, NUMERICAL)


def test_a_simplification_that_hangs_or_fails_is_left(monkeypatch):
    def fails(_):
        raise RecursionError

    def hangs(_):
        time.sleep(60)

    monkeypatch.setattr(symbolic, "_strategies", lambda: iter([fails, hangs]))
    started = time.monotonic()
    assert verdict("(x+y)**2", SQUARE, seconds=0.5) == symbolic.Verdict(True, NUMERICAL)
    assert time.monotonic() - started < 30


def test_values_that_take_too_long_end_the_check(monkeypatch):
    monkeypatch.setattr(symbolic, "_Sample", lambda *_: time.sleep(60))
    assert verdict("(x+y)**2", SQUARE, seconds=0.2) == symbolic.Verdict(False, TIME)


def test_outside_the_main_thread_numbers_decide():
    found = []
    thread = threading.Thread(target=lambda: found.append(verdict("(x+y)**2", SQUARE)))
    thread.start()
    thread.join()
    assert found == [symbolic.Verdict(True, NUMERICAL)]


def test_a_model_in_other_symbols_is_refused():
    with pytest.raises(ValueError, match="symbol: 'z' is unknown"):
        verdict("x", "x + z")


def test_an_expression_that_arithmetic_cannot_reach_is_still_itself():
    tower = "cos(exp(exp(exp(exp(exp(x))))))"
    assert verdict(tower, f"2.0*{tower}") == symbolic.Verdict(True, PROVED)


def test_names_tell_symbols_whatever_their_assumptions():
    x = sympy.Symbol("x", real=True)
    assert judge(sympy.Symbol("x") ** 2, x**2, {"x": (1.0, 2.0)}).solved


@pytest.mark.parametrize(("text", "size"), [("x", 1), ("x + y", 3), ("2*x + 1", 5), ("sin(x)**2", 4), ("1/x", 3)])
def test_size_counts_the_nodes_of_the_tree(text, size):
    assert model_size(expression(text)) == size


def test_rounding_makes_floats_rational_and_leaves_the_rest():
    model = expression("0.31831*x**2.0001 - 1.0006 + pi/7 + 0.0004*y + E")
    assert round_constants(model) == expression("159*x**2/500 - 1001/1000 + pi/7 + E")
    assert round_constants(sympy.Float(123456.78949)) == sympy.Rational(123456789, 1000)
    assert round_constants(expression("1.26*x"), 1) == expression("13*x/10")
