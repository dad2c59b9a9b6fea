"""Regression by many models at once: an ensemble's members have a loss each and do not see each other."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from archgrad.checks import one_of
from archgrad.tasks.task import Carry, Evaluation, Forward

LINKS = ("identity", "sigmoid", "deviance")


@dataclass(frozen=True, kw_only=True)
class Regression:
    """loss = Σ_r L_r over the members r whose L_r = Σ_n w_n ℓ(η_rn, y_n) / Σ_n w_n is finite.

    η [members, rows] are the outputs; targets are y [rows], or y beside the weights w of the rows, [rows, 2]. `link`
    "identity": ℓ = (η − y)²; "sigmoid": (σ(η) − y)²; "deviance": the cross-entropy between y, in [0, 1], and σ(η).
    Metrics: the `loss` of the best member and the `median_loss`, of those with a finite one.

    Raises:
        ValueError: the link is unknown.
    """

    link: str = "identity"

    def __post_init__(self) -> None:
        one_of("link", self.link, LINKS)

    def member_losses(
        self, outputs: Float[Tensor, "members rows"], targets: Float[Tensor, "rows *weighted"]
    ) -> Float[Tensor, "members"]:
        """The loss L_r of every member."""
        wanted, weights = targets.unbind(dim=1) if targets.ndim == 2 else (targets, torch.ones_like(targets))
        if self.link == "deviance":
            losses = F.binary_cross_entropy_with_logits(outputs, wanted.expand_as(outputs), reduction="none")
        else:
            losses = ((outputs.sigmoid() if self.link == "sigmoid" else outputs) - wanted).square()
        shares = weights / weights.sum().clamp_min(torch.finfo(weights.dtype).tiny)  # a batch may weigh nothing
        return losses @ shares

    def evaluate(self, forward: Forward, batch: tuple[Tensor, Tensor], carry: Carry) -> Evaluation:
        """Evaluate a batch of (inputs [rows, columns], targets [rows] or [rows, 2]); nothing is carried on."""
        inputs, targets = batch
        losses = self.member_losses(forward(inputs), targets)
        finite = losses.detach().isfinite()
        usable = losses if finite.all() or not finite.any() else losses[finite]
        metrics = {"loss": usable.detach().min(), "median_loss": usable.detach().median()}
        return Evaluation(usable.sum(), metrics, len(inputs), carry)
