"""What to cite: the BibTeX of the methods, spaces and parts that a configuration uses."""

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from archgrad.checks import one_of
from archgrad.genotype import CONV_CELL, NASBENCH201, RECURRENT_CELL, TRELLIS
from archgrad.methods import METHODS, by_name
from archgrad.mixing import Mixing

SPACES = {
    CONV_CELL: ("1806.09055",),
    RECURRENT_CELL: ("1806.09055",),
    TRELLIS: ("1901.02985",),
    NASBENCH201: ("2001.00326",),
}
"""What to cite for a search space, by its name."""


@cache
def references() -> dict[str, str]:
    """The BibTeX entries of `references.bib`, by arXiv id, or by their own key where there is none."""
    entries = files("archgrad").joinpath("references.bib").read_text().strip().split("\n\n")
    return {_key(entry): entry for entry in entries}


def _key(entry: str) -> str:
    number = re.search(r"eprint = {(.+)}", entry)
    return number[1] if number else entry[entry.index("{") + 1 : entry.index(",")]


def citation(*parts: Any) -> None:
    """Print the BibTeX of what a configuration uses; see `bibtex`."""
    print(bibtex(*parts))


def bibtex(*parts: Any) -> str:
    """The BibTeX entries of methods, spaces and their parts, each once, in the order in which they are met.

    A part is a `Method` or its name, a space or its name, any part of a method (a relaxation, a penalty, a selection,
    …), a table, or an arXiv id.

    >>> print(bibtex("darts-first-order").splitlines()[0])
    @inproceedings{liu2019darts,

    Raises:
        ValueError: nothing is asked for, a name is unknown, or no part names a source.
    """
    if not parts:
        raise ValueError("parts: name a method, a space or an arXiv id, such as citation('gdas').")
    keys = [key for part in parts for key in _keys_of(part)]
    if not keys:
        raise ValueError(f"parts: {parts!r} name no source; allowed are methods, spaces, their parts and arXiv ids.")
    return "\n\n".join(references()[key] for key in dict.fromkeys(keys))


def _keys_of(part: Any) -> list[str]:
    if isinstance(part, str):
        if part in references():
            return [part]
        if part in SPACES:
            return list(SPACES[part])
        one_of("citation", part, (*METHODS, *SPACES, *references()))
        part = by_name(part)
    found = list(_walk(part))
    name = getattr(part, "name", None)
    if isinstance(name, str) and name in SPACES:
        found = [*SPACES[name], *found]
    return found


def _walk(part: Any) -> Iterator[str]:
    """The keys of a part and of all that it is made of."""
    if isinstance(part, Mixing):
        default = Mixing()
        yield from (key for name, key in Mixing.citations.items() if getattr(part, name) != getattr(default, name))
        return
    key = getattr(part, "citation", None)
    if isinstance(key, str):
        yield one_of("citation", key, references())
    if isinstance(part, tuple | list):
        for item in part:
            yield from _walk(item)
    elif is_dataclass(part) and not isinstance(part, type):
        for field in fields(part):
            yield from _walk(getattr(part, field.name))
