"""Augmentation of whole batches: random crop, flip, normalisation and cutout as tensor operations on the device.

The order is that of the DARTS pipeline (arXiv:1806.09055, section 3): the raw image is padded with zeros, cropped and
flipped, then normalised, then a square of the normalised image is set to zero (cutout, arXiv:1708.04552).
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float32, Int64, Shaped
from torch import Tensor
from torch.nn.functional import pad

from archgrad import checks
from archgrad.data.images import CHUNK, ImageData, to_device

CIFAR10_MEAN = (0.49139968, 0.48215827, 0.44653124)
CIFAR10_STD = (0.24703233, 0.24348505, 0.26158768)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
VALUES = 2**24  # in a chunk at most, unless one image has more: 128 MiB in float64


class Draws(NamedTuple):
    """What is random about a batch, one entry per image; None where the step is switched off."""

    offset: Int64[Tensor, "batch 2"] | None
    """Row and column of the crop's corner in the padded image."""
    flip: Bool[Tensor, "batch"] | None
    """True where the image is mirrored."""
    centre: Int64[Tensor, "batch 2"] | None
    """Row and column of the centre of the square that is cut out."""


@dataclass(frozen=True)
class Augmentation:
    """Random crop, flip and cutout, and the normalisation that training and evaluation share.

    Arguments:
        crop_padding: zeros added on every side before a crop of the original size, in pixels; 0 is no crop.
        flip: mirror every other image, left to right.
        cutout: side of the square set to zero, in pixels; 0 is no cutout. Its centre is uniform over the image and
            the square is clipped at the borders.
        mean: what is subtracted per channel, of pixels scaled to 0 … 1. None: `fitted` computes it from the training
            images; until then pixels are only scaled.
        std: what is divided by per channel after that; None together with `mean`.

    Raises:
        ValueError: a negative size, one of mean and std without the other, differing lengths, a std that is not
            positive.

    >>> augmentation = Augmentation(crop_padding=0, flip=False, mean=(0.5,), std=(0.5,))
    >>> augmentation.normalise(torch.tensor([[[[0, 255]]]], dtype=torch.uint8))
    tensor([[[[-1.,  1.]]]])
    """

    crop_padding: int = 4
    flip: bool = True
    cutout: int = 0
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        checks.at_least("crop_padding", self.crop_padding, 0)
        checks.at_least("cutout", self.cutout, 0)
        check_moments(self.mean, self.std)

    def fitted(self, data: ImageData) -> "Augmentation":
        """Fill in mean and std (population, over all pixels of a channel) from `data` where they are None.

        A constant channel gets std 1.

        Raises:
            ValueError: mean and std are given, for another number of channels.
        """
        if self.mean is not None:
            check_channels(self.mean, data.shape[0])
            return self
        mean, std = moments(data.images)
        return replace(self, mean=mean, std=std)

    def normalise(
        self, images: Shaped[Tensor, "batch channels height width"]
    ) -> Float32[Tensor, "batch channels height width"]:
        """Scale uint8 pixels to 0 … 1 and subtract mean, divide by std; float images are not scaled.

        Returns:
            float32 in `torch.channels_last`.

        Raises:
            ValueError: mean and std are for another number of channels.
        """
        return normalise(images, self.mean, self.std)

    def draw(self, images: Shaped[Tensor, "batch channels height width"], generator: torch.Generator) -> Draws:
        """Draw what is random about a batch: offsets, then flips, then centres."""
        batch, _, height, width = images.shape

        def below(limit: int) -> Tensor:
            drawn = torch.randint(limit, (batch,), generator=generator, device=generator.device)
            return drawn.to(images.device)

        offsets = 2 * self.crop_padding + 1
        return Draws(
            offset=torch.stack([below(offsets), below(offsets)], 1) if self.crop_padding else None,
            flip=below(2).bool() if self.flip else None,
            centre=torch.stack([below(height), below(width)], 1) if self.cutout else None,
        )

    def apply(
        self, images: Shaped[Tensor, "batch channels height width"], draws: Draws
    ) -> Float32[Tensor, "batch channels height width"]:
        """Augment and normalise a batch with given draws; float32 in `torch.channels_last`."""
        values = self.normalise(self._crop_and_flip(images, draws))
        return values if draws.centre is None else values.clone().masked_fill_(self._cut(values, draws.centre), 0)

    def __call__(
        self, images: Shaped[Tensor, "batch channels height width"], generator: torch.Generator
    ) -> Float32[Tensor, "batch channels height width"]:
        """Augment and normalise a batch (uint8 or float) on its device; float32 in `torch.channels_last`.

        Raises:
            ValueError: mean and std are for another number of channels.
        """
        return self.apply(images, self.draw(images, generator))

    def _crop_and_flip(self, images: Tensor, draws: Draws) -> Tensor:
        if draws.offset is None and draws.flip is None:
            return images
        batch, _, height, width = images.shape
        rows = torch.arange(height, device=images.device).expand(batch, -1)
        columns = torch.arange(width, device=images.device).expand(batch, -1)
        if draws.flip is not None:
            columns = torch.where(draws.flip[:, None], width - 1 - columns, columns)
        if draws.offset is not None:
            images = pad(images, [self.crop_padding] * 4)
            rows, columns = rows + draws.offset[:, :1], columns + draws.offset[:, 1:]
        image = torch.arange(batch, device=images.device)[:, None, None]
        # indices around a slice put the sliced axis last: the gathered batch is already channels_last
        return images[image, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)

    def _cut(self, values: Tensor, centre: Tensor) -> Tensor:
        start = centre - self.cutout // 2

        def inside(size: int, axis: int) -> Tensor:
            position = torch.arange(size, device=values.device)
            first = start[:, axis, None]
            return (position >= first) & (position < first + self.cutout)

        _, _, height, width = values.shape
        return inside(height, 0)[:, None, :, None] & inside(width, 1)[:, None, None, :]


