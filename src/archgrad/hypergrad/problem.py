"""The bilevel problem as an estimator sees it: two losses of (w, α), and the step that stands for w*(α) (Eq. 4 and 5).

Estimators know nothing of cells or data, so that quadratic problems with closed-form answers test them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

import torch
from torch import Tensor

from archgrad.arch import Logits

Weights: TypeAlias = dict[str, Tensor]
"""w by name: the parameters of a network."""

LossFunction: TypeAlias = Callable[[Weights, Logits], Tensor]
"""(w, α) -> a scalar on the batch that the function was made for."""


class Losses(NamedTuple):
    """The two losses of Eq. 4 on one pair of batches."""

    train: LossFunction
    validation: LossFunction


@dataclass(frozen=True, kw_only=True)
class InnerStep:
    """Eq. 5, one step of gradient descent with momentum: w' = w − ξ (μ·b + ∇_w L_train(w, α) + λ·w).

    `learning_rate` ξ, `momentum` μ, `weight_decay` λ, and `buffers` b, the momentum buffers by name (absent: zero).
    `gradient_clip` bounds ‖∇_w L_train‖ before the step, and ‖v‖ in the products of the second order; None bounds
    nothing. The bound's own derivative is left out of the products. The public code clips for recurrent cells, and not
    for convolutional ones.

    Reference: arXiv:1806.09055, Eq. 6; momentum, decay and clipping as in the public code.
    """

    learning_rate: float
    momentum: float = 0.0
    weight_decay: float = 0.0
    buffers: Weights = field(default_factory=dict)
    gradient_clip: float | None = None

    def __call__(self, weights: Weights, gradients: Weights) -> Weights:
        """Return w'; `weights` stay as they are."""
        gradients = self.clipped(gradients)
        return {
            name: weight - self.learning_rate * self._direction(name, weight, gradients[name])
            for name, weight in weights.items()
        }

    def clipped(self, gradients: Weights) -> Weights:
        """The gradients, scaled down to the bound where their norm is above it."""
        if self.gradient_clip is None:
            return gradients
        scale = (self.gradient_clip / norm(gradients)).clamp(max=1.0)  # a norm of 0 gives infinity, hence 1
        return {name: scale * gradient for name, gradient in gradients.items()}

    def _direction(self, name: str, weight: Tensor, gradient: Tensor) -> Tensor:
        direction = gradient.add(weight, alpha=self.weight_decay)
        return direction.add(self.buffers[name], alpha=self.momentum) if name in self.buffers else direction


@runtime_checkable
class Hypergradient(Protocol):
    """∇_α of the bilevel objective at (w, α): one file of this package for each estimator."""

    def __call__(self, losses: Losses, weights: Weights, logits: Logits, *, inner: InnerStep) -> Logits: ...


def detached(tensors: dict[str, Tensor], *, requires_grad: bool = False) -> dict[str, Tensor]:
    """The same values as leaves of a new graph."""
    return {name: tensor.detach().requires_grad_(requires_grad) for name, tensor in tensors.items()}


def gradients(loss: Tensor, of: dict[str, Tensor], *, create_graph: bool = False) -> dict[str, Tensor]:
    """∂loss/∂x for each x, zeros where the loss does not depend on x.

    With `create_graph` the gradients can be differentiated again.
    """
    if not loss.requires_grad:
        return {name: torch.zeros_like(tensor) for name, tensor in of.items()}
    found = torch.autograd.grad(loss, list(of.values()), create_graph=create_graph, materialize_grads=True)
    return dict(zip(of, found, strict=True))


def joint_gradients(
    loss: Tensor, first: dict[str, Tensor], second: dict[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The gradients by two families of tensors from one backward pass."""
    found = torch.autograd.grad(loss, [*first.values(), *second.values()], materialize_grads=True)
    return dict(zip(first, found, strict=False)), dict(zip(second, found[len(first) :], strict=True))


def norm(tensors: dict[str, Tensor]) -> Tensor:
    """‖v‖₂ of all tensors concatenated."""
    return torch.nn.utils.get_total_norm(tensors.values())
