"""Noise in place of a state: its distribution, its independence, and that nothing of the state passes."""

import pytest
import torch
from torch import nn

from archgrad.ops import BatchStatisticsNorm, convolutional_operation


def make(stride, copies=1, norm=BatchStatisticsNorm):
    return convolutional_operation("noise", 4, stride, norm=norm, copies=copies, normalise_pooling=True)


@pytest.mark.parametrize("norm", [BatchStatisticsNorm, nn.BatchNorm2d])
@pytest.mark.parametrize(("stride", "size"), [(1, (65, 64)), (2, (33, 32))])
def test_standard_normal_of_the_strided_shape(state, run, stride, size, norm):
    y = run(make(stride, norm=norm), 5 + state(4, (65, 64)))
    assert y.shape == (3, 4, *size)
    assert y.mean().abs() < 4 / y.numel() ** 0.5
    assert (y.var() - 1).abs() < 4 * (2 / y.numel()) ** 0.5
    assert (y.abs() < 1).double().mean() == pytest.approx(0.6827, abs=0.02)


def test_nothing_of_the_state_passes(state, run):
    x = state(4, (6, 6)).requires_grad_()
    operation = make(1, copies=2)
    outputs = []
    for image in (x, -7 * x):
        torch.manual_seed(3)
        outputs.append(run(operation, image))
    assert torch.equal(*outputs)
    assert not outputs[0].requires_grad
    assert not list(operation.parameters())


def test_drawn_anew_each_time_and_for_each_edge_from_torchs_own_generator(state, run):
    x = state(4, (6, 6))
    operation = make(2, copies=3)
    torch.manual_seed(0)
    first, second = run(operation, x), run(operation, x)
    torch.manual_seed(0)
    assert torch.equal(first, run(operation, x))
    edges = [*first.chunk(3, dim=1), *second.chunk(3, dim=1)]
    assert all(not torch.equal(one, other) for place, one in enumerate(edges) for other in edges[:place])
    assert (operation.shared, operation.identity, operation.rectified) == (False, False, False)


def test_some_edges_draw_for_themselves_alone(state):
    x = state(4, (6, 6))
    assert make(2, copies=3).of_copies(x, (2, 0)).shape == (3, 8, 3, 3)


def test_the_scale_of_the_mixture_multiplies_what_is_drawn(state):
    operation, scale = make(1, copies=2), torch.randn(8).requires_grad_()
    noise = operation.of_copies(state(4, (5, 5)), (0, 1))
    y = operation.norm(noise, scale)
    torch.testing.assert_close(y, scale.view(1, -1, 1, 1) * noise)
    (gradient,) = torch.autograd.grad(y.sum(), scale)
    torch.testing.assert_close(gradient, noise.sum(dim=(0, 2, 3)))


def test_images_keep_their_layout(state):
    x = state(4, (8, 8)).to(memory_format=torch.channels_last)
    for stride in (1, 2):
        assert make(stride)(x).is_contiguous(memory_format=torch.channels_last)
