"""Eq. 9 by lot: from a mixture, or uniformly, the baseline of arXiv:1806.09055, section 3.1 and Table 1."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from archgrad.arch import NONE, LogitGroup
from archgrad.checks import at_least
from archgrad.decode.edges import check_mixture, chosen_edges
from archgrad.genotype import Edge


def uniform(generator: np.random.Generator, group: LogitGroup, keep: int) -> tuple[tuple[Edge, ...], ...]:
    """Draw `keep` different incoming edges for each node, and on each an operation other than `none`, all uniformly.

    >>> group = LogitGroup.dense("cell", inputs=2, nodes=1, candidates=("none", "skip_connect"))
    >>> uniform(np.random.default_rng(0), group, 2)
    ((Edge(operation='skip_connect', source=0), Edge(operation='skip_connect', source=1)),)

    Raises:
        ValueError: `keep` is below 1, or a node has no edge with an operation other than `none`.
    """
    at_least("keep", keep, 1)
    nodes = []
    for target in dict.fromkeys(target for _, target in group.edges):
        allowed = group.decodable
        usable = {row: [group.candidates[o] for o in np.flatnonzero(allowed[row])] for row in group.entering(target)}
        rows = [row for row, names in usable.items() if names]
        if not rows:
            raise ValueError(f"group {group.name!r}: node {target} has no edge with an operation other than {NONE!r}.")
        kept = sorted(generator.choice(rows, size=min(keep, len(rows)), replace=False).tolist())
        nodes.append(tuple(Edge(str(generator.choice(usable[row])), group.edges[row][0]) for row in kept))
    return tuple(nodes)


def categorical(generator: np.random.Generator) -> Callable[..., tuple[tuple[Edge, ...], ...]]:
    """The rule that draws every edge's candidate from its row of the mixture, `none` included; nodes may have no edge.

    Rows need not sum to one. With `keep`, so many of a node's edges stay, those with the largest weights.

    >>> group = LogitGroup.dense("cell", inputs=1, nodes=1, candidates=("none", "add"))
    >>> categorical(np.random.default_rng(0))(np.array([[0.0, 1.0]]), group)
    ((Edge(operation='add', source=0),),)

    Raises:
        ValueError (the rule): the mixture has another shape than the group or is not finite, or `keep` is below 1.
    """

    def rule(
        mixture: Float[np.ndarray, "edges candidates"], group: LogitGroup, keep: int | None = None
    ) -> tuple[tuple[Edge, ...], ...]:
        check_mixture(mixture, group)
        weights = np.where(group.mask, mixture, 0.0).astype(np.float64)
        choice = [int(generator.choice(len(row), p=row / row.sum())) for row in weights]
        return chosen_edges(mixture, group, choice, keep=keep)

    return rule
