"""Drawings of expression graphs: columns on the left, sums and products by depth, the target on the right.

What contributes nothing is left out: edges of `none`, terms of zero, factors to the power of zero, nodes and columns
that the target does not depend on. Constants stand in boxes of their own.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from matplotlib.figure import Figure

from archgrad.arch import NONE
from archgrad.genotype import Cell, Genotype
from archgrad.ops.symbolic import Primitive
from archgrad.report.graph import OUTPUT, Arrow, State, draw_scenes, make_scene
from archgrad.spaces.expression.graph import MULTIPLICATIVE, Graph, Slot

KINDS = {
    "linear": "#0072B2",
    "product": "#D55E00",
    "power": "#CC79A7",
    "exponential": "#009E73",
    "trigonometric": "#56B4E9",
    "piecewise": "#7A5C00",
    "other": "#000000",
    OUTPUT: "#8C8C8C",
}
"""The colour of each kind of edge, from the palette of Okabe and Ito, which the colour-blind can tell apart."""

OPERATIONS = {
    "linear": ("add", "subtract", "mult", "linear"),
    "product": ("multiply", "divide", "powered"),
    "power": ("power", "square", "cube", "sqrt", "reciprocal", "inverse_square"),
    "exponential": ("exp", "ln", "logistic", "softplus", "softminus", "tanh", "cosh"),
    "trigonometric": ("sin", "cos", "arcsin", "arccos", "arctan"),
    "piecewise": ("relu", "abs"),
}
"""The operations of each kind, without those whose argument is linear_…; all others are `other`."""

SYMBOLS = {"add": "∑", "multiply": "∏", "divide": "∏", "powered": "∏", "power": "^"}
"""How a node is written that folds its edges so."""

LONGEST = 26
"""Letters of a column's name that a drawing shows."""


def kind_of(operation: str) -> str:
    """Return the kind of an operation of an expression, a key of `KINDS`.

    >>> [kind_of(name) for name in ("linear", "linear_exp", "powered", "my_own")]
    ['linear', 'exponential', 'product', 'other']
    """
    base = operation.removeprefix("linear_")
    return next((kind for kind, names in OPERATIONS.items() if base in names), "other")


def draw_expression(
    genotype: Genotype,
    names: Sequence[str] | None = None,
    coefficients: Sequence[float] | None = None,
    *,
    target: str = "y",
    primitives: Mapping[str, Primitive] | None = None,
) -> Figure:
    """Draw the graph of an equation.

    Arguments:
        genotype: whose first cell is drawn.
        names: of the columns, never read as mathematics; by default they are numbered.
        coefficients: laid out as in `archgrad.spaces.expression.graph.Graph`, with or without c₀; they are written on
            the edges with three digits.
        target: what the output is called.
        primitives: those of the user's own by name, needed together with coefficients.

    Raises:
        ValueError: there is no cell, there are more or fewer names than columns, as to coefficients, or an unknown
            operation together with coefficients.

    >>> from archgrad.genotype import Edge
    >>> cell = Cell("expression", ((Edge("powered", 0), Edge("powered", 1)),), (2,), inputs=2)
    >>> figure = draw_expression(Genotype("expression", (cell,)), ["mass", "speed"], [1.0, 2.0, 0.5, 0.0])
    >>> sorted(text.get_text() for text in figure.axes[0].texts if text.get_gid() == "state")
    ['mass', 'speed', 'y', '∏']
    """
    if not genotype.cells:
        raise ValueError(f"genotype: {genotype.space!r} has no cells to draw.")
    cell = genotype.cells[0]
    names = [f"column {place}" for place in range(cell.inputs)] if names is None else names
    if len(names) != cell.inputs:
        raise ValueError(f"names: {len(names)} names for {cell.inputs} columns; there must be one for each.")
    parts = _Parts.of(cell) if coefficients is None else _Parts.fitted(cell, coefficients, primitives)
    states, arrows = _graph(parts, [_short(name) for name in names], _short(target))
    return draw_scenes([make_scene(states, arrows)], titles=[None], colours=KINDS)


@dataclass(frozen=True)
class _Term:
    """An edge of a node: what it reads (None: nothing, it is a constant), what is written on it, what it does."""

    source: int | None
    label: str
    operation: str
    combination: str


