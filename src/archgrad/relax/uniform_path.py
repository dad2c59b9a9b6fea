"""Eq. 1 by lot: one candidate for each edge, drawn uniformly whatever the logits, for random search."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class UniformPath:
    """One-hot rows, each uniform over the candidates that the mask allows and independent of the others.

    `at(seed)` is the draw of one step; called itself, it is the mean, 1 / n for each of the n candidates of an edge.
    Neither depends on the logits. `none` is drawn like any other candidate.

    Reference: arXiv:1902.07638 (random search with weight sharing); arXiv:1904.00420 (single path one-shot). Differs:
    on DARTS' cells the former draws two incoming edges for each node as well, while here every edge takes part; in
    NAS-Bench-201, where nodes keep all edges, both are the same.

    >>> mask = torch.tensor([[True, True, False], [False, False, True]])
    >>> UniformPath()(torch.randn(2, 3), mask)
    tensor([[0.5000, 0.5000, 0.0000],
            [0.0000, 0.0000, 1.0000]])
    """

    citation: ClassVar[str] = "1902.07638"
    one_hot: ClassVar[bool] = True

    def __call__(
        self, logits: Float[Tensor, "*ensemble edges candidates"], mask: Bool[Tensor, "edges candidates"]
    ) -> Float[Tensor, "*ensemble edges candidates"]:
        allowed = mask.to(logits.dtype)
        return (allowed / allowed.sum(dim=-1, keepdim=True)).expand_as(logits).clone()

    def at(self, seed: int) -> "UniformPathSample":
        """The paths of `seed`, one for each member of an ensemble."""
        return UniformPathSample(seed)


@dataclass(frozen=True)
class UniformPathSample:
    """Paths that follow from `seed`: logits of equal shape get equal paths, however often."""

    seed: int

    one_hot: ClassVar[bool] = True

    def __call__(
        self, logits: Float[Tensor, "*ensemble edges candidates"], mask: Bool[Tensor, "edges candidates"]
    ) -> Float[Tensor, "*ensemble edges candidates"]:
        generator = torch.Generator(logits.device).manual_seed(self.seed)
        lots = torch.rand(logits.shape, generator=generator, device=logits.device).masked_fill(~mask, -1.0)
        chosen = lots.argmax(dim=-1, keepdim=True)
        return torch.zeros_like(logits).scatter(-1, chosen, 1.0)
