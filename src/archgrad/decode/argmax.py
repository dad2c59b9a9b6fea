"""Eq. 9, every edge for itself: its strongest candidate, and no edge where that is `none`."""

import numpy as np
from jaxtyping import Float

from archgrad.arch import LogitGroup
from archgrad.decode.edges import check_mixture, chosen_edges
from archgrad.genotype import Edge


def argmax(
    mixture: Float[np.ndarray, "edges candidates"], group: LogitGroup, keep: int | None = None
) -> tuple[tuple[Edge, ...], ...]:
    """Decode a mixture p: nodes in order, each with its edges in order of their source; a node may have none.

    operation(i, j) = argmax_o p_{ij,o}, `none` included; the earlier candidate wins ties. With `keep`, so many of a
    node's edges stay, the strongest ones.

    >>> group = LogitGroup.dense("cell", inputs=2, nodes=1, candidates=("none", "add"))
    >>> argmax(np.array([[0.8, 0.2], [0.3, 0.7]]), group)
    ((Edge(operation='add', source=1),),)

    Raises:
        ValueError: the mixture has another shape than the group or is not finite, or `keep` is below 1.
    """
    check_mixture(mixture, group)
    choice = np.where(group.mask, mixture, -np.inf).argmax(axis=1)
    return chosen_edges(mixture, group, choice.tolist(), keep=keep)
