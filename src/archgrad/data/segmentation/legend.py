"""The names and colours of classes from a text file: `classes.txt`, one class per line."""

import re
from pathlib import Path
from typing import NamedTuple

from archgrad.data.segmentation.labelled import LABELS


class Legend(NamedTuple):
    """The names of the classes, and a colour (r, g, b) for each or none at all."""

    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]


def read_legend(path: Path) -> Legend:
    """Read classes, one per line in the order of their labels: a name, or name, red, green, blue.

    What follows the name is set off by a tab or a comma, so that names may have spaces; the numbers may be set off by
    spaces. Blank lines are passed over.

    Raises:
        ValueError: no UTF-8 text, a colour that is none, colours for some classes only, a name that is empty or comes
            twice, no class or more than 256.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is no UTF-8 text ({error}).") from error
    names: dict[str, int] = {}
    palette = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name, *rest = re.split("[\t,]", line)
        name, colour = name.strip(), " ".join(rest).split()
        if not name:
            raise ValueError(f"{path}: line {number} has no name before the first comma or tab, got {line!r}.")
        if name in names:
            raise ValueError(f"{path}: line {number} has the class {name!r} again, after line {names[name]}.")
        names[name] = number
        if colour:
            palette.append(_colour(colour, f"{path}: line {number}"))
    if not 1 <= len(names) <= LABELS:
        raise ValueError(f"{path}: has {len(names)} classes; allowed are 1 to {LABELS}, one per line.")
    if palette and len(palette) != len(names):
        raise ValueError(f"{path}: has colours for {len(palette)} of {len(names)} classes; give all or none.")
    return Legend(tuple(names), tuple(palette))


def _colour(words: list[str], where: str) -> tuple[int, int, int]:
    if len(words) != 3 or not all(re.fullmatch("[0-9]+", word) and int(word) <= 255 for word in words):
        raise ValueError(f"{where}: a colour is red, green and blue in 0 … 255, got {' '.join(words)!r}.")
    red, green, blue = map(int, words)
    return red, green, blue
