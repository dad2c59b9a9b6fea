"""Where a refit starts: coefficients drawn by what they do, at the scale of what they meet."""

import numpy as np
from jaxtyping import Float

from archgrad.discovery.problem import Problem
from archgrad.discovery.refit import solve_output_layer
from archgrad.spaces.expression.graph import Graph, Slot, Tape

EXPONENTS = np.array([-2.0, -1.0, -1.0, -0.5, 0.5, 1.0, 1.0, 2.0])
"""Exponents that laws have, the usual ones twice."""

SCALE = (0.2, 4.0)
"""A coefficient brings what it multiplies to a size between these."""

FREQUENCY = (0.3, 30.0)
"""The same for the argument of a periodic function, in radians over the range of the data."""

PERIODIC = ("sin", "cos")


def draw(
    graph: Graph, problem: Problem, generator: np.random.Generator, *, count: int
) -> Float[np.ndarray, "count size"]:
    """Draw `count` coefficient vectors, node by node.

    About two of a product's exponents are not zero; a, in f(a·x + b), is signed and log-uniform over `SCALE` divided by
    the size of x, or over `FREQUENCY` where a sine or cosine follows. Output weights are one.
    """
    theta = np.zeros((count, graph.size))
    theta[:, graph.outputs] = 1.0
    tape = Tape(problem.inputs, theta, 0)
    for node, slots in enumerate(graph.nodes):
        columns = sum(slot.primitive.combination == "powered" and slot.source < graph.cell.inputs for slot in slots)
        share = min(0.8, max(0.35, 1.8 / max(columns, 1)))
        periodic = _feeds_periodic(graph, node)
        for slot in slots:
            _draw_slot(slot, tape.states[slot.source], theta, generator, share=share, periodic=periodic)
        graph.extend(tape, node)
    return theta


def _feeds_periodic(graph: Graph, node: int) -> bool:
    state = graph.cell.inputs + node
    return any(slot.source == state and slot.primitive.name in PERIODIC for slots in graph.nodes for slot in slots)


def _draw_slot(
    slot: Slot,
    source: np.ndarray,
    theta: np.ndarray,
    generator: np.random.Generator,
    *,
    share: float,
    periodic: bool,
) -> None:
    count, primitive = len(theta), slot.primitive
    if primitive.coefficients == "exponent":
        theta[:, slot.start] = generator.choice(EXPONENTS, count)
        if source.ndim == 1:  # a column: a product of powers needs few of them, but all of its factors
            theta[:, slot.start] *= generator.random(count) < share
        return
    if primitive.size == 0:
        return
    low, high = FREQUENCY if periodic or primitive.name.endswith(PERIODIC) else SCALE
    size = 1.0
    if primitive.coefficients != "constant":
        with np.errstate(all="ignore"):
            size = np.mean(np.abs(np.broadcast_to(source, (count, source.shape[-1]))), axis=1)
        size = np.where(np.isfinite(size) & (size > 0), size, 1.0)
    magnitude = np.exp(generator.uniform(np.log(low), np.log(high), count))
    theta[:, slot.start] = generator.choice((-1.0, 1.0), count) * magnitude / size
    if primitive.coefficients == "affine":
        theta[:, slot.start + 1] = generator.choice((1.0, 1.0, 1.0, -1.0, 0.0), count)


def best_starts(
    graph: Graph, problem: Problem, generator: np.random.Generator, *, drawn: int, kept: int, greedy: float = 0.5
) -> Float[np.ndarray, "kept size"]:
    """Draw many starts, solve the output layer of each, and keep some: a share for their low loss, the rest by lot.

    The lot matters: the lowest losses are often all those of one family that comes close to the law and is not it.
    """
    theta = draw(graph, problem, generator, count=drawn)
    solve_output_layer(graph, problem, theta, free=np.ones_like(theta))
    losses = problem.losses(graph, theta)
    order = np.argsort(losses, kind="stable")
    order = order[: max(1, int(np.isfinite(losses).sum()))]
    best = order[: max(1, round(kept * greedy))]
    lot = generator.permutation(order[len(best) :])[: kept - len(best)]
    return theta[np.concatenate([best, lot])]
