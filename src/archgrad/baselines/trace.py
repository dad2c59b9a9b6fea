"""What a search by evaluations came to, and the counting of its evaluations."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TypeAlias

from archgrad.genotype import Genotype
from archgrad.tabular.statistics import incumbents

Evaluate: TypeAlias = Callable[[Genotype], float]
"""A genotype's score; higher is better."""

OnEvaluation: TypeAlias = Callable[[Genotype, float], None]
"""Told of each genotype and its score, as soon as it has one."""


@dataclass(frozen=True)
class Trace:
    """The genotypes that a search evaluated, in order, and their scores.

    >>> from archgrad.genotype import DARTS_V1, DARTS_V2, NASNET
    >>> trace = Trace((DARTS_V1, NASNET, DARTS_V2), (0.7, 0.6, 0.9))
    >>> trace.curve
    (0.7, 0.7, 0.9)
    >>> trace.best == DARTS_V2
    True

    Raises:
        ValueError: no genotype, or another number of scores.
    """

    genotypes: tuple[Genotype, ...] = field(repr=False)
    scores: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.genotypes or len(self.genotypes) != len(self.scores):
            raise ValueError(
                f"scores: need one for each of at least one genotype, got {len(self.scores)} for {len(self.genotypes)}."
            )

    @property
    def best(self) -> Genotype:
        """The genotype with the highest score; of equal ones the first."""
        return self.incumbents[-1]

    @property
    def curve(self) -> tuple[float, ...]:
        """The highest score after each evaluation."""
        return tuple(accumulate(self.scores, max))

    @property
    def incumbents(self) -> tuple[Genotype, ...]:
        """The best genotype after each evaluation."""
        return tuple(self.genotypes[place] for place in incumbents(self.scores))


class Evaluations:
    """The evaluations of a search so far.

    Genotypes in `known` count, but are not evaluated again: what `on_evaluation` stored of a run that was cut short.
    """

    def __init__(
        self,
        evaluate: Evaluate,
        *,
        on_evaluation: OnEvaluation | None,
        known: Mapping[Genotype, float] | None,
    ) -> None:
        self._evaluate, self._on_evaluation, self._known = evaluate, on_evaluation, known or {}
        self._genotypes: list[Genotype] = []
        self._scores: list[float] = []

    def __len__(self) -> int:
        return len(self._scores)

    def score(self, genotype: Genotype) -> float:
        """The genotype's score, which becomes part of the trace.

        Raises:
            ValueError: it is not a number.
        """
        score = self._known[genotype] if genotype in self._known else self._evaluate(genotype)
        if math.isnan(score):
            raise ValueError(f"evaluate: gave no number for evaluation {len(self)}, of the genotype\n{genotype}")
        self._genotypes.append(genotype)
        self._scores.append(score)
        if self._on_evaluation is not None:
            self._on_evaluation(genotype, score)
        return score

    def trace(self) -> Trace:
        """What was evaluated, in order."""
        return Trace(tuple(self._genotypes), tuple(self._scores))
