"""Drawings of decoded cells: states as boxes, operations as labelled edges, from left to right."""

from matplotlib.figure import Figure

from archgrad.arch import NONE
from archgrad.genotype import CONV_CELL, NASBENCH201, RECURRENT_CELL, TRELLIS, Cell, Genotype
from archgrad.report.expressions import draw_expression
from archgrad.report.graph import (
    MARGIN,
    OUTPUT,
    TITLE_HEIGHT,
    TITLE_POINTS,
    Arrow,
    Scene,
    State,
    draw_scenes,
    make_scene,
)
from archgrad.report.layout import Size
from archgrad.report.style import INK
from archgrad.report.trellis import levels_for, make_picture, paint_trellis
from archgrad.spaces.expression.laws import EXPRESSION

KINDS = {
    "separable": "#0072B2",
    "dilated": "#CC79A7",
    "atrous": "#E69F00",
    "convolution": "#56B4E9",
    "pooling": "#D55E00",
    "skip": "#009E73",
    "other": "#7A5C00",
    OUTPUT: "#8C8C8C",
}
"""The colour of each kind of edge, from the palette of Okabe and Ito, which the colour-blind can tell apart.

Dilated convolutions are separable ones, atrous ones and those that are just called so are full.
"""

INITIAL = "initial state"
"""The kind of the arrows from x_t and h_{t−1}, which stand for no activation."""

CONV_STATES = (("$c_{k-2}$", "$c_{k-1}$"), "$c_{k}$")
"""Inputs and output of a convolutional cell."""

TRELLIS_STATES = (("$H^{l-1}$", "$H^{l-2}$"), "$H^{l}$")
"""Inputs and output of a cell in a trellis."""

ACTIVATIONS = {
    "tanh": "#0072B2",
    "relu": "#D55E00",
    "sigmoid": "#CC79A7",
    "identity": "#009E73",
    "other": "#7A5C00",
    INITIAL: "#000000",
    OUTPUT: "#8C8C8C",
}
"""The colour of each kind of edge of a recurrent cell, from the same palette."""


def kind_of(operation: str) -> str:
    """Return the kind of an operation, a key of `KINDS`.

    >>> [kind_of(name) for name in ("sep_conv_3x3", "nor_conv_3x3", "max_pool_3x3", "identity", "conv_7x1_1x7")]
    ['separable', 'convolution', 'pooling', 'skip', 'other']
    """
    starts = {"sep_": "separable", "dil_": "dilated", "atrous_": "atrous", "nor_": "convolution"}
    for start, kind in starts.items():
        if operation.startswith(start):
            return kind
    if "pool" in operation:
        return "pooling"
    return "skip" if operation.startswith(("skip", "identity")) else "other"


def draw_cell(cell: Cell, space: str = CONV_CELL) -> Figure:
    """Draw a cell as a graph: inputs on the left, its states by depth, the output on the right.

    Two inputs are those of a convolutional cell, states 0 and 1, drawn as c_{k-2} and c_{k-1}; the output is c_k. In a
    recurrent cell, x_t and h_{t-1} lead to state 0, and the mean of the outputs is h_t. In a trellis, states 0 and 1
    are H^{l-1} and H^{l-2}, and the output is H^l. The other states have their numbers in the genotype. States that are
    no output have no edge to it. A cell of NAS-Bench-201 has `none` written out: edges with it are left out here, and a
    state without another edge is said to be 0.

    Args:
        cell: the cell.
        space: the space of its genotype, which says what inputs and output are.

    >>> from matplotlib.text import Text
    >>> from archgrad.genotype import Edge
    >>> figure = draw_cell(Cell("normal", nodes=((Edge("skip_connect", 0), Edge("sep_conv_3x3", 1)),), outputs=(2,)))
    >>> [text.get_text() for text in figure.findobj(Text) if text.get_gid() == "label"]
    ['skip_connect', 'sep_conv_3x3']
    """
    return draw_scenes([_scene(cell, space)], titles=[None], colours=_colours(space))


