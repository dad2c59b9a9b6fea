"""Drawings of decoded cells: states as boxes, operations as labelled edges, from left to right."""

from matplotlib.figure import Figure

from archgrad.genotype import CONV_CELL, RECURRENT_CELL, Cell, Genotype
from archgrad.report.expressions import draw_expression
from archgrad.report.graph import OUTPUT, Arrow, Scene, State, draw_scenes, make_scene
from archgrad.spaces.expression.laws import EXPRESSION

KINDS = {
    "separable": "#0072B2",
    "dilated": "#CC79A7",
    "pooling": "#D55E00",
    "skip": "#009E73",
    "other": "#7A5C00",
    OUTPUT: "#8C8C8C",
}
"""The colour of each kind of edge, from the palette of Okabe and Ito, which the colour-blind can tell apart."""

INITIAL = "initial state"
"""The kind of the arrows from x_t and h_{t−1}, which stand for no activation."""

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


def draw_cell(cell: Cell, space: str = CONV_CELL) -> Figure:
    """Draw a cell as a graph: inputs on the left, its states by depth, the output on the right.

    Two inputs are those of a convolutional cell, states 0 and 1, drawn as c_{k-2} and c_{k-1}; the output is c_k. In a
    recurrent cell, x_t and h_{t-1} lead to state 0, and the mean of the outputs is h_t. The other states have their
    numbers in the genotype. States that are no output have no edge to it.

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

    Raises:
        ValueError: the genotype has no cells.
    """
    if not genotype.cells:
        raise ValueError(f"genotype: {genotype.space!r} has no cells to draw.")
    if genotype.space == EXPRESSION:
        return draw_expression(genotype)
    titles = [cell.name for cell in genotype.cells]
    scenes = [_scene(cell, genotype.space) for cell in genotype.cells]
    return draw_scenes(scenes, titles=titles, colours=_colours(genotype.space))


def _colours(space: str) -> dict[str, str]:
    return ACTIVATIONS if space == RECURRENT_CELL else KINDS


def _scene(cell: Cell, space: str) -> Scene:
    if space == RECURRENT_CELL and cell.inputs == 1:
        return _recurrent_scene(cell)
    states = _states(cell)
    arrows = [
        Arrow(edge.source, target, edge.operation, kind_of(edge.operation))
        for target, edges in enumerate(cell.nodes, start=cell.inputs)
        for edge in edges
    ]
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


def _states(cell: Cell) -> list[State]:
    """The inputs, the other states and the output, as they are written in the drawing."""
    if cell.inputs == 2:
        inputs, output = ["$c_{k-2}$", "$c_{k-1}$"], "$c_{k}$"
    else:
        inputs = ["input"] if cell.inputs == 1 else [f"input {state}" for state in range(cell.inputs)]
        output = "output"
    nodes = [State(str(state), math=True) for state in range(cell.inputs, cell.inputs + len(cell.nodes))]
    return [*(State(name, end=True, math=True) for name in inputs), *nodes, State(output, end=True, math=True)]
