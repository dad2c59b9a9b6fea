"""Curves of a run: losses, accuracies, perplexities and mean IoU, the mixture weights of every edge, the found network
beside random ones.
"""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from archgrad.arch import NONE, LogitGroup
from archgrad.checks import one_of
from archgrad.report.style import (
    GREY,
    INK,
    PAGE,
    PALETTE,
    STYLES,
    draw_line,
    logarithmic_if_wide,
    make_figure,
    number,
    say,
    tidy,
)
from archgrad.spaces.trellis.plan import FIRST_STRIDE, MOVES

PARTS = {"train": PALETTE[0], "validation": PALETTE[1], "test": PALETTE[2]}
PANEL = (1.75, 1.15)
GAP = (0.18, 0.42)
LOWEST = 0.85
"""The least height of a panel, in inches."""

MOST = 8
"""Columns whose panels still hold their titles and numbers on a page."""

LEGEND_LETTER = 0.08
LEGEND_ROW = 0.22


class Quantity(NamedTuple):
    """How a quantity is drawn: as so many of its `unit`, with `digits`; on a logarithmic axis if it spans `wide`."""

    name: str
    factor: float
    unit: str
    digits: int
    wide: float


QUANTITIES = {
    "loss": Quantity("loss", 1.0, "", 3, 30.0),
    "accuracy": Quantity("accuracy", 100.0, " %", 1, math.inf),
    "perplexity": Quantity("perplexity", 1.0, "", 1, 10.0),
    "iou": Quantity("mean IoU", 100.0, " %", 1, math.inf),
}
"""The quantities of which there are curves."""


def measured(record: Mapping[str, Any], part: str, quantity: str) -> float:
    """Return a quantity of a part in an epoch's record, NaN where there is none.

    A perplexity that the record lacks is the exponential of the loss.

    >>> record = {"train_loss": 0.0, "validation_loss": 1.0, "validation_perplexity": 2.5}
    >>> [measured(record, part, "perplexity") for part in ("train", "validation", "test")]
    [1.0, 2.5, nan]
    """
    value = record.get(f"{part}_{quantity}")
    if value is None and quantity == "perplexity":
        with np.errstate(over="ignore"):
            return float(np.exp(number(record.get(f"{part}_loss"))))
    return number(value)


def draw_history(history: Sequence[Mapping[str, Any]], quantities: Sequence[str] = ("loss", "accuracy")) -> Figure:
    """Draw quantities over the epochs, in a panel each.

    Args:
        history: one record per epoch. Of a record, `epoch` (by default its place, from 1) and those that are there of
            `{train,validation,test}_{quantity}` are read. Accuracies and mean IoU (`iou`) are fractions, drawn in %.
            Perplexities that are not there are the exponentials of the losses, in nats. Values that are missing, None
            or not finite leave a gap.
        quantities: the panels, from `QUANTITIES`: loss, accuracy, perplexity, iou.

    Raises:
        ValueError: an unknown quantity, or none.

    >>> figure = draw_history([{"epoch": 1, "train_loss": 2.3, "validation_accuracy": 0.125}])
    >>> [line.get_label() for axes in figure.axes for line in axes.lines]
    ['train, last 2.300', 'validation, last 12.5 %']
    """
    if not quantities:
        raise ValueError(f"quantities: {list(quantities)} are none; allowed: {', '.join(QUANTITIES)}.")
    for quantity in quantities:
        one_of("quantities", quantity, QUANTITIES)
    panel = min(4.5, PAGE / len(quantities))
    width = panel * len(quantities)
    figure = make_figure(width, 3.3)
    for place, quantity in enumerate(quantities):
        axes = figure.add_axes(((0.675 + panel * place) / width, 0.16, (panel - 0.855) / width, 0.7))
        _draw_quantity(axes, history, quantity)
    return figure


