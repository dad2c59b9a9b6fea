"""The parameters of an estimator as options of the command line: its signature is the home of their defaults."""

import inspect
import re
from collections.abc import Collection
from dataclasses import field, make_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import tyro

PLAIN = (bool, int, float, str)
"""Kinds of values that a command line can hold, tried in this order; several strings are one more."""


def options_of(estimator: type, *, name: str, without: Collection[str] = ()) -> type:
    """Make a dataclass of those parameters of an estimator that a command line can hold.

    Arguments:
        estimator: a class whose constructor has annotations, and whose docstring says of each parameter what it means,
            in lines `parameter: meaning`.
        name: of the dataclass.
        without: parameters that are left out.

    >>> class Mean:
    ...     '''A mean.
    ...
    ...     Arguments:
    ...         trim: share of the rows that are left out
    ...             at both ends.
    ...     '''
    ...     def __init__(self, trim: float = 0.1, callback=print): ...
    >>> options_of(Mean, name="MeanOptions")()
    MeanOptions(trim=0.1)
    """
    hints = inspect.get_annotations(estimator.__init__)
    said = meanings(estimator)
    fields = []
    for parameter in inspect.signature(estimator).parameters.values():
        kind = _kind(hints.get(parameter.name), parameter.default)
        if kind is None or parameter.name in without:
            continue
        default = tuple(parameter.default) if isinstance(parameter.default, list) else parameter.default
        meaning = said.get(parameter.name, f"parameter of {estimator.__name__}")
        annotation = Annotated[kind, tyro.conf.arg(help=meaning)]  # pyright: ignore[reportInvalidTypeForm]
        fields.append((parameter.name, annotation, field(default=default)))
    return make_dataclass(name, fields, frozen=True, kw_only=True)


def _kind(hint: Any, default: Any) -> Any:
    """The part of a hint that a command line can hold, None if there is none; the default decides without a hint."""
    if default is inspect.Parameter.empty:
        return None
    members = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    several = isinstance(default, list | tuple)
    if several and all(isinstance(item, str) for item in default):
        return tuple[str, ...]
    kinds = [kind for kind in PLAIN if kind in members]
    kinds += [member for member in members if get_origin(member) is Literal]
    if default is not None and type(default) not in PLAIN:
        return None
    if not kinds and default is not None:
        kinds = [type(default)]
    if not kinds:
        return None
    optional = default is None or NoneType in members
    return Union[(*kinds, NoneType)] if optional else Union[tuple(kinds)]  # noqa: UP007  made from a list


def meanings(estimator: type) -> dict[str, str]:
    """What the docstring of an estimator says of its parameters, each on one line.

    >>> class Mean:
    ...     '''A mean.
    ...
    ...     Arguments:
    ...         low, high: shares of the rows
    ...             that are left out.
    ...         weights: of the rows.
    ...     '''
    >>> for name, meaning in meanings(Mean).items():
    ...     print(name, "|", meaning)
    low | shares of the rows that are left out
    high | shares of the rows that are left out
    weights | of the rows
    """
    _, _, block = inspect.cleandoc(estimator.__doc__ or "").partition("Arguments:\n")
    entries: list[str] = []
    for line in block.split("\n\n")[0].splitlines():
        begins = re.match(r" {4}\S", line) is not None
        if begins and (not entries or ":" in entries[-1]):
            entries.append(line.strip())
        elif entries:
            entries[-1] += f" {line.strip()}"
    found = (entry.partition(":") for entry in entries)
    return {name.strip(): meaning.strip().rstrip(".") for names, _, meaning in found for name in names.split(",")}
