"""Eq. 1 with a schedule: the temperature of a relaxation moves while the search goes on."""

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from jaxtyping import Bool, Float
from torch import Tensor

from archgrad.checks import above, one_of, within
from archgrad.relax.relaxation import Relaxation, is_one_hot

SHAPES = ("linear", "exponential")


@dataclass(frozen=True)
class Annealed:
    """A relaxation whose temperature goes from its own τ₀ to `final_temperature` τ₁ with the progress t of the search.

        τ(t) = (1 − t) τ₀ + t τ₁    `shape` "linear"
        τ(t) = τ₀^(1−t) · τ₁^t      `shape` "exponential"

    `during(t)` is the relaxation at τ(t), with noise where `relaxation` has noise; called itself, it is that at t = 0.

    Reference: arXiv:1910.04465 (GDAS), whose public code goes linearly from 10 to 0.1 with t = epoch / (epochs − 1);
    arXiv:1812.09926 (SNAS) lowers the temperature towards 0.

    >>> from archgrad.relax import Softmax
    >>> Annealed(Softmax(10.0), 0.1, "exponential").during(0.5)
    Softmax(temperature=1.0)

    Raises:
        ValueError: the relaxation has no temperature, the final one is not above 0, or the shape is unknown; from
            `during`, the progress lies outside [0, 1].
    """

    relaxation: Relaxation
    final_temperature: float
    shape: str = "linear"

    def __post_init__(self) -> None:
        tempered: Any = self.relaxation
        if not is_dataclass(tempered) or "temperature" not in {field.name for field in fields(tempered)}:
            raise ValueError(
                f"relaxation: {self.relaxation!r} has no temperature to move; allowed: a dataclass with a field "
                "`temperature`, such as Softmax and Gumbel."
            )
        above("final_temperature", self.final_temperature, 0)
        one_of("shape", self.shape, SHAPES)

    def __call__(
        self, logits: Float[Tensor, "*ensemble edges candidates"], mask: Bool[Tensor, "edges candidates"]
    ) -> Float[Tensor, "*ensemble edges candidates"]:
        return self.relaxation(logits, mask)

    @property
    def one_hot(self) -> bool:
        """Whether the relaxation is one-hot, at any temperature."""
        return is_one_hot(self.relaxation)

    def temperature(self, progress: Any) -> Any:
        """τ(t), for a number as for an array of any library."""
        tempered: Any = self.relaxation
        start, end = tempered.temperature, self.final_temperature
        if self.shape == "linear":
            return (1 - progress) * start + progress * end
        return start ** (1 - progress) * end**progress

    def during(self, progress: float) -> Relaxation:
        """The relaxation at the temperature of this progress."""
        within("progress", progress, (0, 1))
        tempered: Any = self.relaxation
        return replace(tempered, temperature=self.temperature(progress))
