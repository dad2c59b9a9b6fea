"""How cells are stacked: the one table from which supernet and derived network are both built."""

from dataclasses import dataclass

from archgrad.checks import one_of

NORMAL, REDUCE = "normal", "reduce"
STEMS = ("cifar", "imagenet")


@dataclass(frozen=True)
class CellPlan:
    """One cell of the stack: its kind, its channels C, and what its two inputs look like.

    `halves_first`: input 0 comes from before a reduction, so that its size must be halved.
    """

    kind: str
    channels: int
    inputs: tuple[int, int]
    halves_first: bool

    @property
    def input_stride(self) -> int:
        """The stride of the edges that leave the cell's inputs."""
        return 2 if self.kind == REDUCE else 1


def reductions(layers: int) -> tuple[int, int]:
    """The positions of the two reduction cells, at a third and two thirds of the depth (arXiv:1806.09055, sec. 3.1)."""
    return layers // 3, 2 * layers // 3


def stem_width(stem: str, channels: int) -> int:
    """The channels that leave the stem: 3C for small images, C for large ones."""
    return 3 * channels if one_of("stem", stem, STEMS) == "cifar" else channels


def stack(channels: int, layers: int, *, stem: str, outputs: dict[str, int]) -> tuple[CellPlan, ...]:
    """Plan `layers` cells of `channels` channels at first, doubled in each reduction.

    `outputs[kind]` is the number of states which the output of a cell of that kind concatenates. With the ImageNet stem
    the first cell counts as following a reduction, since its two stems differ in size.
    """
    plans = []
    before, previous = stem_width(stem, channels), stem_width(stem, channels)
    follows_reduction = stem == "imagenet"
    for layer in range(layers):
        kind = REDUCE if layer in reductions(layers) else NORMAL
        channels = 2 * channels if kind == REDUCE else channels
        plans.append(CellPlan(kind, channels, (before, previous), follows_reduction))
        before, previous = previous, outputs[kind] * channels
        follows_reduction = kind == REDUCE
    return tuple(plans)
