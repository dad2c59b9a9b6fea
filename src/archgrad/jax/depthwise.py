"""Depthwise convolution as a bilinear primitive: exact derivatives of any order, in forward and in reverse mode.

XLA compiles a grouped convolution to scalar loops on CPUs. A depthwise one is the sum of k² shifted and scaled images,
which XLA fuses into one vectorised loop (figures in `docs/results.md`). Left to automatic differentiation, though, the
transpose of each shift is a padding, and that is slow again. Here both transposes are written down as what they are, a
depthwise convolution with the filter turned round and a correlation of two images, so that gradients of gradients stay
within the two primitives. On other devices both are XLA's own convolution.

Images are [*stacks, N, H, W, C] and filters [*stacks, k, k, 1, C]; what `jax.vmap` adds becomes a stack.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Float

IMAGE = 4  # dimensions without stacks


def depthwise_convolution(
    x: Float[Array, "*stacks batch height width channels"],
    kernel: Float[Array, "*stacks size size 1 channels"],
    *,
    stride: int = 1,
    dilation: int = 1,
) -> Float[Array, "*stacks batch new_height new_width channels"]:
    """y[n, h, w, c] = Σ_ij kernel[i, j, 0, c] · x[n, s·h + d·i − p, s·w + d·j − p, c], p = d (k − 1) / 2.

    `stride` s and `dilation` d; k is odd. At stride 1 the size stays, at stride s it is ⌈H / s⌉. Pixels outside the
    image are 0.

    >>> x = jnp.arange(9.0).reshape(1, 3, 3, 1)
    >>> depthwise_convolution(x, jnp.ones((3, 3, 1, 1)), stride=2)[0, :, :, 0].tolist()
    [[8.0, 12.0], [20.0, 24.0]]
    """
    return _convolution.bind(x, kernel, stride=stride, dilation=dilation)


def _filter_gradient(x: Array, y: Array, *, size: int, stride: int, dilation: int) -> Array:
    """Σ_n,h,w x[n, s·h + d·i − p, s·w + d·j − p, c] · y[n, h, w, c], [*stacks, k, k, 1, C]."""
    return _correlation.bind(x, y, size=size, stride=stride, dilation=dilation)


def _image_gradient(y: Array, kernel: Array, *, shape: tuple[int, ...], stride: int, dilation: int) -> Array:
    """The transpose of the convolution: y spread out to the image's size, and the filter turned round."""
    spread = y
    if stride > 1:
        rows, columns = ((shape[axis] - 1) % stride for axis in (-3, -2))
        flat = [(0, 0, 0)] * (y.ndim - 3)
        padding = [*flat, (0, rows, stride - 1), (0, columns, stride - 1), (0, 0, 0)]
        spread = lax.pad(y, jnp.zeros((), y.dtype), padding)
    return depthwise_convolution(spread, jnp.flip(kernel, axis=(-4, -3)), dilation=dilation)


def _padded(x: Array, reach: int) -> Array:
    return jnp.pad(x, [(0, 0)] * (x.ndim - 3) + [(reach, reach), (reach, reach), (0, 0)])


def _columns(x: Array, start: int, width: int, stride: int) -> Array:
    return lax.slice_in_dim(x, start, start + width, stride, axis=-2)


