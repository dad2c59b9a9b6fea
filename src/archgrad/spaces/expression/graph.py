"""Decoded expression graphs with free coefficients, evaluated for many coefficient vectors at once, with derivatives.

y = c₀ + Σ_j c_j · node_j, where a node folds its edges in order (`archgrad.ops.symbolic.Primitive`). The Jacobian by
the coefficients comes from one backward pass over the graph, in float64, for a batch of coefficient vectors
[batch, coefficients]: a refit starts from many points, and for one most of the time would be overhead.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import sympy
from jaxtyping import Float

from archgrad.genotype import Cell
from archgrad.ops.symbolic import PRIMITIVES, Primitive

MULTIPLICATIVE = ("multiply", "divide", "power", "powered")
"""Combinations that need something to work on; a node that starts with one starts from 1."""

LINEAR = ("mult", "linear", "constant")
"""Primitives that are linear in their coefficients."""

TINY = 1e-300
"""Stands for zero under a logarithm, so that 0^0 is 1 and 0^a is 0 or infinite."""

Pullback: TypeAlias = Callable[[np.ndarray], np.ndarray]
"""The derivative of y by what an edge made of a node -> by what the node had before; what the edge itself reads, and
its coefficients, are credited on the way."""


class Slot(NamedTuple):
    """An edge in place: what it does, where it reads, and where its coefficients start."""

    primitive: Primitive
    source: int
    start: int


class Tape:
    """The states of a forward pass, and the derivatives that its backward pass collects."""

    def __init__(self, inputs: np.ndarray, coefficients: np.ndarray, size: int) -> None:
        self.coefficients = coefficients
        self.states: list[np.ndarray] = list(inputs)
        self.columns = len(inputs)
        self.adjoints: dict[int, np.ndarray] = {}
        self.jacobian = np.zeros((len(coefficients), size, inputs.shape[1]))

    def credit(self, state: int, derivative: np.ndarray) -> None:
        """Add to ∂y/∂state; the columns of the data need none."""
        if state >= self.columns:
            known = self.adjoints.get(state)
            self.adjoints[state] = derivative if known is None else known + derivative

    def column(self, place: int) -> np.ndarray:
        """A coefficient of every member of the batch, [batch, 1]."""
        return self.coefficients[:, place, None]


class Graph:
    """The function family of a cell: `size` coefficients, laid out edge by edge, then c_j for each output, then c₀.

    Arguments:
        cell: whose states are the columns of the data, then the nodes; its outputs are the nodes that y is made of.
        primitives: those of the user's own by name, in addition to the table's.
        offset: whether c₀ is a coefficient; without, it is 0.

    >>> from archgrad.genotype import Edge
    >>> line = Graph(Cell("expression", ((Edge("exp", 0),),), outputs=(1,), inputs=1))
    >>> line.expression([2.0, 3.0], [sympy.Symbol("x")])
    2.0*exp(x) + 3.0
    >>> value, jacobian = line.evaluate(np.array([[2.0, 3.0]]), np.array([[0.0, 1.0]]))
    >>> value.round(3), jacobian.round(3)
    (array([[5.   , 8.437]]), array([[[1.   , 2.718],
            [1.   , 1.   ]]]))

    Raises:
        ValueError: an operation is neither in the table nor in `primitives`, or a node has no edge.
    """

    def __init__(self, cell: Cell, *, primitives: Mapping[str, Primitive] | None = None, offset: bool = True) -> None:
        known = {**PRIMITIVES, **(primitives or {})}
        self.cell, self.offset = cell, offset
        self.nodes: list[list[Slot]] = []
        place = 0
        for edges in cell.nodes:
            slots = []
            for edge in edges:
                if edge.operation not in known:
                    raise ValueError(f"cell: operation {edge.operation!r} is no primitive; custom ones must be given.")
                slots.append(Slot(known[edge.operation], edge.source, place))
                place += slots[-1].primitive.size
            self.nodes.append(slots)
        self.outputs = list(range(place, place + len(cell.outputs)))
        self.size = place + len(cell.outputs) + offset

    def exponents(self) -> np.ndarray:
        """The places of all exponents of products of powers."""
        places = [slot.start for slots in self.nodes for slot in slots if slot.primitive.combination == "powered"]
        return np.array(places, dtype=np.intp)

    def rays(self) -> dict[int, list[int]]:
        """For each coefficient of a node that is linear in its coefficients, the places of all of that node's."""
        found: dict[int, list[int]] = {}
        for slots in self.nodes:
            if all(slot.primitive.name in LINEAR for slot in slots):
                places = [slot.start + part for slot in slots for part in range(slot.primitive.size)]
                found.update(dict.fromkeys(places, places))
        return found

    def states(
        self, coefficients: Float[np.ndarray, "batch size"], inputs: Float[np.ndarray, "columns rows"]
    ) -> list[np.ndarray]:
        """The columns [rows] and the nodes [batch, rows]."""
        tape = Tape(inputs, coefficients, 0)
        for node in range(len(self.nodes)):
            self.extend(tape, node)
        return tape.states

    def extend(self, tape: Tape, node: int) -> list[Pullback]:
        """Append the state of node number `node`; return what its backward pass consists of, edge by edge."""
        with np.errstate(all="ignore"):
            state, pullbacks = _forward(self.nodes[node], tape)
        tape.states.append(np.broadcast_to(state, (len(tape.coefficients), tape.jacobian.shape[2])))
        return pullbacks

    def evaluate(
        self, coefficients: Float[np.ndarray, "batch size"], inputs: Float[np.ndarray, "columns rows"]
    ) -> tuple[Float[np.ndarray, "batch rows"], Float[np.ndarray, "batch size rows"]]:
        """Return y and ∂y/∂coefficients. Where a function is not defined, y is not a number."""
        tape = Tape(inputs, coefficients, self.size)
        pullbacks = [self.extend(tape, node) for node in range(len(self.nodes))]
        with np.errstate(all="ignore"):
            value = np.zeros((len(coefficients), inputs.shape[1]))
            for place, state in zip(self.outputs, self.cell.outputs, strict=True):
                value += tape.column(place) * tape.states[state]
                tape.jacobian[:, place] = tape.states[state]
                tape.credit(state, np.broadcast_to(tape.column(place), value.shape))
            if self.offset:
                value += coefficients[:, -1:]
                tape.jacobian[:, -1] = 1.0
            for node in reversed(range(len(self.nodes))):
                adjoint = tape.adjoints.pop(self.cell.inputs + node, None)
                if adjoint is not None:  # else nothing reads the node
                    for pullback in reversed(pullbacks[node]):
                        adjoint = pullback(adjoint)
        return value, tape.jacobian

    def predict(
        self, coefficients: Float[np.ndarray, "size"], inputs: Float[np.ndarray, "columns rows"]
    ) -> Float[np.ndarray, "rows"]:
        """y of one coefficient vector."""
        states = self.states(coefficients[None], inputs)
        total = np.full(inputs.shape[1], coefficients[-1] if self.offset else 0.0)
        for place, state in zip(self.outputs, self.cell.outputs, strict=True):
            total = total + coefficients[place] * np.broadcast_to(states[state], (1, inputs.shape[1]))[0]
        return total

    def signs(
        self, coefficients: Float[np.ndarray, "size"], inputs: Float[np.ndarray, "columns rows"]
    ) -> tuple[int, ...]:
        """For every state 1 or −1 where it keeps that sign on all rows, else 0."""
        states = self.states(coefficients[None], inputs)
        return tuple(1 if (state > 0).all() else -1 if (state < 0).all() else 0 for state in states)

    def expression(
        self,
        coefficients: Sequence[Any],
        symbols: Sequence[sympy.Symbol],
        *,
        signs: Sequence[int] | None = None,
    ) -> sympy.Expr:
        """The formula with these coefficients, numbers or sympy's, over `symbols`, one for each column.

        `signs` says which states keep their sign (see the method), so that |s|^a can be written without the bars.
        """
        coefficients = [sympy.sympify(value) for value in coefficients]
        signs = (0,) * (len(symbols) + len(self.nodes)) if signs is None else signs
        states: list[Any] = list(symbols)
        for slots in self.nodes:
            states.append(_symbolic_node(slots, states, coefficients, signs=signs))
        total = coefficients[self.size - 1] if self.offset else sympy.Integer(0)
        for place, state in zip(self.outputs, self.cell.outputs, strict=True):
            total = total + coefficients[place] * states[state]
        return sympy.sympify(total)


