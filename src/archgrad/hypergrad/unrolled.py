"""Eq. 5 and 6: one inner step is unrolled, and the product with the mixed second derivative is exact."""

from dataclasses import dataclass

import torch

from archgrad.arch import Logits
from archgrad.autodiff import mixed_derivatives
from archgrad.hypergrad.problem import InnerStep, Losses, Weights, detached, gradients, joint_gradients


@dataclass(frozen=True)
class Unrolled:
    """∇_α L_val(w', α) − ξ ∇²_{α,w} L_train(w, α) · v, with w' the inner step and v = ∇_{w'} L_val(w', α).

    The product is ∇_α ⟨∇_w L_train(w, α), v⟩ by automatic differentiation, with no step size to choose. The graph of
    ∇_w L_train serves the inner step and the product, so that L_train is evaluated once.

    Reference: arXiv:1806.09055, Eq. 7. Differs: the paper estimates the product (see `finite_difference`).
    """

    def __call__(self, losses: Losses, weights: Weights, logits: Logits, *, inner: InnerStep) -> Logits:
        alpha = detached(logits, requires_grad=True)
        w = detached(weights, requires_grad=True)
        with mixed_derivatives():
            train_loss = losses.train(w, alpha)
        of_train = gradients(train_loss, w, create_graph=True)

        unrolled = detached(inner(detached(w), detached(of_train)), requires_grad=True)
        beta = detached(logits, requires_grad=True)
        v, direct = joint_gradients(losses.validation(unrolled, beta), unrolled, beta)
        v = inner.clipped(v)

        # A gradient that does not depend on α, such as that of an unused weight, has no graph.
        linked = [name for name, gradient in of_train.items() if gradient.requires_grad]
        if not linked:
            return direct
        mixed = torch.autograd.grad(
            [of_train[name] for name in linked],
            list(alpha.values()),
            grad_outputs=[v[name] for name in linked],
            materialize_grads=True,
        )
        return {name: direct[name] - inner.learning_rate * product for name, product in zip(alpha, mixed, strict=True)}
