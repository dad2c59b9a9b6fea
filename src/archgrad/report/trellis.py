"""Drawings of a path through the trellis of strides, over the probabilities β of its edges."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from archgrad.arch import LogitGroup
from archgrad.report.layout import Size
from archgrad.report.style import GREY, INK, PAGE, PALETTE, make_figure
from archgrad.spaces.trellis.plan import FIRST_STRIDE, MOVES, Node, Trellis, check_path

LEVELS = 4
"""The strides of arXiv:1901.02985: 4, 8, 16 and 32."""

PATH = PALETTE[1]
"""The colour of a decoded path."""

SHADES = LinearSegmentedColormap.from_list("probabilities", ("#DDE1E6", "#33393F"))
"""From an edge of probability 0 to one of probability 1."""

PLAIN = "#C9CED4"
"""The colour of edges without probabilities."""

SAMPLES = (0.1, 0.3, 0.6, 1.0)
"""The probabilities in the legend."""

FARTHEST = Size(0.88, 0.72)
"""The distances between layers and between strides, in inches, where there is room."""

ROOM = 0.5
"""The least distance of layers between which numbers can be read, in inches."""

LEFT, RIGHT, TOP, BOTTOM = 0.95, 0.4, 0.34, 0.98
"""From the first and last nodes to the edges of the picture, in inches."""

NARROWEST = 4.9
"""The width of the legend, in inches."""


class Stretch(NamedTuple):
    """An edge of the trellis, and its probability if it has one."""

    source: Node
    target: Node
    weight: float | None


@dataclass(frozen=True)
class TrellisPicture:
    """A path with the stem in front of it, and all edges of its trellis."""

    path: tuple[Node, ...]
    edges: tuple[Stretch, ...]

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes that the edges join, layer by layer."""
        return tuple(sorted({node for edge in self.edges for node in (edge.source, edge.target)}))

    @property
    def levels(self) -> int:
        """How many strides there are."""
        return 1 + max(node.level for node in self.nodes)

    @property
    def pitch(self) -> Size:
        """The distances between layers and between strides, in inches."""
        return Size(min(FARTHEST.width, (PAGE - LEFT - RIGHT) / (len(self.path) - 1)), FARTHEST.height)

    @property
    def size(self) -> Size:
        """The width and height of the picture, in inches."""
        width = LEFT + self.pitch.width * (len(self.path) - 1) + RIGHT
        return Size(max(width, NARROWEST), TOP + self.pitch.height * (self.levels - 1) + BOTTOM)

    @property
    def weighted(self) -> bool:
        """Whether the edges have probabilities."""
        return any(edge.weight is not None for edge in self.edges)


def draw_trellis(
    path: Sequence[int],
    *,
    mixture: Float[np.ndarray, "nodes moves"] | None = None,
    group: LogitGroup | None = None,
    levels: int = LEVELS,
) -> Figure:
    """Draw a path through the trellis: a column for each layer from the stem on, a row for each stride, 4 at the top.

    Every edge is a line, the wider and darker the larger its β; those of the path are coloured, and its nodes filled.
    The numbers beside the path are its β, if the layers are far enough apart to read them.

    Args:
        path: the level of each layer, from layer 1 on: 0 is stride 4, 1 stride 8, and so on.
        mixture: β [nodes, moves], the probabilities of the edges that leave a node; without it all edges are thin.
        group: says which node each row of β is, and which moves it has; without it the edges are those of a trellis
            as long as the path.
        levels: the strides of that trellis.

    Raises:
        ValueError: the path leaves the trellis or is not as long, a mixture without its group, of another shape or
            with entries outside [0, 1], or a group whose candidates are no moves.

    Reference: arXiv:1901.02985, Figures 1 and 3.

    >>> figure = draw_trellis((0, 1, 1), levels=3)
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['stride 4', 'stride 8', 'stride 16']
    """
    picture = make_picture(path, mixture=mixture, group=group, levels=levels)
    figure = make_figure(*picture.size)
    paint_trellis(figure, picture)
    return figure


