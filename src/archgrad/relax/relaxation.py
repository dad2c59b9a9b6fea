"""What a relaxation is, and what the driver may ask of one: noise, a schedule, and whether its rows are one-hot."""

from collections.abc import Callable
from typing import Protocol, TypeAlias, runtime_checkable

from torch import Tensor

Relaxation: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(logits [*ensemble, edges, candidates], mask [edges, candidates]) -> mixture of the logits' shape."""


@runtime_checkable
class Sampled(Protocol):
    """A relaxation with noise: `at(seed)` is the one with the noise of that seed, equal in all evaluations.

    Called itself, it is the relaxation without noise, which mixtures are decoded with.
    """

    def __call__(self, logits: Tensor, mask: Tensor) -> Tensor: ...

    def at(self, seed: int) -> Relaxation: ...


@runtime_checkable
class Scheduled(Protocol):
    """A relaxation that changes during the search: `during(progress)` is the one at that progress, from 0 to 1.

    Called itself, it is the relaxation that the search begins with. What `during` returns may be `Sampled`.
    """

    def __call__(self, logits: Tensor, mask: Tensor) -> Tensor: ...

    def during(self, progress: float) -> Relaxation: ...


def is_one_hot(relaxation: Relaxation) -> bool:
    """Whether the mixture of a step has one weight of 1 in each row, and exactly 0 elsewhere.

    A relaxation says so by an attribute `one_hot`; one without it is not.
    """
    return bool(getattr(relaxation, "one_hot", False))
