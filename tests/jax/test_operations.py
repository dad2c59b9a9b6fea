"""The candidates against PyTorch's, and Eq. 2 by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from flax import nnx

from archgrad import ops
from archgrad.jax.cells import evaluate_stacked, stacked
from archgrad.jax.conversion import to_torch
from archgrad.jax.layers import BatchStatisticsNorm, draw
from archgrad.jax.operations import CANDIDATES, PLAIN_CANDIDATES, MixedOperation, convolutional_operation

TWINS = [name for name in CANDIDATES if name not in (*PLAIN_CANDIDATES, "none")]


images = np.random.default_rng(0).normal(loc=0.5, size=(2, 7, 6, 4)).astype(np.float32)
to_pytorch = torch.from_numpy(images).permute(0, 3, 1, 2)


def operation(name, stride, *, normalise_pooling=True):
    return convolutional_operation(
        name, 4, stride, norm=BatchStatisticsNorm, normalise_pooling=normalise_pooling, rngs=None
    )


# -- single candidates ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=[1, 2], ids=["stride 1", "stride 2"])
def evaluated(request):
    """All candidates of a stride: the stride, what each makes of the images, and its twin with the same weights."""
    stride = request.param
    made = {name: operation(name, stride) for name in TWINS}
    draw(nnx.List(made.values()), nnx.Rngs(0))
    graph, weights = nnx.split(made)
    found = jax.jit(
        lambda weights, x: {name: candidate(x) for name, candidate in nnx.merge(graph, weights).items()},
    )(weights, images)
    twins = {
        name: ops.convolutional_operation(name, 4, stride, norm=ops.BatchStatisticsNorm, normalise_pooling=True)
        for name in TWINS
    }
    return stride, made, found, {name: to_torch(made[name], twin) for name, twin in twins.items()}


@pytest.mark.parametrize("name", TWINS)
def test_candidates_are_those_of_pytorch(evaluated, name):
    stride, made, found, twins = evaluated
    twin = twins[name]
    expected = twin(F.relu(to_pytorch) if twin.rectified else to_pytorch).permute(0, 2, 3, 1).detach().numpy()
    assert found[name].shape == (2, -(-7 // stride), -(-6 // stride), 4)
    np.testing.assert_allclose(found[name], expected, rtol=1e-4, atol=2e-5)
    assert made[name].shared == twin.shared


def test_candidates_are_the_list_of_pytorch_but_for_noise():
    assert set(CANDIDATES) == {*PLAIN_CANDIDATES, *ops.CONV_CANDIDATES} - {"noise"}
    assert len(set(CANDIDATES)) == len(CANDIDATES)


@pytest.mark.parametrize(("name", "size"), [("conv_3x3", 3), ("conv_5x5", 5)])
def test_plain_candidates_are_bare_convolutions(name, size):
    """Without ReLU and normalisation: linear in the image."""
    made = operation(name, 2)
    kernel = np.random.default_rng(1).normal(size=(size, size, 4, 4)).astype(np.float32)
    made.body.kernel = nnx.Param(jnp.asarray(kernel))
    weight = torch.from_numpy(kernel).permute(3, 2, 0, 1)
    expected = F.conv2d(to_pytorch, weight, stride=2, padding=size // 2).permute(0, 2, 3, 1)
    np.testing.assert_allclose(jax.jit(made)(images), expected.numpy(), rtol=1e-4, atol=1e-4)


def test_pooled_images_stay_bare_where_a_network_wants_them_so():
    bare = operation("max_pool_3x3", 2, normalise_pooling=False)
    expected = F.max_pool2d(to_pytorch, 3, stride=2, padding=1).permute(0, 2, 3, 1)
    np.testing.assert_array_equal(jax.jit(bare)(images), expected.numpy())


def test_stacked_weights_are_operations_side_by_side():
    """[K, …] weights: K results, each that of a single operation with its slice."""
    bundle, (graph, _) = stacked("dil_conv_3x3", 4, 2, copies=3), nnx.split(operation("dil_conv_3x3", 2))
    draw(bundle, nnx.Rngs(0))
    evaluate = jax.jit(lambda weights, x: nnx.merge(graph, weights)(x))
    found = jax.jit(lambda x: evaluate_stacked(bundle, x))(images)
    assert found.shape == (3, 2, 4, 3, 4)
    for copy in range(3):
        one = jax.tree.map(lambda leaf, copy=copy: leaf[copy], nnx.state(bundle))
        np.testing.assert_allclose(found[copy], evaluate(one, images), rtol=1e-4, atol=2e-5)
    assert np.abs(found[0] - found[1]).max() > 0.1


def test_a_shared_operation_is_evaluated_once_for_all_copies():
    assert evaluate_stacked(stacked("skip_connect", 4, 1, copies=3), jnp.asarray(images)).shape == (1, 2, 7, 6, 4)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none", r"operation: 'none' is unknown"),
        ("noise", r"operation: 'noise' is unknown"),
        ("sep_conv_9x9", r"operation: 'sep_conv_9x9' is unknown; did you mean 'sep_conv_"),
    ],
)
def test_what_is_no_operation_is_refused(name, message):
    with pytest.raises(ValueError, match=message):
        operation(name, 1)


# -- mixed operations -----------------------------------------------------------------------------------------------


def double(x):
    return 2 * x


def normal(key, shape, dtype, out_sharding=None):
    """Flax's own initial values, one compilation each, take longer than the test."""
    return jnp.asarray(np.random.default_rng(len(shape)).normal(size=shape), dtype)


