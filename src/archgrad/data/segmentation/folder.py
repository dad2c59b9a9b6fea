"""Images and masks from pairs of files: a folder of images, and one of masks that have the images' names."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from torch import Tensor

from archgrad import checks
from archgrad.data.folder import MODES, SUFFIXES, decode, is_image, opened
from archgrad.data.images import resample, to_pixels
from archgrad.data.segmentation.labelled import IGNORE, LABELS, SegmentationData, check_ignore, resample_masks

ENDINGS = ("masks?", "labels?", "labelIds", "labelTrainIds", "gt", "seg", "segmentation", "annot", "annotation")
"""What may follow the image's name in that of its mask, after "_" or "-"; as regular expressions, in any case."""

LOSSY = (".jpg", ".jpeg")
INDEXED = ("1", "L", "P", "I", "I;16")
"""Pillow's modes of files with one number per pixel."""


class Pair(NamedTuple):
    """An image file and that of its mask."""

    image: Path
    mask: Path


@dataclass(frozen=True, eq=False)
class Decoded:
    """Files that have been read, whose labels still have to be compared with the classes.

    Arguments:
        pairs: the files.
        images, masks: uint8 [N, C, H, W] and [N, H, W], resized.
        present: [N, 256], True where the file has the label, before resizing.
    """

    pairs: list[Pair]
    images: UInt8[Tensor, "images channels height width"]
    masks: UInt8[Tensor, "images height width"]
    present: Bool[Tensor, "images labels"]

    def largest(self, ignore: int | None = None) -> int:
        """The largest label of all files but `ignore`, −1 where there is none."""
        there = self.present.any(0).nonzero().flatten().tolist()
        return max((label for label in there if label != ignore), default=-1)

    def numbered_classes(self, ignore: int) -> tuple[str, ...]:
        """The classes "0" … "max" of the largest label but `ignore`.

        Raises:
            ValueError: that is 0, or all pixels have the label `ignore`.
        """
        largest = self.largest(ignore)
        if largest < 1:
            held = f"the label {largest} alone" if largest == 0 else "nothing"
            raise ValueError(
                f"masks: {self.pairs[0].mask.parent} has {held} beside the ignored {ignore}; "
                "classes are numbered 0, 1, …, and there must be two at least."
            )
        return tuple(map(str, range(largest + 1)))

    def with_classes(
        self, classes: tuple[str, ...], *, ignore: int, palette: tuple[tuple[int, int, int], ...] = ()
    ) -> SegmentationData:
        """Check that all labels are classes or `ignore`, and make the data.

        Raises:
            ValueError: a label is neither, or an image has no pixel with a class; the message names the file.
        """
        wrong = self.present.clone()
        wrong[:, : len(classes)] = False
        wrong[:, ignore] = False
        if wrong.any():
            place, label = wrong.nonzero()[0].tolist()
            raise ValueError(
                f"{self.pairs[place].mask}: has the label {label}; allowed are 0 … {len(classes) - 1} "
                f"({len(classes)} classes) and the ignored {ignore}."
            )
        empty = ~(self.masks != ignore).flatten(1).any(1)
        if empty.any():
            mask = self.pairs[int(empty.nonzero()[0])].mask
            height, width = self.masks.shape[1:]
            raise ValueError(f"{mask}: has no pixel with a class at {height}×{width}, only the ignored {ignore}.")
        return SegmentationData(self.images, self.masks, classes, ignore, palette)


def segmentation_folder(
    images: str | Path,
    masks: str | Path,
    *,
    size: tuple[int, int] | None = None,
    mode: str = "RGB",
    classes: Sequence[str] | None = None,
    palette: tuple[tuple[int, int, int], ...] = (),
    ignore: int = IGNORE,
) -> SegmentationData:
    """Read a folder of images and a folder of masks, in the order of the images' names.

    A mask has the name of its image, but for the suffix and an ending such as "_mask" or "_labelIds", and one number
    per pixel: a grey image or, by its indices, one with a palette.

    Arguments:
        images, masks: the folders. Hidden files and files that are no images by their suffix are passed over.
        size: resize to (height, width) in pixels, images bilinear with antialiasing and masks nearest; None requires
            that all images have one size.
        mode: "RGB", "L" (grey) or "RGBA", to which every image is converted.
        classes: their names; None names them "0" … "max" by the labels of the masks.
        palette: an (r, g, b) for each class.
        ignore: the label of pixels without a class.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: files without a partner, a file that cannot be read, a mask that is not of its image's size, is in
            colour, has a label that is no class or has no class at all, or images of differing sizes.
    """
    check_ignore(ignore)
    decoded = read_pairs(find_pairs(images, masks), size=size, mode=mode)
    names = decoded.numbered_classes(ignore) if classes is None else tuple(classes)
    return decoded.with_classes(names, ignore=ignore, palette=palette)


