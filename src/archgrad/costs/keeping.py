"""How likely each edge of a cell is to be kept, when each node keeps some of its edges by lot."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from archgrad.arch import LogitGroup, Mixture

NEGLIGIBLE = 1e-12
"""Weights that sum to less are not scaled up."""


def kept(
    group: LogitGroup, keep: Sequence[int], mixture: Mixture, groups: Sequence[LogitGroup]
) -> Float[Tensor, "*ensemble edges"]:
    """P(edge e is kept) for all edges of a group, node j keeping `keep[j]` of those that have an operation.

    All of a node's edges are equally likely, k_j / n_j, unless the mixture weighs edges (`LogitGroup.node_weights`):
    then they are drawn one after the other without replacement, each with a probability in proportion to its weight.
    """
    reference = mixture[group.name]
    usable = [bool(allowed.any()) for allowed in group.decodable]
    nodes = next((other for other in groups if other.name == group.node_weights().name), None)
    shares: list[Tensor] = [reference.new_zeros(())] * len(group.edges)
    targets = tuple(dict.fromkeys(target for _, target in group.edges))
    for node, (target, count) in enumerate(zip(targets, keep, strict=True)):
        rows = [row for row in group.entering(target) if usable[row]]
        if nodes is None:
            drawn = reference.new_full((len(rows),), min(count, len(rows)) / max(len(rows), 1))
        else:
            columns = [nodes.candidates.index(str(group.edges[row][0])) for row in rows]
            drawn = included(mixture[nodes.name][..., node, columns], count)
        for row, share in zip(rows, drawn.unbind(dim=-1), strict=True):
            shares[row] = share
    return torch.stack(torch.broadcast_tensors(*shares), dim=-1)


def included(weights: Float[Tensor, "*ensemble items"], count: int) -> Float[Tensor, "*ensemble items"]:
    """P(item is among `count` items drawn without replacement), each draw in proportion to the weights that are left.

    P_k(w) = q + Σ_f q_f P_{k−1}(w without f), q = w / Σ w; with k items or fewer, all are drawn.

    >>> included(torch.tensor([0.5, 0.25, 0.25]), 1)
    tensor([0.5000, 0.2500, 0.2500])
    >>> included(torch.tensor([1.0, 1.0, 1.0, 1.0]), 2)
    tensor([0.5000, 0.5000, 0.5000, 0.5000])
    """
    items = weights.shape[-1]
    if count >= items:
        return torch.ones_like(weights)
    mass = weights.sum(dim=-1, keepdim=True)
    first = weights / torch.where(mass > NEGLIGIBLE, mass, 1.0)
    if count == 1:
        return first
    total = first
    for item in range(items):
        others = [other for other in range(items) if other != item]
        later = torch.zeros_like(weights)
        later[..., others] = included(weights[..., others], count - 1)
        total = total + first[..., item, None] * later
    return total
