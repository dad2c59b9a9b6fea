"""Endless batches of consecutive rows of a text in columns: batch t is a function of (tokens, seed, purpose, t).

The text is cut into as many columns as a batch has sequences, and read downwards, so that the hidden state after one
batch is the one to begin the next with. The lengths of a pass over the rows are drawn from the pass's own key.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from archgrad import checks
from archgrad.data.stream import Batch
from archgrad.seeding import generator


@dataclass(frozen=True)
class Lengths:
    """How the lengths of sequences vary, so that the text is not cut at the same places in every pass.

    The base is the stream's `sequence_length` L, or with some probability L/2. The length is the whole number below a
    normal variable around the base, but at least min(`minimum`, L), so that a short L is not overruled, and at most
    L + `excess` (arXiv:1708.02182, Section 5).

    Arguments:
        half_probability: of the base L/2.
        deviation: standard deviation of the normal variable, in rows; 0 leaves the base itself.
        minimum: the shortest length, in rows; the last sequence of a pass may still be shorter.
        excess: what a length may have more than L, in rows.

    Raises:
        ValueError: `half_probability` outside [0, 1], `deviation` or `excess` below 0, or `minimum` below 1.

    >>> FIXED.expected(35), SEARCH_LENGTHS.expected(35)
    (35.0, 34.1)
    """

    half_probability: float = 0.0
    deviation: float = 0.0
    minimum: int = 1
    excess: int = 20

    def __post_init__(self) -> None:
        checks.within("half_probability", self.half_probability, (0, 1))
        checks.at_least("deviation", self.deviation, 0)
        checks.whole("minimum", self.minimum, 1)
        checks.whole("excess", self.excess, 0)

    def bounds(self, sequence_length: int) -> tuple[int, int]:
        """The shortest and the longest length there can be, the end of a pass aside."""
        return min(self.minimum, sequence_length), sequence_length + (self.excess if self.deviation else 0)

    def draw(self, sequence_length: int, count: int, draws: torch.Generator) -> Int64[Tensor, "count"]:
        """Draw `count` lengths."""
        low, high = self.bounds(sequence_length)
        halved = torch.rand(count, generator=draws, dtype=torch.float64) < self.half_probability
        base = torch.where(halved, sequence_length / 2, float(sequence_length))
        if self.deviation:
            base = base + self.deviation * torch.randn(count, generator=draws, dtype=torch.float64)
        return base.floor().long().clamp(low, high)

    def expected(self, sequence_length: int) -> float:
        """The mean of the lengths, exactly: the sum over n of the probabilities of at least n."""
        low, high = self.bounds(sequence_length)
        mean = 0.0
        for base, share in ((sequence_length / 2, self.half_probability), (sequence_length, 1 - self.half_probability)):
            mean += share * (low + sum(self._reaches(length, base) for length in range(low + 1, high + 1)))
        return mean

    def _reaches(self, length: int, base: float) -> float:
        if not self.deviation:
            return float(base >= length)
        return math.erfc((length - base) / (self.deviation * math.sqrt(2))) / 2


FIXED = Lengths()
"""Every sequence has the same length, but for the last of a pass."""

SEARCH_LENGTHS = Lengths(half_probability=0.05)
"""Of the search for recurrent cells, arXiv:1806.09055: its code draws the base alone."""

TRAIN_LENGTHS = Lengths(half_probability=0.05, deviation=5.0, minimum=5, excess=20)
"""Of the training of recurrent cells, arXiv:1806.09055 and 1708.02182; the limit above is of the former's code."""


