"""A trained network on disk: `network.safetensors` with the weights, `network.json` with how to build it and use it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archgrad.data.augment import Augmentation
from archgrad.genotype import NASBENCH201, Genotype
from archgrad.runs.folder import RunFolder
from archgrad.runs.weights import read_moments, read_network, with_weights, write_network
from archgrad.spaces.conv import ConvNetwork
from archgrad.spaces.conv.network import check_genotype
from archgrad.spaces.nasbench201 import NASBench201Network


@dataclass(frozen=True)
class SavedNetwork:
    """A network with what is needed to use it: how inputs are normalised and what the classes are called."""

    network: ConvNetwork | NASBench201Network
    genotype: Genotype
    augmentation: Augmentation
    classes: tuple[str, ...]


def save_network(
    folder: RunFolder,
    network: ConvNetwork | NASBench201Network,
    genotype: Genotype,
    *,
    size: dict[str, Any],
    augmentation: Augmentation,
    classes: tuple[str, ...],
) -> None:
    """Write a network to a run folder; `size` is the keyword arguments that it was built with."""
    description = {
        "genotype": genotype.to_json(),
        "size": size,
        "mean": augmentation.mean,
        "std": augmentation.std,
        "classes": classes,
    }
    write_network(folder, network, description)


def load_network(path: str | Path) -> SavedNetwork:
    """Read a network that `save_network` wrote, in evaluation mode.

    Raises:
        FileNotFoundError: the folder holds no trained network.
        ValueError: a file is broken, or weights and description do not belong together.
    """
    return read_network(path, _build, kind="network")


def _build(folder: Path, description: dict[str, Any]) -> SavedNetwork:
    genotype = Genotype.from_json(description["genotype"])
    if genotype.space == NASBENCH201:
        network = NASBench201Network(genotype, **description["size"])
    else:
        check_genotype(genotype)  # before the sizes, which differ from space to space
        network = ConvNetwork(genotype, **description["size"])
    network = with_weights(network, folder)
    mean, std = read_moments(description)
    augmentation = Augmentation(crop_padding=0, flip=False, mean=mean, std=std)
    return SavedNetwork(network, genotype, augmentation, tuple(description["classes"]))
