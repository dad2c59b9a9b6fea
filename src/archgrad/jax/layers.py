"""What the candidates are made of in Flax: convolutions without bias, batch normalisation, pooling, resizing.

Images are [N, H, W, C], kernels [height, width, in, out]. Initial values have the distributions of PyTorch's layers, so
that searches on either side begin alike.
"""

import math
from collections.abc import Callable
from typing import Any, TypeAlias, cast

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array, lax
from jax.core import Tracer
from jaxtyping import Float

from archgrad.jax.depthwise import depthwise_convolution
from archgrad.ops.resize import halved

Layer: TypeAlias = Callable[[Array], Array]
"""Anything that maps images to images: a module or a function."""

Normalisation: TypeAlias = Callable[[int], nnx.Module]
"""Makes the normalisation of a number of channels: `BatchStatisticsNorm` in a supernet, `nnx.BatchNorm` after it."""


def parameter(shape: tuple[int, ...], *, inputs: int, rngs: nnx.Rngs | None) -> nnx.Param:
    """U(−b, b) with b = 1 / √inputs, PyTorch's choice for layers whose outputs read so many inputs.

    Without `rngs` it stays zero until `draw`.
    """
    bound = inputs**-0.5
    if rngs is None:
        return nnx.Param(np.zeros(shape, np.float32), bound=bound)
    return nnx.Param(jax.random.uniform(rngs.params(), shape, minval=-bound, maxval=bound), bound=bound)


def draw(module: nnx.Module, rngs: nnx.Rngs) -> None:
    """Draw all parameters of a module that were made without `rngs`, as one vector.

    A network has hundreds of shapes, and XLA compiles a draw for each; this is one.
    """
    leaves, structure = jax.tree.flatten(nnx.state(module, nnx.Param), is_leaf=_is_variable)
    places = [place for place, leaf in enumerate(leaves) if hasattr(leaf, "bound")]
    if not places:
        return
    ends = np.cumsum([math.prod(leaves[place].shape) for place in places])
    drawn = jax.random.uniform(rngs.params(), (int(ends[-1]),), minval=-1.0)
    # Outside of a transformation NumPy cuts the vector: each slice would be one more compilation.
    whole: Any = drawn if isinstance(drawn, Tracer) else np.asarray(drawn)
    for place, end in zip(places, ends.tolist(), strict=True):
        shape = leaves[place].shape
        values = leaves[place].bound * whole[end - math.prod(shape) : end].reshape(shape)
        leaves[place] = leaves[place].replace(jnp.asarray(values, drawn.dtype))
    nnx.update(module, jax.tree.unflatten(structure, leaves))


def _is_variable(leaf: object) -> bool:
    return isinstance(leaf, nnx.Variable)


def _promoted(x: Array, kernel: Array) -> tuple[Array, Array]:
    """Both in the wider of their types, as for a product."""
    dtype = jnp.promote_types(x.dtype, kernel.dtype)
    return x.astype(dtype), kernel.astype(dtype)


