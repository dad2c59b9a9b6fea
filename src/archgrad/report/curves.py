"""Curves of a run: losses and accuracies, the mixture weights of every edge, the found network beside random ones."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from archgrad.arch import NONE, LogitGroup
from archgrad.report.style import GREY, INK, PALETTE, make_figure, say, tidy

STYLES = ("-", "--", ":", "-.")
PARTS = {"train": PALETTE[0], "validation": PALETTE[1], "test": PALETTE[2]}
FEW = 15
"""Up to this many epochs, each is marked."""

PANEL = (1.75, 1.15)
GAP = (0.18, 0.42)
LEGEND_LETTER = 0.08
LEGEND_ROW = 0.22


def draw_history(history: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw losses and accuracies over the epochs, in two panels.

    Args:
        history: one record per epoch. Of a record, `epoch` (by default its place, from 1) and those that are there of
            `{train,validation,test}_{loss,accuracy}` are read. Accuracies are fractions, drawn in %. Values that are
            missing, None or not finite leave a gap.

    >>> figure = draw_history([{"epoch": 1, "train_loss": 2.3, "validation_accuracy": 0.125}])
    >>> [line.get_label() for axes in figure.axes for line in axes.lines]
    ['train, last 2.300', 'validation, last 12.5 %']
    """
    figure = make_figure(9.0, 3.3)
    epochs = [float(record.get("epoch", place)) for place, record in enumerate(history, start=1)]
    for place, (quantity, unit) in enumerate((("loss", ""), ("accuracy", " %"))):
        axes = figure.add_axes((0.075 + 0.5 * place, 0.16, 0.405, 0.7))
        tidy(axes)
        axes.set_title(quantity + (" in %" if unit else ""), fontsize=10, color=INK, loc="left")
        axes.set_xlabel("epoch", fontsize=9)
        drawn = []
        for part, colour in PARTS.items():
            values = np.array([_number(record.get(f"{part}_{quantity}")) for record in history], dtype=np.float64)
            values = values * (100.0 if unit else 1.0)
            finite = values[np.isfinite(values)]
            if finite.size:
                last = f"{finite[-1]:.1f}{unit}" if unit else f"{finite[-1]:.3f}"
                _line(axes, epochs, values, color=colour, linewidth=1.6, label=f"{part}, last {last}")
                drawn.append(finite)
        if not drawn:
            say(axes, f"no finite {quantity}")
            continue
        joined = np.concatenate(drawn)
        if not unit and joined.min() > 0 and joined.max() > 30 * joined.min():
            axes.set_yscale("log")
        axes.legend(fontsize=8, frameon=False, loc="best")
    return figure


