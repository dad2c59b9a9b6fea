"""Eq. 1: relaxations, logits to mixture weights, one file each.

A relaxation is a callable (logits [edges, candidates], mask [edges, candidates]) -> mixture [edges, candidates].
"""

from collections.abc import Callable
from typing import TypeAlias

from torch import Tensor

from archgrad.relax.softmax import Softmax

Relaxation: TypeAlias = Callable[[Tensor, Tensor], Tensor]

__all__ = ["Relaxation", "Softmax"]
