"""Λ-DARTS: a regulariser of the weights that makes all cells want the same mixture (arXiv:2210.07998).

Cells share one mixture p, but each pulls at it with a gradient of its own, G_l = ∂L/∂p_l, where p_l is the copy of p
that cell l reads. Where these disagree, the cells near the output win, and the search collapses.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from archgrad.arch import Mixture
from archgrad.checks import above, at_least, one_of, within

LossOfMixtures: TypeAlias = Callable[[dict[str, Tensor], Mixture], Tensor]
"""(w, p) -> the training loss, a scalar; p of a group of cells is [cells, edges, candidates], one for each."""


def layer_alignment(gradients: Float[Tensor, "cells edges candidates"]) -> Float[Tensor, ""]:
    """Λ = 2 / (n (n − 1)) · Σ_{i<j} cos(G_i, G_j) over the pairs of n cells, each gradient as one vector.

    1 when all cells pull in one direction. A gradient of zero has cosine 0 with all others; one cell alone has Λ = 0.

    Reference: arXiv:2210.07998, where Λ is named the layer alignment.

    >>> import torch
    >>> layer_alignment(torch.tensor([[[1.0, 0.0]], [[3.0, 0.0]], [[0.0, 2.0]]]))
    tensor(0.3333)
    """
    units = gradients.flatten(1) * _inverse_norms(gradients)
    pairs = max(1, len(units) * (len(units) - 1))
    return (units.sum(dim=0).square().sum() - units.square().sum()) / pairs


def alignment_slopes(
    gradients: Float[Tensor, "cells edges candidates"],
) -> Float[Tensor, "cells edges candidates"]:
    """∂Λ/∂G_l = 2 / (n (n − 1)) · (I − u_l u_lᵀ) Σ_j u_j / ‖G_l‖ with u_l = G_l / ‖G_l‖; 0 for a cell with G_l = 0."""
    inverse = _inverse_norms(gradients)
    units = gradients.flatten(1) * inverse
    total = units.sum(dim=0)
    pairs = max(1, len(units) * (len(units) - 1)) / 2
    slopes = (total - units * (units @ total).unsqueeze(1)) * inverse / pairs
    return slopes.where(inverse > 0, 0.0).view_as(gradients)


def _inverse_norms(gradients: Tensor) -> Tensor:
    norms = gradients.flatten(1).norm(dim=1, keepdim=True)
    return torch.where(norms > 0, 1 / norms, 0.0)


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """∇_w of −λ · Λ by central differences: what to add to ∇_w L_train so that a step of descent raises Λ.

        v_l = ∂Λ/∂G_l,   ∇_w Λ = Σ_l (∂²L / ∂w ∂p_l) v_l ≈ (∇_w L(w, p + ε v) − ∇_w L(w, p − ε v)) / 2ε

    with ε = `epsilon` / ‖v‖₂ over all cells, so that the mixtures move by `epsilon` in all, and
    λ = `weight` · progress. Λ is summed over the groups that have two or more cells, `groups` names which of them; None
    takes all. Λ does not depend on the scale of the loss, and neither does what comes back.

    A call takes the gradient by p and two by w. The differences are small beside half precision: evaluate in float32.
    ∇_w L jumps where a ReLU or a maximum turns, and steps of the published size cross many of these: on a small batch
    their noise is larger than the derivative, and falls with the batch's pixels.

    Reference: arXiv:2210.07998, λ and ε as in the public code, which has λ from 0 to 0.125 (0.25 in its scripts) and
    `epsilon` 0.0001 (0.001 on reduced spaces). That code regularises the normal cells alone in the space of DARTS:
    `groups=("normal",)`. Its second regulariser, by signs, is left out.

    Raises:
        ValueError: `weight` is negative, or `epsilon` not above 0; when called, `progress` lies outside [0, 1], or
            `groups` names one that no cell belongs to.
    """

    weight: float = 0.125
    epsilon: float = 1e-4
    groups: tuple[str, ...] | None = None

    citation: ClassVar[str] = "2210.07998"

    def __post_init__(self) -> None:
        at_least("weight", self.weight, 0)
        above("epsilon", self.epsilon, 0)

    def __call__(
        self,
        loss: LossOfMixtures,
        weights: dict[str, Tensor],
        mixture: Mixture,
        *,
        cells: Sequence[str],
        progress: float,
    ) -> dict[str, Tensor]:
        """−λ ∇_w Λ by parameter, at w = `weights` and p = `mixture`, [edges, candidates] by group.

        `cells` is the group of each cell in order. Groups of the mixture that no cell belongs to reach `loss` as they
        are, all others as [cells, edges, candidates]. Where λ is 0 nothing is evaluated.
        """
        within("progress", progress, (0.0, 1.0))
        aligned = self._aligned(cells)
        factor = self.weight * progress
        copies = _for_each_cell(mixture, cells)
        slopes = _slopes(loss, weights, copies, aligned) if factor > 0 and aligned else {}
        length = torch.stack([slope.norm() for slope in slopes.values()]).norm().item() if slopes else 0.0
        if not 0 < length < float("inf"):  # nothing to align, aligned already, or no number
            return {name: torch.zeros_like(weight) for name, weight in weights.items()}
        epsilon = self.epsilon / length
        steps = {name: epsilon * slope for name, slope in slopes.items()}
        higher, lower = (
            _weight_gradients(loss, weights, copies | {name: copies[name] + sign * steps[name] for name in steps})
            for sign in (1, -1)
        )
        scale = -factor / (2 * epsilon)
        return {name: scale * (up - down) for name, up, down in zip(weights, higher, lower, strict=True)}

    def _aligned(self, cells: Sequence[str]) -> list[str]:
        """The groups with two or more cells that are asked for."""
        for name in self.groups or ():
            one_of("groups", name, dict.fromkeys(cells))
        wanted = dict.fromkeys(cells if self.groups is None else self.groups)
        return [name for name in wanted if list(cells).count(name) > 1]


def _for_each_cell(mixture: Mixture, cells: Sequence[str]) -> Mixture:
    counts = {name: list(cells).count(name) for name in mixture}
    return {
        name: weights.detach().expand(counts[name], *weights.shape) if counts[name] else weights.detach()
        for name, weights in mixture.items()
    }


def _slopes(
    loss: LossOfMixtures, weights: dict[str, Tensor], copies: Mixture, aligned: Sequence[str]
) -> dict[str, Tensor]:
    """∂Λ/∂G by group, [cells, edges, candidates]."""
    leaves = {name: copies[name].clone().requires_grad_() for name in aligned}
    fixed = {name: weight.detach() for name, weight in weights.items()}
    with torch.enable_grad():
        value = loss(fixed, copies | leaves)
    gradients = torch.autograd.grad(value, list(leaves.values()), materialize_grads=True)
    return {name: alignment_slopes(gradient) for name, gradient in zip(aligned, gradients, strict=True)}


def _weight_gradients(loss: LossOfMixtures, weights: dict[str, Tensor], mixture: Mixture) -> tuple[Tensor, ...]:
    leaves = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
    with torch.enable_grad():
        value = loss(leaves, mixture)
    return torch.autograd.grad(value, list(leaves.values()), materialize_grads=True)
