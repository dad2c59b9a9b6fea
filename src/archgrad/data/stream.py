"""Endless streams of batches: batch t is a function of (seed, purpose, t), so there is nothing to save and resume.

An epoch is a permutation drawn from its own key, augmentation draws from the step's key, and a dataset's own random
transforms from the item's key: a run that starts at step t reads what an uninterrupted one would have read.
"""

from collections.abc import Iterator
from typing import Any, Protocol, TypeAlias, runtime_checkable

import torch
from jaxtyping import Int64
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from archgrad import checks
from archgrad.data.augment import Augmentation
from archgrad.data.images import ImageData, as_images, digest, to_device
from archgrad.data.items import collate, length, read_item
from archgrad.seeding import derive, generator

Batch: TypeAlias = tuple[Tensor, Tensor]
"""Images [batch, channels, height, width] float32 in channels_last, and labels [batch] int64; or inputs and targets."""


@runtime_checkable
class Batches(Protocol):
    """What a search needs of its data: the batches from any step on, without end, and what they follow from."""

    @property
    def identity(self) -> dict[str, Any]: ...

    @property
    def batches_per_epoch(self) -> int: ...

    def batches(self, start: int = 0) -> Iterator[Batch]: ...


PLAIN = Augmentation(crop_padding=0, flip=False)
"""Pixels scaled to 0 … 1, nothing else."""


class Stream:
    """An endless sequence of training batches; every epoch is a permutation without its incomplete last batch.

    Arguments:
        data: `ImageData`, moved to `device` once and indexed there, or a map-style dataset whose items are (image,
            label), read through a DataLoader.
        batch_size: images per batch.
        seed, purpose: the key of everything random; streams of different purposes are independent.
        augmentation: applied to whole batches on `device`; None scales pixels to 0 … 1 and no more.
        device: where the batches are.
        workers: processes that read a dataset's items; 0 reads them in this process. The batches do not depend on it.

    Raises:
        ValueError: `batch_size` below 1 or above the number of examples, `workers` below 0, or data that is neither
            `ImageData` nor a map-style dataset.

    >>> data = ImageData(torch.zeros(10, 1, 4, 4), torch.arange(10), tuple("abcdefghij"))
    >>> stream = Stream(data, batch_size=4, seed=0, purpose="train")
    >>> stream.batches_per_epoch
    2
    >>> batches = stream.batches()
    >>> third = [next(batches) for _ in range(3)][2]
    >>> torch.equal(third[1], next(stream.batches(2))[1])
    True
    """

    def __init__(
        self,
        data: ImageData | Dataset[Any],
        *,
        batch_size: int,
        seed: int,
        purpose: str,
        augmentation: Augmentation | None = None,
        device: torch.device | str = "cpu",
        workers: int = 0,
    ) -> None:
        data = as_images(data)
        checks.at_least("workers", workers, 0)
        self._size = _size(data)
        check_batch_size(batch_size, self._size, purpose)
        self._data = _moved(data, device) if isinstance(data, ImageData) else data
        self._augmentation = augmentation
        self._device, self._workers = torch.device(device), workers
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
        return self._size // self.batch_size

    def batches(self, start: int = 0) -> Iterator[Batch]:
        """Iterate over batch `start`, `start` + 1, … without end.

        Raises:
            ValueError: `start` below 0.
        """
        checks.at_least("start", start, 0)
        return self._batches(start)

    def _batches(self, start: int) -> Iterator[Batch]:
        if isinstance(self._data, ImageData):
            raw = self._indexed(self._data, start)
        else:
            raw = _loaded(self._data, self._keys(start), seed=(self.seed, self.purpose), workers=self._workers)
        for step, (images, labels) in enumerate(raw, start):
            images, labels = to_device(images, self._device), to_device(labels, self._device)
            if self._augmentation is None:
                yield PLAIN.normalise(images), labels
            else:
                draws = generator(self.seed, self.purpose, "augmentation", step, device=self._device)
                yield self._augmentation(images, draws), labels

    def _permuted(self, start: int) -> Iterator[tuple[int, Tensor]]:
        return permuted(self._size, self.batch_size, (self.seed, self.purpose), start=start)

    def _indexed(self, data: ImageData, start: int) -> Iterator[Batch]:
        for _, positions in self._permuted(start):
            index = to_device(positions, self._device)
            yield data.images.index_select(0, index), data.labels.index_select(0, index)

    def _keys(self, start: int) -> Iterator[list[tuple[int, int]]]:
        for epoch, positions in self._permuted(start):
            yield [(epoch, index) for index in positions.tolist()]


