"""Tables of numbers in text files: CSV and its kin become named columns, one of which is the target."""

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from archgrad.checks import one_of

DELIMITERS = ("\t", ";", ",", " ")
"""What may separate cells, those first that are least likely to occur within one; a blank stands for white space."""

MISSING = ("", "-", "?", "na", "n/a", "nan", "null", "none", "nil", ".")
"""Cells that say that a value is not there, in small letters."""

SNIFFED = 50  # rows that tell the delimiter


@dataclass(frozen=True)
class Columns:
    """Numbers in named columns, inputs [rows, columns] and targets [rows].

    Arguments:
        names: of the input columns, as they stand in the file, without surrounding white space.
        inputs: their numbers, all finite.
        target: the name of the target column.
        targets: its numbers.
    """

    names: tuple[str, ...]
    inputs: Float[np.ndarray, "rows columns"]
    target: str
    targets: Float[np.ndarray, "rows"]

    def __len__(self) -> int:
        return len(self.targets)

    def frame(self, rows: Any = slice(None)) -> "Frame":
        """The inputs of some rows with their names, as estimators take them."""
        return Frame(self.names, self.inputs[rows])


class Frame:
    """An array [rows, columns] that knows the names of its columns, in `columns`, as a data frame does."""

    def __init__(self, names: Sequence[str], values: Float[np.ndarray, "rows columns"]) -> None:
        self.columns = list(names)
        self.values = values

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return self.values.shape

    def __len__(self) -> int:
        return len(self.values)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.values, dtype=dtype, copy=copy)


def read_columns(path: str | Path, *, target: str | None = None, columns: Sequence[str] = ()) -> Columns:
    """Read a CSV or TSV file: a header, then rows of numbers; the delimiter is found out, quotes are understood.

    Arguments:
        path: the file, in UTF-8; its cells are separated by commas, semicolons, tabs or white space.
        target: the column to explain; by default the last one (of those that `columns` leaves).
        columns: the inputs, in this order; by default all other columns. Columns that are neither need no numbers.

    Returns:
        The names and the numbers, inputs [rows, columns] and targets [rows].

    Raises:
        ValueError: there is no such file, it is empty, no text, or has no header or no rows; a column has no name or
            that of another; `target` or one of `columns` is none of them; a row is too short or too long; a cell is
            missing or no finite number. The message names file, row, line, column and value.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "data.csv"
    ...     _ = file.write_text('x 1;"y; in kg"\\n1;2\\n3;4.5')
    ...     data = read_columns(file)
    >>> data.names, data.target, data.inputs.tolist(), data.targets.tolist()
    (('x 1',), 'y; in kg', [[1.0], [3.0]], [2.0, 4.5])
    """
    path = Path(path).expanduser()
    text = _text(path)
    delimiter = _delimiter(text)
    rows = _rows(path, text, delimiter)
    _, header = next(rows)
    names = _header(path, header)
    inputs, target = _selection(path, names, target, columns)
    places = [names.index(name) for name in (*inputs, target)]
    numbers: list[list[float]] = []
    for row, (line, cells) in enumerate(rows, start=1):
        where = f"{path}: row {row} (line {line})"
        if len(cells) != len(names):
            raise ValueError(f"{where} has {len(cells)} cells, but the header has {len(names)}: {_excerpt(cells)}.")
        numbers.append([_number(cells[place], f"{where}, column {names[place]!r}") for place in places])
    if not numbers:
        raise ValueError(f"{path}: has a header ({', '.join(names)}) but no rows.")
    values = np.array(numbers, dtype=np.float64)
    return Columns(inputs, np.ascontiguousarray(values[:, :-1]), target, values[:, -1].copy())