def _draw_quantity(axes: Axes, history: Sequence[Mapping[str, Any]], name: str) -> None:
    """Draw one panel of a history."""
    quantity = QUANTITIES[name]
    epochs = [float(record.get("epoch", place)) for place, record in enumerate(history, start=1)]
    tidy(axes)
    axes.set_title(quantity.name + (f" in{quantity.unit}" if quantity.unit else ""), fontsize=10, color=INK, loc="left")
    axes.set_xlabel("epoch", fontsize=9)
    drawn = []
    for part, colour in PARTS.items():
        values = np.array([measured(record, part, name) for record in history], dtype=np.float64) * quantity.factor
        finite = values[np.isfinite(values)]
        if finite.size:
            label = f"{part}, last {finite[-1]:.{quantity.digits}f}{quantity.unit}"
            draw_line(axes, epochs, values, color=colour, linewidth=1.6, label=label)
            drawn.append(finite)
    if not drawn:
        say(axes, f"no finite {quantity.name}")
        return
    joined = np.concatenate(drawn)
    logarithmic_if_wide(axes, joined, quantity.wide)
    axes.legend(fontsize=8, frameon=False, loc="best")


def draw_mixture(mixtures: Sequence[Float[np.ndarray, "edges candidates"]], group: LogitGroup) -> Figure:
    """Draw the mixture weights p over the epochs: one panel per edge, one line per candidate that the edge has.

    The rows of a trellis are nodes: their panels stand in a column for each layer and a row for each stride. So are
    those of a group whose candidates are edges: a line is the weight of the edge from a state.

    Args:
        mixtures: the weights [edges, candidates] after each epoch, from epoch 1.
        group: names the edges and candidates; its mask says which lines there are.

    Raises:
        ValueError: there are no mixtures or no edges, or the shape of one is not the group's.
    """
    if not mixtures or not group.edges:
        raise ValueError(f"mixtures: {len(mixtures)} epochs of {len(group.edges)} edges; there must be one of each.")
    for mixture in mixtures:
        if mixture.shape != group.shape:
            raise ValueError(f"mixtures: shape {mixture.shape} is not that of group {group.name!r}, {group.shape}.")
    grid = _trellis_grid(group) if is_trellis(group) else _cell_grid(group)
    rows, columns = 1 + max(row for row, _ in grid.places), 1 + max(column for _, column in grid.places)
    width = max(columns * (grid.panel[0] + grid.gap[0]) + grid.left + 0.05, 4.4)
    names = _names(group)
    keys = max(1, min(len(names), int((width - 0.3) / (0.5 + LEGEND_LETTER * max(map(len, names))))))
    legend = LEGEND_ROW * math.ceil(len(names) / keys) + 0.15
    height = rows * (grid.panel[1] + grid.gap[1]) + 0.82 - grid.gap[1] + legend
    figure = make_figure(width, height)
    weights = np.stack(mixtures).astype(np.float64)
    first: Axes | None = None
    for edge, (row, column) in enumerate(grid.places):
        left = grid.left + column * (grid.panel[0] + grid.gap[0])
        bottom = height - 0.3 - (row + 1) * grid.panel[1] - row * grid.gap[1]
        box = (left / width, bottom / height, grid.panel[0] / width, grid.panel[1] / height)
        axes = figure.add_axes(box, sharex=first, sharey=first)
        first = first or axes
        # Between the stairs of a trellis there is no room for ticks.
        lowest = row + 1 == rows if is_trellis(group) else (row + 1, column) not in grid.places
        _panel(axes, weights[:, edge], group, edge, outer=((row, column - 1) not in grid.places, lowest))
        if grid.panel[0] < 1.0:
            axes.xaxis.set_major_locator(MaxNLocator(nbins=3, integer=True, min_n_ticks=1))
    if first is not None:
        first.set_ylim(_limits(weights[:, group.mask]))
    _legend(figure, group, keys, 0.1 / height)
    return figure


