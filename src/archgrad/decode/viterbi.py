"""Eq. 9 for paths: the most probable way through a trellis whose edges are transition probabilities."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from archgrad.checks import whole


class Path(NamedTuple):
    """A way through a trellis: the state of each layer from the first transition on, and the product along it."""

    states: tuple[int, ...]
    probability: float


def viterbi(transitions: Sequence[np.ndarray], count: int = 1) -> list[Path]:
    """The `count` paths with the largest Π_l β_l, best first, exactly.

    `transitions[l]` [states of layer l, states of layer l + 1] holds β of the edges between the two, 0 where there is
    none; layer 0 has the one state that all paths begin in. A path lists the states of layers 1, 2, … Paths of
    probability 0 are left out, so that fewer may be returned; of equally probable ones that with the earlier state in
    the first layer in which they differ comes first.

    The best `count` prefixes of each state are kept, layer by layer, and sums of logarithms compared, so that long
    paths do not underflow; the work is layers · states² · `count`.

    Reference: arXiv:1901.02985, section 4.3.

    >>> viterbi([np.array([[0.5, 0.5]]), np.array([[0.5, 0.5], [0.25, 0.75]])])
    [Path(states=(1, 1), probability=0.375)]

    Raises:
        ValueError: `count` is below 1, nothing is there, a matrix does not fit the one before it, has an entry outside
            [0, 1] or that is no number, or no path has a probability above 0.
    """
    whole("count", count, 1)
    _check(transitions)
    best: dict[int, list[tuple[float, tuple[int, ...]]]] = {0: [(0.0, ())]}
    for matrix in transitions:
        with np.errstate(divide="ignore"):
            scores = np.log(matrix.astype(np.float64))
        arriving: dict[int, list[tuple[float, tuple[int, ...]]]] = {}
        for state, prefixes in best.items():
            for following in np.flatnonzero(matrix[state]).tolist():
                score = float(scores[state, following])
                extended = ((total + score, (*states, following)) for total, states in prefixes)
                arriving.setdefault(following, []).extend(extended)
        best = {state: sorted(prefixes, key=_rank)[:count] for state, prefixes in arriving.items()}
    found = sorted((prefix for prefixes in best.values() for prefix in prefixes), key=_rank)[:count]
    if not found:
        raise ValueError("transitions: no path has a probability above 0.")
    return [Path(states, _product(transitions, states)) for _, states in found]


def _rank(prefix: tuple[float, tuple[int, ...]]) -> tuple[float, tuple[int, ...]]:
    score, states = prefix
    return -score, states


def _product(transitions: Sequence[np.ndarray], states: tuple[int, ...]) -> float:
    steps = zip(transitions, (0, *states), states, strict=False)
    return float(np.prod([matrix[before, after] for matrix, before, after in steps], dtype=np.float64))


def _check(transitions: Sequence[np.ndarray]) -> None:
    if not transitions:
        raise ValueError("transitions: must not be empty.")
    width = 1
    for layer, matrix in enumerate(transitions):
        if matrix.ndim != 2 or matrix.shape[0] != width or not matrix.shape[1]:
            raise ValueError(
                f"transitions: those of layer {layer} have shape {matrix.shape}, need [{width}, states of the next]."
            )
        if not ((matrix >= 0) & (matrix <= 1)).all():  # written so that NaN fails too
            raise ValueError(f"transitions: those of layer {layer} have an entry outside [0, 1]: {matrix.tolist()}.")
        width = matrix.shape[1]
