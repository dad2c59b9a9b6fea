"""The derived network: published sizes, any path, any size, every operation on its own input."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from archgrad.arch import LogitGroup
from archgrad.decode import top_k
from archgrad.genotype import AUTO_DEEPLAB, DARTS_V2, TRELLIS, Cell, Edge, Genotype
from archgrad.ops import DENSE_CANDIDATES
from archgrad.ops.convolution import Convolution
from archgrad.spaces import TrellisNetwork, TrellisSpace
from archgrad.spaces.path_dropout import set_path_dropout
from archgrad.spaces.trellis import PATHS

SMALL = {"filters": 2, "num_classes": 3, "stem_channels": 4, "head_channels": 4, "low_level_channels": 2}


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(("filters", "millions"), [(20, 10.15), (32, 21.62), (48, 44.42)])
def test_published_sizes(filters, millions):
    """Auto-DeepLab-S, M and L (arXiv:1901.02985, Table 2)."""
    with torch.device("meta"):
        network = TrellisNetwork(AUTO_DEEPLAB, filters=filters, num_classes=19)
    assert round(count(network) / 1e6, 2) == millions


def test_golden_size():
    with torch.device("meta"):
        assert count(TrellisNetwork(AUTO_DEEPLAB)) == 10_147_427


@pytest.mark.parametrize("path", [AUTO_DEEPLAB.path, *PATHS.values(), (0,), (1,), (1, 2)])
@pytest.mark.parametrize("size", [(64, 64), (33, 50)])
def test_any_path_and_size(path, size):
    network = TrellisNetwork(replace(AUTO_DEEPLAB, path=path), **SMALL)
    scores = network(torch.randn(2, 3, *size))
    assert scores.shape == (2, 3, *size)
    scores.square().mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize(
    ("path", "layer"),
    [(AUTO_DEEPLAB.path, 2), ((0, 1, 0), 1), ((1, 2, 1, 0), 0), ((1, 0, 0), 2), ((0,), 1)],
)
def test_the_decoder_reads_the_last_output_at_stride_4_of_the_first_two_layers(path, layer):
    assert TrellisNetwork(replace(AUTO_DEEPLAB, path=path), **SMALL).low_level == layer


def test_channels_double_with_the_stride_and_down_moves_have_stride_2():
    network = TrellisNetwork(AUTO_DEEPLAB, **SMALL)
    for cell, level, before in zip(network.cells, AUTO_DEEPLAB.path, (0, *AUTO_DEEPLAB.path), strict=False):
        operation = cell.nodes[0][1]  # sep_conv_3x3 on input 0
        first = next(module for module in operation.modules() if isinstance(module, Convolution))
        assert first.weight.shape[0] == 2 * 2**level
        assert first.stride == ((2, 2) if level > before else (1, 1))


def test_inputs_meet_at_the_finer_of_the_two_strides():
    """The state before the last one may lie at any stride; it is resized to where the previous state is."""
    seen = []
    network = TrellisNetwork(replace(AUTO_DEEPLAB, path=(1, 2, 1, 0)), **SMALL).eval()
    for cell in network.cells:
        for place in (0, 1):
            operation = next(
                operation
                for edges, operations in zip(cell.cell.nodes, cell.nodes, strict=True)
                for edge, operation in zip(edges, operations, strict=True)
                if edge.source == place
            )
            operation.register_forward_hook(lambda module, inputs, output: seen.append(tuple(inputs[0].shape[2:])))
    network(torch.randn(1, 3, 64, 64))
    first, second = seen[::2], seen[1::2]
    assert first == second == [(16, 16), (8, 8), (8, 8), (16, 16)]


def test_operations_stay_on_their_own_inputs_where_the_stronger_edge_comes_last():
    """The decoded block lists the stronger edge first, whose source has the higher index."""
    group = LogitGroup.dense("cell", inputs=2, nodes=2, candidates=DENSE_CANDIDATES)
    weights = np.full(group.shape, 0.05)
    weights[0, DENSE_CANDIDATES.index("sep_conv_3x3")] = 0.3
    weights[1, DENSE_CANDIDATES.index("atrous_conv_5x5")] = 0.6
    weights[3, DENSE_CANDIDATES.index("sep_conv_5x5")] = 0.3
    weights[4, DENSE_CANDIDATES.index("atrous_conv_3x3")] = 0.6
    weights[:, 0] = 0.9  # `none` is strongest everywhere and never decoded
    edges = top_k(weights, group, 2)
    assert edges == (
        (Edge("atrous_conv_5x5", 1), Edge("sep_conv_3x3", 0)),
        (Edge("atrous_conv_3x3", 2), Edge("sep_conv_5x5", 1)),
    )
    network = TrellisNetwork(Genotype(TRELLIS, (Cell("cell", edges, (2, 3)),), (0, 0)), **SMALL).double().eval()
    cell = network.cells[1]
    kernels = [[next(operation.parameters()).shape for operation in operations] for operations in cell.nodes]
    assert [[shape[2] for shape in block] for block in kernels] == [[5, 3], [3, 5]]
    x, y = torch.randn(2, 1, 2, 8, 8, dtype=torch.float64)
    first = cell.nodes[0][0](y.relu()) + cell.nodes[0][1](x.relu())
    second = cell.nodes[1][0](first.relu()) + cell.nodes[1][1](y.relu())
    torch.testing.assert_close(torch.cat(cell.outputs([x, y], 0.0), dim=1), torch.cat([first, second], dim=1))


def test_a_searched_genotype_goes_straight_into_a_network(tiny, random_logits, relax):
    space = tiny()
    genotype = space.decode(relax(space, random_logits(space)), top_k)
    network = space.network(genotype, filters=2, stem_channels=4, head_channels=4, low_level_channels=2)
    assert network(torch.randn(2, 2, 32, 32)).shape == (2, 3, 32, 32)
    assert Genotype.from_json(genotype.to_json()) == genotype


def test_path_dropout_is_for_training_alone():
    network = TrellisNetwork(AUTO_DEEPLAB, **SMALL)
    set_path_dropout(network, 0.5)
    images = torch.randn(2, 3, 32, 32)
    assert not torch.equal(network(images), network(images))
    network.eval()
    assert torch.equal(network(images), network(images))


def test_a_network_is_a_plain_module(tmp_path):
    network = TrellisNetwork(AUTO_DEEPLAB, **SMALL).eval()
    images = torch.randn(2, 3, 32, 48)
    exported = torch.export.export(network, (images,))
    torch.testing.assert_close(exported.module()(images), network(images))
    assert isinstance(network, nn.Module)


@pytest.mark.parametrize(
    ("genotype", "message"),
    [
        (DARTS_V2, "belongs to the space 'conv_cell', this network needs 'trellis'"),
        (replace(AUTO_DEEPLAB, path=()), "path: must not be empty"),
        (replace(AUTO_DEEPLAB, path=(0, 2)), "path: 0 2 leaves the trellis: layer 2 lies at level 2"),
        (replace(AUTO_DEEPLAB, cells=AUTO_DEEPLAB.cells * 2), r"needs one cell with 2 inputs, got"),
        (
            replace(AUTO_DEEPLAB, cells=(Cell("cell", ((Edge("atrous_conv", 0),),), (2,)),)),
            "genotype: 'atrous_conv' is unknown; did you mean 'atrous_conv_5x5' or 'atrous_conv_3x3'",
        ),
    ],
)
def test_bad_genotypes(genotype, message):
    with pytest.raises(ValueError, match=message):
        TrellisNetwork(genotype, **SMALL)


@pytest.mark.parametrize("name", ["filters", "stem_channels", "head_channels", "low_level_channels", "in_channels"])
def test_bad_sizes(name):
    with pytest.raises(ValueError, match=f"{name}: must be at least 1, got 0"):
        TrellisNetwork(AUTO_DEEPLAB, **{name: 0})


def test_space_builds_with_its_own_classes_and_channels():
    space = TrellisSpace(num_classes=5, in_channels=1)
    network = space.network(AUTO_DEEPLAB, filters=2, stem_channels=4, head_channels=4, low_level_channels=2)
    assert network(torch.randn(1, 1, 32, 32).expand(2, -1, -1, -1)).shape == (2, 5, 32, 32)