def draw_comparison(
    found: float, baselines: Sequence[float], *, metric: str, others: Mapping[str, float] = MappingProxyType({})
) -> Figure:
    """Draw the found network's score beside those of random cells: dots, and their mean ± standard deviation.

    Args:
        found: the score of the found network.
        baselines: the scores of the random cells; those that are not finite are left out.
        metric: what the scores are; if the name ends in "accuracy" or "IoU" they are fractions, drawn in %.
        others: the scores of further networks by name, a row each.
    """
    percent = metric.endswith(("accuracy", "IoU"))
    factor, unit = (100.0, " %") if percent else (1.0, "")
    digits = 2 if percent or metric.endswith("perplexity") else 4
    scores = np.array([float(score) * factor for score in baselines if math.isfinite(score)], dtype=np.float64)
    names = ["found", f"random ({scores.size})", *others]
    # The mean stands below the random cells, so that the rows after them begin lower.
    heights = [1.0, 0.0, *(-1.5 - place for place in range(len(others)))]
    figure, axes = _comparison_axes(names, heights)
    axes.set_xlabel(metric + (" in %" if percent else ""), fontsize=9)
    marks = [(found, 1.0, "found"), *((score, heights[2 + row], "other") for row, score in enumerate(others.values()))]
    for score, at, gid in marks:
        if not math.isfinite(score):
            text = axes.text(0.02, at, "not finite", transform=axes.get_yaxis_transform(), color=GREY)
            text.set(fontsize=9, verticalalignment="center", backgroundcolor="white")
            continue
        value, (marker, colour) = float(score) * factor, ("D", PALETTE[0]) if gid == "found" else ("s", PALETTE[2])
        axes.plot([value], [at], marker, color=colour, markersize=8 if gid == "found" else 6, gid=gid)
        _note(axes, value, at + 0.1, f"{value:.{digits}f}{unit}", above=True)
        if gid == "found":
            axes.plot([value, value], [axes.get_ylim()[0], at], color=colour, linewidth=0.8, linestyle=":", zorder=1)
    if scores.size:
        # Dots of equal scores lie side by side; the golden ratio spreads any number of them evenly.
        spread = ((np.arange(scores.size) * 0.618034) % 1.0 - 0.5) * 0.3
        axes.plot(scores, spread, "o", color=PALETTE[1], alpha=0.7, markersize=5, markeredgewidth=0, gid="random")
        mean, deviation = float(scores.mean()), float(scores.std(ddof=1)) if scores.size > 1 else 0.0
        axes.errorbar([mean], [-0.4], xerr=[deviation], fmt="|", color=INK, capsize=4, markersize=10)
        spelled = f"{mean:.{digits}f} ± {deviation:.{digits}f}{unit}" if deviation else f"{mean:.{digits}f}{unit}"
        _note(axes, mean, -0.4, spelled, above=False)
    axes.margins(x=0.15)
    if not scores.size and not any(math.isfinite(score) for score, _, _ in marks):
        axes.set_xticks([])
    return figure


def _comparison_axes(names: Sequence[str], heights: Sequence[float]) -> tuple[Figure, Axes]:
    """A figure for a comparison and its axes, with a row of each name at its height."""
    margin = max(1.28, 0.3 + 0.075 * max(map(len, names)))
    width, height = margin + 5.12, 2.2 + 0.55 * (len(names) - 2)
    figure = make_figure(width, height)
    axes = figure.add_axes((margin / width, 0.6 / height, 4.86 / width, 1.0 - 0.82 / height))
    tidy(axes)
    axes.grid(visible=False, axis="y")
    axes.set_ylim(min(heights[-1] - 0.45, -0.95), heights[0] + 0.6)
    axes.set_yticks(heights, names, fontsize=9, parse_math=False)
    axes.tick_params(axis="y", length=0)
    return figure, axes


def _limits(weights: Float[np.ndarray, "epochs candidates"]) -> tuple[float, float]:
    """A range that shows what moves: in a short search all weights stay near one over the number of candidates."""
    finite = weights[np.isfinite(weights)]
    if not finite.size or finite.min() == finite.max():
        return 0.0, 1.0
    margin = 0.06 * (finite.max() - finite.min())
    return float(finite.min() - margin), float(finite.max() + margin)


class _Grid(NamedTuple):
    """Row and column of each edge's panel; their size, their distances and the margin on the left, in inches."""

    places: list[tuple[int, int]]
    panel: tuple[float, float]
    gap: tuple[float, float]
    left: float


def is_trellis(group: LogitGroup) -> bool:
    """Whether the group's rows are nodes (layer, level) of a trellis, and its candidates the moves from there."""
    return set(group.candidates) <= set(MOVES)


def _trellis_grid(group: LogitGroup) -> _Grid:
    """Layers from left to right and strides from top to bottom, as in the drawing of the trellis."""
    columns = 1 + max(layer for layer, _ in group.edges)
    gap, left = (0.1, 0.14), 0.75
    return _Grid([(level, layer) for layer, level in group.edges], _panel_size(columns, gap[0], left), gap, left)


