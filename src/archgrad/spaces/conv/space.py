"""The convolutional space of DARTS as a table: inputs, nodes, candidates, strides, and how many edges a node keeps."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from archgrad.arch import LogitGroup, Mixture
from archgrad.checks import one_of, whole
from archgrad.decode import uniform
from archgrad.genotype import CONV_CELL, Cell, Edge, Genotype
from archgrad.mixing import Mixing
from archgrad.ops import DARTS_CANDIDATES, check_candidates
from archgrad.spaces.conv.coding import (
    check_decoder,
    decode_edges,
    encode_cells,
    narrowed_choices,
    with_edge_weights,
)
from archgrad.spaces.conv.engine import ENGINES
from archgrad.spaces.conv.mixed import check_partial_channels
from archgrad.spaces.conv.network import ConvNetwork
from archgrad.spaces.conv.plan import NORMAL, REDUCE, STEMS
from archgrad.spaces.conv.supernet import ConvSupernet
from archgrad.spaces.images import check_num_classes, image_size
from archgrad.spaces.space import Decoder

MINIMUM_SIZE = {"cifar": 8, "imagenet": 32}
"""The smallest height and width by stem: below it nothing is left after the reductions."""

Choices = Mapping[str, Mapping[tuple[int, int], tuple[str, ...]]]


@dataclass(frozen=True, kw_only=True)
class ConvCellSpace:
    """DARTS' convolutional search space: a normal and a reduction cell, stacked.

    A cell has two inputs (the outputs of the two cells before it) and `nodes` intermediate states, each the sum over
    all its predecessors of a mixture of `candidates` (Eq. 3); its output concatenates them. Reductions lie at a third
    and two thirds of the depth and double `channels`. There are two groups of logits, "normal" and "reduce", each of
    shape [edges, candidates], 14 × 8 by default.

    `choices` narrows single edges: {"normal": {(source, target): ("none", "skip_connect")}}, where 0 and 1 are the
    inputs and 2 is the first intermediate state. `stem` is "cifar" or "imagenet" (stride 8 before the first cell).
    `edges_per_node` is how many incoming edges a node keeps in decoding; one that has fewer keeps all. `mixing` says
    what methods change about the mixture; with edge normalisation there are two more groups of logits, "normal_edges"
    and "reduce_edges", [nodes, states].

    Reference: arXiv:1806.09055, sections 2.1 and 3.1.

    >>> space = ConvCellSpace(channels=16, layers=8, num_classes=10)
    >>> sum(parameter.numel() for parameter in space.supernet().parameters())
    1930618

    Raises:
        ValueError: an unknown or doubled candidate (the message names the nearest), an empty list, a size below its
            minimum, an odd number of channels, which a factorised reduction cannot halve, or partial channels that do
            not divide the channels.
    """

    channels: int = 16
    layers: int = 8
    num_classes: int = 10
    in_channels: int = 3
    nodes: int = 4
    edges_per_node: int = 2
    candidates: tuple[str, ...] = DARTS_CANDIDATES
    choices: Choices = field(default_factory=dict)
    stem: str = "cifar"
    mixing: Mixing = field(default_factory=Mixing)

    def __post_init__(self) -> None:
        whole("channels", self.channels, 2)
        if self.channels % 2:
            raise ValueError(f"channels: must be even for the factorised reductions, got {self.channels}.")
        whole("layers", self.layers, 3)  # two reductions and one normal cell
        whole("num_classes", self.num_classes, 2)
        whole("in_channels", self.in_channels, 1)
        whole("nodes", self.nodes, 1)
        whole("edges_per_node", self.edges_per_node, 1)
        one_of("stem", self.stem, STEMS)
        check_candidates(self.candidates)
        check_partial_channels(self.mixing.partial_channels, self.channels)  # twice the channels in reductions: even
        for kind in self.choices:
            one_of("choices", kind, (NORMAL, REDUCE))
        for group in self._cell_groups:
            uniform(np.random.default_rng(0), group, self.edges_per_node)  # every node needs an operation

    @property
    def name(self) -> str:
        """The name that genotypes of this space carry."""
        return CONV_CELL

    @property
    def ensemble(self) -> tuple[int, ...]:
        """One search, none beside it."""
        return ()

    @property
    def groups(self) -> tuple[LogitGroup, ...]:
        """The logits of the normal and of the reduction cell, and with edge normalisation those of their edges."""
        return with_edge_weights(self._cell_groups) if self.mixing.edge_normalisation else self._cell_groups

    @property
    def _cell_groups(self) -> tuple[LogitGroup, ...]:
        return tuple(
            LogitGroup.dense(
                kind, inputs=2, nodes=self.nodes, candidates=self.candidates, choices=self.choices.get(kind)
            )
            for kind in (NORMAL, REDUCE)
        )

    def supernet(self, *, engine: str = "bundled") -> ConvSupernet:
        """Make the relaxed network; `engine` is "bundled" (fast) or "per_edge" (the equation to the letter)."""
        return ConvSupernet(self, engine=one_of("engine", engine, ENGINES))

    def mixed(self, mixing: Mixing) -> "ConvCellSpace":
        """The same space with another mixing.

        Raises:
            ValueError: partial channels that do not divide the channels.
        """
        return replace(self, mixing=mixing)

    def narrowed(
        self, choices: Mapping[str, tuple[tuple[str, ...], ...]], *, layers: int | None = None
    ) -> "ConvCellSpace":
        """The space in which each edge keeps the candidates listed for it, by group and row, with `layers` cells.

        Logits keep their shapes; what is not listed is masked. A group that is not listed stays as it is.

        >>> kept = {"normal": (("none", "skip_connect"), ("sep_conv_3x3",))}
        >>> space = ConvCellSpace(nodes=1).narrowed(kept, layers=11)
        >>> space.layers, space.groups[0].choices
        (11, (('none', 'skip_connect'), ('sep_conv_3x3',)))

        Raises:
            ValueError: an unknown group, another number of rows, a candidate that an edge does not have, or a node left
                without an operation.
        """
        kept = narrowed_choices(self._cell_groups, choices)
        return replace(self, choices=kept, layers=self.layers if layers is None else layers)

    def check_decoder(self, decoder: Decoder) -> None:
        """Raise a ValueError unless a rule of decoding finds edges of cells, as `top_k` does and `viterbi` does not."""
        check_decoder(decoder)

    def decode(self, mixture: Mixture, decoder: Decoder) -> Genotype:
        """Decode the mixture of both groups with a rule of `archgrad.decode`, by β · p with edge normalisation.

        Raises:
            ValueError: the rule does not decode edges, or refuses the mixture.
        """
        return self._genotype(
            {group.name: decode_edges(mixture, group, decoder, keep=self.edges_per_node) for group in self._cell_groups}
        )

    def encode(self, genotype: Genotype) -> Mixture:
        """The mixture of hard choices that decodes to a genotype: one-hot rows, [edges, candidates], float32, CPU.

        An edge that is not kept has 1 on `none`, or zeros where it has no `none`. With edge normalisation the kept
        edges of a node share its weight equally.

        Raises:
            ValueError: the genotype has an edge or an operation that the space does not have.
        """
        return encode_cells(genotype, self.groups)

    def random_genotype(self, generator: np.random.Generator) -> Genotype:
        """Draw cells uniformly: the baseline that a search has to beat."""
        groups = self._cell_groups
        return self._genotype({group.name: uniform(generator, group, self.edges_per_node) for group in groups})

    def network(
        self,
        genotype: Genotype,
        *,
        channels: int | None = None,
        layers: int | None = None,
        auxiliary: bool = False,
    ) -> ConvNetwork:
        """Build the network of a genotype, `channels` and `layers` those of the space unless given: a plain module."""
        return ConvNetwork(
            genotype,
            channels=self.channels if channels is None else channels,
            layers=self.layers if layers is None else layers,
            num_classes=self.num_classes,
            in_channels=self.in_channels,
            stem=self.stem,
            auxiliary=auxiliary,
        )

    def check_data(self, shape: tuple[int, ...], num_classes: int | None) -> None:
        """Raise a ValueError unless inputs of `shape` (channels, height, width) with these classes fit the space."""
        check_images(shape, in_channels=self.in_channels, stem=self.stem)
        check_num_classes(self.num_classes, num_classes)

    def _genotype(self, nodes: dict[str, tuple[tuple[Edge, ...], ...]]) -> Genotype:
        outputs = tuple(range(2, 2 + self.nodes))
        return Genotype(self.name, tuple(Cell(kind, edges, outputs) for kind, edges in nodes.items()))


def check_images(shape: tuple[int, ...], *, in_channels: int, stem: str) -> None:
    """Raise a ValueError unless images of `shape` (channels, height, width) can pass stem and reductions."""
    height, width = image_size(shape, in_channels=in_channels)
    minimum = MINIMUM_SIZE[stem]
    if min(height, width) < minimum:
        raise ValueError(
            f"images: {height}×{width} is too small for the reductions; "
            f"the {stem!r} stem needs at least {minimum}×{minimum}."
        )
