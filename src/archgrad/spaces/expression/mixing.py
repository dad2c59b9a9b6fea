"""Eq. 2 for expressions: the mixed operations of many edges at once, one kernel for each primitive.

A block of edges has weights p and coefficients (a, b) of shape [members, nodes, edges] for each candidate, and reads x,
[edges, rows] if that are columns of the data, the same for all, or else [members, nodes, edges, rows].

Values that a function has outside its domain, or beyond `LARGEST`, neither crash nor spread: see `bounded`.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import hardtanh

from archgrad.arch import NONE
from archgrad.ops.symbolic import PRIMITIVES, Primitive

LARGEST = 1e6
"""Values beyond this, in units of the standardised target, help no search."""

LOGARITHM = 13.8
"""That of `LARGEST`."""

SMALLEST = 1e-30
"""Stands for zero under a logarithm; its powers are 0, 1, or `LARGEST`."""

LEAST_SHAPE = 1e-3
"""A shape a of f(a·x) / a is at least of this size."""

IDENTITY, NEGATIVE = PRIMITIVES["add"].function, PRIMITIVES["subtract"].function


class Finite(torch.autograd.Function):
    """x itself, whose gradient counts as zero where it is not finite, such as that of √x at 0."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        (gradient,) = gradients
        return gradient if _sum_is_finite(gradient) else gradient.nan_to_num(0.0, 0.0, 0.0)


