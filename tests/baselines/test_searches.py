"""Random search and regularised evolution: equal budgets, their algorithms written out, and going on after a stop."""

from collections import Counter

import numpy as np
import pytest

from archgrad.baselines import Trace, mutate, random_genotypes, random_search, regularised_evolution
from archgrad.genotype import DARTS_V1, DARTS_V2, NASNET
from archgrad.seeding import derive
from archgrad.spaces import ConvCellSpace, RecurrentCellSpace, TrellisSpace

SEARCHES = (random_search, regularised_evolution)
WORTH = {"none": 0.0, "skip_connect": 1.0, "nor_conv_1x1": 2.0, "nor_conv_3x3": 4.0, "avg_pool_3x3": 0.5}


def worth(genotype):
    """A smooth landscape: every edge adds what its operation is worth."""
    return sum(WORTH[operation] for operation in genotype["cell"].operations)


@pytest.mark.parametrize("search", SEARCHES)
def test_the_budget_is_spent_exactly(benchmark_space, search):
    asked = []
    trace = search(benchmark_space, lambda genotype: asked.append(genotype) or worth(genotype), budget=37, seed=0)
    assert trace.genotypes == tuple(asked)
    assert len(trace.scores) == 37
    assert trace.scores == tuple(map(worth, asked))


@pytest.mark.parametrize("search", SEARCHES)
def test_seed_and_budget_change_the_search(benchmark_space, search):
    def found(**arguments):
        return search(benchmark_space, worth, **arguments).genotypes

    assert found(budget=20, seed=1) == found(budget=20, seed=1) != found(budget=20, seed=2)
    assert found(budget=15, seed=1) == found(budget=20, seed=1)[:15]


def test_random_search_goes_over_the_random_genotypes(benchmark_space):
    trace = random_search(benchmark_space, worth, budget=5, seed=3)
    assert list(trace.genotypes) == random_genotypes(benchmark_space, 5, seed=3)


def written_out(space, *, budget, seed, population, sample):
    """Algorithm 1 of arXiv:1802.01548 with lists."""
    generator = np.random.default_rng(derive(seed, "regularised evolution"))
    history = [space.random_genotype(generator) for _ in range(population)]
    alive = list(history)
    while len(history) < budget:
        rivals = [alive[place] for place in generator.integers(population, size=sample)]
        child = mutate(space, sorted(rivals, key=worth, reverse=True)[0], generator)
        history.append(child)
        alive = [*alive[1:], child]
    return tuple(history)


@pytest.mark.parametrize(("population", "sample"), [(10, 3), (4, 4), (1, 1)])
def test_evolution_against_its_algorithm_written_out(benchmark_space, population, sample):
    sizes = {"population": population, "sample": sample}
    trace = regularised_evolution(benchmark_space, worth, budget=30, seed=5, **sizes)
    assert trace.genotypes == written_out(benchmark_space, budget=30, seed=5, **sizes)


def test_population_and_sample_change_the_search(benchmark_space):
    def found(**sizes):
        return regularised_evolution(benchmark_space, worth, budget=30, seed=0, **sizes).genotypes

    assert found() == found(population=10, sample=3)
    assert len({found(), found(population=12), found(sample=5)}) == 3


def test_children_differ_from_a_living_parent_in_one_edge(benchmark_space):
    history = regularised_evolution(benchmark_space, worth, budget=40, seed=0, population=6, sample=2).genotypes
    for place in range(6, 40):
        operations = history[place]["cell"].operations
        distances = [
            sum(a != b for a, b in zip(operations, parent["cell"].operations, strict=True))
            for parent in history[place - 6 : place]
        ]
        assert 1 in distances


def test_evolution_beats_random_search_on_a_smooth_landscape(benchmark_space):
    best = {
        search: [search(benchmark_space, worth, budget=120, seed=seed).curve[-1] for seed in range(6)]
        for search in SEARCHES
    }
    assert np.mean(best[regularised_evolution]) > np.mean(best[random_search])


@pytest.mark.parametrize("search", SEARCHES)
def test_a_search_that_was_cut_short_goes_on_where_it_was(benchmark_space, search):
    stored = {}

    def fail_after(genotype, score):
        stored[genotype] = score
        if len(stored) == 14:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(benchmark_space, worth, budget=30, seed=0, on_evaluation=fail_after)
    asked, told = [], Counter()
    trace = search(
        benchmark_space,
        lambda genotype: asked.append(genotype) or worth(genotype),
        budget=30,
        seed=0,
        known=stored,
        on_evaluation=lambda genotype, score: told.update([genotype]),
    )
    assert trace == search(benchmark_space, worth, budget=30, seed=0)
    assert not set(asked) & set(stored)
    assert told.total() == 30


@pytest.mark.parametrize("space", [ConvCellSpace(), RecurrentCellSpace(vocabulary_size=10)], ids=lambda s: s.name)
def test_other_cells_evolve_too(space):
    def same(genotype):
        return float(sum(len(set(cell.operations)) == 1 for cell in genotype.cells))

    trace = regularised_evolution(space, same, budget=15, seed=0, population=5)
    assert len(set(trace.genotypes)) > 10


def test_paths_have_random_search_alone():
    space = TrellisSpace(layers=4, levels=2)
    assert len(random_search(space, lambda genotype: sum(genotype.path), budget=4, seed=0).genotypes) == 4
    asked = []
    with pytest.raises(ValueError, match=r"space 'trellis': mutations are defined for cells"):
        regularised_evolution(space, lambda genotype: asked.append(genotype) or 0.0, budget=10, seed=0)
    assert not asked


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"budget": 0}, r"budget: must be at least 1, got 0"),
        ({"budget": 9}, r"budget: must be at least the population, 10, got 9"),
        ({"budget": 20, "population": 0}, r"population: must be at least 1, got 0"),
        ({"budget": 20, "sample": 0}, r"sample: must be at least 1, got 0"),
        ({"budget": 20, "sample": 11}, r"sample: must be at most the population, 10, got 11"),
    ],
)
def test_what_makes_no_sense_is_refused(benchmark_space, arguments, message):
    with pytest.raises(ValueError, match=message):
        regularised_evolution(benchmark_space, worth, seed=0, **arguments)


def test_a_score_must_be_a_number(benchmark_space):
    with pytest.raises(ValueError, match=r"evaluate: gave no number for evaluation 0, of the genotype"):
        random_search(benchmark_space, lambda genotype: float("nan"), budget=2, seed=0)
    with pytest.raises(ValueError, match=r"budget: must be at least 1, got 0"):
        random_search(benchmark_space, worth, budget=0, seed=0)


def test_a_trace_knows_its_best_and_its_curve():
    trace = Trace((DARTS_V1, DARTS_V2, NASNET, DARTS_V1), (0.5, 0.8, 0.8, 0.2))
    assert trace.best == DARTS_V2
    assert trace.curve == (0.5, 0.8, 0.8, 0.8)
    assert trace.incumbents == (DARTS_V1, DARTS_V2, DARTS_V2, DARTS_V2)
    with pytest.raises(ValueError, match=r"scores: need one for each of at least one genotype, got 1 for 2"):
        Trace((DARTS_V1, DARTS_V2), (0.5,))
    with pytest.raises(ValueError, match=r"got 0 for 0"):
        Trace((), ())