def permuted(
    size: int, batch_size: int, key: tuple[int, str], *, start: int = 0
) -> Iterator[tuple[int, Int64[Tensor, "batch"]]]:
    """Iterate over epoch and examples of batch `start` and all that follow; the permutations are of (seed, purpose)."""
    per_epoch = size // batch_size
    epoch, batch = divmod(start, per_epoch)
    while True:
        permutation = torch.randperm(size, generator=generator(*key, "permutation", epoch))
        for number in range(batch, per_epoch):
            yield epoch, permutation[number * batch_size : (number + 1) * batch_size]
        epoch, batch = epoch + 1, 0


def check_batch_size(batch_size: int, size: int, purpose: str) -> None:
    """Raise a ValueError unless there is at least one example in a batch and at least one batch in the examples."""
    checks.at_least("batch_size", batch_size, 1)
    if batch_size > size:
        raise ValueError(f"batch_size: {batch_size} is more than the {size} examples for {purpose!r}.")


def evaluation_batches(
    data: ImageData | Dataset[Any],
    *,
    batch_size: int,
    augmentation: Augmentation | None = None,
    device: torch.device | str = "cpu",
    workers: int = 0,
) -> Iterator[Batch]:
    """Iterate once over all examples in order, normalised only; the last batch may be smaller.

    Arguments:
        data: `ImageData` or a map-style dataset.
        batch_size: images per batch.
        augmentation: whose mean and std are used; None scales pixels to 0 … 1 and no more.
        device: where the batches are.
        workers: processes that read a dataset's items.

    Raises:
        ValueError: `batch_size` below 1, `workers` below 0, or data that is neither of the two.
    """
    data = as_images(data)
    checks.at_least("batch_size", batch_size, 1)
    checks.at_least("workers", workers, 0)
    return _evaluated(data, batch_size, augmentation or PLAIN, torch.device(device), workers)


def _evaluated(
    data: ImageData | Dataset[Any], batch_size: int, augmentation: Augmentation, device: torch.device, workers: int
) -> Iterator[Batch]:
    if isinstance(data, ImageData):
        raw = zip(data.images.split(batch_size), data.labels.split(batch_size), strict=True)
    else:
        indices = torch.arange(length(data)).split(batch_size)
        keys = ([(0, index) for index in part.tolist()] for part in indices)
        raw = _loaded(data, keys, seed=(0, "evaluation"), workers=workers)
    for images, labels in raw:
        yield augmentation.normalise(to_device(images, device)), to_device(labels, device)


class _Items(Dataset[tuple[Tensor, int]]):
    """A dataset indexed by (epoch, index): the key that an item's random transforms are drawn from."""

    def __init__(self, data: Dataset[Any], seed: tuple[int, str]) -> None:
        self.data, self.seed = data, seed

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, int]:
        epoch, index = key
        return read_item(self.data, index, seed=derive(*self.seed, "item", epoch, index))


class _BatchSampler:
    """The keys of the batches, as DataLoader wants them: an object that can be iterated."""

    def __init__(self, keys: Iterator[list[tuple[int, int]]]) -> None:
        self.keys = keys

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        return self.keys


def _loaded(
    data: Dataset[Any], keys: Iterator[list[tuple[int, int]]], *, seed: tuple[int, str], workers: int
) -> Iterator[Batch]:
    loader = DataLoader(
        _Items(data, seed),
        batch_sampler=_BatchSampler(keys),  # pyright: ignore[reportArgumentType]  it is annotated as list[int] only
        num_workers=workers,
        collate_fn=collate,
        generator=torch.Generator(),  # else the loader draws a seed from the caller's global state
    )
    yield from loader


def _size(data: ImageData | Dataset[Any]) -> int:
    return len(data) if isinstance(data, ImageData) else length(data)


def _moved(data: ImageData, device: torch.device | str) -> ImageData:
    return ImageData(data.images.to(device), data.labels.to(device), data.classes)