def _forward(slots: Sequence[Slot], tape: Tape) -> tuple[np.ndarray, list[Pullback]]:
    """Fold the edges of a node; neighbouring powers are one product, exp(Σ a ln|x|)."""
    if not slots:
        raise ValueError("cell: a node has no edge.")
    total = np.full((1, 1), float(slots[0].primitive.combination in MULTIPLICATIVE))
    pullbacks: list[Pullback] = []
    index = 0
    while index < len(slots):
        combination, end = slots[index].primitive.combination, index + 1
        if combination == "powered":
            while end < len(slots) and slots[end].primitive.combination == "powered":
                end += 1
            total, pullback = _powered(total, slots[index:end], tape)
        elif combination == "add":
            total, pullback = _added(total, slots[index], tape)
        else:
            total, pullback = _BINARY[combination](total, slots[index].source, tape)
        pullbacks.append(pullback)
        index = end
    return total, pullbacks


def _added(total: np.ndarray, slot: Slot, tape: Tape) -> tuple[np.ndarray, Pullback]:
    """s + o(x) with the coefficients of o (see `Primitive`)."""
    primitive, x, start = slot.primitive, tape.states[slot.source], slot.start
    kind = primitive.coefficients
    if kind == "constant":
        return total + tape.column(start), partial(_pull_constant, slot, tape)
    a = tape.column(start) if kind else np.ones((1, 1))
    u = a * x + tape.column(start + 1) if kind == "affine" else a * x
    value, slope = primitive.value(u), primitive.slope(u)
    added = value / a if kind == "shape" else value
    return total + added, partial(_pull_added, slot, tape, a, u, value, slope)


