"""What methods change about the mixed operation: channels that go past it, an extra skip connection, dropout on skips.

Both engines (`engine`) use these parts; `archgrad.mixing` says which a method asks for.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from archgrad.arch import SKIP, LogitGroup
from archgrad.mixing import Mixing
from archgrad.ops import BatchStatisticsNorm, Operation
from archgrad.ops.skip import skip_connection


def check_partial_channels(partial: int, channels: int, *, even: bool = False) -> None:
    """Raise a ValueError unless K divides the channels; with `even`, into a number that halves.

    >>> check_partial_channels(3, 16)
    Traceback (most recent call last):
    ...
    ValueError: partial_channels: must divide the channels, 16, got 3; the nearest that does is 2 or 4.
    """
    fits = [size for size in range(1, channels + 1) if channels % size == 0 and not (even and channels // size % 2)]
    if partial in fits:
        return
    if not fits:
        raise ValueError(f"channels: a factorised reduction needs an even number of channels, got {channels}.")
    distance = min(abs(size - partial) for size in fits)
    nearest = " or ".join(str(size) for size in fits if abs(size - partial) == distance)
    what = "into an even number, for the factorised reductions, " if even and channels % partial == 0 else ""
    raise ValueError(
        f"partial_channels: must divide the channels, {channels}, {what}got {partial}; "
        f"the nearest that does is {nearest}."
    )


class Interior(nn.Module):
    """What both engines have: the table of a cell's edges, how they mix, and how far the search is.

    `progress` t in [0, 1] is an attribute, set from outside; auxiliary skip and dropout on skips follow from it.
    `selected` = C/K is the number of channels that pass the mixture.
    """

    def __init__(
        self, group: LogitGroup, channels: int, strides: Sequence[int], *, inputs: int, mixing: Mixing
    ) -> None:
        super().__init__()
        halves = max(strides) > 1 and any(SKIP in names for names in group.choices)
        check_partial_channels(mixing.partial_channels, channels, even=halves and mixing.partial_channels > 1)
        self.group = group
        self.inputs = inputs
        self.channels = channels
        self.selected = channels // mixing.partial_channels
        self.strides = tuple(strides)
        self.mixing = mixing
        self.progress = 0.0

    @property
    def auxiliary_weight(self) -> float:
        """The weight of the auxiliary skip, b · (1 − t).

        Reference: arXiv:2009.01027, section 3.3, linear decay. The public code divides by the number of epochs, so that
        its last epoch has a weight of 1 / epochs; here it is 0.
        """
        return self.mixing.auxiliary_skip * (1 - self.progress)

    @property
    def skip_dropout(self) -> float:
        """The probability of dropout after a skip connection, r · exp(−5 t), and 0 in the mode of evaluation (`eval`).

        Reference: arXiv:1904.12760, section 3.3; the decay as in the public code, exp(−0.2 · epoch) over 25 epochs.
        """
        return self.mixing.skip_dropout * math.exp(-5 * self.progress) if self.training else 0.0


def drop(x: Float[Tensor, "batch channels height width"], rate: float) -> Float[Tensor, "batch channels height width"]:
    """Zero single values with probability `rate` and divide the others by 1 − rate, by torch's own generator."""
    return F.dropout(x, rate) if rate > 0 else x


def auxiliary(channels: int, stride: int, copies: int = 1) -> Operation:
    """The skip connection beside the mixture: the identity at stride 1, at stride 2 a factorised reduction of its own.

    Reference: arXiv:2009.01027, Eq. 6, and the public code for the reduction.
    """
    return skip_connection(channels, stride, norm=BatchStatisticsNorm, copies=copies)


def go_past(
    x: Float[Tensor, "batch channels height width"], stride: int
) -> Float[Tensor, "batch channels new_height new_width"]:
    """What the channels beside the mixture undergo: nothing at stride 1, maximum pooling over 2×2 at stride 2.

    Reference: arXiv:1907.05737, public code. Differs on odd sizes only, where that code fails: the last row and column
    are pooled alone.
    """
    return x if stride == 1 else F.max_pool2d(x, stride, ceil_mode=True)


def shuffle(
    x: Float[Tensor, "batch channels height width"], groups: int
) -> Float[Tensor, "batch channels height width"]:
    """Shuffle channels: the one at k·C/K + c goes to c·K + k, with K = `groups`.

    Reference: arXiv:1707.01083 (ShuffleNet), section 3.1, as used in the public code of arXiv:1907.05737.

    >>> shuffle(torch.arange(6.0).view(1, 6, 1, 1), 2).flatten().tolist()
    [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
    """
    return x.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2)


def shuffled(
    mixed: Float[Tensor, "batch selected height width"], passed: Float[Tensor, "batch passed height width"]
) -> Float[Tensor, "batch channels height width"]:
    """shuffle([mixed, passed]) with K = channels / selected, in one copy and in channels_last.

    >>> shuffled(torch.zeros(1, 2, 1, 1), torch.arange(1.0, 5.0).view(1, 4, 1, 1)).flatten().tolist()
    [0.0, 1.0, 3.0, 0.0, 2.0, 4.0]
    """
    first = mixed.permute(0, 2, 3, 1).unsqueeze(-1)
    others = passed.permute(0, 2, 3, 1).unflatten(-1, (-1, mixed.shape[1])).transpose(-1, -2)
    return torch.cat([first, others], dim=-1).flatten(-2).permute(0, 3, 1, 2)


class Sums:
    """Running sums of what enters the nodes ahead, Σ_{i<j} of what state i sends to node j, finished one by one."""

    def __init__(self) -> None:
        self.common: Tensor | None = None
        self.ahead: list[Tensor | None] = []

    def to_all(self, x: Tensor) -> None:
        """Add x to all nodes ahead."""
        self.common = _plus(self.common, x)

    def to_each(self, parts: Sequence[Tensor | None]) -> None:
        """Add one part to each node ahead, in order; None adds nothing."""
        before = self.ahead or [None] * len(parts)
        self.ahead = [_plus(total, part) for total, part in zip(before, parts, strict=True)]

    def next(self) -> Tensor | None:
        """The sum of the next node, which is then no longer ahead; None where nothing was added."""
        return _plus(self.ahead.pop(0) if self.ahead else None, self.common)


def _plus(total: Tensor | None, x: Tensor | None) -> Tensor | None:
    if total is None or x is None:
        return x if total is None else total
    return total + x
