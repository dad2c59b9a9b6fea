"""Snapping: a fitted law is made sparse, and its coefficients become zero, one, simple fractions, or multiples of π.

A coefficient is fixed at a simple value, and all others are fitted again. This is kept if it does not hurt: if
n ln(loss) rises by less than the code length that the simple value saves, ln n as in the Bayesian information criterion
(Schwarz, Ann. Statist. 6(2), 1978). Backward elimination in that sense is what makes exponents sparse.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import sympy
from jaxtyping import Bool, Float

from archgrad.discovery.problem import Problem
from archgrad.discovery.refit import descend, polish, refit, solve_output_layer
from archgrad.spaces.expression.graph import Graph

FLOOR = 1e-17
"""Relative losses below this are rounding: none is better than another."""

DENOMINATORS = (1, 2, 3)
"""Exponents are snapped to whole numbers, halves and thirds."""

CONSTANTS: dict[str, sympy.Expr] = {
    "1": sympy.Integer(1),
    "pi": sympy.pi,
    "1/pi": 1 / sympy.pi,
    "pi^2": sympy.pi**2,
    "1/pi^2": 1 / sympy.pi**2,
    "sqrt(2)": sympy.sqrt(2),
    "E": sympy.E,
    "sqrt(pi)": sympy.sqrt(sympy.pi),
    "1/sqrt(pi)": 1 / sympy.sqrt(sympy.pi),
    "sqrt(2*pi)": sympy.sqrt(2 * sympy.pi),
    "1/sqrt(2*pi)": 1 / sympy.sqrt(2 * sympy.pi),
    "pi^3": sympy.pi**3,
    "1/pi^3": 1 / sympy.pi**3,
}
"""What a coefficient may be a simple fraction of, the simplest first."""

LARGEST = {"1": (1000, 12)}
"""Numerator and denominator up to which a fraction of a constant is simple; of the others it is `SMALL`."""

SMALL = (16, 16)

NEAR = 2e-7
"""How near a coefficient must be, relative to its size, to be taken for a constant without a refit's word."""


@dataclass(frozen=True)
class Law:
    """A graph with its coefficients, and those among them that are exact, as sympy numbers by place."""

    graph: Graph
    coefficients: Float[np.ndarray, "size"]
    exact: dict[int, sympy.Expr]
    loss: float

    @property
    def fixed(self) -> Bool[np.ndarray, "size"]:
        """Which coefficients are exact."""
        mask = np.zeros(self.graph.size, dtype=bool)
        mask[list(self.exact)] = True
        return mask

    @property
    def numbers(self) -> list[sympy.Expr]:
        """All coefficients as sympy numbers."""
        return [self.exact.get(place, sympy.Float(float(v))) for place, v in enumerate(self.coefficients)]

    def refitted(self, problem: Problem) -> "Law":
        """The same law with those coefficients that are not exact fitted to other data."""
        coefficients, loss = polish(self.graph, problem, self.coefficients, fixed=self.fixed.tolist())
        return Law(self.graph, coefficients, self.exact, loss)


def snap(
    graph: Graph,
    problem: Problem,
    coefficients: Float[np.ndarray, "size"],
    *,
    exact: Mapping[int, sympy.Expr] | None = None,
) -> Law:
    """Make a fitted graph sparse and its coefficients simple; those that are `exact` already stay what they are."""
    exact = dict(exact or {})
    fixed = np.isin(np.arange(graph.size), list(exact))
    fit = refit(graph, problem, coefficients[None], iterations=60, fixed=fixed[None], solve_outputs=False)
    theta, loss = polish(graph, problem, fit.coefficients[0], fixed=fixed.tolist())
    law = Law(graph, theta, exact, loss)
    for propose in (_sparse, _simple):
        while (simpler := _simpler(law, problem, list(propose(law)))) is not None:
            law = simpler
    return _recognised(law, problem)


def price(problem: Problem, loss: float, than: float) -> float:
    """n ln(loss / than), what a loss costs beside another, in nats; negative if it is better."""
    return problem.rows * float(np.log((loss + FLOOR) / (than + FLOOR)))


