"""The ways in which cells of NAS-Bench-201 are written down, each read and written; see `parse` for the forms.

Node 0 is the cell's input, node 3 its output. A genotype has all six edges, ordered by target, then source.
"""

import ast
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, TypeAlias

from archgrad.checks import one_of
from archgrad.genotype import NASBENCH201, Cell, Edge, Genotype
from archgrad.ops import NASBENCH201_CANDIDATES

CELL = "cell"
"""The name of the group of logits and of the one cell of a genotype."""

NODES = 3
"""Intermediate nodes; each reads all nodes before it."""

EDGES = tuple((source, target) for target in range(1, NODES + 1) for source in range(target))
"""(source, target) of the six edges, in the order of the rows of logits."""

NASLIB_CANDIDATES = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
"""The candidates that NASLib's operation indices 0 … 4 stand for."""

NASLIB_EDGES = tuple(sorted(EDGES))
"""NASLib's order of the edges: by source, then target."""

Structure: TypeAlias = tuple[tuple[tuple[str, int], ...], ...]
"""Node by node, its edges as (operation, source)."""


def parse(text: str | Sequence[Any]) -> Genotype:
    """Read a cell in any of its published forms:

    - the architecture string of NAS-Bench-201 and NATS-Bench, as in their tables;
    - the structure, nested tuples or lists of (operation, source) by node, or such a thing as text, as the authors'
      search code prints it;
    - the six operation indices of NASLib and NAS-Bench-Suite-Zero, or these as text. Their order of edges is by source,
      then target, and their order of operations is not the benchmark's: skip, none, 3×3, 1×1, pool.

    >>> first = parse("|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|none~0|skip_connect~1|nor_conv_3x3~2|")
    >>> print(first)
    cell:
      1 = avg_pool_3x3(0)
      2 = nor_conv_1x1(0) + skip_connect(1)
      3 = none(0) + skip_connect(1) + nor_conv_3x3(2)
      output = 3
    >>> parse("(4, 3, 1, 0, 0, 2)") == parse(structure(first)) == first
    True

    Raises:
        ValueError: the text is none of these forms, or a cell is not one of the 15,625; the message names the node and
            the source, and what is allowed.
    """
    if isinstance(text, str):
        if text.strip().startswith("|"):
            return _of_structure(_split(text.strip()))
        text = _literal(text)
    if text and all(isinstance(entry, int) and not isinstance(entry, bool) for entry in text):
        return _of_indices(tuple(text))
    return _of_structure(text)


def arch_string(genotype: Genotype) -> str:
    """Write a genotype as NAS-Bench-201's tables do: nodes joined by `+`, edges `operation~source` between bars.

    >>> arch_string(parse((0, 0, 0, 0, 0, 0)))
    '|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|'

    Raises:
        ValueError: the genotype is not one of this space.
    """
    return "+".join(f"|{'|'.join(f'{name}~{source}' for name, source in node)}|" for node in structure(genotype))


def structure(genotype: Genotype) -> Structure:
    """Write a genotype as nested tuples of (operation, source); `str` of it is the structure as text.

    Raises:
        ValueError: the genotype is not one of this space.
    """
    check_genotype(genotype)
    return tuple(tuple((operation, source) for operation, source in edges) for edges in genotype[CELL].nodes)


def naslib_indices(genotype: Genotype) -> tuple[int, ...]:
    """Write a genotype as NASLib's six operation indices, edges by source, then target.

    Raises:
        ValueError: the genotype is not one of this space.
    """
    nodes = structure(genotype)
    return tuple(NASLIB_CANDIDATES.index(nodes[target - 1][source][0]) for source, target in NASLIB_EDGES)


def all_genotypes() -> Iterator[Genotype]:
    """All 15,625 genotypes, the candidate of the last edge changing fastest; the benchmark's tables are in other order.

    >>> next(all_genotypes()) == parse((1, 1, 1, 1, 1, 1))  # `none` on every edge
    True
    """
    return map(from_operations, product(NASBENCH201_CANDIDATES, repeat=len(EDGES)))


def from_operations(operations: Sequence[str]) -> Genotype:
    """The genotype with these operations on its six edges, ordered by target, then source."""
    nodes = tuple(
        tuple(
            Edge(operation, source) for operation, (source, end) in zip(operations, EDGES, strict=True) if end == target
        )
        for target in range(1, NODES + 1)
    )
    return Genotype(NASBENCH201, (Cell(CELL, nodes, (NODES,), 1),))


