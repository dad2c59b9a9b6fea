"""Whether a model is the truth, written differently: the symbolic solution of SRBench (arXiv:2107.14351).

A model is a symbolic solution when truth − model is a constant, or truth / model a constant that is not zero, after its
constants have been rounded to three decimals. SRBench rounds because fits are inexact, and asks sympy, whose
`simplify` may run for hours and fails on some identities. Here numbers come first, and three kinds of evidence count:

- `proved`: the rounded model, and sympy shows it at sight or within the time that is left;
- `50 digits`: the rounded model, whose constants are exact rationals then, agrees to a relative 1e-20 in arithmetic of
  50 digits at 50 random points of the domain, and at 25 around it, where it is defined there. No approximation does;
- `unrounded`: the model as it is agrees to a relative 1e-8 in the domain, and to 1e-6 around it. Rounding turns
  0.1591549 in an exponent into 0.159, which is not 1 / 2π, and so spoils just the models whose constants fit best.

The points around the domain are there because a series or a rational function may reach 1e-8 within it.

Only Floats are rounded; π, e and rationals that the model holds as such stay. Every comparison is of each point by
itself and of all by the spread of the truth, so that neither a large term nor a large constant covers up the rest.
"""

import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any, cast

import mpmath
import sympy
from mpmath.libmp import NoConvergence

from archgrad.bench.formulas import with_symbols

DECIMALS = 3
DIGITS = 50
POINTS = 50
POINTS_AROUND = 25
EXACT = mpmath.mpf("1e-20")
FITTED, FITTED_AROUND = mpmath.mpf("1e-8"), mpmath.mpf("1e-6")
WORTH_A_PROOF = mpmath.mpf("1e-6")
"""Above this deviation no proof is tried: no loss of digits to cancellation explains it."""

PROVED, NUMERICAL, UNROUNDED, TIME = "proved", "50 digits", "unrounded", "out of time"

Ranges = Mapping[str, tuple[float, float]]
Numbers = list[Any]  # of mpmath's numbers, None where a value is not real and finite


@dataclass(frozen=True)
class Verdict:
    """Whether a model is a symbolic solution, and by which evidence; without one the evidence is empty."""

    solved: bool
    evidence: str = ""


class _OutOfTime(BaseException):
    """Raised by the alarm; no Exception, which sympy would swallow here and there."""


def model_size(model: sympy.Expr) -> int:
    """The number of nodes of the expression tree.

    >>> model_size(sympy.sympify("2*x + 1"))
    5
    """
    return sum(1 for _ in sympy.preorder_traversal(model))


def round_constants(model: sympy.Expr, decimals: int = DECIMALS) -> sympy.Expr:
    """Round the Floats of a model to exact rationals; exact constants stay as they are.

    >>> round_constants(sympy.sympify("0.31831*x**2.0001 + pi/3"))
    159*x**2/500 + pi/3
    """
    scale = 10**decimals
    half = sympy.Rational(1, 2)
    found = model.atoms(sympy.Float)
    changes = {number: sympy.floor(sympy.Rational(number) * scale + half) / scale for number in found}
    return cast(sympy.Expr, model.xreplace(changes))


def judge(truth: sympy.Expr, model: sympy.Expr, ranges: Ranges, *, seconds: float = 10.0, seed: int = 0) -> Verdict:
    """Decide whether `model` is `truth` up to a constant summand or factor; what counts is said above.

    Args:
        truth: the equation that made the data.
        model: an expression in the same symbols, which are told by their names.
        ranges: where each variable lies. Those that are nowhere negative are positive symbols for sympy.
        seconds: for all of it. Outside the main thread there is no alarm, hence neither a limit nor a proof.
        seed: of the random points.

    Raises:
        ValueError: the truth or the model has a symbol that is no variable.
    """
    symbols = {name: sympy.Symbol(name) for name in ranges}  # without assumptions: equal names are equal symbols
    truth, model = with_symbols(truth, symbols), with_symbols(model, symbols)
    if model.has(sympy.nan, sympy.zoo, sympy.oo, -sympy.oo) or (truth.free_symbols and not model.free_symbols):
        return Verdict(False)
    rounded = round_constants(model)
    if _constants(truth - rounded, truth / rounded):
        return Verdict(True, PROVED)
    end = time.monotonic() + seconds
    try:
        with _alarm(seconds):
            sampled = _Sample(truth, ranges, seed)
            deviation = sampled.deviation(rounded, EXACT)
            fitted = deviation <= EXACT or sampled.deviation(model, FITTED_AROUND) <= FITTED
    except _OutOfTime:
        return Verdict(False, TIME)
    if deviation <= WORTH_A_PROOF and _proved(truth, rounded, ranges, end - time.monotonic()):
        return Verdict(True, PROVED)
    if deviation <= EXACT:
        return Verdict(True, NUMERICAL)
    return Verdict(True, UNROUNDED) if fitted else Verdict(False)


