"""Regularised evolution: tournaments, mutations, and death by age."""

from collections import deque
from collections.abc import Mapping

import numpy as np

from archgrad.baselines.mutation import mutate
from archgrad.baselines.trace import Evaluate, Evaluations, OnEvaluation, Trace
from archgrad.checks import whole
from archgrad.genotype import Genotype
from archgrad.seeding import derive
from archgrad.spaces.space import Space


def regularised_evolution(
    space: Space,
    evaluate: Evaluate,
    *,
    budget: int,
    seed: int,
    population: int = 10,
    sample: int = 3,
    on_evaluation: OnEvaluation | None = None,
    known: Mapping[Genotype, float] | None = None,
) -> Trace:
    """Evolve a population of genotypes until `budget` of them are evaluated, the first `population` drawn uniformly.

    In each cycle the best of `sample` members, drawn with replacement, becomes the parent of a child that differs from
    it by one mutation (see `mutate`); the child is evaluated and joins, and the oldest member dies, however good.

    `on_evaluation` and `known` are those of `random_search`.

    Reference: arXiv:1802.01548, Algorithm 1, with population 100 and sample 25 for budgets of 20,000 in the paper. The
    defaults are those of the public code of NAS-Bench-201 and NATS-Bench (arXiv:2009.00437) for about a hundred
    evaluations. The paper also has an identity mutation, which leaves a child as it was; here each differs.

    Raises:
        ValueError: `population` or `sample` below 1, a sample above the population, a budget below it, a space whose
            genotypes have no mutations, or a score that is not a number.
    """
    whole("population", population, 1)
    whole("sample", sample, 1)
    whole("budget", budget, 1)
    if sample > population:
        raise ValueError(f"sample: must be at most the population, {population}, got {sample}.")
    if budget < population:
        raise ValueError(f"budget: must be at least the population, {population}, got {budget}.")
    generator = np.random.default_rng(derive(seed, "regularised evolution"))
    first = [space.random_genotype(generator) for _ in range(population)]
    mutate(space, first[0], np.random.default_rng(0))  # refuses a space without mutations before any work
    evaluations = Evaluations(evaluate, on_evaluation=on_evaluation, known=known)
    members = deque(((genotype, evaluations.score(genotype)) for genotype in first), maxlen=population)
    while len(evaluations) < budget:
        rivals = [members[place] for place in generator.integers(population, size=sample)]
        parent, _ = max(rivals, key=lambda member: member[1])
        child = mutate(space, parent, generator)
        members.append((child, evaluations.score(child)))  # the oldest member leaves at the other end
    return evaluations.trace()
