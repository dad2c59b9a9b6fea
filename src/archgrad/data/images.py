"""Labelled images in memory: one tensor of images, one of labels, and the names of the classes."""

import hashlib
from collections.abc import Sequence, Sized
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Int64, Shaped
from torch import Tensor
from torch.nn.functional import interpolate
from torch.utils.data import Dataset, IterableDataset

from archgrad import checks

LAYOUTS = ("auto", "NHWC", "NCHW", "NHW")
CHANNELS = (1, 3, 4)
CHUNK = 1024  # images converted at once, so that a float copy of a whole data set never exists


@dataclass(frozen=True, eq=False)
class ImageData:
    """Labelled images: `images` [N, C, H, W] uint8 or float32, `labels` [N] int64 with values in 0 … len(classes)−1.

    Raises:
        ValueError: lengths differ, nothing is there, a label is no class, or a float image has NaN or infinity.

    >>> data = ImageData(torch.zeros(4, 3, 8, 8), torch.tensor([0, 1, 1, 0]), ("cat", "dog"))
    >>> len(data), data.shape, data.num_classes
    (4, (3, 8, 8), 2)
    >>> data.subset([1, 2]).labels
    tensor([1, 1])
    """

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.numel() == 0:
            raise ValueError(
                "images: must be a non-empty tensor [examples, channels, height, width], "
                f"got shape {list(self.images.shape)}."
            )
        if self.images.dtype not in (torch.uint8, torch.float32):
            raise ValueError(f"images: must be uint8 or float32, got {self.images.dtype}.")
        if self.labels.ndim != 1 or self.labels.dtype != torch.int64:
            raise ValueError(f"labels: must be one int64 per image, got {self.labels.dtype} {list(self.labels.shape)}.")
        if len(self.labels) != len(self.images):
            raise ValueError(f"labels: must be one per image, got {len(self.labels)} for {len(self.images)} images.")
        _check_range(self.labels, self.classes)
        if self.images.is_floating_point():
            _check_finite(self.images)

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        dtype = str(self.images.dtype).removeprefix("torch.")
        return f"ImageData({len(self)} images {list(self.shape)} {dtype}, classes {', '.join(self.classes)})"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of every image."""
        _, channels, height, width = self.images.shape
        return channels, height, width

    @property
    def num_classes(self) -> int:
        """The number of classes, whether or not each has examples."""
        return len(self.classes)

    def subset(self, indices: Sequence[int] | np.ndarray | Tensor) -> "ImageData":
        """Take the examples at `indices` (whole numbers, or one boolean per example), in that order, as a copy.

        Raises:
            ValueError: `indices` is empty.
            IndexError: an index is out of range.
        """
        index = torch.as_tensor(indices, device=self.labels.device)
        if index.numel() == 0:
            raise ValueError("indices: must not be empty.")
        return replace(self, images=self.images[index], labels=self.labels[index])

    def resized(self, size: int | tuple[int, int]) -> "ImageData":
        """Resample every image to `size` (height, width; one number: both), bilinear with antialiasing.

        Raises:
            ValueError: a size below 1.
        """
        height, width = size if isinstance(size, tuple) else (size, size)
        checks.at_least("size", min(height, width), 1)
        if (height, width) == self.shape[1:]:
            return self
        resized = torch.cat([resample(chunk, (height, width)) for chunk in self.images.split(CHUNK)])
        return replace(self, images=resized)


def from_arrays(images: Any, labels: Any, *, classes: Sequence[str] | None = None, layout: str = "auto") -> ImageData:
    """Make labelled images from NumPy arrays or tensors.

    Arguments:
        images: [N, H, W, C], [N, C, H, W] or [N, H, W] (grey). Floats are taken as they are, as float32; whole numbers
            must lie in 0 … 255 and become uint8.
        labels: [N] whole numbers, or strings, which are encoded by their position in the classes.
        classes: the names of the classes. Without them: the sorted labels if these are strings, else "0" … "max".
        layout: "NHWC", "NCHW", "NHW", or "auto": the axis of 1, 3 or 4 entries is the channels; where both ends
            qualify, a NumPy array is NHWC and a tensor NCHW.

    Raises:
        ValueError: an argument is not as above; the message names it, its value and what is allowed.

    >>> from_arrays(np.zeros((2, 8, 8, 3), np.uint8), ["dog", "cat"])
    ImageData(2 images [3, 8, 8] uint8, classes cat, dog)
    """
    encoded, names = encode_labels(labels, classes)
    return ImageData(to_pixels(images, layout), encoded, names)


def digest(data: "ImageData | Dataset[Any]") -> str:
    """A short text that differs for different data: of images and labels, or of a dataset's type and length.

    >>> labels, classes = torch.tensor([0, 1]), ("a", "b")
    >>> black, white = (ImageData(torch.full((2, 1, 1, 1), value), labels, classes) for value in (0.0, 1.0))
    >>> digest(black) == digest(black), digest(black) == digest(white)
    (True, False)
    """
    if not isinstance(data, ImageData):
        return f"{type(data).__qualname__} of {len(cast(Sized, data))} items"
    return hashed((data.images.shape, data.classes), data.images, data.labels)


def hashed(description: object, *tensors: Tensor) -> str:
    """Eight bytes in hexadecimal that follow from what `description` prints and from the bytes of the tensors."""
    summed = hashlib.blake2b(repr(description).encode(), digest_size=8)
    for tensor in tensors:
        summed.update(tensor.cpu().contiguous().numpy().tobytes())
    return summed.hexdigest()


def as_images(data: Any) -> ImageData | Dataset[Any]:
    """Accept what can be trained on: `ImageData` and map-style datasets as they are, a pair of arrays as `ImageData`.

    Raises:
        ValueError: anything else, with what is allowed; also what `from_arrays` raises.
    """
    allowed = "allowed: ImageData, a pair (images, labels) of arrays, or a torch Dataset with __len__ and __getitem__."
    if isinstance(data, ImageData):
        return data
    if isinstance(data, IterableDataset):
        raise ValueError(
            f"data: {type(data).__name__} is an IterableDataset, which can be neither permuted nor resumed; {allowed}"
        )
    if isinstance(data, Dataset):
        if not hasattr(data, "__len__"):
            raise ValueError(f"data: {type(data).__name__} has no length; {allowed}")
        if len(cast(Sized, data)) == 0:
            raise ValueError(f"data: {type(data).__name__} is empty.")
        return data
    if isinstance(data, (tuple, list)) and len(data) == 2 and hasattr(data[0], "__array__"):
        return from_arrays(data[0], data[1])
    what = f"{type(data).__name__} of {len(data)}" if isinstance(data, (tuple, list)) else type(data).__name__
    raise ValueError(f"data: got {what}; {allowed}")


def to_pixels(images: Any, layout: str = "auto") -> Shaped[Tensor, "examples channels height width"]:
    """Convert a batch of images to uint8 or float32 [N, C, H, W], contiguous; arguments as in `from_arrays`.

    Raises:
        ValueError: an unknown layout or one that does not fit, or a dtype or values that are no pixels.
    """
    checks.one_of("layout", layout, LAYOUTS)
    if layout == "auto":
        layout = _guess_layout(tuple(images.shape), isinstance(images, Tensor))
    if len(images.shape) != len(layout):
        raise ValueError(f"layout: {layout} needs {len(layout)} axes, got images of shape {list(images.shape)}.")
    pixels = _to_dtype(images if isinstance(images, Tensor) else _tensor_of("images", images))
    if layout == "NHW":
        return pixels.unsqueeze(1).contiguous()
    return (pixels.movedim(3, 1) if layout == "NHWC" else pixels).contiguous()


def resample(
    images: Shaped[Tensor, "examples channels height width"], size: tuple[int, int]
) -> Shaped[Tensor, "examples channels new_height new_width"]:
    """Resample images to `size` (height, width) in their own dtype, bilinear with antialiasing."""
    smooth = interpolate(images.float(), size=size, mode="bilinear", antialias=True)
    return smooth if images.is_floating_point() else smooth.round().clamp(0, 255).to(torch.uint8)


def to_device(values: Shaped[Tensor, "*shape"], device: torch.device | str) -> Shaped[Tensor, "*shape"]:
    """Move a tensor to `device` without making the host wait for an accelerator's queue."""
    if values.device.type == "cpu" and torch.device(device).type == "cuda":
        return values.pin_memory().to(device, non_blocking=True)  # a copy from pageable memory would wait
    return values.to(device)


