"""Eq. 1: relaxations, logits to mixture weights, one file each, and penalties on mixtures.

A relaxation is a callable (logits [*ensemble, edges, candidates], mask [edges, candidates]) -> mixture of the logits'
shape; the dimensions of an ensemble are searches side by side. A relaxation that draws noise is `Sampled`.
"""

from collections.abc import Callable
from typing import Protocol, TypeAlias, runtime_checkable

from torch import Tensor

from archgrad.relax.gumbel import Gumbel
from archgrad.relax.penalties import Parsimony, Penalty, ZeroOneLoss
from archgrad.relax.sigmoid import Sigmoid
from archgrad.relax.softmax import Softmax

Relaxation: TypeAlias = Callable[[Tensor, Tensor], Tensor]


@runtime_checkable
class Sampled(Protocol):
    """A relaxation with noise: `at(seed)` is the one with the noise of that seed, equal in all evaluations.

    Called itself, it is the relaxation without noise, which mixtures are decoded with.
    """

    def __call__(self, logits: Tensor, mask: Tensor) -> Tensor: ...

    def at(self, seed: int) -> Relaxation: ...


__all__ = ["Gumbel", "Parsimony", "Penalty", "Relaxation", "Sampled", "Sigmoid", "Softmax", "ZeroOneLoss"]
