"""The picture of a search's diagnostics, as `archgrad.diagnostics` puts them into the records of its epochs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from archgrad.arch import SKIP, LogitGroup
from archgrad.report.curves import is_trellis
from archgrad.report.style import (
    GREY,
    INK,
    PAGE,
    PALETTE,
    STYLES,
    cut,
    draw_line,
    logarithmic_if_wide,
    make_figure,
    number,
    tidy,
)

WIDE = 10.0
"""An eigenvalue that grows by more than this is drawn on a logarithmic axis."""

PLOT = 1.85
LEFT, RIGHT = 0.62, 0.14
TITLE, FOOT = 0.34, 0.52
"""Heights of a panel's plot, title and foot, and its margins, in inches."""

KEY, LETTER, ROW = 0.33, 0.066, 0.175
"""The width of a legend's mark and of a letter, and the height of its row, in inches."""

STOPPED = {"color": INK, "linewidth": 1.1, "linestyle": "-."}
LEGEND = {"fontsize": 8, "frameon": False, "handlelength": 1.5, "handletextpad": 0.5, "columnspacing": 1.0}

LESSONS = {
    "all": "Diagnostics of the search over its epochs.",
    "operations": (
        "Entropy says how undecided the edges are, as thin lines, with the mean of each group: it begins at the dashed "
        "line, ln n where n candidates weigh the same, and is 0 once a single candidate has all the weight."
    ),
    "edges": "The entropy of edge weights says the same of the states that a node reads.",
    "moves": "The entropy of moves says the same of the ways out of each node of the trellis.",
    "skips": (
        "Skips are those of the cells that each epoch would decode to: a search that collapses fills its cells with "
        "them."
    ),
    "cosine": (
        "The cosine compares each hypergradient with the one before: near 1 they agree, near 0 they have nothing to do "
        "with each other, below 0 they undo each other."
    ),
    "eigenvalue": (
        "The eigenvalue says how sharply the validation loss bends with the logits: where it grows steeply, what is "
        "decoded tends to get worse."
    ),
    "gap": (
        "The gap is what the supernet's accuracy and loss change by when the decoded choices take the place of the "
        "mixture: the nearer to 0, the less is lost by decoding."
    ),
    "stopped": "The vertical line is the epoch that the architecture was taken from.",
}
"""How to read the whole and each panel; the first sentence of all is the name of the picture."""


class _Curve(NamedTuple):
    """A line: its name, its values [epochs], how the last is written, and thin lines [epochs, lines] behind it."""

    name: str
    values: Float[np.ndarray, "epochs"]
    form: str
    place: int = 0
    thin: Float[np.ndarray, "epochs lines"] | None = None

    @property
    def label(self) -> str:
        finite = self.values[np.isfinite(self.values)]
        last = f"{finite[-1]:{self.form}}".replace("-", "−") if finite.size else "no value"
        return f"{cut(self.name, 24)} {last}"


@dataclass(frozen=True)
class _Panel:
    """What a panel shows: curves, dashed lines at `levels` that are called `level_name`, and the range of its axis.

    `wide` is the factor beyond which the axis is logarithmic; `whole` asks for ticks at whole numbers.
    """

    title: str
    lesson: str
    curves: Sequence[_Curve]
    levels: Sequence[float] = ()
    level_name: str = ""
    limits: tuple[float, float] | None = None
    wide: float = math.inf
    whole: bool = False

    @property
    def labels(self) -> list[str]:
        return [*(curve.label for curve in self.curves), *([self.level_name] if self.level_name else [])]


class _Grid(NamedTuple):
    """Columns of panels, the width of one, and for each row of panels the height above their plots, in inches."""

    columns: int
    width: float
    heads: tuple[float, ...]


def explain_diagnostics(
    history: Sequence[Mapping[str, Any]], groups: Sequence[LogitGroup], *, stopped_at: int | None = None
) -> str:
    """How to read what `draw_diagnostics` draws of the same arguments, as the caption; "" if that is nothing.

    >>> group = LogitGroup.dense("cell", inputs=2, nodes=1, candidates=("none", "tanh"))
    >>> explain_diagnostics([{"epoch": 1, "train_loss": 2.3}], [group])
    ''
    """
    panels = _panels(history, groups)
    if not panels:
        return ""
    lessons = ["all", *(panel.lesson for panel in panels), *(["stopped"] if stopped_at is not None else [])]
    return " ".join(LESSONS[lesson] for lesson in dict.fromkeys(lessons))


