"""The trellis as a table: which nodes there are, which edges lead where, and what each node reads.

A node is (layer, level); level 0 has stride 4, and each further level twice the stride of the one before. Layer 0 is
the stem's end at stride 4, layer −1 its middle at stride 2, which is level −1. From one layer to the next the stride is
halved, kept or doubled, so that layer l reaches the levels up to min(l, levels − 1): this one formula is all that there
is of boundary cases.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from archgrad.arch import LogitGroup
from archgrad.checks import whole

GROUP = "trellis"
"""The name of the group of β."""

MOVES = {"halve": -1, "keep": 0, "double": 1}
"""What happens to the stride on an edge, in the order of β's columns, and the level that it adds."""

FIRST_STRIDE = 4
"""The stride of level 0."""

PATHS = {
    "deeplabv3": (0, 0, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2),
    "conv_deconv": (0, 0, 1, 1, 2, 2, 3, 3, 2, 2, 1, 0),
    "stacked_hourglass": (1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0),
}
"""Known networks as paths through the trellis: a reconstruction of arXiv:1901.02985, Figure 2."""


class Node(NamedTuple):
    """A place in the trellis."""

    layer: int
    level: int


class Arrival(NamedTuple):
    """An edge that enters a node: where its β stands in the group, and where it comes from."""

    row: int
    move: str
    source: Node


@dataclass(frozen=True)
class Trellis:
    """Nodes and edges of a trellis of `layers` layers and `levels` strides.

    >>> trellis = Trellis(layers=12, levels=4)
    >>> len(trellis.nodes), len(trellis.edges), trellis.count_paths()
    (45, 105, 75025)

    Raises:
        ValueError: a number below 1.
    """

    layers: int
    levels: int

    def __post_init__(self) -> None:
        whole("layers", self.layers, 1)
        whole("levels", self.levels, 1)

    def highest(self, layer: int) -> int:
        """The highest level that layer −1, 0, 1, … reaches."""
        return min(layer, self.levels - 1)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes with a cell, layer by layer."""
        return tuple(
            Node(layer, level) for layer in range(1, self.layers + 1) for level in range(self.highest(layer) + 1)
        )

    @property
    def sources(self) -> tuple[Node, ...]:
        """The nodes that edges leave, the stem's first: the rows of β."""
        return tuple(node for node in (Node(0, 0), *self.nodes) if node.layer < self.layers)

    @property
    def edges(self) -> tuple[tuple[Node, Node], ...]:
        """All edges as (source, target)."""
        return tuple(
            (source, Node(source.layer + 1, source.level + MOVES[move]))
            for source in self.sources
            for move in self.moves(source)
        )

    def moves(self, source: Node) -> tuple[str, ...]:
        """The moves that lead from a node to another one."""
        allowed = range(self.highest(source.layer + 1) + 1)
        return tuple(move for move, change in MOVES.items() if source.level + change in allowed)

    def arrivals(self, node: Node) -> tuple[Arrival, ...]:
        """The edges that enter a node, from the finest source to the coarsest."""
        return tuple(
            Arrival(row, move, source)
            for row, source in enumerate(self.sources)
            if source.layer == node.layer - 1
            for move in self.moves(source)
            if source.level + MOVES[move] == node.level
        )

    def before(self, node: Node) -> Node:
        """Where a node's H^{l−2} is taken: at its own stride, or at the nearest one that layer l − 2 has."""
        layer = node.layer - 2
        return Node(layer, min(node.level, self.highest(layer)))

    @property
    def group(self) -> LogitGroup:
        """The group of β: a row for each node that edges leave, a column for each move, a mask for those that exist.

        Eq. 7's softmax over the outgoing edges of a node is the one over a row.
        """
        choices = tuple(self.moves(source) for source in self.sources)
        return LogitGroup(GROUP, tuple((node.layer, node.level) for node in self.sources), tuple(MOVES), choices)

    def transitions(self, weights: np.ndarray) -> list[np.ndarray]:
        """β [rows, moves] as matrices [levels of layer l, levels of layer l + 1], zero where there is no edge."""
        matrices = [
            np.zeros((self.highest(layer) + 1, self.highest(layer + 1) + 1), weights.dtype)
            for layer in range(self.layers)
        ]
        for row, source in enumerate(self.sources):
            for move in self.moves(source):
                column = list(MOVES).index(move)
                matrices[source.layer][source.level, source.level + MOVES[move]] = weights[row, column]
        return matrices

    def count_paths(self) -> int:
        """The number of ways from the stem to the last layer."""
        return sum(self._onward(Node(0, 0), {}).values())

    def random_path(self, generator: np.random.Generator) -> tuple[int, ...]:
        """Draw a path, all equally likely."""
        node, path, known = Node(0, 0), [], {}
        for _ in range(self.layers):
            counts = self._onward(node, known)
            numbers = np.array(list(counts.values()), dtype=np.float64)
            node = list(counts)[int(generator.choice(len(counts), p=numbers / numbers.sum()))]
            path.append(node.level)
        return tuple(path)

    def _onward(self, node: Node, known: dict[Node, dict[Node, int]]) -> dict[Node, int]:
        """How many paths lead on through each node that follows; `known` keeps what was counted."""
        if node not in known:
            following = [Node(node.layer + 1, node.level + MOVES[move]) for move in self.moves(node)]
            known[node] = {
                target: sum(self._onward(target, known).values()) if target.layer < self.layers else 1
                for target in following
            }
        return known[node]


def resampled(path: Sequence[int], *, layers: int, levels: int) -> tuple[int, ...]:
    """A path brought to another number of layers and strides, as near to its course as the trellis allows.

    Layer l of the new path aims at the level of the old one in the same share of its depth, at most the last level, and
    moves by one level at most.

    >>> resampled(PATHS["conv_deconv"], layers=6, levels=4)
    (0, 1, 2, 3, 2, 1)
    """
    found, before = [], 0
    for layer in range(layers):
        aim = path[round(layer * (len(path) - 1) / max(layers - 1, 1))]
        before = min(max(aim, before - 1, 0), before + 1, levels - 1)
        found.append(before)
    return tuple(found)


def check_path(path: Sequence[int], *, levels: int | None = None) -> None:
    """Raise a ValueError unless a path begins beside the stem's stride 4 and each step halves, keeps or doubles it.

    With `levels`, no layer may lie beyond the last of so many.
    """
    if not path:
        raise ValueError("path: must not be empty; it lists the level of each layer, 0 for stride 4, 1 for stride 8, …")
    before = 0
    for layer, level in enumerate(path, start=1):
        lowest, highest = max(before - 1, 0), before + 1 if levels is None else min(before + 1, levels - 1)
        if not lowest <= level <= highest:
            raise ValueError(
                f"path: {' '.join(map(str, path))} leaves the trellis: layer {layer} lies at level {level}, "
                f"allowed after level {before} is {lowest} to {highest}."
            )
        before = level
