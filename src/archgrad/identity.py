"""What a run was asked for, as plain values: a checkpoint belongs to one such identity and to no other."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any


def identify(value: Any) -> Any:
    """Describe a value by what it is made of, never by where it lies in memory.

    Dataclasses become dictionaries of their fields with their type, functions and classes their qualified name; of
    anything else that is no plain value the type is all that is known.

    >>> from archgrad.relax import Softmax
    >>> identify(Softmax(temperature=2.0))
    {'type': 'Softmax', 'temperature': 2.0}
    """
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Mapping():
            return {str(key): identify(item) for key, item in value.items()}
        case list() | tuple():
            return [identify(item) for item in value]
        case _ if is_dataclass(value) and not isinstance(value, type):
            members = {field.name: identify(getattr(value, field.name)) for field in fields(value)}
            return {"type": type(value).__name__, **members}
        case _ if hasattr(value, "__qualname__"):
            return f"{value.__module__}.{value.__qualname__}"
        case _:
            return type(value).__qualname__


def flat(plain: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, with dotted names.

    >>> flat({"a": {"b": 1}, "c": 2})
    {'a.b': 1, 'c': 2}
    """
    items: dict[str, Any] = {}
    for key, value in plain.items():
        items.update(flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value})
    return items
