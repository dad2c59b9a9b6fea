"""Labelled images from image files: a folder with one subfolder per class, or the same inside a zip archive."""

import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Shaped
from PIL import Image, UnidentifiedImageError

from archgrad import checks
from archgrad.data.images import ImageData, from_arrays
from archgrad.data.items import convert

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
MODES = ("RGB", "L", "RGBA")


@dataclass(frozen=True)
class _File:
    """One image file, not yet read: its name for messages, its class, and how to open it."""

    name: str
    label: str
    read: Callable[[], bytes]

    @property
    def stem(self) -> str:
        return PurePosixPath(self.name.replace("\\", "/")).stem


def image_folder(
    path: str | Path,
    *,
    size: int | tuple[int, int] | None = None,
    mode: str = "RGB",
    limit_per_class: int | None = None,
) -> ImageData:
    """Read a folder that has one subfolder of images per class.

    Files are ordered by number where all names are different numbers, else by class and name. Hidden files and files
    that are no images by their suffix are passed over.

    Arguments:
        path: the folder; its subfolders, sorted, are the classes.
        size: resize every image to (height, width) in pixels, one number for squares, without keeping the aspect
            ratio; None requires that all have one size.
        mode: "RGB", "L" (grey) or "RGBA", to which every image is converted.
        limit_per_class: read the first images of every class only.

    Returns:
        uint8 images [N, C, H, W].

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: no classes, a class without images, an image that cannot be read, or differing sizes.
    """
    root = Path(path)
    if not root.is_dir():
        raise FileNotFoundError(f"path: {root} is no folder.")
    classes = class_folders(root)
    files = [
        _File(str(file), folder.name, file.read_bytes)
        for folder in classes
        for file in sorted(folder.iterdir())
        if file.is_file() and is_image(file.name)
    ]
    return _load(str(root), files, [folder.name for folder in classes], size, mode, limit_per_class)


def image_zip(
    path: str | Path,
    *,
    size: int | tuple[int, int] | None = None,
    mode: str = "RGB",
    limit_per_class: int | None = None,
) -> ImageData:
    """Read images from a zip archive without unpacking it.

    Members are `<class>/<file>` or `<anything>/<class>/<file>`. Arguments and order as in `image_folder`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no zip archive, its classes lie in several folders, or as in `image_folder`.
    """
    archive_path = Path(path)
    if not archive_path.is_file():
        raise FileNotFoundError(f"path: {archive_path} is missing.")
    try:
        archive = zipfile.ZipFile(archive_path)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{archive_path}: is no zip archive ({error}).") from error
    with archive:
        members = {PurePosixPath(entry.filename): entry.is_dir() for entry in archive.infolist()}
        shown = [member for member in members if not _is_hidden(str(member))]
        images = [member for member in shown if is_image(member.name) and len(member.parts) > 1]
        roots = sorted({str(member.parents[1]) for member in images})
        if len(roots) > 1:
            raise ValueError(f"{archive_path}: has classes in several folders, {roots[0]!r} and {roots[1]!r}.")
        named = {member.name for member in shown if members[member] and str(member.parent) in roots}
        files = [_File(f"{archive_path}/{name}", name.parent.name, _member(archive, str(name))) for name in images]
        classes = sorted(named | {file.label for file in files})
        return _load(str(archive_path), files, classes, size, mode, limit_per_class)


def class_folders(folder: Path) -> list[Path]:
    """The subfolders of `folder` that are not hidden, sorted by name."""
    return sorted(child for child in folder.iterdir() if child.is_dir() and not _is_hidden(child.name))


