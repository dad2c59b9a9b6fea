"""The convolutional candidates against their definitions, layer by layer in `torch.nn.functional`."""

import pytest
import torch
import torch.nn.functional as F

from archgrad.autodiff import mixed_derivatives
from archgrad.ops import BatchStatisticsNorm
from archgrad.ops.convolution import (
    Convolution,
    atrous_convolution,
    crossed_convolution,
    dilated_convolution,
    plain_convolution,
    separable_convolution,
)
from archgrad.ops.operation import replicate

SIZES = [(8, 8), (7, 9)]


def halved(size, stride):
    return tuple(-(-length // stride) for length in size)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel_size", [3, 5, 7])
def test_separable(state, normalise, run, kernel_size, stride, size):
    operation = separable_convolution(4, kernel_size, stride, norm=BatchStatisticsNorm)
    x = state(4, size)
    depthwise, pointwise, second_depthwise, second_pointwise = operation.parameters()
    padding = (kernel_size - 1) // 2
    y = F.conv2d(F.relu(x), depthwise, stride=stride, padding=padding, groups=4)
    y = normalise(F.conv2d(y, pointwise))
    y = F.conv2d(F.relu(y), second_depthwise, padding=padding, groups=4)
    y = normalise(F.conv2d(y, second_pointwise))
    assert y.shape[2:] == halved(size, stride)
    torch.testing.assert_close(run(operation, x), y)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_dilated(state, normalise, run, kernel_size, stride, size):
    operation = dilated_convolution(4, kernel_size, stride, norm=BatchStatisticsNorm)
    x = state(4, size)
    depthwise, pointwise = operation.parameters()
    y = F.conv2d(F.relu(x), depthwise, stride=stride, padding=kernel_size - 1, dilation=2, groups=4)
    y = normalise(F.conv2d(y, pointwise))
    assert y.shape[2:] == halved(size, stride)
    torch.testing.assert_close(run(operation, x), y)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_atrous(state, normalise, run, kernel_size, size):
    operation = atrous_convolution(4, kernel_size, 1, norm=BatchStatisticsNorm)
    x = state(4, size)
    (kernel,) = operation.parameters()
    y = F.conv2d(F.relu(x), kernel, padding=kernel_size - 1, dilation=2)
    torch.testing.assert_close(run(operation, x), normalise(y))


@pytest.mark.parametrize("kernel_size", [3, 5])
def test_atrous_at_stride_2_is_plain_on_every_other_pixel(state, normalise, run, kernel_size):
    """Of 2n − 1 pixels bilinear resizing with fixed corners takes every other one."""
    operation = atrous_convolution(4, kernel_size, 2, norm=BatchStatisticsNorm)
    x = state(4, (7, 9))
    (kernel,) = operation.parameters()
    y = F.conv2d(F.relu(x)[:, :, ::2, ::2], kernel, padding=kernel_size // 2)
    torch.testing.assert_close(run(operation, x), normalise(y))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stride", [1, 2])
def test_crossed(state, normalise, run, stride, size):
    operation = crossed_convolution(4, stride, norm=BatchStatisticsNorm)
    x = state(4, size)
    wide, tall = operation.parameters()
    assert (wide.shape, tall.shape) == ((4, 4, 1, 7), (4, 4, 7, 1))
    y = F.conv2d(F.relu(x), wide, stride=(1, stride), padding=(0, 3))
    y = normalise(F.conv2d(y, tall, stride=(stride, 1), padding=(3, 0)))
    assert y.shape[2:] == halved(size, stride)
    torch.testing.assert_close(run(operation, x), y)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel_size", [1, 3])
def test_plain(state, normalise, run, kernel_size, stride, size):
    """nor_conv_k of NAS-Bench-201: ReLU, convolution, normalisation."""
    operation = plain_convolution(4, kernel_size, stride, norm=BatchStatisticsNorm)
    x = state(4, size)
    (kernel,) = operation.parameters()
    y = F.conv2d(F.relu(x), kernel, stride=stride, padding=kernel_size // 2)
    assert y.shape[2:] == halved(size, stride)
    torch.testing.assert_close(run(operation, x), normalise(y))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    "make",
    [
        lambda stride, copies: separable_convolution(4, 3, stride, norm=BatchStatisticsNorm, copies=copies),
        lambda stride, copies: dilated_convolution(4, 5, stride, norm=BatchStatisticsNorm, copies=copies),
        lambda stride, copies: crossed_convolution(4, stride, norm=BatchStatisticsNorm, copies=copies),
        lambda stride, copies: plain_convolution(4, 3, stride, norm=BatchStatisticsNorm, copies=copies),
    ],
)
def test_copies_are_single_operations_side_by_side(state, run, join_singles, make, stride):
    singles, bundle = [make(stride, 1) for _ in range(3)], make(stride, 3)
    join_singles(singles, bundle)
    x = state(4, (7, 8))
    torch.testing.assert_close(run(bundle, x), torch.cat([run(single, x) for single in singles], dim=1))


def test_no_convolution_has_a_bias():
    for operation in (
        separable_convolution(4, 3, 1, norm=BatchStatisticsNorm),
        dilated_convolution(4, 3, 1, norm=BatchStatisticsNorm),
        crossed_convolution(4, 1, norm=BatchStatisticsNorm),
        plain_convolution(4, 3, 1, norm=BatchStatisticsNorm),
    ):
        assert all(module.bias is None for module in operation.modules() if isinstance(module, Convolution))


def test_same_result_inside_the_context_of_mixed_derivatives(state, run):
    operation = separable_convolution(4, 3, 2, norm=BatchStatisticsNorm, copies=2)
    x = state(4, (7, 9))
    with mixed_derivatives():
        inside = run(operation, x)
    torch.testing.assert_close(inside, run(operation, x))


def test_replicate_repeats_channels_and_keeps_their_layout(state):
    x = state(3, (4, 4)).to(memory_format=torch.channels_last)
    y = replicate(x, 2)
    assert torch.equal(y, x.repeat(1, 2, 1, 1))
    assert y.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("stride", [2, 4])
@pytest.mark.parametrize("channels", [3, 4, 10, 15, 16, 20])
def test_strided_pointwise_convolutions_of_any_width(channels, stride):
    """PyTorch 2.13 corrupts the heap for fewer than 16 channels: gradients here are those in contiguous layout."""
    convolution = Convolution(channels, 4, 1, stride=stride)
    plain = torch.randn(2, channels, 13, 16, requires_grad=True)
    expected = F.conv2d(plain, convolution.weight, stride=stride)
    gradients = torch.autograd.grad(expected.square().sum(), (plain, convolution.weight))
    convolution.to(memory_format=torch.channels_last)
    x = plain.detach().to(memory_format=torch.channels_last).requires_grad_()
    found = convolution(x)
    torch.testing.assert_close(found, expected)
    for gradient, other in zip(
        torch.autograd.grad(found.square().sum(), (x, convolution.weight)), gradients, strict=True
    ):
        torch.testing.assert_close(gradient, other)