def _simpler(law: Law, problem: Problem, proposals: Sequence[tuple[int, sympy.Expr]]) -> Law | None:
    """Fix as many coefficients at once as the data let pass; None if not one more can be."""
    if not proposals:
        return None
    losses, _ = _tried(law, problem, [[proposal] for proposal in proposals])
    best: dict[int, tuple[float, tuple[int, sympy.Expr]]] = {}
    for proposal, loss in zip(proposals, losses, strict=True):
        place, value = proposal
        cost = price(problem, float(loss), law.loss) - _saved(problem, value)
        if cost < 0 and cost < best.get(place, (np.inf, proposal))[0]:
            best[place] = (cost, proposal)
    chosen = [proposal for _, proposal in sorted(best.values(), key=lambda pair: pair[0])]
    while chosen:
        losses, fits = _tried(law, problem, [chosen])
        saved = sum(_saved(problem, value) for _, value in chosen)
        if price(problem, float(losses[0]), law.loss) < min(saved, 4 * np.log(problem.rows)):
            return Law(law.graph, fits[0], {**law.exact, **dict(chosen)}, float(losses[0]))
        chosen = chosen[: len(chosen) // 2]
    return None


def _saved(problem: Problem, value: Any) -> float:
    """The code length of a free coefficient, less that of its simple value; a term that vanishes counts twice."""
    if value == 0:
        return 2.0 * float(np.log(problem.rows))
    return float(np.log(problem.rows)) - float(np.log(abs(value.p) + value.q))


def _tried(
    law: Law, problem: Problem, proposals: Sequence[Sequence[tuple[int, sympy.Expr]]]
) -> tuple[np.ndarray, np.ndarray]:
    """Loss and coefficients after fixing each set of proposals and fitting the others again, in the order given."""
    theta = np.repeat(law.coefficients[None], len(proposals), axis=0)
    fixed = np.repeat(law.fixed[None], len(proposals), axis=0)
    rays = law.graph.rays()
    for row, proposal in enumerate(proposals):
        for place, value in proposal:
            # A node that is multiplied into others may be scaled as a whole: the output layer makes up for it.
            if value != 0 and theta[row, place] != 0 and not fixed[row, rays.get(place, [])].any():
                theta[row, rays.get(place, [])] *= float(value) / theta[row, place]
            theta[row, place], fixed[row, place] = float(value), True
    free = 1.0 - fixed
    solve_output_layer(law.graph, problem, theta, free=free)
    fit = descend(law.graph, problem, theta, free=free, iterations=25, halvings={})
    return fit.losses, fit.coefficients


def _sparse(law: Law) -> Iterator[tuple[int, sympy.Expr]]:
    """Zero for every coefficient, simple values for exponents, and one, of its sign, for coefficients within.

    A law may have more coefficients than it needs, so that one of them is free: a·(b + c·x). One within, not in the
    output layer, is the choice that leaves the others their meaning.
    """
    exponents = set(law.graph.exponents().tolist())
    for place, value in enumerate(law.coefficients):
        if place in law.exact:
            continue
        near = {sympy.Integer(0)}
        if place in exponents:
            near |= {_fraction(value, denominator) for denominator in DENOMINATORS}
        elif place < law.graph.outputs[0]:
            near |= {sympy.Integer(1 if value > 0 else -1)}
        yield from ((place, number) for number in sorted(near, key=lambda n: (n.q, abs(n))) if abs(number) <= 12)


def _simple(law: Law) -> Iterator[tuple[int, sympy.Expr]]:
    """The nearest whole and half number for what is left."""
    for place, value in enumerate(law.coefficients):
        if place not in law.exact and 0.4 < abs(value) < 100:
            yield from ((place, number) for number in {_fraction(value, 1), _fraction(value, 2)} if number)


def _fraction(value: float, denominator: int) -> Any:
    return sympy.Rational(round(float(np.clip(value, -1e9, 1e9)) * denominator), denominator)


def _recognised(law: Law, problem: Problem) -> Law:
    """Replace coefficients that are simple fractions of known constants, one after the other."""
    for place in range(law.graph.size):
        if place in law.exact:
            continue
        for number in _near_constants(float(law.coefficients[place])):
            losses, fits = _tried(law, problem, [[(place, number)]])
            if price(problem, float(losses[0]), law.loss) < np.log(problem.rows):
                law = Law(law.graph, fits[0], {**law.exact, place: number}, float(losses[0]))
                break
    return law


def _near_constants(value: float) -> Iterator[sympy.Expr]:
    """Simple fractions of constants within `NEAR` of a value, the simplest first."""
    for name, constant in CONSTANTS.items():
        numerator, denominator = LARGEST.get(name, SMALL)
        ratio = value / float(constant)
        if not np.isfinite(ratio) or abs(ratio) > numerator:
            continue
        fraction = Fraction(ratio).limit_denominator(denominator)
        if fraction and abs(float(fraction) - ratio) <= NEAR * abs(ratio) and abs(fraction.numerator) <= numerator:
            yield sympy.Rational(fraction.numerator, fraction.denominator) * constant
