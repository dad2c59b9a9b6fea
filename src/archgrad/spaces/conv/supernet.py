"""The relaxed network: every edge of every cell is a mixture of all candidates (arXiv:1806.09055, section 2)."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from archgrad.arch import LogitGroup, operation_groups
from archgrad.mixing import Mixing
from archgrad.ops import BatchStatisticsNorm
from archgrad.ops.mixed_derivative import join
from archgrad.spaces.conv.cells import SupernetOfCells
from archgrad.spaces.conv.interior import cell_weights, interior
from archgrad.spaces.conv.plan import CellPlan, stack
from archgrad.spaces.conv.stem import CellInputs, Stem

if TYPE_CHECKING:
    from archgrad.spaces.conv.space import ConvCellSpace


def _affine_norm(channels: int) -> BatchStatisticsNorm:
    return BatchStatisticsNorm(channels, affine=True)


class RelaxedCell(nn.Module):
    """Eq. 3: two inputs, intermediate states x_j = Σ_{i<j} ō_ij(x_i), output their concatenation."""

    def __init__(self, group: LogitGroup, plan: CellPlan, *, nodes: int, engine: str, mixing: Mixing) -> None:
        super().__init__()
        self.kind = plan.kind
        self.adapt = CellInputs(plan, norm=BatchStatisticsNorm)
        strides = (plan.input_stride,) * 2 + (1,) * (nodes - 1)
        self.interior = interior(group, plan.channels, strides, inputs=2, engine=engine, mixing=mixing)

    def forward(
        self,
        before: Float[Tensor, "batch channels_0 height_0 width_0"],
        previous: Float[Tensor, "batch channels_1 height width"],
        mixture: Float[Tensor, "edges candidates"],
        edge_weights: Float[Tensor, " edges"] | None = None,
        evaluated: list[list[bool]] | None = None,
    ) -> Float[Tensor, "batch channels new_height new_width"]:
        return join(self.interior(self.adapt(before, previous), mixture, edge_weights, evaluated))


class ConvSupernet(SupernetOfCells):
    """Stem, relaxed cells, global average pool, linear classifier: forward(images, mixture) -> class scores.

    The mixture maps each group to its weights p, [edges, candidates]: an argument, never a parameter. A leading
    dimension, [cells, edges, candidates], gives each cell of the group weights of its own. No forward pass leaves a
    trace, since normalisation is by batch statistics.

    `progress` t in [0, 1] is how far the search is: auxiliary skips and dropout on skips fade with it, if the space's
    mixing has them. That dropout is the one thing which the mode of evaluation (`eval`) switches off.
    """

    def __init__(self, space: "ConvCellSpace", *, engine: str = "bundled") -> None:
        super().__init__()
        self.groups = {group.name: group for group in operation_groups(space.groups)}
        self.mixing = space.mixing
        plans = stack(space.channels, space.layers, stem=space.stem, outputs=dict.fromkeys(self.groups, space.nodes))
        self.stem = Stem(space.stem, space.in_channels, space.channels, norm=_affine_norm)
        self.cells = nn.ModuleList(
            RelaxedCell(self.groups[plan.kind], plan, nodes=space.nodes, engine=engine, mixing=space.mixing)
            for plan in plans
        )
        self.cell_groups = tuple(plan.kind for plan in plans)
        self.classifier = nn.Linear(space.nodes * plans[-1].channels, space.num_classes)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(
        self, images: Float[Tensor, "batch channels height width"], mixture: dict[str, Tensor]
    ) -> Float[Tensor, "batch classes"]:
        weights = {
            kind: iter(cell_weights(mixture, group, self.cell_groups.count(kind), mixing=self.mixing))
            for kind, group in self.groups.items()
        }
        before, previous = self.stem(images)
        for cell in cast(Iterable[RelaxedCell], self.cells):
            before, previous = previous, cell(before, previous, *next(weights[cell.kind]))
        return self.classifier(previous.mean(dim=(2, 3)))
