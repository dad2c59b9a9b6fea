"""Eq. 6 with ξ = 0: w stands for w*(α), and the hypergradient is the plain gradient of the validation loss."""

from dataclasses import dataclass

from archgrad.arch import Logits
from archgrad.hypergrad.problem import InnerStep, Losses, Weights, detached, gradients


@dataclass(frozen=True)
class FirstOrder:
    """∇_α L_val(w, α). The inner step is not taken; no gradient of the weights is computed.

    Reference: arXiv:1806.09055, section 2.3, "first-order approximation".
    """

    def __call__(self, losses: Losses, weights: Weights, logits: Logits, *, inner: InnerStep) -> Logits:
        alpha = detached(logits, requires_grad=True)
        return gradients(losses.validation(detached(weights), alpha), alpha)