def _text(path: Path) -> str:
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "there is no such file"
        raise ValueError(f"{path}: {what}.")
    content = path.read_bytes()
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError(f"{path}: is UTF-16; save it as UTF-8.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(f"{path}: line {line} is no UTF-8 text (byte {content[error.start]:#04x}).") from error
    if not text.strip():
        raise ValueError(f"{path}: is empty.")
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise ValueError(f"{path}: line {line} is no text, it has a zero byte.")
    return text


def _delimiter(text: str) -> str:
    """The delimiter that gives every row as many cells as the header; failing that, one that divides the header."""
    dividing = []
    for delimiter in DELIMITERS:
        try:
            counts = [len(cells) for (_, cells), _ in zip(_split(text, delimiter), range(SNIFFED), strict=False)]
        except csv.Error:
            continue
        if counts[0] > 1 and len(set(counts)) == 1:
            return delimiter
        if counts[0] > 1:
            dividing.append((sum(count > 1 for count in counts), delimiter))
    return max(dividing, key=lambda pair: pair[0])[1] if dividing else ","


def _split(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The lines that are not blank: their number, and their cells without surrounding white space."""
    if delimiter == " ":
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                found = re.findall(r'"((?:[^"]|"")*)"(?=\s|$)|(\S+)', line)
                yield number, [(quoted.replace('""', '"') or plain).strip() for quoted, plain in found]
        return
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    before = 0
    for cells in reader:
        number, before = before + 1, reader.line_num
        if any(cell.strip() for cell in cells):
            yield number, [cell.strip() for cell in cells]


def _rows(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    try:
        yield from _split(text, delimiter)
    except csv.Error as error:
        raise ValueError(f"{path}: cannot be read as a table ({error}).") from error


def _header(path: Path, cells: Sequence[str]) -> list[str]:
    """The names of the columns, if they are names and each occurs once."""
    names = [" ".join(cell.split()) for cell in cells]
    if all(_is_number(cell) for cell in names):
        raise ValueError(f"{path}: needs a header, names in the first row; it has numbers there: {_excerpt(names)}.")
    for place, name in enumerate(names, start=1):
        if not name:
            raise ValueError(
                f"{path}: column {place} has no name in the header ({_excerpt(names)}); "
                "name it, or write the file without an index."
            )
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        places = [place for place, name in enumerate(names, start=1) if name == repeated[0]]
        raise ValueError(f"{path}: the columns {places} have the same name, {repeated[0]!r}.")
    return names


def _selection(
    path: Path, names: Sequence[str], target: str | None, columns: Sequence[str]
) -> tuple[tuple[str, ...], str]:
    """The inputs and the target."""
    if target is not None:
        one_of("target", target, names)
    for name in columns:
        one_of("columns", name, names)
    repeated = [name for name, count in Counter(columns).items() if count > 1]
    if repeated:
        raise ValueError(f"columns: {repeated[0]!r} is listed {columns.count(repeated[0])} times.")
    if target is None:
        left = [name for name in names if name not in columns]
        if not left:
            raise ValueError(f"columns: are all columns of {path} ({', '.join(columns)}); one must be the target.")
        target = left[-1]
    if target in columns:
        raise ValueError(f"columns: {target!r} is the target, it cannot be an input, too.")
    inputs = tuple(columns) or tuple(name for name in names if name != target)
    if not inputs:
        raise ValueError(f"{path}: has the column {target!r} only; there must be an input besides the target.")
    return inputs, target


def _number(cell: str, where: str) -> float:
    if cell.lower() in MISSING:
        shown = f" ({cell!r})" if cell else ""
        raise ValueError(f"{where}: the value is missing{shown}; complete the row or remove it.")
    try:
        value = float(cell)
    except ValueError as error:
        hint = "; write decimals with a point" if re.fullmatch(r"[-+]?\d+,\d+", cell) else ""
        raise ValueError(
            f"{where}: {cell!r} is not a number{hint}. Columns that are not needed can be left out with --columns."
        ) from error
    if not math.isfinite(value):
        raise ValueError(f"{where}: {cell!r} is not finite.")
    return value


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _excerpt(cells: Sequence[str], longest: int = 60) -> str:
    text = ", ".join(cells)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
