"""Eq. 2 for expressions: primitives, the operations on an edge of an expression graph, each with its symbolic twin.

A primitive is written once for every use: a torch function for the relaxed search, a NumPy function and its derivative
for the refit in float64, and a sympy function for the law that is printed. `PRIMITIVES` is the table.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import sympy
import torch
from torch import Tensor
from torch.nn.functional import softplus

from archgrad.arch import NONE
from archgrad.checks import one_of

ArrayFunction: TypeAlias = Callable[[np.ndarray], np.ndarray]

COEFFICIENTS = {"": 0, "scale": 1, "shape": 1, "constant": 1, "exponent": 1, "affine": 2}
"""How many coefficients an edge has, by the way in which they enter (see `Primitive`)."""

COMBINATIONS = ("add", "multiply", "divide", "power", "powered")
"""What an edge does with the sum of the edges before it (see `Primitive`)."""


@dataclass(frozen=True)
class Primitive:
    """An operation o of an edge: it turns what the node has so far, s, and the edge's source, x, into s'.

    `coefficients` says how a and b enter: "" o(x) = f(x); "scale" f(a·x); "affine" f(a·x + b); "shape" f(a·x) / a;
    "constant" a; "exponent" x^a. `combination` says what becomes of s:

        add       s' = s + o(x)          the nodes of arXiv:1806.09055, Eq. 1
        multiply  s' = s · x             divide  s' = s / x
        power     s' = |s| ** x          powered s' = s · x ** a

    so that a node can be a sum, a product, a quotient or a power of its sources. The first edge of a node multiplies
    into 1 or adds to 0. For negative x, x ** a is |x| ** a, with the sign of x where a is nearest to an odd integer.
    `function` is f in torch, `expression` its twin in sympy; `array` and `derivative` are f and f'
    in NumPy and are made from the twin where they are left out.

    >>> cube_root = Primitive("cube_root", lambda x: x.sign() * x.abs() ** (1 / 3), sympy.cbrt)
    >>> cube_root.value(np.array([8.0])).round(12)
    array([2.])

    Raises:
        ValueError: an unknown way of entering or combining, or a name that is empty.
    """

    name: str
    function: Callable[[Tensor], Tensor]
    expression: Callable[[Any], Any]
    array: ArrayFunction | None = None
    derivative: ArrayFunction | None = None
    coefficients: str = ""
    combination: str = "add"

    def __post_init__(self) -> None:
        one_of("coefficients", self.coefficients, COEFFICIENTS)
        one_of("combination", self.combination, COMBINATIONS)
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"name: a primitive needs a name, got {self.name!r}.")

    def __reduce__(self) -> Any:
        # The table's functions cannot be pickled; the name finds them again.
        if PRIMITIVES.get(self.name) is self:
            return primitive_of, (self.name,)
        values = (getattr(self, field.name) for field in fields(self))
        return Primitive, tuple(values)

    @property
    def size(self) -> int:
        """The number of coefficients."""
        return COEFFICIENTS[self.coefficients]

    @property
    def complexity(self) -> int:
        """What parsimony counts: the operation and its coefficients; nothing for `none`."""
        return 0 if self.name == NONE else 1 + self.size

    @cached_property
    def value(self) -> ArrayFunction:
        """f in NumPy."""
        return self.array or _lambdified(self.expression(_X))

    @cached_property
    def slope(self) -> ArrayFunction:
        """f' in NumPy."""
        return self.derivative or _lambdified(sympy.diff(self.expression(_X), _X))


_X = sympy.Symbol("x", real=True)


def _lambdified(expression: sympy.Expr) -> ArrayFunction:
    function = sympy.lambdify(_X, expression, modules=["scipy", "numpy"])
    return lambda x: np.broadcast_to(np.asarray(function(x), dtype=float), np.shape(x))


def _logistic(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0.0, x)


def _inside(x: np.ndarray) -> np.ndarray:
    """1/√(1 − x²), which is not a number outside [−1, 1]."""
    return 1.0 / np.sqrt(1.0 - x * x)


