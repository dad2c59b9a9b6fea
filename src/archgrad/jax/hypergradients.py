"""∇_α of the bilevel objective in JAX, exactly (arXiv:1806.09055, Eq. 6 and 7).

Estimators know nothing of cells or data: weights and logits are any pytrees, the inner step is any differentiable
function of the weights' gradient, such as the update of an Optax transformation.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
from jax import Array

from archgrad.checks import one_of
from archgrad.hypergrad import FirstOrder, Hypergradient, Unrolled

Tree: TypeAlias = Any
"""A pytree of arrays."""

LossFunction: TypeAlias = Callable[[Tree, Tree], tuple[Array, Any]]
"""(w, α) -> (a scalar on the batch that the function was made for, anything to be handed on)."""

InnerStep: TypeAlias = Callable[[Tree], Tree]
"""∇_w L_train -> w', the weights after the step that stands for w*(α) (Eq. 5)."""


class Losses(NamedTuple):
    """The two losses of Eq. 4 on one pair of batches."""

    train: LossFunction
    validation: LossFunction


Estimate: TypeAlias = tuple[Tree, tuple[Array, Any]]
"""The hypergradient, and what the validation loss returned where it was taken."""


def first_order(losses: Losses, weights: Tree, logits: Tree, *, inner: InnerStep | None = None) -> Estimate:
    """∇_α L_val(w, α): w stands for w*(α), the inner step is not taken (Eq. 6 with ξ = 0)."""
    found, gradient = jax.value_and_grad(losses.validation, argnums=1, has_aux=True)(weights, logits)
    return gradient, found


def unrolled(losses: Losses, weights: Tree, logits: Tree, *, inner: InnerStep) -> Estimate:
    """∇_α L_val(w'(α), α) with w'(α) = inner(∇_w L_train(w, α)), in full and without finite differences.

        ∇_α L_val(w', α) + ∇²_{α,w} L_train(w, α) · u,   u = (∂inner/∂g)ᵀ ∇_{w'} L_val(w', α)

    The product is the derivative of ∇_α L_train along u: a Jacobian-vector product, forward over reverse, so that no
    graph of a graph is kept. For a step of gradient descent u = −ξ v, and this is Eq. 7 of arXiv:1806.09055; momentum,
    decay, or the scaling of any other transformation are in u as they are in w'.

    >>> import jax.numpy as jnp
    >>> def loss(w, a): return 0.5 * (w - a) ** 2, None
    >>> losses = Losses(train=loss, validation=lambda w, a: (0.5 * w**2, None))
    >>> w, a = jnp.array(3.0), jnp.array(1.0)
    >>> gradient, _ = unrolled(losses, w, a, inner=lambda g: w - 0.1 * g)  # w' = w − ξ (w − α), so ξ w'
    >>> round(float(gradient), 6)
    0.28
    """
    of_train = jax.grad(losses.train, has_aux=True)(weights, logits)[0]
    stepped, pull_back = jax.vjp(inner, of_train)
    found, (v, direct) = jax.value_and_grad(losses.validation, argnums=(0, 1), has_aux=True)(stepped, logits)
    (u,) = pull_back(v)

    def by_logits(weights: Tree) -> Tree:
        return jax.grad(losses.train, argnums=1, has_aux=True)(weights, logits)[0]

    _, product = jax.jvp(by_logits, (weights,), (u,))
    return jax.tree.map(jax.numpy.add, direct, product), found


ESTIMATORS = {FirstOrder: first_order, Unrolled: unrolled}
"""The twin of a method's hypergradient."""


def estimator(part: Hypergradient) -> Callable[..., Estimate]:
    """The twin of a method's hypergradient.

    Raises:
        ValueError: it has none; the message names those that have.
    """
    names = {kind.__name__: twin for kind, twin in ESTIMATORS.items()}
    return names[one_of("hypergradient", type(part).__name__, names)]
