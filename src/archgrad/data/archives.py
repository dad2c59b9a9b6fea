"""Labelled images from NumPy archives: `images`, `labels` and, where they have names, `classes`."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from archgrad.data.images import ImageData, encode_labels, from_arrays


def from_npz(path: str | Path) -> ImageData:
    """Read labelled images from an `.npz` file.

    Arguments:
        path: an archive with `images` ([N, H, W, C], or [N, H, W] if grey; uint8, or floats taken as they are),
            `labels` ([N], whole numbers or strings), and optionally `classes` (strings). Pickled objects are refused.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such archive, lacks an array, or its arrays are no labelled images.
    """
    images, labels, classes = _read(Path(path))
    return _build(Path(path), images, labels, classes)


def npz_pair(folder: str | Path) -> tuple[ImageData, ImageData]:
    """Read `train.npz` and `test.npz` of a folder; where no classes are stored, both get the classes of their union.

    Raises:
        FileNotFoundError, ValueError: as `from_npz`.
    """
    paths = [Path(folder) / name for name in ("train.npz", "test.npz")]
    (images, labels, classes), (test_images, test_labels, test_classes) = map(_read, paths)
    if classes is None and test_classes is None and labels.dtype.kind == test_labels.dtype.kind:
        _, classes = encode_labels(np.concatenate([labels, test_labels]))
    classes, test_classes = classes or test_classes, test_classes or classes
    return _build(paths[0], images, labels, classes), _build(paths[1], test_images, test_labels, test_classes)


def _read(path: Path) -> tuple[np.ndarray, np.ndarray, tuple[str, ...] | None]:
    if not path.is_file():
        raise FileNotFoundError(f"path: {path} is missing.")
    with path.open("rb") as file:
        try:
            archive = np.load(file, allow_pickle=False)
        except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path}: is no NumPy archive ({error}).") from error
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError(f"{path}: holds a single array; it must be an .npz archive with 'images' and 'labels'.")
        missing = [name for name in ("images", "labels") if name not in archive]
        if missing:
            raise ValueError(f"{path}: has no array {missing[0]!r}; it has {', '.join(archive.files) or 'none'}.")
        classes = _member(path, archive, "classes") if "classes" in archive else None
        names = None if classes is None else tuple(map(str, classes.ravel()))
        return _member(path, archive, "images"), _member(path, archive, "labels"), names


def _member(path: Path, archive: Any, name: str) -> np.ndarray:
    try:
        return archive[name]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:  # objects, or damaged bytes
        raise ValueError(f"{path}: cannot read {name!r} ({error}).") from error


def _build(path: Path, images: np.ndarray, labels: np.ndarray, classes: tuple[str, ...] | None) -> ImageData:
    layout = "NHW" if images.ndim == 3 else "NHWC"
    try:
        return from_arrays(images, labels, classes=classes, layout=layout)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
