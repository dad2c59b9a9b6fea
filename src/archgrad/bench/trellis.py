"""`archgrad bench trellis`: a first-order step of both readings of Eq. 6, with and without checkpointing.

The reference is one cell for each edge of the trellis, without checkpointing. Every variant has a process of its own.
"""

import json
import sys
from dataclasses import asdict, dataclass

import torch
from rich.console import Console

from archgrad.bench.measurement import Measurement, cost_table, measured_each, timed
from archgrad.bilevel import Searcher
from archgrad.checks import at_least
from archgrad.devices import resolve_device
from archgrad.methods import darts
from archgrad.segmentation import search_bytes
from archgrad.settings import SegmentationSearchSettings
from archgrad.spaces import TrellisSpace
from archgrad.tasks import Segmentation

REFERENCE = "cell per edge"
VARIANTS = {
    REFERENCE: ("cell_per_edge", False),
    "cell per edge, checkpointing": ("cell_per_edge", True),
    "mixed inputs": ("mixed_inputs", False),
    "mixed inputs, checkpointing": ("mixed_inputs", True),
}
"""Reading and checkpointing of each variant."""


@dataclass(frozen=True, kw_only=True)
class TrellisBenchmarkSettings:
    """What is measured: a trellis on random images; the defaults are the paper's but for the size of the images."""

    layers: int = 12  # layers of the trellis
    filters: int = 8  # channels of a block at stride 4
    blocks: int = 5  # states of a cell
    num_classes: int = 19  # classes of a pixel
    batch_size: int = 2  # images per step
    image_size: int = 161  # height and width; 321 in the paper
    steps: int = 3  # steps that are timed, after one that is not
    device: str = "auto"  # auto, cpu, cuda, …

    def __post_init__(self) -> None:
        at_least("batch_size", self.batch_size, 2)
        at_least("steps", self.steps, 1)
        resolve_device(self.device)

    def space(self, variant: str) -> TrellisSpace:
        """The space of a variant."""
        reading, checkpointing = VARIANTS[variant]
        return TrellisSpace(
            layers=self.layers,
            filters=self.filters,
            blocks=self.blocks,
            num_classes=self.num_classes,
            reading=reading,
            checkpointing=checkpointing,
        )


def measure(variant: str, settings: TrellisBenchmarkSettings) -> Measurement:
    """Time a variant in this process."""
    device = resolve_device(settings.device)
    space = settings.space(variant)
    space.check_data((3, settings.image_size, settings.image_size), None)
    chosen = SegmentationSearchSettings(warmup_epochs=0, batch_size=settings.batch_size)
    searcher = Searcher(
        space, steps_per_epoch=1000, method=darts(order=1), settings=chosen, task=Segmentation(), device=device
    )
    state = searcher.init(seed=0)
    size = settings.batch_size, settings.image_size, settings.image_size
    masks = torch.randint(settings.num_classes, size, generator=torch.Generator().manual_seed(0)).to(device)
    images = torch.randn(size[0], 3, *size[1:], generator=torch.Generator().manual_seed(0)).to(device)
    batch = images.to(memory_format=torch.channels_last), masks
    return timed(lambda: searcher.step(state, batch, batch), steps=settings.steps, device=device)


def estimated_mebibytes(variant: str, settings: TrellisBenchmarkSettings) -> float:
    """What a step is estimated to take over the weights, which are there before it, in MiB."""
    space = settings.space(variant)
    bytes_ = search_bytes(
        space,
        method=darts(order=1),
        settings=SegmentationSearchSettings(batch_size=settings.batch_size),
        size=(settings.image_size, settings.image_size),
        device=resolve_device(settings.device),
    )
    with torch.device("meta"):  # counts need no memory
        weights = sum(parameter.numel() for parameter in space.supernet().parameters())
    return (bytes_ - 4 * weights) / 2**20


def run_trellis_benchmark(settings: TrellisBenchmarkSettings) -> dict[str, Measurement]:
    """Measure all variants, each in a new process, and print a table; returns the measurements by variant."""
    found = measured_each("archgrad.bench.trellis", VARIANTS, asdict(settings))
    title = (
        f"{settings.layers} layers, {settings.filters} filters, {settings.blocks} blocks, batch {settings.batch_size}, "
        f"{settings.image_size}×{settings.image_size}, first order, median of {settings.steps} steps"
    )
    table = cost_table(title, found, seconds={"÷ ref.": REFERENCE}, mebibytes={"÷ ref.": REFERENCE})
    console = Console()
    console.print(table)
    for variant, measured in found.items():
        estimate = estimated_mebibytes(variant, settings)
        ratio = f"{estimate / measured.mebibytes:.2f}" if measured.mebibytes else "–"
        console.print(f"{variant}: estimated {estimate:.0f} MiB, {ratio} of what it took")
    return found


if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    answer = measure(request["variant"], TrellisBenchmarkSettings(**request["settings"]))
    print(json.dumps(asdict(answer)))
