"""The layout of a small directed graph, drawn in layers from left to right, in inches.

A label is an item of the layered graph, in a column of its own before the column of its target, and a long edge keeps
a free lane in every column that it passes. Labels, vertices and foreign edges therefore cannot meet: no pass has to
push them apart afterwards. The steps are those of K. Sugiyama, S. Tagawa and M. Toda, "Methods for Visual
Understanding of Hierarchical System Structures" (1981): layers, order, coordinates, curves.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

SWEEPS = 12
"""Passes over the layers that look for an order with fewer crossings."""

SETTLE = 60
"""Passes over the layers that settle the heights."""

CLEARANCE = 0.13
"""Free height above and below a vertex, in inches; labels and lanes need less."""

PITCH = 0.1
"""Distance between edges that touch the same side of a vertex, in inches, as far as there is room."""


class Point(NamedTuple):
    """A point, in inches from the lower left corner."""

    x: float
    y: float


class Size(NamedTuple):
    """The width and height of a box, in inches."""

    width: float
    height: float


class Link(NamedTuple):
    """A directed edge between two vertices, with the size of its label if it has one."""

    source: int
    target: int
    label: Size | None


@dataclass(frozen=True)
class Layout:
    """Where everything goes.

    `vertices[i]` is the centre of vertex i, `labels[j]` the centre of the label of link j (None without a label), and
    `curves[j]` its course: the points between which it runs, horizontal at each of them.
    """

    size: Size
    vertices: tuple[Point, ...]
    labels: tuple[Point | None, ...]
    curves: tuple[tuple[Point, ...], ...]


@dataclass
class _Item:
    """A vertex, a label or the lane of a passing edge (of height zero), in one layer."""

    layer: int
    size: Size
    gap: float
    y: float = 0.0


class _Graph:
    """The layered graph: vertices come first among `items`; `chains[j]` are the items of link j from end to end."""

    def __init__(self, vertices: Sequence[Size], links: Sequence[Link], late: Collection[int]) -> None:
        layers = _layers(len(vertices), links, late)
        self.items = [_Item(layer, size, CLEARANCE) for layer, size in zip(layers, vertices, strict=True)]
        self.links = links
        self.chains: list[list[int]] = []
        for link in links:
            chain = [link.source]
            for layer in range(layers[link.source] + 1, layers[link.target]):
                labelled = link.label is not None and layer == layers[link.target] - 1
                size = link.label if labelled and link.label is not None else Size(0.0, 0.0)
                chain.append(len(self.items))
                self.items.append(_Item(layer, size, 0.7 * CLEARANCE))
            self.chains.append([*chain, link.target])
        self.columns: list[list[int]] = [[] for _ in range(max(layers) + 1)]
        for index, item in enumerate(self.items):
            self.columns[item.layer].append(index)
        self.before: list[list[int]] = [[] for _ in self.items]
        self.after: list[list[int]] = [[] for _ in self.items]
        for chain in self.chains:
            for start, end in pairwise(chain):
                self.after[start].append(end)
                self.before[end].append(start)


def arrange(vertices: Sequence[Size], links: Sequence[Link], *, late: Collection[int] = ()) -> Layout:
    """Lay out a graph whose links lead from lower to higher vertices; the last vertex stands alone on the right.

    Args:
        vertices: the size of every vertex.
        links: the edges; parallel edges are kept apart.
        late: vertices without an incoming link that stand just before what they lead to, not on the left.

    Raises:
        ValueError: a link does not lead from a lower to a higher vertex.

    >>> layout = arrange([Size(1.0, 1.0)] * 3, [Link(0, 1, Size(2.0, 0.5)), Link(1, 2, None)])
    >>> layout.vertices[0].x < layout.labels[0].x < layout.vertices[1].x
    True
    """
    for link in links:
        if not 0 <= link.source < link.target < len(vertices):
            raise ValueError(f"links: {link} must lead from a lower to a higher of {len(vertices)} vertices.")
    graph = _Graph(vertices, links, late)
    _order(graph)
    _settle(graph)
    leaving, entering = _ports(graph, side=0), _ports(graph, side=-1)
    for chain, start in zip(graph.chains, leaving, strict=True):
        _straighten(graph, chain, start)
    return _coordinates(graph, len(vertices), leaving, entering)


def _layers(count: int, links: Sequence[Link], late: Collection[int]) -> list[int]:
    """The longest path to each vertex, doubled to leave the odd layers to labels; the last vertex is the output."""
    layers = [0] * count
    for link in sorted(links, key=lambda link: link.target):
        layers[link.target] = max(layers[link.target], layers[link.source] + 2)
    labelled = any(link.label is not None for link in links if link.target == count - 1)
    layers[-1] = max(layers[:-1], default=-1) + (2 if labelled else 1)
    for vertex in late:
        nearest = min((layers[link.target] for link in links if link.source == vertex), default=1)
        layers[vertex] = (nearest - 1) // 2 * 2
    return layers


def _order(graph: _Graph) -> None:
    """Order the columns to cross few edges: barycentres and swaps of neighbours, the best order seen is kept."""
    best = [list(column) for column in graph.columns]
    fewest = _all_crossings(graph)
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        for layer in range(len(graph.columns)) if forward else reversed(range(len(graph.columns))):
            neighbours = graph.before if forward else graph.after
            rank = {index: place for column in graph.columns for place, index in enumerate(column)}
            column = graph.columns[layer]
            centres = {index: _barycentre(index, neighbours[index], rank) for index in column}
            column.sort(key=centres.__getitem__)
        _swap(graph)
        crossings = _all_crossings(graph)
        if crossings < fewest:
            best, fewest = [list(column) for column in graph.columns], crossings
    graph.columns = best
    first, *others = sorted(graph.columns[0]) or [0]
    if others and graph.columns[0].index(first) > graph.columns[0].index(others[0]):
        # A mirrored picture crosses as often, and the first input belongs above the second.
        graph.columns = [column[::-1] for column in graph.columns]


def _barycentre(index: int, near: Sequence[int], rank: dict[int, int]) -> float:
    """The mean place of an item's neighbours, or its own place without any."""
    return sum(rank[other] for other in near) / len(near) if near else float(rank[index])


