"""A trained network on disk: `network.safetensors` with the weights, `network.json` with how to build it and use it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save

from archgrad.data.augment import Augmentation
from archgrad.files import write_atomically
from archgrad.genotype import Genotype
from archgrad.runs.folder import RunFolder, read_json, write_json
from archgrad.spaces.conv import ConvNetwork


@dataclass(frozen=True)
class SavedNetwork:
    """A network with what is needed to use it: how inputs are normalised and what the classes are called."""

    network: ConvNetwork
    genotype: Genotype
    augmentation: Augmentation
    classes: tuple[str, ...]


def save_network(
    folder: RunFolder,
    network: ConvNetwork,
    genotype: Genotype,
    *,
    size: dict[str, Any],
    augmentation: Augmentation,
    classes: tuple[str, ...],
) -> None:
    """Write a network to a run folder; `size` is the keyword arguments that it was built with."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    write_atomically(folder.path / "network.safetensors", save(tensors))
    description = {
        "genotype": genotype.to_json(),
        "size": size,
        "mean": augmentation.mean,
        "std": augmentation.std,
        "classes": classes,
    }
    write_json(folder.path / "network.json", description)


def load_network(path: str | Path) -> SavedNetwork:
    """Read a network that `save_network` wrote, in evaluation mode.

    Raises:
        FileNotFoundError: the folder holds no trained network.
        ValueError: a file is broken, or weights and description do not belong together.
    """
    folder = Path(path).expanduser()
    for name in ("network.json", "network.safetensors"):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder}: holds no trained network, {name} is missing.")
    description = read_json(folder / "network.json")
    try:
        genotype = Genotype.from_json(description["genotype"])
        network = ConvNetwork(genotype, **description["size"])
        network.load_state_dict(load_file(folder / "network.safetensors"))
        mean, std = (description[name] and tuple(description[name]) for name in ("mean", "std"))
        classes = tuple(description["classes"])
    except (KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise ValueError(f"{folder}: network.json and network.safetensors do not fit together ({error}).") from error
    return SavedNetwork(network.eval(), genotype, Augmentation(crop_padding=0, flip=False, mean=mean, std=std), classes)
