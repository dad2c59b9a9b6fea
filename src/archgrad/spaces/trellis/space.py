"""The two-level space of Auto-DeepLab as a table: one cell, and the trellis of strides that its layers may lie on."""

from dataclasses import dataclass

import numpy as np

from archgrad.arch import LogitGroup, Mixture
from archgrad.checks import one_of, whole
from archgrad.decode import Path, uniform, viterbi
from archgrad.genotype import TRELLIS, Cell, Genotype
from archgrad.ops import DENSE_CANDIDATES, check_candidates
from archgrad.spaces.conv.engine import ENGINES
from archgrad.spaces.images import check_num_classes, image_size
from archgrad.spaces.space import Decoder
from archgrad.spaces.trellis.network import TrellisNetwork
from archgrad.spaces.trellis.plan import FIRST_STRIDE, GROUP, Trellis
from archgrad.spaces.trellis.supernet import CELL, READINGS, TrellisSupernet


@dataclass(frozen=True, kw_only=True)
class TrellisSpace:
    """Auto-DeepLab's search space: a cell α, and a path β through `layers` layers of `levels` strides 4, 8, 16, …

    A cell has two inputs, H^{l−1} and H^{l−2}, and `blocks` states, each the sum over all earlier ones of a mixture of
    `candidates`; its output concatenates them. At level i a block has `filters` · 2^i channels. There are two groups of
    logits: "cell" [edges, candidates], 20 × 8 by default, shared by all nodes; and "trellis" [nodes, moves], 42 × 3,
    whose rows are the nodes that edges leave, with a mask where a move leads out of the trellis.

    `reading` of Eq. 6 is "mixed_inputs" or "cell_per_edge" (`supernet`). `checkpointing` keeps the inputs of a node
    alone for the backward pass and evaluates it twice. `edges_per_block` is how many a block keeps in decoding.

    Reference: arXiv:1901.02985, sections 3 and 4.

    >>> space = TrellisSpace(layers=12, filters=8, blocks=5, num_classes=19)
    >>> [(group.name, group.shape) for group in space.groups]
    [('cell', (20, 8)), ('trellis', (42, 3))]

    Raises:
        ValueError: an unknown or doubled candidate or an unknown reading (the message names the nearest), or a size
            below its minimum.
    """

    layers: int = 12
    filters: int = 8
    blocks: int = 5
    num_classes: int = 19
    in_channels: int = 3
    levels: int = 4
    edges_per_block: int = 2
    candidates: tuple[str, ...] = DENSE_CANDIDATES
    reading: str = "mixed_inputs"
    checkpointing: bool = False

    def __post_init__(self) -> None:
        for name in ("layers", "filters", "blocks", "in_channels", "levels", "edges_per_block"):
            whole(name, getattr(self, name), 1)
        whole("num_classes", self.num_classes, 2)
        one_of("reading", self.reading, READINGS)
        check_candidates(self.candidates)

    @property
    def name(self) -> str:
        """The name that genotypes of this space carry."""
        return TRELLIS

    @property
    def ensemble(self) -> tuple[int, ...]:
        """One search, none beside it."""
        return ()

    @property
    def trellis(self) -> Trellis:
        """The table of nodes and edges."""
        return Trellis(self.layers, self.levels)

    @property
    def groups(self) -> tuple[LogitGroup, ...]:
        """The logits of the cell, α, and of the trellis, β."""
        return self._cell_group, self.trellis.group

    @property
    def _cell_group(self) -> LogitGroup:
        return LogitGroup.dense(CELL, inputs=2, nodes=self.blocks, candidates=self.candidates)

    def width(self, level: int) -> int:
        """The channels of a node's state: blocks · filters · 2^level; level −1 is the middle of the stem."""
        return max(1, int(self.blocks * self.filters * 2.0**level))

    def supernet(self, *, engine: str = "bundled") -> TrellisSupernet:
        """Make the relaxed network; `engine` evaluates cells "bundled" (fast) or "per_edge" (to the letter)."""
        return TrellisSupernet(self, engine=one_of("engine", engine, ENGINES))

    def decode(self, mixture: Mixture, decoder: Decoder) -> Genotype:
        """Decode the cell with a rule of `archgrad.decode`, and the path by the Viterbi algorithm."""
        weights = mixture[CELL].detach().cpu().numpy()
        edges = decoder(weights, self._cell_group, self.edges_per_block)
        return Genotype(self.name, (self._cell(edges),), self.paths(mixture)[0].states)

    def paths(self, mixture: Mixture, count: int = 1) -> list[Path]:
        """The `count` most probable paths with their probabilities, if each node draws where it leads by its β."""
        return viterbi(self.trellis.transitions(mixture[GROUP].detach().cpu().numpy()), count)

    def random_genotype(self, generator: np.random.Generator) -> Genotype:
        """Draw cell and path uniformly: the baseline that a search has to beat."""
        edges = uniform(generator, self._cell_group, self.edges_per_block)
        return Genotype(self.name, (self._cell(edges),), self.trellis.random_path(generator))

    def network(
        self,
        genotype: Genotype,
        *,
        filters: int = 20,
        stem_channels: int = 64,
        head_channels: int = 256,
        low_level_channels: int = 48,
    ) -> TrellisNetwork:
        """Build the network of a genotype, of the paper's size S unless told otherwise: a plain module."""
        return TrellisNetwork(
            genotype,
            filters=filters,
            num_classes=self.num_classes,
            in_channels=self.in_channels,
            stem_channels=stem_channels,
            head_channels=head_channels,
            low_level_channels=low_level_channels,
        )

    def check_data(self, shape: tuple[int, ...], num_classes: int | None) -> None:
        """Raise a ValueError unless images of `shape` (channels, height, width) with these classes fit the space."""
        height, width = image_size(shape, in_channels=self.in_channels, reader="space")
        largest = FIRST_STRIDE * 2 ** self.trellis.highest(self.layers)
        if min(height, width) < largest:
            raise ValueError(
                f"images: {height}×{width} is too small for stride {largest}; allowed is {largest}×{largest} and "
                "above, or fewer levels."
            )
        check_num_classes(self.num_classes, num_classes)

    def _cell(self, edges: tuple) -> Cell:
        return Cell(CELL, edges, tuple(range(2, 2 + self.blocks)))