def draw_mixture(mixtures: Sequence[Float[np.ndarray, "edges candidates"]], group: LogitGroup) -> Figure:
    """Draw the mixture weights p over the epochs: one panel per edge, one line per candidate that the edge has.

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
    places = _places(group)
    rows, columns = 1 + max(row for row, _ in places), 1 + max(column for _, column in places)
    width = max(columns * (PANEL[0] + GAP[0]) + 0.55, 4.4)
    longest = max(map(len, group.candidates))
    keys = max(1, min(len(group.candidates), int((width - 0.3) / (0.5 + LEGEND_LETTER * longest))))
    legend = LEGEND_ROW * math.ceil(len(group.candidates) / keys) + 0.15
    height = rows * (PANEL[1] + GAP[1]) + 0.4 + legend
    figure = make_figure(width, height)
    weights = np.stack(mixtures).astype(np.float64)
    first: Axes | None = None
    for edge, (row, column) in enumerate(places):
        left = 0.5 + column * (PANEL[0] + GAP[0])
        bottom = height - 0.3 - (row + 1) * PANEL[1] - row * GAP[1]
        box = (left / width, bottom / height, PANEL[0] / width, PANEL[1] / height)
        axes = figure.add_axes(box, sharex=first, sharey=first)
        first = first or axes
        last_of_column = (row + 1, column) not in places
        _panel(axes, weights[:, edge], group, edge, outer=(column == 0, last_of_column))
    if first is not None:
        first.set_ylim(_limits(weights[:, group.mask]))
    _legend(figure, group, keys, 0.1 / height)
    return figure


def draw_comparison(found: float, baselines: Sequence[float], *, metric: str) -> Figure:
    """Draw the found network's score beside those of random cells: dots, and their mean ± standard deviation.

    Args:
        found: the score of the found network.
        baselines: the scores of the random cells; those that are not finite are left out.
        metric: what the scores are; if the name ends in "accuracy" they are fractions, drawn in %.
    """
    percent = metric.endswith("accuracy")
    factor, unit = (100.0, " %") if percent else (1.0, "")
    scores = np.array([float(score) * factor for score in baselines if math.isfinite(score)], dtype=np.float64)
    figure = make_figure(6.4, 2.2)
    axes = figure.add_axes((0.2, 0.27, 0.76, 0.63))
    tidy(axes)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(metric + (" in %" if percent else ""), fontsize=9)
    axes.set_ylim(-0.95, 1.6)
    axes.set_yticks([1.0, 0.0], ["found", f"random ({scores.size})"], fontsize=9)
    axes.tick_params(axis="y", length=0)
    digits = 2 if percent else 4
    if math.isfinite(found):
        value = float(found) * factor
        axes.plot([value, value], [-0.95, 1.0], color=PALETTE[0], linewidth=0.8, linestyle=":", zorder=1)
        axes.plot([value], [1.0], "D", color=PALETTE[0], markersize=8, gid="found")
        _note(axes, value, 1.1, f"{value:.{digits}f}{unit}")
    else:
        axes.text(0.02, 1.0, "not finite", transform=axes.get_yaxis_transform(), fontsize=9, color=GREY, va="center")
    if scores.size:
        # Dots of equal scores lie side by side; the golden ratio spreads any number of them evenly.
        spread = ((np.arange(scores.size) * 0.618034) % 1.0 - 0.5) * 0.3
        axes.plot(scores, spread, "o", color=PALETTE[1], alpha=0.7, markersize=5, markeredgewidth=0, gid="random")
        mean, deviation = float(scores.mean()), float(scores.std(ddof=1)) if scores.size > 1 else 0.0
        axes.errorbar([mean], [-0.4], xerr=[deviation], fmt="|", color=INK, capsize=4, markersize=10)
        _note(
            axes,
            mean,
            -0.4,
            f"{mean:.{digits}f} ± {deviation:.{digits}f}{unit}" if deviation else f"{mean:.{digits}f}{unit}",
        )
    axes.margins(x=0.15)
    if not scores.size and not math.isfinite(found):
        axes.set_xticks([])
    return figure


def _limits(weights: Float[np.ndarray, "epochs candidates"]) -> tuple[float, float]:
    """A range that shows what moves: in a short search all weights stay near one over the number of candidates."""
    finite = weights[np.isfinite(weights)]
    if not finite.size or finite.min() == finite.max():
        return 0.0, 1.0
    margin = 0.06 * (finite.max() - finite.min())
    return float(finite.min() - margin), float(finite.max() + margin)


def _places(group: LogitGroup) -> list[tuple[int, int]]:
    """Row and column of each edge's panel: a row per target, or rows of five where a target has too many edges."""
    targets = sorted({target for _, target in group.edges})
    entering = {target: group.entering(target) for target in targets}
    if len(targets) < 2 or max(map(len, entering.values())) > 7 or len(group.edges) <= 5:
        return [divmod(edge, 5) for edge in range(len(group.edges))]
    return [(targets.index(target), entering[target].index(edge)) for edge, (_, target) in enumerate(group.edges)]


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
    source, target = group.edges[edge]
    axes.set_title(f"{source}→{target}", fontsize=9, color=INK, pad=3)
    epochs = [float(epoch) for epoch in range(1, len(weights) + 1)]
    for place, candidate in enumerate(group.candidates):
        if group.mask[edge, place]:
            _line(axes, epochs, weights[:, place], label=candidate, linewidth=1.4, **_look(candidate, place))
    axes.tick_params(labelleft=outer[0], labelbottom=outer[1], labelsize=8)
    if outer[1]:
        axes.set_xlabel("epoch", fontsize=8, labelpad=1)


def _look(candidate: str, place: int) -> dict[str, Any]:
    if candidate == NONE:
        return {"color": GREY, "linestyle": "--"}
    return {"color": PALETTE[place % len(PALETTE)], "linestyle": STYLES[place // len(PALETTE) % len(STYLES)]}


def _legend(figure: Figure, group: LogitGroup, columns: int, bottom: float) -> None:
    """One legend for all panels, at the foot of the figure."""
    drawn = {candidate for names in group.choices for candidate in names}
    handles = [
        Line2D([], [], label=candidate, linewidth=2, **_look(candidate, place))
        for place, candidate in enumerate(group.candidates)
        if candidate in drawn
    ]
    figure.legend(
        handles=handles, ncols=columns, loc="lower center", bbox_to_anchor=(0.5, bottom), fontsize=8.5, frameon=False
    )


def _line(axes: Axes, epochs: Sequence[float], values: Float[np.ndarray, " epochs"], **style: Any) -> None:
    """Draw a line over whole epochs; few points are marked, so that one alone is seen."""
    axes.plot(
        epochs, values, marker="o" if len(epochs) <= FEW else None, markersize=3 if len(epochs) > 1 else 5, **style
    )
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1))
    # Narrow margins keep an epoch 0, which there is not, off the axis.
    margin = 0.015 * (epochs[-1] - epochs[0]) or 0.5
    axes.set_xlim(epochs[0] - margin, epochs[-1] + margin)


def _note(axes: Axes, x: float, y: float, text: str) -> None:
    axes.annotate(
        text,
        (x, y),
        xytext=(0, 6 if y > 0 else -8),
        textcoords="offset points",
        fontsize=8.5,
        color=INK,
        ha="center",
        va="bottom" if y > 0 else "top",
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float | np.number) else math.nan
