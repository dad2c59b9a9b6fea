"""Candidates: graphs that were decoded, refitted on one part of the data, and judged on the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from archgrad.discovery.problem import Problem
from archgrad.discovery.refit import Fit, refit
from archgrad.discovery.snap import FLOOR
from archgrad.discovery.starts import best_starts
from archgrad.genotype import Cell
from archgrad.ops.symbolic import Primitive
from archgrad.spaces.expression.graph import Graph

START_ROWS = 60
SCREEN_ROWS = 140
"""Most starts are given up after a look at so few rows."""

MEMORY = 2**24
"""The most numbers that a Jacobian may hold; wide tables get fewer starts."""

EXACT = 1e-16
"""A relative loss, on both parts, that only the law itself reaches."""


@dataclass(frozen=True)
class Parts:
    """The rows that coefficients are fitted to, those that candidates are judged by, and samples of the former."""

    train: Problem
    validation: Problem
    screen: Problem
    start: Problem

    @classmethod
    def split(cls, problem: Problem, *, fraction: float, generator: np.random.Generator) -> "Parts":
        """Set a share of the rows aside; a table of fewer than five rows serves as both parts."""
        order = generator.permutation(problem.rows)
        held = max(1, round(fraction * problem.rows)) if problem.rows >= 5 else 0
        train = problem.subset(order[held:])
        validation = problem.subset(order[:held]) if held else train
        rows = np.arange(train.rows)
        return cls(train, validation, train.subset(rows[:SCREEN_ROWS]), train.subset(rows[:START_ROWS]))


@dataclass(frozen=True)
class Effort:
    """How hard a graph is fitted: starts drawn, kept, the share of them kept for their loss, and iterations."""

    drawn: int = 1500
    kept: int = 150
    greedy: float = 0.5
    iterations: int = 60

    def within(self, size: int, rows: int) -> "Effort":
        """The same, with as many starts as memory allows for graphs of this size."""
        most = max(4, MEMORY // max(size * rows, 1))
        return Effort(min(self.drawn, most), min(self.kept, most), self.greedy, self.iterations)


@dataclass(frozen=True, eq=False)  # arrays have no truth value to compare by
class Candidate:
    """A graph with fitted coefficients, its relative losses on both parts, and where it came from.

    `size` counts the edges and coefficients that do something.
    """

    cell: Cell
    offset: bool
    coefficients: Float[np.ndarray, "size"]
    loss: float
    validation_loss: float
    size: int
    stage: str

    @property
    def exact(self) -> bool:
        """Whether nothing is left to explain."""
        return max(self.loss, self.validation_loss) < EXACT


def fit_candidate(
    cell: Cell,
    parts: Parts,
    generator: np.random.Generator,
    *,
    effort: Effort,
    stage: str,
    offset: bool = True,
    warm: Float[np.ndarray, "starts size"] | None = None,
    primitives: Mapping[str, Primitive] | None = None,
) -> list[Candidate]:
    """Fit a graph from many starts, and once more with its exponents rounded; return what is worth judging.

    `warm` are starts that are tried beside those drawn. An empty list means that the graph is not defined on the data.
    """
    graph = Graph(cell, primitives=primitives, offset=offset)
    effort = effort.within(graph.size, parts.screen.rows)
    starts = best_starts(graph, parts.start, generator, drawn=effort.drawn, kept=effort.kept, greedy=effort.greedy)
    if warm is not None:
        starts = np.concatenate([warm, starts])
    fit = refit(graph, parts.screen, starts, iterations=effort.iterations, solve_outputs=False)
    found = [(float(fit.losses[0]), fit.coefficients[0]), *_rounded(graph, parts.screen, fit)]
    candidates = []
    for loss, coefficients in found:
        if not np.isfinite(loss):
            continue
        if parts.train.rows > parts.screen.rows and loss > EXACT:
            whole = refit(graph, parts.train, coefficients[None], iterations=15, solve_outputs=False)
            coefficients = whole.coefficients[0]
        losses = [float(part.losses(graph, coefficients[None])[0]) for part in (parts.train, parts.validation)]
        if np.isfinite(losses).all():
            size = _size(graph, coefficients)
            candidates.append(Candidate(cell, offset, coefficients, *losses, size=size, stage=stage))
    return candidates


def _rounded(graph: Graph, problem: Problem, fit: Fit) -> list[tuple[float, np.ndarray]]:
    """The best fits with exponents that are whole, and that are whole or halves.

    Smooth families come close to each other, and a refit of free exponents ends in one of the many that are close; the
    law itself has simple exponents, and with these fixed the other coefficients find it.
    """
    exponents = graph.exponents()
    if not len(exponents):
        return []
    found = []
    for denominator in (1, 2):
        starts = fit.coefficients.copy()
        starts[:, exponents] = np.round(starts[:, exponents] * denominator) / denominator
        starts = np.unique(starts, axis=0)
        fixed = np.zeros(starts.shape, dtype=bool)
        fixed[:, exponents] = True
        rounded = refit(graph, problem, starts, iterations=40, fixed=fixed)
        found.append((float(rounded.losses[0]), rounded.coefficients[0]))
    return found


def _size(graph: Graph, coefficients: np.ndarray) -> int:
    """Edges without coefficients, exponents that are not zero, and all other coefficients."""
    plain = sum(slot.primitive.size == 0 for slots in graph.nodes for slot in slots)
    idle = np.abs(coefficients[graph.exponents()]) < 1e-3
    return plain + graph.size - int(idle.sum())


def price(candidate: Candidate, rows: int) -> float:
    """The Bayesian information criterion by the held-out loss: n ln(loss) + size · ln n."""
    return rows * float(np.log(candidate.validation_loss + FLOOR)) + candidate.size * float(np.log(max(rows, 2)))


def front(candidates: Sequence[Candidate], *, most: int) -> list[Candidate]:
    """The candidates that no smaller one beats on the held-out rows, by ascending size, at most so many."""
    kept: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda c: (c.size, c.validation_loss)):
        if not kept or candidate.validation_loss + FLOOR < 0.98 * (kept[-1].validation_loss + FLOOR):
            kept.append(candidate)
    return kept if len(kept) <= most else [kept[i] for i in np.linspace(0, len(kept) - 1, most).round().astype(int)]
