"""Eq. 9 without a search: a cell drawn uniformly, the baseline of arXiv:1806.09055, section 3.1 and Table 1."""

import numpy as np

from archgrad.arch import NONE, LogitGroup
from archgrad.checks import at_least
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
        usable = {row: [name for name in group.choices[row] if name != NONE] for row in group.entering(target)}
        rows = [row for row, names in usable.items() if names]
        if not rows:
            raise ValueError(f"group {group.name!r}: node {target} has no edge with an operation other than {NONE!r}.")
        kept = sorted(generator.choice(rows, size=min(keep, len(rows)), replace=False).tolist())
        nodes.append(tuple(Edge(str(generator.choice(usable[row])), group.edges[row][0]) for row in kept))
    return tuple(nodes)