def is_image(name: str) -> bool:
    """Whether a file of this name, without folders, is taken for an image: by its suffix, and not hidden."""
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def decode(
    name: str, read: Callable[[], bytes], *, mode: str = "RGB", size: tuple[int, int] | None = None
) -> Shaped[np.ndarray, "height width *channels"]:
    """Decode the image file that `read` returns, as uint8 [H, W, C], or [H, W] in mode "L".

    Raises:
        ValueError: it is no image, is damaged, or has more than 8 bits per channel; the message begins with `name`.
    """
    with opened(name, read) as image:
        if image.mode.startswith(("I", "F")):
            raise ValueError("more than 8 bits per channel")  # Pillow would clip these, not scale them
        converted = convert(image, mode)
        if size is not None and converted.size != (size[1], size[0]):
            converted = converted.resize((size[1], size[0]), Image.Resampling.BILINEAR)
        return np.asarray(converted)


@contextmanager
def opened(name: str, read: Callable[[], bytes]) -> Iterator[Image.Image]:
    """Open the image file that `read` returns; what fails inside the block is a ValueError that begins with `name`."""
    try:
        with Image.open(BytesIO(read())) as image:
            yield image
    except (
        UnidentifiedImageError,
        Image.DecompressionBombError,
        OSError,
        SyntaxError,  # what Pillow raises for damaged PNG chunks
        ValueError,
        zipfile.BadZipFile,
        RuntimeError,  # an encrypted member
    ) as error:
        # Pillow's text of the first names an object in memory, not the file.
        reason = "of no known format" if isinstance(error, UnidentifiedImageError) else error
        raise ValueError(f"{name}: cannot be read as an image ({reason}).") from error


def _member(archive: zipfile.ZipFile, name: str) -> Callable[[], bytes]:
    return lambda: archive.read(name)


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def _load(
    source: str,
    files: Sequence[_File],
    classes: Sequence[str],
    size: int | tuple[int, int] | None,
    mode: str,
    limit_per_class: int | None,
) -> ImageData:
    checks.one_of("mode", mode, MODES)
    shape = (size, size) if isinstance(size, int) else size
    if shape is not None:
        checks.at_least("size", min(shape), 1)
    if limit_per_class is not None:
        checks.at_least("limit_per_class", limit_per_class, 1)
    if not classes:
        raise ValueError(f"{source}: has no class folders with images ({', '.join(SUFFIXES)}).")
    kept = _ordered(files)
    if limit_per_class is not None:
        kept = _limited(kept, limit_per_class)
    filled = {file.label for file in kept}
    empty = [name for name in classes if name not in filled]
    if empty:
        raise ValueError(f"{source}: class folder {empty[0]!r} has no images ({', '.join(SUFFIXES)}).")
    position = {name: index for index, name in enumerate(classes)}
    return from_arrays(
        _decode_all(kept, shape, mode),
        np.array([position[file.label] for file in kept]),
        classes=classes,
        layout="NHW" if mode == "L" else "NHWC",
    )


def _ordered(files: Sequence[_File]) -> list[_File]:
    stems = [file.stem for file in files]
    numbered = all(re.fullmatch(r"[0-9]+", stem) for stem in stems) and len({int(stem) for stem in stems}) == len(stems)
    if numbered:
        return sorted(files, key=lambda file: int(file.stem))
    return sorted(files, key=lambda file: (file.label, file.name))


def _limited(files: Sequence[_File], limit: int) -> list[_File]:
    taken: dict[str, int] = {}
    kept = []
    for file in files:
        taken[file.label] = taken.get(file.label, 0) + 1
        if taken[file.label] <= limit:
            kept.append(file)
    return kept


def _decode_all(files: Sequence[_File], size: tuple[int, int] | None, mode: str) -> np.ndarray:
    first = decode(files[0].name, files[0].read, mode=mode, size=size)
    pixels = np.empty((len(files), *first.shape), np.uint8)
    for index, file in enumerate(files):
        image = decode(file.name, file.read, mode=mode, size=size)
        if image.shape != first.shape:
            (height, width), (other_height, other_width) = first.shape[:2], image.shape[:2]
            raise ValueError(
                f"image_size: {files[0].name} is {height}×{width} and {file.name} is {other_height}×{other_width} "
                "(height×width); give one size to resize all."
            )
        pixels[index] = image
    return pixels
