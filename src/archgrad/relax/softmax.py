"""Eq. 1, continuous relaxation: p = softmax(α / τ) over the candidates that an edge has."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Bool, Float
from torch import Tensor

from archgrad.checks import above


@dataclass(frozen=True)
class Softmax:
    """p_o = exp(α_o / τ) / Σ_o' exp(α_o' / τ), the sum over the candidates that the mask allows; masked weights are 0.

    `temperature` τ > 0: 1 in the paper; lower is closer to a hard choice.

    Reference: arXiv:1806.09055, Eq. 2 (there τ = 1).

    >>> import torch
    >>> Softmax()(torch.zeros(1, 4), torch.tensor([[True, True, False, False]]))
    tensor([[0.5000, 0.5000, 0.0000, 0.0000]])

    Raises:
        ValueError: the temperature is not above 0.
    """

    temperature: float = 1.0

    citation: ClassVar[str] = "1806.09055"

    def __post_init__(self) -> None:
        above("temperature", self.temperature, 0)

    def __call__(
        self, logits: Float[Tensor, "*ensemble edges candidates"], mask: Bool[Tensor, "edges candidates"]
    ) -> Float[Tensor, "*ensemble edges candidates"]:
        return (logits / self.temperature).masked_fill(~mask, float("-inf")).softmax(dim=-1)
