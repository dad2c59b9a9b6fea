"""Eq. 4 at its inner optimum: the hypergradient by the implicit function theorem, and two ways to apply H⁻¹."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, TypeAlias, runtime_checkable

import torch
from torch import Tensor

from archgrad.arch import Logits
from archgrad.autodiff import second_derivatives
from archgrad.checks import above, at_least, whole
from archgrad.hypergrad.problem import InnerStep, Losses, Weights, detached, gradients, joint_gradients, norm

Product: TypeAlias = Callable[[Weights], Weights]
"""v -> H·v with a symmetric H."""


@runtime_checkable
class Solver(Protocol):
    """An estimate of H⁻¹·v from products with H; `learning_rate` is that of the inner step."""

    def __call__(self, product: Product, vector: Weights, *, learning_rate: float) -> Weights: ...


@dataclass(frozen=True, kw_only=True)
class ConjugateGradient:
    """x with (H + δ·I) x = v, by `iterations` steps of the method of conjugate gradients from x = 0; δ is `damping`.

        a = rᵀr / dᵀ(H + δ·I)d,   x ← x + a·d,   r ← r − a·(H + δ·I)d,   d ← r + (r₊ᵀr₊ / rᵀr)·d

    Exact after as many steps as H + δ·I has different eigenvalues. Truncated: where a direction d has no positive
    curvature, dᵀ(H + δ·I)d ≤ 0, the system is no minimum to go to, and x is what it was before that direction; at the
    first direction that is 0, and the hypergradient is first order. A supernet's H is indefinite, which is what the
    damping is for. It stops as well where the residual r is as small as rounding.

    Reference: arXiv:1602.02355; arXiv:1909.04630 (which takes 5 steps, and damps by its inner problem's
    regulariser).

    Raises:
        ValueError: `iterations` is below 1 or no whole number, or `damping` is negative.
    """

    iterations: int = 10
    damping: float = 0.01

    citation: ClassVar[str] = "1602.02355"

    def __post_init__(self) -> None:
        whole("iterations", self.iterations, 1)
        at_least("damping", self.damping, 0)

    def __call__(self, product: Product, vector: Weights, *, learning_rate: float) -> Weights:
        solution = {name: torch.zeros_like(tensor) for name, tensor in vector.items()}
        residual, direction = vector, vector
        squared = _inner(residual, residual)
        smallest = torch.finfo(squared.dtype).eps ** 2 * squared
        for _ in range(self.iterations):
            if squared <= smallest:
                break
            image = _add(product(direction), self.damping, direction)
            curvature = _inner(direction, image)
            if curvature <= 0:
                break
            length = squared / curvature
            solution = _add(solution, length, direction)
            residual = _add(residual, -length, image)
            before, squared = squared, _inner(residual, residual)
            direction = _add(residual, squared / before, direction)
        return solution


@dataclass(frozen=True, kw_only=True)
class Neumann:
    """H⁻¹·v ≈ γ · Σ_{j=0}^{K−1} (I − γ·H)^j · v with K `terms` and the step γ, by default the inner learning rate.

    It converges to H⁻¹·v where 0 < γ·λ < 2 for all eigenvalues λ of H, and grows with K otherwise; γ the learning rate,
    the sum is what K inner steps that all see the same H would be differentiated to. One term is γ·v, the product of
    DARTS' second order.

    Reference: arXiv:1911.02590, Algorithm 3; arXiv:2106.10784 (iDARTS), where γ is the learning rate.

    Raises:
        ValueError: `terms` is below 1 or no whole number, or `step` is not above 0.
    """

    terms: int = 3
    step: float | None = None

    citation: ClassVar[str] = "1911.02590"

    def __post_init__(self) -> None:
        whole("terms", self.terms, 1)
        if self.step is not None:
            above("step", self.step, 0)

    def __call__(self, product: Product, vector: Weights, *, learning_rate: float) -> Weights:
        step = learning_rate if self.step is None else self.step
        term = total = vector
        for _ in range(self.terms - 1):
            term = _add(term, -step, product(term))
            total = _add(total, 1.0, term)
        return {name: step * tensor for name, tensor in total.items()}


@dataclass(frozen=True)
class Implicit:
    """∇_α L_val(w, α) − ∇²_{α,w} L_train(w, α) · H⁻¹ ∇_w L_val(w, α), with w taken for w*(α).

    w* is where the inner steps come to rest, ∇_w L_train(w*, α) + λ·w* = 0 with the weight decay λ of the inner step:
    the decay is part of the inner problem, so that H = ∇²_{w,w} L_train(w, α) + λ·I. Momentum moves no point of rest
    and plays no part; `gradient_clip` bounds ∇_w L_val, as in the products of the other estimators. `solver` says how
    H⁻¹ is applied.

    Products with H are exact, ∇_w ⟨∇_w L_train, v⟩ by automatic differentiation, and so is the one with the mixed
    derivative. All share the graph of one evaluation of L_train, made in `second_derivatives()`, since
    `mixed_derivatives()` leaves out those by (w, w).

    Reference: arXiv:1602.02355; arXiv:2106.10784 (iDARTS) for architectures. Differs: λ·I is written out, since L_train
    does not contain the weight decay.
    """

    solver: Solver = field(default_factory=ConjugateGradient)

    citation: ClassVar[str] = "1602.02355"

    def __call__(self, losses: Losses, weights: Weights, logits: Logits, *, inner: InnerStep) -> Logits:
        alpha = detached(logits, requires_grad=True)
        w = detached(weights, requires_grad=True)
        v, direct = joint_gradients(losses.validation(w, alpha), w, alpha)
        v = inner.clipped(v)

        with second_derivatives():
            train_loss = losses.train(w, alpha)
        of_train = gradients(train_loss, w, create_graph=True)
        # A gradient that depends on nothing, such as that of an unused weight, has no graph.
        linked = {name: gradient for name, gradient in of_train.items() if gradient.requires_grad}
        if not linked or norm(v) == 0:
            return direct

        def along(vector: Weights, by: dict[str, Tensor]) -> dict[str, Tensor]:
            """∇ ⟨∇_w L_train, vector⟩ by some of the tensors."""
            found = torch.autograd.grad(
                list(linked.values()),
                list(by.values()),
                grad_outputs=[vector[name] for name in linked],
                retain_graph=True,
                materialize_grads=True,
            )
            return dict(zip(by, found, strict=True))

        def product(vector: Weights) -> Weights:
            return _add(along(vector, w), inner.weight_decay, vector)

        solution = self.solver(product, v, learning_rate=inner.learning_rate)
        mixed = along(solution, alpha)
        return {name: direct[name] - mixed[name] for name in alpha}


def _add(first: Weights, scale: float | Tensor, second: Weights) -> Weights:
    """first + scale · second."""
    return {name: tensor + scale * second[name] for name, tensor in first.items()}


def _inner(first: Weights, second: Weights) -> Tensor:
    """⟨first, second⟩ over all tensors."""
    return torch.stack([(tensor * second[name]).sum() for name, tensor in first.items()]).sum()
