"""What a selection gets of a finished search, and what it gives back."""

from typing import Protocol, runtime_checkable

from archgrad.arch import Mixture
from archgrad.genotype import Genotype
from archgrad.spaces.space import Decoder, Encodable, Space


@runtime_checkable
class Probe(Protocol):
    """A finished search: its space, seed, final mixture and decoding rule, and its supernet with the shared weights.

    `evaluate(mixture)` gives the loss and the accuracy of the supernet on validation batches under any mixture, always
    the same batches. `tune(mixture, epochs)` trains its weights on under a fixed mixture, for so many epochs or a part
    of one.
    """

    @property
    def space(self) -> Space: ...

    @property
    def seed(self) -> int: ...

    @property
    def mixture(self) -> Mixture: ...

    @property
    def decoder(self) -> Decoder: ...

    def evaluate(self, mixture: Mixture) -> dict[str, float]: ...

    def tune(self, mixture: Mixture, epochs: float) -> None: ...


@runtime_checkable
class Selection(Protocol):
    """The rule that turns a finished search into a genotype."""

    def __call__(self, probe: Probe) -> Genotype: ...


def encodable(space: Space) -> Encodable:
    """Return the space if its supernet can evaluate its genotypes.

    Raises:
        ValueError: they cannot.
    """
    if isinstance(space, Encodable):
        return space
    raise ValueError(
        f"selection: needs a space whose genotypes the supernet can evaluate (`encode`), which {space.name!r} is not; "
        "convolutional cells and NAS-Bench-201 are. The nearest valid choice is selection=None, decoding by a rule."
    )