class Convolution(nnx.Module):
    """A full convolution without bias: [N, H, W, in] -> [N, ⌈H / s⌉, ⌈W / s⌉, out]; the padding keeps the size."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        size: int | tuple[int, int],
        *,
        stride: int | tuple[int, int] = 1,
        dilation: int = 1,
        rngs: nnx.Rngs | None,
    ) -> None:
        rows, columns = (size, size) if isinstance(size, int) else size
        self.stride = (stride, stride) if isinstance(stride, int) else stride
        self.dilation = dilation
        self.kernel = parameter(
            (rows, columns, channels_in, channels_out), inputs=rows * columns * channels_in, rngs=rngs
        )

    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch new_height new_width _"]:
        x, kernel = _promoted(x, self.kernel[...])
        rows, columns = kernel.shape[:2]
        if (rows, columns) == (1, 1):  # a matrix product, which stays one under `jax.vmap` over weights
            return x[:, :: self.stride[0], :: self.stride[1]] @ kernel[0, 0]
        sides = (self.dilation * (length - 1) // 2 for length in (rows, columns))
        reach = [(side, side) for side in sides]
        return lax.conv_general_dilated(
            x,
            kernel,
            self.stride,
            reach,
            rhs_dilation=(self.dilation, self.dilation),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )


class DepthwiseConvolution(nnx.Module):
    """A k×k convolution of every channel by itself; see `depthwise`."""

    def __init__(self, channels: int, size: int, *, stride: int = 1, dilation: int = 1, rngs: nnx.Rngs | None) -> None:
        self.stride = stride
        self.dilation = dilation
        self.kernel = parameter((size, size, 1, channels), inputs=size * size, rngs=rngs)

    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch new_height new_width channels"]:
        return depthwise_convolution(*_promoted(x, self.kernel[...]), stride=self.stride, dilation=self.dilation)


class BatchStatisticsNorm(nnx.Module):
    """(x − mean) / √(variance + ε) by the statistics of the batch, always: there are no running averages to pollute.

    With `affine` a learnt scale and shift follow (the stem). Under a batch that is sharded over devices the statistics
    are those of the whole batch.

    Reference: arXiv:1806.09055, section 3.1.1 and appendix A.1.1.
    """

    def __init__(self, channels: int, *, affine: bool = False, epsilon: float = 1e-5) -> None:
        self.epsilon = epsilon
        self.scale = nnx.Param(jnp.ones(channels)) if affine else None
        self.bias = nnx.Param(jnp.zeros(channels)) if affine else None

    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch height width channels"]:
        centred = x - x.mean(axis=(0, 1, 2))
        y = centred * lax.rsqrt(jnp.square(centred).mean(axis=(0, 1, 2)) + self.epsilon)
        return y if self.scale is None or self.bias is None else y * self.scale[...] + self.bias[...]


def running_norm(channels: int) -> nnx.BatchNorm:
    """The normalisation of a decoded network, with the running averages' pace of PyTorch's (0.1 per step).

    Differs: Flax averages the biased variance of a batch, PyTorch the unbiased one.
    """
    # It draws nothing: scale and bias begin as ones and zeros, but Flax wants the generators all the same.
    return nnx.BatchNorm(channels, momentum=0.9, epsilon=1e-5, rngs=nnx.Rngs(0))


class Linear(nnx.Module):
    """A linear layer: [N, in] -> [N, out]."""

    def __init__(self, inputs: int, outputs: int, *, rngs: nnx.Rngs | None) -> None:
        self.kernel = parameter((inputs, outputs), inputs=inputs, rngs=rngs)
        self.bias = parameter((outputs,), inputs=inputs, rngs=rngs)

    def __call__(self, x: Float[Array, "batch inputs"]) -> Float[Array, "batch outputs"]:
        return x @ self.kernel[...] + self.bias[...]


class Layers(nnx.Module):
    """Layers one after the other."""

    def __init__(self, *layers: Layer) -> None:
        self.layers = nnx.List(layers)

    def __call__(self, x: Array) -> Array:
        for layer in self.layers:
            x = layer(x)
        return x


class FactorizedReduction(nnx.Module):
    """Halve the size by two 1×1 convolutions with stride 2, one on x and one on x shifted by a pixel in both axes.

    [N, H, W, in] -> [N, ⌈H/2⌉, ⌈W/2⌉, out]; for odd sizes zeros follow below and to the right, as in PyTorch's twin.

    Raises:
        ValueError: `channels_out` is odd.
    """

    def __init__(self, channels_in: int, channels_out: int, *, rngs: nnx.Rngs | None) -> None:
        if channels_out % 2:
            raise ValueError(f"channels: a factorised reduction needs an even number of channels, got {channels_out}.")
        self.straight = Convolution(channels_in, channels_out // 2, 1, stride=2, rngs=rngs)
        self.shifted = Convolution(channels_in, channels_out // 2, 1, stride=2, rngs=rngs)

    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch half_height half_width outputs"]:
        height, width = x.shape[1:3]
        moved = jnp.pad(x[:, 1:, 1:], ((0, 0), (0, height % 2), (0, width % 2), (0, 0)))
        return jnp.concatenate([self.straight(x), self.shifted(moved)], axis=-1)


class Pooling(nnx.Module):
    """Maximum or mean over 3×3; what lies outside the image counts for neither."""

    def __init__(self, *, maximum: bool, stride: int) -> None:
        self.maximum = maximum
        self.stride = stride

    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch new_height new_width channels"]:
        if self.maximum:
            return _maximum(_maximum(x, self.stride, axis=2), self.stride, axis=1)
        around = ((1, 1), (1, 1))  # Flax annotates strings alone
        return nnx.avg_pool(x, (3, 3), (self.stride, self.stride), cast(str, around), count_include_pad=False)


def _maximum(x: Array, stride: int, *, axis: int) -> Array:
    """The maximum of three neighbours along an axis, the first one of equal ones.

    By comparisons, since XLA's reduction over windows has a gradient that it scatters one by one on CPUs. Along the
    width first and then the height the winner among equals is PyTorch's: the first in rows, then in columns.
    """
    length = x.shape[axis]
    around = [(1, 1) if place == axis else (0, 0) for place in range(x.ndim)]
    padded = jnp.pad(x, around, constant_values=-jnp.inf)
    first, *others = (lax.slice_in_dim(padded, start, start + length, stride, axis=axis) for start in range(3))
    for other in others:
        first = jnp.where(other > first, other, first)
    return first


def halve(x: Array) -> Array:
    """Resize bilinearly to half the size, rounded up; corners stay corners (`archgrad.ops.resize`)."""
    height, width = halved((x.shape[1], x.shape[2]))
    rows, columns = _interpolation(x.shape[1], height), _interpolation(x.shape[2], width)
    return jnp.einsum("nhwc,ih,jw->nijc", x, jnp.asarray(rows, x.dtype), jnp.asarray(columns, x.dtype))


def _interpolation(length: int, new: int) -> np.ndarray:
    """The matrix [new, length] of linear interpolation that keeps the first and the last point."""
    places = np.linspace(0, length - 1, new) if new > 1 else np.zeros(1)
    below = np.minimum(places.astype(int), max(length - 2, 0))
    share = places - below
    matrix = np.zeros((new, length))
    matrix[np.arange(new), below] += 1 - share
    matrix[np.arange(new), np.minimum(below + 1, length - 1)] += share
    return matrix