class _Sample:
    """Values of the truth at random points of the domain and around it."""

    def __init__(self, truth: sympy.Expr, ranges: Ranges, seed: int) -> None:
        self.symbols = [sympy.Symbol(name) for name in ranges]
        generator = random.Random(seed)
        bounds = list(ranges.values())
        inside = [_point(generator, bounds) for _ in range(20 * POINTS)]
        around = [_point(generator, [_wider(low, high) for low, high in bounds]) for _ in range(4 * POINTS_AROUND)]
        self.inside, self.truth = self._defined(truth, inside, POINTS)
        self.around, self.truth_around = self._defined(truth, around, POINTS_AROUND)

    def _defined(self, truth: sympy.Expr, points: list[Any], wanted: int) -> tuple[list[Any], Numbers]:
        """The first points at which the truth is defined, and its values there."""
        found, values = [], []
        evaluate = _function(truth, self.symbols)
        for point in points:
            value = evaluate(point)
            if value is not None:
                found.append(point)
                values.append(value)
            if len(found) == wanted:
                break
        return found, values

    def deviation(self, model: sympy.Expr, allowed_around: Any) -> Any:
        """How far truth − model or truth / model, whichever is closer, is from a constant, relatively, in the domain.

        Infinity where the model is undefined in the domain, or deviates by more than `allowed_around` outside it.
        """
        if len(self.truth) < POINTS // 2:
            return mpmath.inf
        evaluate = _function(model, self.symbols)
        values = [evaluate(point) for point in self.inside]
        if None in values:
            return mpmath.inf
        values_around = [evaluate(point) for point in self.around]
        with mpmath.workdps(DIGITS):
            spread = max(self.truth) - min(self.truth)
            found = [mpmath.inf]
            shift = _median([t - m for t, m in zip(self.truth, values, strict=True)])
            factor = _median([t / m if m else mpmath.mpf(0) for t, m in zip(self.truth, values, strict=True)])
            for scale, offset in ((1, shift), (factor, 0)):
                if not scale:
                    continue
                left = [abs(t - scale * m - offset) for t, m in zip(self.truth, values, strict=True)]
                beyond = [
                    _relative(abs(t - scale * m - offset), abs(t))
                    for t, m in zip(self.truth_around, values_around, strict=True)
                    if m is not None
                ]
                if max(beyond, default=0) <= allowed_around:
                    of_each = (_relative(rest, abs(t)) for rest, t in zip(left, self.truth, strict=True))
                    found.append(max(*of_each, _relative(max(left), spread)))
            return min(found)


def _point(generator: random.Random, bounds: Sequence[tuple[float, float]]) -> list[Any]:
    return [mpmath.mpf(generator.uniform(low, high)) for low, high in bounds]


def _wider(low: float, high: float) -> tuple[float, float]:
    """A range three times as wide; what is not negative stays so, because roots and logarithms need it."""
    width = high - low
    return (low / 3 if low >= 0 else low - width, high + width)


def _median(values: Numbers) -> Any:
    return sorted(values)[len(values) // 2]


def _relative(rest: Any, size: Any) -> Any:
    return mpmath.mpf(0) if not rest else rest / size if size else mpmath.inf


def _function(expression: sympy.Expr, symbols: Sequence[sympy.Symbol]) -> Callable[[list[Any]], Any]:
    """An expression as a function of a point in arithmetic of 50 digits; None where it is not real and finite."""
    compiled = sympy.lambdify(symbols, expression, "mpmath", dummify=True)

    def evaluate(point: list[Any]) -> Any:
        with mpmath.workdps(DIGITS):
            try:
                value = mpmath.mpmathify(compiled(*point))
            except (ArithmeticError, ValueError, NoConvergence):
                return None
            if abs(mpmath.im(value)) > EXACT * abs(value) or not mpmath.isfinite(value):
                return None
            return mpmath.re(value)

    return evaluate


def _proved(truth: sympy.Expr, model: sympy.Expr, ranges: Ranges, seconds: float) -> bool:
    """Whether sympy shows within a time that the difference or the ratio is a constant."""
    if seconds <= 0 or not _alarm_works():
        return False
    assumed = {
        name: sympy.Symbol(name, positive=True) if low >= 0 else sympy.Symbol(name, real=True)
        for name, (low, _) in ranges.items()
    }
    difference = with_symbols(truth, assumed) - with_symbols(model, assumed)
    ratio = with_symbols(truth, assumed) / with_symbols(model, assumed)
    try:
        with _alarm(seconds):
            for simplify in _strategies():
                with suppress(Exception):  # sympy's own, on expressions that a strategy is not made for
                    if _constants(simplify(difference)) or _constants(simplify(ratio)):
                        return True
    except _OutOfTime:
        pass
    return False


def _constants(*expressions: Any) -> bool:
    """Whether one of the expressions is a constant; a ratio is never zero, because the truth is not."""
    return any(not expression.free_symbols and bool(expression.is_finite) for expression in expressions)


def _strategies() -> Iterator[Callable[[Any], Any]]:
    """From the cheapest to the one that tries everything."""
    yield lambda expression: sympy.powsimp(sympy.expand(expression))
    yield lambda expression: sympy.cancel(sympy.together(expression))
    yield lambda expression: sympy.expand(sympy.powdenest(sympy.expand_log(expression)))
    yield lambda expression: sympy.trigsimp(sympy.expand_trig(expression))
    yield sympy.simplify


def _alarm_works() -> bool:
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise `_OutOfTime` in the block after so many seconds, and again each second should it be swallowed."""
    if not _alarm_works():
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise _OutOfTime

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