def _swap(graph: _Graph) -> None:
    """Swap neighbours in a column while that saves crossings."""
    rank = {index: place for column in graph.columns for place, index in enumerate(column)}
    improved = True
    while improved:
        improved = False
        for column in graph.columns:
            for place in range(len(column) - 1):
                upper, lower = column[place], column[place + 1]
                saved = sum(
                    _crossings([rank[i] for i in near[upper]], [rank[i] for i in near[lower]])
                    - _crossings([rank[i] for i in near[lower]], [rank[i] for i in near[upper]])
                    for near in (graph.before, graph.after)
                )
                if saved > 0:
                    column[place], column[place + 1] = lower, upper
                    rank[upper], rank[lower] = rank[lower], rank[upper]
                    improved = True


def _crossings(upper: Sequence[int], lower: Sequence[int]) -> int:
    """How many edges cross between an item and the one below it, given the ranks of their neighbours on one side."""
    return sum(above > below for above in upper for below in lower)


def _all_crossings(graph: _Graph) -> int:
    rank = {index: place for column in graph.columns for place, index in enumerate(column)}
    near = [[rank[other] for other in others] for others in graph.after]
    return sum(
        _crossings(near[upper], near[lower])
        for column in graph.columns
        for place, upper in enumerate(column)
        for lower in column[place + 1 :]
    )


def _settle(graph: _Graph) -> None:
    """Pull every item towards its neighbours, under the order and the distances within its column; y points down."""
    passing = [item.size.height == 0.0 for item in graph.items]
    for column in graph.columns:
        below = 0.0
        for index in column:
            item = graph.items[index]
            item.y = below + item.gap + item.size.height / 2
            below = item.y + item.size.height / 2 + item.gap

    def pull(index: int, sides: Sequence[list[list[int]]]) -> tuple[float, float]:
        # The weights 1, 2 and 8 of Gansner et al., "A Technique for Drawing Directed Graphs" (1993): lanes hold on to
        # each other more strongly than boxes, which keeps long edges straight.
        near = [
            (graph.items[other].y, (1.0, 2.0, 8.0)[passing[index] + passing[other]])
            for side in sides
            for other in side[index]
        ]
        weight = sum(w for _, w in near)
        return (sum(y * w for y, w in near) / weight, weight) if near else (graph.items[index].y, 0.1)

    both = (graph.before, graph.after)
    for step in range(SETTLE):
        columns = graph.columns if step % 2 == 0 else graph.columns[::-1]
        for column in columns:
            _place(graph, column, [pull(index, both) for index in column])


def _place(graph: _Graph, column: Sequence[int], wishes: Sequence[tuple[float, float]]) -> None:
    """Place a column next to its wishes (height, weight) in least squares: isotonic regression by pooling."""
    offsets, reach = [], 0.0
    for place, index in enumerate(column):
        if place:
            reach += _distance(graph, column[place - 1], index)
        offsets.append(reach)
    blocks: list[tuple[float, float, int]] = []
    for (wish, weight), offset in zip(wishes, offsets, strict=True):
        mean, total, count = wish - offset, weight, 1
        while blocks and blocks[-1][0] > mean:
            other, mass, members = blocks.pop()
            mean = (mean * total + other * mass) / (total + mass)
            total, count = total + mass, count + members
        blocks.append((mean, total, count))
    means = [mean for mean, _, count in blocks for _ in range(count)]
    for index, mean, offset in zip(column, means, offsets, strict=True):
        graph.items[index].y = mean + offset


