"""Formulas as text, LaTeX and source code, whatever the columns are called."""

import keyword
import re
from collections.abc import Mapping
from typing import Any

import sympy
from sympy.printing.latex import LatexPrinter
from sympy.printing.numpy import JaxPrinter, NumPyPrinter
from sympy.printing.str import StrPrinter

from archgrad.checks import one_of

DIGITS = 6
"""Significant digits of a number in text and LaTeX; source code has all of them."""


def _is_plain(name: str) -> bool:
    """Whether a name can stand in a formula as it is: one word that means nothing else there."""
    taken = hasattr(sympy, name) and name in (*"EINOQS", "pi", "oo", "zoo", "nan", "exp", "log", "sin", "cos")
    return name.isidentifier() and not keyword.iskeyword(name) and not taken


class _Text(StrPrinter):
    """sympy's text, with names that could be misread in backticks."""

    def _print_Symbol(self, expr: Any) -> str:
        return expr.name if _is_plain(expr.name) else f"`{expr.name}`"


class _Latex(LatexPrinter):
    """sympy's LaTeX, with names that are no identifiers set as text."""

    def _print_Symbol(self, expr: Any, style: str = "plain") -> str:
        if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", expr.name):
            return super()._print_Symbol(expr, style)
        escaped = re.sub(r"([#$%&_{}])", r"\\\1", expr.name.replace("\\", r"\textbackslash "))
        escaped = escaped.replace("^", r"\^{}").replace("~", r"\~{}")
        return rf"\text{{{escaped}}}"


def _short(expression: sympy.Expr) -> Any:
    return expression.xreplace({number: sympy.Float(number, DIGITS) for number in expression.atoms(sympy.Float)})


def as_text(expression: sympy.Expr) -> str:
    """A formula as sympy writes it, numbers to six digits.

    >>> as_text(sympy.Symbol("body mass") ** 2 / 3)
    '`body mass`**2/3'
    """
    return _Text({"full_prec": False}).doprint(_short(expression))


def as_latex(expression: sympy.Expr) -> str:
    r"""A formula in LaTeX, numbers to six digits.

    >>> as_latex(sympy.sqrt(sympy.Symbol("alpha_1")) / 2)
    '\\frac{\\sqrt{\\alpha_{1}}}{2}'
    """
    return _Latex({"full_prec": False}).doprint(_short(expression))


def as_source(expression: sympy.Expr, columns: Mapping[str, int], *, library: str = "jax") -> str:
    """A Python function of a table X [rows, columns] that computes a formula, as source text.

    `columns` says which column of X a name is. `library` is "jax" or "numpy". The text imports what it needs.

    >>> print(as_source(2.5 * sympy.Symbol("x") ** 2, {"x": 0}, library="numpy"))
    import numpy
    <BLANKLINE>
    <BLANKLINE>
    def law(X):
        return 2.5*X[:, 0]**2 + 0*X[:, 0]
    """
    one_of("library", library, ("jax", "numpy"))
    printer = JaxPrinter() if library == "jax" else NumPyPrinter()
    where = {sympy.Symbol(name): sympy.Symbol(f"X[:, {place}]") for name, place in columns.items()}
    body = printer.doprint(expression.xreplace(where))
    module = "jax.numpy" if library == "jax" else "numpy"
    # A formula that is constant still has a value for every row.
    return f"import {module}\n\n\ndef law(X):\n    return {body} + 0*X[:, 0]"