def levels_for(path: Sequence[int]) -> int:
    """How many strides to draw a path in that comes without its trellis: those of the paper, or as many as it needs.

    >>> levels_for((0, 1)), levels_for((1, 2, 3, 4))
    (4, 5)
    """
    return max(LEVELS, 1 + max(path, default=0))


def make_picture(
    path: Sequence[int],
    *,
    mixture: Float[np.ndarray, "nodes moves"] | None = None,
    group: LogitGroup | None = None,
    levels: int = LEVELS,
) -> TrellisPicture:
    """Check and gather what `draw_trellis` draws."""
    if mixture is not None and group is None:
        raise ValueError("group: a mixture needs the group whose rows it has, got None.")
    check_path(path)
    if group is None:
        group = Trellis(len(path), levels).group
        check_path(path, levels=levels)
    unknown = [candidate for candidate in group.candidates if candidate not in MOVES]
    if unknown or not group.edges:
        raise ValueError(f"group: {unknown} of group {group.name!r} are no moves; allowed: {', '.join(MOVES)}.")
    if mixture is not None:
        _check_mixture(mixture, group)
    layers = 1 + max(layer for layer, _ in group.edges)
    if len(path) != layers:
        raise ValueError(f"path: has {len(path)} layers; group {group.name!r} has {layers}.")
    edges = tuple(_edges(group, mixture))
    nodes = tuple(Node(layer, level) for layer, level in enumerate((0, *path)))
    check_path(path, levels=1 + max(edge.target.level for edge in edges))
    return TrellisPicture(nodes, edges)


def _check_mixture(mixture: Float[np.ndarray, "nodes moves"], group: LogitGroup) -> None:
    if mixture.shape != group.shape:
        raise ValueError(f"mixture: shape {mixture.shape} is not that of group {group.name!r}, {group.shape}.")
    # Sums in single precision may come out a little above one; written so that NaN fails too.
    if not ((mixture >= 0) & (mixture <= 1 + 1e-5)).all():
        raise ValueError(f"mixture: must lie in [0, 1], got values from {mixture.min()} to {mixture.max()}.")


def _edges(group: LogitGroup, mixture: Float[np.ndarray, "nodes moves"] | None) -> list[Stretch]:
    return [
        Stretch(
            Node(layer, level),
            Node(layer + 1, level + MOVES[move]),
            None if mixture is None else float(mixture[row, group.candidates.index(move)]),
        )
        for row, (layer, level) in enumerate(group.edges)
        for move in group.choices[row]
    ]


def paint_trellis(figure: Figure, picture: TrellisPicture) -> None:
    """Paint a trellis at the foot of a figure, in axes of its own whose units are layer and level."""
    figure_width, figure_height = (float(inches) for inches in figure.get_size_inches())
    pitch, last, levels = picture.pitch, len(picture.path) - 1, picture.levels
    # The axes reach beyond the nodes, so that no circle is cut.
    reach = Size(0.3 / pitch.width, 0.28 / pitch.height)
    box = (
        (LEFT - 0.3) / figure_width,
        (BOTTOM - 0.28) / figure_height,
        (last * pitch.width + 0.6) / figure_width,
        ((levels - 1) * pitch.height + 0.56) / figure_height,
    )
    axes = figure.add_axes(box)
    axes.set(xlim=(-reach.width, last + reach.width), ylim=(levels - 1 + reach.height, -reach.height))
    axes.spines[:].set_visible(False)
    axes.set_facecolor("none")
    axes.set_xticks(range(last + 1), ["stem", *map(str, range(1, last + 1))])
    axes.set_yticks(range(levels), [f"stride {FIRST_STRIDE * 2**level}" for level in range(levels)])
    axes.tick_params(length=0, labelsize=8.5, labelcolor=INK, pad=2)
    axes.set_xlabel("layer", fontsize=9, color=INK, labelpad=2)
    _paint_edges(axes, picture)
    _paint_nodes(axes, picture)
    if picture.weighted and pitch.width >= ROOM:
        _paint_numbers(axes, picture)
    _paint_legend(axes, picture)