def _pull_constant(slot: Slot, tape: Tape, adjoint: np.ndarray) -> np.ndarray:
    tape.jacobian[:, slot.start] = adjoint
    return adjoint


def _pull_added(
    slot: Slot, tape: Tape, a: np.ndarray, u: np.ndarray, value: np.ndarray, slope: np.ndarray, adjoint: np.ndarray
) -> np.ndarray:
    kind, inner = slot.primitive.coefficients, adjoint * slope
    if kind == "shape":
        tape.jacobian[:, slot.start] = adjoint * (slope * u - value) / a**2
    elif kind:
        tape.jacobian[:, slot.start] = inner * tape.states[slot.source]
    if kind == "affine":
        tape.jacobian[:, slot.start + 1] = inner
    tape.credit(slot.source, inner if kind == "shape" else inner * a)
    return adjoint


def _powered(total: np.ndarray, slots: Sequence[Slot], tape: Tape) -> tuple[np.ndarray, Pullback]:
    """s · Π x_i^{a_i} = s · exp(Σ a_i ln|x_i|), with the sign of each negative x_i whose a_i is nearest to odd."""
    logarithms = [np.log(np.maximum(np.abs(tape.states[slot.source]), TINY)) for slot in slots]
    factor = np.exp(sum(tape.column(slot.start) * log for slot, log in zip(slots, logarithms, strict=True)))
    for slot in slots:
        negative = tape.states[slot.source] < 0
        if negative.any():
            odd = np.round(tape.column(slot.start)) % 2 == 1
            factor = np.where(odd & negative, -factor, factor)
    return total * factor, partial(_pull_powered, slots, tape, logarithms, factor, total * factor)