def check_genotype(genotype: Genotype) -> None:
    """Raise a ValueError unless the genotype has one cell with all six edges, in order, and known operations."""
    if not isinstance(genotype, Genotype):
        raise ValueError(f"genotype: must be a Genotype, got {genotype!r}; `parse` makes one of a string.")
    if genotype.space != NASBENCH201:
        raise ValueError(f"genotype: belongs to the space {genotype.space!r}, needed is one of {NASBENCH201!r}.")
    names = [cell.name for cell in genotype.cells]
    if names != [CELL]:
        raise ValueError(f"genotype: needs the one cell {CELL!r}, got {names}.")
    cell = genotype[CELL]
    if (cell.inputs, cell.outputs) != (1, (NODES,)):
        raise ValueError(
            f"genotype: needs 1 input and the output {NODES}, got {cell.inputs} inputs and the outputs {cell.outputs}."
        )
    _check_nodes(cell.nodes, "genotype")


def _check_nodes(nodes: Sequence[Any], argument: str) -> None:
    """Raise a ValueError unless `nodes` are three, with 1, 2 and 3 pairs (operation, source) in order of source."""
    if len(nodes) != NODES:
        raise ValueError(f"{argument}: has {len(nodes)} nodes, needed are {NODES}.")
    for target, edges in enumerate(nodes, start=1):
        if not isinstance(edges, tuple | list) or len(edges) != target:
            raise ValueError(f"{argument}: node {target} needs {target} edges, from 0 to {target - 1}, got {edges!r}.")
        for source, edge in enumerate(edges):
            if not isinstance(edge, tuple | list) or len(edge) != 2:
                raise ValueError(
                    f"{argument}: node {target}, edge {source}: must be (operation, source), got {edge!r}."
                )
            if edge[1] != source:
                raise ValueError(
                    f"{argument}: node {target}, edge {source}: reads node {edge[1]!r}, allowed is {source}; "
                    "edges are in order of their source, and none is left out."
                )
            one_of(f"{argument}: node {target}, source {source}", str(edge[0]), NASBENCH201_CANDIDATES)


def _of_structure(nodes: Sequence[Any]) -> Genotype:
    _check_nodes(nodes, "architecture")
    return from_operations([operation for edges in nodes for operation, _ in edges])


def _of_indices(indices: tuple[int, ...]) -> Genotype:
    if len(indices) != len(EDGES):
        raise ValueError(f"architecture: {len(indices)} operation indices, needed are {len(EDGES)}, one for each edge.")
    for (source, target), index in zip(NASLIB_EDGES, indices, strict=True):
        if not 0 <= index < len(NASLIB_CANDIDATES):
            raise ValueError(
                f"architecture: the index of edge {source} -> {target} is {index}; allowed is 0 to "
                f"{len(NASLIB_CANDIDATES) - 1}, for {', '.join(NASLIB_CANDIDATES)}."
            )
    operations = {edge: NASLIB_CANDIDATES[index] for edge, index in zip(NASLIB_EDGES, indices, strict=True)}
    return from_operations([operations[edge] for edge in EDGES])


def _split(text: str) -> list[list[tuple[str, int]]]:
    """Split an architecture string into nodes and edges, which are not checked yet."""
    nodes = []
    for target, node in enumerate(text.split("+"), start=1):
        if not (len(node) > 2 and node.startswith("|") and node.endswith("|")):
            raise ValueError(f"architecture: node {target} must be |operation~source|…|, got {node!r}.")
        edges = []
        for place, word in enumerate(node[1:-1].split("|")):
            operation, separator, source = word.partition("~")
            if not separator or not source.isdecimal():
                raise ValueError(
                    f"architecture: node {target}, edge {place}: must be operation~source, "
                    f"such as nor_conv_3x3~{place}, got {word!r}."
                )
            edges.append((operation, int(source)))
        nodes.append(edges)
    return nodes


def _literal(text: str) -> Sequence[Any]:
    try:
        value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        value = None
    if not isinstance(value, tuple | list):
        raise ValueError(
            f"architecture: {text!r} cannot be read; needed is a string such as |nor_conv_3x3~0|+|…|…|+|…|…|…|, "
            "nested tuples of (operation, source), or six operation indices of NASLib."
        )
    return value