@dataclass(frozen=True)
class _Parts:
    """A cell without what contributes nothing: the terms of each node, what the output adds up, and its constant."""

    inputs: int
    nodes: tuple[tuple[_Term, ...], ...]
    empty: tuple[str, ...]  # what each node is worth without any term
    outputs: tuple[tuple[int, str | None], ...]  # states and the labels of their edges
    constant: str | None = None

    @classmethod
    def of(cls, cell: Cell) -> "_Parts":
        """The parts of a cell whose coefficients are not known."""
        nodes = []
        for edges in cell.nodes:
            terms = (
                _Term(None if operation == "constant" else source, operation, operation, _combination(operation))
                for operation, source in edges
                if operation != NONE
            )
            nodes.append(tuple(terms))
        empty = tuple("1" if edges[0].operation in MULTIPLICATIVE else "0" for edges in cell.nodes)
        return cls(cell.inputs, tuple(nodes), empty, tuple((state, None) for state in cell.outputs))

    @classmethod
    def fitted(cls, cell: Cell, coefficients: Sequence[float], primitives: Mapping[str, Primitive] | None) -> "_Parts":
        """The parts with their coefficients written on them."""
        graph = Graph(cell, primitives=primitives, offset=False)
        if len(coefficients) not in (graph.size, graph.size + 1):
            raise ValueError(
                f"coefficients: {len(coefficients)} values for a graph of {graph.size}, or {graph.size + 1} with c₀."
            )
        nodes = []
        for slots in graph.nodes:
            terms = (
                _term(slot, coefficients[slot.start : slot.start + slot.primitive.size])
                for slot in slots
                if slot.primitive.name != NONE
            )
            nodes.append(tuple(term for term in terms if term is not None))
        weights = [coefficients[int(place)] for place in graph.outputs]
        outputs = tuple(
            (state, None if weight == 1 else f"× {number(weight)}")
            for state, weight in zip(cell.outputs, weights, strict=True)
            if weight != 0
        )
        offset = coefficients[graph.size] if len(coefficients) > graph.size else 0.0
        constant = number(offset) if offset != 0 or not outputs else None
        return replace(cls.of(cell), nodes=tuple(nodes), outputs=outputs, constant=constant)

    def needed(self) -> set[int]:
        """The states that the output depends on."""
        needed = {state for state, _ in self.outputs}
        for place in reversed(range(len(self.nodes))):
            if self.inputs + place in needed:
                needed |= {term.source for term in self.nodes[place] if term.source is not None}
        return needed


def number(value: float) -> str:
    """A coefficient with three digits.

    >>> [number(value) for value in (2.0, -0.12345, 130000.0, 6.62607e-34, 1234.5)]
    ['2', '−0.123', '1.3e5', '6.63e−34', '1230']
    """
    rounded = float(f"{value:.3g}")
    text = f"{rounded:.6g}" if 1e-3 <= abs(rounded) < 1e5 else f"{rounded:.3g}"
    mantissa, _, exponent = text.partition("e")
    return (f"{mantissa}e{int(exponent)}" if exponent else mantissa).replace("-", "−")


def _term(slot: Slot, own: Sequence[float]) -> _Term | None:
    """An edge with its coefficients, a constant where they make it one, None where they make it nothing."""
    primitive = slot.primitive
    if primitive.coefficients == "exponent" and own[0] == 0:
        return None
    if primitive.coefficients == "constant" or (primitive.coefficients in ("scale", "affine") and own[0] == 0):
        argument = np.array([own[-1]], dtype=float)
        with np.errstate(all="ignore"):  # it need not be defined there
            value = float(argument[0] if primitive.coefficients == "constant" else primitive.value(argument)[0])
        return _Term(None, number(value), primitive.name, primitive.combination) if value != 0 else None
    return _Term(slot.source, _with_coefficients(primitive, own), primitive.name, primitive.combination)


def _with_coefficients(primitive: Primitive, own: Sequence[float]) -> str:
    match primitive.coefficients:
        case "scale":
            return f"{primitive.name}\n{number(own[0])}·x"
        case "affine":
            summand = f" {'−' if own[1] < 0 else '+'} {number(abs(own[1]))}" if own[1] else ""
            return f"{primitive.name}\n{number(own[0])}·x{summand}"
        case "shape":
            return f"{primitive.name}\na = {number(own[0])}"
        case "exponent":
            return f"{primitive.name}\nx^{number(own[0])}"
        case _:
            return primitive.name


def _combination(operation: str) -> str:
    return operation if operation in MULTIPLICATIVE else "add"


def _graph(parts: _Parts, names: Sequence[str], target: str) -> tuple[list[State], list[Arrow]]:
    """Vertices and edges of the drawing: needed columns, constants, needed nodes, the output."""
    needed = parts.needed()
    states: list[State] = []
    place: dict[int, int] = {}  # of the columns and nodes, among the vertices
    for column in sorted(state for state in needed if state < parts.inputs):
        place[column] = len(states)
        states.append(State(names[column], end=True))
    nodes = sorted(state for state in needed if state >= parts.inputs)
    constants: dict[tuple[int, int], int] = {}  # of a node's terms, among the vertices
    for node in nodes:
        for index, term in enumerate(parts.nodes[node - parts.inputs]):
            if term.source is None:
                constants[node, index] = len(states)
                states.append(State(term.label, end=True, late=True))
    offset = len(states)
    if parts.constant is not None:
        states.append(State(parts.constant, end=True, late=True))
    arrows: list[Arrow] = []
    for node in nodes:
        terms = parts.nodes[node - parts.inputs]
        place[node] = len(states)
        states.append(
            State(_symbol(terms) if terms else parts.empty[node - parts.inputs], end=not terms, late=not terms)
        )
        for index, term in enumerate(terms):
            if term.source is None:
                arrows.append(Arrow(constants[node, index], place[node], None, OUTPUT))
            else:
                arrows.append(Arrow(place[term.source], place[node], term.label, kind_of(term.operation)))
    arrows += [Arrow(place[state], len(states), label, OUTPUT) for state, label in parts.outputs]
    if parts.constant is not None:
        arrows.append(Arrow(offset, len(states), None, OUTPUT))
    return [*states, State(target, end=True)], arrows


def _symbol(terms: Iterable[_Term]) -> str:
    """How a node is written: ∑ and ∏ in the order in which it folds its terms."""
    return "".join(symbol for symbol, _ in groupby(SYMBOLS[term.combination] for term in terms))


def _short(name: str) -> str:
    """A name on one line, with an ellipsis where it is long."""
    name = " ".join(name.split())
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