class TextStream:
    """Endless batches (tokens [time, batch], next tokens [time, batch]) of consecutive rows of a text in columns.

    The text is cut into `batch_size` columns of equal length, one below the other as it reads; what is left over is
    left out. Where a pass over the rows ends, the next begins at row 0, which a hidden state that is carried on does
    not fit: the end of the text is then followed by its beginning. The last sequence of a pass has what is left, at
    least 1 row.

    Arguments:
        tokens: the text.
        batch_size: columns.
        sequence_length: rows in a batch, the length of backpropagation through time, before `lengths` vary it.
        seed, purpose: the key of the lengths; streams of different purposes are independent.
        lengths: how the lengths of sequences vary.
        device: where the text and the batches, which are views of it, are.

    Raises:
        ValueError: `batch_size` or `sequence_length` below 1, or fewer than 2 tokens for every column.

    >>> stream = TextStream(torch.arange(9), batch_size=2, sequence_length=2, seed=0, purpose="train")
    >>> [tokens.tolist() for tokens in next(stream.batches())]
    [[[0, 4], [1, 5]], [[1, 5], [2, 6]]]
    >>> [tokens.tolist() for tokens in next(stream.batches(1))]
    [[[2, 6]], [[3, 7]]]
    >>> stream.batches_per_epoch
    2
    """

    def __init__(
        self,
        tokens: Int64[Tensor, "tokens"],
        *,
        batch_size: int,
        sequence_length: int,
        seed: int,
        purpose: str,
        lengths: Lengths = FIXED,
        device: torch.device | str = "cpu",
    ) -> None:
        checks.whole("sequence_length", sequence_length, 1)
        self._rows = columns(tokens, batch_size).to(device)
        self.batch_size, self.sequence_length, self.lengths = batch_size, sequence_length, lengths
        self.seed, self.purpose = seed, purpose

    @property
    def identity(self) -> dict[str, Any]:
        """What the batches follow from, as plain values: the key, the sizes, the lengths, and a digest of the text."""
        return {
            "seed": self.seed,
            "purpose": self.purpose,
            "batch_size": self.batch_size,
            "sequence_length": self.sequence_length,
            "lengths": asdict(self.lengths),
            "data": digest(self._rows),
        }

    @property
    def batches_per_epoch(self) -> int:
        """The targets of a column over the expected length, rounded up: at a fixed length, the batches of one pass.

        Where lengths are random a pass has some batches more or less, so that passes and epochs drift apart a little.
        """
        return math.ceil((len(self._rows) - 1) / self.lengths.expected(self.sequence_length))

    def batches(self, start: int = 0) -> Iterator[Batch]:
        """Iterate over batch `start`, `start` + 1, … without end.

        Raises:
            ValueError: `start` below 0.
        """
        checks.at_least("start", start, 0)
        return self._batches(start)

    def _batches(self, start: int) -> Iterator[Batch]:
        number, bounds = 0, self._bounds(0)
        while start >= len(bounds) - 1:
            start -= len(bounds) - 1
            number += 1
            bounds = self._bounds(number)
        while True:
            for first, last in zip(bounds[start:], bounds[start + 1 :], strict=False):
                yield self._rows[first:last], self._rows[first + 1 : last + 1]
            start, number = 0, number + 1
            bounds = self._bounds(number)

    def _bounds(self, number: int) -> list[int]:
        """The rows at which the sequences of a pass begin, and the one at which the last ends."""
        targets = len(self._rows) - 1
        shortest, _ = self.lengths.bounds(self.sequence_length)
        draws = generator(self.seed, self.purpose, "lengths", number)
        drawn = self.lengths.draw(self.sequence_length, -(-targets // shortest), draws)
        ends = drawn.cumsum(0)
        return [0, *ends[ends < targets].tolist(), targets]


def passes(
    tokens: Int64[Tensor, "tokens"], *, batch_size: int, sequence_length: int, device: torch.device | str = "cpu"
) -> Iterator[Batch]:
    """Iterate once over a text in order, in sequences of one length, the last of which may be shorter.

    With `batch_size` 1 every token but the first is a target exactly once; with more, so is all but the first row of
    the columns, and what is left over of the text is left out.

    Arguments:
        tokens: the text.
        batch_size: columns, as in `TextStream`.
        sequence_length: rows in a batch.
        device: where the batches are.

    Raises:
        ValueError: `batch_size` or `sequence_length` below 1, or fewer than 2 tokens for every column.

    >>> [targets.flatten().tolist() for _, targets in passes(torch.arange(6), batch_size=1, sequence_length=3)]
    [[1, 2, 3], [4, 5]]
    """
    checks.whole("sequence_length", sequence_length, 1)
    rows = columns(tokens, batch_size).to(device)
    targets = len(rows) - 1
    bounds = [(first, min(first + sequence_length, targets)) for first in range(0, targets, sequence_length)]
    return ((rows[first:last], rows[first + 1 : last + 1]) for first, last in bounds)


def digest(tokens: Int64[Tensor, "..."]) -> str:
    """A text that differs for different tokens."""
    return hashlib.blake2b(tokens.cpu().numpy().tobytes(), digest_size=16).hexdigest()


def columns(tokens: Int64[Tensor, "tokens"], batch_size: int) -> Int64[Tensor, "rows batch"]:
    """Cut a text into columns that continue each other; what is left over at the end is left out.

    Raises:
        ValueError: `batch_size` below 1, or fewer than 2 tokens for every column, an input and a target.

    >>> columns(torch.arange(7), 2)
    tensor([[0, 3],
            [1, 4],
            [2, 5]])
    """
    checks.whole("batch_size", batch_size, 1)
    rows = len(tokens) // batch_size
    if rows < 2:
        raise ValueError(
            f"tokens: {len(tokens)} are shorter than one batch of sequences; batch_size {batch_size} needs at least "
            f"{2 * batch_size}, an input and a target in every column; give a longer text or lower batch_size."
        )
    return tokens[: rows * batch_size].view(batch_size, rows).t().contiguous()
