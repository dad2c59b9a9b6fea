"""Checkpoints: nested dictionaries of tensors and plain values in one safetensors file, without pickle.

Tensors are stored as such; the structure around them is JSON in the file's metadata, where a tensor stands as its name.
Lists, tuples, dictionaries with any JSON keys, strings, numbers, booleans and None come back as they were.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from archgrad.files import write_atomically

FORMAT = "archgrad.checkpoint"
VERSION = 1


class CheckpointError(ValueError):
    """A checkpoint that is broken, of a newer version, or of another run."""


def write_checkpoint(path: Path, content: dict[str, Any], *, identity: dict[str, Any]) -> None:
    """Write a checkpoint atomically; `identity` is the configuration that it belongs to.

    Raises:
        OSError: it could not be written; the previous checkpoint is untouched.
    """
    tensors: dict[str, Tensor] = {}
    structure = _encode(content, tensors)
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        "identity": json.dumps(identity, sort_keys=True),
        "structure": json.dumps(structure),
    }
    write_atomically(path, save(tensors, metadata))


def read_checkpoint(path: Path, *, identity: dict[str, Any] | None = None) -> dict[str, Any]:
    """Read what `write_checkpoint` wrote.

    Raises:
        CheckpointError: the file is truncated or no checkpoint, was written by a newer archgrad, or belongs to another
            configuration than `identity`; the message names the settings that differ.
        FileNotFoundError: there is no such file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no checkpoint.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no dictionary
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: truncated or not a checkpoint ({error}).") from error
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{path}: a safetensors file, but not a checkpoint of archgrad.")
    if int(metadata["version"]) > VERSION:
        raise CheckpointError(f"{path}: written by a newer archgrad (version {metadata['version']}); upgrade archgrad.")
    if identity is not None:
        _check_identity(path, json.loads(metadata["identity"]), json.loads(json.dumps(identity)))
    return _decode(json.loads(metadata["structure"]), tensors)


def _check_identity(path: Path, saved: dict[str, Any], wanted: dict[str, Any]) -> None:
    differing = [
        f"{name} ({_shown(saved, name)} there, {_shown(wanted, name)} here)"
        for name in sorted({*saved, *wanted})
        if saved.get(name) != wanted.get(name)
    ]
    if differing:
        raise CheckpointError(f"{path}: belongs to another configuration; it differs in {'; '.join(differing)}.")


def _shown(settings: dict[str, Any], name: str) -> str:
    return repr(settings[name]) if name in settings else "absent"


def _encode(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Turn a value into JSON; what JSON lacks becomes a pair of a tag and the content."""
    match value:
        case Tensor():
            name = str(len(tensors))
            # Clones, since the format refuses tensors that share memory; it has no memory formats either.
            tensors[name] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
            return ["tensor", name]
        case dict():
            return ["dict", [[_encode(key, tensors), _encode(item, tensors)] for key, item in value.items()]]
        case list():
            return ["list", [_encode(item, tensors) for item in value]]
        case tuple():
            return ["tuple", [_encode(item, tensors) for item in value]]
        case None | bool() | int() | float() | str():
            return value
        case _:
            raise TypeError(f"checkpoint: cannot store a {type(value).__name__}.")


def _decode(value: Any, tensors: dict[str, Tensor]) -> Any:
    match value:
        case ["tensor", str(name)]:
            return tensors[name]
        case ["dict", items]:
            return {_decode(key, tensors): _decode(item, tensors) for key, item in items}
        case ["list", items]:
            return [_decode(item, tensors) for item in items]
        case ["tuple", items]:
            return tuple(_decode(item, tensors) for item in items)
        case _:
            return value
