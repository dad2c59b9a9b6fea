"""Depthwise convolution against its sum, PyTorch's, XLA's, and the closed forms of a bilinear function."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from archgrad.jax.depthwise import _convolution, _convolve, _correlate, depthwise_convolution

CASES = [  # filter, stride, dilation, height, width
    (1, 2, 1, 4, 3),
    (3, 1, 1, 6, 5),
    (3, 2, 2, 7, 6),
    (5, 1, 2, 4, 7),  # reaches beyond the image on both sides
    (5, 3, 1, 7, 9),
]
ids = "k{0[0]}-s{0[1]}-d{0[2]}-{0[3]}x{0[4]}".format


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def naive(x, kernel, stride, dilation):
    """The sum of the docstring, pixel by pixel."""
    batch, height, width, channels = x.shape
    size, reach = len(kernel), dilation * (len(kernel) - 1) // 2
    y = np.zeros((batch, -(-height // stride), -(-width // stride), channels))
    for h, w, i, j in np.ndindex(*y.shape[1:3], size, size):
        row, column = stride * h + dilation * i - reach, stride * w + dilation * j - reach
        if 0 <= row < height and 0 <= column < width:
            y[:, h, w] += kernel[i, j, 0] * x[:, row, column]
    return y


def first_order(convolve, x, kernel, x_dot, kernel_dot):
    """Values, their derivative along a direction, and the gradient of Σ sin(y)."""
    y, y_dot = jax.jvp(convolve, (x, kernel), (x_dot, kernel_dot))
    gradient = jax.vjp(convolve, x, kernel)[1](jnp.cos(y))
    return {"value": y, "jvp": y_dot, "gradient": gradient}


def second_order(convolve, x, kernel, x_dot, kernel_dot):
    """The Hessian of Σ sin(y) times a direction, forward over reverse and reverse over reverse."""
    gradient = jax.grad(lambda at: jnp.sum(jnp.sin(convolve(*at))))
    at, direction = (x, kernel), (x_dot, kernel_dot)

    def slope(at):
        return sum(jnp.vdot(part, dot) for part, dot in zip(gradient(at), direction, strict=True))

    return {
        "jvp of the gradient": jax.jvp(gradient, (at,), (direction,))[1],
        "gradient of the gradient": jax.grad(slope)(at),
    }


def evaluate(derivatives, case):
    """The arguments, the options, and what the primitive and XLA's own convolution make of them."""
    size, stride, dilation, height, width = case
    shapes = [(2, height, width, 3), (size, size, 1, 3)] * 2
    arguments = [draw(*shape, seed=seed) for seed, shape in enumerate(shapes)]
    options = {"stride": stride, "dilation": dilation}

    def both(*arguments):
        found, expected = (derivatives(partial(f, **options), *arguments) for f in (depthwise_convolution, _convolve))
        if derivatives is first_order:
            y = jnp.cos(found["value"])
            expected["elsewhere"] = _correlate(arguments[0], y, size=size, **options)
        return found, expected

    with jax.enable_x64(True):
        return arguments, options, *jax.jit(both)(*arguments)


@pytest.fixture(scope="module", params=CASES, ids=ids)
def case(request):
    return evaluate(first_order, request.param)


def close(found, expected):
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-10), found, expected)


def test_is_the_sum(case):
    (x, kernel, *_), options, found, _ = case
    assert found["value"].dtype == jnp.float64
    close(found["value"], naive(x, kernel, **options))


def test_is_the_grouped_convolution_of_pytorch(case):
    (x, kernel, *_), options, found, _ = case
    images, filters = torch.from_numpy(x).permute(0, 3, 1, 2), torch.from_numpy(kernel).permute(3, 2, 0, 1)
    padding = options["dilation"] * (len(kernel) - 1) // 2
    expected = F.conv2d(images, filters, padding=padding, groups=3, **options)
    close(found["value"], expected.permute(0, 2, 3, 1).numpy())


def test_is_linear_in_either_argument(case):
    """So the derivative along (ẋ, k̇) is y(ẋ, k) + y(x, k̇), whoever differentiates."""
    (x, kernel, x_dot, kernel_dot), options, found, _ = case
    close(found["jvp"], naive(x_dot, kernel, **options) + naive(x, kernel_dot, **options))


