"""noise: what an edge of the space S4 of Robust DARTS may carry instead of its state (arXiv:1909.09656, section 3)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from archgrad.ops.operation import Operation


class Noise(nn.Module):
    """N(0, 1) of the shape of the state at `stride`, drawn anew each time: [N, C, H, W] -> [N, C, ⌈H/s⌉, ⌈W/s⌉].

    Nothing of the state passes, and no gradient goes back. Numbers are drawn from torch's own generator.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels new_height new_width"]:
        return torch.randn_like(x[:, :, :: self.stride, :: self.stride])


class Scaling(nn.Module):
    """What stands in a supernet in place of a normalisation: y = scale · x, per channel, and x without a scale."""

    def forward(
        self, x: Float[Tensor, "batch channels height width"], scale: Float[Tensor, " channels"] | None = None
    ) -> Float[Tensor, "batch channels height width"]:
        return x if scale is None else scale[:, None, None] * x


def noise(stride: int, *, copies: int = 1) -> Operation:
    """noise: N(0, 1) in place of every value, in the supernet and in the decoded network; each edge draws its own.

    It is not normalised, as in the authors' code: its mean is 0 and its variance 1 as it is drawn.
    """
    return Operation(Noise(stride), Scaling(), rectified=False, copies=copies)
