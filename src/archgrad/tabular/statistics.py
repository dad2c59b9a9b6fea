"""What can be said of a search, or of uniform draws, once every architecture has a score."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int

from archgrad.checks import whole
from archgrad.genotype import Genotype
from archgrad.loop import Record
from archgrad.spaces.space import Decoder, Space


class Optimum(NamedTuple):
    """The best architecture of a table, and its accuracy in per cent."""

    genotype: Genotype
    accuracy: float


def expected_best(
    values: Float[np.ndarray, " count"], count: int, keys: Float[np.ndarray, " count_"] | None = None
) -> float:
    """E[value of the best by key] of `count` uniform draws with replacement, exactly.

    Let G_1 < G_2 < … be the different keys, F_k the share of entries with a key of at most G_k, and m_k the mean of the
    values of those with the key G_k. The largest key of n = `count` draws is G_k with probability F_kⁿ − F_{k−1}ⁿ:

        E = Σ_k m_k (F_kⁿ − F_{k−1}ⁿ)

    Without `keys` the values are their own: the expected maximum. With them the best is chosen by something other than
    what is reported, such as validation accuracy and test accuracy.

    >>> expected_best(np.array([0.0, 1.0]), 2)  # three of the four pairs contain the 1
    0.75

    Raises:
        ValueError: `count` is below 1, there are no values, or values and keys differ in number.
    """
    whole("count", count, 1)
    if not len(values):
        raise ValueError("values: must not be empty.")
    if keys is not None and len(keys) != len(values):
        raise ValueError(f"keys: {len(keys)} of them for {len(values)} values.")
    _, group, sizes = np.unique(values if keys is None else keys, return_inverse=True, return_counts=True)
    means = np.bincount(group, weights=values) / sizes
    reached = np.concatenate([[0], np.cumsum(sizes)]) / len(values)
    return float(means @ np.diff(reached**count))


def incumbents(scores: Sequence[float] | Float[np.ndarray, " evaluations"]) -> Int[np.ndarray, " evaluations"]:
    """The place of the highest score so far, at each place; the earlier wins ties.

    >>> incumbents([1.0, 3.0, 2.0, 3.0, 4.0]).tolist()
    [0, 1, 1, 1, 4]
    """
    best, places = 0, []
    for place, score in enumerate(scores):
        best = place if score > scores[best] else best
        places.append(best)
    return np.array(places, dtype=np.int64)


def genotypes_of(space: Space, history: Sequence[Record], decoder: Decoder) -> list[Genotype]:
    """What the search would have returned after each epoch: the recorded mixtures, decoded.

    Arguments:
        space: that of the search, for the final stage and every stage before it, since logits keep their shapes.
        history: records of a search, one for each epoch, with their mixtures.
        decoder: a rule of `archgrad.decode`, such as the method's.

    Raises:
        ValueError: a record has no mixture, or the rule does not decode the space.
    """
    genotypes = []
    for place, record in enumerate(history):
        if "mixture" not in record:
            raise ValueError(f"history: record {place} has no mixture, but {sorted(record)}; is it that of a search?")
        mixture = {name: torch.tensor(rows) for name, rows in record["mixture"].items()}
        genotypes.append(space.decode(mixture, decoder))
    return genotypes