class Defined(torch.autograd.Function):
    """x, but 0 without a gradient where it is not a number."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.nan_to_num(0.0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        (x,) = ctx.saved_tensors
        defined = (x - x + 1.0).nan_to_num(0.0)  # 1 or 0; masks of booleans take several times as long
        return gradients[0] * defined


def finite(x: Tensor) -> Tensor:
    """x with a finite gradient."""
    return Finite.apply(x) if x.requires_grad else x  # pyright: ignore[reportReturnType]


def bounded(x: Tensor) -> Tensor:
    """x, at most ±`LARGEST` and 0 where it is not a number, without a gradient there."""
    x = hardtanh(x, -LARGEST, LARGEST)
    return x if _sum_is_finite(x) else Defined.apply(x)  # pyright: ignore[reportReturnType]


def _sum_is_finite(x: Tensor) -> bool:
    """Whether all of x is surely finite: cheaper to find out than to replace what is not."""
    return math.isfinite(x.detach().sum().item())


def safe(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """f(x), bounded, with a gradient by x that is finite."""
    return bounded(function(finite(x)))


def power(x: Tensor, exponent: Tensor) -> Tensor:
    """|x|^a, with the sign of x where a is nearest to an odd integer, bounded."""
    size = hardtanh(exponent * finite(x).abs().clamp_min(SMALLEST).log(), -LOGARITHM, LOGARITHM).exp()
    negative = x < 0
    if not negative.any():
        return size
    odd = (exponent.detach().round() % 2 == 1).to(size)
    return size * (1.0 - odd * (2.0 * negative))


class Candidates(NamedTuple):
    """Weights and coefficients by candidate: p[o], a[o] and b[o] are [members, nodes, edges]."""

    p: Sequence[Tensor]
    a: Sequence[Tensor]
    b: Sequence[Tensor]


class Mixed:
    """The mixed operations of edges which have the candidates at the places `options` of `primitives`.

    Additive candidates without a coefficient under their function are features of x, whose weights add up: x itself
    serves add, subtract, mult and linear.
    """

    def __init__(self, primitives: Sequence[Primitive], options: Sequence[int]) -> None:
        self.operations = [option for option in options if primitives[option].name != NONE]
        self.kinds = {option: primitives[option].coefficients for option in self.operations}
        self.combinations = {option: primitives[option].combination for option in self.operations}
        self.features: dict[Callable[[Tensor], Tensor], list[tuple[int, int]]] = {}
        self.shifts: list[int] = []
        self.functions: dict[int, Callable[[Tensor], Tensor]] = {}
        for option in (o for o in self.operations if self.combinations[o] == "add"):
            function, kind, sign = primitives[option].function, self.kinds[option], 1
            if function is NEGATIVE and kind == "":
                function, sign = IDENTITY, -1
            if function is IDENTITY and kind in ("affine", "constant"):
                self.shifts.append(option)
            if kind == "" or (function is IDENTITY and kind != "constant"):
                self.features.setdefault(function, []).append((option, sign))
            elif kind != "constant":
                self.functions[option] = function
        self.powers = [option for option in self.operations if self.combinations[option] == "power"]
        self.factors = [o for o in self.operations if self.combinations[o] in ("multiply", "divide", "powered")]

    @property
    def additive(self) -> bool:
        """Whether the edges of a node simply add up."""
        return not self.factors and not self.powers

    def present(self, candidates: Candidates) -> Tensor:
        """Σ_{o ≠ none} p_o, [members, nodes, edges]."""
        return _sum([candidates.p[option] for option in self.operations])

    def added(self, x: Tensor, candidates: Candidates, *, summed: bool) -> Tensor | float:
        """Σ_o p_o · o(x) over additive candidates, [members, nodes, edges, rows]; `summed` over the edges."""
        p, a, b = candidates
        total: Tensor | float = 0.0
        for function, options in self.features.items():
            weights = _sum([sign * p[o] * a[o] if self.kinds[o] else sign * p[o] for o, sign in options])
            total = total + _weighted(weights, x if function is IDENTITY else safe(function, x), summed=summed)
        if self.shifts:
            shift = _sum([p[o] * (b if self.kinds[o] == "affine" else a)[o] for o in self.shifts])[..., None]
            total = total + (shift.sum(dim=2) if summed else shift)
        if self.functions:
            values = self._of_functions(x, candidates).sum(dim=0)
            total = total + (values.sum(dim=2) if summed else values)
        return total

    def _of_functions(self, x: Tensor, candidates: Candidates) -> Tensor:
        """p_o · o(x) of the candidates with a coefficient under their function, [candidates, members, nodes, …]."""
        weights, slopes, shifts = [], [], []
        for option in self.functions:
            weight, slope, shift = (of[option] for of in candidates)
            if self.kinds[option] == "shape":
                slope = torch.where(slope.abs() < LEAST_SHAPE, LEAST_SHAPE, slope)
                weight = weight / slope
            weights.append(weight)
            slopes.append(slope)
            shifts.append(shift if self.kinds[option] == "affine" else torch.zeros_like(shift))
        inside = finite(torch.stack(slopes)[..., None] * x + torch.stack(shifts)[..., None])
        values = [function(of) for function, of in zip(self.functions.values(), inside.unbind(0), strict=True)]
        return torch.stack(weights)[..., None] * bounded(torch.stack(values))

    def multiplied(self, x: Tensor, candidates: Candidates) -> tuple[Tensor | float, Tensor | float]:
        """(Σ_o p_o · o(x), Σ_o p_o) over the candidates that multiply what a node has so far by o(x)."""
        value: Tensor | float = 0.0
        for option in self.factors:
            match self.combinations[option]:
                case "divide":
                    factor = safe(torch.reciprocal, x)
                case "powered":
                    factor = power(x, candidates.a[option][..., None])
                case _:
                    factor = x
            value = value + candidates.p[option][..., None] * factor
        shares = _sum([candidates.p[option] for option in self.factors])[..., None] if self.factors else 0.0
        return value, shares


def _sum(tensors: Sequence[Tensor]) -> Tensor:
    total = tensors[0]
    for tensor in tensors[1:]:
        total = total + tensor
    return total


def _weighted(weights: Tensor, values: Tensor, *, summed: bool) -> Tensor:
    """w · v for weights [members, nodes, edges] and values [edges, rows] or with the leading dimensions too."""
    if not summed:
        return weights[..., None] * values
    if values.ndim == 2:
        return weights @ values
    return (weights[..., None] * values).sum(dim=2)