def _ports(graph: _Graph, *, side: int) -> list[float]:
    """Where each chain touches its first (side 0) or last (side −1) vertex: offsets from the vertex's centre.

    Chains touch a vertex in the order of the items next to it, so that they do not cross there.
    """
    inner = 1 if side == 0 else -2
    rank = {index: place for column in graph.columns for place, index in enumerate(column)}
    groups: dict[int, list[tuple[int, int]]] = {}
    for number, chain in enumerate(graph.chains):
        groups.setdefault(chain[side], []).append((rank[chain[inner]], number))
    offsets = [0.0] * len(graph.chains)
    for vertex, group in groups.items():
        pitch = min(PITCH, 0.66 * graph.items[vertex].size.height / max(len(group) - 1, 1))
        for place, (_, number) in enumerate(sorted(group)):
            offsets[number] = pitch * (place - (len(group) - 1) / 2)
    return offsets


def _straighten(graph: _Graph, chain: Sequence[int], start: float) -> None:
    """Let a chain run straight through its lanes as far as their columns leave room, and bend as late as it can."""
    height = graph.items[chain[0]].y + start
    run: list[int] = []
    low, high = float("-inf"), float("inf")
    for index in chain[1:-1]:
        floor, ceiling = _room(graph, index)
        if max(low, floor) > min(high, ceiling):
            height = _level(graph, run, min(max(height, low), high))
            run, low, high = [], float("-inf"), float("inf")
        run.append(index)
        low, high = max(low, floor), min(high, ceiling)
    _level(graph, run, min(max(height, low), high))


def _level(graph: _Graph, run: Sequence[int], height: float) -> float:
    for index in run:
        graph.items[index].y = height
    return height


def _room(graph: _Graph, index: int) -> tuple[float, float]:
    """Between which heights an item can move while the rest of its column stays."""
    column = graph.columns[graph.items[index].layer]
    place = column.index(index)
    low, high = float("-inf"), float("inf")
    if place:
        low = graph.items[column[place - 1]].y + _distance(graph, column[place - 1], index)
    if place + 1 < len(column):
        high = graph.items[column[place + 1]].y - _distance(graph, index, column[place + 1])
    return min(low, graph.items[index].y), max(high, graph.items[index].y)  # rounding must not empty the interval


def _distance(graph: _Graph, upper: int, lower: int) -> float:
    """The least distance between the centres of neighbours in a column."""
    above, below = graph.items[upper], graph.items[lower]
    return (above.size.height + below.size.height) / 2 + max(above.gap, below.gap)


def _coordinates(graph: _Graph, vertices: int, leaving: Sequence[float], entering: Sequence[float]) -> Layout:
    """Choose the columns' places, flip y upwards, and route the curves."""
    items = graph.items
    top = min(item.y - item.size.height / 2 for item in items)
    height = max(item.y + item.size.height / 2 for item in items) - top
    lefts, rights, x = [], [], 0.0
    for layer, column in enumerate(graph.columns):
        steepest = max((abs(items[i].y - items[j].y) for i in column for j in graph.before[i]), default=0.0)
        x += min(max(0.38, 0.42 * steepest), 1.1) if layer else 0.0
        lefts.append(x)
        x += max(items[index].size.width for index in column)
        rights.append(x)
    centres = [Point((lefts[item.layer] + rights[item.layer]) / 2, height - (item.y - top)) for item in items]
    curves = []
    for number, chain in enumerate(graph.chains):
        first, last = chain[0], chain[-1]
        start, end = centres[first].y - leaving[number], centres[last].y - entering[number]
        points = [
            Point(centres[first].x + items[first].size.width / 2, start),
            Point(rights[items[first].layer], start),
        ]
        for index in chain[1:-1]:
            layer = items[index].layer
            points += [Point(lefts[layer], centres[index].y), Point(rights[layer], centres[index].y)]
        points += [Point(lefts[items[last].layer], end), Point(centres[last].x - items[last].size.width / 2, end)]
        curves.append(tuple(point for place, point in enumerate(points) if not place or point != points[place - 1]))
    labels = tuple(
        centres[chain[-2]] if link.label is not None else None
        for link, chain in zip(graph.links, graph.chains, strict=True)
    )
    return Layout(Size(x, height), tuple(centres[:vertices]), labels, tuple(curves))
