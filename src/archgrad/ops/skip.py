"""skip_connect and the 1×1 adaptations: identity, FactorizedReduce (halves the size), ReLUConvBN (adapts channels).

Reference: arXiv:1806.09055, section 3.1, and the public code for the definition of the factorised reduction.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from archgrad.ops.convolution import Convolution
from archgrad.ops.mixed_derivative import join
from archgrad.ops.operation import Normalisation, Operation


class FactorizedReduction(nn.Module):
    """Halve the size by two 1×1 convolutions with stride 2, one on x and one on x shifted by a pixel in both axes.

    [N, in, H, W] -> [N, copies·out, ⌈H/2⌉, ⌈W/2⌉], the first half of each edge's `out` channels from x itself.

    Differs from the public code on odd sizes only, where that code fails: the shifted image is padded with zeros at the
    lower and right border.

    Raises:
        ValueError: `out` is odd.
    """

    def __init__(self, channels_in: int, channels_out: int, copies: int = 1) -> None:
        super().__init__()
        if channels_out % 2:
            raise ValueError(f"channels: a factorised reduction needs an even number of channels, got {channels_out}.")
        self.copies = copies
        self.straight = Convolution(channels_in, copies * channels_out // 2, 1, stride=2, copies=copies)
        self.shifted = Convolution(channels_in, copies * channels_out // 2, 1, stride=2, copies=copies)

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch outputs half_height half_width"]:
        return self.of_copies(x, range(self.copies))

    def of_copies(
        self, x: Float[Tensor, "batch channels height width"], kept: Sequence[int]
    ) -> Float[Tensor, "batch outputs half_height half_width"]:
        """The reductions of the edges `kept` alone; all edges read one and the same x."""
        height, width = x.shape[-2:]
        moved = F.pad(x[:, :, 1:, 1:], (0, width % 2, 0, height % 2)) if height % 2 or width % 2 else x[:, :, 1:, 1:]
        halves = self.straight.of_copies(x, kept), self.shifted.of_copies(moved, kept)
        if len(kept) == 1:
            return join(halves)
        parts = [half.chunk(len(kept), dim=1) for half in halves]
        return join([part for edge in zip(*parts, strict=True) for part in edge])


def skip_connection(channels: int, stride: int, *, norm: Normalisation, copies: int = 1) -> Operation:
    """skip_connect: the identity at stride 1 (nothing to normalise), a factorised reduction at stride 2."""
    if stride == 1:
        return Operation(nn.Identity(), nn.Identity(), rectified=False, shared=True, identity=True)
    return factorized_reduction(channels, channels, norm=norm, copies=copies)


def factorized_reduction(channels_in: int, channels_out: int, *, norm: Normalisation, copies: int = 1) -> Operation:
    """FactorizedReduce: ReLU, the two shifted 1×1 convolutions, normalisation."""
    body = FactorizedReduction(channels_in, channels_out, copies)
    return Operation(body, norm(copies * channels_out), rectified=True)


def pointwise_convolution(channels_in: int, channels_out: int, *, norm: Normalisation) -> Operation:
    """ReLUConvBN: ReLU, 1×1 convolution, normalisation."""
    return Operation(Convolution(channels_in, channels_out, 1), norm(channels_out), rectified=True)
