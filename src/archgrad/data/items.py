"""Single items of map-style datasets: read with their own random state, whoever reads them, and made tensors."""

import random
from collections.abc import Iterator, Sized
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Int64, Shaped
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from archgrad.data.images import to_pixels


@contextmanager
def isolated_randomness(seed: int) -> Iterator[None]:
    """Seed torch (CPU), NumPy's global state and `random` inside the block, and put the caller's states back after it.

    >>> before = torch.get_rng_state()
    >>> with isolated_randomness(3):
    ...     first = torch.rand(2)
    >>> torch.equal(before, torch.get_rng_state())
    True
    """
    # torch.manual_seed would also reseed the accelerators, whose states are not restored here
    torch_state, numpy_state, python_state = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    torch.default_generator.manual_seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  transforms in the wild draw from the global state
    random.seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(torch_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)


def length(data: Dataset[Any]) -> int:
    """The number of items of a map-style dataset."""
    return len(cast(Sized, data))


def read_item(data: Dataset[Any], index: int, *, seed: int) -> tuple[Shaped[Tensor, "channels height width"], int]:
    """Read one item with random transforms drawn from `seed`: the image as uint8 or float32 [C, H, W], the label.

    Raises:
        ValueError: the item is no pair of an image (tensor [C, H, W] or [H, W], array [H, W, C] or [H, W], or Pillow
            image) and a whole number.
    """
    with isolated_randomness(seed):
        item = data[index]
    where = f"item {index} of {type(data).__name__}"
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        raise ValueError(f"{where}: must be a pair (image, label), got {type(item).__name__}.")
    image, label = item
    try:
        number = int(label)
    except (TypeError, ValueError):
        number = None
    if number is None or isinstance(label, str) or number != label:
        raise ValueError(f"{where}: the label must be a whole number, got {label!r}.")
    try:
        return _to_tensor(image), number
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def convert(image: Image.Image, mode: str) -> Image.Image:
    """Convert a Pillow image to `mode`, dropping a palette's transparency."""
    if image.mode == mode:
        return image
    # Pillow warns when it converts these directly
    opaque = image.convert("RGBA") if image.mode == "P" and "transparency" in image.info else image
    return opaque.convert(mode)


def collate(
    items: list[tuple[Tensor, int]],
) -> tuple[Shaped[Tensor, "batch channels height width"], Int64[Tensor, "batch"]]:
    """Stack items into a batch.

    Raises:
        ValueError: the images differ in shape or dtype.
    """
    kinds = sorted({f"{list(image.shape)} {image.dtype}" for image, _ in items})
    if len(kinds) > 1:
        raise ValueError(f"images: all images of a batch must have one shape and dtype, got {' and '.join(kinds[:2])}.")
    return torch.stack([image for image, _ in items]), torch.tensor([label for _, label in items], dtype=torch.int64)


def _to_tensor(image: Any) -> Tensor:
    if isinstance(image, Image.Image):
        image = np.array(convert(image, "RGB") if image.mode in ("P", "PA", "CMYK", "YCbCr") else image)
        image = image.astype(np.uint8) * 255 if image.dtype == bool else image
    if not hasattr(image, "__array__") or image.ndim not in (2, 3):
        shape = f" of shape {list(image.shape)}" if hasattr(image, "shape") else ""
        raise ValueError(f"the image must be a tensor, an array or a Pillow image, got {type(image).__name__}{shape}.")
    if image.ndim == 2:
        return to_pixels(image[None], "NHW")[0]
    return to_pixels(image[None], "NCHW" if isinstance(image, Tensor) else "auto")[0]
