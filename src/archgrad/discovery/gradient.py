"""The differentiable search: logits of many restarts move at once, and what their mixtures say is decoded to graphs.

Coefficients learn on the training part, logits on the held-out part (Eq. 4). A restart alone is little to go by, so
that candidates are the argmax of every member, in the order of their held-out losses, and a beam over the most
probable graphs of the best ones.
"""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from archgrad.bilevel import Searcher
from archgrad.data.tables import TableStream
from archgrad.decode import argmax, beam
from archgrad.discovery.candidates import Parts
from archgrad.discovery.plan import Plan
from archgrad.discovery.problem import Problem
from archgrad.genotype import Cell, Genotype
from archgrad.loop import Callback, Diverged, Loop, Record
from archgrad.spaces.expression.space import ExpressionSpace
from archgrad.tasks.regression import Regression

BEAM_MEMBERS = 4
BEAM_WIDTH = 3
"""From so many of the best members, so many of the most probable graphs each."""

MOST_GRAPHS = 12
"""Graphs that a search hands on."""


@dataclass(frozen=True)
class GradientSearch:
    """A space with its restarts, and the seed that everything random in the search follows from."""

    space: ExpressionSpace
    seed: int


class _Deadline(Callback):
    """Ends a search when its time is over."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline

    def on_epoch(self, loop: Loop, record: Record) -> None:
        if time.time() > self.deadline:
            loop.stop()


def searched(search: GradientSearch, parts: Parts, plan: Plan, *, deadline: float = float("inf")) -> np.ndarray:
    """Search; return the mixtures [members, edges, candidates], those of the lowest held-out losses first."""
    settings = plan.settings
    task = Regression(link=parts.train.link)
    searcher = Searcher(search.space, steps_per_epoch=1, method=plan.method, settings=settings, task=task, device="cpu")
    state = searcher.init(search.seed)
    plan.output_layer.prepare(state)
    streams = [
        _stream(part, parts.train, settings.batch_size, search.seed, purpose)
        for part, purpose in ((parts.screen, "train"), (parts.validation, "validation"))
    ]
    with contextlib.suppress(Diverged):  # no member is finite any more; the mixtures are those of the last finite step
        searcher.run(state, streams[0], streams[1], callbacks=[_Deadline(deadline)])
    mixture = {name: weights.detach() for name, weights in searcher.mixture(state).items()}
    with torch.no_grad():
        inputs, targets = _tensors(parts.validation, parts.train)
        losses = task.member_losses(state.supernet(inputs, mixture), targets).numpy()
    order = np.argsort(np.where(np.isfinite(losses), losses, np.inf), kind="stable")
    return mixture["edges"].numpy()[order].astype(np.float64)


def searched_mixture(search: GradientSearch, parts: Parts, plan: Plan) -> np.ndarray:
    """The mixture [edges, candidates] of the best member."""
    return searched(search, parts, plan)[0]


def decoded_candidates(search: GradientSearch, parts: Parts, plan: Plan, *, deadline: float) -> Iterator[Cell]:
    """Different graphs that the mixtures decode to, at most `MOST_GRAPHS`."""
    mixtures = searched(search, parts, plan, deadline=deadline)
    found: dict[Genotype, None] = {}
    (group,) = search.space.groups
    for member, mixture in enumerate(mixtures):
        if member < BEAM_MEMBERS:
            for nodes in beam(mixture, group, BEAM_WIDTH):
                found.setdefault(search.space.genotype(nodes, mixture), None)
        found.setdefault(search.space.genotype(argmax(mixture, group), mixture), None)
        if len(found) >= MOST_GRAPHS:
            break
    for genotype in list(found)[:MOST_GRAPHS]:
        yield genotype.cells[0]


def _tensors(part: Problem, scale: Problem) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs [rows, columns] and targets with their weights [rows, 2] in float32, targets standardised."""
    targets = part.targets
    if part.link == "identity":
        targets = (targets - scale.constant) / scale.unit
    both = np.stack([targets, part.root_weights**2], axis=1)
    return torch.from_numpy(part.inputs.T.astype(np.float32)), torch.from_numpy(both.astype(np.float32))


def _stream(part: Problem, scale: Problem, batch_size: int, seed: int, purpose: str) -> TableStream:
    inputs, targets = _tensors(part, scale)
    return TableStream(inputs, targets, batch_size=min(batch_size, part.rows), seed=seed, purpose=purpose)
