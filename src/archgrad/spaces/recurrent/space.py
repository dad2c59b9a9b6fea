"""The recurrent space of DARTS as a table: one input state, nodes that keep one predecessor and one activation."""

from dataclasses import dataclass, field

import numpy as np

from archgrad.arch import NONE, LogitGroup, Mixture
from archgrad.checks import one_of, whole
from archgrad.decode import uniform
from archgrad.genotype import RECURRENT_CELL, Cell, Edge, Genotype
from archgrad.ops.dropout import NO_DROPOUT, Dropout
from archgrad.ops.recurrent import RECURRENT_CANDIDATES
from archgrad.spaces.recurrent.language import check_sizes
from archgrad.spaces.recurrent.network import RecurrentNetwork
from archgrad.spaces.recurrent.supernet import CELL, ENGINES, RecurrentSupernet
from archgrad.spaces.space import Decoder


@dataclass(frozen=True, kw_only=True)
class RecurrentCellSpace:
    """DARTS' recurrent search space: a cell of a language model.

    State 0 is made of the token x_t and the hidden state h_{t−1}; each of `nodes` further states is a mixture over its
    predecessors and over activations (`candidates`), and h_t is their mean. There is one group of logits, "recurrent",
    [nodes (nodes + 1) / 2, candidates], 36 × 5 by default; decoding keeps one edge into each node.

    `vocabulary_size` tokens, states of `hidden_size` units, embeddings of `embedding_size` (None: as wide as the hidden
    state, as `tied` weights of embedding and decoder need). `dropout` is that of the supernet. `engine` says how the
    supernet is evaluated: "through_time" with its gradient written out, "compiled" the same with `torch.compile` (tens
    of seconds before the first step, then faster), "bundled" and "per_edge" by automatic differentiation.

    Reference: arXiv:1806.09055, sections 2.1 and 3.1.2, appendix A.1.2.

    >>> space = RecurrentCellSpace(vocabulary_size=10_000)
    >>> sum(parameter.numel() for parameter in space.supernet().parameters())
    4810000

    Raises:
        ValueError: an unknown or doubled candidate (the message names the nearest), a list without an activation, a
            size below its minimum, or one that does not agree with tied weights.
    """

    vocabulary_size: int
    nodes: int = 8
    hidden_size: int = 300
    embedding_size: int | None = None
    tied: bool = True
    candidates: tuple[str, ...] = RECURRENT_CANDIDATES
    dropout: Dropout = field(default_factory=Dropout)
    engine: str = "through_time"

    def __post_init__(self) -> None:
        whole("nodes", self.nodes, 1)
        one_of("engine", self.engine, ENGINES)
        check_sizes(
            vocabulary_size=self.vocabulary_size,
            hidden_size=self.hidden_size,
            embedding_size=self.width,
            tied=self.tied,
        )
        for candidate in self.candidates:
            one_of("candidates", candidate, RECURRENT_CANDIDATES)
        if len(set(self.candidates)) < len(self.candidates):
            raise ValueError(f"candidates: {self.candidates} lists a candidate twice.")
        if not set(self.candidates) - {NONE}:
            raise ValueError(f"candidates: needs at least one activation other than 'none', got {self.candidates}.")

    @property
    def name(self) -> str:
        """The name that genotypes of this space carry."""
        return RECURRENT_CELL

    @property
    def ensemble(self) -> tuple[int, ...]:
        """One search, none beside it."""
        return ()

    @property
    def width(self) -> int:
        """The width of the embedding."""
        return self.hidden_size if self.embedding_size is None else self.embedding_size

    @property
    def groups(self) -> tuple[LogitGroup, ...]:
        """The logits of the cell."""
        return (LogitGroup.dense(CELL, inputs=1, nodes=self.nodes, candidates=self.candidates),)

    def supernet(self) -> RecurrentSupernet:
        """Make the relaxed language model."""
        return RecurrentSupernet(self)

    def decode(self, mixture: Mixture, decoder: Decoder) -> Genotype:
        """Decode a mixture with a rule of `archgrad.decode`, which keeps one edge into each node."""
        (group,) = self.groups
        return self._genotype(decoder(mixture[CELL].detach().cpu().numpy(), group, 1))

    def random_genotype(self, generator: np.random.Generator) -> Genotype:
        """Draw a cell uniformly: the baseline that a search has to beat."""
        return self._genotype(uniform(generator, self.groups[0], 1))

    def network(
        self, genotype: Genotype, *, hidden_size: int | None = None, dropout: Dropout = NO_DROPOUT
    ) -> RecurrentNetwork:
        """Build the language model of a genotype: a plain module.

        With a `hidden_size` of its own, a tied embedding is as wide as that.
        """
        size = self.hidden_size if hidden_size is None else hidden_size
        return RecurrentNetwork(
            genotype,
            vocabulary_size=self.vocabulary_size,
            hidden_size=size,
            embedding_size=size if self.tied else self.embedding_size,
            tied=self.tied,
            dropout=dropout,
        )

    def check_data(self, shape: tuple[int, ...], num_classes: int | None) -> None:
        """Raise a ValueError unless tokens (of no further `shape`) from so many classes fit the space."""
        if shape:
            raise ValueError(f"tokens: must be single numbers, got items of shape {shape}.")
        if num_classes is not None and num_classes != self.vocabulary_size:
            raise ValueError(
                f"vocabulary_size: the space has {self.vocabulary_size} tokens, the text's vocabulary {num_classes}."
            )

    def _genotype(self, nodes: tuple[tuple[Edge, ...], ...]) -> Genotype:
        return Genotype(self.name, (Cell(CELL, nodes, tuple(range(1, self.nodes + 1)), inputs=1),))
