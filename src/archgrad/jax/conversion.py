"""Weights between PyTorch and Flax: the modules of both sides have the same names, only layouts differ."""

from collections.abc import Set
from typing import Any

import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx
from jax import Array
from torch import nn

NAMES = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}
"""What Flax calls a parameter -> what PyTorch calls it, where they differ."""


def to_torch(source: Any, target: Any) -> nn.Module:
    """Copy the weights of a Flax supernet or network into its PyTorch twin, which is changed and returned.

    Both are of the same space or genotype and the same size; running averages come along. Kernels [height, width, in,
    out] become [out, in, height, width], and the K stacked ones of a supernet's bundle K·out rows, edge by edge.

    Raises:
        ValueError: one of them is of the wrong side, or they do not have the same parameters; the message names the
            first that differs.
    """
    _check_kinds(source, target, nnx.Module, nn.Module)
    values = {name: _transposed(np.asarray(variable[...])) for name, variable in _variables(source).items()}
    wanted = _tensors(target)
    _check_names(values.keys(), wanted.keys(), here="the Flax module", there="the PyTorch module")
    for name, tensor in wanted.items():
        shape = values[name].shape
        if shape != tuple(tensor.shape):
            raise ValueError(f"target: {name} has shape {list(tensor.shape)}, the source's is {list(shape)}.")
    with torch.no_grad():
        for name, tensor in wanted.items():
            tensor.copy_(torch.from_numpy(np.array(values[name])))
    return target


def from_torch(source: Any, target: Any) -> nnx.Module:
    """Copy the weights of a PyTorch supernet or network into its Flax twin, which is changed and returned.

    The inverse of `to_torch`. Precision is that of the source, as far as JAX is told to keep it (`jax_enable_x64`).

    Raises:
        ValueError: one of them is of the wrong side, or they do not have the same parameters; the message names the
            first that differs.
    """
    _check_kinds(source, target, nn.Module, nnx.Module)
    values = {name: tensor.detach().cpu().numpy() for name, tensor in _tensors(source).items()}
    wanted = _variables(target)
    _check_names(values.keys(), wanted.keys(), here="the PyTorch module", there="the Flax module")
    restored = {name: _restored(values[name], variable.shape) for name, variable in wanted.items()}
    for name, variable in wanted.items():
        if restored[name].shape != variable.shape:
            raise ValueError(
                f"target: {name} has shape {list(variable.shape)}, the source's is {list(values[name].shape)}."
            )
    for name, variable in wanted.items():
        variable.set_value(restored[name])  # `variable[...] = ` would keep the precision that it had
    return target


def _check_kinds(source: object, target: object, read: type, written: type) -> None:
    for name, value, kind in (("source", source, read), ("target", target, written)):
        if not isinstance(value, kind):
            side = "Flax" if kind is nnx.Module else "PyTorch"
            raise ValueError(
                f"{name}: must be a module of {side}, got {type(value).__name__}; the first argument is read, the "
                "second is changed."
            )


def _variables(module: nnx.Module) -> dict[str, nnx.Variable]:
    """Parameters and running averages by PyTorch's names; the index within `Layers` is the name in a sequence."""
    found = {}
    for path, variable in nnx.to_flat_state(nnx.state(module)):
        *places, last = path
        parts = [str(part) for part in places if part != "layers"]
        found[".".join([*parts, NAMES.get(str(last), str(last))])] = variable
    return found


def _tensors(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in module.state_dict().items() if tensor.is_floating_point()}


def _check_names(given: Set[str], wanted: Set[str], *, here: str, there: str) -> None:
    for name in sorted(wanted ^ given):
        who, who_not = (there, here) if name in wanted else (here, there)
        raise ValueError(
            f"source, target: {who} has {name}, {who_not} has not; give modules of the same space or genotype and size "
            "(an auxiliary head is PyTorch's alone)."
        )


def _transposed(value: np.ndarray) -> np.ndarray:
    match value.ndim:
        case 2:
            return value.T
        case 4:
            return value.transpose(3, 2, 0, 1)
        case 5:
            return value.transpose(0, 4, 3, 1, 2).reshape(-1, *(value.shape[place] for place in (3, 1, 2)))
        case _:
            return value


def _restored(value: np.ndarray, shape: tuple[int, ...]) -> Array:
    match len(shape):
        case 2:
            value = value.T
        case 4:
            value = value.transpose(2, 3, 1, 0)
        case 5 if len(value) % shape[0] == 0:
            value = value.reshape(shape[0], -1, *value.shape[1:]).transpose(0, 3, 4, 2, 1)
    return jnp.asarray(value)
