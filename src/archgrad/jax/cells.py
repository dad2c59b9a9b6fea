"""Relaxed cells in Flax: x_j = Σ_{i<j} Σ_o p_ij,o · o_ij(x_i), and what methods change about it (Eq. 2 and 3).

The weights of the K edges that leave a state are stacked, [K, …], and `jax.vmap` evaluates a candidate on all of them
at once; candidates without weights are evaluated once per state, and `none` never.
"""

from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jaxtyping import Float

from archgrad.arch import NONE, SKIP, LogitGroup
from archgrad.jax.layers import BatchStatisticsNorm, Normalisation
from archgrad.jax.operations import (
    Operation,
    convolutional_operation,
    factorized_reduction,
    pointwise_convolution,
)
from archgrad.mixing import Mixing
from archgrad.spaces.conv.plan import CellPlan


def stacked(name: str, channels: int, stride: int, *, copies: int) -> Operation:
    """The operation of a candidate in a supernet, with weights for so many edges: [copies, …], not yet drawn."""
    operation = convolutional_operation(
        name, channels, stride, norm=BatchStatisticsNorm, normalise_pooling=True, rngs=None
    )
    repeated = jax.tree.map(lambda x: np.zeros((copies, *x.shape), x.dtype), nnx.state(operation, nnx.Param))
    nnx.update(operation, repeated)
    return operation


def evaluate_stacked(operation: Operation, x: Float[Array, "batch height width channels"]) -> Array:
    """o_k(x) for each of the operations that are stacked, [copies, N, H', W', C]; a shared one yields [1, N, …]."""
    if operation.shared:
        return operation(x)[None]
    graph, weights = nnx.split(operation)

    def evaluate(weights: nnx.State) -> Array:
        return cast(Operation, nnx.merge(graph, weights))(x)

    return jax.vmap(evaluate)(weights)


def _weigh(weights: Float[Array, " copies"], x: Float[Array, "copies_or_one batch height width channels"]) -> Array:
    return weights[:, None, None, None, None] * x


class Bundle(nnx.Module):
    """Σ_o p_o · o(x) for the K edges that leave one state, by ascending target: [N, H, W, C] -> [K, N, H', W', C]."""

    def __init__(self, group: LogitGroup, source: int, channels: int, stride: int) -> None:
        self.rows = group.leaving(source)
        self.stride = stride
        members = {
            name: tuple(edge for edge, row in enumerate(self.rows) if name in group.choices[row])
            for name in group.candidates
            if name != NONE
        }
        self.members = tuple((name, edges) for name, edges in members.items() if edges)
        self.columns = tuple(group.candidates.index(name) for name, _ in self.members)
        self.operations = nnx.Dict(
            {name: stacked(name, channels, stride, copies=len(edges)) for name, edges in self.members}
        )

    def __call__(
        self, state: Float[Array, "batch height width channels"], mixture: Float[Array, "edges candidates"]
    ) -> Float[Array, "bundled batch new_height new_width channels"]:
        weights = mixture[jnp.array(self.rows)]
        total = None
        for (name, edges), column in zip(self.members, self.columns, strict=True):
            outputs = evaluate_stacked(cast(Operation, self.operations[name]), state)
            everywhere = len(edges) == len(self.rows)
            of_members = weights[:, column] if everywhere else weights[jnp.array(edges), column]
            term = _weigh(of_members, outputs)
            if not everywhere:
                term = jnp.zeros((len(self.rows), *term.shape[1:]), term.dtype).at[jnp.array(edges)].set(term)
            total = term if total is None else total + term
        if total is None:
            nothing = jnp.zeros_like(state[:, :: self.stride, :: self.stride])
            total = jnp.broadcast_to(nothing, (len(self.rows), *nothing.shape))
        return total


class Interior(nnx.Module):
    """The nodes of a cell: inputs and weights in, states out; the twin of `archgrad.spaces.conv.engine`."""

    def __init__(self, group: LogitGroup, channels: int, strides: tuple[int, ...], *, mixing: Mixing) -> None:
        self.rows = tuple(group.leaving(source) for source in range(len(strides)))
        self.selected = channels // mixing.partial_channels
        self.channels = channels
        self.strides = strides
        self.auxiliary_skip = mixing.auxiliary_skip
        self.bundles = nnx.List(Bundle(group, source, self.selected, stride) for source, stride in enumerate(strides))
        if mixing.auxiliary_skip:
            self.auxiliary = nnx.List(
                stacked(SKIP, channels, stride, copies=len(rows))
                for rows, stride in zip(self.rows, strides, strict=True)
            )

    def __call__(
        self,
        inputs: list[Array],
        mixture: Float[Array, "edges candidates"],
        edge_weights: Float[Array, " edges"] | None,
        progress: float | Float[Array, ""],
    ) -> list[Array]:
        nodes: list[Array] = []
        pending: Array | None = None  # Σ of what the nodes ahead have got so far, [nodes ahead, N, H, W, C]
        for source in range(len(self.strides)):
            state = inputs[source] if source < len(inputs) else nodes[source - len(inputs)]
            sent = self._edges(source, state, mixture, edge_weights, progress)
            pending = sent if pending is None else pending + sent
            if source >= len(inputs) - 1:  # all edges into the first node ahead are summed up
                nodes.append(pending[0])
                pending = pending[1:]
        return nodes

    def _edges(
        self, source: int, state: Array, mixture: Array, edge_weights: Array | None, progress: float | Array
    ) -> Array:
        """β · shuffle([Σ_o p_o · o(x_S), x_R]) + b (1 − t) · skip(x) for the edges that leave a state."""
        terms = self.bundles[source](state[..., : self.selected], mixture)
        if self.selected < self.channels:
            past = _go_past(state[..., self.selected :], self.strides[source])
            both = [terms, jnp.broadcast_to(past, (*terms.shape[:-1], past.shape[-1]))]
            terms = _shuffle(jnp.concatenate(both, axis=-1), self.channels // self.selected)
        if edge_weights is not None:
            terms = _weigh(edge_weights[jnp.array(self.rows[source])], terms)
        if self.auxiliary_skip:
            skips = evaluate_stacked(cast(Operation, self.auxiliary[source]), state)
            terms = terms + self.auxiliary_skip * (1 - progress) * skips
        return terms


def _go_past(x: Array, stride: int) -> Array:
    """What the channels beside the mixture undergo: nothing at stride 1, maximum pooling over 2×2 at stride 2."""
    if stride == 1:
        return x
    odd = ((0, x.shape[1] % 2), (0, x.shape[2] % 2))
    return nnx.max_pool(x, (2, 2), (stride, stride), cast(str, odd))  # Flax annotates strings alone


def _shuffle(x: Array, groups: int) -> Array:
    """The channel at k·C/K + c goes to c·K + k, with K = `groups`."""
    *before, channels = x.shape
    return x.reshape(*before, groups, channels // groups).swapaxes(-1, -2).reshape(x.shape)


class CellInputs(nnx.Module):
    """Bring the outputs of the two previous cells to the cell's channels and size, each after a ReLU."""

    def __init__(self, plan: CellPlan, *, norm: Normalisation) -> None:
        adapt = factorized_reduction if plan.halves_first else pointwise_convolution
        self.operations = nnx.List(
            [
                adapt(plan.inputs[0], plan.channels, norm=norm, rngs=None),
                pointwise_convolution(plan.inputs[1], plan.channels, norm=norm, rngs=None),
            ]
        )

    def __call__(self, before: Array, previous: Array) -> list[Array]:
        return [operation(x) for operation, x in zip(self.operations, (before, previous), strict=True)]
