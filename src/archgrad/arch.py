"""The vocabulary of relaxed architectures: groups of logits, and the mixtures made from them.

An architecture parameter α is data: `Logits` maps the name of a group to a tensor [edges, candidates]. A relaxation
(Eq. 1) turns each group into mixture weights p of the same shape. `LogitGroup` is the table that gives rows and
columns their meaning; a mask says which candidates an edge has, so that boundary cases are data and not branches.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

NONE = "none"
"""The candidate that contributes zeros: it takes softmax mass, is never computed and never decoded."""

SKIP = "skip_connect"
"""The candidate that passes a state on: what collapsed searches are made of."""

Logits: TypeAlias = dict[str, Tensor]
"""α by group: name -> [edges, candidates], in an ensemble of searches [members, edges, candidates]."""

Mixture: TypeAlias = dict[str, Tensor]
"""p by group, of the logits' shapes: rows sum to one under a softmax, zero where a candidate is masked."""


@dataclass(frozen=True)
class LogitGroup:
    """One tensor of logits: row e is the edge `edges[e]` = (source, target), column o the operation `candidates[o]`.

    `choices[e]` lists the candidates that edge e has, in the order of `candidates`.

    `role` is "operations", or "edges" where a row is a node and its candidates are the states it reads (the weights of
    whole edges, a plain softmax whatever the method's relaxation). `keeps_none` says that `none` is a choice like any
    other, which decoding may take.

    >>> group = LogitGroup.dense("cell", inputs=2, nodes=2, candidates=("none", "skip_connect"))
    >>> group.edges
    ((0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
    >>> group.mask.shape
    (5, 2)
    """

    name: str
    edges: tuple[tuple[int, int], ...]
    candidates: tuple[str, ...]
    choices: tuple[tuple[str, ...], ...]
    role: str = "operations"
    keeps_none: bool = False

    @classmethod
    def dense(
        cls,
        name: str,
        *,
        inputs: int,
        nodes: int,
        candidates: Sequence[str],
        choices: Mapping[tuple[int, int], Sequence[str]] | None = None,
        keeps_none: bool = False,
    ) -> "LogitGroup":
        """Build the group of a cell in which every node reads all inputs and all earlier nodes (Eq. 3).

        Edges are ordered by target, then source. `choices` narrows single edges down to some of the candidates.

        Raises:
            ValueError: a choice names an edge that is not there, or a candidate that is not in `candidates`, or none.
        """
        edges = tuple((source, target) for target in range(inputs, inputs + nodes) for source in range(target))
        narrowed = dict(choices or {})
        for edge, names in narrowed.items():
            if edge not in edges:
                raise ValueError(f"choices: group {name!r} has no edge {edge}; its edges are {list(edges)}.")
            unknown = [candidate for candidate in names if candidate not in candidates]
            if unknown or not names:
                raise ValueError(
                    f"choices: edge {edge} of group {name!r} lists {list(names)}; "
                    f"allowed is a non-empty subset of {list(candidates)}."
                )
        per_edge = (narrowed.get(edge, candidates) for edge in edges)
        ordered = tuple(tuple(candidate for candidate in candidates if candidate in names) for names in per_edge)
        return cls(name, edges, tuple(candidates), ordered, keeps_none=keeps_none)

    def node_weights(self) -> "LogitGroup":
        """The group of this cell's edge weights: a row for each node, with the states it reads as candidates.

        Edge (i, j) has its weight β_ij in the row of node j and the column of state i (arXiv:1907.05737, Eq. 4).

        >>> group = LogitGroup.dense("cell", inputs=2, nodes=2, candidates=("skip_connect",)).node_weights()
        >>> group.name, group.candidates, group.choices
        ('cell_edges', ('0', '1', '2'), (('0', '1'), ('0', '1', '2')))
        """
        targets = tuple(dict.fromkeys(target for _, target in self.edges))
        sources = [tuple(str(self.edges[row][0]) for row in self.entering(target)) for target in targets]
        columns = tuple(map(str, sorted({source for source, _ in self.edges})))
        return LogitGroup(f"{self.name}_edges", tuple((t, t) for t in targets), columns, tuple(sources), role="edges")

    @property
    def shape(self) -> tuple[int, int]:
        """[edges, candidates]."""
        return len(self.edges), len(self.candidates)

    @property
    def mask(self) -> np.ndarray:
        """True where an edge has a candidate, [edges, candidates]."""
        return np.array([[candidate in names for candidate in self.candidates] for names in self.choices])

    @property
    def decodable(self) -> np.ndarray:
        """True where decoding may choose a candidate: the mask, without `none` unless it is a choice like any other."""
        return self.mask & np.array([self.keeps_none or candidate != NONE for candidate in self.candidates])

    def mask_tensor(self, device: torch.device | str = "cpu") -> Bool[Tensor, "edges candidates"]:
        """The mask as a tensor on `device`."""
        return torch.from_numpy(self.mask).to(device)

    def leaving(self, source: int) -> tuple[int, ...]:
        """The rows of the edges that leave `source`, by ascending target."""
        return tuple(row for row, (start, _) in enumerate(self.edges) if start == source)

    def entering(self, target: int) -> tuple[int, ...]:
        """The rows of the edges that enter `target`, by ascending source."""
        return tuple(row for row, (_, end) in enumerate(self.edges) if end == target)


def operation_groups(groups: Iterable[LogitGroup]) -> tuple[LogitGroup, ...]:
    """The groups whose candidates are operations: all but those of the weights of whole edges."""
    return tuple(group for group in groups if group.role == "operations")


class OperationKey(NamedTuple):
    """A candidate of an edge of a cell in a supernet; cells are counted from the stem, rows are those of the group."""

    cell: int
    row: int
    candidate: str


class Slice(NamedTuple):
    """Rows `start` … `stop` − 1, in dimension 0, of the parameter of that name."""

    parameter: str
    start: int
    stop: int
