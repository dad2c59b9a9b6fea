"""Augmentation of images and masks together: random scale, crop and flip of both, and colour jitter of the images.

All are tensor operations on whole batches on their device. Image and mask are read at the very same coordinates, which
are kept as whole numbers, so that where no pixel is divided the result is exact.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float32, Int64, Integer, Shaped
from torch import Tensor

from archgrad import checks
from archgrad.data.augment import check_channels, check_moments, moments, normalise, scaled
from archgrad.data.segmentation.labelled import SegmentationData

GREY = (0.299, 0.587, 0.114)
"""The shares of red, green and blue in grey, of ITU-R Rec. BT.601."""


class DenseDraws(NamedTuple):
    """What is random about a batch, one entry per image; None where the step is switched off."""

    size: Int64[Tensor, "batch 2"] | None
    """Height and width of the whole image after scaling, in pixels."""
    offset: Int64[Tensor, "batch 2"] | None
    """Row and column of the crop's corner in the scaled image; below 0 where the crop begins before the image."""
    flip: Bool[Tensor, "batch"] | None
    """True where the crop is mirrored."""
    brightness: Float32[Tensor, "batch"] | None
    """The factors of the colour jitter."""
    contrast: Float32[Tensor, "batch"] | None
    saturation: Float32[Tensor, "batch"] | None


class _Axis(NamedTuple):
    """Where the rows, or the columns, of the crops lie in the images; [1, length] where all images agree."""

    low: Tensor
    """The pixel at or before the coordinate, and the one after it, both clamped to the image."""
    high: Tensor
    share: Tensor
    """The weight of `high`."""
    nearest: Tensor
    inside: Tensor
    """False where the crop has left the image."""


