"""Plots of equation discovery: the front of accuracy and complexity, predictions against truth, losses by round."""

import math
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import sympy
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from archgrad.genotype import Genotype
from archgrad.report.style import GREY, INK, PALETTE, cut, logarithmic, make_figure, on_axis, say, tidy


@runtime_checkable
class Equation(Protocol):
    """What reports read of an equation; written with `str`, it is its formula.

    Losses are mean squared errors, the expression's symbols are columns, and `names` are those of the genotype.
    """

    @property
    def complexity(self) -> int: ...
    @property
    def loss(self) -> float: ...
    @property
    def validation_loss(self) -> float: ...
    @property
    def expression(self) -> sympy.Expr: ...
    @property
    def latex(self) -> str: ...
    @property
    def genotype(self) -> Genotype: ...
    @property
    def coefficients(self) -> Sequence[float] | np.ndarray: ...
    @property
    def names(self) -> Sequence[str]: ...


def r_squared(truth: Float[np.ndarray, "rows"], predicted: Float[np.ndarray, "rows"]) -> float:
    """1 − Σ (y − ŷ)² / Σ (y − ȳ)²; not a number where it is not defined.

    >>> r_squared(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0]))
    0.5
    """
    if not np.isfinite(predicted).all() or not truth.size:
        return math.nan
    residual, total = ((truth - predicted) ** 2).sum(), ((truth - truth.mean()) ** 2).sum()
    if total == 0:
        return 1.0 if residual == 0 else math.nan
    return float(1.0 - residual / total)


def draw_front(equations: Sequence[Equation], chosen: Equation) -> Figure:
    """Draw loss against complexity on a logarithmic axis, and mark the chosen equation.

    Losses of zero, which that axis does not have, stand on its foot; those that are not finite are left out.
    """
    figure = make_figure(7.0, 3.6)
    axes = figure.add_axes((0.12, 0.16, 0.83, 0.76))
    tidy(axes)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True, min_n_ticks=1))
    axes.set_xlabel("complexity", fontsize=9)
    axes.set_ylabel("mean squared error", fontsize=9)
    losses = [float(loss) for equation in equations for loss in (equation.loss, equation.validation_loss)]
    if not any(math.isfinite(loss) for loss in losses):
        say(axes, "no finite loss")
        return figure
    floor = logarithmic(axes, losses)
    complexities = [float(equation.complexity) for equation in equations]
    series = (
        ("training", [equation.loss for equation in equations], PALETTE[0], "o"),
        ("held out", [equation.validation_loss for equation in equations], PALETTE[1], "s"),
    )
    for label, values, colour, marker in series:
        style = {"color": colour, "marker": marker, "markersize": 5, "linewidth": 1.2, "label": label}
        axes.plot(complexities, on_axis(values, floor), **style)
    mark = {"color": GREY, "linewidth": 1.2, "linestyle": "--", "zorder": 1}
    axes.axvline(chosen.complexity, label=f"chosen, complexity {chosen.complexity}", gid="chosen", **mark)
    span = max(complexities) - min(complexities)
    axes.set_xlim(min(complexities) - (0.05 * span or 1), max(complexities) + (0.05 * span or 1))
    axes.legend(fontsize=8, frameon=False, loc="best")
    return figure


def draw_parity(
    truth: Float[np.ndarray, "rows"], predicted: Float[np.ndarray, "rows"], *, labels: Sequence[str], target: str = "y"
) -> Figure:
    """Draw predictions against the truth, the diagonal, and R² of each group of rows.

    Arguments:
        truth: y [rows].
        predicted: ŷ [rows]; what is not finite is left out and counted.
        labels: what each row was used for [rows], such as "training" and "test".
        target: what y is called.

    Raises:
        ValueError: there are more or fewer labels than rows.
    """
    if len(labels) != len(truth):
        raise ValueError(f"labels: {len(labels)} labels for {len(truth)} rows; there must be one for each.")
    figure = make_figure(5.2, 4.9)
    axes = figure.add_axes((0.16, 0.13, 0.8, 0.82))
    tidy(axes)
    finite = np.isfinite(truth) & np.isfinite(predicted)
    axes.set_xlabel(cut(target, 60), fontsize=9, parse_math=False)
    axes.set_ylabel("prediction", fontsize=9)
    if not finite.any():
        say(axes, "no finite prediction")
        return figure
    both = np.concatenate([truth[finite], predicted[finite]])
    margin = 0.04 * float(np.ptp(both)) or 0.5
    low, high = float(both.min()) - margin, float(both.max()) + margin
    axes.plot([low, high], [low, high], color=GREY, linewidth=1.0, zorder=1, gid="diagonal")
    groups = np.array(labels)
    for place, label in enumerate(dict.fromkeys(labels)):
        rows = (groups == label) & finite
        lost = int(((groups == label) & ~finite).sum())
        score = r_squared(truth[rows], predicted[rows])
        said = f"{label} ({rows.sum():,}), R² = {score:.6g}" + (f", {lost:,} not finite" if lost else "")
        style = {"color": PALETTE[place % len(PALETTE)], "marker": "os^D"[place % 4], "alpha": 0.75, "label": said}
        dots = {"linestyle": "none", "markersize": 4.5, "markeredgewidth": 0, "rasterized": True}
        axes.plot(truth[rows], predicted[rows], **style, **dots)
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    legend = axes.legend(fontsize=8, frameon=False, loc="upper left")
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def draw_losses(losses: Sequence[float], title: str = "") -> Figure:
    """Draw the best held-out loss after each round, from round 1, on a logarithmic axis as in `draw_front`.

    Losses are relative to that of the best constant, as an estimator's `execution_monitor` gets them.
    """
    figure = make_figure(7.0, 3.4)
    axes = figure.add_axes((0.12, 0.16, 0.83, 0.72))
    tidy(axes)
    axes.set_title(cut(title, 110), fontsize=9, color=INK, loc="left", parse_math=False)
    axes.set_xlabel("round", fontsize=9)
    axes.set_ylabel("relative held-out loss", fontsize=9)
    values = [float(loss) for loss in losses]
    finite = [loss for loss in values if math.isfinite(loss)]
    if not finite:
        say(axes, "no finite loss")
        return figure
    floor = logarithmic(axes, finite)
    rounds = [float(place) for place in range(1, len(values) + 1)]
    marker = "o" if len(rounds) <= 40 else None
    axes.plot(rounds, on_axis(values, floor), color=PALETTE[1], linewidth=1.4, marker=marker, markersize=3.5)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    axes.set_xlim(0.5, max(len(rounds) + 0.5, 2.0))
    return figure
