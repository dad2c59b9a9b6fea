"""The space of NAS-Bench-201 as a table: one cell of six edges, five candidates, `none` a choice like any other."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from archgrad.arch import LogitGroup, Mixture
from archgrad.checks import one_of
from archgrad.decode import uniform
from archgrad.genotype import NASBENCH201, Cell, Edge, Genotype
from archgrad.mixing import Mixing
from archgrad.ops import NASBENCH201_CANDIDATES
from archgrad.spaces.conv.coding import (
    check_decoder,
    decode_edges,
    encode_cells,
    narrowed_choices,
    with_edge_weights,
)
from archgrad.spaces.conv.engine import ENGINES
from archgrad.spaces.conv.mixed import check_partial_channels
from archgrad.spaces.images import check_num_classes, image_size
from archgrad.spaces.nasbench201.network import NASBench201Network, check_size
from archgrad.spaces.nasbench201.plan import STAGES
from archgrad.spaces.nasbench201.strings import CELL, NODES, check_genotype
from archgrad.spaces.nasbench201.supernet import NASBench201Supernet
from archgrad.spaces.space import Decoder

MINIMUM_SIZE = 4
"""The smallest height and width of images: a pixel is left after the residual blocks."""


@dataclass(frozen=True, kw_only=True)
class NASBench201Space:
    """The topology search space of NAS-Bench-201 and NATS-Bench, 5⁶ = 15,625 cells.

    A cell has one input and three nodes, each the sum over all its predecessors of a mixture of `none`, identity,
    1×1 and 3×3 convolution (ReLU, convolution, BatchNorm) and 3×3 average pooling; the last node is the output. One
    group of logits, "cell", [6, 5], is shared by all cells. The network is a stem, `cells` cells of `channels`
    channels, a residual block of stride 2, as many cells with twice the channels, another such block, as many cells
    with four times the channels, and a head. A decoded cell keeps all edges, and `none` is written out.

    The benchmark searched and trained with 16 channels and 5 cells; smaller ones search the same cells on less machine.
    `choices` narrows single edges: {"cell": {(source, target): ("none", "skip_connect")}}, where 0 is the input and 3
    the output. `mixing` says what methods change about the mixture; with edge normalisation there is a second group of
    logits, "cell_edges", [3, 3].

    Reference: arXiv:2001.00326, section 2.1; arXiv:2009.00437 for the name and for the tables.

    >>> space = NASBench201Space()
    >>> space.groups[0].shape
    (6, 5)
    >>> space.layers
    15

    Raises:
        ValueError: a size below 1 (classes: 2), partial channels that do not divide the channels, or choices that name
            an unknown group, edge or candidate, or leave an edge without any.
    """

    channels: int = 16
    cells: int = 5
    num_classes: int = 10
    in_channels: int = 3
    choices: Mapping[str, Mapping[tuple[int, int], tuple[str, ...]]] = field(default_factory=dict)
    mixing: Mixing = field(default_factory=Mixing)

    citation: ClassVar[str] = "2001.00326"

    def __post_init__(self) -> None:
        check_size(self.channels, self.cells, num_classes=self.num_classes, in_channels=self.in_channels)
        check_partial_channels(self.mixing.partial_channels, self.channels)
        for name in self.choices:
            one_of("choices", name, (CELL,))
        _ = self._group  # which checks the choices

    @property
    def name(self) -> str:
        """The name that genotypes of this space carry."""
        return NASBENCH201

    @property
    def ensemble(self) -> tuple[int, ...]:
        """One search, none beside it."""
        return ()

    @property
    def layers(self) -> int:
        """The cells of the network, those of all three stages."""
        return STAGES * self.cells

    @property
    def groups(self) -> tuple[LogitGroup, ...]:
        """The logits of the cell, and with edge normalisation those of its edges."""
        return with_edge_weights([self._group]) if self.mixing.edge_normalisation else (self._group,)

    @property
    def _group(self) -> LogitGroup:
        return LogitGroup.dense(
            CELL,
            inputs=1,
            nodes=NODES,
            candidates=NASBENCH201_CANDIDATES,
            choices=self.choices.get(CELL),
            keeps_none=True,
        )

    def supernet(self, *, engine: str = "bundled") -> NASBench201Supernet:
        """Make the relaxed network; `engine` is "bundled" (fast) or "per_edge" (the equation to the letter)."""
        return NASBench201Supernet(self, engine=one_of("engine", engine, ENGINES))

    def mixed(self, mixing: Mixing) -> "NASBench201Space":
        """The same space with another mixing.

        Raises:
            ValueError: partial channels that do not divide the channels.
        """
        return replace(self, mixing=mixing)

    def narrowed(
        self, choices: Mapping[str, tuple[tuple[str, ...], ...]], *, layers: int | None = None
    ) -> "NASBench201Space":
        """The space in which each edge keeps the candidates listed for it, by group and row, with `layers` cells.

        Logits keep their shapes; what is not listed is masked.

        >>> space = NASBench201Space().narrowed({"cell": (("none", "skip_connect"),) * 6}, layers=18)
        >>> space.cells, space.groups[0].choices[0]
        (6, ('none', 'skip_connect'))

        Raises:
            ValueError: an unknown group, another number of rows, a candidate that an edge does not have, or layers that
                the three stages cannot share equally.
        """
        layers = self.layers if layers is None else layers
        if layers < STAGES or layers % STAGES:
            below = max(layers // STAGES, 1) * STAGES
            nearest = f"{below}" if layers < STAGES else f"{below} or {below + STAGES}"
            raise ValueError(
                f"layers: the {STAGES} stages of {self.name!r} share the cells equally, got {layers}; "
                f"the nearest valid choice is {nearest}."
            )
        kept = narrowed_choices([self._group], choices)
        return replace(self, choices=kept, cells=layers // STAGES)

    def check_decoder(self, decoder: Decoder) -> None:
        """Raise a ValueError unless a rule of decoding finds edges of cells, as `top_k` does and `viterbi` does not."""
        check_decoder(decoder)

    def decode(self, mixture: Mixture, decoder: Decoder) -> Genotype:
        """Decode a mixture with a rule of `archgrad.decode`: all six edges, in order of their source, `none` included.

        Raises:
            ValueError: the rule does not decode edges, leaves one out, or refuses the mixture.
        """
        return self._genotype(decode_edges(mixture, self._group, decoder, keep=NODES))

    def encode(self, genotype: Genotype) -> Mixture:
        """The mixture of hard choices that decodes to a genotype: one-hot rows, [6, 5], float32, CPU.

        With edge normalisation the edges of a node that are not `none` share its weight equally.

        Raises:
            ValueError: the genotype is not one of this space, or has an operation that an edge may not choose.
        """
        check_genotype(genotype)
        return encode_cells(genotype, self.groups)

    def random_genotype(self, generator: np.random.Generator) -> Genotype:
        """Draw every edge's operation uniformly, `none` included: the baseline that a search has to beat."""
        return self._genotype(uniform(generator, self._group, NODES))

    def network(
        self, genotype: Genotype, *, channels: int | None = None, cells: int | None = None
    ) -> NASBench201Network:
        """Build the network of a genotype, `channels` and `cells` those of the space unless given: a plain module.

        Raises:
            ValueError: the genotype is not one of this space, or a size is below 1.
        """
        return NASBench201Network(
            genotype,
            channels=self.channels if channels is None else channels,
            cells=self.cells if cells is None else cells,
            num_classes=self.num_classes,
            in_channels=self.in_channels,
        )

    def check_data(self, shape: tuple[int, ...], num_classes: int | None) -> None:
        """Raise a ValueError unless inputs of `shape` (channels, height, width) with these classes fit the space."""
        height, width = image_size(shape, in_channels=self.in_channels)
        if min(height, width) < MINIMUM_SIZE:
            raise ValueError(
                f"images: {height}×{width} is too small for the residual blocks; "
                f"needed is at least {MINIMUM_SIZE}×{MINIMUM_SIZE}."
            )
        check_num_classes(self.num_classes, num_classes)

    def _genotype(self, nodes: tuple[tuple[Edge, ...], ...]) -> Genotype:
        ordered = tuple(tuple(sorted(edges, key=lambda edge: edge.source)) for edges in nodes)
        genotype = Genotype(self.name, (Cell(CELL, ordered, (NODES,), 1),))
        check_genotype(genotype)
        return genotype