@dataclass(frozen=True)
class DenseAugmentation:
    """Random scale, crop, flip and colour jitter, and the normalisation that training and evaluation share.

    An image of height H is scaled to S = max(1, round(z H)) rows, z = a (b/a)^u with `scale` (a, b) and u uniform in
    [0, 1], and its columns by the same z. Row i of the crop is the source's row y(i) = (i + o + 1/2) H/S − 1/2, from
    the edge of pixel 0 at −1/2; so are the columns, which run from right to left where the image is flipped. The offset
    o is uniform over the whole numbers for which the crop lies inside the image, or contains it where it is larger than
    the image (arXiv:1706.05587, Section 4.1; its code draws z uniformly, in steps).

    The image is interpolated linearly between the four pixels around the coordinate, and the mask takes the nearest
    one. Scaling down does not average the pixels that it skips: fine patterns alias, which z ≥ 1/2 keeps within bounds.
    Outside the source the image is the mean, 0 after normalisation, and the mask is `ignore`. The pixels of a crop may
    all be without a class, which the task of segmentation allows for.

    The jitter is of pixels x in 0 … 1, with g(x) their grey (`GREY`; the mean of the channels unless there are three):
    x is multiplied by the factor of brightness, then x = c x + (1 − c) mean g(x) over the whole image, then
    x = s x + (1 − s) g(x). The result is clamped to 0 … 1, once at the end.

    Arguments:
        crop: height and width of the results in pixels, of any size; None is the size of the images.
        scale: the smallest and the largest zoom; (1, 1) is none.
        flip: mirror every other image, left to right.
        brightness, contrast, saturation: strengths x in [0, 1] of the jitter: the factor is uniform in [1 − x, 1 + x].
        mean: what is subtracted per channel, of pixels scaled to 0 … 1. None: `fitted` computes it from the training
            images; until then pixels are only scaled.
        std: what is divided by per channel after that; None together with `mean`.

    Raises:
        ValueError: a crop below 1, scales that are not positive and in order, a strength outside [0, 1], one of mean
            and std without the other, differing lengths, a std that is not positive.

    >>> augmentation = DenseAugmentation(crop=(1, 3), scale=(1, 1), flip=False)
    >>> images, masks = torch.full((1, 1, 1, 1), 255, dtype=torch.uint8), torch.full((1, 1, 1), 7, dtype=torch.uint8)
    >>> draws = augmentation.draw(images, torch.Generator())._replace(offset=torch.tensor([[0, -1]]))
    >>> augmentation.apply(images, masks, draws, ignore=255)
    (tensor([[[[0., 1., 0.]]]]), tensor([[[255,   7, 255]]]))
    """

    crop: tuple[int, int] | None = None
    scale: tuple[float, float] = (0.5, 2.0)
    flip: bool = True
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.crop is not None:
            for length in self.crop:
                checks.whole("crop", length, 1)
        smallest, largest = self.scale
        checks.above("scale", smallest, 0)
        checks.above("scale", largest, 0)
        if smallest > largest:
            raise ValueError(f"scale: must begin with the smaller zoom, got {self.scale}.")
        for name in ("brightness", "contrast", "saturation"):
            checks.within(name, getattr(self, name), (0, 1))
        check_moments(self.mean, self.std)

    def check_channels(self, channels: int) -> None:
        """Raise a ValueError unless images of so many channels can be augmented."""
        check_channels(self.mean, channels)
        if self.saturation and channels != len(GREY):
            raise ValueError(f"saturation: needs 3 channels (red, green, blue), got {self.saturation} for {channels}.")

    def fitted(self, data: SegmentationData) -> "DenseAugmentation":
        """Fill in mean and std (population, over all pixels of a channel) from `data` where they are None.

        A constant channel gets std 1.

        Raises:
            ValueError: mean and std are given for another number of channels, or a saturation for other than 3.
        """
        self.check_channels(data.shape[0])
        if self.mean is not None:
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

    def draw(self, images: Shaped[Tensor, "batch channels height width"], generator: torch.Generator) -> DenseDraws:
        """Draw what is random about a batch: scales, offsets, flips, then the factors of the jitter."""
        batch, _, *extent = images.shape
        crop = list(self.crop or extent)

        def uniform() -> Tensor:
            return torch.rand(batch, generator=generator, device=generator.device).to(images.device)

        def up_to(limit: Tensor) -> Tensor:
            drawn = torch.randint(2**31, (batch,), generator=generator, device=generator.device)
            return drawn.to(images.device) % (limit + 1)  # limits differ between images, which randint has no form for

        def factor(strength: float) -> Tensor | None:
            return 1 + strength * (2 * uniform() - 1) if strength else None

        size = offset = None
        if self.scale != (1, 1):
            smallest, largest = self.scale
            zoom = smallest * (largest / smallest) ** uniform()
            size = torch.stack([(zoom * length).round().long().clamp(min=1) for length in extent], 1)
        if size is not None or crop != extent:
            lengths = extent if size is None else size.unbind(1)
            spare = [torch.as_tensor(length - kept) for length, kept in zip(lengths, crop, strict=True)]
            offset = torch.stack([room.sign() * up_to(room.abs()) for room in spare], 1)
        flip = uniform() < 0.5 if self.flip else None
        return DenseDraws(size, offset, flip, *map(factor, (self.brightness, self.contrast, self.saturation)))

    def apply(
        self,
        images: Shaped[Tensor, "batch channels height width"],
        masks: Integer[Tensor, "batch height width"],
        draws: DenseDraws,
        *,
        ignore: int,
    ) -> tuple[Float32[Tensor, "batch channels rows columns"], Int64[Tensor, "batch rows columns"]]:
        """Augment and normalise a batch with given draws.

        Arguments:
            images: uint8, or floats, which are not scaled and of which a jitter expects 0 … 1.
            masks: labels of the pixels.
            draws: what `draw` returns for these images.
            ignore: the label of pixels from outside.

        Returns:
            images float32 in `torch.channels_last`, and masks int64.

        Raises:
            ValueError: what `check_channels` raises.
        """
        self.check_channels(images.shape[1])
        if all(step is None for step in (draws.size, draws.offset, draws.flip)):
            return self.normalise(self._jitter(scaled(images), images, draws)), masks.long()
        down, across = self._axes(images, draws)
        if draws.size is None:
            values = _read(images, down.nearest, across.nearest)
        else:
            values = _interpolate(images, down, across)
        labels = _read(masks[:, None], down.nearest, across.nearest)[:, 0].long()
        outside = ~(down.inside[:, :, None] & across.inside[:, None, :])
        values = self.normalise(self._jitter(scaled(values), images, draws))
        return values.masked_fill_(outside[:, None], 0), labels.masked_fill_(outside, ignore)

    def __call__(
        self,
        images: Shaped[Tensor, "batch channels height width"],
        masks: Integer[Tensor, "batch height width"],
        generator: torch.Generator,
        *,
        ignore: int,
    ) -> tuple[Float32[Tensor, "batch channels rows columns"], Int64[Tensor, "batch rows columns"]]:
        """Augment and normalise a batch on its device; arguments and results as in `apply`.

        Raises:
            ValueError: what `check_channels` raises.
        """
        return self.apply(images, masks, self.draw(images, generator), ignore=ignore)

    def _axes(self, images: Tensor, draws: DenseDraws) -> tuple[_Axis, _Axis]:
        _, _, *extent = images.shape
        axes = []
        for axis, (length, kept) in enumerate(zip(extent, self.crop or extent, strict=True)):
            place = torch.arange(kept, device=images.device)[None]
            if axis == 1 and draws.flip is not None:
                place = torch.where(draws.flip[:, None], kept - 1 - place, place)
            if draws.offset is not None:
                place = place + draws.offset[:, axis, None]
            axes.append(_axis(place, length if draws.size is None else draws.size[:, axis, None], length))
        return axes[0], axes[1]

    def _jitter(self, values: Tensor, images: Tensor, draws: DenseDraws) -> Tensor:
        """Jitter the pixels `values`, read from `images`, of which contrast needs the mean."""
        factors = (draws.brightness, draws.contrast, draws.saturation)
        if all(factor is None for factor in factors):
            return values
        brightness, contrast, saturation = (
            None if factor is None else factor[:, None, None, None] for factor in factors
        )
        if brightness is not None:
            values = values * brightness
        if contrast is not None:
            mean = _grey(images.mean((2, 3), keepdim=True, dtype=torch.float32))
            mean = mean / 255 if images.dtype == torch.uint8 else mean
            values = torch.lerp(mean if brightness is None else mean * brightness, values, contrast)
        if saturation is not None:
            values = torch.lerp(_grey(values), values, saturation)
        return values.clamp(0, 1)