def encode_labels(
    labels: Any, classes: Sequence[str] | None = None
) -> tuple[Int64[Tensor, "examples"], tuple[str, ...]]:
    """Encode labels as positions in the classes; without classes, make their names from the labels.

    Raises:
        ValueError: labels that are neither whole numbers nor strings, or outside the classes.
    """
    array = labels.detach().cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"labels: must be a non-empty vector with one entry per image, got shape {list(array.shape)}.")
    if array.dtype.kind == "O" and all(isinstance(label, str) for label in array):
        array = array.astype(str)
    if array.dtype.kind in "US":
        return _encode_strings(array.astype(str), classes)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"labels: must be whole numbers or strings, got dtype {array.dtype}.")
    whole = np.isfinite(array) & (array == np.floor(array)) if array.dtype.kind == "f" else np.ones(len(array), bool)
    if not whole.all():
        first = int(np.argmin(whole))
        raise ValueError(f"labels: must be whole numbers, got {array[first]} at index {first}.")
    encoded = torch.from_numpy(array.astype(np.int64))
    names = tuple(classes) if classes is not None else tuple(map(str, range(int(encoded.max()) + 1)))
    _check_range(encoded, names)
    return encoded, names


def _encode_strings(labels: np.ndarray, classes: Sequence[str] | None) -> tuple[Tensor, tuple[str, ...]]:
    names = tuple(map(str, np.unique(labels))) if classes is None else tuple(classes)
    position = {name: index for index, name in enumerate(names)}
    for index, label in enumerate(labels):
        if label not in position:
            raise ValueError(f"labels: {str(label)!r} at index {index} is none of the classes {', '.join(names)}.")
    return torch.tensor([position[label] for label in labels]), names


