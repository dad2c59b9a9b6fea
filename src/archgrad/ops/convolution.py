"""The convolutional candidates: separable, dilated, 7×1 after 1×7 (arXiv:1806.09055), atrous (arXiv:1901.02985), plain.

No convolution has a bias; each is followed by a normalisation. `copies` edges are computed at once (see `operation`).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from archgrad.autodiff import mixed_derivatives_wanted
from archgrad.ops import mixed_derivative
from archgrad.ops.operation import Layers, Normalisation, Operation
from archgrad.ops.phases import convolve_phases
from archgrad.ops.resize import halved, resize

NARROW = 16
"""Input channels below which a strided 1×1 convolution in channels_last corrupts the heap (PyTorch 2.13, CPU)."""


class Convolution(nn.Conv2d):
    """A convolution without bias, evaluated in the way that is fastest where it runs.

    With `copies` = K its filters are those of K edges, edge-major: K times `channels_out / K` rows of the weights. The
    edges read one and the same input where `groups` is 1, else each its own channels.

    Dilated depthwise convolutions take their phases on a CPU (`phases`), and where the mixed second derivative is asked
    for, the weight gradient can be differentiated cheaply (`mixed_derivative`). Narrow strided 1×1 convolutions on a
    CPU are plain ones on the pixels that they read, since PyTorch's own corrupt the heap. The values are those of
    `nn.Conv2d`.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel_size: int | tuple[int, int],
        *,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int = 1,
        groups: int = 1,
        copies: int = 1,
    ) -> None:
        super().__init__(
            channels_in,
            channels_out,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            bias=False,
        )
        self.copies = copies

    def forward(self, input: Tensor) -> Tensor:
        return self._evaluate(input, self.weight, self.groups)

    def of_copies(
        self, x: Float[Tensor, "batch channels height width"], kept: Sequence[int]
    ) -> Float[Tensor, "batch outputs new_height new_width"]:
        """The convolution of the edges `kept` alone, by their rows of the weights."""
        if list(kept) == list(range(self.copies)):
            return self(x)
        # The gradient of `chunk` is one concatenation, whatever the number of edges; one edge's rows are a view.
        rows = self.weight.chunk(self.copies)
        weight = rows[kept[0]] if len(kept) == 1 else torch.cat([rows[edge] for edge in kept])
        return self._evaluate(x, weight, 1 if self.groups == 1 else self.groups // self.copies * len(kept))

    def _evaluate(self, x: Tensor, weight: Tensor, groups: int) -> Tensor:
        dilation, stride = self.dilation[0], self.stride[0]
        filter_channels = weight.shape[1]
        if x.is_cpu and dilation > 1 and filter_channels == 1 and stride in (1, dilation):
            reach = tuple(size // 2 for size in self.kernel_size)
            return convolve_phases(
                x,
                lambda phases: _convolve(phases, weight, (1, 1), padding=reach, dilation=(1, 1), groups=groups),
                dilation=dilation,
                stride=stride,
            )
        if x.is_cpu and self.kernel_size == (1, 1) and stride > 1 and filter_channels < NARROW:
            rows, columns = self.stride
            return _convolve(x[:, :, ::rows, ::columns], weight, (1, 1), padding=(0, 0), dilation=(1, 1), groups=groups)
        assert isinstance(self.padding, tuple)
        return _convolve(x, weight, self.stride, padding=self.padding, dilation=self.dilation, groups=groups)


def _convolve(
    x: Tensor,
    weight: Tensor,
    stride: tuple[int, ...],
    *,
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
) -> Tensor:
    if mixed_derivatives_wanted():
        return mixed_derivative.convolution(x, weight, stride, padding=padding, dilation=dilation, groups=groups)
    return F.conv2d(x, weight, None, stride, padding, dilation, groups)


def depthwise_pointwise(channels: int, kernel_size: int, stride: int, dilation: int, copies: int) -> list[nn.Module]:
    """A depthwise k×k convolution, then a 1×1 convolution within each edge's channels; the size is kept at stride 1."""
    width = copies * channels
    padding = dilation * (kernel_size - 1) // 2
    return [
        Convolution(
            width, width, kernel_size, stride=stride, padding=padding, dilation=dilation, groups=width, copies=copies
        ),
        Convolution(width, width, 1, groups=copies, copies=copies),
    ]


def separable_convolution(
    channels: int, kernel_size: int, stride: int, *, norm: Normalisation, copies: int = 1
) -> Operation:
    """sep_conv_k: twice (ReLU, depthwise k×k, pointwise, normalisation), the stride on the first."""
    width = copies * channels
    layers = [
        *depthwise_pointwise(channels, kernel_size, stride, 1, copies),
        norm(width),
        nn.ReLU(),
        *depthwise_pointwise(channels, kernel_size, 1, 1, copies),
    ]
    return Operation(Layers(*layers), norm(width), rectified=True, copies=copies)


def dilated_convolution(
    channels: int, kernel_size: int, stride: int, *, norm: Normalisation, copies: int = 1
) -> Operation:
    """dil_conv_k: once (ReLU, depthwise k×k with dilation 2, pointwise, normalisation)."""
    layers = [
        *depthwise_pointwise(channels, kernel_size, stride, 2, copies),
    ]
    return Operation(Layers(*layers), norm(copies * channels), rectified=True, copies=copies)


def crossed_convolution(channels: int, stride: int, *, norm: Normalisation, copies: int = 1) -> Operation:
    """conv_7x1_1x7: ReLU, 1×7 with stride along the width, 7×1 with stride along the height, normalisation."""
    width = copies * channels
    layers = [
        Convolution(width, width, (1, 7), stride=(1, stride), padding=(0, 3), groups=copies, copies=copies),
        Convolution(width, width, (7, 1), stride=(stride, 1), padding=(3, 0), groups=copies, copies=copies),
    ]
    return Operation(Layers(*layers), norm(width), rectified=True, copies=copies)


class Halving(nn.Module):
    """Bilinear resizing to half the size, rounded up."""

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels half_height half_width"]:
        return resize(x, halved((x.shape[-2], x.shape[-1])))


def atrous_convolution(
    channels: int, kernel_size: int, stride: int, *, norm: Normalisation, copies: int = 1
) -> Operation:
    """atrous_conv_k: ReLU, a full k×k convolution with rate 2, normalisation.

    At stride 2 the state is resized to half its size first, and the rate is 1, as in the authors' code of
    arXiv:1901.02985.
    """
    width = copies * channels
    rate = 2 if stride == 1 else 1
    padding = rate * (kernel_size - 1) // 2
    convolution = Convolution(width, width, kernel_size, padding=padding, dilation=rate, groups=copies, copies=copies)
    body = convolution if stride == 1 else Layers(Halving(), convolution)
    return Operation(body, norm(width), rectified=True, copies=copies)


def plain_convolution(
    channels: int, kernel_size: int, stride: int, *, norm: Normalisation, copies: int = 1
) -> Operation:
    """nor_conv_k: ReLU, a full k×k convolution, normalisation (arXiv:2001.00326, section 2.1)."""
    width, padding = copies * channels, (kernel_size - 1) // 2
    body = Convolution(width, width, kernel_size, stride=stride, padding=padding, groups=copies, copies=copies)
    return Operation(body, norm(width), rectified=True, copies=copies)
