"""A trained network that labels pixels, in a run folder: weights, how to build it, its classes and their colours."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archgrad.data.segmentation.augment import DenseAugmentation
from archgrad.genotype import TRELLIS, Genotype
from archgrad.runs.folder import RunFolder, read_json
from archgrad.runs.weights import DESCRIPTION, read_moments, read_network, with_weights, write_network
from archgrad.spaces.trellis import TrellisNetwork
from archgrad.spaces.trellis.network import check_trellis_genotype


@dataclass(frozen=True)
class SavedSegmentationNetwork:
    """A network with what is needed to use it: how images are normalised, and the classes' names and colours."""

    network: TrellisNetwork
    genotype: Genotype
    augmentation: DenseAugmentation
    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    ignore: int


def save_segmentation_network(
    folder: RunFolder,
    network: TrellisNetwork,
    genotype: Genotype,
    *,
    size: dict[str, Any],
    augmentation: DenseAugmentation,
    labels: dict[str, Any],
) -> None:
    """Write a network to a run folder.

    `size` is the keyword arguments that it was built with, `labels` its classes, palette and ignored label.
    """
    description = {
        "genotype": genotype.to_json(),
        "size": size,
        "mean": augmentation.mean,
        "std": augmentation.std,
        **labels,
    }
    write_network(folder, network, description)


def is_segmentation_network(path: str | Path) -> bool:
    """Whether a run folder holds a network that labels pixels."""
    description = Path(path).expanduser() / DESCRIPTION
    if not description.is_file():
        return False
    found = read_json(description)
    written = found.get("genotype") if isinstance(found, dict) else None
    return isinstance(written, str) and Genotype.from_json(written).space == TRELLIS


def load_segmentation_network(path: str | Path) -> SavedSegmentationNetwork:
    """Read a network that `save_segmentation_network` wrote, in evaluation mode.

    Raises:
        FileNotFoundError: the folder holds no trained network.
        ValueError: a file is broken, or weights and description do not belong together.
    """
    return read_network(path, _build, kind="segmentation network")


def _build(folder: Path, description: dict[str, Any]) -> SavedSegmentationNetwork:
    genotype = Genotype.from_json(description["genotype"])
    check_trellis_genotype(genotype)  # before the sizes, which differ from space to space
    mean, std = read_moments(description)
    return SavedSegmentationNetwork(
        network=with_weights(TrellisNetwork(genotype, **description["size"]), folder),
        genotype=genotype,
        augmentation=DenseAugmentation(mean=mean, std=std),
        classes=tuple(description["classes"]),
        palette=tuple((red, green, blue) for red, green, blue in description["palette"]),
        ignore=int(description["ignore"]),
    )
