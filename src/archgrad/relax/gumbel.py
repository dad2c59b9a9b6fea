"""Eq. 1 with noise: p = softmax((α + g) / τ), a sample from the Gumbel-softmax distribution."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from archgrad.checks import above
from archgrad.relax.softmax import Softmax


@dataclass(frozen=True)
class Gumbel:
    """p = softmax((α + g) / τ) with g = −ln(−ln u), u uniform in (0, 1).

    `temperature` τ > 0. With `hard` the mixture is one-hot, exactly 1 at the largest p and exactly 0 elsewhere, and is
    differentiated as if it were p.
    `at(seed)` is the relaxation with the noise of one step; called itself, it is without noise, softmax(α / τ), which
    is what decoding sees.

    Reference: arXiv:1611.01144, Eq. 2, and section 2.2 for `hard` ("straight-through"); as a relaxation of
    architectures arXiv:1812.09926 (SNAS), and with `hard` arXiv:1910.04465 (GDAS).

    Raises:
        ValueError: the temperature is not above 0.
    """

    temperature: float = 1.0
    hard: bool = False

    citation: ClassVar[str] = "1611.01144"

    def __post_init__(self) -> None:
        above("temperature", self.temperature, 0)

    def __call__(
        self, logits: Float[Tensor, "*ensemble edges candidates"], mask: Bool[Tensor, "edges candidates"]
    ) -> Float[Tensor, "*ensemble edges candidates"]:
        return Softmax(self.temperature)(logits, mask)

    @property
    def one_hot(self) -> bool:
        """Whether samples are one-hot."""
        return self.hard

    def at(self, seed: int) -> "GumbelSample":
        """The relaxation with the noise of `seed`."""
        return GumbelSample(self, seed)


@dataclass(frozen=True)
class GumbelSample:
    """A Gumbel relaxation whose noise follows from `seed`: logits of equal shape get equal noise, however often."""

    relaxation: Gumbel
    seed: int

    @property
    def one_hot(self) -> bool:
        """Whether samples are one-hot."""
        return self.relaxation.hard

    def __call__(
        self, logits: Float[Tensor, "*ensemble edges candidates"], mask: Bool[Tensor, "edges candidates"]
    ) -> Float[Tensor, "*ensemble edges candidates"]:
        generator = torch.Generator(logits.device).manual_seed(self.seed)
        uniform = torch.rand(logits.shape, generator=generator, device=logits.device, dtype=logits.dtype)
        noise = -torch.log(-torch.log(uniform.clamp(1e-9, 1.0 - 1e-7)))  # the draws contain 0, and rounding makes 1
        soft = self.relaxation(logits + noise, mask)
        if not self.relaxation.hard:
            return soft
        chosen = torch.zeros_like(soft).scatter(-1, soft.argmax(dim=-1, keepdim=True), 1.0)
        return chosen + (soft - soft.detach())  # the bracket is exactly 0, which one rounding of the sum would not be
