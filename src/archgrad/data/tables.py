"""Endless batches of the rows of a table: batch t is a function of (seed, purpose, t), as those of images are."""

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from archgrad import checks
from archgrad.seeding import generator

FEWEST_ROWS = 4
"""Tables with fewer rows are not split: too little would be left on either side."""


class TableStream:
    """Batches (inputs [batch, columns], targets [batch, …]) in float32; every epoch is a permutation of the rows.

    The incomplete last batch of an epoch is left out. A batch of all rows, which `batch_size` may exceed, has them in
    order.

    Arguments:
        inputs, targets: the table.
        weights: of the rows; the targets are then [batch, 2], y beside its weight.
        batch_size: rows per batch.
        seed, purpose: the key of the permutations; streams of different purposes are independent.

    Raises:
        ValueError: no rows, inputs, targets and weights of different lengths, or a `batch_size` below 1.

    >>> stream = TableStream(torch.arange(6.0)[:, None], torch.arange(6.0), batch_size=4, seed=0, purpose="train")
    >>> stream.batches_per_epoch
    1
    """

    def __init__(
        self,
        inputs: Float[Tensor, "rows columns"],
        targets: Float[Tensor, "targets *more"],
        *,
        weights: Float[Tensor, "weights"] | None = None,
        batch_size: int,
        seed: int,
        purpose: str,
    ) -> None:
        checks.whole("batch_size", batch_size, 1)
        checks.at_least("inputs: the number of rows", len(inputs), 1)
        for name, tensor in (("targets", targets), ("weights", weights)):
            if tensor is not None and len(tensor) != len(inputs):
                raise ValueError(f"{name}: {len(tensor)} of them for {len(inputs)} rows of inputs.")
        self.inputs = inputs.float()
        self.targets = (targets if weights is None else torch.stack([targets, weights], dim=1)).float()
        self.batch_size, self.seed, self.purpose = min(batch_size, len(inputs)), seed, purpose

    @property
    def identity(self) -> dict[str, Any]:
        """What the batches follow from, as plain values: the key, the batch size, and a digest of the table."""
        digest = hashlib.blake2b(digest_size=16)
        for tensor in (self.inputs, self.targets):
            digest.update(repr(tuple(tensor.shape)).encode() + tensor.cpu().contiguous().numpy().tobytes())
        return {
            "seed": self.seed,
            "purpose": self.purpose,
            "batch_size": self.batch_size,
            "data": digest.hexdigest(),
        }

    @property
    def batches_per_epoch(self) -> int:
        """Complete batches in one permutation of the rows."""
        return len(self.inputs) // self.batch_size

    def batches(self, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Iterate over batch `start`, `start` + 1, … without end.

        Raises:
            ValueError: `start` below 0.
        """
        checks.at_least("start", start, 0)
        return self._batches(start)

    def _batches(self, start: int) -> Iterator[tuple[Tensor, Tensor]]:
        if self.batch_size == len(self.inputs):
            while True:
                yield self.inputs, self.targets
        epoch, batch = divmod(start, self.batches_per_epoch)
        while True:
            order = torch.randperm(len(self.inputs), generator=generator(self.seed, self.purpose, "permutation", epoch))
            for number in range(batch, self.batches_per_epoch):
                rows = order[number * self.batch_size : (number + 1) * self.batch_size]
                yield self.inputs[rows], self.targets[rows]
            epoch, batch = epoch + 1, 0


def split_rows(
    count: int, fraction: float, seed: int
) -> tuple[Int[np.ndarray, "training"], Int[np.ndarray, "held_out"]]:
    """Draw the rows of a table of `count` that are held out; return the others, and them, each in order.

    Neither side is empty. With fewer than `FEWEST_ROWS` rows both sides are all rows.

    >>> [side.tolist() for side in split_rows(3, 0.5, seed=0)]
    [[0, 1, 2], [0, 1, 2]]

    Raises:
        ValueError: `count` is below 1, or `fraction`, the share that is held out, not strictly between 0 and 1.
    """
    checks.whole("count", count, 1)
    if not 0 < fraction < 1:
        raise ValueError(f"fraction: must lie strictly between 0 and 1, got {fraction}.")
    rows = np.arange(count)
    if count < FEWEST_ROWS:
        return rows, rows
    order = torch.randperm(count, generator=generator(seed, "held-out rows")).numpy()
    held_out = np.isin(rows, order[: min(max(round(fraction * count), 1), count - 1)])
    return rows[~held_out], rows[held_out]
