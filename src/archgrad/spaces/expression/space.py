"""Expression graphs as a search space: a table of nodes and of what each of their edges may be, in two layouts."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from jaxtyping import Float

from archgrad.arch import NONE, LogitGroup, Mixture
from archgrad.checks import above, one_of, whole
from archgrad.decode import argmax, categorical
from archgrad.genotype import Cell, Edge, Genotype
from archgrad.ops.symbolic import PRIMITIVES, Primitive, primitive_of
from archgrad.spaces.expression.laws import EXPRESSION
from archgrad.spaces.expression.layouts import FACTORS, Choices, functions_of_laws, layout_of_laws, layout_of_sums
from archgrad.spaces.expression.network import ExpressionNetwork
from archgrad.spaces.expression.supernet import ExpressionSupernet
from archgrad.spaces.space import Decoder

GROUP = "edges"
"""The name of the one group of logits."""

LAYOUTS = {"sums": ("nodes",), "laws": ("terms", "factors", "functions")}
"""The layouts, and the sizes that each has."""


@dataclass(frozen=True, kw_only=True)
class ExpressionSpace:
    """Graphs over `columns` whose edges choose among `primitives`; y = c₀ + Σ_j c_j · node_j over the output nodes.

    Two layouts, tables of what each edge may be. "sums" is the graph of AutoRA's estimator: `nodes` nodes, each with an
    edge from every column and every earlier node, all of them outputs. "laws" (see the constructor of that name) is the
    relaxation of the table of laws: `terms` products of powers of the columns and of `factors` factors, each the sum of
    `functions` functions of products of powers.

    `restarts` R is a leading dimension of the logits, [R, edges, candidates]: so many searches in one tensor, which do
    not see each other. `scales` are typical sizes of the columns; what multiplies a column starts at about the inverse.

    >>> space = ExpressionSpace(columns=2, nodes=1, primitives=("add", "subtract", "mult"))
    >>> space.count(), space.groups[0].edges
    (9, ((0, 2), (1, 2)))
    >>> import torch
    >>> space.decode_members({"edges": torch.eye(3)[None, :2]})[0].cells[0].nodes
    ((Edge(operation='add', source=0), Edge(operation='subtract', source=1)),)

    Raises:
        ValueError: a size below one or of the other layout, an unknown layout or primitive, a primitive twice, none at
            all, or scales that are not positive or not one for each column.
    """

    columns: int
    nodes: int = 2
    primitives: tuple[str | Primitive, ...] = (
        *(NONE, "add", "subtract", "linear", "linear_logistic", "mult", "linear_relu"),
    )
    restarts: int = 1
    scales: tuple[float, ...] | None = None
    layout: str = "sums"
    terms: int = 2
    factors: int = 2
    functions: int = 2

    def __post_init__(self) -> None:
        one_of("layout", self.layout, LAYOUTS)
        for name in ("columns", "restarts", *LAYOUTS[self.layout]):
            whole(name, getattr(self, name), 1)
        defaults = {field.name: field.default for field in fields(self)}
        for layout, sizes in LAYOUTS.items():
            for name in sizes:
                if layout != self.layout and getattr(self, name) != defaults[name]:
                    raise ValueError(f"{name}: the layout {self.layout!r} has no such size; got {getattr(self, name)}.")
        names = [primitive_of(choice).name for choice in self.primitives]
        if len(set(names)) < len(names):
            raise ValueError(f"primitives: {names} lists one twice.")
        if not set(names) - {NONE}:
            raise ValueError(f"primitives: needs at least one other than {NONE!r}, got {names}.")
        if self.scales is not None:
            if len(self.scales) != self.columns:
                raise ValueError(f"scales: needs one for each of {self.columns} columns, got {len(self.scales)}.")
            for scale in self.scales:
                above("scales", scale, 0)

    @classmethod
    def laws(cls, columns: int, **arguments: Any) -> "ExpressionSpace":
        """The layout of laws: M_jk = Π x^a, F_j = Σ_k h_k(M_jk), T_t = Π x^a · Π F_j, y = c₀ + Σ c_t · T_t.

        What a candidate h is: none, mult, linear, or a function among the primitives, with a line inside. An F enters a
        T by multiply, divide, or powered.

        >>> ExpressionSpace.laws(1, terms=1, factors=1, functions=1).groups[0].choices[1][:3]
        ('none', 'mult', 'linear')
        """
        return cls(columns=columns, layout="laws", **arguments)

    @property
    def name(self) -> str:
        """The name that genotypes of this space carry."""
        return EXPRESSION

    @property
    def ensemble(self) -> tuple[int, ...]:
        """The leading dimensions of logits and weights: searches side by side."""
        return (self.restarts,)

    @cached_property
    def known(self) -> dict[str, Primitive]:
        """The primitives that edges may carry, by name."""
        chosen = [primitive_of(choice) for choice in self.primitives]
        if self.layout == "sums":
            return {primitive.name: primitive for primitive in chosen}
        return {**functions_of_laws(chosen), **{name: PRIMITIVES[name] for name in FACTORS}}

    @cached_property
    def choices(self) -> Choices:
        """What each edge (source, target) may be, ordered by target, then source."""
        sizes = {name: getattr(self, name) for name in LAYOUTS[self.layout]}
        if self.layout == "sums":
            return layout_of_sums(self.columns, list(self.known), **sizes)
        chosen = functions_of_laws([primitive_of(choice) for choice in self.primitives])
        return layout_of_laws(self.columns, list(chosen), **sizes)

    @cached_property
    def targets(self) -> tuple[int, ...]:
        """The nodes, in order."""
        return tuple(dict.fromkeys(target for _, target in self.choices))

    @property
    def outputs(self) -> tuple[int, ...]:
        """The states that y is made of."""
        return self.targets[-(self.nodes if self.layout == "sums" else self.terms) :]

    @property
    def groups(self) -> tuple[LogitGroup, ...]:
        """The one group of logits."""
        return (self.group,)

    @cached_property
    def group(self) -> LogitGroup:
        """The edges and their candidates."""
        candidates = tuple(self.known)
        ordered = tuple(tuple(name for name in candidates if name in names) for names in self.choices.values())
        return LogitGroup(GROUP, tuple(self.choices), candidates, ordered)

    def supernet(self) -> ExpressionSupernet:
        """Make the relaxed graph, `restarts` at once."""
        return ExpressionSupernet(
            self.group,
            list(self.known.values()),
            self.outputs,
            columns=self.columns,
            members=self.restarts,
            scales=self.scales,
        )

    def decode(self, mixture: Mixture, decoder: Decoder) -> Genotype:
        """The genotype that most members of the ensemble decode to; of equally many, the lowest member's."""
        return Counter(self.decode_members(mixture, decoder)).most_common(1)[0][0]

    def decode_members(self, mixture: Mixture, decoder: Decoder = argmax) -> list[Genotype]:
        """Decode every member of a mixture [members, edges, candidates] with a rule of `archgrad.decode`."""
        arrays = mixture[GROUP].detach().cpu().numpy()
        return [self.genotype(decoder(array, self.group, len(self.group.edges)), array) for array in arrays]

    def sampled_genotype(
        self, mixture: Float[np.ndarray, "edges candidates"], generator: np.random.Generator
    ) -> Genotype:
        """Draw the operation of each edge from the mixture of one member."""
        return self.genotype(categorical(generator)(mixture, self.group), mixture)

    def random_genotype(self, generator: np.random.Generator) -> Genotype:
        """Draw the operation of each edge uniformly: the baseline that a search has to beat."""
        return self.sampled_genotype(self.group.mask.astype(float), generator)

    def genotype(
        self,
        nodes: Sequence[Sequence[Edge]],
        mixture: Float[np.ndarray, "edges candidates"] | None = None,
    ) -> Genotype:
        """The genotype of edges by node, as rules of `archgrad.decode` return them.

        Nodes without an edge are removed with all edges that read them, and so are nodes that no output reads; edges
        are in order of their source. If nothing is left, the strongest edge of `mixture` (without one, the first) from
        a column to an output stays.
        """
        cell = self._pruned(dict(zip(self.targets, nodes, strict=True))) or self._pruned(self._strongest(mixture))
        assert cell is not None
        return Genotype(self.name, (cell,))

    def count(self) -> int:
        """How many ways there are to choose a candidate for every edge."""
        return prod(len(names) for names in self.choices.values())

    def graphs(self) -> Iterator[Genotype]:
        """All different genotypes, those with fewer operations and coefficients first."""
        edges = list(self.choices)
        options = [[(name, self.known[name].complexity) for name in names] for names in self.choices.values()]
        most = sum(max(cost for _, cost in names) for names in options)
        seen: set[Cell] = set()
        for way in (way for total in range(most + 1) for way in _ways(options, total)):
            nodes: dict[int, list[Edge]] = {target: [] for target in self.targets}
            for (source, target), name in zip(edges, way, strict=True):
                if name != NONE:
                    nodes[target].append(Edge(name, source))
            cell = self._pruned(nodes)
            if cell is not None and cell not in seen:
                seen.add(cell)
                yield Genotype(self.name, (cell,))

    def network(self, genotype: Genotype) -> ExpressionNetwork:
        """Build the graph of a genotype: a plain module whose parameters are its coefficients."""
        custom = {name: primitive for name, primitive in self.known.items() if PRIMITIVES.get(name) is not primitive}
        return ExpressionNetwork(genotype, primitives=custom)

    def check_data(self, shape: tuple[int, ...], num_classes: int | None) -> None:
        """Raise a ValueError unless rows of `shape` (columns,) fit the space."""
        if shape != (self.columns,):
            raise ValueError(f"columns: the space has {self.columns}, the data has rows of shape {shape}.")
        if num_classes is not None:
            raise ValueError(f"num_classes: an expression has no classes, the data has {num_classes}.")

    def _strongest(self, mixture: np.ndarray | None) -> dict[int, list[Edge]]:
        group = self.group
        usable = group.mask & np.array([name != NONE for name in group.candidates])
        usable &= np.array([[source < self.columns and target in self.outputs] for source, target in group.edges])
        strengths = np.where(usable, np.zeros(group.shape) if mixture is None else mixture, -np.inf)
        row, column = np.unravel_index(int(strengths.argmax()), group.shape)
        source, target = group.edges[int(row)]
        return {target: [Edge(group.candidates[int(column)], source)]}

    def _pruned(self, nodes: Mapping[int, Sequence[Edge]]) -> Cell | None:
        """The cell of these edges as `genotype` describes it; None if nothing is left."""
        alive: dict[int, list[Edge]] = {}
        for state, edges in nodes.items():
            kept = [edge for edge in edges if edge.source < self.columns or edge.source in alive]
            if kept:
                alive[state] = sorted(kept, key=lambda edge: edge.source)
        outputs = [state for state in self.outputs if state in alive]
        if not outputs:
            return None
        needed = set(outputs)
        for state in reversed(alive):
            if state in needed:
                needed.update(edge.source for edge in alive[state])
        states = [*range(self.columns), *(state for state in alive if state in needed)]
        place = {state: number for number, state in enumerate(states)}
        renumbered = tuple(
            tuple(Edge(edge.operation, place[edge.source]) for edge in alive[state]) for state in states[self.columns :]
        )
        return Cell(EXPRESSION, renumbered, tuple(place[state] for state in outputs), self.columns)


def _ways(options: Sequence[Sequence[tuple[str, int]]], total: int) -> Iterator[tuple[str, ...]]:
    """All choices of one (name, cost) from each of `options` whose costs sum to `total`."""
    if not options:
        if total == 0:
            yield ()
        return
    rest = options[1:]
    least, most = (sum(bound(cost for _, cost in names) for names in rest) for bound in (min, max))
    for name, cost in options[0]:
        if least <= total - cost <= most:
            for others in _ways(rest, total - cost):
                yield (name, *others)
