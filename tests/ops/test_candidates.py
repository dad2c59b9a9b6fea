import pytest
import torch
from torch import nn

from archgrad.ops import (
    CONV_CANDIDATES,
    DARTS_CANDIDATES,
    DENSE_CANDIDATES,
    NASBENCH201_CANDIDATES,
    BatchStatisticsNorm,
    convolutional_operation,
)


def test_order_of_the_paper():
    """The order breaks ties in decoding."""
    expected = "none max_pool_3x3 avg_pool_3x3 skip_connect sep_conv_3x3 sep_conv_5x5 dil_conv_3x3 dil_conv_5x5"
    assert tuple(expected.split()) == DARTS_CANDIDATES
    assert (*DARTS_CANDIDATES[:6], "atrous_conv_3x3", "atrous_conv_5x5") == DENSE_CANDIDATES
    assert NASBENCH201_CANDIDATES == ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
    further = ("sep_conv_7x7", "conv_7x1_1x7", *DENSE_CANDIDATES[6:], "nor_conv_1x1", "nor_conv_3x3", "noise")
    assert (*DARTS_CANDIDATES, *further) == CONV_CANDIDATES


@pytest.mark.parametrize("copies", [1, 2])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", CONV_CANDIDATES[1:])
def test_shapes(state, run, name, stride, copies):
    operation = convolutional_operation(
        name, 4, stride, norm=BatchStatisticsNorm, copies=copies, normalise_pooling=True
    )
    width = 4 if operation.shared else 4 * copies
    assert run(operation, state(4, (7, 9))).shape == (3, width, *((7, 9) if stride == 1 else (4, 5)))


@pytest.mark.parametrize(
    ("name", "kernel", "weights"),
    [
        ("sep_conv_3x3", (3, 3), 2 * (9 * 4 + 16)),
        ("sep_conv_5x5", (5, 5), 2 * (25 * 4 + 16)),
        ("sep_conv_7x7", (7, 7), 2 * (49 * 4 + 16)),
        ("dil_conv_3x3", (3, 3), 9 * 4 + 16),
        ("dil_conv_5x5", (5, 5), 25 * 4 + 16),
        ("conv_7x1_1x7", (1, 7), 2 * 7 * 16),
        ("atrous_conv_3x3", (3, 3), 9 * 16),
        ("atrous_conv_5x5", (5, 5), 25 * 16),
        ("nor_conv_1x1", (1, 1), 16),
        ("nor_conv_3x3", (3, 3), 9 * 16),
    ],
)
def test_kernels(name, kernel, weights):
    operation = convolutional_operation(name, 4, 1, norm=BatchStatisticsNorm, normalise_pooling=True)
    first = next(operation.parameters())
    assert first.shape[2:] == kernel
    assert sum(weight.numel() for weight in operation.parameters()) == weights


def test_pooling_is_normalised_in_a_supernet_only():
    for name in ("max_pool_3x3", "avg_pool_3x3"):
        inside, outside = (
            convolutional_operation(name, 4, 1, norm=nn.BatchNorm2d, normalise_pooling=normalise)
            for normalise in (True, False)
        )
        assert isinstance(inside.norm, nn.BatchNorm2d)
        assert isinstance(outside.norm, nn.Identity)


@pytest.mark.parametrize("name", ["none", "sep_conv_9x9"])
def test_what_is_never_computed_is_refused(name):
    with pytest.raises(ValueError, match=rf"operation: '{name}' is unknown;.* Allowed: max_pool_3x3, avg_pool_3x3"):
        convolutional_operation(name, 4, 1, norm=BatchStatisticsNorm, normalise_pooling=True)


def test_norms_of_a_network_have_scale_and_shift():
    operation = convolutional_operation("sep_conv_3x3", 4, 1, norm=nn.BatchNorm2d, normalise_pooling=False)
    norms = [module for module in operation.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 2
    assert all(torch.equal(norm.weight, torch.ones(4)) for norm in norms)
