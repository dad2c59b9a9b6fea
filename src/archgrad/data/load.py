"""Labelled images by name or path: `load` looks at what is there and picks the reader."""

from pathlib import Path
from typing import NamedTuple

from archgrad import checks
from archgrad.data.archives import from_npz, npz_pair
from archgrad.data.cifar10 import cifar10, has_cifar10
from archgrad.data.digits import digits
from archgrad.data.folder import class_folders, image_folder, image_zip
from archgrad.data.images import ImageData
from archgrad.data.split import stratified_split

BUILT_IN = ("digits",)


class Loaded(NamedTuple):
    """Training and test data of one shape and with the same classes."""

    train: ImageData
    test: ImageData

    def limited(self, train: int | None, test: int | None, *, seed: int) -> "Loaded":
        """Keep so many examples of each part, about as many of every class; None keeps all.

        Raises:
            ValueError: fewer examples are asked for than there are classes, so that one would be lost.
        """
        return Loaded(_limit(self.train, train, "limit_train", seed), _limit(self.test, test, "limit_test", seed))


def load(source: str | Path, *, image_size: int | None = None, seed: int = 0, test_fraction: float = 0.2) -> Loaded:
    """Read training and test data.

    Arguments:
        source: "digits", or a path to one of
            - a folder of CIFAR-10's official archives, Python or binary;
            - a folder with `train.npz` and `test.npz`, `train.zip` and `test.zip`, or `train/` and `test/` that have
              one subfolder of images per class;
            - an `.npz` file, a `.zip` file or a folder with one subfolder of images per class, which are split.
        image_size: resize every image to this many pixels, height and width; None leaves them as they are.
        seed: which split, where one is drawn.
        test_fraction: share of the test data in every class, where a split is drawn.

    Raises:
        FileNotFoundError: half of a pair of files is missing.
        ValueError: an unknown source, unreadable data, a split that cannot be drawn, or training and test data that
            differ in shape or classes, or a class without training data.

    >>> train, test = load("digits", image_size=16)
    >>> train.shape
    (1, 16, 16)
    """
    if image_size is not None:
        checks.at_least("image_size", image_size, 1)
    if not 0 < test_fraction < 1:
        raise ValueError(f"test_fraction: must lie strictly between 0 and 1, got {test_fraction}.")
    if source in BUILT_IN:
        train, test = digits(test_fraction=test_fraction, seed=seed)
    else:
        path = Path(source).expanduser()
        if not path.exists():
            checks.one_of(
                "data", str(source), [*BUILT_IN, "the path of a folder, an .npz file or a .zip file that exists"]
            )
        found = _read_pair(path, image_size) if path.is_dir() else None
        train, test = found or _split(_read_single(path, image_size), test_fraction, seed)
    if image_size is not None:
        train, test = train.resized(image_size), test.resized(image_size)
    _check_pair(source, train, test)
    return Loaded(train, test)


def _limit(data: ImageData, count: int | None, argument: str, seed: int) -> ImageData:
    if count is None or count >= len(data):
        return data
    checks.at_least(argument, count, data.num_classes)
    kept, _ = stratified_split(data.labels, count / len(data), seed=seed, classes=data.classes)
    return data.subset(kept)


def _read_pair(folder: Path, image_size: int | None) -> tuple[ImageData, ImageData] | None:
    """Training and test data of a folder that holds both, else None."""
    if has_cifar10(folder):
        return cifar10(folder)
    if _both(folder, "train.npz", "test.npz"):
        return npz_pair(folder)
    if _both(folder, "train.zip", "test.zip"):
        return image_zip(folder / "train.zip", size=image_size), image_zip(folder / "test.zip", size=image_size)
    if _both(folder, "train", "test"):
        return image_folder(folder / "train", size=image_size), image_folder(folder / "test", size=image_size)
    return None


def _both(folder: Path, train: str, test: str) -> bool:
    there = [(folder / name).exists() for name in (train, test)]
    if any(there) and not all(there):
        missing, given = (train, test) if there[1] else (test, train)
        raise FileNotFoundError(f"source: {folder} has {given} but no {missing}.")
    return all(there)


def _read_single(path: Path, image_size: int | None) -> ImageData:
    if path.is_dir():
        if not class_folders(path):
            raise ValueError(
                f"source: {path} holds neither CIFAR-10, nor train and test data (.npz, .zip, folders), "
                "nor one folder of images per class."
            )
        return image_folder(path, size=image_size)
    if path.suffix == ".npz":
        return from_npz(path)
    if path.suffix == ".zip":
        return image_zip(path, size=image_size)
    raise ValueError(f"source: {path} is a {path.suffix or 'plain'} file; allowed are .npz, .zip and folders.")


def _split(data: ImageData, test_fraction: float, seed: int) -> tuple[ImageData, ImageData]:
    test, train = stratified_split(data.labels, test_fraction, seed=seed, classes=data.classes)
    return data.subset(train), data.subset(test)


def _check_pair(source: str | Path, train: ImageData, test: ImageData) -> None:
    if train.shape != test.shape:
        raise ValueError(
            f"source: {source} has training images of shape {list(train.shape)} and test images of {list(test.shape)}; "
            "image_size resizes both."
        )
    if train.classes != test.classes:
        differing = sorted(set(train.classes) ^ set(test.classes)) or [*train.classes]
        raise ValueError(
            f"source: training and test data of {source} differ in their classes: {', '.join(differing[:5])}."
        )
    present = set(train.labels.unique().tolist())
    missing = [name for index, name in enumerate(train.classes) if index not in present]
    if missing:
        raise ValueError(f"source: {source} has no training data of the classes {', '.join(missing[:5])}.")
