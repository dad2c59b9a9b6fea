"""Discrete architectures: what a search finds and what a network is built from.

A genotype is frozen and hashable, reads and writes JSON, prints as a table of nodes, and needs no search space to be
stored, compared or drawn. The published genotypes stand at the end as literals.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from archgrad.checks import one_of
from archgrad.files import read_document

FORMAT = "archgrad.genotype"
VERSION = 1

CONV_CELL = "conv_cell"
"""The space of convolutional cells, as genotypes name it."""

NASBENCH201 = "nasbench201"
"""The space of NAS-Bench-201's cells, as genotypes name it."""

RECURRENT_CELL = "recurrent_cell"
"""The space of recurrent cells, as genotypes name it."""

TRELLIS = "trellis"
"""The space of cells and paths through a trellis, as genotypes name it."""


class Edge(NamedTuple):
    """An operation applied to an earlier state of the cell."""

    operation: str
    source: int

    def __str__(self) -> str:
        return f"{self.operation}({self.source})"


@dataclass(frozen=True)
class Cell:
    """A decoded cell: states 0 … inputs−1 are its inputs, state inputs+i is the sum of the edges in `nodes[i]`.

    `outputs` lists the states which the cell's output is made of: concatenated in convolutional cells, averaged in
    recurrent ones. The one input of a recurrent cell is its initial state, made of x_t and h_{t−1}.

    Raises:
        ValueError: a node reads a state that comes later or does not exist, or an output is no state.
    """

    name: str
    nodes: tuple[tuple[Edge, ...], ...]
    outputs: tuple[int, ...]
    inputs: int = 2

    def __post_init__(self) -> None:
        if not self.nodes or not self.outputs:
            raise ValueError(f"cell {self.name!r}: nodes and outputs must not be empty.")
        for state, edges in enumerate(self.nodes, start=self.inputs):
            if not edges:
                raise ValueError(f"cell {self.name!r}: state {state} has no incoming edge.")
            for edge in edges:
                if not 0 <= edge.source < state:
                    raise ValueError(
                        f"cell {self.name!r}: state {state} reads state {edge.source}; allowed is 0 to {state - 1}."
                    )
        last = self.inputs + len(self.nodes) - 1
        for state in self.outputs:
            if not 0 <= state <= last:
                raise ValueError(f"cell {self.name!r}: output {state} is no state; allowed is 0 to {last}.")

    @property
    def operations(self) -> tuple[str, ...]:
        """The operation of every edge, in order."""
        return tuple(edge.operation for edges in self.nodes for edge in edges)

    def __str__(self) -> str:
        rows = (
            f"  {state} = {' + '.join(map(str, edges))}" for state, edges in enumerate(self.nodes, start=self.inputs)
        )
        return "\n".join([f"{self.name}:", *rows, f"  output = {', '.join(map(str, self.outputs))}"])


@dataclass(frozen=True)
class Genotype:
    """The cells of a decoded architecture, and the name of the space that can build it.

    `path` is where in a trellis each layer lies, as the level of its stride: 0 is stride 4, 1 stride 8, and so on.
    Spaces that search cells alone have none.

    >>> print(DARTS_V2["normal"])
    normal:
      2 = sep_conv_3x3(0) + sep_conv_3x3(1)
      3 = sep_conv_3x3(0) + sep_conv_3x3(1)
      4 = sep_conv_3x3(1) + skip_connect(0)
      5 = skip_connect(0) + dil_conv_3x3(2)
      output = 2, 3, 4, 5
    >>> Genotype.from_json(DARTS_V2.to_json()) == DARTS_V2
    True
    """

    space: str
    cells: tuple[Cell, ...]
    path: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for layer, level in enumerate(self.path, start=1):
            if level < 0:
                raise ValueError(f"path: layer {layer} lies at level {level}; allowed is 0 and above.")

    def __getitem__(self, name: str) -> Cell:
        for cell in self.cells:
            if cell.name == name:
                return cell
        raise KeyError(f"genotype of {self.space!r} has no cell {name!r}; it has {[cell.name for cell in self.cells]}")

    def __str__(self) -> str:
        path = [f"path: {' '.join(map(str, self.path))}"] if self.path else []
        return "\n".join([*map(str, self.cells), *path])

    def to_json(self) -> str:
        """Write the genotype as JSON, with its format and version."""
        cells = {
            cell.name: {
                "inputs": cell.inputs,
                "nodes": [[list(edge) for edge in edges] for edges in cell.nodes],
                "outputs": list(cell.outputs),
            }
            for cell in self.cells
        }
        path = {"path": list(self.path)} if self.path else {}
        document = {"format": FORMAT, "version": VERSION, "space": self.space, "cells": cells, **path}
        return json.dumps(document, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Genotype":
        """Read what `to_json` wrote.

        Raises:
            ValueError: the text is no JSON, no genotype, of a newer version, or does not describe cells.
        """
        document = read_document(text, "genotype", format=FORMAT, version=VERSION)
        try:
            space = document["space"]
            if not isinstance(space, str):
                raise TypeError(f"space is {space!r}")
            cells = tuple(_read_cell(name, cell) for name, cell in document["cells"].items())
            return cls(space, cells, _read_path(document.get("path", [])))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"genotype: broken, missing or malformed entry ({error!r}).") from error


