"""What an estimator tells the operations about the derivatives that it is going to ask for."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_wanted: ContextVar[str | None] = ContextVar("second_derivatives", default=None)


@contextmanager
def mixed_derivatives() -> Iterator[None]:
    """Within the context, forward passes record a graph fit for ∇_α ⟨∇_w L, v⟩ and ∇²_α L, and for nothing by (w, w).

    Operations may use this to leave out what those products do not need (`archgrad.ops.mixed_derivative`). The first
    gradient must be taken with `create_graph=True`. Outside the context everything can be differentiated as often as
    one likes.
    """
    with _wanting("mixed"):
        yield


@contextmanager
def second_derivatives() -> Iterator[None]:
    """Within the context, forward passes record a graph that can be differentiated twice by whatever it depends on.

    Beside `mixed_derivatives` it has ∇²_{w,w} L. The first gradient must be taken with `create_graph=True`.
    """
    with _wanting("all"):
        yield


def mixed_derivatives_wanted() -> bool:
    """Whether second derivatives are going to be asked for: the caller is inside one of the two contexts."""
    return _wanted.get() is not None


def weight_derivatives_wanted() -> bool:
    """Whether those by (w, w) are among them: the caller is inside `second_derivatives()`."""
    return _wanted.get() == "all"


@contextmanager
def _wanting(which: str) -> Iterator[None]:
    token = _wanted.set(which)
    try:
        yield
    finally:
        _wanted.reset(token)
