"""From states to scores of every pixel: atrous spatial pyramid pooling in search and in the derived network."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import relu

from archgrad.ops import BatchStatisticsNorm
from archgrad.ops.convolution import Convolution
from archgrad.ops.resize import resize

FIRST_RATE = 24
"""The rate of the search's atrous branch at stride 4: 96 / s at stride s."""

RATES = (6, 12, 18)
"""The rates of the derived network's atrous branches."""


class RelaxedHead(nn.Module):
    """The search's pyramid for one stride: a 1×1, a 3×3 with rate 96 / s, and image pooling, then class scores.

    [N, C, h, w] -> [N, classes, h, w]; each branch has C filters. Scores are linear in the branches, so that each has
    its part of the 1×1 classifier and their concatenation is never made.

    Reference: arXiv:1901.02985, section 4.1 and 5.1.
    """

    def __init__(self, channels: int, num_classes: int, *, level: int) -> None:
        super().__init__()
        rate = max(1, FIRST_RATE // 2**level)
        self.branches = nn.ModuleList(
            [
                Convolution(channels, channels, 1),
                Convolution(channels, channels, 3, padding=rate, dilation=rate),
                Convolution(channels, channels, 1),
            ]
        )
        self.norms = nn.ModuleList(BatchStatisticsNorm(channels) for _ in self.branches)
        self.classifiers = nn.ModuleList(nn.Conv2d(channels, num_classes, 1, bias=not place) for place in range(3))

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes height width"]:
        inputs = (x, x, x.mean(dim=(2, 3), keepdim=True))
        parts = zip(self.classifiers, self.norms, self.branches, inputs, strict=True)
        scores: list[Tensor] = [classify(relu(norm(branch(state)))) for classify, norm, branch, state in parts]
        return sum(scores[1:], start=scores[0])


def _unit(channels_in: int, channels: int, kernel_size: int, *, rate: int = 1) -> nn.Sequential:
    """Convolution, normalisation, ReLU; the size is kept."""
    padding = rate * (kernel_size - 1) // 2
    convolution = Convolution(channels_in, channels, kernel_size, padding=padding, dilation=rate)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU())


class PyramidPooling(nn.Module):
    """Five branches, a 1×1, three 3×3 with rates 6, 12 and 18, and image pooling, projected to `channels`.

    Reference: arXiv:1802.02611, section 3, as in the authors' code of arXiv:1901.02985: full convolutions.
    """

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [_unit(channels_in, channels, 1), *(_unit(channels_in, channels, 3, rate=rate) for rate in RATES)]
        )
        self.pooling = _unit(channels_in, channels, 1)
        self.projection = _unit((len(self.branches) + 1) * channels, channels, 1)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch filters height width"]:
        pooled = self.pooling(x.mean(dim=(2, 3), keepdim=True)).expand(-1, -1, *x.shape[-2:])
        return self.projection(torch.cat([*(branch(x) for branch in self.branches), pooled], dim=1))


class Decoder(nn.Module):
    """The decoder of DeepLabv3+: the pyramid's output beside projected features of stride 4, two 3×3, class scores.

    Reference: arXiv:1802.02611, section 3.
    """

    def __init__(self, channels_in: int, low_channels: int, *, num_classes: int, channels: int, projected: int) -> None:
        super().__init__()
        self.pyramid = PyramidPooling(channels_in, channels)
        self.low = _unit(low_channels, projected, 1)
        self.refine = nn.Sequential(_unit(channels + projected, channels, 3), _unit(channels, channels, 3))
        self.classifier = nn.Conv2d(channels, num_classes, 1)

    def forward(
        self, x: Float[Tensor, "batch channels height width"], low: Float[Tensor, "batch low low_height low_width"]
    ) -> Float[Tensor, "batch classes low_height low_width"]:
        beside = self.low(low)
        upsampled = resize(self.pyramid(x), (low.shape[-2], low.shape[-1]))
        return self.classifier(self.refine(torch.cat([upsampled, beside], dim=1)))
