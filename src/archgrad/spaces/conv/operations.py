"""Which weights of a supernet belong to which candidate of which edge, and how another supernet takes them over.

Both work on any supernet with a list `cells`, in which a module that contains bundles (`bundle.Bundle`) is a cell, and
with `cell_groups`, the group of each cell. Modules of that list without bundles stand between cells.
"""

from collections.abc import Iterator
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from archgrad.arch import OperationKey, Slice
from archgrad.spaces.conv.bundle import Bundle


class Part(NamedTuple):
    """The parameters of one module of `cells`, or of what is around them; `place` names it across supernets."""

    place: tuple[str | int, ...]
    prefix: str
    cell: int | None


def operations_of(supernet: nn.Module) -> dict[OperationKey, tuple[Slice, ...]]:
    """The weights of each candidate: cell, row and candidate -> rows of dimension 0 of named parameters.

    The grouped weights of K edges are edge-major: of K·n rows, the n from m·n on are those of the edge that is number m
    (from 0) among the edges that have the candidate. Candidates without weights are not listed. Slices do not overlap,
    and together they are all weights of all candidates.

    >>> from archgrad.spaces import ConvCellSpace
    >>> space = ConvCellSpace(channels=4, layers=3, candidates=("none", "skip_connect", "sep_conv_3x3"))
    >>> operations = operations_of(space.supernet())
    >>> for parameter, start, stop in operations[OperationKey(0, 2, "sep_conv_3x3")][:2]:  # edge (0, 3)
    ...     print(parameter, start, stop)
    cells.0.interior.bundles.0.operations.sep_conv_3x3.body.0.weight 4 8
    cells.0.interior.bundles.0.operations.sep_conv_3x3.body.1.weight 4 8

    Raises:
        ValueError: the supernet has no bundles, as with the engine "per_edge".
    """
    operations: dict[OperationKey, tuple[Slice, ...]] = {}
    for part in _parts(supernet):
        if part.cell is None:
            continue
        for path, bundle in _bundles(supernet, part.prefix):
            for row, candidate, member in _entries(bundle):
                named = bundle.operations.get_submodule(candidate).named_parameters(
                    prefix=f"{path}.operations.{candidate}"
                )
                copies = len(bundle.members[candidate])
                slices = tuple(_slice(name, parameter, member, copies) for name, parameter in named)
                if slices:
                    operations[OperationKey(part.cell, row, candidate)] = slices
    return operations


@torch.no_grad()
def adopt(supernet: nn.Module, other: nn.Module) -> None:
    """Copy into `supernet` the weights of `other` that both have: stem, cells' inputs, operations, classifier.

    Cells correspond by their group and their position within a stretch of equal width: the i-th normal cell between two
    reductions takes over the i-th one there, however many there are. Cells, edges and candidates that `other` does not
    have keep their initialisation, and so does what has another shape; operations of another width (1/K of the channels
    with another K) take over the leading block of every dimension, since the channels that an operation reads are the
    first ones.

    Differs from arXiv:2006.10355, section 3.3, for operations that grow: there the new filters are copies of randomly
    chosen old ones, here they are fresh. Neither keeps the function, since the new inputs are other channels, and
    copies would have to part from each other first.

    Raises:
        ValueError: there is nothing that both have.
    """
    ours, theirs = _pieces(supernet), _pieces(other)
    common = [key for key in ours if key in theirs]
    if not common:
        raise ValueError(
            "other: has no weights in common with this supernet; adopt from one of the same kind of space."
        )
    for key in common:
        target, source = ours[key], theirs[key]
        if isinstance(key, _OperationPiece):
            block = tuple(slice(min(sizes)) for sizes in zip(target.shape, source.shape, strict=True))
            target[block].copy_(source[block])
        elif target.shape == source.shape:
            target.copy_(source)


class _OperationPiece(NamedTuple):
    """One parameter's rows of one candidate of one edge."""

    place: tuple[str | int, ...]
    row: int
    candidate: str
    name: str


class _OtherPiece(NamedTuple):
    """A parameter that belongs to no candidate."""

    place: tuple[str | int, ...]
    name: str


def _pieces(supernet: nn.Module) -> dict[_OperationPiece | _OtherPiece, Tensor]:
    """All weights, by names that do not depend on how many cells, edges and candidates there are beside them."""
    parts = _parts(supernet)
    places = {part.cell: part.place for part in parts if part.cell is not None}
    parameters = {name: parameter.detach() for name, parameter in supernet.named_parameters()}
    pieces: dict[_OperationPiece | _OtherPiece, Tensor] = {}
    sliced: set[str] = set()
    for (cell, row, candidate), slices in operations_of(supernet).items():
        for parameter, start, stop in slices:
            name = parameter.partition(f".operations.{candidate}.")[2]
            pieces[_OperationPiece(places[cell], row, candidate, name)] = parameters[parameter][start:stop]
            sliced.add(parameter)
    for name in parameters.keys() - sliced:
        part = next((part for part in parts if name.startswith(part.prefix)), Part((), "", None))
        pieces[_OtherPiece(part.place, name.removeprefix(part.prefix))] = parameters[name]
    return pieces


def _parts(supernet: nn.Module) -> list[Part]:
    """The modules of `cells` with their places: (group, stretch, position), or (position,) where they are no cell."""
    groups = iter(cast(tuple[str, ...], supernet.cell_groups))
    parts: list[Part] = []
    counts: dict[tuple[str | int, ...], int] = {}
    width, stretch, cells = None, -1, 0
    for index, _ in enumerate(cast(nn.ModuleList, supernet.cells)):
        prefix = f"cells.{index}."
        bundle = next((bundle for _, bundle in _bundles(supernet, prefix)), None)
        if bundle is not None and bundle.channels != width:
            width, stretch = bundle.channels, stretch + 1
        among = () if bundle is None else (next(groups), stretch)
        position = counts.setdefault(among, 0)
        counts[among] += 1
        parts.append(Part((*among, position), prefix, None if bundle is None else cells))
        cells += bundle is not None
    if not cells:
        raise ValueError("engine: only the supernet of the engine 'bundled' lists its operations.")
    return parts


def _bundles(supernet: nn.Module, prefix: str) -> Iterator[tuple[str, Bundle]]:
    """The bundles below a module, with their full names."""
    for name, module in supernet.get_submodule(prefix[:-1]).named_modules():
        if isinstance(module, Bundle):
            yield prefix + name, module


def _entries(bundle: Bundle) -> Iterator[tuple[int, str, int]]:
    """Row, candidate, and the edge's number among those that have the candidate."""
    for candidate, members in bundle.members.items():
        for member, edge in enumerate(members):
            yield bundle.row_numbers[edge], candidate, member


def _slice(name: str, parameter: Tensor, member: int, copies: int) -> Slice:
    rows = len(parameter) // copies
    return Slice(name, member * rows, (member + 1) * rows)
