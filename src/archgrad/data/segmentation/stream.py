"""Endless streams of batches of images and masks: batch t is a function of (seed, purpose, t)."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from archgrad import checks
from archgrad.data.images import to_device
from archgrad.data.segmentation.augment import DenseAugmentation
from archgrad.data.segmentation.labelled import SegmentationData, digest
from archgrad.data.stream import Batch, check_batch_size, permuted
from archgrad.seeding import generator

PLAIN = DenseAugmentation(scale=(1, 1), flip=False)
"""Pixels scaled to 0 … 1, nothing else."""


class SegmentationStream:
    """An endless sequence of training batches; every epoch is a permutation without its incomplete last batch.

    A batch is (images [B, C, h, w] float32 in `torch.channels_last`, masks [B, h, w] int64).

    Arguments:
        data: images and masks, moved to `device` once and indexed there.
        batch_size: images per batch.
        seed, purpose: the key of everything random; streams of different purposes are independent.
        augmentation: applied to whole batches on `device`; None scales pixels to 0 … 1 and no more.
        device: where the batches are.

    Raises:
        ValueError: `batch_size` below 1 or above the number of images, or an augmentation for other channels.

    >>> masks = torch.arange(10, dtype=torch.uint8).view(10, 1, 1)
    >>> data = SegmentationData(torch.zeros(10, 3, 1, 1, dtype=torch.uint8), masks, tuple("abcdefghij"))
    >>> stream = SegmentationStream(data, batch_size=4, seed=0, purpose="train")
    >>> stream.batches_per_epoch
    2
    >>> batches = stream.batches()
    >>> third = [next(batches) for _ in range(3)][2]
    >>> torch.equal(third[1], next(stream.batches(2))[1])
    True
    """

    def __init__(
        self,
        data: SegmentationData,
        *,
        batch_size: int,
        seed: int,
        purpose: str,
        augmentation: DenseAugmentation | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        check_batch_size(batch_size, len(data), purpose)
        self._augmentation = augmentation or PLAIN
        self._augmentation.check_channels(data.shape[0])
        self._data = replace(data, images=data.images.to(device), masks=data.masks.to(device))
        self._device = torch.device(device)
        self.batch_size, self.seed, self.purpose = batch_size, seed, purpose

    @property
    def identity(self) -> dict[str, Any]:
        """What the batches follow from, as plain values: the key, the batch size, and a digest of the data."""
        return {
            "seed": self.seed,
            "purpose": self.purpose,
            "batch_size": self.batch_size,
            "data": digest(self._data),
        }

    @property
    def batches_per_epoch(self) -> int:
        """Complete batches in one permutation of the data."""
        return len(self._data) // self.batch_size

    def batches(self, start: int = 0) -> Iterator[Batch]:
        """Iterate over batch `start`, `start` + 1, … without end.

        Raises:
            ValueError: `start` below 0.
        """
        checks.at_least("start", start, 0)
        return self._batches(start)

    def _batches(self, start: int) -> Iterator[Batch]:
        data, key = self._data, (self.seed, self.purpose)
        order = permuted(len(data), self.batch_size, key, start=start)
        for step, (_, positions) in enumerate(order, start):
            index = to_device(positions, self._device)
            images, masks = data.images.index_select(0, index), data.masks.index_select(0, index)
            draws = generator(*key, "augmentation", step, device=self._device)
            yield self._augmentation(images, masks, draws, ignore=data.ignore)
