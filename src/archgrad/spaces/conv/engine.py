"""The door behind which a relaxed cell is evaluated: inputs and mixture in, intermediate states out (Eq. 2 and 3).

Two engines compute x_j = Σ_{i<j} Σ_o p_{ij,o} · o_ij(x_i). `PerEdge` is the equation to the letter, one operation per
edge and candidate: the reference of the tests and of the benchmark. `Bundled`, the default, is the same sum in another
order, with exact savings:

- what does not depend on the edge is computed once per state: ReLU, pooling with its normalisation, the identity;
- `none` contributes nothing and is never evaluated;
- the same operation on all edges that leave a state is one grouped computation, and all of them read, and keep for
  the backward pass, one and the same replicated state;
- p_o is the scale of the operation's last normalisation, so that multiplying by it costs nothing;
- edges into different nodes are accumulated as one tensor [N, K·C, H, W], from which each finished node is cut.
"""

from collections.abc import Sequence
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import relu

from archgrad.arch import NONE, LogitGroup
from archgrad.ops import BatchStatisticsNorm, Operation, convolutional_operation
from archgrad.ops.mixed_derivative import join
from archgrad.ops.operation import replicate
from archgrad.spaces.conv.stem import apply_operation


class PerEdge(nn.Module):
    """One operation per edge and candidate, evaluated and weighted in turn, `none` included, as Eq. 2 is written.

    `strides[source]` is the stride of the edges that leave a state; inputs come first.
    """

    def __init__(self, group: LogitGroup, channels: int, strides: Sequence[int], *, inputs: int) -> None:
        super().__init__()
        self.group = group
        self.inputs = inputs
        self.strides = tuple(strides)
        self.edges = nn.ModuleList(
            nn.ModuleDict(
                {
                    name: convolutional_operation(
                        name, channels, strides[source], norm=BatchStatisticsNorm, normalise_pooling=True
                    )
                    for name in choices
                    if name != NONE
                }
            )
            for (source, _), choices in zip(group.edges, group.choices, strict=True)
        )

    def forward(
        self,
        inputs: list[Float[Tensor, "batch channels height width"]],
        mixture: Float[Tensor, "edges candidates"],
    ) -> list[Float[Tensor, "batch channels node_height node_width"]]:
        states = list(inputs)
        last = self.group.edges[-1][1]
        for target in range(self.inputs, last + 1):
            mixed = [self._mixed_operation(row, states, mixture[row]) for row in self.group.entering(target)]
            states.append(sum(mixed[1:], start=mixed[0]))
        return states[self.inputs :]

    def _mixed_operation(self, row: int, states: list[Tensor], weights: Tensor) -> Tensor:
        source, _ = self.group.edges[row]
        state = states[source]
        terms = []
        for column, name in enumerate(self.group.candidates):
            if name == NONE:
                stride = self.strides[source]
                terms.append(weights[column] * state[:, :, ::stride, ::stride].mul(0.0))
            elif name in self.group.choices[row]:
                operation = cast(nn.ModuleDict, self.edges[row])[name]
                terms.append(weights[column] * apply_operation(cast(Operation, operation), state, relu(state)))
        return sum(terms[1:], start=terms[0])


class Bundled(nn.Module):
    """All edges that leave a state at once; the arguments are those of `PerEdge`, and so is the result."""

    def __init__(self, group: LogitGroup, channels: int, strides: Sequence[int], *, inputs: int) -> None:
        super().__init__()
        self.inputs = inputs
        self.channels = channels
        self.bundles = nn.ModuleList(
            Bundle(group, source, channels, stride) for source, stride in enumerate(strides) if group.leaving(source)
        )

    def forward(
        self,
        inputs: list[Float[Tensor, "batch channels height width"]],
        mixture: Float[Tensor, "edges candidates"],
    ) -> list[Float[Tensor, "batch channels node_height node_width"]]:
        nodes: list[Tensor] = []
        pending: Tensor | None = None
        for source, bundle in enumerate(self.bundles):
            state = inputs[source] if source < self.inputs else nodes[source - self.inputs]
            contribution = bundle(state, mixture)
            pending = contribution if pending is None else pending + contribution
            assert pending is not None
            if source >= self.inputs - 1:  # all edges into the first pending node are summed up
                # `split` rather than two slices: its gradient is one concatenation instead of two paddings and a sum.
                node, pending = pending.split([self.channels, pending.shape[1] - self.channels], dim=1)
                nodes.append(node)
        return nodes


class Bundle(nn.Module):
    """Σ_o p_o · o(x) for the K edges that leave one state: [N, C, H, W] -> [N, K·C, H', W'], edges by target."""

    rows: Tensor

    def __init__(self, group: LogitGroup, source: int, channels: int, stride: int) -> None:
        super().__init__()
        rows = group.leaving(source)
        self.edges = len(rows)
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
                    name, channels, stride, norm=BatchStatisticsNorm, copies=len(edges), normalise_pooling=True
                )
                for name, edges in self.members.items()
            }
        )

    def forward(
        self, state: Float[Tensor, "batch channels height width"], mixture: Float[Tensor, "edges candidates"]
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
            mixed = join([self._mix_shared(edge, shared, weights) for edge in range(self.edges)])
            total = mixed if total is None else total + mixed
        return self._zeros(state, self.edges) if total is None else total

    def _of_members(self, name: str, weights: tuple[Tensor, ...]) -> Tensor:
        """The mixture weights of a candidate on the edges that have it."""
        column, members = weights[self.columns[name]], self.members[name]
        return column if len(members) == self.edges else column[members]

    def _mix_shared(self, edge: int, shared: list[tuple[str, Tensor]], weights: tuple[Tensor, ...]) -> Tensor:
        """Σ_o p_o · o(x) over the candidates without parameters, for one edge."""
        terms = [weights[self.columns[name]][edge] * x for name, x in shared if edge in self.members[name]]
        return sum(terms[1:], start=terms[0]) if terms else torch.zeros_like(shared[0][1])

    def _spread(self, x: Tensor, members: list[int]) -> Tensor:
        """Put the channels of the edges that have a candidate into their place among all edges, zeros elsewhere."""
        if len(members) == self.edges:
            return x
        parts = dict(zip(members, x.chunk(len(members), dim=1), strict=True))
        zeros = torch.zeros_like(next(iter(parts.values())))
        return join([parts.get(edge, zeros) for edge in range(self.edges)])

    def _zeros(self, state: Tensor, edges: int) -> Tensor:
        """What a bundle yields whose edges have no candidate but `none`."""
        zeros = state[:, :, :: self.stride, :: self.stride].mul(0.0)
        return join([zeros] * edges)


ENGINES = {"bundled": Bundled, "per_edge": PerEdge}