def draw_diagnostics(
    history: Sequence[Mapping[str, Any]], groups: Sequence[LogitGroup], *, stopped_at: int | None = None
) -> Figure:
    """Draw the diagnostics of a search over its epochs, in a panel each; the last value stands beside each name.

    Panels without data are left out: the entropy of every edge, by group, with ln n as the upper reference; skip
    connections, where a group has them as a candidate; the cosine of successive hypergradients; the dominant
    eigenvalue, on a logarithmic axis if it grows by more than ten; the gap between the decoded cell and the supernet.

    Args:
        history: one record per epoch. Of a record, `epoch` (by default its place, from 1) and those that are there of
            `entropy` {group: [edges]} in nats, `skips` {cell: number}, `hypergradient_cosine`, `eigenvalue`, `gap_loss`
            and `gap_accuracy` (a fraction, drawn in points) are read. Values that are missing, None or not finite
            leave a gap.
        groups: of the search. Edges with a single candidate are left out.
        stopped_at: the number of the epoch that a stopping rule took the architecture from, which a vertical line
            marks; None marks none.

    Raises:
        ValueError: there is nothing to draw, an entropy list is not as long as its group has edges, or `stopped_at`
            is no epoch of the history.

    >>> figure = draw_diagnostics([{"skips": {"normal": 1}}, {"skips": {"normal": 3}}],
    ...     [LogitGroup.dense("normal", inputs=2, nodes=1, candidates=("skip_connect", "sep_conv_3x3"))])
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['normal 3']
    """
    panels = _panels(history, groups)
    if not panels:
        raise ValueError("history: has no diagnostics to draw, such as 'entropy', 'skips' or 'hypergradient_cosine'.")
    epochs = [float(record.get("epoch", place)) for place, record in enumerate(history, start=1)]
    if stopped_at is not None and stopped_at not in epochs:
        raise ValueError(f"stopped_at: must be an epoch of {epochs[0]:g} to {epochs[-1]:g}, got {stopped_at}.")
    grid = _arrange(panels)
    width = grid.columns * grid.width
    height = sum(grid.heads) + len(grid.heads) * (PLOT + FOOT) + 0.3 * (stopped_at is not None)
    figure = make_figure(width, height)
    for place, panel in enumerate(panels):
        row, column = divmod(place, grid.columns)
        bottom = height - sum(grid.heads[: row + 1]) - row * (PLOT + FOOT) - PLOT
        corner = ((column * grid.width + LEFT) / width, bottom / height)
        axes = figure.add_axes((*corner, (grid.width - LEFT - RIGHT) / width, PLOT / height))
        _draw_panel(axes, panel, epochs)
        _head(axes, panel, grid.heads[row], keys=_keys(panel, grid.width))
        if stopped_at is not None:
            axes.axvline(stopped_at, gid="stopped", zorder=2.7, **STOPPED)
    if stopped_at is not None:
        handle = Line2D([], [], label=f"the architecture is that of epoch {stopped_at}", **STOPPED)
        corner = (LEFT / width, 0.06 / height)
        figure.legend(handles=[handle], loc="lower left", bbox_to_anchor=corner, borderaxespad=0.0, **LEGEND)
    return figure


def _arrange(panels: Sequence[_Panel]) -> _Grid:
    """One or two columns for few panels, else three; the width of the page is shared."""
    columns = {1: 1, 2: 2, 4: 2}.get(len(panels), 3)
    width = min(4.5, PAGE / columns)
    rows = [math.ceil(len(panel.labels) / _keys(panel, width)) for panel in panels]
    most = [max(rows[start : start + columns]) for start in range(0, len(rows), columns)]
    return _Grid(columns, width, tuple(TITLE + ROW * legend for legend in most))


def _keys(panel: _Panel, width: float) -> int:
    """How many entries of a panel's legend stand side by side, in columns of their own widths."""
    lengths, room = [len(label) for label in panel.labels], width - LEFT
    for columns in range(len(lengths), 1, -1):
        filled = np.array_split(lengths, columns)  # as a legend is, column by column
        if sum(KEY + LETTER * max(column) for column in filled) <= room:
            return columns
    return 1


def _draw_panel(axes: Axes, panel: _Panel, epochs: Sequence[float]) -> None:
    tidy(axes)
    for curve in panel.curves:
        colour = PALETTE[curve.place % len(PALETTE)]
        if curve.thin is not None:
            for line in curve.thin.T:
                draw_line(axes, epochs, line, color=colour, linewidth=0.7, alpha=0.35, markersize=1.8, gid="edge")
    for curve in panel.curves:
        style: dict[str, Any] = {
            "color": PALETTE[curve.place % len(PALETTE)],
            "linestyle": STYLES[curve.place % len(STYLES)],
            "label": curve.label,
        }
        if len(epochs) == 1:
            style["markersize"] = max(2.5, 6.0 - 2.0 * curve.place)  # so that equal values are all seen
        draw_line(axes, epochs, curve.values, linewidth=1.8, **style)
    for level in panel.levels:
        name = panel.level_name if level == panel.levels[0] and panel.level_name else "_"
        axes.axhline(level, label=name, gid="level", color=GREY, linewidth=1.0, linestyle="--", zorder=1.5)
    finite = np.concatenate([curve.values[np.isfinite(curve.values)] for curve in panel.curves])
    logarithmic_if_wide(axes, finite, panel.wide)
    if panel.limits is not None:
        axes.set_ylim(panel.limits)
    if panel.whole:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1))
    axes.set_xlabel("epoch", fontsize=9)