def _read_cell(name: str, cell: dict[str, Any]) -> Cell:
    nodes = tuple(tuple(_read_edge(*edge) for edge in edges) for edges in cell["nodes"])
    return Cell(name, nodes, tuple(_read_state(state) for state in cell["outputs"]), _read_state(cell["inputs"]))


def _read_path(path: object) -> tuple[int, ...]:
    if not isinstance(path, list) or any(type(level) is not int for level in path):
        raise ValueError(f"genotype: path must be a list of whole numbers, the level of each layer, got {path!r}.")
    return tuple(path)


def _read_edge(operation: object, source: object) -> Edge:
    if not isinstance(operation, str):
        raise TypeError(f"operation {operation!r}")
    return Edge(operation, _read_state(source))


def _read_state(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"state {value!r}")
    return value


def _cell(name: str, nodes: str, outputs: Sequence[int], *, inputs: int = 2) -> Cell:
    """Read a cell from the compact notation of the papers: edges `operation source`, nodes separated by `|`."""
    words = [node.split() for node in nodes.split("|")]
    pairs = [zip(node[::2], node[1::2], strict=True) for node in words]
    edges = tuple(tuple(Edge(operation, int(source)) for operation, source in node) for node in pairs)
    return Cell(name, edges, tuple(outputs), inputs)


def _convolutional(normal: Cell, reduce: Cell) -> Genotype:
    return Genotype(CONV_CELL, (normal, reduce))


def _recurrent(nodes: str, outputs: Sequence[int]) -> Genotype:
    return Genotype(RECURRENT_CELL, (_cell("recurrent", nodes, outputs, inputs=1),))


NASNET = _convolutional(
    _cell(
        "normal",
        "sep_conv_5x5 1 sep_conv_3x3 0 | sep_conv_5x5 0 sep_conv_3x3 0 | avg_pool_3x3 1 skip_connect 0 "
        "| avg_pool_3x3 0 avg_pool_3x3 0 | sep_conv_3x3 1 skip_connect 1",
        (2, 3, 4, 5, 6),
    ),
    _cell(
        "reduce",
        "sep_conv_5x5 1 sep_conv_7x7 0 | max_pool_3x3 1 sep_conv_7x7 0 | avg_pool_3x3 1 sep_conv_5x5 0 "
        "| skip_connect 3 avg_pool_3x3 2 | sep_conv_3x3 2 max_pool_3x3 1",
        (4, 5, 6),
    ),
)
"""NASNet-A, arXiv:1707.07012, as the DARTS code writes it."""

AMOEBANET = _convolutional(
    _cell(
        "normal",
        "avg_pool_3x3 0 max_pool_3x3 1 | sep_conv_3x3 0 sep_conv_5x5 2 | sep_conv_3x3 0 avg_pool_3x3 3 "
        "| sep_conv_3x3 1 skip_connect 1 | skip_connect 0 avg_pool_3x3 1",
        (4, 5, 6),
    ),
    _cell(
        "reduce",
        "avg_pool_3x3 0 sep_conv_3x3 1 | max_pool_3x3 0 sep_conv_7x7 2 | sep_conv_7x7 0 avg_pool_3x3 1 "
        "| max_pool_3x3 0 max_pool_3x3 1 | conv_7x1_1x7 0 sep_conv_3x3 5",
        (3, 4, 6),
    ),
)
"""AmoebaNet-A, arXiv:1802.01548, as the DARTS code writes it."""

