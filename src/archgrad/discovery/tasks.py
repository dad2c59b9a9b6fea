"""Pieces of a discovery that can run anywhere and in any order: each fits some graphs, with randomness of its own."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from archgrad.discovery.candidates import Candidate, Effort, Parts, fit_candidate
from archgrad.discovery.gradient import GradientSearch, decoded_candidates
from archgrad.discovery.plan import Plan
from archgrad.genotype import Cell, Edge
from archgrad.seeding import derive
from archgrad.spaces.expression.graph import LINEAR
from archgrad.spaces.expression.laws import EXPRESSION, laws
from archgrad.spaces.expression.space import ExpressionSpace

ENUMERATED = Effort(drawn=96, kept=16, greedy=0.75, iterations=40)
"""Enumerated graphs are small, and there are many."""

LAW = (Effort(greedy=0.5), Effort(greedy=0.9))
"""Laws are fitted in turns: with many starts by lot, and with the best by loss."""

DECODED = Effort(drawn=400, kept=48, greedy=0.75, iterations=50)
"""Graphs that a search or the lot has come up with."""

CHUNK = 12
"""Graphs in a piece of work."""


@runtime_checkable
class Task(Protocol):
    """A piece of work: equal tasks give equal candidates, in whichever process they run."""

    @property
    def stage(self) -> str: ...

    def __call__(self, parts: Parts, plan: Plan, deadline: float) -> list[Candidate]: ...


@dataclass(frozen=True)
class FitTask:
    """Fit some graphs; `key` makes the randomness of this task its own."""

    cells: tuple[tuple[Cell, bool], ...]
    effort: Effort
    stage: str
    key: tuple[int | str, ...]

    def __call__(self, parts: Parts, plan: Plan, deadline: float) -> list[Candidate]:
        found: list[Candidate] = []
        for place, (cell, offset) in enumerate(self.cells):
            found += fit_candidate(
                cell,
                parts,
                np.random.default_rng(derive(plan.seed, *self.key, place)),
                effort=self.effort,
                stage=self.stage,
                offset=offset,
                primitives=plan.custom,
            )
            if any(plan.reached(candidate) for candidate in found):
                break
        return found


@dataclass(frozen=True)
class GradientTask:
    """Search by gradient descent on logits, then fit what the mixtures decode to."""

    search: GradientSearch
    key: tuple[int | str, ...]
    stage: str = "gradient"

    def __call__(self, parts: Parts, plan: Plan, deadline: float) -> list[Candidate]:
        found: list[Candidate] = []
        for place, cell in enumerate(decoded_candidates(self.search, parts, plan, deadline=deadline)):
            found += fit_candidate(
                cell,
                parts,
                np.random.default_rng(derive(plan.seed, *self.key, place)),
                effort=DECODED,
                stage=self.stage,
                primitives=plan.custom,
            )
        return found


def tasks(plan: Plan, columns: int, scales: Sequence[float]) -> Iterator[Task]:
    """All tasks of a plan in order, without end if the plan has no number of rounds."""
    if plan.strategy in ("full", "enumeration"):
        yield from _lines(plan, columns)
        yield from _enumeration(plan, columns)
    for number in itertools.count() if plan.rounds is None else range(plan.rounds):
        if plan.strategy in ("full", "enumeration") and plan.has_powers:
            yield from _laws(plan, columns, number)
        if plan.strategy in ("full", "gradient"):
            yield from _gradient(plan, columns, scales, number)
        if plan.strategy == "random":
            yield from _random(plan, columns, number)
        if plan.strategy == "enumeration" and not plan.has_powers:
            return


def _lines(plan: Plan, columns: int) -> Iterator[Task]:
    """The line through all columns, from which snapping leaves those that matter."""
    if any(primitive.name in LINEAR for primitive in plan.primitives):
        edges = tuple(Edge("mult", column) for column in range(columns))
        yield FitTask(((Cell(EXPRESSION, (edges,), (columns,), columns), True),), ENUMERATED, "line", ("line",))


def _enumeration(plan: Plan, columns: int) -> Iterator[Task]:
    """All graphs of sums with up to so many nodes, as long as they can be counted."""
    left = plan.enumeration_limit
    for nodes in range(1, plan.nodes + 1):
        space = ExpressionSpace(columns=columns, nodes=nodes, primitives=plan.additive)
        left -= space.count()
        if left < 0:
            return
        cells = ((genotype.cells[0], True) for genotype in space.graphs())
        for number, chunk in enumerate(_batched(cells, CHUNK)):
            yield FitTask(chunk, ENUMERATED, "enumeration", ("enumeration", nodes, number))


def _batched(items: Iterator[tuple[Cell, bool]], size: int) -> Iterator[tuple[tuple[Cell, bool], ...]]:
    while chunk := tuple(itertools.islice(items, size)):
        yield chunk


def _laws(plan: Plan, columns: int, number: int) -> Iterator[Task]:
    for place, law in enumerate(laws(plan.functions)):
        cell = law.cell(columns)
        yield FitTask(((cell, law.constant),), LAW[number % 2], "law", ("law", number, place))


def _gradient(plan: Plan, columns: int, scales: Sequence[float], number: int) -> Iterator[Task]:
    for layout in plan.layouts:
        space = plan.space(columns, layout, scales=tuple(scales), restarts=plan.restarts)
        search = GradientSearch(space, seed=derive(plan.seed, "gradient", layout, number))
        yield GradientTask(search, ("gradient", layout, number))


def _random(plan: Plan, columns: int, number: int) -> Iterator[Task]:
    """Graphs drawn uniformly from the spaces that the gradient searches: what it has to beat."""
    for layout in plan.layouts:
        space = plan.space(columns, layout)
        generator = np.random.default_rng(derive(plan.seed, "random", layout, number))
        cells = tuple((space.random_genotype(generator).cells[0], True) for _ in range(CHUNK))
        yield FitTask(cells, DECODED, "random", ("random", layout, number))
