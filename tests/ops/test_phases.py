"""Phases of an image against the dilated convolution that they replace."""

import pytest
import torch
import torch.nn.functional as F

from archgrad.autodiff import mixed_derivatives
from archgrad.ops.convolution import Convolution
from archgrad.ops.phases import convolve_phases


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (1, 1), (2, 5)])
@pytest.mark.parametrize("dilation", [2, 3])
@pytest.mark.parametrize("kernel_size", [3, 5])
@pytest.mark.parametrize("strided", [False, True])
def test_values_and_gradients(state, kernel_size, dilation, size, strided):
    x = state(4, size).requires_grad_()
    weight = torch.randn(4, 1, kernel_size, kernel_size, requires_grad=True)
    stride = dilation if strided else 1
    padding = dilation * (kernel_size - 1) // 2
    expected = F.conv2d(x, weight, stride=stride, padding=padding, dilation=dilation, groups=4)
    found = convolve_phases(
        x, lambda phases: F.conv2d(phases, weight, padding=kernel_size // 2, groups=4), dilation=dilation, stride=stride
    )
    torch.testing.assert_close(found, expected)
    cotangent = torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad(found, [x, weight], cotangent), torch.autograd.grad(expected, [x, weight], cotangent)
    )


@pytest.mark.parametrize("stride", [1, 2])
def test_mixed_product_through_phases(state, stride):
    layer = Convolution(4, 4, 3, stride=stride, padding=2, dilation=2, groups=4)
    x, alpha, direction = state(4, (7, 8)), torch.randn(2, requires_grad=True), torch.randn(4, 1, 3, 3)

    def product(convolve):
        loss = (convolve((x * alpha[0]).sin()) * alpha[1]).sin().sum()
        (gradient,) = torch.autograd.grad(loss, layer.weight, create_graph=True)
        return torch.autograd.grad(gradient, alpha, direction)

    expected = product(lambda x: F.conv2d(x, layer.weight, stride=stride, padding=2, dilation=2, groups=4))
    with mixed_derivatives():
        torch.testing.assert_close(product(layer), expected)
    torch.testing.assert_close(product(layer), expected)


def test_layout_stays_channels_last(state):
    layer = Convolution(4, 4, 3, padding=2, dilation=2, groups=4).to(memory_format=torch.channels_last)
    x = state(4, (8, 8)).to(memory_format=torch.channels_last)
    assert layer(x).is_contiguous(memory_format=torch.channels_last)
