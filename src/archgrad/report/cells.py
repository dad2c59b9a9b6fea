"""Drawings of decoded cells: states as boxes, operations as labelled edges, from left to right."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon
from matplotlib.path import Path
from matplotlib.text import Text

from archgrad.genotype import Cell, Genotype
from archgrad.report.layout import PITCH, Layout, Link, Point, Size, arrange

KINDS = {
    "separable": "#0072B2",
    "dilated": "#CC79A7",
    "pooling": "#D55E00",
    "skip": "#009E73",
    "other": "#7A5C00",
    "output": "#8C8C8C",
}
"""The colour of each kind of edge, from the palette of Okabe and Ito, which the colour-blind can tell apart."""

INK = "#1F2328"
MARGIN = 0.18
LABEL_POINTS = 8.5
STATE_POINTS = 10.0
TITLE_POINTS = 11.0
TITLE_HEIGHT = 0.28
LEGEND_HEIGHT = 0.34
SWATCH = 0.26


def kind_of(operation: str) -> str:
    """Return the kind of an operation, a key of `KINDS`.

    >>> [kind_of(name) for name in ("sep_conv_3x3", "max_pool_3x3", "identity", "conv_7x1_1x7")]
    ['separable', 'pooling', 'skip', 'other']
    """
    if operation.startswith("sep_"):
        return "separable"
    if operation.startswith("dil_"):
        return "dilated"
    if "pool" in operation:
        return "pooling"
    return "skip" if operation.startswith(("skip", "identity")) else "other"


def draw_cell(cell: Cell) -> Figure:
    """Draw a cell as a graph: inputs on the left, its states by depth, the output on the right.

    Two inputs are those of a convolutional cell, states 0 and 1, drawn as c_{k-2} and c_{k-1}; the output is c_k. The
    other states have their numbers in the genotype. States that are no output have no edge to it.

    >>> from archgrad.genotype import Edge
    >>> figure = draw_cell(Cell("normal", nodes=((Edge("skip_connect", 0), Edge("sep_conv_3x3", 1)),), outputs=(2,)))
    >>> [text.get_text() for text in figure.findobj(Text) if text.get_gid() == "label"]
    ['skip_connect', 'sep_conv_3x3']
    """
    return _draw([_scene(cell)], titles=[None])


def draw_genotype(genotype: Genotype) -> Figure:
    """Draw all cells of a genotype, one below the other, each under its name.

    Raises:
        ValueError: the genotype has no cells.
    """
    if not genotype.cells:
        raise ValueError(f"genotype: {genotype.space!r} has no cells to draw.")
    return _draw([_scene(cell) for cell in genotype.cells], titles=[cell.name for cell in genotype.cells])


@dataclass(frozen=True)
class _Scene:
    """A cell in place: names and sizes of the states, operations of the edges (None: to the output), their layout."""

    states: tuple[str, ...]
    sizes: tuple[Size, ...]
    inputs: int
    operations: tuple[str | None, ...]
    labels: tuple[Size | None, ...]
    layout: Layout


def _scene(cell: Cell) -> _Scene:
    renderer = _renderer()
    states = _state_names(cell)
    links: list[Link] = []
    for target, edges in enumerate(cell.nodes, start=cell.inputs):
        links += [Link(edge.source, target, _label_size(renderer, edge.operation)) for edge in edges]
    links += [Link(state, len(states) - 1, None) for state in cell.outputs]
    leaving, entering = Counter(link.source for link in links), Counter(link.target for link in links)
    sizes = tuple(
        _state_size(renderer, name, edges=max(leaving[state], entering[state])) for state, name in enumerate(states)
    )
    operations = (*cell.operations, *(None for _ in cell.outputs))
    return _Scene(states, sizes, cell.inputs, operations, tuple(link.label for link in links), arrange(sizes, links))


def _state_names(cell: Cell) -> tuple[str, ...]:
    """The inputs, the other states and the output, as they are written in the drawing."""
    if cell.inputs == 2:
        inputs, output = ["$c_{k-2}$", "$c_{k-1}$"], "$c_{k}$"
    else:
        inputs = ["input"] if cell.inputs == 1 else [f"input {state}" for state in range(cell.inputs)]
        output = "output"
    return (*inputs, *map(str, range(cell.inputs, cell.inputs + len(cell.nodes))), output)


def _renderer() -> RendererAgg:
    return FigureCanvasAgg(Figure(dpi=200)).get_renderer()


def _measure(renderer: RendererAgg, text: str, points: float, *, math: bool = False) -> Size:
    """The extent of a text, in inches."""
    figure = Figure(dpi=renderer.dpi)
    extent = figure.text(0, 0, text, fontsize=points, parse_math=math).get_window_extent(renderer)
    return Size(float(extent.width / renderer.dpi), float(extent.height / renderer.dpi))


def _label_size(renderer: RendererAgg, operation: str) -> Size:
    extent = _measure(renderer, operation, LABEL_POINTS)
    return Size(extent.width + 0.14, max(extent.height + 0.09, 0.21))


def _state_size(renderer: RendererAgg, name: str, *, edges: int) -> Size:
    """The size of a state with room for its name and for the edges on its busier side."""
    width = _measure(renderer, name, STATE_POINTS, math=True).width + 0.2
    return Size(max(width, 0.42), max(PITCH * edges + 0.1, 0.42))


def _draw(scenes: Sequence[_Scene], *, titles: Sequence[str | None]) -> Figure:
    """Paint the scenes one below the other; the axes' unit is the inch."""
    renderer = _renderer()
    used = {_kind(operation) for scene in scenes for operation in scene.operations}
    legend = [(kind, _measure(renderer, kind, LABEL_POINTS).width) for kind in KINDS if kind in used]
    legend_width = sum(width + SWATCH + 0.28 for _, width in legend)
    title_width = max(_measure(renderer, title or "", TITLE_POINTS).width for title in titles)
    width = max(legend_width, title_width, *(scene.layout.size.width for scene in scenes)) + 2 * MARGIN
    heights = [
        scene.layout.size.height + (TITLE_HEIGHT if title is not None else 0.0) + 2 * MARGIN
        for scene, title in zip(scenes, titles, strict=True)
    ]
    height = sum(heights) + LEGEND_HEIGHT
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(0.0, width), ylim=(0.0, height))
    axes.set_axis_off()
    top = height
    for scene, title, share in zip(scenes, titles, heights, strict=True):
        if title is not None:
            _write(axes, title, Point(MARGIN, top - MARGIN), points=TITLE_POINTS, gid="title", left=True)
        _paint(axes, scene, Point(MARGIN, top - share + MARGIN))
        top -= share
    _paint_legend(axes, legend, MARGIN)
    return figure


