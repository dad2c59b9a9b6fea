"""The one door to the interior of a relaxed cell: any space of cells makes its nodes here."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from archgrad.arch import LogitGroup, Mixture
from archgrad.checks import one_of
from archgrad.mixing import Mixing
from archgrad.spaces.conv.engine import ENGINES
from archgrad.spaces.conv.mixed import Interior


def interior(
    group: LogitGroup,
    channels: int,
    strides: Sequence[int],
    *,
    inputs: int,
    engine: str = "bundled",
    mixing: Mixing | None = None,
    normalise_pooling: bool = True,
) -> Interior:
    """Make the nodes of a cell: `forward(inputs, weights, edge_weights, evaluated)` returns their states in order.

    `group` must be dense (`LogitGroup.dense`). All states have `channels` channels; `strides[i]` is the stride of the
    edges that leave state i, inputs first, for every state but the last node. `normalise_pooling` is whether pooled
    states are normalised, as in DARTS, or bare, as in NAS-Bench-201. The arguments of `forward` after the list
    of inputs are those of `CellWeights`; the last two may be left out. `progress` is an attribute (`mixed.Interior`).

    Raises:
        ValueError: an unknown engine, or `mixing.partial_channels` does not divide the channels, or divides them into
            an odd number where a factorised reduction has to halve it.
    """
    make = ENGINES[one_of("engine", engine, ENGINES)]
    return make(group, channels, strides, inputs=inputs, mixing=mixing or Mixing(), normalise_pooling=normalise_pooling)


class CellWeights(NamedTuple):
    """A cell's p [edges, candidates], β [edges] or None, and which candidates are evaluated, or None."""

    mixture: Tensor
    edges: Tensor | None
    evaluated: list[list[bool]] | None


def cell_weights(mixture: Mixture, group: LogitGroup, cells: int, *, mixing: Mixing) -> list[CellWeights]:
    """The weights of each of the `cells` cells of a group, in order.

    `mixture[group.name]` is [edges, candidates] for all cells, or [cells, edges, candidates] for each its own; the same
    goes for the weights of whole edges, [nodes, states], with edge normalisation. With one path, which candidates have
    a weight is read here, once for a forward pass, since reading waits for the device.

    Raises:
        ValueError: a leading dimension that is not the number of cells.
    """
    weights = mixture[group.name]
    edges = edge_weights(mixture[group.node_weights().name], group) if mixing.edge_normalisation else None
    by_cell = _each(group.name, weights, cells, shared=2)
    edges_by_cell = [None] * cells if edges is None else _each(group.node_weights().name, edges, cells, shared=1)
    if not mixing.one_path:
        return [CellWeights(p, beta, None) for p, beta in zip(by_cell, edges_by_cell, strict=True)]
    found = weights.detach().ne(0).tolist()
    evaluated = found if weights.ndim == 3 else [found] * cells
    return [CellWeights(*parts) for parts in zip(by_cell, edges_by_cell, evaluated, strict=True)]


def edge_weights(weights: Float[Tensor, "*cells nodes states"], group: LogitGroup) -> Float[Tensor, "*cells edges"]:
    """β_ij by edge, from the row of node j and the column of state i (`LogitGroup.node_weights`)."""
    first = min(target for _, target in group.edges)
    width = weights.shape[-1]
    places = torch.tensor([(target - first) * width + source for source, target in group.edges], device=weights.device)
    return weights.flatten(-2).index_select(-1, places)


def _each(name: str, weights: Tensor, cells: int, *, shared: int) -> list[Tensor]:
    if weights.ndim == shared:
        return [weights] * cells
    if weights.shape[0] != cells:
        raise ValueError(f"mixture: group {name!r} has weights for {weights.shape[0]} cells, the supernet has {cells}.")
    return list(weights.unbind(0))
