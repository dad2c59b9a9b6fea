"""One-shot evaluation: decoded candidates are compared by the supernet's own weights, without training any of them."""

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import numpy as np

from archgrad.checks import one_of, whole
from archgrad.genotype import Genotype
from archgrad.seeding import derive
from archgrad.selection.drawing import draw
from archgrad.selection.probe import Probe, encodable

DRAWS = ("mixture", "uniform")


@dataclass(frozen=True)
class OneShot:
    """Of `count` drawn genotypes, the one with the highest validation accuracy under the shared weights.

    argmax_g accuracy_val(w, encode(g)): each genotype is evaluated as the one-hot mixture that it is. Of equal
    accuracies the lower loss wins, then the earlier genotype. A genotype that was drawn twice is evaluated once.

    `draw` is "mixture", for draws with P(g) ∝ Π_e p_{e, o_e} beside the genotype that the method's rule decodes; or
    "uniform", which with a supernet trained on uniform paths is random search with weight sharing.

    Reference: arXiv:1902.07638, random search with weight sharing. The paper evaluates its draws on a part of the
    validation data and the best of them on all of it; here all are evaluated on the probe's batches.

    Raises:
        ValueError: `count` below 1 or an unknown draw; when called, a space that cannot encode genotypes.
    """

    count: int
    _: KW_ONLY
    draw: str = "mixture"

    citation: ClassVar[str] = "1902.07638"

    def __post_init__(self) -> None:
        whole("count", self.count, 1)
        one_of("draw", self.draw, DRAWS)

    def __call__(self, probe: Probe) -> Genotype:
        """Draw, evaluate, and return the best genotype."""
        space, encode = probe.space, encodable(probe.space).encode
        generator = np.random.default_rng(derive(probe.seed, "one-shot"))
        if self.draw == "uniform":
            genotypes = [space.random_genotype(generator) for _ in range(self.count)]
        else:
            decoded = space.decode(probe.mixture, probe.decoder)
            genotypes = [decoded, *(draw(space, probe.mixture, generator)[0] for _ in range(self.count))]
        measured = {genotype: probe.evaluate(encode(genotype)) for genotype in dict.fromkeys(genotypes)}
        return min(measured, key=lambda genotype: (-measured[genotype]["accuracy"], measured[genotype]["loss"]))