@pytest.fixture(scope="module")
def mixed():
    """Names, functions, and modules of Flax itself, with `none` in between."""
    rngs = nnx.Rngs(0)
    inits = {"kernel_init": normal, "bias_init": normal, "rngs": rngs}
    modules = nnx.Linear(4, 4, **inits), nnx.Conv(4, 4, (1, 1), **inits)
    return MixedOperation(("identity", "none", double, "max_pool_3x3", *modules), channels=4, rngs=rngs)


weights = jnp.array([0.1, 0.3, 0.05, 0.25, 0.2, 0.1])


@pytest.fixture(scope="module")
def terms(mixed):
    """o(x) by candidate: the identity, nothing, a function, pooling with its normalisation, two linear maps."""
    _, _, _, _, linear, convolution = mixed.operations
    pooled = F.max_pool2d(to_pytorch, 3, stride=1, padding=1)
    return np.stack(
        [
            images,
            np.zeros_like(images),
            2 * images,
            F.batch_norm(pooled, None, None, training=True).permute(0, 2, 3, 1).numpy(),
            images @ np.asarray(linear.kernel[...]) + np.asarray(linear.bias[...]),
            images @ np.asarray(convolution.kernel[...])[0, 0] + np.asarray(convolution.bias[...]),
        ]
    )


@nnx.jit
def by_weights(mixed, x, weights):
    return mixed(x, weights=weights)


@nnx.jit
def gradients(mixed, x, logits, towards):
    """⟨towards, y⟩, and its gradient by the module's parameters and by the logits."""
    return nnx.value_and_grad(lambda mixed, logits: jnp.vdot(mixed(x, logits), towards), argnums=(0, 1))(mixed, logits)


def test_names_are_those_of_names_functions_and_modules(mixed):
    assert mixed.names == ("identity", "none", "double", "max_pool_3x3", "Linear", "Conv")


def test_is_the_weighted_sum(mixed, terms):
    """Weights are taken as they are, whatever their sum; that of `none` contributes nothing."""
    for factor in (1, 3):
        expected = np.tensordot(factor * weights, terms, axes=1)
        np.testing.assert_allclose(by_weights(mixed, images, factor * weights), expected, rtol=1e-4, atol=1e-4)
    more_none = by_weights(mixed, images, weights.at[1].set(5.0))
    np.testing.assert_array_equal(more_none, by_weights(mixed, images, weights))


