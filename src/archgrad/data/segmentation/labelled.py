"""Images with a class for every pixel, in memory: one tensor of images, one of masks, names and colours of classes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from archgrad import checks
from archgrad.data.images import hashed, resample
from archgrad.seeding import generator

IGNORE = 255
"""The label of pixels that belong to no class, unless a data set says otherwise: no loss and no metric counts them."""

LABELS = 256
"""How many labels a mask of bytes can tell apart."""

CHUNK = 64  # images resampled at once, so that a float copy of a whole data set never exists


@dataclass(frozen=True, eq=False)
class SegmentationData:
    """Images [N, C, H, W] uint8 and masks [N, H, W] uint8, whose labels are 0 … len(classes)−1 or `ignore`.

    `palette` has an (r, g, b) for each class, for pictures; without one the colours are made up. `ignore` may be the
    index of a class, as where 0 is "anything else": that class is then neither learnt nor counted.

    Raises:
        ValueError: shapes or types differ from that, a label is neither a class nor `ignore`, no pixel of an image has
            a class, or a palette of another length.

    >>> masks = torch.tensor([[[0, 1], [1, 255]]], dtype=torch.uint8)
    >>> data = SegmentationData(torch.zeros(1, 3, 2, 2, dtype=torch.uint8), masks, ("road", "sky"))
    >>> len(data), data.shape, data.num_classes
    (1, (3, 2, 2), 2)
    >>> data
    SegmentationData(1 images [3, 2, 2], classes road, sky)
    """

    images: Tensor
    masks: Tensor
    classes: tuple[str, ...]
    ignore: int = IGNORE
    palette: tuple[tuple[int, int, int], ...] = ()

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.numel() == 0 or self.images.dtype != torch.uint8:
            raise ValueError(
                "images: must be a non-empty uint8 tensor [images, channels, height, width], "
                f"got {self.images.dtype} {list(self.images.shape)}."
            )
        expected = [len(self.images), *self.shape[1:]]
        if list(self.masks.shape) != expected or self.masks.dtype != torch.uint8:
            raise ValueError(
                f"masks: must be uint8 {expected}, a label for every pixel, "
                f"got {self.masks.dtype} {list(self.masks.shape)}."
            )
        if not 1 <= self.num_classes <= LABELS:
            raise ValueError(f"classes: must be 1 to {LABELS} names, got {self.num_classes}.")
        check_ignore(self.ignore)
        if self.palette and len(self.palette) != self.num_classes:
            raise ValueError(
                f"palette: must have a colour for each of the {self.num_classes} classes, got {len(self.palette)}."
            )
        for colour in self.palette:
            if len(colour) != 3 or not all(0 <= value <= 255 for value in colour):
                raise ValueError(f"palette: colours are (red, green, blue) in 0 … 255, got {colour}.")
        self._check_masks()

    def _check_masks(self) -> None:
        wrong = (self.masks > self.num_classes - 1) & (self.masks != self.ignore)
        if wrong.any():
            place = wrong.nonzero()[0]
            raise ValueError(
                f"masks: must lie in 0 … {self.num_classes - 1} ({self.num_classes} classes) or be the ignored "
                f"{self.ignore}, got {int(self.masks[tuple(place)])} in image {int(place[0])}."
            )
        empty = ~(self.masks != self.ignore).flatten(1).any(1)
        if empty.any():
            raise ValueError(f"masks: image {int(empty.nonzero()[0])} has no pixel but of the ignored {self.ignore}.")

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return f"SegmentationData({len(self)} images {list(self.shape)}, classes {', '.join(self.classes)})"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of every image."""
        _, channels, height, width = self.images.shape
        return channels, height, width

    @property
    def num_classes(self) -> int:
        """The number of classes, whether or not each has pixels."""
        return len(self.classes)

    def subset(self, indices: Sequence[int] | np.ndarray | Tensor) -> "SegmentationData":
        """Take the images at `indices` (whole numbers, or one boolean per image), in that order, as a copy.

        Raises:
            ValueError: `indices` is empty.
            IndexError: an index is out of range.
        """
        index = torch.as_tensor(indices, device=self.masks.device)
        if index.numel() == 0:
            raise ValueError("indices: must not be empty.")
        return replace(self, images=self.images[index], masks=self.masks[index])

    def limited(self, count: int | None) -> "SegmentationData":
        """Keep the first `count` images; None, or a number above theirs, keeps all.

        Raises:
            ValueError: a count below 1.
        """
        if count is None:
            return self
        checks.whole("count", count, 1)
        return self if count >= len(self) else self.subset(torch.arange(count))

    def resized(self, size: int | tuple[int, int]) -> "SegmentationData":
        """Resample to `size` (height, width; one number: both): images bilinear with antialiasing, masks nearest.

        Raises:
            ValueError: a size below 1, or one so small that an image keeps no pixel with a class.
        """
        height, width = size if isinstance(size, tuple) else (size, size)
        checks.at_least("size", min(height, width), 1)
        if (height, width) == self.shape[1:]:
            return self
        resized = torch.cat([resample(chunk, (height, width)) for chunk in self.images.split(CHUNK)])
        return replace(self, images=resized, masks=resample_masks(self.masks, (height, width)))


def check_ignore(ignore: int) -> None:
    """Raise a ValueError unless `ignore` is a label that a mask can hold."""
    checks.whole("ignore", ignore, 0)
    checks.within("ignore", ignore, (0, LABELS - 1))


def resample_masks(
    masks: UInt8[Tensor, "images height width"], size: tuple[int, int]
) -> UInt8[Tensor, "images new_height new_width"]:
    """Resample masks to `size` (height, width): each pixel gets the label at the place of its centre.

    >>> resample_masks(torch.tensor([[[1, 2, 3]]], dtype=torch.uint8), (1, 6)).tolist()
    [[[1, 1, 2, 2, 3, 3]]]
    """
    return interpolate(masks.unsqueeze(1), size=size, mode="nearest-exact").squeeze(1)


def digest(data: SegmentationData) -> str:
    """A short text that differs for different data: of images, masks, classes and the ignored label.

    >>> images, masks = torch.zeros(1, 1, 1, 2, dtype=torch.uint8), torch.tensor([[[0, 1]]], dtype=torch.uint8)
    >>> one, other = (SegmentationData(images, mask, ("road", "sky")) for mask in (masks, 1 - masks))
    >>> digest(one) == digest(one), digest(one) == digest(other)
    (True, False)
    """
    return hashed((data.images.shape, data.classes, data.ignore), data.images, data.masks)


def split(data: SegmentationData, fraction: float, *, seed: int) -> tuple[SegmentationData, SegmentationData]:
    """Draw two disjoint parts which together are all, the first with about `fraction` of the images.

    Both keep the order of the images. Images are drawn whatever their classes: most of them show most classes.

    Arguments:
        data: what is split.
        fraction: share of the first part, between 0 and 1; each part gets an image at least.
        seed: which split; equal seeds give equal splits.

    Raises:
        ValueError: `fraction` outside (0, 1), or a single image.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction: must lie strictly between 0 and 1, got {fraction}.")
    if len(data) < 2:
        raise ValueError("data: has a single image; a split needs at least 2.")
    count = min(max(round(fraction * len(data)), 1), len(data) - 1)
    shuffled = torch.randperm(len(data), generator=generator(seed, "segmentation_split"))
    return data.subset(shuffled[:count].sort().values), data.subset(shuffled[count:].sort().values)
