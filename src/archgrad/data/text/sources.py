"""Where a text's three parts come from: a folder, an archive that is read without unpacking it, or one file."""

import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".txz")

WORDS = {
    "training": ("train", "training"),
    "validation": ("valid", "validation", "val", "dev", "development"),
    "test": ("test", "testing"),
}
"""The words in a file's name by which the part it holds is known."""

FEWEST_LINES = 10
"""Files with fewer lines are not split: a tenth of them would be no line."""

SHOWN = 10  # files that an error message lists before it only counts them
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Parts(NamedTuple):
    """The texts for training, validation and test."""

    training: str
    validation: str
    test: str


def read_parts(path: Path) -> Parts:
    """Read the texts for training, validation and test.

    A folder or an archive (`ARCHIVES`) has one file for each, known by a word in its name (`WORDS`): `ptb.train.txt`,
    `wiki.valid.tokens`, `test.txt`. Any other file is one text, of whose lines, in order, the first 80 % are for
    training, the next 10 % for validation, and the rest for test.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: a part is missing or there are several files for it; the archive is broken; a file is empty, blank,
            or no UTF-8 text; or a file that is to be split has fewer than `FEWEST_LINES` lines.
    """
    if path.is_dir():
        files = {child.name: child.read_bytes for child in sorted(path.iterdir()) if child.is_file()}
        return _parts(path, files)
    if not path.is_file():
        raise FileNotFoundError(f"source: {path} is missing.")
    if path.name.lower().endswith(ARCHIVES):
        return _from_archive(path)
    return _divided(path, decode(path.read_bytes(), str(path)))


def decode(data: bytes, name: str) -> str:
    """The text of a file in UTF-8: without its byte order mark, and with a newline, nothing else, between lines.

    Raises:
        ValueError: nothing is there, or nothing but whitespace, or what is there is no UTF-8; `name` is the file's.

    >>> decode(b"a\\r\\nb", "letters.txt")
    'a\\nb'
    >>> decode(b"a\\nb\\xff", "letters.txt")
    Traceback (most recent call last):
    ...
    ValueError: letters.txt: line 2, byte offset 3: cannot be read, 0xff is not UTF-8; expected is text in UTF-8.
    """
    if not data:
        raise ValueError(f"{name}: is empty; expected is text in UTF-8.")
    skipped = len(BYTE_ORDER_MARK) if data.startswith(BYTE_ORDER_MARK) else 0
    try:
        text = data[skipped:].decode("utf-8")
    except UnicodeDecodeError as error:
        place = skipped + error.start
        raise ValueError(
            f"{name}: {_position(data, place)}: cannot be read, 0x{data[place]:02x} is not UTF-8; "
            "expected is text in UTF-8."
        ) from error
    if "\0" in text:
        raise ValueError(
            f"{name}: {_position(data, data.index(0))}: has a NUL byte, as binary files do; expected is text in UTF-8."
        )
    if not text.strip():
        raise ValueError(f"{name}: has nothing but whitespace; expected is text in UTF-8.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _position(data: bytes, place: int) -> str:
    return f"line {data.count(10, 0, place) + 1}, byte offset {place}"


def _from_archive(path: Path) -> Parts:
    try:
        if path.name.lower().endswith(".zip"):
            with zipfile.ZipFile(path) as archive:
                names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
                return _parts(path, {name: _zip_member(archive, name) for name in names})
        with tarfile.open(path) as archive:
            members = [member for member in archive.getmembers() if member.isfile()]
            return _parts(path, {member.name: _tar_member(archive, member) for member in members})
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        lzma.LZMAError,
        zlib.error,
        EOFError,
        RuntimeError,  # an encrypted member
        OSError,  # what damaged gzip and bzip2 data raise
    ) as error:
        raise ValueError(f"{path}: cannot be read as an archive ({error}).") from error


def _zip_member(archive: zipfile.ZipFile, name: str) -> Callable[[], bytes]:
    return lambda: archive.read(name)


def _tar_member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        file = archive.extractfile(member)
        assert file is not None  # as it is for every regular file
        return file.read()

    return read


def _parts(source: Path, files: Mapping[str, Callable[[], bytes]]) -> Parts:
    shown = [name for name in files if not any(_is_hidden(part) for part in PurePosixPath(name).parts)]
    names = [_file_of(part, source, shown) for part in WORDS]
    return Parts(*(decode(files[name](), str(source / name)) for name in names))


def _file_of(part: str, source: Path, names: list[str]) -> str:
    found = [name for name in names if not {*WORDS[part]}.isdisjoint(_words(name))]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(
            f"source: {source} has {len(found)} files for the {part} part, {_listed(found)}; "
            "it must have one, so leave one corpus there."
        )
    raise ValueError(
        f"source: {source} has no file for the {part} part; expected is one file each for training, validation and "
        f"test, here with one of the words {', '.join(WORDS[part])} in its name; found: {_listed(names) or 'no files'}."
    )


def _words(name: str) -> list[str]:
    return re.findall("[a-z]+", PurePosixPath(name).name.lower())


def _is_hidden(name: str) -> bool:
    return (name.startswith(".") and name not in (".", "..")) or name == "__MACOSX"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _divided(path: Path, text: str) -> Parts:
    lines = text.removesuffix("\n").split("\n")
    if len(lines) < FEWEST_LINES:
        raise ValueError(
            f"{path}: has {len(lines)} lines; to be split into training, validation and test a file needs at least "
            f"{FEWEST_LINES}."
        )
    bounds = (0, len(lines) * 8 // 10, len(lines) * 9 // 10, len(lines))
    parts = Parts(*("\n".join(lines[bounds[k] : bounds[k + 1]]) + "\n" for k in range(3)))
    for part, name, first, last in zip(parts, Parts._fields, bounds, bounds[1:], strict=False):
        if not part.strip():
            raise ValueError(f"{path}: lines {first + 1} to {last}, its {name} part, have nothing but whitespace.")
    return parts
