"""What all trained networks in run folders share: weights as safetensors, and a JSON that says how to build them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from archgrad.files import write_atomically
from archgrad.runs.folder import RunFolder, read_json, write_json

WEIGHTS = "network.safetensors"
DESCRIPTION = "network.json"

Network = TypeVar("Network", bound=nn.Module)
Saved = TypeVar("Saved")


def write_network(folder: RunFolder, network: nn.Module, description: dict[str, Any]) -> None:
    """Write weights and description to a run folder."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    write_atomically(folder.path / WEIGHTS, save(tensors))
    write_json(folder.path / DESCRIPTION, description)


def read_network(
    path: str | Path, build: Callable[[Path, dict[str, Any]], Saved], *, kind: str, others: Sequence[str] = ()
) -> Saved:
    """Read what `write_network` wrote: `build` makes the result from folder and description, weights included.

    `others` are files that must be there too.

    Raises:
        FileNotFoundError: the folder holds no trained network; the message calls it by its `kind`.
        ValueError: a file is broken, or weights and description do not belong together.
    """
    folder = Path(path).expanduser()
    for name in (DESCRIPTION, WEIGHTS, *others):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder}: holds no trained {kind}, {name} is missing.")
    description = read_json(folder / DESCRIPTION)
    try:
        return build(folder, description)
    except (KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise ValueError(f"{folder}: {DESCRIPTION} and {WEIGHTS} do not fit together ({error}).") from error


def with_weights(network: Network, folder: Path) -> Network:
    """Load the weights of a run folder into a network, in evaluation mode."""
    network.load_state_dict(load_file(folder / WEIGHTS))
    return network.eval()


def read_moments(description: dict[str, Any]) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    """Mean and std that inputs are normalised with, as a description has them; None where pixels are scaled only."""
    mean, std = (description[name] and tuple(description[name]) for name in ("mean", "std"))
    return mean, std