def _axis(place: Tensor, size: Tensor | int, length: int) -> _Axis:
    """Locate the pixels `place` of an axis scaled from `length` to `size` in the source."""
    # the coordinate times 2·size is a whole number: the neighbours are exact, and mask and image cannot disagree
    middle, parts = (2 * place + 1) * length, 2 * size
    coordinate = middle - size
    low = coordinate // parts
    return _Axis(
        low=low.clamp(0, length - 1),
        high=(low + 1).clamp(0, length - 1),
        share=(coordinate - low * parts).float() / parts,
        nearest=(middle // parts).clamp(0, length - 1),
        inside=(place >= 0) & (place < size),
    )


def _read(values: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Read [batch, channels, height, width] at `rows` and `columns`, [batch or 1, length] each."""
    batch, channels, _, width = values.shape
    index = rows[:, :, None] * width + columns[:, None, :]
    read = values.flatten(2).gather(2, index.flatten(1)[:, None].expand(batch, channels, -1))
    return read.unflatten(2, index.shape[1:])


def _interpolate(images: Tensor, down: _Axis, across: _Axis) -> Tensor:
    """Interpolate linearly along the columns, then along the rows; a weight of 0 gives the pixel itself, exactly."""

    def row(rows: Tensor) -> Tensor:
        left, right = (scaled(_read(images, rows, columns)) for columns in (across.low, across.high))
        return torch.lerp(left, right, across.share[:, None, None, :])

    return torch.lerp(row(down.low), row(down.high), down.share[:, None, :, None])


def _grey(values: Tensor) -> Tensor:
    """The grey [batch, 1, …] of pixels: the luma of red, green and blue, else the mean of the channels."""
    if values.shape[1] != len(GREY):
        return values.mean(1, keepdim=True)
    red, green, blue = (share * values[:, place, None] for place, share in enumerate(GREY))
    return red + green + blue
