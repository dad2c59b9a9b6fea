"""The derived network in Flax against the one in PyTorch."""

import jax
import numpy as np
import pytest
import torch
from flax import nnx
from torch import nn

from archgrad.genotype import DARTS_V2, Cell, Edge, Genotype
from archgrad.jax.conversion import _tensors, _variables, from_torch
from archgrad.jax.network import ConvNetwork
from archgrad.spaces import ConvNetwork as TorchConvNetwork

TINY = {"channels": 4, "layers": 3, "num_classes": 3, "in_channels": 2}

SMALL = Genotype(
    "conv_cell",
    (
        Cell("normal", ((Edge("sep_conv_3x3", 0), Edge("skip_connect", 1)), (Edge("max_pool_3x3", 2),)), (3, 0)),
        Cell("reduce", ((Edge("skip_connect", 0), Edge("avg_pool_3x3", 1)), (Edge("dil_conv_3x3", 2),)), (2, 3)),
    ),
)
"""Pooling, skips, nodes of one edge and of two, and outputs that are not all the nodes."""


def images_of(size):
    images = np.random.default_rng(0).normal(size=(4, *size, 2)).astype(np.float32)
    return images, torch.from_numpy(images).permute(0, 3, 1, 2)


def randomise(network):
    """Weights, scales, shifts and running averages that are nobody's defaults."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_mean, module.running_var):
                tensor += torch.rand(tensor.shape)
            module.bias.data.normal_()
    return network


def test_scores_in_evaluation_mode_are_those_of_pytorch():
    """By the running averages, which stay."""
    twin = randomise(TorchConvNetwork(DARTS_V2, **TINY)).eval()
    ours = from_torch(twin, ConvNetwork(DARTS_V2, **TINY, rngs=nnx.Rngs(0)))
    ours.eval()
    images, inputs = images_of((9, 10))
    scores = jax.jit(ours.__call__)(images)
    np.testing.assert_allclose(scores, twin(inputs).detach().numpy(), rtol=1e-5, atol=1e-5)


def test_a_pass_in_training_mode_is_that_of_pytorch():
    """By the batch, while the running averages move, and they alone."""
    twin = randomise(TorchConvNetwork(SMALL, **TINY))
    ours = from_torch(twin, ConvNetwork(SMALL, **TINY, rngs=nnx.Rngs(0)))
    images, inputs = images_of((10, 9))
    graph, state = nnx.split(ours)

    def run(state, images):
        network = nnx.merge(graph, state)
        return network(images), nnx.state(network)

    before = {name: np.asarray(variable[...]) for name, variable in _variables(ours).items()}
    scores, after = jax.jit(run)(state, images)
    nnx.update(ours, after)
    np.testing.assert_allclose(scores, twin(inputs).detach().numpy(), rtol=1e-4, atol=1e-4)
    averages = 0
    for name, variable in _variables(ours).items():
        if name.endswith("running_mean"):
            averages += 1
            np.testing.assert_allclose(variable[...], _tensors(twin)[name], rtol=1e-4, atol=1e-5, err_msg=name)
        if name.endswith(("running_mean", "running_var")):
            assert not np.array_equal(variable[...], before[name]), name
        else:
            np.testing.assert_array_equal(variable[...], before[name], err_msg=name)
    assert averages == sum(isinstance(module, nn.BatchNorm2d) for module in twin.modules())


def test_a_seed_says_what_the_weights_are():
    networks = [ConvNetwork(SMALL, **TINY, rngs=nnx.Rngs(seed)) for seed in (0, 0, 1)]
    first, again, other = (network.cells[0].nodes[0][0].body.layers[0].kernel[...] for network in networks)
    np.testing.assert_array_equal(first, again)
    assert not np.isin(first, other).any()
    graphs = [nnx.split(network)[0] for network in networks]
    assert graphs[0] == graphs[2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": 5}, r"channels: must be even for the factorised reductions, got 5"),
        ({"channels": 0}, r"channels: must be at least 2, got 0"),
        ({"layers": 2}, r"layers: must be at least 3, got 2"),
        ({"num_classes": 1}, r"num_classes: must be at least 2, got 1"),
        ({"in_channels": 0}, r"in_channels: must be at least 1, got 0"),
        ({"stem": "cifar10"}, r"stem: 'cifar10' is unknown; did you mean 'cifar'\? Allowed: cifar, imagenet"),
    ],
)
def test_sizes_that_do_not_fit(changes, message):
    with pytest.raises(ValueError, match=message):
        ConvNetwork(SMALL, **{**TINY, **changes}, rngs=nnx.Rngs(0))


@pytest.mark.parametrize(
    ("genotype", "message"),
    [
        (Genotype("recurrent", SMALL.cells), r"genotype: belongs to the space 'recurrent', this network needs 'conv_"),
        (Genotype("conv_cell", SMALL.cells[:1]), r"genotype: needs the cells 'normal' and 'reduce', got \['normal'\]"),
        (
            Genotype("conv_cell", (Cell("normal", ((Edge("sep_conv_9x9", 0),),), (2,)), SMALL["reduce"])),
            r"genotype: 'sep_conv_9x9' is unknown; did you mean 'sep_conv_",
        ),
    ],
)
def test_genotypes_that_do_not_fit(genotype, message):
    with pytest.raises(ValueError, match=message):
        ConvNetwork(genotype, **TINY, rngs=nnx.Rngs(0))
