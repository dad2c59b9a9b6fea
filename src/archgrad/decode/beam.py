"""Eq. 9, the most probable architectures: if every edge draws from its row of the mixture, Π_e p_e is a graph's."""

import heapq

import numpy as np
from jaxtyping import Float

from archgrad.arch import LogitGroup
from archgrad.checks import whole
from archgrad.decode.edges import check_mixture, chosen_edges
from archgrad.genotype import Edge


def beam(
    mixture: Float[np.ndarray, "edges candidates"], group: LogitGroup, width: int
) -> list[tuple[tuple[Edge, ...], ...]]:
    """The `width` choices of one candidate per edge with the largest Π_e p_e, best first, exactly.

    Each is edges by node, as `argmax` returns them: the first one is what `argmax` returns. Choices of probability 0
    are left out, so that fewer may be returned.

    Best-first search: the next best choice differs from one that was taken before in a single edge, which has its next
    best candidate.

    Raises:
        ValueError: `width` is below 1, or the mixture has another shape than the group or is not finite.
    """
    whole("width", width, 1)
    check_mixture(mixture, group)
    weights = np.where(group.mask, mixture, -1.0)
    ranked = np.argsort(-weights, axis=1, kind="stable")
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = np.log(np.take_along_axis(weights, ranked, axis=1).astype(np.float64))
    counts = np.maximum((weights > 0).sum(axis=1), 1)
    rows = np.arange(len(ranked))
    start = tuple(0 for _ in ranked)
    heap = [(-float(scores[:, 0].sum()), start)]
    seen = {start}
    found = []
    while heap and len(found) < width:
        _, places = heapq.heappop(heap)
        found.append(chosen_edges(mixture, group, ranked[rows, places].tolist()))
        for row in np.flatnonzero(np.array(places) + 1 < counts).tolist():
            following = (*places[:row], places[row] + 1, *places[row + 1 :])
            if following not in seen:
                seen.add(following)
                heapq.heappush(heap, (-float(scores[rows, following].sum()), following))
    return found
