"""Eq. 9, the rule of DARTS: each node keeps its k strongest incoming edges, each edge its strongest operation."""

import numpy as np
from jaxtyping import Float

from archgrad.arch import NONE, LogitGroup
from archgrad.checks import at_least
from archgrad.decode.edges import check_mixture
from archgrad.genotype import Edge


def top_k(mixture: Float[np.ndarray, "edges candidates"], group: LogitGroup, keep: int) -> tuple[tuple[Edge, ...], ...]:
    """Decode a mixture p: nodes in order, each with its `keep` strongest edges by descending strength.

    strength(i, j) = max_{o ≠ none} p_{ij,o};  operation(i, j) = argmax_{o ≠ none} p_{ij,o}

    p must be the mixture and not the logits: `none` takes softmax mass, so that ranking by α gives other results. The
    earlier edge and the earlier candidate win ties. Nodes with fewer than `keep` incoming edges keep all of them; an
    edge whose only candidate is `none` is never kept. In a group where `none` is a choice like any other
    (`LogitGroup.keeps_none`), it takes part.

    Reference: arXiv:1806.09055, section 2.4.

    >>> group = LogitGroup.dense("cell", inputs=2, nodes=1, candidates=("none", "skip_connect", "max_pool_3x3"))
    >>> top_k(np.array([[0.8, 0.1, 0.1], [0.2, 0.3, 0.5]]), group, 1)
    ((Edge(operation='max_pool_3x3', source=1),),)

    Raises:
        ValueError: `keep` is below 1, the mixture has another shape than the group or is not finite, or a node has no
            edge with an operation.
    """
    at_least("keep", keep, 1)
    check_mixture(mixture, group)
    strengths = np.where(group.decodable, mixture, -np.inf)
    targets = dict.fromkeys(target for _, target in group.edges)
    return tuple(_strongest(strengths, group, target, keep) for target in targets)


def _strongest(strengths: np.ndarray, group: LogitGroup, target: int, keep: int) -> tuple[Edge, ...]:
    rows = [row for row in group.entering(target) if np.isfinite(strengths[row]).any()]
    if not rows:
        raise ValueError(f"group {group.name!r}: node {target} has no edge with an operation other than {NONE!r}.")
    ranked = sorted(rows, key=lambda row: -strengths[row].max())  # a stable sort: the earlier edge wins ties
    return tuple(Edge(group.candidates[int(strengths[row].argmax())], group.edges[row][0]) for row in ranked[:keep])
