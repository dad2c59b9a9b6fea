"""A cost as a table: what all networks of a space share, and what each candidate adds on each edge.

In cell spaces costs add up, C(genotype) = C_0 + Σ_e c_{e, o(e)} over the edges that the genotype has, so that a cost of
relaxed architectures follows from the mixture, differentiably.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from archgrad.arch import LogitGroup, Mixture
from archgrad.checks import one_of
from archgrad.costs.keeping import NEGLIGIBLE, kept
from archgrad.files import read_document, write_atomically
from archgrad.genotype import Genotype

FORMAT = "archgrad.costs"
VERSION = 1
Rows = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, kw_only=True)
class CostTable:
    """The costs of a space's networks of one size: `fixed` C_0, and `values[group]` c [edges, candidates].

    c_{e,o} is the cost of candidate o on edge e summed over all cells of the derived network that have the edge; 0 for
    `none` and for candidates that an edge does not have. C_0 is all the rest: stem, inputs of cells, classifier.

    `name` is "parameters", "multiply-adds" or "latency", `unit` "" or "ms", `space` the name that genotypes carry.
    `keep[group]` is how many edges each node keeps in decoding, `outputs[group]` the states that a cell's output is
    made of. `conditions` is for the reader: sizes, and where a latency was measured.

    A table of costs known from elsewhere can be written by hand, for any space whose costs add up.

    Raises:
        ValueError: a table has another shape than its group, or a value is negative or not finite.
    """

    name: str
    space: str
    groups: tuple[LogitGroup, ...]
    keep: Mapping[str, tuple[int, ...]]
    outputs: Mapping[str, tuple[int, ...]]
    fixed: float
    values: Mapping[str, Rows]
    unit: str = ""
    conditions: Mapping[str, str | int | float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for group in self.groups:
            missing = [name for name in ("values", "keep", "outputs") if group.name not in getattr(self, name)]
            if missing:
                raise ValueError(f"{missing[0]}: has nothing for group {group.name!r}.")
            rows, (edges, candidates) = self.values[group.name], group.shape
            if len(rows) != edges or any(len(row) != candidates for row in rows):
                raise ValueError(f"values: those of group {group.name!r} need the shape {group.shape}.")
            if len(self.keep[group.name]) != len(_targets(group)):
                raise ValueError(f"keep: group {group.name!r} has {len(_targets(group))} nodes.")
        every = [self.fixed, *(value for rows in self.values.values() for row in rows for value in row)]
        wrong = [value for value in every if not 0 <= value < math.inf]
        if wrong:
            raise ValueError(f"costs: must be finite and at least 0, got {wrong[0]}.")

    def of(self, genotype: Genotype) -> float:
        """C(genotype), exact where the cost is additive: for counts always, for latency as near as times add up.

        Raises:
            ValueError: the genotype is of another space or has nodes, outputs or operations that the table lacks.
        """
        if genotype.space != self.space:
            raise ValueError(f"genotype: belongs to the space {genotype.space!r}, this table to {self.space!r}.")
        names, known = [cell.name for cell in genotype.cells], [group.name for group in self.groups]
        if sorted(names) != sorted(known):
            raise ValueError(f"genotype: has the cells {names}, this table knows {known}.")
        total = self.fixed
        for group in self.groups:
            cell, targets = genotype[group.name], _targets(group)
            if len(cell.nodes) != len(targets) or cell.outputs != self.outputs[group.name]:
                raise ValueError(
                    f"genotype: cell {cell.name!r} has {len(cell.nodes)} nodes and the outputs {list(cell.outputs)}; "
                    f"this table knows cells of {len(targets)} nodes and the outputs {list(self.outputs[group.name])}."
                )
            for target, edges in zip(targets, cell.nodes, strict=True):
                total += sum(self._entry(group, (edge.source, target), edge.operation) for edge in edges)
        return total

    def expected(self, mixture: Mixture, groups: Sequence[LogitGroup]) -> Float[Tensor, "*ensemble"]:
        """E(p), the mean cost of genotypes that keep edges by lot and draw their operations from the mixture.

        E = C_0 + Σ_j k_j / n_j Σ_{e into j} Σ_o p̃_{e,o} c_{e,o}

        j are the nodes, k_j of whose n_j edges are kept. Where `none` is never decoded, p̃ is p without `none`, scaled
        to sum to one: the mass on `none` says how strong an edge is, not that it will be absent, since each node keeps
        k_j edges in any case. Where `none` is a choice like any other, all edges count and `none` costs nothing. A row
        without weight on any operation counts as nothing. Where the mixture weighs edges (arXiv:1907.05737) they are
        drawn by their weights (`keeping`) in place of k_j / n_j, which is what equal weights give.

        `groups` are those of the search, which may have fewer candidates than the table's.

        Reference: arXiv:1812.00332, section 3.3, where a layer is one edge, which is kept.

        Raises:
            ValueError: the table belongs to another space.
        """
        self.check(groups)
        by_name = {group.name: group for group in groups}
        totals = []
        for known in self.groups:
            group, weights = by_name[known.name], mixture[known.name]
            weights = weights * torch.from_numpy(group.decodable).to(weights)
            mass = weights.sum(dim=-1, keepdim=True)
            shares = weights / torch.where(mass > NEGLIGIBLE, mass, 1.0)
            per_edge = (shares * torch.from_numpy(self._prices(group)).to(weights)).sum(dim=-1)
            totals.append((per_edge * kept(group, self.keep[known.name], mixture, groups)).sum(dim=-1))
        return torch.stack(totals).sum(dim=0) + self.fixed

    @property
    def bounds(self) -> tuple[float, float]:
        """The smallest and the largest cost of a genotype in which each node keeps as many edges as it may."""
        low = high = self.fixed
        for group in self.groups:
            prices, allowed = self._prices(group), group.decodable
            for target, keep in zip(_targets(group), self.keep[group.name], strict=True):
                rows = [row for row in group.entering(target) if allowed[row].any()]
                low += sum(sorted(prices[row][allowed[row]].min() for row in rows)[:keep])
                high += sum(sorted((prices[row][allowed[row]].max() for row in rows), reverse=True)[:keep])
        return float(low), float(high)

    def check(self, groups: Sequence[LogitGroup]) -> None:
        """Raise a ValueError unless a space with these groups is the table's, or has fewer of its candidates."""
        by_name = {group.name: group for group in groups}
        for known in self.groups:
            group = by_name.get(known.name)
            if group is None:
                raise ValueError(f"table: has costs of group {known.name!r}, the space has {sorted(by_name)}.")
            if group.edges != known.edges:
                raise ValueError(
                    f"table: group {known.name!r} has {len(known.edges)} edges, that of the space {len(group.edges)}; "
                    "make a table of this space."
                )
            for candidate in group.candidates:
                one_of("table", candidate, known.candidates)

    def to_json(self) -> str:
        """Write the table as JSON, with its format and version."""
        groups = {
            group.name: {
                "edges": [list(edge) for edge in group.edges],
                "candidates": list(group.candidates),
                "choices": [list(names) for names in group.choices],
                "keeps_none": group.keeps_none,
                "keep": list(self.keep[group.name]),
                "outputs": list(self.outputs[group.name]),
                "values": [list(row) for row in self.values[group.name]],
            }
            for group in self.groups
        }
        document = {"format": FORMAT, "version": VERSION, "name": self.name, "unit": self.unit, "space": self.space}
        return json.dumps(
            document | {"conditions": dict(self.conditions), "fixed": self.fixed, "groups": groups}, indent=1
        )

    @classmethod
    def from_json(cls, text: str) -> "CostTable":
        """Read what `to_json` wrote.

        Raises:
            ValueError: the text is no JSON, no table of costs, of a newer version, or malformed.
        """
        document = read_document(text, "costs", format=FORMAT, version=VERSION)
        try:
            groups = document["groups"]
            return cls(
                name=str(document["name"]),
                unit=str(document["unit"]),
                space=str(document["space"]),
                groups=tuple(_read_group(name, group) for name, group in groups.items()),
                keep={name: tuple(map(int, group["keep"])) for name, group in groups.items()},
                outputs={name: tuple(map(int, group["outputs"])) for name, group in groups.items()},
                fixed=float(document["fixed"]),
                values={name: _tuples(group["values"]) for name, group in groups.items()},
                conditions=dict(document["conditions"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"costs: broken, missing or malformed entry ({error!r}).") from error

    def save(self, path: str | Path) -> None:
        """Write the table to a JSON file: a latency is measured once and kept."""
        write_atomically(Path(path).expanduser(), (self.to_json() + "\n").encode())

    @classmethod
    def load(cls, path: str | Path) -> "CostTable":
        """Read a file that `save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it holds no table of costs, see `from_json`.
        """
        return cls.from_json(Path(path).expanduser().read_text(encoding="utf-8"))

    def _entry(self, group: LogitGroup, edge: tuple[int, int], operation: str) -> float:
        choices = dict(zip(group.edges, group.choices, strict=True)).get(edge, ())
        if operation not in choices:
            raise ValueError(
                f"genotype: cell {group.name!r} has {operation!r} on edge {edge}; "
                f"this table knows {list(choices)} there."
            )
        return self.values[group.name][group.edges.index(edge)][group.candidates.index(operation)]

    def _prices(self, group: LogitGroup) -> np.ndarray:
        """c in the columns of a group that may have fewer candidates, [edges, candidates]."""
        known = next(other for other in self.groups if other.name == group.name)
        columns = [known.candidates.index(candidate) for candidate in group.candidates]
        return np.array(self.values[group.name], dtype=np.float64)[:, columns]


def _targets(group: LogitGroup) -> tuple[int, ...]:
    return tuple(dict.fromkeys(target for _, target in group.edges))


def _tuples(rows: Sequence[Sequence[float]]) -> Rows:
    return tuple(tuple(float(value) for value in row) for row in rows)


def _read_group(name: str, group: Mapping[str, Any]) -> LogitGroup:
    return LogitGroup(
        name,
        tuple((int(source), int(target)) for source, target in group["edges"]),
        tuple(map(str, group["candidates"])),
        tuple(tuple(map(str, names)) for names in group["choices"]),
        keeps_none=bool(group["keeps_none"]),
    )
