"""The search on images: data become streams, then Eq. 4 (`archgrad.bilevel`)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.data import Dataset

from archgrad.bilevel import Searcher, SearchResult
from archgrad.data.describe import check_classes, image_shape
from archgrad.data.images import ImageData, as_images
from archgrad.data.split import halve
from archgrad.data.stream import Stream
from archgrad.devices import resolve_device
from archgrad.loop import Callback
from archgrad.methods import Method
from archgrad.settings import SearchSettings, changed
from archgrad.spaces.space import ImageSpace
from archgrad.tasks import Task


def search(
    space: ImageSpace,
    *,
    train: Any,
    validation: Any = None,
    method: Method | str | None = None,
    settings: SearchSettings | None = None,
    task: Task | None = None,
    seed: int = 0,
    callbacks: Sequence[Callback] = (),
    device: str | torch.device = "auto",
    **changes: Any,
) -> SearchResult:
    """Search an architecture: the weights learn on `train`, the logits on `validation` (Eq. 4).

    `train` and `validation` are `ImageData`, a pair of arrays (images, labels), or a map-style dataset. Without
    `validation` the training data is split by the library, stratified, half and half unless the settings say otherwise.
    Both parts are augmented. `method` is a row of the table or its name. `changes` are fields of `SearchSettings`, such
    as `epochs=3`.

    Equal seeds give equal searches; on the CPU bit for bit, also when stopped and resumed.

    Raises:
        ValueError: before any work, for data or settings that do not fit the space or each other.
        Diverged: a loss is no longer finite.
    """
    resolved = changed(SearchSettings() if settings is None else settings, changes)
    where = resolve_device(device)
    training, validating = _both_parts(space, train, validation, settings=resolved, seed=seed)
    augmentation = resolved.augmentation.fitted(training) if isinstance(training, ImageData) else resolved.augmentation
    streams = [
        Stream(
            part,
            batch_size=resolved.batch_size,
            seed=seed,
            purpose=f"search {purpose}",
            augmentation=augmentation,
            device=where,
            workers=resolved.workers,
        )
        for purpose, part in (("train", training), ("validation", validating))
    ]
    searcher = Searcher(
        space,
        steps_per_epoch=streams[0].batches_per_epoch,
        method=method,
        settings=resolved,
        task=task,
        device=where,
    )
    return searcher.run(searcher.init(seed), streams[0], streams[1], callbacks=callbacks)


def _both_parts(
    space: ImageSpace, train: Any, validation: Any, *, settings: SearchSettings, seed: int
) -> tuple[ImageData | Dataset[Any], ImageData | Dataset[Any]]:
    training = as_images(train)
    if validation is None:
        training, validating = halve(training, fraction=settings.train_fraction, seed=seed)
    else:
        validating = as_images(validation)
    shape = image_shape(training)
    if image_shape(validating) != shape:
        raise ValueError(f"validation: images of shape {image_shape(validating)}, but train has {shape}.")
    num_classes = training.num_classes if isinstance(training, ImageData) else None
    space.check_data(shape, num_classes)
    for name, part in (("train", training), ("validation", validating)):
        check_classes(part, name=name, num_classes=space.num_classes)
    return training, validating
