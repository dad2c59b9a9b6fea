"""What an estimator tells the operations about the derivatives that it is going to ask for."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_mixed: ContextVar[bool] = ContextVar("mixed_derivatives", default=False)


@contextmanager
def mixed_derivatives() -> Iterator[None]:
    """Within the context, forward passes record a graph fit for ∇_α ⟨∇_w L, v⟩, and for no other second derivative.

    Operations may use this to leave out what that product does not need (`archgrad.ops.mixed_derivative`). ∇_w L must
    be taken with `create_graph=True`. Outside the context everything can be differentiated as often as one likes.
    """
    token = _mixed.set(True)
    try:
        yield
    finally:
        _mixed.reset(token)


def mixed_derivatives_wanted() -> bool:
    """Whether the caller is inside `mixed_derivatives()`."""
    return _mixed.get()
