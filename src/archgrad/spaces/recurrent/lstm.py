"""The LSTM as the baseline of a search for cells: the same embedding, decoder and dropout around torch's own cell.

`lstm_of_size` builds the one with as many parameters as a found cell's language model, so that the two compare.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from archgrad.checks import whole
from archgrad.ops.dropout import NO_DROPOUT, Dropout, keep_mask, locked_dropout
from archgrad.spaces.recurrent.language import INITIAL_RANGE, LanguageModel
from archgrad.tasks import LanguageOutput


class LSTMNetwork(LanguageModel):
    """A language model with one layer of LSTM; embedding and decoder are tied, so the embedding has the hidden width.

    [i, f, g, o] = W x̃_t + U h̃_{t−1} + b,  c_t = σ(f) c_{t−1} + σ(i) tanh(g),  h_t = σ(o) tanh(c_t)

    with x̃ = x · mx and h̃ = h · mh under masks that hold for a whole sequence (arXiv:1512.05287): mx drops with
    `dropout.cell_input`, mh with `dropout.hidden`. W, U and the two biases of torch start uniform in ±0.04, as
    everything in the shell; b = b_ih + b_hh. Public LSTM baselines drop entries of U instead (arXiv:1708.02182); here
    the states are dropped, as they are in the cells that the baseline is compared with.

    `hidden` is [2, batch, hidden size]: h above c. Where mh drops nothing, torch's LSTM computes all steps at once.

    Raises:
        ValueError: a size below 1, or fewer than two tokens.

    >>> network = LSTMNetwork(vocabulary_size=10, hidden_size=4)
    >>> output = network(torch.zeros(3, 2, dtype=torch.long))
    >>> output.scores.shape, output.hidden.shape
    (torch.Size([3, 2, 10]), torch.Size([2, 2, 4]))
    """

    def __init__(self, *, vocabulary_size: int, hidden_size: int, dropout: Dropout = NO_DROPOUT) -> None:
        super().__init__(
            vocabulary_size=vocabulary_size,
            hidden_size=hidden_size,
            embedding_size=hidden_size,
            tied=True,
            dropout=dropout,
        )
        self.lstm = nn.LSTM(hidden_size, hidden_size)
        for parameter in self.lstm.parameters():
            nn.init.uniform_(parameter, -INITIAL_RANGE, INITIAL_RANGE)

    def forward(
        self, tokens: Int[Tensor, "time batch"], hidden: Float[Tensor, "2 batch size"] | None = None
    ) -> LanguageOutput:
        """Score the next tokens; `hidden` None starts from zeros."""
        if hidden is None:
            hidden = self.embedding.new_zeros(2, tokens.shape[1], self.hidden_size)
        inputs = locked_dropout(self.embed(tokens), self.dropout.cell_input, training=self.training)
        if self.training and self.dropout.hidden:
            outputs, last = self._unrolled(inputs, hidden)
        else:
            outputs, (output, cell) = self.lstm(inputs, (hidden[:1].contiguous(), hidden[1:].contiguous()))
            last = torch.cat([output, cell])
        # With products in bfloat16 torch's LSTM returns its states so, too; what is carried on should not lose digits.
        return self.decode(outputs.to(hidden.dtype), last.to(hidden.dtype))

    def _unrolled(
        self, inputs: Float[Tensor, "time batch size"], hidden: Float[Tensor, "2 batch size"]
    ) -> tuple[Float[Tensor, "time batch size"], Float[Tensor, "2 batch size"]]:
        """Step by step, with the mask on h wherever it is multiplied with U."""
        output, cell = hidden.unbind()
        mask = keep_mask(output, tuple(output.shape), self.dropout.hidden)
        read, recur, read_bias, recur_bias = self.lstm.parameters()  # W, U and the two parts of b
        outputs = []
        for gates in F.linear(inputs, read, read_bias + recur_bias):
            gates = gates + F.linear(output * mask, recur)
            enter, keep, candidate, leave = gates.to(cell.dtype).chunk(4, dim=1)
            cell = keep.sigmoid() * cell + enter.sigmoid() * candidate.tanh()
            output = leave.sigmoid() * cell.tanh()
            outputs.append(output)
        return torch.stack(outputs), torch.stack([output, cell])


def hidden_size_for(parameters: int, *, vocabulary_size: int) -> int:
    """The width of the tied LSTM whose number of parameters is nearest to `parameters`.

    It is the H ≥ 1 with V H + V + 8 H² + 8 H nearest to `parameters`, where V is `vocabulary_size`: the shared
    embedding, the decoder's bias, W and U, and torch's two biases.

    Raises:
        ValueError: fewer parameters than the narrowest such network has, or fewer than two tokens.

    >>> hidden_size_for(23_000_000, vocabulary_size=10_000)
    1181
    """
    whole("vocabulary_size", vocabulary_size, 2)
    whole("parameters", parameters, _count(1, vocabulary_size))
    linear = vocabulary_size + 8
    root = (math.sqrt(linear**2 + 32 * (parameters - vocabulary_size)) - linear) / 16
    sizes = {max(1, math.floor(root)), max(1, math.ceil(root))}
    return min(sizes, key=lambda size: abs(_count(size, vocabulary_size) - parameters))


def lstm_of_size(parameters: int, *, vocabulary_size: int, dropout: Dropout = NO_DROPOUT) -> LSTMNetwork:
    """The tied LSTM whose number of parameters is nearest to `parameters`; see `hidden_size_for`.

    >>> network = lstm_of_size(1000, vocabulary_size=20)
    >>> network.hidden_size, sum(parameter.numel() for parameter in network.parameters())
    (9, 920)
    """
    size = hidden_size_for(parameters, vocabulary_size=vocabulary_size)
    return LSTMNetwork(vocabulary_size=vocabulary_size, hidden_size=size, dropout=dropout)


def _count(hidden_size: int, vocabulary_size: int) -> int:
    return vocabulary_size * (hidden_size + 1) + 8 * hidden_size * (hidden_size + 1)