def test_logits_are_weights_by_their_softmax_and_everything_has_a_gradient(mixed, terms):
    """With ℓ = ⟨t, y⟩: ∂ℓ/∂α_o = p_o (⟨t, o(x)⟩ − ℓ), also for `none`, and ∂ℓ/∂(the linear kernel) = p xᵀt."""
    towards = np.random.default_rng(1).normal(size=images.shape).astype(np.float32)
    value, (of_module, of_logits) = gradients(mixed, images, 3 + jnp.log(weights), towards)
    along = np.tensordot(terms, towards, axes=4)
    assert value == pytest.approx(float(weights @ along), rel=1e-4, abs=1e-3)
    np.testing.assert_allclose(of_logits, weights * (along - weights @ along), rtol=1e-4, atol=1e-3)
    of_kernels = [of_module["operations"][place]["kernel"][...] for place in (4, 5)]
    outer = np.einsum("nhwi,nhwo->io", images, towards)
    np.testing.assert_allclose(of_kernels[0], 0.2 * outer, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(of_kernels[1][0, 0], 0.1 * outer, rtol=1e-4, atol=1e-4)


def test_of_none_alone_there_are_zeros_of_the_new_size():
    mixed = MixedOperation(("none",), channels=4, stride=2, rngs=nnx.Rngs(0))
    found = by_weights(mixed, images, jnp.ones(1))
    assert found.shape == (2, 4, 3, 4)
    assert not found.any()


def test_named_candidates_get_the_stride():
    mixed = MixedOperation(("none", "avg_pool_3x3"), channels=4, stride=2, normalise_pooling=False, rngs=nnx.Rngs(0))
    pooled = F.avg_pool2d(to_pytorch, 3, stride=2, padding=1, count_include_pad=False)
    found = by_weights(mixed, images, jnp.array([0.5, 0.5]))
    np.testing.assert_allclose(found, 0.5 * pooled.permute(0, 2, 3, 1).numpy(), rtol=1e-5, atol=1e-6)


def test_candidates_are_drawn_apart():
    first, second = MixedOperation(("conv_3x3", "conv_3x3"), channels=2, rngs=nnx.Rngs(0)).operations
    assert not np.isin(first.body.kernel[...], second.body.kernel[...]).any()


@pytest.mark.parametrize(
    ("candidates", "options", "message"),
    [
        (("sep_conv_3",), {}, r"candidates: 'sep_conv_3' is unknown; did you mean 'sep_conv_3x3'"),
        (("noise",), {}, r"candidates: 'noise' is unknown; did you mean 'none'"),
        ("sep_conv_3x3", {}, r"candidates: needs a sequence of names or modules, got 'sep_conv_3x3'"),
        ((), {}, r"candidates: needs a sequence of names or modules, got \(\)"),
        (("none", nnx.Linear), {}, r"candidates: must be names, modules or functions, got <class '.*Linear'>"),
        (("identity",), {"stride": 2}, r"stride: 'identity' keeps the size, got 2; 'skip_connect' reduces it"),
        (("skip_connect",), {"channels": 3, "stride": 2}, r"channels: a factorised reduction needs an even number"),
        (("identity",), {"channels": 0}, r"channels: must be at least 1, got 0"),
        (("identity",), {"stride": 0}, r"stride: must be at least 1, got 0"),
    ],
)
def test_candidates_that_do_not_fit(candidates, options, message):
    with pytest.raises(ValueError, match=message):
        MixedOperation(candidates, **{"channels": 4, **options}, rngs=nnx.Rngs(0))


def test_exactly_one_of_logits_and_weights(mixed):
    with pytest.raises(ValueError, match=r"logits, weights: give one of the two"):
        mixed(jnp.asarray(images))
    with pytest.raises(ValueError, match=r"logits, weights: give one of the two"):
        mixed(jnp.asarray(images), weights, weights=weights)


@pytest.mark.parametrize("name", ["logits", "weights"])
def test_one_number_for_each_candidate(mixed, name):
    with pytest.raises(ValueError, match=r"one number for each of the 6 candidates, got \(5,\)"):
        mixed(jnp.asarray(images), **{name: weights[:5]})
