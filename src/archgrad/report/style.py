"""What all plots share: colours, the look of axes, notes on them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatterMathtext, LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7A5C00")
"""The colours of Okabe and Ito, which the colour-blind can tell apart; their yellow, faint on white, is darkened."""

INK = "#1F2328"
GREY = "#8C8C8C"

STYLES = ("-", "--", ":", "-.")
"""Lines beyond the colours of the palette differ by these."""

FEW = 15
"""Up to this many epochs, each is marked."""

PAGE = 10.2
"""The width of the page of a report, in inches; wider pictures are shrunk to it."""


def make_figure(width: float, height: float) -> Figure:
    """A white figure of that many inches, which needs no display."""
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def tidy(axes: Axes) -> None:
    """Leave of the frame only what is read from."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.grid(color="#E6E8EB", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8, color=GREY, labelcolor=INK)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=False))


def say(axes: Axes, text: str) -> None:
    """Write in the place of a plot that there is nothing to draw."""
    axes.set(xticks=[], yticks=[])
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY, fontsize=10)


def draw_line(axes: Axes, epochs: Sequence[float], values: Float[np.ndarray, " epochs"], **style: Any) -> None:
    """Draw a line over whole epochs; few points are marked, else those between two gaps, so that one alone is seen."""
    known = np.isfinite(values)
    beside = np.concatenate([[False], known, [False]])
    alone = np.flatnonzero(known & ~beside[:-2] & ~beside[2:]).tolist()
    marks = {"marker": "o" if len(epochs) <= FEW or alone else None, "markersize": 3 if len(epochs) > 1 else 5}
    axes.plot(epochs, values, markevery=None if len(epochs) <= FEW else alone, **{**marks, **style})
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1))
    # Narrow margins keep an epoch 0, which there is not, off the axis.
    margin = min(0.015 * (epochs[-1] - epochs[0]), 0.5) or 0.5
    axes.set_xlim(epochs[0] - margin, epochs[-1] + margin)


def logarithmic_if_wide(axes: Axes, values: Float[np.ndarray, "_"], wide: float, *, axis: str = "y") -> None:
    """Make an axis, "x" or "y", logarithmic if the values are positive and span more than a factor of `wide`."""
    low, high = float(values.min()), float(values.max())
    if low <= 0 or high <= wide * low:
        return
    axes.set(**{f"{axis}scale": "log"})
    if high < 1e3 * low:
        # Few decades have few ticks of their own.
        ticks = axes.xaxis if axis == "x" else axes.yaxis
        ticks.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ticks.set_major_formatter(StrMethodFormatter("{x:g}"))
        ticks.set_minor_formatter(NullFormatter())


def number(value: object) -> float:
    """A number of a record, NaN where there is none."""
    return float(value) if isinstance(value, int | float | np.number) else math.nan


def cut(text: str, longest: int) -> str:
    """A text on one line, shortened to so many characters."""
    text = " ".join(text.split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def logarithmic(axes: Axes, values: Sequence[float]) -> float:
    """Make the axis logarithmic; return where zeros stand, below all other values."""
    finite = [value for value in values if math.isfinite(value)]
    positive = [value for value in finite if value > 0]
    low, high = (min(positive), max(positive)) if positive else (1.0, 1.0)
    gap = max((high / low) ** 0.1, 4.0)
    floor = low if len(positive) == len(finite) else low / gap
    axes.set_yscale("log")
    axes.set_ylim(floor / max(gap**0.4, 3.5), high * max(gap**0.4, 3.5))  # more than a decade: there is a tick
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(which="minor", length=0)
    if floor == low:
        return floor
    axes.yaxis.set_major_formatter(_Above(floor) if positive else NullFormatter())
    axes.axhline(floor, color=GREY, linewidth=0.8, linestyle=":", zorder=1)
    beside = {"xycoords": axes.get_yaxis_transform(), "xytext": (-6, 0), "textcoords": "offset points"}
    axes.annotate("0", (0, floor), ha="right", va="center", fontsize=8, color=INK, gid="zero", **beside)
    return floor


class _Above(LogFormatterMathtext):
    """Names the ticks that are clear of the floor, which is called 0."""

    def __init__(self, floor: float) -> None:
        super().__init__(minor_thresholds=(0, 0))
        self.floor = floor

    def __call__(self, x: float, pos: int | None = None) -> str:
        return super().__call__(x, pos) if x > 2 * self.floor else ""


def on_axis(values: Sequence[float], floor: float) -> list[float]:
    """Values where they are drawn: zeros on the floor, a gap for what is not finite."""
    return [max(float(value), floor) if math.isfinite(value) else math.nan for value in values]
