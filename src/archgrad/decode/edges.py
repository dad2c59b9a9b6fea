"""What decoding rules share: checks of a mixture, and the edges that stay once each edge has its operation."""

from collections.abc import Sequence

import numpy as np

from archgrad.arch import LogitGroup
from archgrad.checks import at_least
from archgrad.genotype import Edge


def check_mixture(mixture: np.ndarray, group: LogitGroup) -> None:
    """Raise a ValueError unless the mixture has the group's shape and is finite."""
    if mixture.shape != group.shape:
        raise ValueError(f"mixture: has shape {mixture.shape}, but group {group.name!r} has {group.shape}.")
    if not np.isfinite(mixture).all():
        raise ValueError(f"mixture: group {group.name!r} contains values that are not finite.")


def chosen_edges(
    mixture: np.ndarray, group: LogitGroup, choice: Sequence[int], *, keep: int | None = None
) -> tuple[tuple[Edge, ...], ...]:
    """The edges by node, in order of their rows, edge e having the candidate at the place `choice[e]`.

    An edge whose candidate is `none` is left out, unless that is a choice like any other in the group.

    With `keep`, only so many of a node's edges stay, those with the largest weights; the earlier wins ties.
    """
    if keep is not None:
        at_least("keep", keep, 1)
    nodes = []
    for target in dict.fromkeys(target for _, target in group.edges):
        rows = [row for row in group.entering(target) if group.decodable[row, choice[row]]]
        if keep is not None:
            rows = sorted(sorted(rows, key=lambda row: -mixture[row, choice[row]])[:keep])
        nodes.append(tuple(Edge(group.candidates[choice[row]], group.edges[row][0]) for row in rows))
    return tuple(nodes)
