"""The vocabulary of relaxed architectures: groups of logits, and the mixtures made from them.

An architecture parameter α is data: `Logits` maps the name of a group to a tensor [edges, candidates]. A relaxation
(Eq. 1) turns each group into mixture weights p of the same shape. `LogitGroup` is the table that gives rows and
columns their meaning; a mask says which candidates an edge has, so that boundary cases are data and not branches.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

NONE = "none"
"""The candidate that contributes zeros: it takes softmax mass, is never computed and never decoded."""

Logits: TypeAlias = dict[str, Tensor]
"""α by group: name -> [edges, candidates], in an ensemble of searches [members, edges, candidates]."""

Mixture: TypeAlias = dict[str, Tensor]
"""p by group, of the logits' shapes: rows sum to one under a softmax, zero where a candidate is masked."""


@dataclass(frozen=True)
class LogitGroup:
    """One tensor of logits: row e is the edge `edges[e]` = (source, target), column o the operation `candidates[o]`.

    `choices[e]` lists the candidates that edge e has, in the order of `candidates`.

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

    @classmethod
    def dense(
        cls,
        name: str,
        *,
        inputs: int,
        nodes: int,
        candidates: Sequence[str],
        choices: Mapping[tuple[int, int], Sequence[str]] | None = None,
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
        return cls(name, edges, tuple(candidates), ordered)

    @property
    def shape(self) -> tuple[int, int]:
        """[edges, candidates]."""
        return len(self.edges), len(self.candidates)

    @property
    def mask(self) -> np.ndarray:
        """True where an edge has a candidate, [edges, candidates]."""
        return np.array([[candidate in names for candidate in self.candidates] for names in self.choices])

    def mask_tensor(self, device: torch.device | str = "cpu") -> Bool[Tensor, "edges candidates"]:
        """The mask as a tensor on `device`."""
        return torch.from_numpy(self.mask).to(device)

    def leaving(self, source: int) -> tuple[int, ...]:
        """The rows of the edges that leave `source`, by ascending target."""
        return tuple(row for row, (start, _) in enumerate(self.edges) if start == source)

    def entering(self, target: int) -> tuple[int, ...]:
        """The rows of the edges that enter `target`, by ascending source."""
        return tuple(row for row, (_, end) in enumerate(self.edges) if end == target)
