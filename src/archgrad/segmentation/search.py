"""`search`: cell and path together on labelled pixels. Weights learn on one part of the images, logits on the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from archgrad.bilevel import Searcher, SearchResult
from archgrad.data.segmentation.labelled import SegmentationData, split
from archgrad.data.segmentation.stream import SegmentationStream
from archgrad.devices import resolve_device
from archgrad.loop import Callback, check_callbacks
from archgrad.memory import require_memory
from archgrad.methods import Method, by_name, darts
from archgrad.segmentation.memory import LOWER, require_room, search_bytes
from archgrad.settings import SegmentationSearchSettings, changed
from archgrad.spaces.trellis import TrellisSpace
from archgrad.tasks import Segmentation


def search(
    space: TrellisSpace,
    *,
    data: SegmentationData,
    validation: SegmentationData | None = None,
    method: Method | str | None = None,
    settings: SegmentationSearchSettings | None = None,
    seed: int = 0,
    callbacks: Sequence[Callback] = (),
    device: str | torch.device = "auto",
    **changes: Any,
) -> SearchResult:
    """Search a cell and its path through the trellis (Eq. 4): as `archgrad.search`, with a class for every pixel.

    The weights learn on `data`, α and β on `validation`; without it `data` is split at random, half and half unless the
    settings say otherwise. `method` is a row of the table or its name, first-order DARTS unless given, as in the paper.
    `changes` are fields of `SegmentationSearchSettings`, such as `epochs=3`.

    Equal seeds give equal searches; on the CPU bit for bit, also when stopped and resumed.

    Reference: arXiv:1901.02985, sections 4.2 and 5.1.

    Raises:
        ValueError: before any work, for data or settings that do not fit the space or each other, or a step that takes
            more memory than there is.
        Diverged: a loss is no longer finite.
    """
    check_callbacks(callbacks)
    resolved = changed(SegmentationSearchSettings() if settings is None else settings, changes)
    planned = plan_search(
        space, data=data, validation=validation, method=method, settings=resolved, seed=seed, device=device
    )
    return planned.run(callbacks=callbacks)


@dataclass(frozen=True)
class PlannedSearch:
    """A search that has been checked and is known to fit; `estimated_bytes` is what a step takes at its peak."""

    searcher: Searcher
    train: SegmentationStream
    validation: SegmentationStream
    seed: int
    estimated_bytes: int

    def run(self, *, callbacks: Sequence[Callback] = ()) -> SearchResult:
        """Carry it out; raises what `search` raises."""
        return self.searcher.run(self.searcher.init(self.seed), self.train, self.validation, callbacks=callbacks)


def plan_search(
    space: TrellisSpace,
    *,
    data: SegmentationData,
    validation: SegmentationData | None = None,
    method: Method | str | None = None,
    settings: SegmentationSearchSettings,
    seed: int = 0,
    device: str | torch.device = "auto",
) -> PlannedSearch:
    """All of `search` but the search: check space, data and settings, and find out what a step takes.

    Raises:
        ValueError: as `search`.
    """
    where = resolve_device(device)
    chosen = darts(order=1) if method is None else by_name(method) if isinstance(method, str) else method
    parts = split(data, settings.train_fraction, seed=seed) if validation is None else (data, validation)
    _check(space, *parts, settings=settings)
    for name, part in zip(("weights", "logits"), parts, strict=True):
        if settings.batch_size > len(part):
            raise ValueError(
                f"batch_size: {settings.batch_size} is more than the {len(part)} images that train the {name}; "
                "lower it, or give more images or another train_fraction."
            )
    augmentation = settings.augmentation.fitted(parts[0])
    train, validate = (
        SegmentationStream(
            part,
            batch_size=settings.batch_size,
            seed=seed,
            purpose=f"search {purpose}",
            augmentation=augmentation,
            device=where,
        )
        for purpose, part in zip(("train", "validation"), parts, strict=True)
    )
    require_room(space.supernet, where)
    size = augmentation.crop or (data.shape[1], data.shape[2])
    estimate = search_bytes(space, method=chosen, settings=settings, size=size, device=where)
    require_memory(estimate, where, lower=LOWER)
    searcher = Searcher(
        space,
        steps_per_epoch=train.batches_per_epoch,
        method=chosen,
        settings=settings,
        task=Segmentation(ignore=data.ignore),
        device=where,
    )
    return PlannedSearch(searcher, train, validate, seed, estimate)


def _check(
    space: TrellisSpace,
    training: SegmentationData,
    validating: SegmentationData,
    *,
    settings: SegmentationSearchSettings,
) -> None:
    """Raise a ValueError unless both parts fit the space and each other."""
    crop = settings.augmentation.crop
    for name, part in (("data", training), ("validation", validating)):
        channels, height, width = part.shape
        space.check_data((channels, *(crop or (height, width))), part.num_classes)
        if part.ignore != training.ignore:
            raise ValueError(f"{name}: ignores the label {part.ignore}, but data ignores {training.ignore}.")
    if validating.classes != training.classes:
        raise ValueError(f"validation: has the classes {validating.classes}, but data has {training.classes}.")
    if crop is None and validating.shape != training.shape:
        raise ValueError(
            f"validation: images of shape {validating.shape}, but data has {training.shape}; "
            "give the augmentation a crop."
        )
