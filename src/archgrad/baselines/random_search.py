"""Random search: the best of `budget` uniform draws."""

from collections.abc import Mapping

from archgrad.baselines.random_cells import random_genotypes
from archgrad.baselines.trace import Evaluate, Evaluations, OnEvaluation, Trace
from archgrad.checks import whole
from archgrad.genotype import Genotype
from archgrad.spaces.space import Space


def random_search(
    space: Space,
    evaluate: Evaluate,
    *,
    budget: int,
    seed: int,
    on_evaluation: OnEvaluation | None = None,
    known: Mapping[Genotype, float] | None = None,
) -> Trace:
    """Evaluate `budget` genotypes, each drawn uniformly and independently of the others.

    `on_evaluation` is told of each one's score at once. A search with the same seed goes over the same genotypes, so
    that one that was cut short goes on with the scores `known` from it; they count as evaluations.

    Reference: arXiv:1902.07638, random search without weight sharing.

    Raises:
        ValueError: `budget` below 1, or a score that is not a number.
    """
    whole("budget", budget, 1)
    evaluations = Evaluations(evaluate, on_evaluation=on_evaluation, known=known)
    for genotype in random_genotypes(space, budget, seed=seed):
        evaluations.score(genotype)
    return evaluations.trace()