def _convolve_on_cpu(x: Array, kernel: Array, *, stride: int, dilation: int) -> Array:
    size, (height, width) = kernel.shape[-4], x.shape[-3:-1]
    padded = _padded(x, dilation * (size - 1) // 2)
    total = None
    for row in range(size):
        rows = lax.slice_in_dim(padded, dilation * row, dilation * row + height, stride, axis=-3)
        for column in range(size):
            weights = kernel[..., row, column, :, :][..., None, None, :, :]
            term = _columns(rows, dilation * column, width, stride) * weights
            total = term if total is None else total + term
    assert total is not None
    return total


def _correlate_on_cpu(x: Array, y: Array, *, size: int, stride: int, dilation: int) -> Array:
    """Row by row of the filter in a loop: unrolled, these reductions take XLA longer to compile and to run."""
    reach, height = dilation * (size - 1) // 2, x.shape[-3]
    padded = _padded(x, reach)

    def row(place: Array) -> Array:
        rows = lax.dynamic_slice_in_dim(padded, dilation * place, height, axis=-3)
        rows = lax.slice_in_dim(rows, 0, height, stride, axis=-3)
        taps = (_columns(rows, dilation * column, x.shape[-2], stride) for column in range(size))
        return jnp.stack([jnp.sum(tap * y, axis=(-4, -3, -2)) for tap in taps])

    sums = lax.map(row, jnp.arange(size))  # [k, k, *stacks, C]
    return jnp.moveaxis(sums, (0, 1), (-3, -2))[..., None, :]


def _over_stacks(function: Callable[[Array, Array], Array], *arguments: Array) -> Array:
    for _ in range(arguments[0].ndim - IMAGE):
        function = jax.vmap(function)
    return function(*arguments)


def _convolve(x: Array, kernel: Array, *, stride: int, dilation: int) -> Array:
    def convolve(x: Array, kernel: Array) -> Array:
        reach = dilation * (kernel.shape[0] - 1) // 2
        return lax.conv_general_dilated(
            x,
            kernel,
            (stride, stride),
            [(reach, reach)] * 2,
            rhs_dilation=(dilation, dilation),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=x.shape[-1],
        )

    return _over_stacks(convolve, x, kernel)


def _correlate(x: Array, y: Array, *, size: int, stride: int, dilation: int) -> Array:
    def correlate(x: Array, y: Array) -> Array:
        kernel = jax.ShapeDtypeStruct((size, size, 1, x.shape[-1]), x.dtype)
        convolve = partial(_convolve, x, stride=stride, dilation=dilation)
        return jax.linear_transpose(convolve, kernel)(y)[0]

    return _over_stacks(correlate, x, y)


def _convolution_shape(x: Any, kernel: Any, *, stride: int, dilation: int) -> Any:
    *before, height, width, channels = x.shape
    size = kernel.shape[-IMAGE] if kernel.ndim >= IMAGE else 0
    if kernel.shape != (*before[:-1], size, size, 1, channels) or size % 2 == 0:
        raise ValueError(
            f"kernel: a depthwise convolution of {x.shape} needs [*stacks, k, k, 1, {channels}] with an odd k, "
            f"got {kernel.shape}."
        )
    return x.update(shape=(*before, -(-height // stride), -(-width // stride), channels))


def _correlation_shape(x: Any, y: Any, *, size: int, stride: int, dilation: int) -> Any:
    return x.update(shape=(*x.shape[:-IMAGE], size, size, 1, x.shape[-1]))


def _convolution_by_image(y: Any, x: Any, kernel: Array, *, stride: int, dilation: int) -> Any:
    return _image_gradient(y, kernel, shape=x.aval.shape, stride=stride, dilation=dilation)


def _convolution_by_filter(y: Any, x: Array, kernel: Any, *, stride: int, dilation: int) -> Any:
    return _filter_gradient(x, y, size=kernel.aval.shape[-4], stride=stride, dilation=dilation)


def _correlation_by_first(kernel: Any, x: Any, y: Array, *, size: int, stride: int, dilation: int) -> Any:
    return _image_gradient(y, kernel, shape=x.aval.shape, stride=stride, dilation=dilation)


def _correlation_by_second(kernel: Any, x: Array, y: Any, *, size: int, stride: int, dilation: int) -> Any:
    return depthwise_convolution(x, kernel, stride=stride, dilation=dilation)


def _stack(primitive: Primitive) -> Callable[..., tuple[Array, int]]:
    """The rule of `jax.vmap`: the new dimension is one more stack; an argument that has none is repeated."""

    def rule(arguments: tuple[Array, ...], places: tuple[int | None, ...], **options: int) -> tuple[Array, int]:
        count = next(x.shape[place] for x, place in zip(arguments, places, strict=True) if place is not None)
        stacked = (
            jnp.broadcast_to(x, (count, *x.shape)) if place is None else jnp.moveaxis(x, place, 0)
            for x, place in zip(arguments, places, strict=True)
        )
        return primitive.bind(*stacked, **options), 0

    return rule


def _primitive(name: str, *, shape: Any, on_cpu: Any, elsewhere: Any, transposes: tuple[Any, Any]) -> Primitive:
    primitive = Primitive(name)
    primitive.def_abstract_eval(shape)
    primitive.def_impl(jax.jit(primitive.bind, static_argnames=("size", "stride", "dilation")))
    mlir.register_lowering(primitive, mlir.lower_fun(elsewhere, multiple_results=False))
    mlir.register_lowering(primitive, mlir.lower_fun(on_cpu, multiple_results=False), platform="cpu")
    ad.defbilinear(primitive, *transposes)
    batching.primitive_batchers[primitive] = _stack(primitive)
    return primitive


_convolution = _primitive(
    "depthwise_convolution",
    shape=_convolution_shape,
    on_cpu=_convolve_on_cpu,
    elsewhere=_convolve,
    transposes=(_convolution_by_image, _convolution_by_filter),
)
_correlation = _primitive(
    "depthwise_correlation",
    shape=_correlation_shape,
    on_cpu=_correlate_on_cpu,
    elsewhere=_correlate,
    transposes=(_correlation_by_first, _correlation_by_second),
)