def check_moments(mean: tuple[float, ...] | None, std: tuple[float, ...] | None) -> None:
    """Raise a ValueError unless mean and std are both None or have one finite number per channel, the std above 0."""
    if mean is None and std is None:
        return
    if mean is None or std is None:
        given, missing = ("mean", "std") if std is None else ("std", "mean")
        raise ValueError(f"{missing}: is None although {given} is given; give both or neither.")
    if len(mean) != len(std) or not mean:
        raise ValueError(f"std: must have one entry per channel as mean, got {std} for mean {mean}.")
    for value in mean:
        if not math.isfinite(value):
            raise ValueError(f"mean: must be finite, got {mean}.")
    for value in std:
        if not 0 < value < math.inf:
            raise ValueError(f"std: must be positive and finite, got {std}.")


def check_channels(mean: tuple[float, ...] | None, channels: int) -> None:
    """Raise a ValueError if a mean is given, for another number of channels."""
    if mean is not None and len(mean) != channels:
        raise ValueError(f"mean: has {len(mean)} entries, the images have {channels} channels.")


def normalise(
    images: Shaped[Tensor, "batch channels height width"], mean: tuple[float, ...] | None, std: tuple[float, ...] | None
) -> Float32[Tensor, "batch channels height width"]:
    """Scale uint8 pixels to 0 … 1, then subtract mean and divide by std unless they are None; `torch.channels_last`.

    Raises:
        ValueError: mean and std are for another number of channels.
    """
    values = scaled(images)
    if mean is not None:
        check_channels(mean, images.shape[1])
        table = torch.tensor([mean, std], dtype=torch.float32)[:, :, None, None]
        centre, spread = to_device(table, images.device)
        values = (values - centre) / spread
    return values.contiguous(memory_format=torch.channels_last)


def scaled(images: Shaped[Tensor, "*shape"]) -> Float32[Tensor, "*shape"]:
    """Scale uint8 pixels to 0 … 1; floats stay as they are."""
    return images.float() / 255 if images.dtype == torch.uint8 else images.float()


def moments(images: Shaped[Tensor, "images channels height width"]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and population standard deviation of every channel, in float64, two passes over chunks of images.

    uint8 pixels count as 0 … 1; a constant channel gets std 1.
    """
    scale = 255 if images.dtype == torch.uint8 else 1
    count = images.numel() // images.shape[1]
    chunks = images.split(max(1, min(CHUNK, VALUES // images[0].numel())))
    mean = torch.stack([chunk.double().sum((0, 2, 3)) for chunk in chunks]).sum(0) / count
    centred = (chunk.double() - mean.view(-1, 1, 1) for chunk in chunks)
    squares = torch.stack([chunk.square().sum((0, 2, 3)) for chunk in centred]).sum(0)
    std = (squares / count).sqrt() / scale
    # compared by value: rounding can leave a constant channel with a tiny deviation
    constant = images.amax((0, 2, 3)) == images.amin((0, 2, 3))
    std = torch.where(constant | (std == 0), torch.ones_like(std), std)
    return tuple((mean / scale).tolist()), tuple(std.tolist())
