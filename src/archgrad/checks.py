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


def at_least(argument: str, value: float, minimum: float) -> None:
    """Raise a ValueError unless `value` is finite and at least `minimum`."""
    if not minimum <= value < math.inf:  # written so that NaN fails too
        raise ValueError(f"{argument}: must be at least {minimum}, got {value}.")


def above(argument: str, value: float, limit: float) -> None:
    """Raise a ValueError unless `value` is finite and above `limit`."""
    if not limit < value < math.inf:
        raise ValueError(f"{argument}: must be above {limit}, got {value}.")


def within(argument: str, value: float, bounds: tuple[float, float]) -> None:
    """Raise a ValueError unless `value` lies in the closed interval `bounds`."""
    low, high = bounds
    if not low <= value <= high:
        raise ValueError(f"{argument}: must lie in [{low}, {high}], got {value}.")


def share(argument: str, value: float) -> None:
    """Raise a ValueError unless `value` lies in [0, 1): a probability or a decay that leaves something."""
    if not 0 <= value < 1:
        raise ValueError(f"{argument}: must lie in [0, 1), got {value}.")
