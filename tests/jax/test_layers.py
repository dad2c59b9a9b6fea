"""The layers against PyTorch's, and the distribution of what they begin with."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from torch import nn

from archgrad.genotype import Cell, Edge, Genotype
from archgrad.jax.conversion import _tensors, _variables, from_torch, to_torch
from archgrad.jax.layers import (
    BatchStatisticsNorm,
    Convolution,
    DepthwiseConvolution,
    FactorizedReduction,
    Layers,
    Linear,
    Pooling,
    draw,
    halve,
    parameter,
    running_norm,
)
from archgrad.jax.network import ConvNetwork
from archgrad.jax.supernet import ConvSupernet
from archgrad.ops import operation as torch_operation
from archgrad.ops.convolution import Convolution as TorchConvolution
from archgrad.ops.convolution import Halving
from archgrad.ops.skip import FactorizedReduction as TorchFactorizedReduction
from archgrad.spaces import ConvCellSpace
from archgrad.spaces import ConvNetwork as TorchConvNetwork


def to_images(x):
    """[N, H, W, C] of JAX -> [N, C, H, W] of PyTorch."""
    return torch.from_numpy(np.array(x)).permute(0, 3, 1, 2)


def from_images(x):
    return x.detach().permute(0, 2, 3, 1).numpy()


# -- equal to PyTorch's ---------------------------------------------------------------------------------------------


def pooling(kind, stride):
    twins = {
        "max": nn.MaxPool2d(3, stride=stride, padding=1),
        "avg": nn.AvgPool2d(3, stride=stride, padding=1, count_include_pad=False),
    }
    return Pooling(maximum=kind == "max", stride=stride), twins[kind]


def affine_norm():
    norm = BatchStatisticsNorm(4, affine=True)
    norm.scale[...], norm.bias[...] = jnp.arange(4.0), jnp.arange(4.0) - 2
    return norm, torch_operation.BatchStatisticsNorm(4, affine=True)


def sequence():
    ours = Layers(Convolution(4, 6, 3, stride=2, rngs=None), BatchStatisticsNorm(6), nnx.relu)
    return ours, nn.Sequential(
        TorchConvolution(4, 6, 3, stride=2, padding=1), torch_operation.BatchStatisticsNorm(6), nn.ReLU()
    )


def pairs():
    return {
        "norm": (BatchStatisticsNorm(4), torch_operation.BatchStatisticsNorm(4)),
        "affine norm": affine_norm(),
        "max pool": pooling("max", 1),
        "max pool at stride 2": pooling("max", 2),
        "average pool": pooling("avg", 1),
        "average pool at stride 2": pooling("avg", 2),
        "reduction": (FactorizedReduction(4, 6, rngs=None), TorchFactorizedReduction(4, 6)),
        "halve": (halve, Halving()),
        "pointwise": (Convolution(4, 3, 1, rngs=None), TorchConvolution(4, 3, 1)),
        "pointwise at stride 2": (Convolution(4, 3, 1, stride=2, rngs=None), TorchConvolution(4, 3, 1, stride=2)),
        "dilated": (Convolution(4, 3, 3, dilation=2, rngs=None), TorchConvolution(4, 3, 3, padding=2, dilation=2)),
        "oblong": (
            Convolution(4, 3, (1, 7), stride=(1, 2), rngs=None),
            TorchConvolution(4, 3, (1, 7), stride=(1, 2), padding=(0, 3)),
        ),
        "depthwise": (
            DepthwiseConvolution(4, 5, stride=2, dilation=2, rngs=None),
            TorchConvolution(4, 4, 5, stride=2, padding=4, dilation=2, groups=4),
        ),
        "crossed": (
            Convolution(4, 3, (7, 1), stride=(2, 1), rngs=None),
            TorchConvolution(4, 3, (7, 1), stride=(2, 1), padding=(3, 0)),
        ),
        "layers": sequence(),
    }


@pytest.fixture(scope="module", params=[(8, 6), (7, 9)], ids=["even", "odd"])
def outputs(request):
    """Of each pair at images that both have, all compiled at once."""
    made = pairs()
    draw(nnx.List([ours for ours, _ in made.values()]), nnx.Rngs(0))
    x = np.random.default_rng(0).normal(loc=1, size=(3, *request.param, 4)).astype(np.float32)
    found = jax.jit(lambda x: {name: ours(x) for name, (ours, _) in made.items()})(x)
    for ours, twin in made.values():
        if isinstance(ours, nnx.Module):
            to_torch(ours, twin)
    return found, {name: from_images(twin(to_images(x))) for name, (_, twin) in made.items()}


@pytest.mark.parametrize("name", list(pairs()))
def test_same_as_in_pytorch(outputs, name):
    found, expected = outputs
    np.testing.assert_allclose(found[name], expected[name], rtol=2e-5, atol=2e-5)


def test_linear_is_the_one_of_pytorch():
    ours, twin = Linear(5, 3, rngs=None), nn.Linear(5, 3)
    from_torch(twin, ours)
    x = np.random.default_rng(0).normal(size=(2, 5)).astype(np.float32)
    np.testing.assert_allclose(ours(jnp.asarray(x)), twin(torch.from_numpy(x)).detach().numpy(), atol=1e-6)


@pytest.mark.parametrize("size", [1, 2])
def test_halve_the_smallest_images(size):
    x = jnp.arange(float(size * size)).reshape(1, size, size, 1)
    np.testing.assert_array_equal(jax.jit(halve)(x), x[:, :1, :1])


def test_the_gradient_of_a_maximum_goes_to_the_first_of_equal_pixels():
    """In rows, then in columns, as in PyTorch. Images of two values: nearly every window has ties."""
    x = np.random.default_rng(0).integers(2, size=(4, 6, 7, 2)).astype(np.float32)
    y = np.random.default_rng(1).normal(size=x.shape).astype(np.float32)
    found = jax.jit(jax.grad(lambda x: jnp.vdot(Pooling(maximum=True, stride=1)(x), y)))(x)
    images = to_images(x).requires_grad_()
    nn.MaxPool2d(3, stride=1, padding=1)(images).backward(to_images(y))
    np.testing.assert_allclose(found, from_images(images.grad), atol=1e-6)


def test_an_odd_number_of_channels_cannot_be_reduced():
    with pytest.raises(ValueError, match="channels: a factorised reduction needs an even number of channels, got 3"):
        FactorizedReduction(4, 3, rngs=None)


def test_running_averages_move_by_a_tenth_per_step():
    """Towards the mean and the biased variance of the batch; in evaluation they are what normalises."""
    norm, x = running_norm(2), np.random.default_rng(0).normal(3, 2, (2, 3, 3, 2)).astype(np.float32)
    apply = nnx.jit(lambda norm, x: norm(x))
    during = apply(norm, x)
    batch = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
    np.testing.assert_allclose(during, (x - batch[0]) / np.sqrt(batch[1] + 1e-5), rtol=1e-4, atol=1e-5)
    mean, variance = 0.1 * batch[0], 0.9 + 0.1 * batch[1]
    np.testing.assert_allclose(norm.mean[...], mean, rtol=1e-5)
    np.testing.assert_allclose(norm.var[...], variance, rtol=1e-5)
    norm.eval()
    np.testing.assert_allclose(apply(norm, x), (x - mean) / np.sqrt(variance + 1e-5), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(norm.mean[...], mean, rtol=1e-5)


# -- initial values -------------------------------------------------------------------------------------------------


def uniformity(values, bound):
    """The largest distance between the distribution of the values and that of U(−bound, bound)."""
    places = (np.sort(np.ravel(values)) / bound + 1) / 2
    return np.abs(places - (np.arange(places.size) + 0.5) / places.size).max()


def test_a_parameter_is_uniform_within_one_over_the_root_of_the_inputs():
    values = parameter((5000,), inputs=16, rngs=nnx.Rngs(0))[...]
    assert np.abs(values).max() <= 0.25
    assert uniformity(values, 0.25) < 1.63 / np.sqrt(5000)  # Kolmogorov and Smirnov's bound of 1 in 100


def test_without_generators_a_parameter_stays_zero_until_it_is_drawn():
    made = Linear(400, 10, rngs=None)
    assert not np.any(made.kernel[...])
    assert not np.any(made.bias[...])
    draw(made, nnx.Rngs(0))
    for values in (made.kernel[...], made.bias[...]):
        assert np.abs(values).max() <= 0.05
        assert np.abs(values).max() > 0.04
    assert uniformity(made.kernel[...], 0.05) < 1.63 / np.sqrt(4000)
    assert not np.isin(made.bias[...], made.kernel[...]).any()  # no value is drawn twice


@pytest.mark.parametrize("kind", ["supernet", "network"])
def test_bounds_are_those_of_pytorch(kind):
    """Of every layer: 1 / √(inputs that an output reads), by the shapes of the twin's weights."""
    if kind == "supernet":
        candidates = ("none", "skip_connect", "sep_conv_3x3", "dil_conv_5x5")
        space = ConvCellSpace(channels=4, layers=3, nodes=2, candidates=candidates)
        ours, twin = ConvSupernet(space, rngs=nnx.Rngs(0)), space.supernet()
    else:
        crossed = ((Edge("conv_7x1_1x7", 0), Edge("skip_connect", 1)),)
        genotype = Genotype("conv_cell", tuple(Cell(name, crossed, (2,)) for name in ("normal", "reduce")))
        size = {"channels": 4, "layers": 3}
        ours, twin = ConvNetwork(genotype, **size, rngs=nnx.Rngs(0)), TorchConvNetwork(genotype, **size)
    tensors, count = _tensors(twin), 0
    for name, variable in _variables(ours).items():
        if hasattr(variable, "bound"):
            weight = tensors[name.replace("bias", "weight")]  # the bound of a bias is that of its layer
            bound = nn.init._calculate_fan_in_and_fan_out(weight)[0] ** -0.5
            count += 1
            assert variable.bound == pytest.approx(bound), name
            assert 0 < np.abs(variable[...]).max() <= bound, name
        else:  # scale and shift of a normalisation, and running averages
            np.testing.assert_array_equal(variable[...], tensors[name], err_msg=name)
    assert count >= 20


def test_a_draw_is_the_same_within_a_transformation():
    """Searches of many seeds are drawn under `jax.vmap`, each as if it were alone."""

    def make(seed):
        made = Layers(Convolution(2, 4, 3, rngs=None), Linear(4, 3, rngs=None))
        draw(made, nnx.Rngs(params=jax.random.key(seed)))
        return nnx.state(made)

    alone = [make(seed) for seed in range(2)]
    together = jax.jit(jax.vmap(make))(jnp.arange(2))
    for first, second in zip(*map(jax.tree.leaves, alone), strict=True):
        assert not np.isin(first, second).any()
    for seed in range(2):
        jax.tree.map(lambda x, y, seed=seed: np.testing.assert_array_equal(x[seed], y), together, alone[seed])
