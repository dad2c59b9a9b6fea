"""Pooling against windows taken one by one."""

import pytest
import torch
from torch import nn

from archgrad.ops import BatchStatisticsNorm
from archgrad.ops.pooling import average_pooling, max_pooling


def windows(x, stride, reduce):
    """Reduce every 3×3 window around (stride·i, stride·j) to a number, over what of it lies inside the image."""
    height, width = x.shape[-2:]
    rows = [
        torch.stack(
            [
                reduce(x[:, :, max(0, row - 1) : row + 2, max(0, column - 1) : column + 2])
                for column in range(0, width, stride)
            ],
            dim=-1,
        )
        for row in range(0, height, stride)
    ]
    return torch.stack(rows, dim=-2)


@pytest.mark.parametrize("size", [(8, 8), (7, 9)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    ("make", "reduce"),
    [(max_pooling, lambda window: window.amax(dim=(2, 3))), (average_pooling, lambda window: window.mean(dim=(2, 3)))],
)
def test_windows(state, normalise, run, make, reduce, stride, size):
    x = state(3, size)
    expected = windows(x, stride, reduce)
    torch.testing.assert_close(run(make(3, stride, norm=None), x), expected)
    torch.testing.assert_close(run(make(3, stride, norm=BatchStatisticsNorm), x), normalise(expected))


@pytest.mark.parametrize("make", [max_pooling, average_pooling])
def test_shared_by_edges_without_parameters_and_not_rectified(make):
    operation = make(3, 1, norm=BatchStatisticsNorm)
    assert operation.shared
    assert not operation.rectified
    assert not operation.identity
    assert not list(operation.parameters())
    assert isinstance(make(3, 1, norm=None).norm, nn.Identity)
