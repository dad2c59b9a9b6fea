"""A bundle: all edges that leave one state of a relaxed cell, evaluated at once (see `engine`)."""

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import relu

from archgrad.arch import NONE, LogitGroup
from archgrad.ops import BatchStatisticsNorm, Operation, convolutional_operation
from archgrad.ops.mixed_derivative import join
from archgrad.ops.operation import replicate
from archgrad.spaces.conv.mixed import drop
from archgrad.spaces.conv.stem import apply_operation


class Bundle(nn.Module):
    """Σ_o p_o · o(x) for the K edges that leave one state: [N, C, H, W] -> [N, K·C, H', W'], edges by target."""

    rows: Tensor

    def __init__(
        self, group: LogitGroup, source: int, channels: int, stride: int, *, normalise_pooling: bool = True
    ) -> None:
        super().__init__()
        rows = group.leaving(source)
        self.edges = len(rows)
        self.row_numbers = rows
        self.channels = channels
        self.stride = stride
        self.register_buffer("rows", torch.tensor(rows), persistent=False)
        members = {
            name: [edge for edge, row in enumerate(rows) if name in group.choices[row]]
            for name in group.candidates
            if name != NONE
        }
        self.members = {name: edges for name, edges in members.items() if edges}
        self.columns = {name: group.candidates.index(name) for name in self.members}
        self.operations = nn.ModuleDict(
            {
                name: convolutional_operation(
                    name,
                    channels,
                    stride,
                    norm=BatchStatisticsNorm,
                    copies=len(edges),
                    normalise_pooling=normalise_pooling,
                )
                for name, edges in self.members.items()
            }
        )

    def forward(
        self,
        state: Float[Tensor, "batch channels height width"],
        mixture: Float[Tensor, "edges candidates"],
        skip_dropout: float = 0.0,
    ) -> Float[Tensor, "batch bundled new_height new_width"]:
        operations = cast(dict[str, Operation], self.operations)
        rectified = relu(state)
        weights = mixture.index_select(0, self.rows).unbind(dim=1)
        side_by_side = {
            copies: replicate(rectified, copies) for copies in {operation.copies for operation in operations.values()}
        }
        total: Tensor | None = None
        shared: list[tuple[str, Tensor]] = []
        for name, operation in operations.items():
            if operation.shared:
                shared.append((name, apply_operation(operation, state, rectified)))
                continue
            body = operation.body(side_by_side[operation.copies])
            scale = self._of_members(name, weights).repeat_interleave(self.channels)
            mixed = self._spread(operation.norm(body, scale), self.members[name])
            total = mixed if total is None else total + mixed
        if shared:
            mixed = join([self._mix_shared(edge, shared, weights, skip_dropout) for edge in range(self.edges)])
            total = mixed if total is None else total + mixed
        return self.zeros(state, self.edges) if total is None else total

    def of_paths(
        self,
        state: Float[Tensor, "batch channels height width"],
        mixture: Float[Tensor, "edges candidates"],
        chosen: list[list[bool]],
        skip_dropout: float = 0.0,
    ) -> list[Tensor | None]:
        """The same sum, edge by edge, of the candidates chosen[edge][candidate] alone; None where an edge has none.

        What is not chosen is not evaluated, forward or backward: its weights get no gradient, and nor does its entry
        of the mixture, as in Eq. 6 of arXiv:1910.04465, where the sum over candidates is the chosen one. The authors'
        code differs: it adds the other weights themselves, so that they get the gradient of an output of ones.
        """
        weights = {row: mixture[row].unbind() for row in self.row_numbers if any(chosen[row])}
        rectified: Tensor | None = None
        parts: list[Tensor | None] = [None] * self.edges
        for name, operation in cast(dict[str, Operation], self.operations).items():
            column, members = self.columns[name], self.members[name]
            kept = [place for place, edge in enumerate(members) if chosen[self.row_numbers[edge]][column]]
            if not kept:
                continue
            if operation.rectified and rectified is None:
                rectified = relu(state)
            x = cast(Tensor, rectified) if operation.rectified else state
            scales = [weights[self.row_numbers[members[place]]][column] for place in kept]
            outputs = self._outputs(operation, x, kept, scales, skip_dropout)
            for place, y in zip(kept, outputs, strict=True):
                before = parts[members[place]]
                parts[members[place]] = y if before is None else before + y
        return parts

    def _outputs(
        self, operation: Operation, x: Tensor, kept: list[int], scales: list[Tensor], skip_dropout: float
    ) -> list[Tensor]:
        """p · o(x) for the copies `kept` of an operation, and their weights p."""
        if operation.shared:
            y = operation(x)
            return [scale * (drop(y, skip_dropout) if operation.identity else y) for scale in scales]
        scale = torch.stack(scales).repeat_interleave(self.channels)
        return list(operation.norm(operation.of_copies(x, kept), scale).chunk(len(kept), dim=1))

    def _of_members(self, name: str, weights: tuple[Tensor, ...]) -> Tensor:
        """The mixture weights of a candidate on the edges that have it."""
        column, members = weights[self.columns[name]], self.members[name]
        return column if len(members) == self.edges else column[members]

    def _mix_shared(
        self, edge: int, shared: list[tuple[str, Tensor]], weights: tuple[Tensor, ...], skip_dropout: float
    ) -> Tensor:
        """Σ_o p_o · o(x) over the candidates without parameters, for one edge."""
        operations = cast(dict[str, Operation], self.operations)
        terms = [
            weights[self.columns[name]][edge] * (drop(x, skip_dropout) if operations[name].identity else x)
            for name, x in shared
            if edge in self.members[name]
        ]
        return sum(terms[1:], start=terms[0]) if terms else torch.zeros_like(shared[0][1])

    def _spread(self, x: Tensor, members: list[int]) -> Tensor:
        """Put the channels of the edges that have a candidate into their place among all edges, zeros elsewhere."""
        if len(members) == self.edges:
            return x
        parts = dict(zip(members, x.chunk(len(members), dim=1), strict=True))
        zeros = torch.zeros_like(next(iter(parts.values())))
        return join([parts.get(edge, zeros) for edge in range(self.edges)])

    def zeros(self, state: Tensor, edges: int) -> Tensor:
        """What `edges` edges yield that have no candidate but `none`."""
        zeros = state[:, :, :: self.stride, :: self.stride].mul(0.0)
        return join([zeros] * edges)
