"""Eq. 1 with independent operations: p = σ(α), so that an edge may keep several or none."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class Sigmoid:
    """p_o = σ(α_o) for each candidate on its own; masked weights are 0.

    Reference: arXiv:1911.12126 (FairDARTS).

    >>> Sigmoid()(torch.zeros(1, 2), torch.tensor([[True, False]]))
    tensor([[0.5000, 0.0000]])
    """

    citation: ClassVar[str] = "1911.12126"

    def __call__(
        self, logits: Float[Tensor, "*ensemble edges candidates"], mask: Bool[Tensor, "edges candidates"]
    ) -> Float[Tensor, "*ensemble edges candidates"]:
        return torch.sigmoid(logits).masked_fill(~mask, 0.0)