def test_gradients_are_those_of_the_convolution_of_xla(case):
    _, _, found, of_xla = case
    close(found["value"], of_xla["value"])
    close(found["gradient"], of_xla["gradient"])
    close(found["gradient"][1], of_xla["elsewhere"])  # what other devices compute


@pytest.mark.parametrize("case", [CASES[2], CASES[3]], ids=ids)
def test_second_derivatives_are_those_of_the_convolution_of_xla(case):
    _, _, found, of_xla = evaluate(second_order, case)
    close(found, of_xla)
    close(found["jvp of the gradient"], found["gradient of the gradient"])  # the Hessian is symmetric


def test_only_on_a_cpu_there_is_no_convolution_for_xla():
    """Whose grouped convolutions and their gradients are slow there."""
    x, kernel = jnp.zeros((1, 5, 5, 2)), jnp.zeros((3, 3, 1, 2))
    step = jax.jit(jax.value_and_grad(lambda x, kernel: depthwise_convolution(x, kernel).sum(), (0, 1)))
    traced = step.trace(x, kernel)
    on_cpu, on_gpu = (traced.lower(lowering_platforms=(name,)).as_text() for name in ("cpu", "cuda"))
    assert "stablehlo.convolution" not in on_cpu
    assert on_gpu.count("stablehlo.convolution") == 3  # forward and one for each gradient


@jax.jit
def value_and_gradients(x, kernel):
    y, pull = jax.vjp(partial(depthwise_convolution, stride=2), x, kernel)
    return y, pull(jnp.sin(y))


@pytest.mark.parametrize(("x_place", "kernel_place"), [(0, None), (None, 0), (2, -1)], ids=["x", "kernel", "both"])
def test_vmap_is_a_loop(x_place, kernel_place):
    """Of values and of gradients, wherever the new dimension lies."""
    xs, kernels = draw(3, 2, 5, 4, 2), draw(3, 3, 3, 1, 2, seed=1)
    x = xs[0] if x_place is None else np.moveaxis(xs, 0, x_place)
    kernel = kernels[0] if kernel_place is None else np.moveaxis(kernels, 0, kernel_place)
    found = jax.jit(jax.vmap(value_and_gradients, (x_place, kernel_place)))(x, kernel)
    for copy in range(3):
        single = value_and_gradients(xs[0 if x_place is None else copy], kernels[0 if kernel_place is None else copy])
        close(jax.tree.map(lambda part, copy=copy: part[copy], found), single)


def test_vmap_within_vmap_is_a_loop_within_a_loop():
    """As of edges within searches: the outer one over both, the inner one over filters alone."""
    x, kernels = draw(2, 1, 4, 4, 2), draw(2, 3, 3, 3, 1, 2, seed=1)
    of_edges = jax.vmap(depthwise_convolution, (None, 0))
    found = jax.jit(jax.vmap(of_edges))(x, kernels)
    close(found, [[naive(x[i], kernels[i, j], 1, 1) for j in range(3)] for i in range(2)])


def test_without_jit_it_is_the_same():
    x, kernel = draw(1, 4, 4, 2), draw(3, 3, 1, 2, seed=1)
    close(depthwise_convolution(jnp.asarray(x), jnp.asarray(kernel), stride=2), naive(x, kernel, 2, 1))


@pytest.mark.parametrize(
    "shape",
    [(3, 3, 1, 4), (3, 5, 1, 2), (3, 3, 2, 2), (2, 2, 1, 2), (7, 3, 3, 1, 2)],
    ids=["channels", "oblong", "full", "even", "stacks"],
)
def test_filters_of_a_wrong_shape_are_refused(shape):
    """By the primitive itself: what is refused here no annotation has to catch."""
    convolve = partial(_convolution.bind, stride=1, dilation=1)
    with pytest.raises(ValueError, match=r"needs .*k, k, 1, 2] with an odd k, got") as caught:
        jax.eval_shape(convolve, jnp.zeros((1, 5, 5, 2)), jnp.zeros(shape))
    assert "(1, 5, 5, 2)" in str(caught.value)
    assert str(shape) in str(caught.value)
