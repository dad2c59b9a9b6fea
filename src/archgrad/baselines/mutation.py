"""Mutations: genotypes of a space that differ from a given one in a single edge."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from archgrad.arch import LogitGroup, operation_groups
from archgrad.genotype import Cell, Edge, Genotype
from archgrad.spaces.space import Space


def mutate(space: Space, genotype: Genotype, generator: np.random.Generator) -> Genotype:
    """Change one edge of a genotype: its operation, or the state it reads.

    Drawn uniformly are, in this order, the cell, the node, the edge, the kind of mutation, and what there will be:
    another operation that the edge has (`none` where it is a choice like any other), or another state that the node
    does not read yet, with the operation unless the new edge does not have it. What offers nothing to draw from is left
    out. The edges of the node are then in order of their source.

    Reference: arXiv:1802.01548. Nodes of its space may read a state twice; here they do not.

    Raises:
        ValueError: the genotype does not belong to the space, its genotypes are not cells with a group of logits each,
            or there is no other genotype.
    """
    groups = _groups(space, genotype)
    tree = [_of_cell(place, cell, groups[cell.name]) for place, cell in enumerate(genotype.cells)]
    branches: Any = [branch for branch in tree if branch]
    if not branches:
        raise ValueError(f"space {space.name!r}: has no genotype that differs from this one in one edge:\n{genotype}")
    while isinstance(branches, list):
        branches = branches[int(generator.integers(len(branches)))]
    place, node, edge, new = branches
    cells = list(genotype.cells)
    cells[place] = _with_edge(cells[place], node, edge, new)
    return replace(genotype, cells=tuple(cells))


def _groups(space: Space, genotype: Genotype) -> dict[str, LogitGroup]:
    """The group of each cell.

    Raises:
        ValueError: there is none, or it has other nodes, so that edges alone do not make the genotype.
    """
    groups = {group.name: group for group in operation_groups(space.groups)}
    for cell in genotype.cells:
        targets = {target for _, target in groups[cell.name].edges} if cell.name in groups else set()
        if space.ensemble or genotype.path or targets != set(range(cell.inputs, cell.inputs + len(cell.nodes))):
            raise ValueError(
                f"space {space.name!r}: mutations are defined for cells whose every node is a row of a group of "
                "logits; the nearest baseline that any space allows is random_search."
            )
    return groups


def _of_cell(place: int, cell: Cell, group: LogitGroup) -> list[Any]:
    """The mutations of a cell, by node, edge, kind and alternative."""
    nodes = []
    for node, edges in enumerate(cell.nodes):
        names = {
            group.edges[row][0]: [group.candidates[o] for o in np.flatnonzero(group.decodable[row])]
            for row in group.entering(cell.inputs + node)
        }
        for edge in edges:
            if edge.operation not in names.get(edge.source, ()):
                raise ValueError(
                    f"genotype: cell {cell.name!r} has {edge} into state {cell.inputs + node}, which the space has not."
                )
        found = [_of_edge(edges, number, names, place=(place, node, number)) for number in range(len(edges))]
        nodes.append([kinds for kinds in found if kinds])
    return [edges for edges in nodes if edges]


def _of_edge(
    edges: Sequence[Edge], number: int, names: dict[int, list[str]], *, place: tuple[int, int, int]
) -> list[Any]:
    """The mutations of an edge by kind, each with the place of the edge."""
    kinds = _operations(edges[number], names), _sources(edges, number, names)
    return [[[(*place, edge) for edge in alternatives] for alternatives in kind] for kind in kinds if kind]


def _operations(edge: Edge, names: dict[int, list[str]]) -> list[list[Edge]]:
    """The edge with each of the other operations that it has."""
    return [[Edge(name, edge.source)] for name in names[edge.source] if name != edge.operation]


def _sources(edges: Sequence[Edge], number: int, names: dict[int, list[str]]) -> list[list[Edge]]:
    """By state that the node does not read yet, the edges from there that one of its edges may become."""
    operation = edges[number].operation
    free = [source for source in names if names[source] and source not in {edge.source for edge in edges}]
    return [
        [Edge(name, source) for name in ([operation] if operation in names[source] else names[source])]
        for source in free
    ]


def _with_edge(cell: Cell, node: int, number: int, new: Edge) -> Cell:
    edges = [*cell.nodes[node]]
    edges[number] = new
    nodes = list(cell.nodes)
    nodes[node] = tuple(sorted(edges, key=lambda edge: edge.source))
    return replace(cell, nodes=tuple(nodes))
