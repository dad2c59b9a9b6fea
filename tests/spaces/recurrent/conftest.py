"""A small sequence in float64 that all engines evaluate."""

import pytest
import torch


@pytest.fixture
def make_sequence():
    """Build a `Sequence` of random numbers: 4 steps, 6 columns, 5 units, 3 nodes, unless asked for otherwise."""
    from archgrad.spaces.recurrent.cell import Sequence

    def make(*, time=4, batch=6, size=5, nodes=3, dropped=True, names=("tanh", "relu", "sigmoid", "identity"), seed=0):
        draws = torch.Generator().manual_seed(seed)
        randn = lambda *shape: torch.randn(shape, dtype=torch.float64, generator=draws)  # noqa: E731
        mask = (torch.rand(batch, size, dtype=torch.float64, generator=draws) > 0.25).double() / 0.75
        return Sequence(
            randn(time, batch, 2 * size),
            randn(batch, size),
            mask if dropped else None,
            0.5 * randn(size, 2 * size),
            0.5 * randn(nodes, size, 2 * size),
            randn(nodes * (nodes + 1) // 2, len(names) + 1).softmax(dim=1)[:, 1:].contiguous(),
            names,
        )

    return make
