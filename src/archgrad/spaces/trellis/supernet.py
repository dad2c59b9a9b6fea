"""Eq. 8, the relaxed trellis: every node mixes what reaches it by β, every cell its operations by α (arXiv:1901.02985).

H_s^l = Σ_{s'} β_{s'→s} Cell(H_{s'}^{l−1}, H_s^{l−2}; α), s' ∈ {s/2, s, 2s}, read in one of two ways:

- `cell_per_edge` is the equation to the letter: a cell of its own for each edge, weighted by β and summed;
- `mixed_inputs` mixes first: one cell for each node, which reads Σ β_{s'→s} H_{s'}^{l−1}, each brought to the node's
  size and channels. It evaluates 45 cells where the other evaluates 105.

A node's state is used rectified only, so that ReLU is applied once, where the state is made.
"""

from typing import TYPE_CHECKING, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import relu
from torch.utils.checkpoint import checkpoint

from archgrad.arch import LogitGroup
from archgrad.autodiff import (
    mixed_derivatives,
    mixed_derivatives_wanted,
    second_derivatives,
    weight_derivatives_wanted,
)
from archgrad.ops import BatchStatisticsNorm
from archgrad.ops.convolution import Convolution
from archgrad.ops.mixed_derivative import join
from archgrad.ops.resize import halved, resize
from archgrad.spaces.conv.engine import ENGINES
from archgrad.spaces.trellis.head import RelaxedHead
from archgrad.spaces.trellis.plan import GROUP, MOVES, Arrival, Node

if TYPE_CHECKING:
    from archgrad.spaces.trellis.space import TrellisSpace

CELL = "cell"
"""The name of the group of α."""

KERNELS = {"halve": (1, 1), "keep": (1, 1), "double": (3, 2)}
"""Kernel size and stride of the convolution on an edge of the trellis, by its move."""


class Adaptation(nn.Module):
    """Bring a rectified state to a node's channels and size: convolution, bilinear resizing, normalisation.

    The 1×1 convolution of an edge that halves the stride comes before the upsampling; both are linear and commute, and
    a quarter of the pixels is convolved.
    """

    def __init__(self, channels_in: int, channels: int, *, kernel_size: int, stride: int) -> None:
        super().__init__()
        self.convolution = Convolution(
            channels_in, channels, kernel_size, stride=stride, padding=(kernel_size - 1) // 2
        )
        self.norm = BatchStatisticsNorm(channels)
        self.channels = channels

    def forward(
        self,
        x: Float[Tensor, "batch channels_in height_in width_in"],
        size: tuple[int, int],
        weight: Float[Tensor, ""] | None = None,
    ) -> Float[Tensor, "batch channels height width"]:
        resized = resize(self.convolution(x), size)
        # A copy for each channel and not `expand`, whose gradient PyTorch's kernel writes beyond the tensor's memory.
        return self.norm(resized) if weight is None else self.norm(resized, weight.repeat(self.channels))


class MixedInputs(nn.Module):
    """A node with one cell, which reads the mixture of all that arrives."""

    def __init__(self, space: "TrellisSpace", group: LogitGroup, node: Node, *, engine: str) -> None:
        super().__init__()
        self.arrivals = nn.ModuleList(_edge(space, arrival, node) for arrival in space.trellis.arrivals(node))
        self.before = _before(space, node)
        self.cell = _cell(space, group, node, engine)

    def forward(
        self,
        states: list[Tensor],
        before: Tensor,
        weights: list[Tensor],
        *,
        mixture: Float[Tensor, "edges candidates"],
        size: tuple[int, int],
    ) -> Float[Tensor, "batch channels height width"]:
        mixed = [edge(x, size, weight) for edge, x, weight in zip(self.arrivals, states, weights, strict=True)]
        inputs = [sum(mixed[1:], start=mixed[0]), self.before(before, size)]
        return relu(join(self.cell(inputs, mixture)))


class CellPerEdge(nn.Module):
    """A node with a cell for each edge that enters it; the arguments are those of `MixedInputs`."""

    def __init__(self, space: "TrellisSpace", group: LogitGroup, node: Node, *, engine: str) -> None:
        super().__init__()
        arrivals = space.trellis.arrivals(node)
        self.arrivals = nn.ModuleList(_edge(space, arrival, node) for arrival in arrivals)
        self.before = nn.ModuleList(_before(space, node) for _ in arrivals)
        self.cells = nn.ModuleList(_cell(space, group, node, engine) for _ in arrivals)

    def forward(
        self,
        states: list[Tensor],
        before: Tensor,
        weights: list[Tensor],
        *,
        mixture: Float[Tensor, "edges candidates"],
        size: tuple[int, int],
    ) -> Float[Tensor, "batch channels height width"]:
        total: Tensor | None = None
        parts = zip(self.arrivals, self.before, self.cells, states, weights, strict=True)
        for edge, adapt, cell, state, weight in parts:
            term = weight * join(cell([edge(state, size), adapt(before, size)], mixture))
            total = term if total is None else total + term
        assert total is not None
        return relu(total)


