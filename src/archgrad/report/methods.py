"""Plots that compare methods: what they found beside all architectures there are, their regret, accuracy and cost.

Accuracies and regrets are in per cent, as tables of benchmarks have them.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator, StrMethodFormatter

from archgrad.report.labels import place_labels
from archgrad.report.style import (
    GREY,
    INK,
    PALETTE,
    STYLES,
    cut,
    logarithmic,
    logarithmic_if_wide,
    make_figure,
    on_axis,
    say,
    tidy,
)

Numbers: TypeAlias = Sequence[float] | np.ndarray

PLOT, NOTES = 5.3, 2.0
"""The widths of the plot of a table of methods and of its columns of numbers, in inches."""

ROW, HISTOGRAM, FOOT, HEAD = 0.34, 1.15, 0.6, 0.42
LETTER = 0.075
BINS = 80

WIDE = 4.0
"""Where the largest error is so many times the least, accuracies are drawn by the logarithm of the error."""

LEAST_ERROR = 0.01
"""The least error on that axis, in %."""

TICKS = (0, 20, 40, 60, 70, 80, 85, 90, 92, 93, 94, 95, 96, 97, 98, 99, 99.5, 99.9)
"""Accuracies in % that such an axis may name."""

MANY_COSTS = 30.0
"""Costs that differ by more than this factor are drawn on a logarithmic axis."""


class TradeOff(NamedTuple):
    """A network in a plot of accuracy against cost: its name, its cost, and its accuracy in %."""

    name: str
    cost: float
    accuracy: float


def draw_method_table(rows: Mapping[str, Numbers], distribution: Numbers, *, metric: str = "test accuracy") -> Figure:
    """Draw what methods found, a dot per seed, above the exact distribution of all architectures of the space.

    A stroke is the mean of a row; beside it stand mean ± standard deviation over the seeds in %, and how many of all
    architectures have a lower accuracy than that mean. The dashed line is the best architecture of all. Where errors
    differ much, the axis goes by their logarithm, which keeps the good architectures apart.

    Args:
        rows: the accuracies of what a method found, one per seed, by its name, from top to bottom; in %. What is not
            finite is left out.
        distribution: the accuracies of all architectures of the space, in %.
        metric: what the axis is called.

    Raises:
        ValueError: there are no rows or no architectures, or an accuracy is no percentage.

    >>> figure = draw_method_table({"DARTS": [50.0, 50.0]}, [25.0, 50.0, 75.0, 50.0])
    >>> [text.get_text() for text in figure.axes[0].texts if text.get_gid() == "mean"]
    ['50.00 ± 0.00']
    """
    everything = _percentages("distribution", distribution)
    found = {name: _percentages(f"rows[{name!r}]", accuracies) for name, accuracies in rows.items()}
    if not found or not everything.size:
        raise ValueError(f"rows, distribution: {len(found)} rows and {everything.size} architectures; both are needed.")
    names, last = [cut(name, 30) for name in found], f"all {everything.size:,}"
    left = 0.25 + LETTER * max(map(len, [*names, last]))
    strips = ROW * len(found)
    width, height = left + PLOT + NOTES, HEAD + strips + HISTOGRAM + FOOT
    figure = make_figure(width, height)
    above = figure.add_axes((left / width, (FOOT + HISTOGRAM) / height, PLOT / width, strips / height))
    below = figure.add_axes((left / width, FOOT / height, PLOT / width, HISTOGRAM / height))
    heights = [-float(place) for place in range(len(found))]
    values = np.concatenate([everything, *found.values()])
    for axes, limits in ((above, (heights[-1] - 0.5, 0.5)), (below, (0.0, 1.0))):
        tidy(axes)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(limits)
        _accuracy_axis(axes, values)
        axes.axvline(float(everything.max()), color=INK, linewidth=1.0, linestyle="--", zorder=1, gid="optimum")
    above.set_yticks(heights, names, fontsize=9, parse_math=False)
    above.tick_params(axis="x", length=0, labelbottom=False)
    above.spines["bottom"].set_color("#E6E8EB")
    below.set_yticks([0.4], [last], fontsize=9)
    stretched = ", by the logarithm of the error" if below.get_xscale() == "function" else ""
    below.set_xlabel(f"{metric} in %{stretched}", fontsize=9)
    _draw_histogram(below, everything)
    for place, (at, accuracies) in enumerate(zip(heights, found.values(), strict=True)):
        _draw_strip(above, accuracies, everything, at=at, colour=PALETTE[place % len(PALETTE)])
    _write_numbers(below, 0.4, f"{everything.mean():.2f}", _better_than(float(everything.mean()), everything))
    _write_head(above, float(everything.max()))
    return figure


def _percentages(argument: str, accuracies: Numbers) -> Float[np.ndarray, "_"]:
    """Accuracies in %, without those that are not finite."""
    numbers = np.asarray(accuracies, dtype=np.float64).ravel()
    numbers = numbers[np.isfinite(numbers)]
    outside = numbers[(numbers < 0) | (numbers > 100)]
    if outside.size:
        raise ValueError(f"{argument}: must lie in [0, 100], in per cent, got {outside[0]:g}.")
    if numbers.size and 0 < numbers.max() <= 1:
        raise ValueError(f"{argument}: {numbers.max():g} is its largest; these are fractions, needed are per cent.")
    return numbers


def _accuracy_axis(axes: Axes, values: Float[np.ndarray, "_"]) -> None:
    """Give the axis its scale, limits and ticks for accuracies in %."""
    low, high = float(values.min()), float(values.max())
    if 100.0 - low <= WIDE * max(100.0 - high, LEAST_ERROR):
        margin = 0.04 * (high - low) or 1.0
        axes.set_xlim(low - margin, high + margin)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=7))
        return
    axes.set_xscale("function", functions=(_stretch, _unstretch))
    start, end = _stretch(np.array([low, high]))
    margin = 0.035 * (end - start)
    axes.set_xlim(*_unstretch(np.array([start - margin, end + margin])))
    ticks: list[float] = []
    for tick in reversed(TICKS):  # the better ones first
        place = float(_stretch(np.array([float(tick)]))[0])
        room = not ticks or float(_stretch(np.array(ticks[-1:]))[0]) - place > 0.07 * (end - start)
        if start - margin <= place <= end + margin and room:
            ticks.append(float(tick))
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda accuracy, _: f"{accuracy:g}"))
    axes.xaxis.set_minor_locator(NullLocator())


def _stretch(accuracies: np.ndarray) -> np.ndarray:
    return -np.log(np.maximum(100.0 - accuracies, LEAST_ERROR / 2))


def _unstretch(places: np.ndarray) -> np.ndarray:
    return 100.0 - np.exp(-places)


def _draw_histogram(axes: Axes, accuracies: Float[np.ndarray, "_"]) -> None:
    """Bars of equal widths on the axis, which may be stretched."""
    to_axis = axes.xaxis.get_transform()
    low, high = to_axis.transform(np.array(axes.get_xlim()))
    edges = to_axis.inverted().transform(np.linspace(low, high, BINS + 1))
    counts, _ = np.histogram(accuracies, edges)
    axes.stairs(0.92 * counts / counts.max(), edges, fill=True, color="#B9C2CC", gid="distribution")


def _draw_strip(
    axes: Axes, accuracies: Float[np.ndarray, "_"], everything: Float[np.ndarray, "_"], *, at: float, colour: str
) -> None:
    """The dots of a row, the stroke of their mean, and its numbers."""
    axes.axhline(at, color="#E6E8EB", linewidth=0.7, zorder=0.5)
    if not accuracies.size:
        _write_numbers(axes, at, "no result", "")
        return
    # Dots of equal values lie side by side; the golden ratio spreads any number of them evenly.
    spread = ((np.arange(accuracies.size) * 0.618034) % 1.0 - 0.5) * 0.4 if accuracies.size > 1 else np.zeros(1)
    dots = {"color": colour, "alpha": 0.75, "markersize": 5, "markeredgewidth": 0, "clip_on": False, "gid": "seed"}
    axes.plot(accuracies, at + spread, "o", **dots)
    mean = float(accuracies.mean())
    axes.plot([mean, mean], [at - 0.36, at + 0.36], color=INK, linewidth=1.4, gid="stroke")
    deviation = f" ± {accuracies.std(ddof=1):.2f}" if accuracies.size > 1 else ""
    _write_numbers(axes, at, f"{mean:.2f}{deviation}", _better_than(mean, everything))


def _better_than(mean: float, everything: Float[np.ndarray, "_"]) -> str:
    share = 100.0 * float((everything < mean).mean())
    return f"{math.floor(100 * share) / 100:.2f} %"  # what is not all does not round to it


def _write_numbers(axes: Axes, at: float, mean: str, share: str) -> None:
    """Write the numbers of a row on the right of the plot."""
    for gid, text, inches in (("mean", mean, 1.08), ("share", share, NOTES - 0.1)):
        note = axes.text(1 + inches / PLOT, at, text, transform=axes.get_yaxis_transform(), gid=gid)
        note.set(fontsize=8.5, color=INK, horizontalalignment="right", verticalalignment="center_baseline")


def _write_head(axes: Axes, best: float) -> None:
    """Name the columns of numbers and the line of the best architecture."""
    for text, inches in (("mean ± std", 1.08), ("better than", NOTES - 0.1)):
        note = axes.annotate(text, (1 + inches / PLOT, 1), xycoords="axes fraction", xytext=(0, 6), gid="head")
        note.set(fontsize=8.5, color=GREY, horizontalalignment="right", anncoords="offset points")
    note = axes.annotate(f"best {best:.2f} %", (best, 1), xycoords=axes.get_xaxis_transform(), xytext=(0, 6))
    note.set(fontsize=8.5, color=INK, horizontalalignment="right", anncoords="offset points", gid="best")


def draw_regret(
    curves: Mapping[str, Sequence[Numbers] | Numbers],
    *,
    against: str = "architectures evaluated",
    metric: str = "test accuracy",
) -> Figure:
    """Draw regret on a logarithmic axis: by method the median over its seeds as a line, in the band of its quartiles.

    The regret after t evaluations or epochs is the accuracy of the best architecture of all minus that of the one which
    the method would return then. A regret of 0, which such an axis does not have, stands on its foot. The legend goes
    from the worst end to the best, as the lines do.

    Args:
        curves: the regrets of a method by its name: a sequence over t = 1, 2, … for each seed, or one alone; fractions.
            Those of a seed that ends early count as far as they go; what is not finite leaves a gap.
        against: what t counts.
        metric: what the regret is one of.

    Raises:
        ValueError: there are no curves, one has no value, or a regret is negative.

    >>> figure = draw_regret({"random search": [[50.0, 25.0], [50.0, 12.5]], "DARTS": [25.0, 25.0]})
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['DARTS, last 25', 'random search, last 18.8']
    """
    if not curves:
        raise ValueError("curves: are none; there must be one or more.")
    regrets = {name: _by_seed(name, values) for name, values in curves.items()}
    medians = {name: _quantile(values, 0.5) for name, values in regrets.items()}
    ends = {name: float(median[np.isfinite(median)][-1]) for name, median in medians.items()}
    labels = {name: f"{cut(name, 30)}, last {ends[name]:.3g}" for name in regrets}
    legend = 0.55 + LETTER * max(map(len, labels.values()))
    width, height = 6.3 + legend, max(3.6, 1.0 + 0.19 * len(regrets))
    figure = make_figure(width, height)
    axes = figure.add_axes((0.72 / width, 0.55 / height, 5.4 / width, 1 - 0.75 / height))
    tidy(axes)
    floor = logarithmic(axes, np.concatenate([values.ravel() for values in regrets.values()]).tolist())
    order = sorted(regrets, key=lambda name: -ends[name])
    for place, name in enumerate(regrets):
        places = np.arange(1.0, 1.0 + len(medians[name]))
        low, high = (np.array(on_axis(_quantile(regrets[name], share).tolist(), floor)) for share in (0.25, 0.75))
        colour = PALETTE[place % len(PALETTE)]
        style = {"color": colour, "linestyle": STYLES[place // len(PALETTE) % len(STYLES)], "linewidth": 1.7}
        marker = "o" if len(places) == 1 else None
        median = on_axis(medians[name].tolist(), floor)
        axes.plot(places, median, label=labels[name], marker=marker, zorder=3, gid="median", **style)
        axes.fill_between(places, low, high, color=colour, alpha=0.16, linewidth=0, gid="band")
    longest = max(map(len, medians.values()))
    margin = min(0.015 * (longest - 1), 0.5) or 0.5
    axes.set_xlim(1 - margin, longest + margin)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    axes.set_xlabel(against, fontsize=9)
    axes.set_ylabel(f"regret in points of {metric}", fontsize=9)
    handles = dict(zip(regrets, [line for line in axes.lines if line.get_gid() == "median"], strict=True))
    box = axes.legend(handles=[handles[name] for name in order], loc="center left", bbox_to_anchor=(1.01, 0.5))
    box.set_frame_on(False)
    for text in box.get_texts():
        text.set(fontsize=8.5, parse_math=False)
    return figure


def _by_seed(name: str, values: Sequence[Numbers] | Numbers) -> Float[np.ndarray, "seeds steps"]:
    """Regrets, a row per seed; NaN beyond the end of a shorter one."""
    rows = [values] if len(values) and np.ndim(values[0]) == 0 else list(values)
    regrets = np.full((len(rows), max((len(row) for row in rows), default=0)), math.nan)  # pyright: ignore[reportArgumentType]
    for place, row in enumerate(rows):
        regrets[place, : len(row)] = np.asarray(row, dtype=np.float64)  # pyright: ignore[reportArgumentType]
    regrets[~np.isfinite(regrets)] = math.nan
    if not np.isfinite(regrets).any():
        raise ValueError(f"curves[{name!r}]: has no finite regret.")
    if (regrets < 0).any():
        raise ValueError(f"curves[{name!r}]: a regret must be at least 0, got {float(np.nanmin(regrets)):g}.")
    return regrets


def _quantile(regrets: Float[np.ndarray, "seeds steps"], share: float) -> Float[np.ndarray, "steps"]:
    """A quantile over the seeds that have a value, NaN where none has."""
    return np.array(
        [np.quantile(known, share) if (known := column[np.isfinite(column)]).size else math.nan for column in regrets.T]
    )


def draw_tradeoff(
    points: Sequence[TradeOff], *, cost: str, metric: str = "test accuracy", target: float | None = None
) -> Figure:
    """Draw accuracy against cost, and the front of the networks that no other one beats in both.

    Networks have their names beside them; in a crowd, those behind the front may have none.

    Args:
        points: the networks; those with a cost or an accuracy that is not finite are left out.
        cost: what the cost is, with its unit, such as "latency in ms".
        metric: what the accuracies are.
        target: a cost that was aimed at, drawn as a dashed line.

    Raises:
        ValueError: there are no points, or an accuracy is no percentage.

    >>> figure = draw_tradeoff([TradeOff("small", 1.0, 50.0), TradeOff("large", 2.0, 75.0)], cost="parameters")
    >>> [list(map(float, line.get_ydata())) for line in figure.axes[0].lines if line.get_gid() == "front"]
    [[50.0, 75.0]]
    """
    if not points:
        raise ValueError("points: are none; there must be one or more.")
    _percentages("points", [point.accuracy for point in points])
    figure = make_figure(7.6, 4.4)
    axes = figure.add_axes((0.1, 0.12, 0.87, 0.84))
    tidy(axes)
    axes.set_xlabel(cost, fontsize=9, parse_math=False)
    axes.set_ylabel(f"{metric} in %", fontsize=9)
    shown = [point for point in points if math.isfinite(point.cost) and math.isfinite(point.accuracy)]
    if not shown:
        say(axes, "nothing finite")
        return figure
    front = _front(shown)
    ordered = [*front, *(point for point in shown if point not in front)]
    places = [(float(point.cost), float(point.accuracy)) for point in ordered]
    best, others = np.array(places[: len(front)]).T, np.array(places[len(front) :]).reshape(-1, 2).T
    axes.margins(x=0.12, y=0.14)
    style = {"linestyle": "none", "markersize": 6, "markeredgewidth": 0}
    axes.plot(*best, color=PALETTE[0], linewidth=1.2, drawstyle="steps-post", gid="front")
    axes.plot(*best, "o", color=PALETTE[0], **style)
    axes.plot(*others, "o", color=PALETTE[1], gid="others", **style)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.6g}"))
    logarithmic_if_wide(axes, np.array(places)[:, 0], MANY_COSTS, axis="x")
    if target is not None:
        axes.axvline(target, color=GREY, linewidth=1.1, linestyle="--", zorder=1, gid="target")
        note = axes.annotate(f"target {target:,.6g}", (target, 0), xycoords=axes.get_xaxis_transform(), xytext=(4, 5))
        note.set(fontsize=8.5, color=GREY, anncoords="offset points", gid="target-name")
    axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())
    corners = [(later[0], earlier[1]) for earlier, later in pairwise(places[: len(front)])]
    steps = [point for pair in zip(places, [*corners, places[len(front) - 1]], strict=False) for point in pair]
    lines = [steps] if target is None else [steps, [(target, limit) for limit in axes.get_ylim()]]
    place_labels(axes, places, [cut(point.name, 30) for point in ordered], needed=len(front), beside=lines)
    return figure


def _front(points: Sequence[TradeOff]) -> list[TradeOff]:
    """Those that no other one beats or equals at a lower cost, by cost."""
    front: list[TradeOff] = []
    for point in sorted(points, key=lambda point: (point.cost, -point.accuracy)):
        if not front or point.accuracy > front[-1].accuracy:
            front.append(point)
    return front
