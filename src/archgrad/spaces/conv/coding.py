"""Between mixtures and genotypes of cells, for every space that consists of them."""

from collections.abc import Mapping, Sequence
from inspect import signature

import torch
from torch import Tensor

from archgrad.arch import NONE, LogitGroup, Mixture, operation_groups
from archgrad.genotype import Cell, Edge, Genotype
from archgrad.spaces.conv.interior import edge_weights
from archgrad.spaces.space import Decoder


def with_edge_weights(groups: Sequence[LogitGroup]) -> tuple[LogitGroup, ...]:
    """The groups, and after them those of the weights of their edges."""
    return *groups, *(group.node_weights() for group in groups)


def decode_edges(
    mixture: Mixture, group: LogitGroup, decoder: Decoder, *, keep: int | None
) -> tuple[tuple[Edge, ...], ...]:
    """Decode one group with a rule of `archgrad.decode`: node by node, the edges kept.

    Where the mixture has weights β of the group's edges, the rule gets β_ij · p_ij,o in place of p, since that is what
    multiplies o(x_i) in the supernet.

    Reference: arXiv:1907.05737, section 3.2, and the public code.

    Raises:
        ValueError: the rule decodes no edges, or what the rule itself refuses.
    """
    check_decoder(decoder)
    weights = mixture[group.name].detach()
    beta = mixture.get(group.node_weights().name)
    ranked = weights if beta is None else weights * edge_weights(beta.detach(), group)[:, None]
    return decoder(ranked.cpu().numpy(), group, keep)


def check_decoder(decoder: Decoder) -> None:
    """Raise a ValueError unless a rule can be called as `decoder(mixture, group, keep)`: one of edges, not of paths."""
    try:
        signature(decoder).bind(None, None, None)
    except TypeError:
        name = getattr(decoder, "__name__", repr(decoder))
        raise ValueError(
            f"decoder: {name} does not decode the edges of a cell (viterbi decodes paths through a trellis); "
            "the nearest valid choice is top_k, and argmax and categorical(generator) are others."
        ) from None


def encode_cells(genotype: Genotype, groups: Sequence[LogitGroup]) -> Mixture:
    """The mixture of hard choices: for an edge's operation 1, and for an edge that is not kept 1 on `none`, or all 0.

    A group of weights of edges gives the edges that its node keeps equal shares, and the others 0: like the mixture of
    a search it sums to one.

    Returns:
        Tensors [edges, candidates] of float32 on the CPU, by group.

    Raises:
        ValueError: the genotype has an edge or an operation that the groups do not have, or lacks a cell.
    """
    cells = {cell.name: cell for cell in genotype.cells}
    mixture: Mixture = {}
    for group in operation_groups(groups):
        if group.name not in cells:
            raise ValueError(f"genotype: has no cell {group.name!r}; it has {sorted(cells)}.")
        mixture[group.name] = _one_hot(cells[group.name], group)
    for group in groups:
        if group.role == "edges":
            cell = next(cell for name, cell in cells.items() if f"{name}_edges" == group.name)
            mixture[group.name] = _shares(cell, group)
    return mixture


def _one_hot(cell: Cell, group: LogitGroup) -> Tensor:
    weights = torch.zeros(group.shape)
    for target, edges in enumerate(cell.nodes, start=cell.inputs):
        for operation, source in edges:
            row = group.edges.index((source, target)) if (source, target) in group.edges else None
            if row is None or operation not in group.choices[row]:
                has = list(group.choices[row]) if row is not None else f"no such edge; its edges are {group.edges}"
                raise ValueError(
                    f"genotype: edge ({source}, {target}) of cell {cell.name!r} is {operation!r}; the space has {has}."
                )
            weights[row, group.candidates.index(operation)] += 1  # a genotype may have an edge twice: both are summed
    for row, names in enumerate(group.choices):
        if NONE in names and not weights[row].any():
            weights[row, group.candidates.index(NONE)] = 1
    return weights


def _shares(cell: Cell, group: LogitGroup) -> Tensor:
    weights = torch.zeros(group.shape)
    for row, edges in enumerate(cell.nodes):
        sources = sorted({edge.source for edge in edges if edge.operation != NONE} or {edge.source for edge in edges})
        weights[row, [group.candidates.index(str(source)) for source in sources]] = 1 / len(sources)
    return weights


def narrowed_choices(
    groups: Sequence[LogitGroup], choices: Mapping[str, tuple[tuple[str, ...], ...]]
) -> dict[str, dict[tuple[int, int], tuple[str, ...]]]:
    """What edges may choose from after narrowing, by group and edge, in the order of the candidates.

    `choices[group][row]` lists the candidates that stay; a group that is not listed stays as it is.

    Raises:
        ValueError: an unknown group, another number of rows, or a candidate that the edge does not have.
    """
    by_name = {group.name: group for group in operation_groups(groups)}
    unknown = sorted(choices.keys() - by_name.keys())
    if unknown:
        raise ValueError(f"choices: has no group {unknown[0]!r}; allowed are {list(by_name)}.")
    found = {}
    for name, group in by_name.items():
        rows = choices.get(name, group.choices)
        if len(rows) != len(group.edges):
            raise ValueError(f"choices: group {name!r} has {len(group.edges)} edges, got {len(rows)} lists.")
        for edge, kept, names in zip(group.edges, rows, group.choices, strict=True):
            if not kept or not set(kept) <= set(names):
                raise ValueError(
                    f"choices: edge {edge} of group {name!r} lists {list(kept)}; "
                    f"allowed is a non-empty subset of {list(names)}."
                )
        found[name] = {
            edge: tuple(candidate for candidate in group.candidates if candidate in kept)
            for edge, kept in zip(group.edges, rows, strict=True)
        }
    return found