def find_pairs(images: str | Path, masks: str | Path) -> list[Pair]:
    """Find the mask of every image, by the names of the files; sorted by the images' names.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: a folder without images, a file without a partner or with two, or a mask in a lossy format.
    """
    image_files, mask_files = _files(images, "images"), _files(masks, "masks")
    by_stem: dict[str, Path] = {}
    for file in image_files:
        _enter(by_stem, file.stem, file, "images")
    found: dict[str, Path] = {}
    alone = []
    for file in mask_files:
        if file.suffix.lower() in LOSSY:
            raise ValueError(f"{file}: is a JPEG, which does not keep labels; save masks as PNG.")
        stem = _partner(file.stem, by_stem)
        if stem is None:
            alone.append(file)
        else:
            _enter(found, stem, file, "masks")
    unmasked = [file for stem, file in by_stem.items() if stem not in found]
    if unmasked:
        raise ValueError(
            f"images: {unmasked[0]} has no mask in {masks}; {len(unmasked)} of {len(image_files)} images have none."
        )
    if alone:
        raise ValueError(
            f"masks: {alone[0]} has no image in {images}; {len(alone)} of {len(mask_files)} masks have none."
        )
    return [Pair(file, found[stem]) for stem, file in by_stem.items()]


def read_pairs(pairs: Sequence[Pair], *, size: tuple[int, int] | None = None, mode: str = "RGB") -> Decoded:
    """Decode and resize the files; arguments as in `segmentation_folder`.

    Raises:
        ValueError: a file cannot be read, a mask is in colour or not of its image's size, or sizes differ.
    """
    checks.one_of("mode", mode, MODES)
    if size is not None:
        checks.at_least("size", min(size), 1)
    present = torch.zeros(len(pairs), LABELS, dtype=torch.bool)
    images, masks = torch.empty(0), torch.empty(0)
    for place, pair in enumerate(pairs):
        image, mask = _read(pair, mode)
        present[place] = mask.flatten().bincount(minlength=LABELS) > 0
        if size is not None and tuple(mask.shape[1:]) != size:
            image, mask = resample(image, size), resample_masks(mask, size)
        if place == 0:
            images, masks = (one.new_empty(len(pairs), *one.shape[1:]) for one in (image, mask))
        if mask.shape[1:] != masks.shape[1:]:
            raise ValueError(
                f"image_size: {pairs[0].image} is {_size(masks)} and {pair.image} is {_size(mask)} (height×width); "
                "give one size to resize all."
            )
        images[place], masks[place] = image[0], mask[0]
    return Decoded(list(pairs), images, masks, present)


def _files(folder: str | Path, argument: str) -> list[Path]:
    root = Path(folder)
    if not root.is_dir():
        raise FileNotFoundError(f"{argument}: {root} is no folder.")
    found = sorted(file for file in root.iterdir() if file.is_file() and is_image(file.name))
    if not found:
        raise ValueError(f"{argument}: {root} has no image files ({', '.join(SUFFIXES)}).")
    return found


def _enter(files: dict[str, Path], stem: str, file: Path, argument: str) -> None:
    if stem in files:
        raise ValueError(f"{argument}: {files[stem]} and {file.name} go by one name; a mask belongs to one image.")
    files[stem] = file


def _partner(stem: str, images: dict[str, Path]) -> str | None:
    """The image's name that a mask's name stands for: itself, or what is left without its ending."""
    if stem in images:
        return stem
    bare = re.sub(f"[_-]({'|'.join(ENDINGS)})$", "", stem, flags=re.IGNORECASE)
    return bare if bare in images else None


def _read(pair: Pair, mode: str) -> tuple[UInt8[Tensor, "1 channels height width"], UInt8[Tensor, "1 height width"]]:
    pixels = decode(str(pair.image), pair.image.read_bytes, mode=mode)
    image = to_pixels(pixels[None], "NHW" if mode == "L" else "NHWC")
    mask = _read_mask(pair.mask)
    if mask.shape[1:] != image.shape[2:]:
        raise ValueError(
            f"{pair.mask}: is {_size(mask)}, but its image {pair.image.name} is {_size(image)} (height×width)."
        )
    return image, mask


def _read_mask(path: Path) -> UInt8[Tensor, "1 height width"]:
    with opened(str(path), path.read_bytes) as image:
        image.load()
        mode, labels = image.mode, np.array(image)
    if mode not in INDEXED:
        grey = labels.ndim == 3 and mode.startswith("RGB") and bool((labels[..., :3] == labels[..., :1]).all())
        hint = (
            "its three channels are equal, so that saving one of them is enough"
            if grey
            else "write the index of the class instead"
        )
        raise ValueError(
            f"{path}: is in Pillow's mode {mode}, but a mask has one number per pixel (grey or palette); {hint}."
        )
    outside = labels[(labels < 0) | (labels >= LABELS)] if labels.dtype.itemsize > 1 else labels[:0]
    if outside.size:
        raise ValueError(f"{path}: has the label {outside.flat[0]}; labels must lie in 0 … {LABELS - 1}.")
    return torch.from_numpy(labels.astype(np.uint8))[None]


def _size(pixels: Tensor) -> str:
    height, width = pixels.shape[-2:]
    return f"{height}×{width}"
