"""The relaxed network: every edge of every cell is a mixture of the candidates (arXiv:2001.00326, section 4)."""

from typing import TYPE_CHECKING, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from archgrad.arch import LogitGroup
from archgrad.mixing import Mixing
from archgrad.ops import BatchStatisticsNorm
from archgrad.spaces.conv.cells import SupernetOfCells
from archgrad.spaces.conv.interior import cell_weights, interior
from archgrad.spaces.nasbench201.plan import stack
from archgrad.spaces.nasbench201.strings import CELL, NODES
from archgrad.spaces.nasbench201.surroundings import Head, ResidualBlock, make_stem

if TYPE_CHECKING:
    from archgrad.spaces.nasbench201.space import NASBench201Space


def _affine_norm(channels: int) -> BatchStatisticsNorm:
    return BatchStatisticsNorm(channels, affine=True)


class RelaxedCell(nn.Module):
    """Eq. 3 with one input: x_j = Σ_{i<j} ō_ij(x_i); the output is the last node."""

    def __init__(self, group: LogitGroup, channels: int, *, engine: str, mixing: Mixing) -> None:
        super().__init__()
        self.interior = interior(
            group, channels, (1,) * NODES, inputs=1, engine=engine, mixing=mixing, normalise_pooling=False
        )

    def forward(
        self,
        x: Float[Tensor, "batch channels height width"],
        mixture: Float[Tensor, "edges candidates"],
        edge_weights: Float[Tensor, " edges"] | None = None,
        evaluated: list[list[bool]] | None = None,
    ) -> Float[Tensor, "batch channels height width"]:
        return self.interior([x], mixture, edge_weights, evaluated)[-1]


class NASBench201Supernet(SupernetOfCells):
    """Stem, relaxed cells, residual blocks between, head: forward(images, mixture) -> class scores.

    The mixture maps "cell" to the weights p, [edges, candidates], of all cells, or [cells, edges, candidates] of each
    cell for itself: an argument, never a parameter. No forward pass leaves a trace.

    As in the authors' search code the convolutions of the cells are normalised without affine parameters, by the
    statistics of the batch, and pooling is not normalised; stem, residual blocks and head have affine parameters. Those
    differ in evaluation: there the authors' code uses running averages in them, which a supernet here does not have.

    `progress` t in [0, 1] is how far the search is: auxiliary skips and dropout on skips fade with it, if the space's
    mixing has them. That dropout is the one thing which the mode of evaluation (`eval`) switches off.
    """

    def __init__(self, space: "NASBench201Space", *, engine: str = "bundled") -> None:
        super().__init__()
        self.group = next(group for group in space.groups if group.name == CELL)
        self.mixing = space.mixing
        blocks = stack(space.channels, space.cells)
        self.stem = make_stem(space.in_channels, space.channels, norm=_affine_norm)
        self.cells = nn.ModuleList(
            ResidualBlock(block.channels_in, block.channels, norm=_affine_norm)
            if block.halves
            else RelaxedCell(self.group, block.channels, engine=engine, mixing=space.mixing)
            for block in blocks
        )
        self.cell_groups = (CELL,) * sum(not block.halves for block in blocks)
        self.head = Head(blocks[-1].channels, space.num_classes, norm=_affine_norm)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(
        self, images: Float[Tensor, "batch channels height width"], mixture: dict[str, Tensor]
    ) -> Float[Tensor, "batch classes"]:
        weights = iter(cell_weights(mixture, self.group, len(self.cell_groups), mixing=self.mixing))
        x = self.stem(images)
        for block in cast(list[nn.Module], self.cells):
            x = block(x, *next(weights)) if isinstance(block, RelaxedCell) else block(x)
        return self.head(x)
