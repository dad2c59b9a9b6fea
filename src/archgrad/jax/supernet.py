"""The relaxed network in Flax, from the same table as the PyTorch one (arXiv:1806.09055, section 2)."""

from typing import Any, TypeAlias, cast

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float, Shaped

from archgrad.arch import LogitGroup, operation_groups
from archgrad.checks import one_of
from archgrad.jax.cells import CellInputs, Interior
from archgrad.jax.layers import BatchStatisticsNorm, Convolution, Layer, Layers, Linear, Normalisation, draw
from archgrad.mixing import Mixing
from archgrad.spaces import ConvCellSpace
from archgrad.spaces.conv.plan import CellPlan, stack
from archgrad.spaces.conv.space import check_images as check_size

Mixture: TypeAlias = dict[str, Array]
"""p by group, [edges, candidates]."""


def check_space(space: Any) -> None:
    """Raise a ValueError where a space asks for what only the PyTorch supernet does."""
    if not isinstance(space, ConvCellSpace):
        raise ValueError(
            f"space: must be a ConvCellSpace, got {space!r}; `init_search` takes another one with a `supernet` of its "
            "own."
        )
    if space.mixing.one_path:
        raise ValueError(
            "mixing.one_path: which candidates are evaluated would depend on the data, which a compiled step cannot; "
            "the nearest valid choice is one_path=False with Gumbel(hard=True): the same samples, all candidates "
            "evaluated."
        )
    if space.mixing.skip_dropout:
        raise ValueError("mixing.skip_dropout: must be 0 in JAX, where a supernet draws no numbers.")
    if "noise" in space.candidates:
        one_of("candidates", "noise", [name for name in space.candidates if name != "noise"])


def check_images(images: Array, *, in_channels: int, stem: str) -> None:
    """Raise a ValueError unless these are images [N, H, W, C] of floats that can pass stem and reductions."""
    if images.ndim != 4 or images.shape[-1] != in_channels:
        raise ValueError(f"images: must be [N, H, W, {in_channels}], channels last, got shape {list(images.shape)}.")
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise ValueError(f"images: must be floats, scaled and normalised (`archgrad.jax.arrays`), got {images.dtype}.")
    _, height, width, channels = images.shape
    check_size((channels, height, width), in_channels=in_channels, stem=stem)


class RelaxedCell(nnx.Module):
    """Eq. 3: two inputs, intermediate states x_j = Σ_{i<j} ō_ij(x_i), output their concatenation."""

    def __init__(self, group: LogitGroup, plan: CellPlan, *, nodes: int, mixing: Mixing) -> None:
        strides = (plan.input_stride,) * 2 + (1,) * (nodes - 1)
        self.adapt = CellInputs(plan, norm=BatchStatisticsNorm)
        self.interior = Interior(group, plan.channels, strides, mixing=mixing)

    def __call__(
        self,
        before: Array,
        previous: Array,
        mixture: Float[Array, "edges candidates"],
        edge_weights: Float[Array, " edges"] | None,
        progress: float | Float[Array, ""],
    ) -> Array:
        states = self.interior(self.adapt(before, previous), mixture, edge_weights, progress)
        return jnp.concatenate(states, axis=-1)


class Stem(nnx.Module):
    """Turn images into the two states that the first cell reads; kinds as in `archgrad.spaces.conv.stem`."""

    def __init__(self, kind: str, in_channels: int, channels: int, *, norm: Normalisation) -> None:
        def convolution(channels_in: int, channels_out: int, stride: int) -> Layer:
            return Convolution(channels_in, channels_out, 3, stride=stride, rngs=None)

        def normalise(width: int) -> Layer:
            return cast(Layer, norm(width))

        self.kind = kind
        if kind == "cifar":
            self.first = Layers(convolution(in_channels, 3 * channels, 1), normalise(3 * channels))
            self.second = None
        else:
            half = channels // 2
            self.first = Layers(
                convolution(in_channels, half, 2),
                normalise(half),
                nnx.relu,
                convolution(half, channels, 2),
                normalise(channels),
            )
            self.second = Layers(nnx.relu, convolution(channels, channels, 2), normalise(channels))

    def __call__(self, images: Float[Array, "batch height width channels"]) -> tuple[Array, Array]:
        first = self.first(images)
        return first, first if self.second is None else self.second(first)


