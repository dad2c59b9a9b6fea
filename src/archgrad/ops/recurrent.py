"""The candidates of a recurrent cell: activations f of the highway step s + σ(c)(f(h) − s), with their derivatives."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from archgrad.arch import NONE

RECURRENT_CANDIDATES = (NONE, "tanh", "relu", "sigmoid", "identity")
"""The candidates of arXiv:1806.09055, section 3.1.2, in the order of its code."""

Elementwise: TypeAlias = Callable[[Tensor], Tensor]


class Activation(NamedTuple):
    """f, and f' as a function of the value y = f(h) alone, which all candidates have in common."""

    function: Elementwise
    derivative: Elementwise


def identity(value: Tensor) -> Tensor:
    """Return the argument."""
    return value


def tanh(value: Tensor) -> Tensor:
    """tanh h as 2 σ(2h) − 1, which takes a third of the time on CPUs; the absolute error is that of rounding near 1."""
    return torch.mul(value, 2.0).sigmoid_().mul_(2.0).sub_(1.0)


def derivative_of_tanh(value: Tensor) -> Tensor:
    """1 − y²."""
    return 1.0 - value.square()


def derivative_of_relu(value: Tensor) -> Tensor:
    """1 where y > 0, 0 elsewhere."""
    return (value > 0).to(value.dtype)


def derivative_of_sigmoid(value: Tensor) -> Tensor:
    """y (1 − y)."""
    return value - value.square()


ACTIVATIONS: dict[str, Activation] = {
    "tanh": Activation(torch.tanh, derivative_of_tanh),
    "relu": Activation(torch.relu, derivative_of_relu),
    "sigmoid": Activation(torch.sigmoid, derivative_of_sigmoid),
    "identity": Activation(identity, torch.ones_like),
}
"""The activations by name; `none` is no activation: it takes softmax mass and contributes nothing."""
