"""Commands as JSON and back: what a run was asked for is a command's dataclass, whole."""

from dataclasses import MISSING, asdict, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

Command = TypeVar("Command")


def to_plain(command: Any) -> dict[str, Any]:
    """Turn a dataclass into what `json.dumps` writes; paths become strings."""
    return _plain(asdict(command))


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case Path():
            return str(value)
        case _:
            return value


def from_plain(kind: type[Command], plain: dict[str, Any]) -> Command:
    """Build a dataclass from what `to_plain` made of it.

    Raises:
        ValueError: an unknown field, or one that is missing and has no default.
    """
    if not isinstance(plain, dict):
        raise ValueError(f"configuration: {kind.__name__} must be an object, got {plain!r}.")
    hints = get_type_hints(kind)
    known = {field.name: field for field in fields(kind)}  # pyright: ignore[reportArgumentType]
    unknown = set(plain) - set(known)
    missing = {
        name
        for name, field in known.items()
        if name not in plain and field.default is MISSING and field.default_factory is MISSING
    }
    if unknown or missing:
        raise ValueError(
            f"configuration: {kind.__name__} has unknown fields {sorted(unknown)} and lacks {sorted(missing)}."
        )
    return kind(**{name: _typed(hints[name], value) for name, value in plain.items()})


def _typed(hint: Any, value: Any) -> Any:
    if get_origin(hint) in (Union, UnionType):
        choices = [choice for choice in get_args(hint) if choice is not type(None)]
        return None if value is None else _typed(choices[0], value)
    if is_dataclass(hint) and isinstance(hint, type):
        return from_plain(hint, value)
    if hint is Path:
        return Path(value)
    return tuple(value) if get_origin(hint) is tuple else value