def _affine_norm(channels: int) -> BatchStatisticsNorm:
    return BatchStatisticsNorm(channels, affine=True)


class ConvSupernet(nnx.Module):
    """Stem, relaxed cells, global average pool, linear classifier: (images [N, H, W, C], mixture) -> class scores.

    The table is that of the PyTorch space, and so is every parameter: `archgrad.jax.from_torch` and `to_torch` carry
    weights over, and both supernets give the same scores. The mixture maps each group to its weights p, [edges,
    candidates]; with edge normalisation the groups of whole edges, [nodes, states], are there as well. `progress` t in
    [0, 1] is how far the search is; auxiliary skips fade with it, if the space's mixing has them.

    Reference: arXiv:1806.09055, sections 2 and 3.1. Differs from `archgrad.spaces.ConvSupernet` in the layout of
    images, channels last, and in that all cells of a kind share one mixture.

    >>> import jax
    >>> supernet = nnx.eval_shape(lambda: ConvSupernet(ConvCellSpace(channels=16, layers=8), rngs=nnx.Rngs(0)))
    >>> sum(int(leaf.size) for leaf in jax.tree.leaves(nnx.state(supernet, nnx.Param)))
    1930618

    Raises:
        ValueError: the space has one path, dropout on skips, or the candidate `noise`, which JAX's supernet has not.
    """

    def __init__(self, space: ConvCellSpace, *, rngs: nnx.Rngs) -> None:
        check_space(space)
        self.groups = tuple(operation_groups(space.groups))
        kinds = {group.name: group for group in self.groups}
        plans = stack(space.channels, space.layers, stem=space.stem, outputs=dict.fromkeys(kinds, space.nodes))
        self.in_channels = space.in_channels
        self.edge_normalisation = space.mixing.edge_normalisation
        self.cell_groups = tuple(plan.kind for plan in plans)
        self.stem = Stem(space.stem, space.in_channels, space.channels, norm=_affine_norm)
        self.cells = nnx.List(
            RelaxedCell(kinds[plan.kind], plan, nodes=space.nodes, mixing=space.mixing) for plan in plans
        )
        self.classifier = Linear(space.nodes * plans[-1].channels, space.num_classes, rngs=None)
        draw(self, rngs)

    def __call__(
        self,
        images: Shaped[Array, "batch height width channels"],
        mixture: Mixture,
        progress: float | Float[Array, ""] = 0.0,
    ) -> Float[Array, "batch classes"]:
        check_images(images, in_channels=self.in_channels, stem=self.stem.kind)
        self._check_mixture(mixture)
        betas = {group.name: self._edge_weights(mixture, group) for group in self.groups}
        before, previous = self.stem(images)
        for kind, cell in zip(self.cell_groups, self.cells, strict=True):
            before, previous = previous, cell(before, previous, mixture[kind], betas[kind], progress)
        return self.classifier(previous.mean(axis=(1, 2)))

    def _check_mixture(self, mixture: Mixture) -> None:
        edges = [group.node_weights() for group in self.groups] if self.edge_normalisation else []
        for group in (*self.groups, *edges):
            if group.name not in mixture or mixture[group.name].shape != group.shape:
                found = list(mixture[group.name].shape) if group.name in mixture else "nothing"
                raise ValueError(f"mixture: needs {group.name!r} of shape {list(group.shape)}, got {found}.")

    def _edge_weights(self, mixture: Mixture, group: LogitGroup) -> Array | None:
        """β_ij by edge, from the row of node j and the column of state i."""
        if not self.edge_normalisation:
            return None
        weights = mixture[group.node_weights().name]
        first = min(target for _, target in group.edges)
        rows, columns = zip(*((target - first, source) for source, target in group.edges), strict=True)
        return weights[jnp.array(rows), jnp.array(columns)]
