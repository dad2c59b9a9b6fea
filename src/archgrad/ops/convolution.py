"""The convolutional candidates: separable, dilated, 7×1 after 1×7 (arXiv:1806.09055), and atrous (arXiv:1901.02985).

No convolution has a bias; each is followed by a normalisation. `copies` edges are computed at once (see `operation`).
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from archgrad.autodiff import mixed_derivatives_wanted
from archgrad.ops import mixed_derivative
from archgrad.ops.operation import Normalisation, Operation
from archgrad.ops.phases import convolve_phases
from archgrad.ops.resize import halved, resize

NARROW = 16
"""Input channels below which a strided 1×1 convolution in channels_last corrupts the heap (PyTorch 2.13, CPU)."""


class Convolution(nn.Conv2d):
    """A convolution without bias, evaluated in the way that is fastest where it runs.

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

    def forward(self, input: Tensor) -> Tensor:
        dilation, stride = self.dilation[0], self.stride[0]
        if input.is_cpu and dilation > 1 and self.groups == self.in_channels and stride in (1, dilation):
            reach = tuple(size // 2 for size in self.kernel_size)
            return convolve_phases(
                input, lambda x: self._convolve(x, (1, 1), reach, (1, 1)), dilation=dilation, stride=stride
            )
        if input.is_cpu and self.kernel_size == (1, 1) and stride > 1 and self.in_channels < NARROW * self.groups:
            rows, columns = self.stride
            return self._convolve(input[:, :, ::rows, ::columns], (1, 1), (0, 0), (1, 1))
        assert isinstance(self.padding, tuple)
        return self._convolve(input, self.stride, self.padding, self.dilation)

    def _convolve(
        self, x: Tensor, stride: tuple[int, ...], padding: tuple[int, ...], dilation: tuple[int, ...]
    ) -> Tensor:
        if mixed_derivatives_wanted():
            return mixed_derivative.convolution(
                x, self.weight, stride, padding=padding, dilation=dilation, groups=self.groups
            )
        return F.conv2d(x, self.weight, None, stride, padding, dilation, self.groups)


def depthwise_pointwise(channels: int, kernel_size: int, stride: int, dilation: int, copies: int) -> list[nn.Module]:
    """A depthwise k×k convolution, then a 1×1 convolution within each edge's channels; the size is kept at stride 1."""
    width = copies * channels
    padding = dilation * (kernel_size - 1) // 2
    return [
        Convolution(width, width, kernel_size, stride=stride, padding=padding, dilation=dilation, groups=width),
        Convolution(width, width, 1, groups=copies),
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
    return Operation(nn.Sequential(*layers), norm(width), rectified=True, copies=copies)


def dilated_convolution(
    channels: int, kernel_size: int, stride: int, *, norm: Normalisation, copies: int = 1
) -> Operation:
    """dil_conv_k: once (ReLU, depthwise k×k with dilation 2, pointwise, normalisation)."""
    layers = [
        *depthwise_pointwise(channels, kernel_size, stride, 2, copies),
    ]
    return Operation(nn.Sequential(*layers), norm(copies * channels), rectified=True, copies=copies)


def crossed_convolution(channels: int, stride: int, *, norm: Normalisation, copies: int = 1) -> Operation:
    """conv_7x1_1x7: ReLU, 1×7 with stride along the width, 7×1 with stride along the height, normalisation."""
    width = copies * channels
    layers = [
        Convolution(width, width, (1, 7), stride=(1, stride), padding=(0, 3), groups=copies),
        Convolution(width, width, (7, 1), stride=(stride, 1), padding=(3, 0), groups=copies),
    ]
    return Operation(nn.Sequential(*layers), norm(width), rectified=True, copies=copies)


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
    convolution = Convolution(
        width, width, kernel_size, padding=rate * (kernel_size - 1) // 2, dilation=rate, groups=copies
    )
    body = convolution if stride == 1 else nn.Sequential(Halving(), convolution)
    return Operation(body, norm(width), rectified=True, copies=copies)
