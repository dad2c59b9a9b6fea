"""Discovery: tasks are carried out in order until a law leaves nothing to explain; the best are snapped and written.

The order of the tasks, and what each draws, follow from the seed alone. Results are taken in order, whatever process
they come from, so that a discovery does not depend on the number of processes; only a time limit makes it depend on
the machine.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from archgrad.discovery.candidates import Candidate, Effort, Parts, fit_candidate, front, price
from archgrad.discovery.equation import Columns, Equation, Equations, equation_of
from archgrad.discovery.plan import Plan
from archgrad.discovery.problem import Problem
from archgrad.discovery.snap import Law, snap
from archgrad.discovery.tasks import Task, tasks
from archgrad.genotype import Cell, Edge
from archgrad.seeding import derive
from archgrad.spaces.expression.graph import Graph
from archgrad.spaces.expression.laws import EXPRESSION

SEARCHING = 0.8
"""The share of a time limit after which no new graph is fitted; the rest is for snapping and writing."""

SNAP_ROWS = 1000
"""Rows that a simpler law is weighed on."""


@dataclass(frozen=True)
class DiscoveryProgress:
    """How far a discovery is: `round` counts the tasks done, `candidates` the graphs judged so far.

    `losses` is the best relative held-out loss after each task. `best` is the best law so far, not snapped yet, or None
    when there is none.
    """

    round: int
    stage: str
    seconds: float
    candidates: int
    losses: list[float]
    leader: Candidate | None = field(repr=False)
    write: Callable[[Candidate], Equation] = field(repr=False)

    @property
    def best(self) -> Equation | None:
        """The best law so far; writing it down takes a moment."""
        return None if self.leader is None else self.write(self.leader)


Monitor = Callable[[DiscoveryProgress], object]


@dataclass(frozen=True)
class Discovery:
    """What was found: the front of equations, and how many graphs were judged in how many seconds."""

    equations: Equations
    candidates: int
    seconds: float
    reached_time_limit: bool


def discover(
    problem: Problem,
    columns: Columns,
    plan: Plan,
    *,
    n_jobs: int = 1,
    monitor: Monitor | None = None,
    known: Sequence[Candidate] = (),
) -> Discovery:
    """Look for laws of a problem whose inputs are `columns`; `known` candidates compete with those that are found."""
    started = time.time()
    deadline = float("inf") if plan.time_limit is None else started + SEARCHING * plan.time_limit
    parts = split(problem, plan)
    writer = Writer(problem, parts, columns, plan)
    pool = [constant_candidate(parts), *(fitted for candidate in known for fitted in _again(candidate, parts, plan))]
    losses: list[float] = []
    out_of_time = False
    if pool[0].exact:  # the targets are constant
        return Discovery(Equations([writer(pool[0])]), 1, time.time() - started, out_of_time)
    scales = [float(scale) for scale in np.abs(problem.inputs).mean(axis=1).clip(1e-300, 1e300)]
    for number, (task, found) in enumerate(_carried_out(plan, parts, scales, deadline=deadline, n_jobs=n_jobs), 1):
        pool += found
        leader = min(pool, key=lambda candidate: candidate.validation_loss)
        losses.append(leader.validation_loss)
        if monitor is not None:
            seconds = time.time() - started
            monitor(DiscoveryProgress(number, task.stage, seconds, len(pool), list(losses), leader, writer))
        if any(plan.reached(candidate) for candidate in found):
            break
        if time.time() > deadline:
            out_of_time = True
            break
    finalists = _finalists(pool, parts, plan)
    written = _written(finalists, writer, n_jobs=n_jobs, started=started)
    return Discovery(_front(written), len(pool), time.time() - started, out_of_time)


def split(problem: Problem, plan: Plan) -> Parts:
    """The parts that a plan makes of a problem."""
    generator = np.random.default_rng(derive(plan.seed, "split"))
    return Parts.split(problem, fraction=plan.validation_fraction, generator=generator)


def _carried_out(
    plan: Plan, parts: Parts, scales: Sequence[float], *, deadline: float, n_jobs: int
) -> Iterator[tuple[Task, list[Candidate]]]:
    """Each task with what it found, in order."""
    planned = tasks(plan, len(parts.train.inputs), scales)
    if n_jobs == 1:
        for task in planned:
            yield task, task(parts, plan, deadline)
        return
    # Batches of one and a generator: results come in order, and closing it drops what is not needed any more.
    parallel: Any = Parallel(n_jobs=n_jobs, return_as="generator", batch_size=1, pre_dispatch="2*n_jobs")  # pyright: ignore[reportArgumentType]
    yield from parallel(delayed(_carry_out)(task, parts, plan, deadline) for task in planned)


def _carry_out(task: Task, parts: Parts, plan: Plan, deadline: float) -> tuple[Task, list[Candidate]]:
    if time.time() > deadline:
        return task, []
    return task, task(parts, plan, deadline)


def constant_candidate(parts: Parts) -> Candidate:
    """The law that y is constant: what every other has to beat."""
    cell = Cell(EXPRESSION, ((Edge("add", 0),),), (len(parts.train.inputs),), len(parts.train.inputs))
    coefficients = np.array([0.0, parts.train.constant])
    graph = Graph(cell)
    losses = [float(part.losses(graph, coefficients[None])[0]) for part in (parts.train, parts.validation)]
    return Candidate(cell, True, coefficients, *losses, size=1, stage="constant")


def _again(candidate: Candidate, parts: Parts, plan: Plan) -> list[Candidate]:
    """A candidate of an earlier fit, from where its coefficients were."""
    return fit_candidate(
        candidate.cell,
        parts,
        np.random.default_rng(derive(plan.seed, "known")),
        effort=Effort(drawn=16, kept=4),
        stage=candidate.stage,
        offset=candidate.offset,
        warm=candidate.coefficients[None],
        primitives=plan.custom,
    )


def _finalists(pool: Sequence[Candidate], parts: Parts, plan: Plan) -> list[Candidate]:
    """Those worth snapping: the front of size and held-out loss, and the best by the information criterion."""
    reached = [candidate for candidate in pool if plan.reached(candidate)]
    if reached:
        simplest = min(reached, key=lambda candidate: (candidate.size, candidate.validation_loss))
        smaller = [candidate for candidate in pool if candidate.size < simplest.size]
        return [simplest, *front(smaller, most=3)]
    ranked = sorted(pool, key=lambda candidate: price(candidate, parts.validation.rows))
    shapes: dict[Cell, Candidate] = {}
    for candidate in ranked:
        shapes.setdefault(candidate.cell, candidate)
    best = list(shapes.values())[: plan.most_equations]
    return [*best, *(c for c in front(pool, most=plan.most_equations) if c not in best)]


@dataclass(frozen=True)
class Writer:
    """Turns candidates into equations; can be sent to another process."""

    problem: Problem
    parts: Parts
    columns: Columns
    plan: Plan

    def __call__(self, candidate: Candidate) -> Equation:
        """The candidate as it is."""
        graph = Graph(candidate.cell, primitives=self.plan.custom, offset=candidate.offset)
        return self.judged(Law(graph, candidate.coefficients, {}, candidate.loss))

    def snapped(self, candidate: Candidate) -> Equation:
        """The candidate made simple on the training part, judged on the other, and fitted to all rows."""
        graph = Graph(candidate.cell, primitives=self.plan.custom, offset=candidate.offset)
        weighed = self.parts.train.subset(np.arange(min(SNAP_ROWS, self.parts.train.rows)))
        return self.judged(snap(graph, weighed, candidate.coefficients).refitted(self.parts.train))

    def judged(self, law: Law) -> Equation:
        """A law with its losses, and then fitted to all rows."""
        loss = float(self.parts.train.losses(law.graph, law.coefficients[None])[0])
        held, residuals, _ = self.parts.validation.residuals(law.graph, law.coefficients[None])
        with np.errstate(all="ignore"):
            error = float(np.std(residuals[0] ** 2) / np.sqrt(len(residuals[0])))
        losses = (loss, float(held[0]), error)
        return equation_of(
            law.refitted(self.problem), self.columns, self.problem, losses=losses, custom=self.plan.custom
        )


def _written(finalists: Sequence[Candidate], writer: Writer, *, n_jobs: int, started: float) -> list[Equation]:
    """The finalists as equations: snapped as long as there is time, the first one always."""
    limit = writer.plan.time_limit
    end = float("inf") if limit is None else started + limit
    first = [writer(constant_candidate(writer.parts)), writer.snapped(finalists[0])]
    if n_jobs == 1:
        return first + [writer.snapped(candidate) for candidate in finalists[1:] if time.time() < end]
    if time.time() > end:
        return first
    others: Any = Parallel(n_jobs=n_jobs)(delayed(writer.snapped)(candidate) for candidate in finalists[1:])
    return [*first, *others]


def _front(equations: Sequence[Equation]) -> Equations:
    """Equations by ascending complexity, each more accurate on the held-out rows than all simpler ones."""
    kept: list[Equation] = []
    for equation in sorted(equations, key=lambda e: (e.complexity, e.validation_loss)):
        if not np.isfinite(equation.validation_loss):
            continue
        if not kept or equation.validation_loss < 0.999 * kept[-1].validation_loss:
            kept.append(equation)
    return Equations(kept)
