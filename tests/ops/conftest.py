"""Naive definitions that the operations are compared with, in float64."""

import pytest
import torch
import torch.nn.functional as F


@pytest.fixture(autouse=True)
def float64():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def normalise():
    """(x − mean) / sqrt(variance + 1e-5), per channel of the batch."""

    def by_batch(x):
        mean = x.mean(dim=(0, 2, 3), keepdim=True)
        variance = (x - mean).square().mean(dim=(0, 2, 3), keepdim=True)
        return (x - mean) / (variance + 1e-5).sqrt()

    return by_batch


@pytest.fixture
def state():
    """Make a state [N, C, H, W] whose entries have both signs."""
    return lambda channels, size: torch.randn(3, channels, *size)


@pytest.fixture
def run():
    """o(x) as a caller computes it, who rectifies where the operation wants it."""
    return lambda operation, x: operation(F.relu(x) if operation.rectified else x)


@pytest.fixture
def join_singles():
    """Load the weights of several single operations, concatenated, into the operation of as many copies."""

    def load(singles, bundle):
        weights = zip(*[single.parameters() for single in singles], strict=True)
        for parameter, parts in zip(bundle.parameters(), weights, strict=True):
            parameter.data.copy_(torch.cat(parts))

    return load
