"""Sampling: the genotype is drawn from the mixture, which the method takes for a distribution over architectures."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from archgrad.checks import whole
from archgrad.genotype import Genotype
from archgrad.seeding import derive
from archgrad.selection.drawing import draw
from archgrad.selection.probe import Probe, encodable


@dataclass(frozen=True)
class SampledSelection:
    """The most probable of `count` genotypes drawn from the final mixture; with 1, simply a draw.

    P(g) ∝ Π_e p_{e, o_e} (see `draw`); of equally probable genotypes the one drawn first.

    Reference: arXiv:1812.09926, section 2.1: a child network is a draw from p(Z), whose edges are independent.

    Raises:
        ValueError: `count` below 1; when called, a space that cannot encode genotypes.
    """

    count: int = 1

    citation: ClassVar[str] = "1812.09926"

    def __post_init__(self) -> None:
        whole("count", self.count, 1)

    def __call__(self, probe: Probe) -> Genotype:
        """Draw, and return the most probable genotype."""
        encodable(probe.space)
        generator = np.random.default_rng(derive(probe.seed, "sampled selection"))
        drawn = [draw(probe.space, probe.mixture, generator) for _ in range(self.count)]
        return max(drawn, key=lambda pair: pair[1])[0]