READINGS = {"mixed_inputs": MixedInputs, "cell_per_edge": CellPerEdge}
"""The two readings of Eq. 6 of arXiv:1901.02985."""


def _edge(space: "TrellisSpace", arrival: Arrival, node: Node) -> Adaptation:
    kernel_size, stride = KERNELS[arrival.move]
    return Adaptation(
        space.width(arrival.source.level), space.filters * 2**node.level, kernel_size=kernel_size, stride=stride
    )


def _before(space: "TrellisSpace", node: Node) -> Adaptation:
    source = space.trellis.before(node)
    return Adaptation(
        space.width(source.level),
        space.filters * 2**node.level,
        kernel_size=1,
        stride=2 ** (node.level - source.level),
    )


def _cell(space: "TrellisSpace", group: LogitGroup, node: Node, engine: str) -> nn.Module:
    return ENGINES[engine](group, space.filters * 2**node.level, (1,) * (space.blocks + 1), inputs=2)


class Stem(nn.Module):
    """Two 3×3 convolutions of stride 2, each normalised and rectified: H^{−1} at stride 2 and H^0 at stride 4."""

    def __init__(self, in_channels: int, widths: tuple[int, int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(
                Convolution(channels_in, width, 3, stride=2, padding=1),
                BatchStatisticsNorm(width, affine=True),
                nn.ReLU(),
            )
            for channels_in, width in zip((in_channels, widths[0]), widths, strict=True)
        )

    def forward(self, images: Float[Tensor, "batch channels height width"]) -> tuple[Tensor, Tensor]:
        half = self.layers[0](images)
        return half, self.layers[1](half)


class TrellisSupernet(nn.Module):
    """Stem, the nodes of the trellis, a head for each stride: forward(images, mixture) -> scores of every pixel.

    The mixture has α as "cell" [edges, candidates] and β as "trellis" [nodes, moves]. With the space's `checkpointing`
    a node keeps its inputs alone for the backward pass and is evaluated anew there.
    """

    def __init__(self, space: "TrellisSpace", *, engine: str = "bundled") -> None:
        super().__init__()
        trellis = space.trellis
        # What each node reads, looked up once and not in every step.
        self.plan = [(node, trellis.arrivals(node), trellis.before(node)) for node in trellis.nodes]
        self.last = [Node(trellis.layers, level) for level in range(trellis.highest(trellis.layers) + 1)]
        self.checkpointing = space.checkpointing
        self.stem = Stem(space.in_channels, (space.width(-1), space.width(0)))
        group = next(group for group in space.groups if group.name == CELL)
        make = READINGS[space.reading]
        self.nodes = nn.ModuleList(make(space, group, node, engine=engine) for node, _, _ in self.plan)
        self.heads = nn.ModuleList(
            RelaxedHead(space.width(level), space.num_classes, level=level) for _, level in self.last
        )
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(
        self, images: Float[Tensor, "batch channels height width"], mixture: dict[str, Tensor]
    ) -> Float[Tensor, "batch classes height width"]:
        size = images.shape[-2], images.shape[-1]
        half, quarter = self.stem(images)
        states = {Node(-1, -1): half, Node(0, 0): quarter}
        rows = [row.unbind() for row in mixture[GROUP].unbind()]
        columns = {move: column for column, move in enumerate(MOVES)}
        for (node, arrivals, before), module in zip(self.plan, self.nodes, strict=True):
            states[node] = self._evaluate(
                module,
                [states[arrival.source] for arrival in arrivals],
                states[before],
                weights=[rows[arrival.row][columns[arrival.move]] for arrival in arrivals],
                mixture=mixture[CELL],
                size=halved(size, 2 + node.level),
            )
        scores = [resize(head(states[node]), size) for head, node in zip(self.heads, self.last, strict=True)]
        return sum(scores[1:], start=scores[0])

    def _evaluate(
        self,
        module: nn.Module,
        states: list[Tensor],
        before: Tensor,
        *,
        weights: list[Tensor],
        mixture: Tensor,
        size: tuple[int, int],
    ) -> Tensor:
        if not self.checkpointing or not torch.is_grad_enabled():
            return module(states, before, weights, mixture=mixture, size=size)
        # The second evaluation happens when a caller's `functional_call` and context are long over: both are kept.
        parameters: dict[str, Tensor] = dict(module.named_parameters())
        wanted = mixed_derivatives_wanted()
        again = second_derivatives if weight_derivatives_wanted() else mixed_derivatives

        def evaluate(states: list[Tensor], before: Tensor, weights: list[Tensor], mixture: Tensor) -> Tensor:
            arguments = (states, before, weights)
            if not wanted:
                return functional_call(module, parameters, arguments, {"mixture": mixture, "size": size})
            with again():
                return functional_call(module, parameters, arguments, {"mixture": mixture, "size": size})

        return cast(
            Tensor,
            checkpoint(evaluate, states, before, weights, mixture, use_reentrant=False, preserve_rng_state=False),
        )