def _cell_grid(group: LogitGroup) -> _Grid:
    """A row per target, or full rows where a target has too many edges."""
    targets = sorted({target for _, target in group.edges})
    entering = {target: group.entering(target) for target in targets}
    if group.role == "edges" or len(targets) < 2 or max(map(len, entering.values())) > MOST or len(group.edges) <= 5:
        columns = 5 if len(group.edges) <= 25 else MOST
        places = [divmod(edge, columns) for edge in range(len(group.edges))]
    else:
        places = [(targets.index(target), entering[target].index(edge)) for edge, (_, target) in enumerate(group.edges)]
    return _Grid(places, _panel_size(1 + max(column for _, column in places), GAP[0], 0.5), GAP, 0.5)


def _panel_size(columns: int, gap: float, left: float) -> tuple[float, float]:
    """Width and height of a panel, in inches; many columns share the page's width."""
    width = min(PANEL[0], (PAGE - left - 0.05) / columns - gap)
    return width, max(LOWEST, PANEL[1] * width / PANEL[0])


def _panel(
    axes: Axes,
    weights: Float[np.ndarray, "epochs candidates"],
    group: LogitGroup,
    edge: int,
    *,
    outer: tuple[bool, bool],
) -> None:
    """Draw the lines of one edge; only panels on the left and at the bottom (`outer`) carry tick labels."""
    tidy(axes)
    epochs = [float(epoch) for epoch in range(1, len(weights) + 1)]
    for place, candidate in enumerate(group.candidates):
        if group.mask[edge, place]:
            draw_line(axes, epochs, weights[:, place], label=candidate, linewidth=1.4, **_look(candidate, place))
    axes.tick_params(labelleft=outer[0], labelbottom=outer[1], labelsize=8)
    if outer[1]:
        axes.set_xlabel("epoch", fontsize=8, labelpad=1)
    source, target = group.edges[edge]
    if is_trellis(group):
        _head(axes, source, target, left=outer[0])
    elif group.role == "edges":
        axes.set_title(f"into {target}", fontsize=9, color=INK, pad=3)
    else:
        axes.set_title(f"{source}→{target}", fontsize=9, color=INK, pad=3)


def _head(axes: Axes, layer: int, level: int, *, left: bool) -> None:
    """Say the layer of a node at the top of its column, and its stride on the left of its row."""
    column, row = f"layer {layer}" if layer else "stem", f"stride {FIRST_STRIDE * 2**level}"
    axes.set_label(f"{column}, {row}")
    if level == 0:
        axes.set_title(column, fontsize=9, color=INK, pad=3)
    if left:
        axes.set_ylabel(row, fontsize=9, color=INK)


def _names(group: LogitGroup) -> list[str]:
    """What the candidates are called in the legend."""
    if group.role == "edges":
        return [f"from {candidate}" for candidate in group.candidates]
    return [f"{candidate} the stride" for candidate in group.candidates] if is_trellis(group) else [*group.candidates]


def _look(candidate: str, place: int) -> dict[str, Any]:
    if candidate == NONE:
        return {"color": GREY, "linestyle": "--"}
    return {"color": PALETTE[place % len(PALETTE)], "linestyle": STYLES[place // len(PALETTE) % len(STYLES)]}


def _legend(figure: Figure, group: LogitGroup, columns: int, bottom: float) -> None:
    """One legend for all panels, at the foot of the figure."""
    drawn = {candidate for names in group.choices for candidate in names}
    handles = [
        Line2D([], [], label=name, linewidth=2, **_look(candidate, place))
        for place, (candidate, name) in enumerate(zip(group.candidates, _names(group), strict=True))
        if candidate in drawn
    ]
    figure.legend(
        handles=handles, ncols=columns, loc="lower center", bbox_to_anchor=(0.5, bottom), fontsize=8.5, frameon=False
    )


def _note(axes: Axes, x: float, y: float, text: str, *, above: bool) -> None:
    axes.annotate(
        text,
        (x, y),
        xytext=(0, 6 if above else -8),
        textcoords="offset points",
        fontsize=8.5,
        color=INK,
        ha="center",
        va="bottom" if above else "top",
    )