DARTS_V1 = _convolutional(
    _cell(
        "normal",
        "sep_conv_3x3 1 sep_conv_3x3 0 | skip_connect 0 sep_conv_3x3 1 "
        "| skip_connect 0 sep_conv_3x3 1 | sep_conv_3x3 0 skip_connect 2",
        (2, 3, 4, 5),
    ),
    _cell(
        "reduce",
        "max_pool_3x3 0 max_pool_3x3 1 | skip_connect 2 max_pool_3x3 0 "
        "| max_pool_3x3 0 skip_connect 2 | skip_connect 2 avg_pool_3x3 0",
        (2, 3, 4, 5),
    ),
)
"""First-order DARTS, arXiv:1806.09055, the public code's best of four searches."""

DARTS_V2 = _convolutional(
    _cell(
        "normal",
        "sep_conv_3x3 0 sep_conv_3x3 1 | sep_conv_3x3 0 sep_conv_3x3 1 "
        "| sep_conv_3x3 1 skip_connect 0 | skip_connect 0 dil_conv_3x3 2",
        (2, 3, 4, 5),
    ),
    _cell(
        "reduce",
        "max_pool_3x3 0 max_pool_3x3 1 | skip_connect 2 max_pool_3x3 1 "
        "| max_pool_3x3 0 skip_connect 2 | skip_connect 2 max_pool_3x3 1",
        (2, 3, 4, 5),
    ),
)
"""Second-order DARTS, arXiv:1806.09055, Figures 4 and 5."""

ENAS_RECURRENT = _recurrent(
    "tanh 0 | tanh 1 | relu 1 | tanh 3 | tanh 3 | relu 3 | relu 4 | relu 7 | relu 8 | relu 8 | relu 8",
    (2, 5, 6, 9, 10, 11),
)
"""The recurrent cell of ENAS, arXiv:1802.03268, as the DARTS code writes it."""

DARTS_V1_RECURRENT = _recurrent(
    "relu 0 | relu 1 | tanh 2 | relu 3 | relu 4 | identity 1 | relu 5 | relu 1",
    range(1, 9),
)
"""The recurrent cell of first-order DARTS, arXiv:1806.09055, as the public code writes it."""

DARTS_V2_RECURRENT = _recurrent(
    "sigmoid 0 | relu 1 | relu 1 | identity 1 | tanh 2 | sigmoid 5 | tanh 3 | relu 5",
    range(1, 9),
)
"""The recurrent cell of second-order DARTS, arXiv:1806.09055, as the public code writes it."""

AUTO_DEEPLAB = Genotype(
    TRELLIS,
    (
        _cell(
            "cell",
            "atrous_conv_5x5 1 sep_conv_3x3 0 | sep_conv_3x3 1 atrous_conv_3x3 0 | sep_conv_3x3 3 sep_conv_3x3 1 "
            "| sep_conv_5x5 4 sep_conv_5x5 2 | sep_conv_5x5 3 atrous_conv_5x5 5",
            range(2, 7),
        ),
    ),
    (0, 0, 0, 1, 2, 1, 2, 2, 3, 3, 2, 1),
)
"""Auto-DeepLab, arXiv:1901.02985, Figure 3 and the authors' released network; input 0 is H^{l-1}, input 1 H^{l-2}."""

PUBLISHED = {
    "NASNET": NASNET,
    "AMOEBANET": AMOEBANET,
    "DARTS_V1": DARTS_V1,
    "DARTS_V2": DARTS_V2,
    "ENAS_RECURRENT": ENAS_RECURRENT,
    "DARTS_V1_RECURRENT": DARTS_V1_RECURRENT,
    "DARTS_V2_RECURRENT": DARTS_V2_RECURRENT,
    "AUTO_DEEPLAB": AUTO_DEEPLAB,
}
"""The published genotypes by name, of all spaces."""


def published(space: str) -> dict[str, Genotype]:
    """Return the published genotypes of one space by name.

    Raises:
        ValueError: no genotype of that space is published.

    >>> list(published("recurrent_cell"))
    ['ENAS_RECURRENT', 'DARTS_V1_RECURRENT', 'DARTS_V2_RECURRENT']
    """
    one_of("space", space, dict.fromkeys(genotype.space for genotype in PUBLISHED.values()))
    return {name: genotype for name, genotype in PUBLISHED.items() if genotype.space == space}
