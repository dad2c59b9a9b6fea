"""Images with masks by name or path: `load_segmentation` looks at what is there and picks the reader."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from archgrad import checks
from archgrad.data.segmentation.camvid import CAMVID_CLASSES, CAMVID_IGNORE, CAMVID_PALETTE
from archgrad.data.segmentation.folder import Decoded, find_pairs, read_pairs
from archgrad.data.segmentation.labelled import IGNORE, SegmentationData, check_ignore, split
from archgrad.data.segmentation.legend import Legend, read_legend
from archgrad.data.segmentation.scenes import scenes

SCENES = "scenes"
"""The name of the images that are drawn, not read."""

DRAWN = (400, 100)
"""How many of them for training and for testing, unless fewer will do."""

MASKS = ("masks", "labels", "annotations", "annot")
"""The names a folder of masks may have beside one called images."""

PARTS = ("train", "test")
CLASSES_FILE = "classes.txt"


class LoadedSegmentation(NamedTuple):
    """Training and test data of one shape and with the same classes."""

    train: SegmentationData
    test: SegmentationData

    def limited(self, train: int | None, test: int | None) -> "LoadedSegmentation":
        """Keep the first so many images of each part; None keeps all.

        Raises:
            ValueError: a number below 1.
        """
        _check_limits(train, test)
        return LoadedSegmentation(self.train.limited(train), self.test.limited(test))


class _Found(NamedTuple):
    """Folders of images and masks: two pairs for training and testing, or one that is split."""

    pairs: list[tuple[Path, Path]]
    segnet: bool = False


def load_segmentation(
    source: str | Path = SCENES,
    *,
    image_size: tuple[int, int] | None = None,
    seed: int = 0,
    test_fraction: float = 0.2,
    ignore: int | None = None,
    limit_train: int | None = None,
    limit_test: int | None = None,
) -> LoadedSegmentation:
    """Read training and test data, or draw them.

    Arguments:
        source: "scenes", 400 and 100 street scenes that are drawn; or a folder with one of
            - `train/`, `trainannot/`, `test/` and `testannot/`, as SegNet lays out CamVid;
            - `train/images/`, `train/masks/`, `test/images/` and `test/masks/`, or `images/train/`, `masks/train/`,
              `images/test/` and `masks/test/`;
            - `images/` and `masks/`, which are split.
            Masks may also be called labels, annotations or annot. Files as in `segmentation_folder`. `classes.txt` in
            the folder names the classes, one per line in the order of their labels, with red, green and blue after a
            comma or tab if wanted; without it classes are "0" … "max" by the labels of the training masks.
        image_size: (height, width) in pixels, to which all are resized, images bilinear with antialiasing and masks
            nearest; scenes are drawn in it. None leaves them as they are.
        seed: which split, and which scenes.
        test_fraction: share of the test data where a split is drawn.
        ignore: the label of pixels without a class. None is 255, or 11 in SegNet's layout where the largest label is 11
            and no class is named so; without `classes.txt` these are CamVid's classes.
        limit_train, limit_test: keep the first so many images of each part; None keeps all. Scenes that are not kept
            are not drawn, which takes most of the time.

    Raises:
        FileNotFoundError: one of the folders is missing.
        ValueError: an unknown source, or files that do not fit: see `segmentation_folder`.

    >>> train, test = load_segmentation("scenes", image_size=(48, 64), limit_train=3, limit_test=2)
    >>> len(train), len(test), train.shape
    (3, 2, (3, 48, 64))
    """
    if image_size is not None:
        for side in image_size:
            checks.whole("image_size", side, 1)
    if not 0 < test_fraction < 1:
        raise ValueError(f"test_fraction: must lie strictly between 0 and 1, got {test_fraction}.")
    if ignore is not None:
        check_ignore(ignore)
    _check_limits(limit_train, limit_test)
    if source == SCENES:
        return _drawn(image_size, seed, ignore, (limit_train, limit_test))
    root = Path(source).expanduser()
    if not root.exists():
        checks.one_of("data", str(source), [SCENES, "the path of a folder that exists"])
    if not root.is_dir():
        raise ValueError(f"source: {root} is a file; it must be a folder with images and masks.")
    parts = _read(root, image_size, ignore)
    if len(parts) == 1:
        parts = reversed(split(parts[0], test_fraction, seed=seed))
    return LoadedSegmentation(*parts).limited(limit_train, limit_test)


def _check_limits(train: int | None, test: int | None) -> None:
    for argument, count in (("limit_train", train), ("limit_test", test)):
        if count is not None:
            checks.whole(argument, count, 1)


def _drawn(
    image_size: tuple[int, int] | None, seed: int, ignore: int | None, limits: tuple[int | None, int | None]
) -> LoadedSegmentation:
    train, test = (min(count, limit or count) for count, limit in zip(DRAWN, limits, strict=True))
    size = {} if image_size is None else {"size": image_size}
    parts = scenes(train=train, test=test, seed=seed, **size)
    return LoadedSegmentation(*(part if ignore is None else replace(part, ignore=ignore) for part in parts))


def _read(root: Path, image_size: tuple[int, int] | None, ignore: int | None) -> list[SegmentationData]:
    found = _find(root)
    file = root / CLASSES_FILE
    legend = read_legend(file) if file.is_file() else None
    pairs = [find_pairs(images, masks) for images, masks in found.pairs]  # all names, before any file is read
    parts = [read_pairs(files, size=image_size) for files in pairs]
    shapes = [tuple(part.images.shape[1:]) for part in parts]
    if shapes[0] != shapes[-1]:
        raise ValueError(
            f"source: {root} has training images of shape {list(shapes[0])} and test images of {list(shapes[1])}; "
            "image_size resizes both."
        )
    legend, ignore = _legend(found, parts, legend, ignore)
    return [part.with_classes(legend.classes, palette=legend.palette, ignore=ignore) for part in parts]


def _legend(found: _Found, parts: list[Decoded], legend: Legend | None, ignore: int | None) -> tuple[Legend, int]:
    """The classes and the ignored label; CamVid is known by its layout and by the label of its void."""
    void_last = found.segnet and max(part.largest() for part in parts) == CAMVID_IGNORE
    if void_last and ignore in (None, CAMVID_IGNORE) and (legend is None or len(legend.classes) <= CAMVID_IGNORE):
        return legend or Legend(CAMVID_CLASSES, CAMVID_PALETTE), CAMVID_IGNORE
    ignore = IGNORE if ignore is None else ignore
    return legend or Legend(parts[0].numbered_classes(ignore), ()), ignore


def _find(root: Path) -> _Found:
    inside = [_beside(root, root / part) for part in PARTS]
    if _any_there(inside):
        return _Found(_complete(root, inside))
    segnet = [(root / part, root / f"{part}annot") for part in PARTS]
    if _any_there(segnet):
        return _Found(_complete(root, segnet), segnet=True)
    images, masks = _beside(root, root)
    below = [(images / part, masks / part) for part in PARTS]
    if _any_there(below):
        return _Found(_complete(root, below))
    if not _any_there([(images, masks)]):
        raise ValueError(
            f"source: {root} holds neither train and trainannot, nor train/images and train/masks, nor images and "
            "masks; archgrad.data.segmentation.segmentation_folder reads any two folders."
        )
    return _Found(_complete(root, [(images, masks)]))


def _beside(root: Path, folder: Path) -> tuple[Path, Path]:
    """The folder of images and that of masks, by whichever name it has, inside `folder`."""
    named = [folder / name for name in MASKS if (folder / name).is_dir()]
    if len(named) > 1:
        names = " and ".join(str(path.relative_to(root)) for path in named)
        raise ValueError(f"source: {root} has {names}; one folder of masks is allowed beside the images.")
    return folder / "images", named[0] if named else folder / MASKS[0]


def _any_there(pairs: list[tuple[Path, Path]]) -> bool:
    return any(folder.is_dir() for pair in pairs for folder in pair)


def _complete(root: Path, pairs: list[tuple[Path, Path]]) -> list[tuple[Path, Path]]:
    folders = [folder for pair in pairs for folder in pair]
    there = [str(folder.relative_to(root)) for folder in folders if folder.is_dir()]
    missing = [str(folder.relative_to(root)) for folder in folders if not folder.is_dir()]
    if missing:
        hint = f" (masks may be called {', '.join(MASKS[1:])})" if MASKS[0] in " ".join(missing) else ""
        raise FileNotFoundError(f"source: {root} has {', '.join(there)} but no {', '.join(missing)}{hint}.")
    return pairs
