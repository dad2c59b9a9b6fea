"""The door behind which a relaxed cell is evaluated: inputs and mixture in, intermediate states out (Eq. 2 and 3).

Two engines compute x_j = Σ_{i<j} Σ_o p_{ij,o} · o_ij(x_i), and its variants (`archgrad.mixing`). `PerEdge` is the
equation to the letter, one operation per edge and candidate: the reference of the tests and of the benchmark.
`Bundled`, the default, is the same sum in another order, with exact savings:

- what does not depend on the edge is computed once per state: ReLU, pooling with its normalisation, the identity;
- `none` contributes nothing and is never evaluated;
- the same operation on all edges that leave a state is one grouped computation, and all of them read, and keep for
  the backward pass, one and the same replicated state;
- p_o is the scale of the operation's last normalisation, so that multiplying by it costs nothing, and so is β · p_o;
- edges into different nodes are accumulated as one tensor [N, K·C, H, W], from which each finished node is cut;
- channels that go past the mixture are summed and shuffled once per node, shuffling being linear.
"""

from collections.abc import Sequence
from typing import cast

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import relu

from archgrad.arch import NONE, LogitGroup
from archgrad.mixing import Mixing
from archgrad.ops import BatchStatisticsNorm, Operation, convolutional_operation
from archgrad.ops.mixed_derivative import join
from archgrad.spaces.conv.bundle import Bundle
from archgrad.spaces.conv.mixed import Interior, Sums, auxiliary, drop, go_past, shuffle, shuffled
from archgrad.spaces.conv.stem import apply_operation


class PerEdge(Interior):
    """One operation per edge and candidate, evaluated and weighted in turn, `none` included, as Eq. 2 is written.

    `strides[source]` is the stride of the edges that leave a state; inputs come first.
    """

    def __init__(
        self,
        group: LogitGroup,
        channels: int,
        strides: Sequence[int],
        *,
        inputs: int,
        mixing: Mixing | None = None,
        normalise_pooling: bool = True,
    ) -> None:
        super().__init__(group, channels, strides, inputs=inputs, mixing=mixing or Mixing())
        self.edges = nn.ModuleList(
            nn.ModuleDict(
                {
                    name: convolutional_operation(
                        name,
                        self.selected,
                        strides[source],
                        norm=BatchStatisticsNorm,
                        normalise_pooling=normalise_pooling,
                    )
                    for name in choices
                    if name != NONE
                }
            )
            for (source, _), choices in zip(group.edges, group.choices, strict=True)
        )
        if self.mixing.auxiliary_skip:
            self.auxiliary = nn.ModuleList(auxiliary(channels, strides[source]) for source, _ in group.edges)

    def forward(
        self,
        inputs: list[Float[Tensor, "batch channels height width"]],
        mixture: Float[Tensor, "edges candidates"],
        edge_weights: Float[Tensor, " edges"] | None = None,
        evaluated: list[list[bool]] | None = None,
    ) -> list[Float[Tensor, "batch channels node_height node_width"]]:
        states = list(inputs)
        chosen = _chosen(mixture, evaluated, self.mixing)
        last = self.group.edges[-1][1]
        for target in range(self.inputs, last + 1):
            terms = []
            for row in self.group.entering(target):
                state = states[self.group.edges[row][0]]
                term = self._edge(row, state, mixture[row], None if chosen is None else chosen[row])
                terms.append(term if edge_weights is None else edge_weights[row] * term)
                if self.auxiliary_weight:
                    operation = cast(Operation, self.auxiliary[row])
                    terms.append(self.auxiliary_weight * apply_operation(operation, state, relu(state)))
            states.append(sum(terms[1:], start=terms[0]))
        return states[self.inputs :]

    def _edge(self, row: int, state: Tensor, weights: Tensor, chosen: list[bool] | None) -> Tensor:
        if self.selected == self.channels:
            return self._mixed_operation(row, state, weights, chosen)
        selected, passed = state[:, : self.selected], state[:, self.selected :]
        mixed = self._mixed_operation(row, selected, weights, chosen)
        past = go_past(passed, self.strides[self.group.edges[row][0]])
        return shuffle(join([mixed, past]), self.mixing.partial_channels)

    def _mixed_operation(self, row: int, state: Tensor, weights: Tensor, chosen: list[bool] | None) -> Tensor:
        stride = self.strides[self.group.edges[row][0]]
        terms = []
        for column, name in enumerate(self.group.candidates):
            if name == NONE:
                terms.append(weights[column] * state[:, :, ::stride, ::stride].mul(0.0))
            elif name in self.group.choices[row] and (chosen is None or chosen[column]):
                operation = cast(Operation, cast(nn.ModuleDict, self.edges[row])[name])
                y = apply_operation(operation, state, relu(state))
                terms.append(weights[column] * (drop(y, self.skip_dropout) if operation.identity else y))
        return sum(terms[1:], start=terms[0]) if terms else state[:, :, ::stride, ::stride].mul(0.0)


