"""Configuration errors: each names the argument, the value and what is allowed."""

import math
from collections.abc import Iterable
from difflib import get_close_matches


def one_of(argument: str, value: str, allowed: Iterable[str]) -> str:
    """Return `value` if it is allowed, else raise a ValueError that suggests the nearest allowed names.

    >>> one_of("candidates", "sep_conv_3", ["sep_conv_3x3", "skip_connect"])
    Traceback (most recent call last):
    ...
    ValueError: candidates: 'sep_conv_3' is unknown; did you mean 'sep_conv_3x3'? Allowed: sep_conv_3x3, skip_connect.
    """
    allowed = list(allowed)
    if value in allowed:
        return value
    near = get_close_matches(value, allowed, n=3, cutoff=0.6)
    hint = f" did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise ValueError(f"{argument}: {value!r} is unknown;{hint} Allowed: {', '.join(allowed)}.")


def whole(argument: str, value: object, minimum: int) -> None:
    """Raise a ValueError unless `value` is a whole number and at least `minimum`.

    >>> whole("layers", 2.5, 1)
    Traceback (most recent call last):
    ...
    ValueError: layers: must be a whole number, got 2.5.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{argument}: must be a whole number, got {value!r}.")
    at_least(argument, value, minimum)


def _number(argument: str, value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(f"{argument}: must be a number, got {value!r}.")
    return value


def at_least(argument: str, value: object, minimum: float) -> None:
    """Raise a ValueError unless `value` is finite and at least `minimum`."""
    if not minimum <= _number(argument, value) < math.inf:  # written so that NaN fails too
        raise ValueError(f"{argument}: must be at least {minimum}, got {value}.")


def above(argument: str, value: object, limit: float) -> None:
    """Raise a ValueError unless `value` is finite and above `limit`."""
    if not limit < _number(argument, value) < math.inf:
        raise ValueError(f"{argument}: must be above {limit}, got {value}.")


def within(argument: str, value: object, bounds: tuple[float, float]) -> None:
    """Raise a ValueError unless `value` lies in the closed interval `bounds`."""
    low, high = bounds
    if not low <= _number(argument, value) <= high:
        raise ValueError(f"{argument}: must lie in [{low}, {high}], got {value}.")


def share(argument: str, value: object) -> None:
    """Raise a ValueError unless `value` lies in [0, 1): a probability or a decay that leaves something."""
    if not 0 <= _number(argument, value) < 1:
        raise ValueError(f"{argument}: must lie in [0, 1), got {value}.")


def warmup(warmup_epochs: object, epochs: int) -> None:
    """Raise a ValueError unless a warm-up is a whole number of epochs, and no longer than the run."""
    whole("warmup_epochs", warmup_epochs, 0)
    if not isinstance(warmup_epochs, int) or warmup_epochs > epochs:
        raise ValueError(
            f"warmup_epochs: must be at most epochs, {epochs} (a short run has to be given both), got {warmup_epochs}."
        )
