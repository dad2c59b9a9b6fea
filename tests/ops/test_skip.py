"""Identity, factorised reduction and 1×1 adaptation, by explicit indexing."""

import pytest
import torch
import torch.nn.functional as F

from archgrad.ops import BatchStatisticsNorm
from archgrad.ops.skip import factorized_reduction, pointwise_convolution, skip_connection


def reduced(x, straight, shifted):
    """Every second pixel from (0, 0) by one matrix and from (1, 1) by the other, zeros beyond the border."""
    height, width = x.shape[-2:]
    beyond = F.pad(x, (0, 1, 0, 1))
    ours = [(row, column) for row in range(0, height, 2) for column in range(0, width, 2)]
    half = -(-height // 2), -(-width // 2)
    parts = []
    for matrix, offset in ((straight, 0), (shifted, 1)):
        pixels = torch.stack([beyond[:, :, row + offset, column + offset] for row, column in ours], dim=-1)
        parts.append(torch.einsum("oi,nip->nop", matrix[:, :, 0, 0], pixels).unflatten(-1, half))
    return torch.cat(parts, dim=1)


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (7, 8), (1, 1)])
def test_factorized_reduction(state, normalise, run, size):
    operation = factorized_reduction(3, 4, norm=BatchStatisticsNorm)
    x = state(3, size)
    straight, shifted = operation.parameters()
    assert straight.shape == shifted.shape == (2, 3, 1, 1)
    torch.testing.assert_close(run(operation, x), normalise(reduced(F.relu(x), straight, shifted)))


@pytest.mark.parametrize("size", [(8, 8), (7, 9)])
def test_copies_of_a_reduction_are_single_ones_side_by_side(state, run, join_singles, size):
    singles = [skip_connection(4, 2, norm=BatchStatisticsNorm) for _ in range(3)]
    bundle = skip_connection(4, 2, norm=BatchStatisticsNorm, copies=3)
    join_singles(singles, bundle)
    x = state(4, size)
    torch.testing.assert_close(run(bundle, x), torch.cat([run(single, x) for single in singles], dim=1))


def test_skip_is_the_identity_at_stride_1(state, run):
    operation = skip_connection(4, 1, norm=BatchStatisticsNorm, copies=3)
    x = state(4, (7, 9))
    assert run(operation, x) is x
    assert operation.identity
    assert operation.shared
    assert not skip_connection(4, 2, norm=BatchStatisticsNorm).identity


def test_pointwise_convolution(state, normalise, run):
    operation = pointwise_convolution(3, 5, norm=BatchStatisticsNorm)
    x = state(3, (7, 9))
    (matrix,) = operation.parameters()
    expected = normalise(torch.einsum("oi,nihw->nohw", matrix[:, :, 0, 0], F.relu(x)))
    torch.testing.assert_close(run(operation, x), expected)


def test_odd_channels_are_refused():
    with pytest.raises(ValueError, match=r"channels: a factorised reduction needs an even number of channels, got 3"):
        skip_connection(3, 2, norm=BatchStatisticsNorm)