def _elementary() -> tuple[Primitive, ...]:
    """f for every primitive that is not linear, in all four languages."""
    return (
        Primitive("relu", torch.relu, lambda x: sympy.Max(0, x), lambda x: np.maximum(x, 0.0), lambda x: 1.0 * (x > 0)),
        Primitive(
            "logistic",
            torch.sigmoid,
            lambda x: 1 / (1 + sympy.exp(-x)),
            _logistic,
            lambda x: _logistic(x) * _logistic(-x),
        ),
        Primitive("exp", torch.exp, sympy.exp, np.exp, np.exp),
        Primitive("cos", torch.cos, sympy.cos, np.cos, lambda x: -np.sin(x)),
        Primitive("sin", torch.sin, sympy.sin, np.sin, np.cos),
        Primitive("tanh", torch.tanh, sympy.tanh, np.tanh, lambda x: 1.0 - np.tanh(x) ** 2),
        Primitive("reciprocal", torch.reciprocal, lambda x: 1 / x, lambda x: 1.0 / x, lambda x: -1.0 / (x * x)),
        Primitive("ln", torch.log, sympy.log, np.log, lambda x: 1.0 / x),
        Primitive("softplus", softplus, lambda x: sympy.log(1 + sympy.exp(x)), _softplus, _logistic),
        Primitive(
            "softminus",
            lambda x: x - softplus(x),
            lambda x: x - sympy.log(1 + sympy.exp(x)),
            lambda x: x - _softplus(x),
            lambda x: _logistic(-x),
        ),
        Primitive("square", torch.square, lambda x: x**2, np.square, lambda x: 2.0 * x),
        Primitive("cube", lambda x: x**3, lambda x: x**3, lambda x: x * x * x, lambda x: 3.0 * x * x),
        Primitive("sqrt", torch.sqrt, sympy.sqrt, np.sqrt, lambda x: 0.5 / np.sqrt(x)),
        Primitive("inverse_square", lambda x: x**-2, lambda x: x**-2, lambda x: x**-2.0, lambda x: -2.0 * x**-3.0),
        Primitive("arcsin", torch.arcsin, sympy.asin, np.arcsin, _inside),
        Primitive("arccos", torch.arccos, sympy.acos, np.arccos, lambda x: -_inside(x)),
        Primitive("arctan", torch.arctan, sympy.atan, np.arctan, lambda x: 1.0 / (1.0 + x * x)),
        Primitive("cosh", torch.cosh, sympy.cosh, np.cosh, np.sinh),
        Primitive("abs", torch.abs, sympy.Abs, np.abs, np.sign),
    )


def _identity(x: Any) -> Any:
    return x


def _with(primitive: Primitive, name: str, coefficients: str) -> Primitive:
    return Primitive(
        name, primitive.function, primitive.expression, primitive.array, primitive.derivative, coefficients
    )


def _table() -> dict[str, Primitive]:
    line = Primitive("add", _identity, _identity, _identity, np.ones_like)
    minus = Primitive("subtract", torch.neg, lambda x: -x, np.negative, lambda x: -np.ones_like(x))
    nothing = Primitive(NONE, torch.zeros_like, lambda x: sympy.Integer(0), np.zeros_like, np.zeros_like)
    rows = [nothing, line, minus, _with(line, "mult", "scale"), _with(line, "linear", "affine")]
    for primitive in _elementary():
        shaped = primitive.name in ("softplus", "softminus")
        rows.append(_with(primitive, primitive.name, "shape") if shaped else primitive)
        rows.append(_with(primitive, f"linear_{primitive.name}", "affine"))
    rows.append(_with(line, "constant", "constant"))
    rows += [Primitive(name, _identity, _identity, combination=name) for name in ("multiply", "divide", "power")]
    rows.append(Primitive("powered", _identity, _identity, coefficients="exponent", combination="powered"))
    return {primitive.name: primitive for primitive in rows}


PRIMITIVES = _table()
"""The primitives by name: those of AutoRA's estimator under its names, and what laws need beyond them."""


def primitive_of(choice: Any) -> Primitive:
    """Look a primitive up by name; one of the user's own is returned as it is.

    Raises:
        ValueError: the name is unknown (the message names the nearest), or `choice` is neither name nor primitive.
    """
    if isinstance(choice, Primitive):
        return choice
    if not isinstance(choice, str):
        raise ValueError(f"primitives: needs names or Primitive objects, got {choice!r}.")
    return PRIMITIVES[one_of("primitives", choice, PRIMITIVES)]
