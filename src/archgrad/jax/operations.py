"""Eq. 2 in Flax: the candidate operations by name, and the mixed operation.

The names are those of the PyTorch side (`archgrad.ops`) and so is what they compute, ReLU and normalisation included;
`identity`, `conv_3x3` and `conv_5x5` are plain layers for supernets of your own.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, cast

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float

from archgrad.arch import NONE
from archgrad.checks import one_of, whole
from archgrad.jax.layers import (
    BatchStatisticsNorm,
    Convolution,
    DepthwiseConvolution,
    FactorizedReduction,
    Layer,
    Layers,
    Normalisation,
    Pooling,
    halve,
)
from archgrad.jax.relaxations import softmax
from archgrad.ops import CONV_CANDIDATES

PLAIN_CANDIDATES = ("identity", "conv_3x3", "conv_5x5")
"""Layers without ReLU and normalisation."""

CANDIDATES = (*PLAIN_CANDIDATES, *(name for name in CONV_CANDIDATES if name != "noise"))
"""All candidates by name. `noise` draws numbers in each forward pass, which no function of (x, weights) does."""


Generators: TypeAlias = nnx.Rngs | None
"""What initial weights are drawn from; None leaves them zero, to be drawn all at once (`layers.draw`)."""


class Operation(nnx.Module):
    """o(x) = norm(body(relu(x))), the ReLU where the operation has one.

    `shared`: there are no weights, so that edges that leave a state share one evaluation.
    """

    def __init__(self, body: Layer, norm: Layer | None, *, rectified: bool, shared: bool = False) -> None:
        self.body = body
        self.norm = norm
        self.rectified = rectified
        self.shared = shared

    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch new_height new_width _"]:
        y = self.body(nnx.relu(x) if self.rectified else x)
        return y if self.norm is None else self.norm(y)


def _normalised(norm: Normalisation, channels: int, *layers: Layer) -> Operation:
    body = layers[0] if len(layers) == 1 else Layers(*layers)
    return Operation(body, cast(Layer, norm(channels)), rectified=True)


def _depthwise_pointwise(channels: int, size: int, stride: int, dilation: int, rngs: Generators) -> tuple[Layer, Layer]:
    return (
        DepthwiseConvolution(channels, size, stride=stride, dilation=dilation, rngs=rngs),
        Convolution(channels, channels, 1, rngs=rngs),
    )


def _separable(channels: int, size: int, stride: int, *, norm: Normalisation, rngs: Generators) -> Operation:
    first = _depthwise_pointwise(channels, size, stride, 1, rngs)
    second = _depthwise_pointwise(channels, size, 1, 1, rngs)
    return _normalised(norm, channels, *first, cast(Layer, norm(channels)), nnx.relu, *second)


def _dilated(channels: int, size: int, stride: int, *, norm: Normalisation, rngs: Generators) -> Operation:
    return _normalised(norm, channels, *_depthwise_pointwise(channels, size, stride, 2, rngs))


def _atrous(channels: int, size: int, stride: int, *, norm: Normalisation, rngs: Generators) -> Operation:
    convolution = Convolution(channels, channels, size, dilation=2 if stride == 1 else 1, rngs=rngs)
    return _normalised(norm, channels, *((convolution,) if stride == 1 else (halve, convolution)))


def _plain(channels: int, size: int, stride: int, *, norm: Normalisation, rngs: Generators) -> Operation:
    return _normalised(norm, channels, Convolution(channels, channels, size, stride=stride, rngs=rngs))


def _crossed(channels: int, stride: int, *, norm: Normalisation, rngs: Generators) -> Operation:
    along = Convolution(channels, channels, (1, 7), stride=(1, stride), rngs=rngs)
    across = Convolution(channels, channels, (7, 1), stride=(stride, 1), rngs=rngs)
    return _normalised(norm, channels, along, across)


def identity(x: Array) -> Array:
    """Return the argument."""
    return x


def skip_connection(channels: int, stride: int, *, norm: Normalisation, rngs: Generators) -> Operation:
    """skip_connect: the identity at stride 1, a factorised reduction at stride 2."""
    if stride == 1:
        return Operation(identity, None, rectified=False, shared=True)
    return factorized_reduction(channels, channels, norm=norm, rngs=rngs)


def factorized_reduction(channels_in: int, channels_out: int, *, norm: Normalisation, rngs: Generators) -> Operation:
    """FactorizedReduce: ReLU, the two shifted 1×1 convolutions, normalisation."""
    return _normalised(norm, channels_out, FactorizedReduction(channels_in, channels_out, rngs=rngs))


def pointwise_convolution(channels_in: int, channels_out: int, *, norm: Normalisation, rngs: Generators) -> Operation:
    """ReLUConvBN: ReLU, 1×1 convolution, normalisation."""
    return _normalised(norm, channels_out, Convolution(channels_in, channels_out, 1, rngs=rngs))


def convolutional_operation(
    name: str, channels: int, stride: int, *, norm: Normalisation, normalise_pooling: bool, rngs: Generators
) -> Operation:
    """Make the operation of a candidate other than `none`; the twin of `archgrad.ops.convolutional_operation`.

    Raises:
        ValueError: the name is no candidate, or is `none`, which is never computed.
    """
    one_of("operation", name, [candidate for candidate in CANDIDATES if candidate != NONE])
    size = int(name[-1]) if name[-1].isdigit() else 0
    match name.split("_")[0]:
        case "max" | "avg" as kind:
            after = cast(Layer, norm(channels)) if normalise_pooling else None
            return Operation(Pooling(maximum=kind == "max", stride=stride), after, rectified=False, shared=True)
        case "skip":
            return skip_connection(channels, stride, norm=norm, rngs=rngs)
        case "identity":
            if stride != 1:
                raise ValueError(f"stride: 'identity' keeps the size, got {stride}; 'skip_connect' reduces it.")
            return Operation(identity, None, rectified=False, shared=True)
        case "conv" if name in PLAIN_CANDIDATES:
            return Operation(Convolution(channels, channels, size, stride=stride, rngs=rngs), None, rectified=False)
        case "conv":
            return _crossed(channels, stride, norm=norm, rngs=rngs)
        case kind:
            makers = {"sep": _separable, "dil": _dilated, "atrous": _atrous, "nor": _plain}
            return makers[kind](channels, size, stride, norm=norm, rngs=rngs)


class MixedOperation(nnx.Module):
    """Σ_o p_o · o(x), the relaxed choice between candidates (arXiv:1806.09055, Eq. 2).

    `candidates` are names or modules and functions of your own, images to images; those that are named get `channels`
    and `stride`. Names are those of DARTS' list and of the other convolutional candidates (`CANDIDATES`), with their
    ReLU and batch normalisation, and the plain layers `identity`, `conv_3x3` and `conv_5x5`. With
    `normalise_pooling=False` pooled images stay bare. `none` contributes nothing.

    `mixed(x, logits)` weighs the candidates by softmax(logits), `mixed(x, weights=p)` by p as it is; both are [n], in
    the order of the candidates.

    >>> import jax.numpy as jnp
    >>> mixed = MixedOperation(("none", "identity", jnp.square), channels=2, rngs=nnx.Rngs(0))
    >>> x = jnp.full((1, 4, 4, 2), 3.0)
    >>> float(mixed(x, weights=jnp.array([0.5, 0.25, 0.25])).max())
    3.0

    Raises:
        ValueError: no candidates, an unknown name (the message names the nearest), or from a call both or neither of
            logits and weights, so many that they do not match the candidates, or candidates whose outputs differ in
            shape.
    """

    def __init__(
        self,
        candidates: Sequence[str | Callable[[Array], Array]],
        *,
        channels: int,
        stride: int = 1,
        normalise_pooling: bool = True,
        rngs: nnx.Rngs,
    ) -> None:
        whole("channels", channels, 1)
        whole("stride", stride, 1)
        if isinstance(candidates, str) or not candidates:
            raise ValueError(f"candidates: needs a sequence of names or modules, got {candidates!r}.")
        self.names = tuple(
            one_of("candidates", candidate, CANDIDATES) if isinstance(candidate, str) else _name(candidate)
            for candidate in candidates
        )
        self.stride = stride
        self.operations = nnx.List(
            None
            if candidate == NONE
            else convolutional_operation(
                candidate,
                channels,
                stride,
                norm=BatchStatisticsNorm,
                normalise_pooling=normalise_pooling,
                rngs=rngs,
            )
            if isinstance(candidate, str)
            else candidate
            for candidate in candidates
        )

    def __call__(
        self,
        x: Float[Array, "batch height width channels"],
        logits: Float[Array, " candidates"] | None = None,
        *,
        weights: Float[Array, " candidates"] | None = None,
    ) -> Float[Array, "batch new_height new_width _"]:
        if (logits is None) == (weights is None):
            raise ValueError("logits, weights: give one of the two.")
        given = jnp.asarray(logits if weights is None else weights)
        if given.shape != (len(self.names),):
            raise ValueError(
                f"logits, weights: need one number for each of the {len(self.names)} candidates, got {given.shape}."
            )
        mixture = given if weights is not None else softmax(given, jnp.ones(given.shape, bool))
        total = None
        for name, weight, operation in zip(self.names, mixture, self.operations, strict=True):
            if operation is not None:
                term = weight * operation(x)
                if total is not None and term.shape != total.shape:
                    raise ValueError(f"candidates: {name!r} yields {term.shape}, those before it {total.shape}.")
                total = term if total is None else total + term
        return jnp.zeros_like(x[:, :: self.stride, :: self.stride]) if total is None else total


def _name(candidate: Any) -> str:
    if not callable(candidate) or isinstance(candidate, type):
        raise ValueError(f"candidates: must be names, modules or functions, got {candidate!r}.")
    return getattr(candidate, "__name__", type(candidate).__name__)
