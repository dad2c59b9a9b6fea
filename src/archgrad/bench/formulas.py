"""Formulas as problem lists write them, in Python's syntax, read into sympy without running any of the text."""

import ast
from collections.abc import Callable, Iterable, Mapping
from typing import cast

import sympy

from archgrad.checks import one_of

FUNCTIONS: Mapping[str, Callable[..., sympy.Expr]] = {
    "abs": sympy.Abs,
    "acos": sympy.acos,
    "arccos": sympy.acos,
    "arcsin": sympy.asin,
    "arctan": sympy.atan,
    "asin": sympy.asin,
    "atan": sympy.atan,
    "cos": sympy.cos,
    "cosh": sympy.cosh,
    "div": lambda above, below: above / below,
    "exp": sympy.exp,
    "harmonic": sympy.harmonic,
    "ln": sympy.log,
    "log": sympy.log,
    "pow": lambda base, exponent: base**exponent,
    "sin": sympy.sin,
    "sinh": sympy.sinh,
    "sqrt": lambda square: sympy.sqrt(square),
    "tan": sympy.tan,
    "tanh": sympy.tanh,
}
"""What a formula may call, under all names that the lists use."""

_OPERATIONS: Mapping[type[ast.AST], Callable[..., sympy.Expr]] = {
    ast.Add: lambda left, right: left + right,
    ast.Sub: lambda left, right: left - right,
    ast.Mult: lambda left, right: left * right,
    ast.Div: lambda left, right: left / right,
    ast.Pow: lambda left, right: left**right,
    ast.UAdd: lambda only: only,
    ast.USub: lambda only: -only,
}


def parse_formula(text: str, variables: Iterable[str]) -> sympy.Expr:
    """Read a formula; its variables become plain symbols, whatever sympy takes their names for (E, I, beta, gamma).

    Decimals become the exact rationals that they write, `1/3` a third; `pi` is π unless a variable has that name.

    Raises:
        ValueError: the text is no formula, names something unknown, or calls a function with the wrong arguments.

    >>> parse_formula("gamma*div(E, 2.50)", ["gamma", "E"])
    2*E*gamma/5
    """
    names = {"pi": sympy.pi, **{name: sympy.Symbol(name) for name in variables}}
    try:
        body = ast.parse(text.strip(), mode="eval").body
        return _built(body, names, text.strip())
    except (SyntaxError, TypeError, RecursionError) as error:
        raise ValueError(f"formula: {text!r} cannot be read ({error}).") from error


def with_symbols(expression: sympy.Expr, symbols: Mapping[str, sympy.Symbol]) -> sympy.Expr:
    """The expression with other symbols in place of those of the given names, all at once: x0 may become x1 and x1 x2.

    Raises:
        ValueError: the expression has a symbol of another name.

    >>> with_symbols(sympy.sympify("x0 - x1"), {"x0": sympy.Symbol("x1"), "x1": sympy.Symbol("x2")})
    x1 - x2
    """
    found = cast(set[sympy.Symbol], expression.free_symbols)
    changes = {symbol: symbols[one_of("model: the symbol", symbol.name, symbols)] for symbol in found}
    return cast(sympy.Expr, expression.xreplace(changes))


def _built(node: ast.AST, names: Mapping[str, sympy.Expr], text: str) -> sympy.Expr:
    """The expression of a node; numbers are taken from the text, where they have all their digits."""
    match node:
        case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
            return sympy.Rational(ast.get_source_segment(text, node))
        case ast.Name(id=name):
            return names[one_of("formula: the name", name, names)]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
            return _OPERATIONS[type(op)](_built(left, names, text), _built(right, names, text))
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _OPERATIONS:
            return _OPERATIONS[type(op)](_built(operand, names, text))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            function = FUNCTIONS[one_of("formula: the function", name, FUNCTIONS)]
            return function(*(_built(argument, names, text) for argument in arguments))
        case _:
            raise ValueError(f"formula: {ast.get_source_segment(text, node)!r} in {text!r} is no part of a formula.")