def _kind(operation: str | None) -> str:
    return "output" if operation is None else kind_of(operation)


def _paint(axes: Axes, scene: _Scene, origin: Point) -> None:
    """Paint edges first, then labels and states above them."""
    layout = scene.layout
    for operation, points in zip(scene.operations, layout.curves, strict=True):
        _paint_curve(axes, [Point(origin.x + x, origin.y + y) for x, y in points], _kind(operation))
    for operation, size, centre in zip(scene.operations, scene.labels, layout.labels, strict=True):
        if operation is not None and size is not None and centre is not None:
            centre = Point(origin.x + centre.x, origin.y + centre.y)
            _paint_box(axes, centre, size, face="white", edge=KINDS[kind_of(operation)], gid="label-box")
            _write(axes, operation, centre, points=LABEL_POINTS, gid="label")
    for state, (name, size, centre) in enumerate(zip(scene.states, scene.sizes, layout.vertices, strict=True)):
        ends = state < scene.inputs or state == len(scene.states) - 1
        centre = Point(origin.x + centre.x, origin.y + centre.y)
        _paint_box(axes, centre, size, face="#E3E7EC" if ends else "#FFF3CC", edge=INK, gid="state-box")
        _write(axes, name, centre, points=STATE_POINTS, gid="state", math=True)


def _paint_curve(axes: Axes, points: Sequence[Point], kind: str) -> None:
    """Paint an edge that is horizontal at each of its points, with its arrowhead at the last."""
    tip, length = points[-1], 0.09
    colour, linewidth = KINDS[kind], 1.1 if kind == "output" else 1.5
    vertices, codes = [points[0]], [Path.MOVETO]
    for start, end in zip(points, [*points[1:-1], Point(tip.x - length, tip.y)], strict=False):
        middle = (start.x + end.x) / 2
        vertices += [Point(middle, start.y), Point(middle, end.y), end]
        codes += [Path.CURVE4] * 3
    axes.add_patch(
        PathPatch(Path(vertices, codes), facecolor="none", edgecolor=colour, linewidth=linewidth, zorder=1, gid="edge")
    )
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


def _paint_legend(axes: Axes, kinds: Sequence[tuple[str, float]], x: float) -> None:
    for kind, width in kinds:
        middle = LEGEND_HEIGHT / 2 + 0.04
        axes.plot([x, x + SWATCH], [middle, middle], color=KINDS[kind], linewidth=2.5, gid="legend-line")
        x += SWATCH + 0.08
        _write(axes, kind, Point(x + width / 2, middle), points=LABEL_POINTS, gid="legend")
        x += width + 0.2