def _head(axes: Axes, panel: _Panel, head: float, *, keys: int) -> None:
    """Write the title and the legend above the plot, where they hide nothing, from `head` inches on."""
    axes.set_title(panel.title, fontsize=10, color=INK, loc="left", pad=72 * (head - TITLE) + 5)
    corner = (0.0, 1.0 + (head - TITLE) / PLOT)
    legend = axes.legend(
        loc="upper left",
        bbox_to_anchor=corner,
        borderaxespad=0.0,
        borderpad=0.2,
        labelspacing=0.25,
        ncols=keys,
        **LEGEND,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _panels(history: Sequence[Mapping[str, Any]], groups: Sequence[LogitGroup]) -> list[_Panel]:
    """The panels that there are data for."""
    kinds = ("operations", "edges", "moves")
    panels = [_entropy_panel(history, [group for group in groups if _kind(group) == kind], kind) for kind in kinds]
    panels.append(_skip_panel(history, groups))
    zero = (0.0,)
    panels += [
        _single(
            history,
            "hypergradient_cosine",
            "cosine of successive hypergradients",
            "cosine",
            limits=(-1.05, 1.05),
            levels=zero,
        ),
        _single(history, "eigenvalue", r"dominant eigenvalue of $\nabla^2_\alpha L_{val}$", "eigenvalue", wide=WIDE),
        _single(
            history,
            "gap_accuracy",
            "gap of accuracy on decoding, in points",
            "gap",
            factor=100.0,
            form=".1f",
            levels=zero,
        ),
        _single(history, "gap_loss", "gap of loss on decoding", "gap", levels=zero),
    ]
    return [panel for panel in panels if panel is not None]


def _kind(group: LogitGroup) -> str:
    return "edges" if group.role == "edges" else "moves" if is_trellis(group) else "operations"


def _entropy_panel(history: Sequence[Mapping[str, Any]], groups: Sequence[LogitGroup], kind: str) -> _Panel | None:
    """The entropy of the edges of groups of one kind, by group."""
    curves, counts = [], set()
    for place, group in enumerate(groups):
        rows = [row for row, names in enumerate(group.choices) if len(names) > 1]
        values = _entropies(history, group)[:, rows]
        if np.isfinite(values).any():
            name = group.name.removesuffix("_edges") if kind == "edges" else group.name
            curves.append(_Curve(name, _row_means(values), ".2f", place, values))
            counts |= {len(group.choices[row]) for row in rows}
    if not curves:
        return None
    numbers = sorted(counts)
    name = ", ".join(f"ln {count}" for count in numbers) if len(numbers) < 4 else f"ln {numbers[0]} … ln {numbers[-1]}"
    highest = math.log(numbers[-1])
    what = {"operations": "operations", "edges": "edge weights", "moves": "moves"}[kind]
    return _Panel(
        f"entropy of {what}, in nats",
        kind,
        curves,
        levels=[math.log(count) for count in numbers],
        level_name=name,
        limits=(-0.04 * highest, 1.06 * highest),
    )


def _entropies(history: Sequence[Mapping[str, Any]], group: LogitGroup) -> Float[np.ndarray, "epochs edges"]:
    values = np.full((len(history), len(group.edges)), math.nan)
    for epoch, record in enumerate(history):
        entropies = (record.get("entropy") or {}).get(group.name)
        if entropies is None:
            continue
        if len(entropies) != len(group.edges):
            raise ValueError(
                f"history: 'entropy' of group {group.name!r} has {len(entropies)} values for {len(group.edges)} edges."
            )
        values[epoch] = [number(value) for value in entropies]
    return values


def _row_means(values: Float[np.ndarray, "epochs lines"]) -> Float[np.ndarray, "epochs"]:
    """The mean of what is finite, NaN where nothing is."""
    finite = np.isfinite(values)
    counts = finite.sum(axis=1)
    return np.where(counts > 0, np.where(finite, values, 0.0).sum(axis=1) / np.maximum(counts, 1), math.nan)


def _skip_panel(history: Sequence[Mapping[str, Any]], groups: Sequence[LogitGroup]) -> _Panel | None:
    """Skip connections by cell; none where no edge has them among its candidates."""
    counts = [record.get("skips") or {} for record in history]
    names = list(dict.fromkeys(name for cells in counts for name in cells))
    if not names or not any(SKIP in choices for group in groups for choices in group.choices):
        return None
    places = list(dict.fromkeys([*(group.name for group in groups if _kind(group) == "operations"), *names]))
    curves = [
        _Curve(name, np.array([number(cells.get(name)) for cells in counts]), ".0f", places.index(name))
        for name in names
    ]
    most = max(1.0, *(float(np.nanmax(curve.values, initial=0.0)) for curve in curves))
    return _Panel("skip connections", "skips", curves, limits=(-0.06 * most, 1.1 * most), whole=True)


def _single(
    history: Sequence[Mapping[str, Any]],
    key: str,
    title: str,
    lesson: str,
    *,
    factor: float = 1.0,
    form: str = ".3g",
    **look: Any,
) -> _Panel | None:
    """A panel of one number per epoch."""
    values = np.array([number(record.get(key)) for record in history], dtype=np.float64) * factor
    if not np.isfinite(values).any():
        return None
    return _Panel(title, lesson, [_Curve("last", np.where(np.isfinite(values), values, math.nan), form)], **look)
