"""The convolutional candidates against their definitions, layer by layer in `torch.nn.functional`."""

import pytest
import torch
import torch.nn.functional as F

from archgrad.autodiff import mixed_derivatives
from archgrad.ops import BatchStatisticsNorm
from archgrad.ops.convolution import (
    Convolution,
    crossed_convolution,
    dilated_convolution,
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


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    "make",
    [
        lambda stride, copies: separable_convolution(4, 3, stride, norm=BatchStatisticsNorm, copies=copies),
        lambda stride, copies: dilated_convolution(4, 5, stride, norm=BatchStatisticsNorm, copies=copies),
        lambda stride, copies: crossed_convolution(4, stride, norm=BatchStatisticsNorm, copies=copies),
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
