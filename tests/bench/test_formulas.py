"""Formulas are read as what they mean, and nothing else is read."""

import pytest
import sympy
from sympy import Rational, Symbol, pi, sqrt

from archgrad.bench.formulas import FUNCTIONS, parse_formula, with_symbols

x, y = Symbol("x"), Symbol("y")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1/2*x**2", x**2 / 2),
        ("pow(x,1/3)", x ** Rational(1, 3)),
        ("1./3 + x", x + Rational(1, 3)),
        ("2.50*x", 5 * x / 2),
        ("3.14159265358979323846*x", Rational("3.14159265358979323846") * x),
        ("-div(x, 2*pi)", -x / (2 * pi)),
        ("sqrt(x)*arcsin(y)*ln(abs(x))", sqrt(x) * sympy.asin(y) * sympy.log(sympy.Abs(x))),
        ("harmonic(x)", sympy.harmonic(x)),
        ("+x", x),
    ],
)
def test_arithmetic_is_exact(text, expected):
    assert parse_formula(text, ["x", "y"]) == expected


@pytest.mark.parametrize("name", ["E", "I", "N", "S", "beta", "gamma", "Int", "lambd", "zeta", "g_", "pi", "exp"])
def test_variables_are_plain_symbols_whatever_else_their_name_means(name):
    assert parse_formula(f"2*{name}", [name]) == 2 * Symbol(name)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in ("pow", "div")])
def test_every_function_takes_one_argument(name):
    assert parse_formula(f"{name}(x)", ["x"]).free_symbols == {x}
    with pytest.raises(ValueError, match="formula"):
        parse_formula(f"{name}()", ["x"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x +", "cannot be read"),
        ("z*x", "the name: 'z' is unknown"),
        ("sine(x)", "did you mean 'sin'"),
        ("__import__('os')", "the function: '__import__' is unknown"),
        ("x.real", "'x.real' in 'x.real' is no part"),
        ("x if x else y", "no part"),
        ("True*x", "no part"),
        ("pow(x)", "cannot be read"),
        ("sqrt(x, y)", "cannot be read"),
    ],
)
def test_what_is_no_formula_is_refused(text, said):
    with pytest.raises(ValueError, match="formula") as refused:
        parse_formula(text, ["x", "y"])
    assert said in str(refused.value)


def test_symbols_are_replaced_all_at_once_and_by_name():
    swapped = with_symbols(Symbol("x", positive=True) / y, {"x": y, "y": x})
    assert swapped == y / x
    with pytest.raises(ValueError, match="'y' is unknown"):
        with_symbols(y, {"x": x})
