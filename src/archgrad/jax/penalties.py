"""What a mixture costs beside the validation loss, in JAX: the twins of `archgrad.relax`'s penalties."""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax import Array

from archgrad.arch import LogitGroup, operation_groups
from archgrad.relax import BetaDecay, Penalty, ZeroOneLoss

Groups: TypeAlias = tuple[LogitGroup, ...]

Arrays: TypeAlias = dict[str, Array]

Twin: TypeAlias = Callable[[Arrays, Arrays, Groups, Any], Array]
"""(logits, mixture, groups, progress) -> one number."""


def zero_one_loss(part: ZeroOneLoss, mixture: Arrays, groups: Groups) -> Array:
    """−w / N · Σ (p − ½)² over the N candidates of all edges. Reference: arXiv:1911.12126, Eq. 8."""
    groups = operation_groups(groups)
    squares = [jnp.sum(jnp.square(mixture[group.name] - 0.5), where=group.mask) for group in groups]
    return -part.weight / sum(group.mask.sum() for group in groups) * sum(squares, jnp.zeros(()))


def beta_decay(part: BetaDecay, logits: Arrays, groups: Groups, progress: Any) -> Array:
    """λ(t) · Σ_groups 1/E · Σ_e ln Σ_o exp(α_eo). Reference: arXiv:2203.01665."""
    means = [
        jax.nn.logsumexp(logits[group.name], axis=-1, where=group.mask).mean() for group in operation_groups(groups)
    ]
    return part.strength(progress) * sum(means, jnp.zeros(()))


def penalty(part: Penalty) -> Twin:
    """The twin of a method's penalty.

    Raises:
        ValueError: it has none.
    """
    match part:
        case ZeroOneLoss():
            return lambda logits, mixture, groups, progress: zero_one_loss(part, mixture, groups)
        case BetaDecay():
            return lambda logits, mixture, groups, progress: beta_decay(part, logits, groups, progress)
    raise ValueError(f"penalties: {part!r} has no twin in JAX; allowed are ZeroOneLoss and BetaDecay.")
