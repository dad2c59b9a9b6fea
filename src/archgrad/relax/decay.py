"""Pressure on the logits as a whole: β-decay keeps the mixture weights from growing apart."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from archgrad.arch import operation_groups
from archgrad.checks import at_least
from archgrad.relax.penalties import Relaxed


@dataclass(frozen=True, kw_only=True)
class BetaDecay:
    """λ(t) · Σ_groups 1/E · Σ_e ln Σ_o exp(α_eo), over the E edges of a group and the candidates that an edge has.

    λ(t) = (1 − t) · `initial` + t · `weight` with the progress t of the search. For each member of an ensemble.

    Reference: arXiv:2203.01665 (β-DARTS), where the regulariser is the log-sum-exp of an edge's logits and λ grows
    linearly from 0 to 50. Sum and mean are those of the public code, which takes the mean over the edges of the one
    group that NAS-Bench-201 has; groups add up here, as in ports of that code to DARTS' two kinds of cells. Differs:
    that code's λ is 50 · epoch / 100 in 100 epochs and so ends at 49.5, where t = epoch / (epochs − 1) ends at 50.

    Raises:
        ValueError: `weight` or `initial` is negative.
    """

    weight: float = 50.0
    initial: float = 0.0

    citation: ClassVar[str] = "2203.01665"

    def __post_init__(self) -> None:
        at_least("weight", self.weight, 0)
        at_least("initial", self.initial, 0)

    def __call__(self, relaxed: Relaxed) -> Tensor:
        groups = operation_groups(relaxed.groups)
        means = [
            relaxed.logits[group.name]
            .masked_fill(~group.mask_tensor(relaxed.logits[group.name].device), float("-inf"))
            .logsumexp(dim=-1)
            .mean(dim=-1)
            .sum()
            for group in groups
        ]
        return self.strength(relaxed.progress) * torch.stack(means).sum()

    def strength(self, progress: Any) -> Any:
        """λ(t), for a number as for an array of any library."""
        return (1 - progress) * self.initial + progress * self.weight
