"""Eq. 1 in JAX: the relaxations of the table of methods, each the twin of a part of `archgrad.relax`.

A part of a method says which relaxation; `relaxation` looks its twin up. Progress and noise are arguments, so that one
compiled step serves the whole search.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Bool, Float, Key

from archgrad.relax import Annealed, Gumbel, Relaxation, Sigmoid, Softmax

Relaxing: TypeAlias = Callable[[Array, Array, Array | None, Array | float], Array]
"""(logits, mask, key, progress) -> mixture; without a key there is no noise, as for decoding."""


def softmax(logits: Float[Array, "..."], mask: Bool[Array, "..."], temperature: Any = 1.0) -> Float[Array, "..."]:
    """p_o = exp(α_o / τ) / Σ_o' exp(α_o' / τ) over the candidates that the mask allows; masked weights are 0.

    Reference: arXiv:1806.09055, Eq. 2.
    """
    return nnx.softmax(jnp.where(mask, logits / temperature, -jnp.inf))


def sigmoid(logits: Float[Array, "..."], mask: Bool[Array, "..."]) -> Float[Array, "..."]:
    """p_o = σ(α_o); masked weights are 0. Reference: arXiv:1911.12126."""
    return jnp.where(mask, nnx.sigmoid(logits), 0.0)


def gumbel(
    logits: Float[Array, "..."],
    mask: Bool[Array, "..."],
    key: Key[Array, ""] | None,
    *,
    temperature: Any,
    hard: bool,
) -> Float[Array, "..."]:
    """p = softmax((α + g) / τ) with Gumbel noise g; with `hard` one-hot, differentiated as if it were p.

    Without a key there is no noise. Reference: arXiv:1611.01144, Eq. 2 and section 2.2.
    """
    if key is None:
        return softmax(logits, mask, temperature)
    soft = softmax(logits + jax.random.gumbel(key, logits.shape, logits.dtype), mask, temperature)
    if not hard:
        return soft
    chosen = nnx.one_hot(soft.argmax(axis=-1), soft.shape[-1], dtype=soft.dtype)
    return chosen + (soft - jax.lax.stop_gradient(soft))  # the bracket is exactly 0


def relaxation(part: Relaxation) -> Relaxing:
    """The twin of a method's relaxation.

    Raises:
        ValueError: it has none.
    """
    match part:
        case Softmax(temperature):
            return lambda logits, mask, key, progress: softmax(logits, mask, temperature)
        case Sigmoid():
            return lambda logits, mask, key, progress: sigmoid(logits, mask)
        case Gumbel(temperature, hard):
            return lambda logits, mask, key, progress: gumbel(logits, mask, key, temperature=temperature, hard=hard)
        case Annealed(relaxation=Softmax()):
            return lambda logits, mask, key, progress: softmax(logits, mask, part.temperature(progress))
        case Annealed(relaxation=Gumbel(hard=hard)):
            return lambda logits, mask, key, progress: gumbel(
                logits, mask, key, temperature=part.temperature(progress), hard=hard
            )
    raise ValueError(f"relaxation: {part!r} has no twin in JAX; allowed are Softmax, Sigmoid, Gumbel, Annealed.")