def _pull_powered(
    slots: Sequence[Slot],
    tape: Tape,
    logarithms: Sequence[np.ndarray],
    factor: np.ndarray,
    product: np.ndarray,
    adjoint: np.ndarray,
) -> np.ndarray:
    weighted = adjoint * product
    for slot, logarithm in zip(slots, logarithms, strict=True):
        tape.jacobian[:, slot.start] = weighted * logarithm
        if slot.source >= tape.columns:
            tape.credit(slot.source, weighted * tape.column(slot.start) / tape.states[slot.source])
    return adjoint * factor


def _multiplied(total: np.ndarray, source: int, tape: Tape) -> tuple[np.ndarray, Pullback]:
    return total * tape.states[source], partial(_pull_multiplied, total, source, tape)


def _pull_multiplied(total: np.ndarray, source: int, tape: Tape, adjoint: np.ndarray) -> np.ndarray:
    tape.credit(source, adjoint * total)
    return adjoint * tape.states[source]


def _divided(total: np.ndarray, source: int, tape: Tape) -> tuple[np.ndarray, Pullback]:
    return total / tape.states[source], partial(_pull_divided, total, source, tape)


def _pull_divided(total: np.ndarray, source: int, tape: Tape, adjoint: np.ndarray) -> np.ndarray:
    tape.credit(source, -adjoint * total / tape.states[source] ** 2)
    return adjoint / tape.states[source]


def _raised(total: np.ndarray, source: int, tape: Tape) -> tuple[np.ndarray, Pullback]:
    """|s|^x."""
    value = np.abs(total) ** tape.states[source]
    return value, partial(_pull_raised, total, source, tape, value)


def _pull_raised(total: np.ndarray, source: int, tape: Tape, value: np.ndarray, adjoint: np.ndarray) -> np.ndarray:
    tape.credit(source, adjoint * value * np.log(np.abs(total)))
    return adjoint * value * tape.states[source] / total


_BINARY = {"multiply": _multiplied, "divide": _divided, "power": _raised}


def _symbolic_node(
    slots: Sequence[Slot], states: Sequence[Any], coefficients: Sequence[Any], *, signs: Sequence[int]
) -> Any:
    total: Any = sympy.Integer(1 if slots[0].primitive.combination in MULTIPLICATIVE else 0)
    for slot in slots:
        primitive, x = slot.primitive, states[slot.source]
        a, b = (coefficients[slot.start + place] if primitive.size > place else None for place in (0, 1))
        match primitive.combination:
            case "multiply":
                total = total * x
            case "divide":
                total = total / x
            case "power":
                total = sympy.Abs(total) ** x
            case "powered":
                total = total * symbolic_power(x, a, sign=signs[slot.source])
            case _:
                total = total + symbolic_operation(primitive, x, a, b)
    return total


def symbolic_power(x: Any, a: Any, *, sign: int) -> Any:
    """x^a as `powered` has it: for whole a the power itself, else |x|^a, with the sign of x if a is nearest to odd."""
    if a.is_integer or x.is_nonnegative:
        return x**a
    odd = round(float(a)) % 2 == 1
    if sign:
        return (sign * x) ** a * (sign if odd else 1)
    return sympy.Abs(x) ** a * (sympy.sign(x) if odd else 1)


def symbolic_operation(primitive: Primitive, x: Any, a: Any, b: Any) -> Any:
    """o(x) as sympy writes it; `a` and `b` are None where the primitive has no such coefficient."""
    match primitive.coefficients:
        case "":
            return primitive.expression(x)
        case "constant":
            return a
        case "scale":
            return primitive.expression(a * x)
        case "shape":
            return primitive.expression(a * x) / a
        case _:
            return primitive.expression(a * x + b)
