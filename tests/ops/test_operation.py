"""Batch normalisation by the statistics of the batch, whatever the mode."""

import pytest
import torch
from torch import nn

from archgrad.autodiff import mixed_derivatives
from archgrad.ops import BatchStatisticsNorm, Operation


@pytest.mark.parametrize("training", [True, False])
def test_statistics_of_the_batch_in_either_mode(state, normalise, training):
    norm = BatchStatisticsNorm(4).train(training)
    x = 3 + 2 * state(4, (7, 9))
    torch.testing.assert_close(norm(x), normalise(x))
    assert not list(norm.buffers())
    assert not list(norm.parameters())


def test_the_scale_multiplies_what_is_normalised(state, normalise):
    x, scale = state(4, (5, 5)), torch.randn(4)
    torch.testing.assert_close(BatchStatisticsNorm(4)(x, scale), scale[:, None, None] * normalise(x))


def test_affine_scale_and_shift_are_learnt(state, normalise):
    norm = BatchStatisticsNorm(4, affine=True)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    x = state(4, (5, 5))
    expected = norm.weight[:, None, None] * normalise(x) + norm.bias[:, None, None]
    torch.testing.assert_close(norm(x), expected)
    with mixed_derivatives():
        torch.testing.assert_close(norm(x), expected)


def test_agrees_with_torch_in_training_mode(state):
    x = state(4, (5, 5))
    torch.testing.assert_close(BatchStatisticsNorm(4)(x), nn.BatchNorm2d(4, affine=False)(x))


def test_an_operation_is_its_body_and_then_its_norm(state, normalise):
    operation = Operation(nn.AvgPool2d(2), BatchStatisticsNorm(4), rectified=False)
    x = state(4, (6, 6))
    torch.testing.assert_close(operation(x), normalise(nn.functional.avg_pool2d(x, 2)))
    assert (operation.rectified, operation.shared, operation.identity) == (False, False, False)
