"""What a search has to beat, at an equal budget: searches that learn nothing from gradients, and random cells.

    trace = random_search(space, evaluate, budget=100, seed=0)
    trace = regularised_evolution(space, evaluate, budget=100, seed=0)
    trace.best, trace.curve

`evaluate` maps a genotype to a score, higher is better, and is asked exactly `budget` times: `by_training` trains each
network briefly and scores it on validation data, `by_table` looks scores up. Random search with weight sharing is a row
of the table of methods, since it trains a supernet.
"""

from archgrad.baselines.evolution import regularised_evolution
from archgrad.baselines.mutation import mutate
from archgrad.baselines.random_cells import random_genotypes, random_genotypes_of_size
from archgrad.baselines.random_search import random_search
from archgrad.baselines.scores import AccuracyTable, by_table, by_training
from archgrad.baselines.trace import Evaluate, Trace

__all__ = [
    "AccuracyTable",
    "Evaluate",
    "Trace",
    "by_table",
    "by_training",
    "mutate",
    "random_genotypes",
    "random_genotypes_of_size",
    "random_search",
    "regularised_evolution",
]
