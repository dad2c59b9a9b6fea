"""Which methods and settings a search in JAX takes, and what it says of the others."""

from dataclasses import fields

from archgrad.jax.hypergradients import estimator
from archgrad.jax.penalties import penalty
from archgrad.jax.relaxations import relaxation
from archgrad.methods import METHODS, Method
from archgrad.settings import BilevelSettings

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


def check_method(method: Method) -> None:
    """Raise a ValueError unless every part of a method has a twin in JAX; the message names the methods that have."""
    reason = _reason(method)
    if reason is not None:
        raise ValueError(
            f"method: {method.name!r} is the PyTorch driver's alone ({reason}). In JAX: {', '.join(supported())}."
        )


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


def check_settings(settings: BilevelSettings) -> None:
    """Raise a ValueError where a setting differs from its default that JAX does not know."""
    usual = BilevelSettings()
    for field in fields(settings):
        if field.name not in SETTINGS and getattr(settings, field.name) != getattr(usual, field.name, None):
            raise ValueError(f"{field.name}: is a setting of the PyTorch driver alone; in JAX: {', '.join(SETTINGS)}.")