def draw_genotype(genotype: Genotype) -> Figure:
    """Draw all cells of a genotype, one below the other, each under its name; an expression as its graph.

    A path lies below the cells, in the trellis of the strides 4 to 32, or of more if it needs them.

    Raises:
        ValueError: the genotype has no cells, or its path leaves the trellis.
    """
    if not genotype.cells:
        raise ValueError(f"genotype: {genotype.space!r} has no cells to draw.")
    if genotype.space == EXPRESSION:
        return draw_expression(genotype)
    titles = [cell.name for cell in genotype.cells]
    scenes = [_scene(cell, genotype.space) for cell in genotype.cells]
    colours = _colours(genotype.space)
    if not genotype.path:
        return draw_scenes(scenes, titles=titles, colours=colours)
    picture = make_picture(genotype.path, levels=levels_for(genotype.path))
    room = Size(picture.size.width, picture.size.height + TITLE_HEIGHT + MARGIN)
    figure = draw_scenes(scenes, titles=titles, colours=colours, room=room)
    width, height = (float(inches) for inches in figure.get_size_inches())
    title = figure.text(MARGIN / width, (room.height - MARGIN) / height, "path", color=INK, fontsize=TITLE_POINTS)
    title.set(fontweight="bold", verticalalignment="top", gid="path-title")
    paint_trellis(figure, picture)
    return figure


def _colours(space: str) -> dict[str, str]:
    return ACTIVATIONS if space == RECURRENT_CELL else KINDS


def _scene(cell: Cell, space: str) -> Scene:
    if space == RECURRENT_CELL and cell.inputs == 1:
        return _recurrent_scene(cell)
    states = _states(cell, space)
    arrows = [
        Arrow(edge.source, target, edge.operation, kind_of(edge.operation))
        for target, edges in enumerate(cell.nodes, start=cell.inputs)
        for edge in edges
        if space != NASBENCH201 or edge.operation != NONE
    ]
    reached = {arrow.target for arrow in arrows}
    for state in set(range(cell.inputs, len(states) - 1)) - reached:  # nothing but `none` leads there
        states[state] = State(f"{state} = 0", late=True)
    arrows += [Arrow(state, len(states) - 1, None, OUTPUT) for state in cell.outputs]
    return make_scene(states, arrows)


def _recurrent_scene(cell: Cell) -> Scene:
    """x_t and h_{t−1} stand before state 0, which moves the states of the genotype on by two places."""
    ends = [State("$x_{t}$", end=True, math=True), State("$h_{t-1}$", end=True, math=True)]
    nodes = [State(str(state)) for state in range(1 + len(cell.nodes))]
    output = "$h_{t}$" if len(cell.outputs) == 1 else "mean: $h_{t}$"
    arrows = [Arrow(0, 2, None, INITIAL), Arrow(1, 2, None, INITIAL)]
    for target, edges in enumerate(cell.nodes, start=1):
        for edge in edges:
            kind = edge.operation if edge.operation in ACTIVATIONS else "other"
            arrows.append(Arrow(edge.source + 2, target + 2, edge.operation, kind))
    states = [*ends, *nodes, State(output, end=True, math=True)]
    arrows += [Arrow(state + 2, len(states) - 1, None, OUTPUT) for state in cell.outputs]
    return make_scene(states, arrows)


def _states(cell: Cell, space: str) -> list[State]:
    """The inputs, the other states and the output, as they are written in the drawing."""
    if cell.inputs == 2:
        inputs, output = TRELLIS_STATES if space == TRELLIS else CONV_STATES
    else:
        inputs = ["input"] if cell.inputs == 1 else [f"input {state}" for state in range(cell.inputs)]
        output = "output"
    nodes = [State(str(state), math=True) for state in range(cell.inputs, cell.inputs + len(cell.nodes))]
    return [*(State(name, end=True, math=True) for name in inputs), *nodes, State(output, end=True, math=True)]
