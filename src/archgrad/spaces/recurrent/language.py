"""The language model around a recurrent cell: embedding, dropout, decoder; what supernet, network and LSTM share."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from archgrad.checks import whole
from archgrad.ops.dropout import Dropout, keep_mask, locked_dropout, row_dropout
from archgrad.tasks import LanguageOutput

INITIAL_RANGE = 0.04
"""Weights start uniform in ± this (arXiv:1806.09055, appendix A.1.2)."""


class LanguageModel(nn.Module):
    """Embedding before and decoder behind a cell; with `tied`, both have the same weights [vocabulary, size].

    Subclasses have the recurrent part and a `forward(tokens, hidden)`. `dropout` may be replaced at any time.

    Reference: arXiv:1806.09055, section 3.2.1; tied weights: arXiv:1608.05859.

    Raises:
        ValueError: a size below 1, or tied weights for an embedding that is not as wide as the hidden state.
    """

    def __init__(
        self, *, vocabulary_size: int, hidden_size: int, embedding_size: int, tied: bool, dropout: Dropout
    ) -> None:
        super().__init__()
        check_sizes(vocabulary_size=vocabulary_size, hidden_size=hidden_size, embedding_size=embedding_size, tied=tied)
        self.dropout = dropout
        self.vocabulary_size, self.hidden_size = vocabulary_size, hidden_size
        self.embedding = uniform(vocabulary_size, embedding_size)
        self.decoder = None if tied else uniform(vocabulary_size, hidden_size)
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))

    def embed(self, tokens: Int[Tensor, "time batch"]) -> Float[Tensor, "time batch size"]:
        """Look tokens up."""
        weight = row_dropout(self.embedding, self.dropout.rows, training=self.training)
        return locked_dropout(F.embedding(tokens, weight), self.dropout.embedding, training=self.training)

    def begin(
        self, tokens: Int[Tensor, "time batch"], hidden: Tensor | None
    ) -> tuple[Float[Tensor, "time batch width"], Tensor, Tensor | None]:
        """What a cell begins with: embedded tokens as it reads them, a hidden state, zeros for None, and its mask."""
        read = locked_dropout(self.embed(tokens), self.dropout.cell_input, training=self.training)
        if hidden is None:
            hidden = self.embedding.new_zeros(tokens.shape[1], self.hidden_size)  # products may be in bfloat16
        mask = None
        if self.training and self.dropout.hidden:
            mask = keep_mask(hidden, tuple(hidden.shape), self.dropout.hidden)
        return read, hidden, mask

    def decode(self, outputs: Float[Tensor, "time batch size"], hidden: Tensor) -> LanguageOutput:
        """Score every token of the vocabulary as the next one."""
        dropped = locked_dropout(outputs, self.dropout.output, training=self.training)
        weight = self.embedding if self.decoder is None else self.decoder
        return LanguageOutput(F.linear(dropped, weight, self.bias), hidden, outputs, dropped)


def uniform(*shape: int) -> nn.Parameter:
    """A parameter with uniform entries in ±`INITIAL_RANGE`."""
    return nn.Parameter(torch.empty(shape).uniform_(-INITIAL_RANGE, INITIAL_RANGE))


def check_sizes(*, vocabulary_size: int, hidden_size: int, embedding_size: int, tied: bool) -> None:
    """Raise a ValueError unless a language model of these sizes can be built."""
    whole("vocabulary_size", vocabulary_size, 2)
    whole("hidden_size", hidden_size, 1)
    whole("embedding_size", embedding_size, 1)
    if tied and embedding_size != hidden_size:
        raise ValueError(
            f"embedding_size: {embedding_size} differs from hidden_size {hidden_size}, but tied weights serve as "
            f"embedding and decoder; allowed: embedding_size={hidden_size}, or tied=False."
        )
