"""`archgrad methods`: the table of methods; `archgrad cite`: the BibTeX of what is used."""

from dataclasses import dataclass, fields
from typing import Any

import tyro

from archgrad.citations import citation
from archgrad.methods import METHODS, Method
from archgrad.mixing import Mixing

SHOWN = ("relaxation", "hypergradient")
"""The parts that every row names first."""


@dataclass(frozen=True, kw_only=True)
class Methods:
    """List the table of methods: what each is put together from, and which paper it is from."""

    def __call__(self) -> None:
        width = max(map(len, METHODS))
        for name, method in METHODS.items():
            parts = [_named(method.relaxation), _named(method.hypergradient), *_differences(method)]
            print(f"{name:<{width}}  {', '.join(parts)}  [{method.citation}]")


@dataclass(frozen=True, kw_only=True)
class Cite:
    """Print the BibTeX of methods, spaces and parts, by name or arXiv id."""

    what: tyro.conf.Positional[tuple[str, ...]]  # such as: gdas nasbench201

    def __call__(self) -> None:
        citation(*self.what)


def _named(part: Any) -> str:
    """What a part is called, with the settings that differ from its defaults."""
    if part is None:
        return "no hypergradient"
    if callable(part) and hasattr(part, "__name__"):
        return part.__name__
    inner = getattr(part, "solver", None) or getattr(part, "relaxation", None)
    return type(part).__name__ if inner is None else f"{type(part).__name__}({_named(inner)})"


def _differences(method: Method) -> list[str]:
    """The parts of a row that first-order DARTS does not have."""
    default, found = Method(name="", citation=""), []
    for field in fields(Method):
        value = getattr(method, field.name)
        if field.name in ("name", "citation", *SHOWN) or value == getattr(default, field.name):
            continue
        if isinstance(value, Mixing):
            plain = Mixing()
            changed = [(f.name, getattr(value, f.name)) for f in fields(Mixing)]
            found += [f"{name}={setting}" for name, setting in changed if setting != getattr(plain, name)]
        elif isinstance(value, tuple):
            found.append(f"{field.name}: {len(value)}" if field.name == "stages" else ", ".join(map(_named, value)))
        else:
            found.append(_named(value))
    return found
