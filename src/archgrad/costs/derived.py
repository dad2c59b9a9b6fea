"""Where the operations of a derived network lie: what costs are read from, and measured on."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from archgrad.arch import NONE, LogitGroup, operation_groups
from archgrad.costs.table import CostTable
from archgrad.genotype import Cell, Edge, Genotype
from archgrad.spaces.space import ImageSpace


@runtime_checkable
class DerivedCell(Protocol):
    """A cell of a derived network: `nodes[i][k]` is the operation of the edge `cell.nodes[i][k]`."""

    cell: Cell
    nodes: nn.ModuleList


class Placed(NamedTuple):
    """An operation of a derived network: candidate o on the edge of that row of a group."""

    group: str
    row: int
    candidate: str
    operation: nn.Module


def placed(network: nn.Module, groups: Mapping[str, LogitGroup]) -> Iterator[Placed]:
    """The operations of all cells, in order.

    Raises:
        ValueError: the network has no cells in which they could be found.
    """
    cells = [module for module in network.modules() if isinstance(module, DerivedCell)]
    if not cells:
        raise ValueError(
            f"space: costs are read from derived networks with cells (attributes `cell` and `nodes`), "
            f"{type(network).__name__} has none; write a CostTable by hand."
        )
    for module in cells:
        group = groups[module.cell.name]
        for target, (edges, operations) in enumerate(
            zip(module.cell.nodes, module.nodes, strict=True), module.cell.inputs
        ):
            assert isinstance(operations, nn.ModuleList)
            for (candidate, source), operation in zip(edges, operations, strict=True):
                yield Placed(group.name, group.edges.index((source, target)), candidate, operation)


def saturated(space: ImageSpace, candidate: str) -> Genotype:
    """The genotype with all edges, each with `candidate` where it has it, and else with another of its candidates.

    No genotype that is decoded keeps all edges, but a network of it can be built, and has each edge in its place.
    """
    example, cells = space.random_genotype(np.random.default_rng(0)), []
    for group in groups_of(space).values():
        chosen = [_choice(group, row, candidate) for row in range(len(group.edges))]
        targets = dict.fromkeys(target for _, target in group.edges)
        nodes = tuple(
            tuple(Edge(chosen[row], group.edges[row][0]) for row in group.entering(target) if chosen[row])
            for target in targets
        )
        shape = example[group.name]
        cells.append(Cell(group.name, nodes, shape.outputs, shape.inputs))
    return Genotype(space.name, tuple(cells))


def on_meta(space: ImageSpace, genotype: Genotype, size: Mapping[str, int]) -> nn.Module:
    """The network of a genotype without memory for its weights, in evaluation mode."""
    with torch.device("meta"):
        return space.network(genotype, **size).eval()


def meta_images(space: Any, image_size: int, batch_size: int = 1) -> Tensor:
    """A batch that has a shape only.

    Raises:
        ValueError: images of that size do not fit the space.
    """
    space.check_data((space.in_channels, image_size, image_size), None)
    return torch.empty(batch_size, space.in_channels, image_size, image_size, device="meta")


def groups_of(space: ImageSpace) -> dict[str, LogitGroup]:
    """The groups of operations by name.

    Raises:
        ValueError: a group is no cell, so that costs do not add up over edges (the path through a trellis, for one).
    """
    groups = {group.name: group for group in operation_groups(space.groups)}
    cells = [cell.name for cell in space.random_genotype(np.random.default_rng(0)).cells]
    if sorted(cells) != sorted(groups):
        raise ValueError(
            f"space: costs add up where each group of logits is a cell; {space.name!r} has the groups {list(groups)} "
            f"and the cells {cells}."
        )
    return groups


def make_table(space: ImageSpace, costs: Mapping[tuple[str, int, str], float], **fields: Any) -> CostTable:
    """The table of a space whose edges cost what `costs` says by group, row and candidate."""
    groups = groups_of(space)
    example = space.random_genotype(np.random.default_rng(0))
    return CostTable(
        space=space.name,
        groups=tuple(groups.values()),
        keep={name: tuple(len(edges) for edges in example[name].nodes) for name in groups},
        outputs={name: example[name].outputs for name in groups},
        values={
            name: tuple(
                tuple(float(costs.get((name, row, candidate), 0.0)) for candidate in group.candidates)
                for row in range(len(group.edges))
            )
            for name, group in groups.items()
        },
        **fields,
    )


def candidates_of(space: ImageSpace) -> tuple[str, ...]:
    """All candidates that may cost something: those that decoding may choose on some edge, but for `none`."""
    names = (
        candidate
        for group in groups_of(space).values()
        for column, candidate in enumerate(group.candidates)
        if candidate != NONE and group.decodable[:, column].any()
    )
    return tuple(dict.fromkeys(names))


def _choice(group: LogitGroup, row: int, candidate: str) -> str:
    """The candidate if the edge may have it, else its first one; "" if it has none that decoding may choose."""
    names = [name for name, allowed in zip(group.candidates, group.decodable[row], strict=True) if allowed]
    return candidate if candidate in names else (names or [""])[0]
