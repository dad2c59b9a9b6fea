"""The derived network is the benchmark's: sizes as published, the cell by hand, a plain module that exports."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from archgrad.costs import multiply_adds
from archgrad.genotype import DARTS_V2
from archgrad.spaces.nasbench201 import NASBench201Network, NASBench201Space, parse
from archgrad.spaces.nasbench201.network import DerivedCell
from archgrad.spaces.nasbench201.surroundings import ResidualBlock

PUBLISHED = {  # architecture: (parameters, multiply-adds in millions) on CIFAR-10
    "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|": (
        129_306,
        15.64737,
    ),
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|": (
        802_426,
        113.95137,
    ),
    "|avg_pool_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|avg_pool_3x3~0|avg_pool_3x3~1|avg_pool_3x3~2|": (
        559_386,
        78.56193,
    ),
    "|avg_pool_3x3~0|+|skip_connect~0|none~1|+|none~0|none~1|skip_connect~2|": (73_306, 7.78305),
}


def on_meta(genotype, **size):
    with torch.device("meta"):
        return NASBench201Network(genotype, **size)


@pytest.mark.parametrize("text", PUBLISHED)
def test_published_sizes(text):
    genotype = parse(text)
    assert sum(weight.numel() for weight in on_meta(genotype).parameters()) == PUBLISHED[text][0]


def test_published_multiply_adds():
    """The table counts as `costs.multiply_adds` does, and costs add up over edges, `none` among them."""
    work = multiply_adds(NASBench201Space(), 32)
    for text, (_, millions) in PUBLISHED.items():
        assert work.of(parse(text)) / 1e6 == pytest.approx(millions, abs=1e-9)


def test_the_cell_by_hand(mixed_cell):
    """x_1 = c(x_0), x_2 = k(x_0) + pool(x_1), x_3 = x_0 + 0 + c'(x_2): ReLU, convolution, BatchNorm in each."""
    cell = DerivedCell(mixed_cell["cell"], 4).eval()
    x = torch.randn(2, 4, 6, 6)
    (first,), (narrow, _), (_, _, last) = cell.nodes

    def convolve(operation, y, padding):
        return F.conv2d(F.relu(y), operation.body.weight, padding=padding) / (1 + 1e-5) ** 0.5

    x_1 = convolve(first, x, 1)
    x_2 = convolve(narrow, x, 0) + F.avg_pool2d(x_1, 3, stride=1, padding=1, count_include_pad=False)
    torch.testing.assert_close(cell(x), x + convolve(last, x_2, 1))
    assert narrow.body.weight.shape == (4, 4, 1, 1)
    assert first.body.weight.shape == (4, 4, 3, 3)


def test_a_cell_of_nothing_yields_zeros():
    cell = DerivedCell(parse((1, 1, 1, 1, 1, 1))["cell"], 4)
    assert not cell(torch.randn(2, 4, 5, 5)).any()
    assert list(cell.parameters()) == []


def test_the_residual_block_by_hand():
    block = ResidualBlock(2, 4, norm=nn.BatchNorm2d).eval()
    x = torch.randn(3, 2, 8, 8)
    _, first, _, _, second, _ = block.body
    inner = F.conv2d(F.relu(x), first.weight, stride=2, padding=1) / (1 + 1e-5) ** 0.5
    inner = F.conv2d(F.relu(inner), second.weight, padding=1) / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(block(x), F.conv2d(F.avg_pool2d(x, 2), block.residual[1].weight) + inner)
    assert block(torch.randn(3, 2, 7, 5)).shape == (3, 4, 4, 3)


def test_sizes_are_arguments(mixed_cell):
    network = NASBench201Network(mixed_cell, channels=3, cells=2, num_classes=7, in_channels=2).eval()
    assert len(network.cells) == 3 * 2 + 2
    assert network(torch.randn(2, 2, 8, 8)).shape == (2, 7)
    assert network.head.classifier.in_features == 12
    counts = [
        sum(weight.numel() for weight in on_meta(mixed_cell, **size).parameters())
        for size in ({}, {"channels": 8}, {"cells": 4}, {"num_classes": 100}, {"in_channels": 1})
    ]
    assert len(set(counts)) == 5
    assert counts[3] - counts[0] == 90 * 65


def test_weights_are_in_channels_last_and_it_learns(mixed_cell):
    network = NASBench201Network(mixed_cell, channels=4, cells=1)
    assert all(
        weight.is_contiguous(memory_format=torch.channels_last) for weight in network.parameters() if weight.ndim == 4
    )
    network(torch.randn(2, 3, 8, 8)).sum().backward()
    assert all(weight.grad is not None for weight in network.parameters())


def test_it_exports_and_loads_as_a_plain_module(mixed_cell, tmp_path):
    network = NASBench201Network(mixed_cell, channels=4, cells=1).eval()
    images = torch.randn(2, 3, 8, 8)
    expected = network(images)
    exported = torch.export.export(network, (images,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    torch.testing.assert_close(exported.module()(images), expected)
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    other = NASBench201Network(mixed_cell, channels=4, cells=1).eval()
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(other(images), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"genotype": DARTS_V2}, r"genotype: belongs to the space 'conv_cell', needed is one of 'nasbench201'"),
        ({"channels": 0}, r"channels: must be at least 1, got 0"),
        ({"cells": 0}, r"cells: must be at least 1, got 0"),
        ({"num_classes": 1}, r"num_classes: must be at least 2, got 1"),
        ({"in_channels": 0}, r"in_channels: must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_built(arguments, message, mixed_cell):
    genotype = arguments.pop("genotype", mixed_cell)
    with pytest.raises(ValueError, match=message):
        NASBench201Network(genotype, **arguments)
