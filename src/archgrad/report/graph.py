"""Drawings of graphs: vertices as boxes, operations as labelled arrows between them, from left to right.

What the boxes are called and which colour an arrow has is the caller's; `archgrad.report.layout` decides the places.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon
from matplotlib.path import Path
from matplotlib.text import Text

from archgrad.report.figures import any_glyph
from archgrad.report.layout import PITCH, Layout, Link, Point, Size, arrange
from archgrad.report.style import INK

OUTPUT = "output"
"""The kind of an arrow that stands for no operation; every table of colours has it."""

MARGIN = 0.18
LABEL_POINTS = 8.5
STATE_POINTS = 10.0
TITLE_POINTS = 11.0
TITLE_HEIGHT = 0.28
LEGEND_HEIGHT = 0.34
SWATCH = 0.26
NO_ROOM = Size(0.0, 0.0)


class State(NamedTuple):
    """A vertex: its name, whether it is an input or the output, and whether its name is mathtext.

    A `late` one, without an incoming arrow, stands just before what it leads to, not on the left.
    """

    name: str
    end: bool = False
    math: bool = False
    late: bool = False


class Arrow(NamedTuple):
    """An edge between two vertices with its label (None: none) and its kind, which a table of colours has."""

    source: int
    target: int
    label: str | None
    kind: str


@dataclass(frozen=True)
class Scene:
    """A graph in place: its vertices and their sizes, its edges and the sizes of their labels, their layout."""

    states: tuple[State, ...]
    sizes: tuple[Size, ...]
    arrows: tuple[Arrow, ...]
    labels: tuple[Size | None, ...]
    layout: Layout


def make_scene(states: Sequence[State], arrows: Sequence[Arrow]) -> Scene:
    """Measure and lay out a graph whose arrows lead from lower to higher states; the last state is the output.

    Raises:
        ValueError: an arrow leads backwards.
    """
    renderer = _renderer()
    links = [
        Link(arrow.source, arrow.target, None if arrow.label is None else _label_size(renderer, arrow.label))
        for arrow in arrows
    ]
    leaving, entering = Counter(link.source for link in links), Counter(link.target for link in links)
    sizes = tuple(
        _state_size(renderer, state, edges=max(leaving[place], entering[place])) for place, state in enumerate(states)
    )
    late = {place for place, state in enumerate(states) if state.late}
    layout = arrange(sizes, links, late=late)
    return Scene(tuple(states), sizes, tuple(arrows), tuple(link.label for link in links), layout)


def draw_scenes(
    scenes: Sequence[Scene],
    *,
    titles: Sequence[str | None],
    colours: Mapping[str, str],
    room: Size = NO_ROOM,
) -> Figure:
    """Paint the scenes one below the other, with a legend of the kinds that occur; the axes' unit is the inch.

    `room` is left free at the foot.
    """
    renderer = _renderer()
    used = {arrow.kind for scene in scenes for arrow in scene.arrows}
    legend = [(kind, _measure(renderer, kind, LABEL_POINTS).width) for kind in colours if kind in used]
    legend_width = sum(width + SWATCH + 0.28 for _, width in legend)
    title_width = max(_measure(renderer, title or "", TITLE_POINTS).width for title in titles)
    width = max(legend_width, title_width, *(scene.layout.size.width for scene in scenes)) + 2 * MARGIN
    width = max(width, room.width)
    heights = [
        scene.layout.size.height + (TITLE_HEIGHT if title is not None else 0.0) + 2 * MARGIN
        for scene, title in zip(scenes, titles, strict=True)
    ]
    height = sum(heights) + LEGEND_HEIGHT + room.height
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(0.0, width), ylim=(0.0, height))
    axes.set_axis_off()
    top = height
    for scene, title, share in zip(scenes, titles, heights, strict=True):
        if title is not None:
            _write(axes, title, Point(MARGIN, top - MARGIN), points=TITLE_POINTS, gid="title", left=True)
        _paint(axes, scene, Point(MARGIN, top - share + MARGIN), colours)
        top -= share
    _paint_legend(axes, legend, Point(MARGIN, room.height), colours)
    return figure


def _renderer() -> RendererAgg:
    return FigureCanvasAgg(Figure(dpi=200)).get_renderer()


def _measure(renderer: RendererAgg, text: str, points: float, *, math: bool = False) -> Size:
    """The extent of a text, in inches."""
    figure = Figure(dpi=renderer.dpi)
    with any_glyph():
        extent = figure.text(0, 0, text, fontsize=points, parse_math=math).get_window_extent(renderer)
    return Size(float(extent.width / renderer.dpi), float(extent.height / renderer.dpi))


def _label_size(renderer: RendererAgg, label: str) -> Size:
    extent = _measure(renderer, label, LABEL_POINTS)
    return Size(extent.width + 0.14, max(extent.height + 0.09, 0.21))


def _state_size(renderer: RendererAgg, state: State, *, edges: int) -> Size:
    """The size of a vertex with room for its name and for the edges on its busier side."""
    width = _measure(renderer, state.name, STATE_POINTS, math=state.math).width + 0.2
    return Size(max(width, 0.42), max(PITCH * edges + 0.1, 0.42))


def _paint(axes: Axes, scene: Scene, origin: Point, colours: Mapping[str, str]) -> None:
    """Paint edges first, then labels and states above them."""
    layout = scene.layout
    for arrow, points in zip(scene.arrows, layout.curves, strict=True):
        thin = arrow.kind == OUTPUT
        _paint_curve(axes, [Point(origin.x + x, origin.y + y) for x, y in points], colours[arrow.kind], thin=thin)
    for arrow, size, centre in zip(scene.arrows, scene.labels, layout.labels, strict=True):
        if arrow.label is not None and size is not None and centre is not None:
            centre = Point(origin.x + centre.x, origin.y + centre.y)
            _paint_box(axes, centre, size, face="white", edge=colours[arrow.kind], gid="label-box")
            _write(axes, arrow.label, centre, points=LABEL_POINTS, gid="label")
    for state, size, centre in zip(scene.states, scene.sizes, layout.vertices, strict=True):
        centre = Point(origin.x + centre.x, origin.y + centre.y)
        _paint_box(axes, centre, size, face="#E3E7EC" if state.end else "#FFF3CC", edge=INK, gid="state-box")
        _write(axes, state.name, centre, points=STATE_POINTS, gid="state", math=state.math)


def _paint_curve(axes: Axes, points: Sequence[Point], colour: str, *, thin: bool) -> None:
    """Paint an edge that is horizontal at each of its points, with its arrowhead at the last."""
    tip, length = points[-1], 0.09
    vertices, codes = [points[0]], [Path.MOVETO]
    for start, end in zip(points, [*points[1:-1], Point(tip.x - length, tip.y)], strict=False):
        middle = (start.x + end.x) / 2
        vertices += [Point(middle, start.y), Point(middle, end.y), end]
        codes += [Path.CURVE4] * 3
    path, width = Path(vertices, codes), 1.1 if thin else 1.5
    axes.add_patch(PathPatch(path, facecolor="none", edgecolor=colour, linewidth=width, zorder=1, gid="edge"))
    head = [tip, Point(tip.x - length, tip.y + 0.04), Point(tip.x - length, tip.y - 0.04)]
    axes.add_patch(Polygon(head, closed=True, facecolor=colour, edgecolor="none", zorder=2))


def _paint_box(axes: Axes, centre: Point, size: Size, *, face: str, edge: str, gid: str) -> None:
    corner = (centre.x - size.width / 2, centre.y - size.height / 2)
    style = f"round,pad=0,rounding_size={0.06 if gid == 'label-box' else 0.09}"
    axes.add_patch(
        FancyBboxPatch(
            corner, size.width, size.height, boxstyle=style, facecolor=face, edgecolor=edge, zorder=3, gid=gid
        )
    )


def _write(
    axes: Axes, text: str, at: Point, *, points: float, gid: str, math: bool = False, left: bool = False
) -> None:
    axes.add_artist(
        Text(
            at.x,
            at.y,
            text,
            color=INK,
            fontsize=points,
            fontweight="bold" if gid == "title" else "normal",
            horizontalalignment="left" if left else "center",
            verticalalignment="top" if left else "center_baseline",
            parse_math=math,
            zorder=4,
            gid=gid,
        )
    )


def _paint_legend(axes: Axes, kinds: Sequence[tuple[str, float]], corner: Point, colours: Mapping[str, str]) -> None:
    x, middle = corner.x, corner.y + LEGEND_HEIGHT / 2 + 0.04
    for kind, width in kinds:
        axes.plot([x, x + SWATCH], [middle, middle], color=colours[kind], linewidth=2.5, gid="legend-line")
        x += SWATCH + 0.08
        _write(axes, kind, Point(x + width / 2, middle), points=LABEL_POINTS, gid="legend")
        x += width + 0.2