def width_of(weight: float | None) -> float:
    """The width of an edge in points: thin without a probability, and else a line in it.

    >>> [width_of(weight) for weight in (None, 0.0, 0.5, 1.0)]
    [0.8, 0.5, 3.0, 5.5]
    """
    return 0.8 if weight is None else 0.5 + 5.0 * weight


def _colour(weight: float | None) -> object:
    return PLAIN if weight is None else SHADES(weight)


def _paint_edges(axes: Axes, picture: TrellisPicture) -> None:
    """Paint all edges, the strong ones above the weak, and those of the path above all on a band of its colour."""
    chosen = set(zip(picture.path[:-1], picture.path[1:], strict=True))
    for edge in sorted(picture.edges, key=lambda edge: edge.weight or 0.0):
        on_path = (edge.source, edge.target) in chosen
        axes.plot(
            [edge.source.layer, edge.target.layer],
            [edge.source.level, edge.target.level],
            color=PATH if on_path else _colour(edge.weight),
            linewidth=2.4 if on_path and edge.weight is None else width_of(edge.weight),
            solid_capstyle="butt",
            zorder=3 if on_path else 1,
            gid="path-edge" if on_path else "edge",
        )
    layers, levels = zip(*picture.path, strict=True)
    band = {"color": PATH, "alpha": 0.22, "linewidth": 9.0, "solid_joinstyle": "round"}
    axes.plot(layers, levels, zorder=2, gid="path", **band)


def _paint_nodes(axes: Axes, picture: TrellisPicture) -> None:
    points = min(13.0, 20.0 * picture.pitch.width)
    style = {"linestyle": "none", "marker": "o", "markersize": points, "clip_on": False}
    others = [node for node in picture.nodes if node not in picture.path]
    for gid, nodes, face, rim in (("node", others, "white", GREY), ("path-node", picture.path, PATH, PATH)):
        layers, levels = [node.layer for node in nodes], [node.level for node in nodes]
        axes.plot(layers, levels, markerfacecolor=face, markeredgecolor=rim, zorder=4, gid=gid, **style)


def _paint_numbers(axes: Axes, picture: TrellisPicture) -> None:
    """Write β above the edges of the path, where nothing but the band of the path is."""
    weights = {(edge.source, edge.target): edge.weight for edge in picture.edges}
    for source, target in zip(picture.path[:-1], picture.path[1:], strict=True):
        middle = ((source.layer + target.layer) / 2, (source.level + target.level) / 2)
        axes.annotate(
            f"{weights[source, target]:.2f}",
            middle,
            xytext=(0.0, 6.0 if source.level == target.level else 9.0),
            textcoords="offset points",
            fontsize=7.5,
            color=INK,
            ha="center",
            va="bottom",
            zorder=5,
            gid="number",
            path_effects=[patheffects.withStroke(linewidth=2.2, foreground="white")],
        )


def _paint_legend(axes: Axes, picture: TrellisPicture) -> None:
    """Say at the foot which line is the path, and what the widths mean."""
    path = Line2D([], [], color=PATH, linewidth=2.4, marker="o", markersize=7, label="path")
    if picture.weighted:
        samples = [(width_of(weight), SHADES(weight), f"β = {weight:g}") for weight in SAMPLES]
    else:
        samples = [(width_of(None), PLAIN, "other edges of the trellis")]
    others = [
        Line2D([], [], color=colour, linewidth=width, label=label, solid_capstyle="butt")
        for width, colour, label in samples
    ]
    height = (picture.levels - 1) * picture.pitch.height + 0.56
    axes.legend(
        handles=[path, *others],
        ncols=1 + len(others),
        loc="upper left",
        bbox_to_anchor=(0.0, -0.38 / height),
        borderaxespad=0.0,
        fontsize=8.5,
        frameon=False,
        handlelength=1.8,
        columnspacing=1.4,
    )
