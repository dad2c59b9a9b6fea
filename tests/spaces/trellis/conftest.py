"""A trellis small enough for a test, and mixtures of it."""

import pytest
import torch

from archgrad.relax import Softmax
from archgrad.spaces import TrellisSpace


@pytest.fixture(scope="session")
def tiny():
    """Makes a trellis of two filters and two blocks, with anything changed."""

    def make(**changes):
        sizes = {"layers": 3, "filters": 2, "blocks": 2, "levels": 3, "num_classes": 3, "in_channels": 2}
        return TrellisSpace(**{**sizes, **changes})

    return make


@pytest.fixture(scope="session")
def random_logits():
    """Makes random logits of a space, float64."""

    def make(space, seed=0):
        generator = torch.Generator().manual_seed(seed)
        return {
            group.name: torch.randn(group.shape, generator=generator, dtype=torch.float64).requires_grad_()
            for group in space.groups
        }

    return make


@pytest.fixture(scope="session")
def relax():
    """Softmax over each row's candidates."""

    def make(space, logits):
        return {group.name: Softmax()(logits[group.name], group.mask_tensor()) for group in space.groups}

    return make
