"""Perturbation-based selection (DARTS-PT): what counts is how much the supernet suffers without an operation."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import ClassVar, NamedTuple, TypeVar

import numpy as np
from torch import Tensor

from archgrad.arch import LogitGroup, Mixture, operation_groups
from archgrad.checks import at_least, one_of
from archgrad.decode import top_k
from archgrad.genotype import Edge, Genotype
from archgrad.seeding import derive
from archgrad.selection.probe import Probe, encodable
from archgrad.spaces.space import Space

HARMS: Mapping[str, Callable[[dict[str, float]], float]] = {
    "accuracy": lambda metrics: -metrics["accuracy"],
    "loss": lambda metrics: metrics["loss"],
}
"""By criterion, how much worse a supernet is for a perturbation, up to a constant."""

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class PerturbationSelection:
    """DARTS-PT: discretise the supernet edge by edge, by what the removal of each operation does to it.

    For the edges in random order: o* = argmin_o accuracy_val(p with p_{e,o} = 0), then p_e becomes one-hot at o*; then,
    for the nodes in random order that have more edges than they keep: the edges e with the lowest
    accuracy_val(p with p_e = 0) stay and the others become 0. p is not normalised again. Between two decisions the
    weights are tuned for `tune_epochs` epochs under the mixture as it is by then; the groups of logits (normal and
    reduction cell) take their decisions one after the other before each tuning, as in the public code. Where nodes keep
    all their edges (NAS-Bench-201) the second part falls away.

    `criterion` is "accuracy", or "loss" for the highest loss; the earlier operation and the earlier edge win ties.
    `none` takes part where an edge has it. If it wins although no genotype of the space can say so, the edge
    contributes nothing while the search for the others goes on, is the first to go from its node, and where the node
    needs it gets the operation that came second.

    `tune_epochs` may be a fraction; 5 is what the public code has. That code also
    trains α meanwhile and starts the learning rate anew at a tenth of the search's; here α rests, and the rate is the
    search's last one. For an edge that came out as `none` it decodes the first operation in the list.

    Reference: arXiv:2108.04392, section 4 and Algorithm 1.

    Raises:
        ValueError: an unknown criterion or negative `tune_epochs`; when called, a space that cannot encode genotypes.
    """

    tune_epochs: float = 5.0
    criterion: str = "accuracy"

    citation: ClassVar[str] = "2108.04392"

    def __post_init__(self) -> None:
        at_least("tune_epochs", self.tune_epochs, 0)
        one_of("criterion", self.criterion, HARMS)

    def __call__(self, probe: Probe) -> Genotype:
        """Discretise the probe's supernet and return the genotype that is left."""
        encodable(probe.space)
        generator = np.random.default_rng(derive(probe.seed, "perturbation selection"))
        supernet = _Supernet(probe, HARMS[self.criterion])
        for number, decisions in enumerate(_rounds(probe.space, probe.mixture, generator)):
            if number and self.tune_epochs:
                probe.tune(supernet.mixture, self.tune_epochs)
            for decision in decisions:
                if decision.keep is None:
                    supernet.keep_operation(decision.group, decision.place)
                else:
                    supernet.keep_edges(decision.group, decision.place, decision.keep)
        return probe.space.decode(supernet.decoded(), top_k)


class _Decision(NamedTuple):
    """The operation of the edge in row `place`, or, with `keep`, so many edges of the node `place`."""

    group: LogitGroup
    place: int
    keep: int | None


def _rounds(space: Space, mixture: Mixture, generator: np.random.Generator) -> list[list[_Decision]]:
    """The decisions in their order, those of a round without tuning in between."""
    kept = _kept(space, mixture)
    groups = operation_groups(space.groups)
    operations, topology = [], []
    for group in groups:
        rows = generator.permutation(len(group.edges)).tolist()
        operations.append([_Decision(group, row, None) for row in rows])
    for group in groups:
        keep = kept[group.name]
        targets = dict.fromkeys(target for _, target in group.edges)
        choosing = [target for target in targets if len(group.entering(target)) > keep]
        order = generator.permutation(len(choosing)).tolist()
        topology.append([_Decision(group, choosing[place], keep) for place in order])
    return [*_side_by_side(operations), *_side_by_side(topology)]


def _side_by_side(lists: Sequence[Iterable[Item]]) -> list[list[Item]]:
    """The first items of all lists, the second ones, and so on."""
    return [[item for item in items if item is not None] for items in zip_longest(*lists)]


def _kept(space: Space, mixture: Mixture) -> dict[str, int]:
    """How many edges into a node the space asks a decoding rule to keep, by group."""
    kept = {}

    def rule(weights: np.ndarray, group: LogitGroup, keep: int) -> tuple[tuple[Edge, ...], ...]:
        kept[group.name] = keep
        return top_k(weights, group, keep)

    space.decode(mixture, rule)
    return kept


class _Supernet:
    """The supernet on its way to a genotype: the mixture by now, and how it fares without parts of it."""

    def __init__(self, probe: Probe, harm: Callable[[dict[str, float]], float]) -> None:
        self.probe, self.harm = probe, harm
        self.mixture: Mixture = {name: weights.clone() for name, weights in probe.mixture.items()}
        # Of each edge that came out as a `none` which no genotype can name, the best other candidate, if there is any.
        self.second: dict[tuple[str, int], int | None] = {}

    def keep_operation(self, group: LogitGroup, row: int) -> None:
        """Leave an edge the candidate whose removal hurts most."""
        columns = np.flatnonzero(group.mask[row]).tolist()
        harms = [self._harm_without(group, row, column) for column in columns] if len(columns) > 1 else [0.0]
        best = columns[int(np.argmax(harms))]
        if not group.decodable[row, best]:
            others = [pair for pair in zip(harms, columns, strict=True) if group.decodable[row, pair[1]]]
            self.second[group.name, row] = max(others, key=lambda pair: pair[0])[1] if others else None
        _set_one_hot(self.mixture[group.name], row, best)

    def keep_edges(self, group: LogitGroup, target: int, keep: int) -> None:
        """Leave a node the `keep` edges whose removal hurts most."""
        rows = group.entering(target)
        harms = {row: self._harm_without(group, row) for row in rows if (group.name, row) not in self.second}
        ranked = sorted(rows, key=lambda row: -harms.get(row, -np.inf))  # a stable sort: the earlier edge wins ties
        for row in ranked[keep:]:
            self.mixture[group.name][row] = 0
            self.second.pop((group.name, row), None)

    def decoded(self) -> Mixture:
        """The mixture with one operation on every edge that is left."""
        for (name, row), column in self.second.items():
            if column is not None:
                _set_one_hot(self.mixture[name], row, column)
        return self.mixture

    def _harm_without(self, group: LogitGroup, row: int, column: int | None = None) -> float:
        """How much worse the supernet is without a candidate of an edge, or without the edge."""
        weights = self.mixture[group.name].clone()
        weights[row, slice(None) if column is None else column] = 0
        return self.harm(self.probe.evaluate({**self.mixture, group.name: weights}))


def _set_one_hot(weights: Tensor, row: int, column: int) -> None:
    weights[row] = 0
    weights[row, column] = 1
