"""Which methods and settings a search in JAX takes, and what it says of the others."""

from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import Array

from archgrad.checks import one_of, whole, within
from archgrad.jax.hypergradients import estimator
from archgrad.jax.penalties import penalty
from archgrad.jax.relaxations import relaxation
from archgrad.methods import METHODS, Method, darts
from archgrad.settings import BilevelSettings, changed

PARTS = ("stages", "perturbation", "alignment", "freezing", "stopping", "selection")
"""Parts of a method that belong to the PyTorch driver alone."""

SETTINGS = (
    "epochs",
    "warmup_epochs",
    "learning_rate",
    "final_learning_rate",
    "momentum",
    "weight_decay",
    "gradient_clip",
    "logits_learning_rate",
    "logits_betas",
    "logits_weight_decay",
    "logits_scale",
)
"""The settings that a search in JAX knows."""


REPLACED = {
    "weight_optimizer": ("learning_rate", "final_learning_rate", "momentum", "weight_decay"),
    "logit_optimizer": ("logits_learning_rate", "logits_betas", "logits_weight_decay"),
}
"""The settings of the usual optimisers, by the argument that takes their place."""

SEEDS = 2**32
"""JAX takes seeds below, and of larger ones the last bits alone."""

ARGUMENTS = ("method", "seed", "supernet", "loss", "weight_optimizer", "logit_optimizer", "settings")
"""What `init_search` takes beside settings, for messages."""


def method_row(method: Any) -> Method:
    """The row of a method, second-order DARTS unless given.

    Raises:
        ValueError: an unknown name, or a part of the method has no twin in JAX; the message names those that have.
    """
    if isinstance(method, str):
        method = METHODS[method if method in METHODS else one_of("method", method, supported())]
    elif method is None:
        method = darts()
    if not isinstance(method, Method):
        raise ValueError(f"method: must be a name or a row such as archgrad.methods.darts(order=2), got {method!r}.")
    reason = _reason(method)
    if reason is not None:
        raise ValueError(
            f"method: {method.name!r} is the PyTorch driver's alone ({reason}). In JAX: {', '.join(supported())}."
        )
    return method


def supported() -> tuple[str, ...]:
    """The methods of the table that JAX searches by."""
    return tuple(name for name, method in METHODS.items() if _reason(method) is None)


def _reason(method: Method) -> str | None:
    for part in PARTS:
        if getattr(method, part):
            return f"it has {part}"
    for part in ("one_path", "skip_dropout"):
        if getattr(method.mixing, part):
            return f"it has mixing.{part}"
    try:
        relaxation(method.relaxation)
        if method.hypergradient is not None:
            estimator(method.hypergradient)
        for part in method.penalties:
            penalty(part)
    except ValueError as error:
        return str(error)
    return None


def checked_settings(settings: BilevelSettings, changes: Mapping[str, Any]) -> BilevelSettings:
    """The settings with these changes.

    Raises:
        ValueError: a change that is none of JAX's settings, a value that is not allowed, or another setting of the
            PyTorch driver's that differs from its default.
    """
    names = {field.name for field in fields(settings)}
    for name in changes:
        if name not in names:
            one_of("argument", name, (*SETTINGS, *ARGUMENTS))
    resolved, usual = changed(settings, dict(changes)), BilevelSettings()
    for field in fields(resolved):
        if field.name not in SETTINGS and getattr(resolved, field.name) != getattr(usual, field.name, None):
            raise ValueError(f"{field.name}: is a setting of the PyTorch driver alone; in JAX: {', '.join(SETTINGS)}.")
    return resolved


def random_key(seed: Any) -> Array:
    """The key of a seed: a whole number that JAX takes whole, or a scalar array of them, which may be traced.

    Raises:
        ValueError: another seed.
    """
    if isinstance(seed, Array) and seed.ndim == 0 and jnp.issubdtype(seed.dtype, jnp.integer):
        return jax.random.key(seed)
    if not isinstance(seed, int | np.integer):
        raise ValueError(f"seed: must be a whole number, and one of them (many by `jax.vmap`), got {seed!r}.")
    number = seed if isinstance(seed, int) else int(seed)
    whole("seed", number, 0)
    within("seed", number, (0, SEEDS - 1))
    return jax.random.key(number)


def check_optimizer(argument: str, optimizer: Any, *, beside: Collection[str] = ()) -> None:
    """Raise a ValueError unless this is an Optax transformation or None, without the settings that it replaces."""
    if optimizer is None:
        return
    if not isinstance(optimizer, optax.GradientTransformation):
        raise ValueError(f"{argument}: must be an Optax transformation such as optax.adam(1e-3), got {optimizer!r}.")
    for name in REPLACED.get(argument, ()):
        if name in beside:
            raise ValueError(f"{name}: has no effect beside {argument}, which has a rate and a decay of its own.")


def check_loss(loss: Any) -> None:
    """Raise a ValueError unless a loss can be called."""
    if not callable(loss):
        raise ValueError(f"loss: must be a function of (outputs, targets), got {loss!r}.")


def check_own(space: Any, supernet: Any, method: Method) -> None:
    """Raise a ValueError unless a space of one's own has groups, a supernet to be made, and a method that suits it."""
    if not hasattr(space, "groups"):
        raise ValueError(
            f"space: {type(space).__name__} has no `groups`, a tuple of archgrad.arch.LogitGroup, as ConvCellSpace has."
        )
    if not space.groups:
        raise ValueError("space: its `groups` must be at least one archgrad.arch.LogitGroup, got none.")
    if isinstance(supernet, nnx.Module) or not callable(supernet):
        raise ValueError(
            "supernet: must be a class or function that makes a module when called with rngs=, "
            f"got {type(supernet).__name__}."
        )
    if not method.mixing.plain:
        raise ValueError(
            f"method: {method.name!r} changes the inside of cells (mixing), which a supernet of one's own does not "
            "offer; the nearest valid one is darts-first-order."
        )