def _guess_layout(shape: tuple[int, ...], is_tensor: bool) -> str:
    if len(shape) == 3:
        return "NHW"
    if len(shape) != 4:
        raise ValueError(f"images: must have 3 or 4 axes, got shape {list(shape)}.")
    first, last = shape[1] in CHANNELS, shape[3] in CHANNELS
    if not first and not last:
        raise ValueError(
            f"images: shape {list(shape)} has no axis of 1, 3 or 4 channels; say layout='NHWC' or layout='NCHW'."
        )
    if first and last:
        return "NCHW" if is_tensor else "NHWC"
    return "NCHW" if first else "NHWC"


def _tensor_of(argument: str, values: Any) -> Tensor:
    array = np.asarray(values)
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{argument}: must be numbers, got dtype {array.dtype}.")
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    # from_numpy refuses negative strides and warns about arrays that must not be written to
    if not array.flags.writeable or any(stride < 0 for stride in array.strides):
        array = array.copy()
    return torch.from_numpy(array)


def _to_dtype(pixels: Tensor) -> Tensor:
    if pixels.dtype == torch.bool or pixels.is_complex():
        raise ValueError(f"images: must be uint8 or floats, got {pixels.dtype}.")
    if pixels.dtype == torch.uint8 or pixels.numel() == 0:
        return pixels
    if pixels.is_floating_point():
        return pixels.detach().to(torch.float32)
    signed = pixels.to(torch.int64)
    low, high = int(signed.min()), int(signed.max())
    if low < 0 or high > 255:
        raise ValueError(f"images: whole numbers must lie in 0 … 255, got {low} … {high} as {pixels.dtype}.")
    return pixels.to(torch.uint8)


def _first(found: Tensor) -> int:
    return int(found.nonzero()[0])


def _check_range(labels: Tensor, classes: tuple[str, ...]) -> None:
    outside = (labels < 0) | (labels >= len(classes))
    if outside.any():
        where = _first(outside)
        raise ValueError(
            f"labels: must lie in 0 … {len(classes) - 1} ({len(classes)} classes), "
            f"got {int(labels[where])} at index {where}."
        )


def _check_finite(images: Tensor) -> None:
    for number, chunk in enumerate(images.split(CHUNK)):
        bad = ~chunk.isfinite().flatten(1).all(1)
        if bad.any():
            raise ValueError(f"images: must be finite, image {number * CHUNK + _first(bad)} has NaN or infinity.")