class Bundled(Interior):
    """All edges that leave a state at once; the arguments are those of `PerEdge`, and so is the result."""

    def __init__(
        self,
        group: LogitGroup,
        channels: int,
        strides: Sequence[int],
        *,
        inputs: int,
        mixing: Mixing | None = None,
        normalise_pooling: bool = True,
    ) -> None:
        super().__init__(group, channels, strides, inputs=inputs, mixing=mixing or Mixing())
        sources = [source for source in range(len(strides)) if group.leaving(source)]
        self.bundles = nn.ModuleList(
            Bundle(group, source, self.selected, strides[source], normalise_pooling=normalise_pooling)
            for source in sources
        )
        if self.mixing.auxiliary_skip:
            self.auxiliary = nn.ModuleList(
                auxiliary(channels, strides[source], len(group.leaving(source))) for source in sources
            )

    def forward(
        self,
        inputs: list[Float[Tensor, "batch channels height width"]],
        mixture: Float[Tensor, "edges candidates"],
        edge_weights: Float[Tensor, " edges"] | None = None,
        evaluated: list[list[bool]] | None = None,
    ) -> list[Float[Tensor, "batch channels node_height node_width"]]:
        weights = mixture if edge_weights is None else mixture * edge_weights[:, None]
        chosen = _chosen(mixture, evaluated, self.mixing)
        nodes: list[Tensor] = []
        pending: Tensor | None = None
        paths, passed, skips = Sums(), Sums(), Sums()
        for source, bundle in enumerate(cast(list[Bundle], self.bundles)):
            state = inputs[source] if source < self.inputs else nodes[source - self.inputs]
            if self.auxiliary_weight:
                self._skip(source, state, skips)
            if self.selected < self.channels:
                state, past = state.split([self.selected, self.channels - self.selected], dim=1)
                self._pass(source, past, passed, edge_weights)
            if chosen is None:
                contribution = bundle(state, weights, self.skip_dropout)
                pending = contribution if pending is None else pending + contribution
            else:
                paths.to_each(bundle.of_paths(state, weights, chosen, self.skip_dropout))
            if source >= self.inputs - 1:  # all edges into the first pending node are summed up
                if pending is not None:
                    # `split` rather than two slices: its gradient is one concatenation, not two paddings and a sum.
                    node, pending = pending.split([self.selected, pending.shape[1] - self.selected], dim=1)
                else:
                    node = paths.next()
                    node = bundle.zeros(state, 1) if node is None else node
                nodes.append(self._node(node, passed.next(), skips.next()))
        return nodes

    def _skip(self, source: int, state: Tensor, skips: Sums) -> None:
        """Add b · (1 − t) · skip(x) to what the nodes ahead get beside their mixtures."""
        operation = cast(Operation, self.auxiliary[source])
        if operation.identity:
            skips.to_all(self.auxiliary_weight * state)
        else:
            edges = len(self.group.leaving(source))
            body = operation.of_copies(relu(state), range(edges))
            scale = body.new_full((body.shape[1],), self.auxiliary_weight)
            skips.to_each(operation.norm(body, scale).chunk(edges, dim=1))

    def _pass(self, source: int, passed: Tensor, sums: Sums, edge_weights: Tensor | None) -> None:
        """Add the channels that go past the mixture, once for all edges that leave the state."""
        past = go_past(passed, self.strides[source])
        if edge_weights is None:
            sums.to_all(past)
        else:
            sums.to_each([edge_weights[row] * past for row in self.group.leaving(source)])

    def _node(self, mixed: Tensor, passed: Tensor | None, skips: Tensor | None) -> Tensor:
        node = mixed if passed is None else shuffled(mixed, passed)
        return node if skips is None else node + skips


def _chosen(mixture: Tensor, evaluated: list[list[bool]] | None, mixing: Mixing) -> list[list[bool]] | None:
    """Which candidates of which edges are evaluated, read from the mixture where nobody has; None means all."""
    if not mixing.one_path:
        return None
    return mixture.detach().ne(0).tolist() if evaluated is None else evaluated


ENGINES = {"bundled": Bundled, "per_edge": PerEdge}
