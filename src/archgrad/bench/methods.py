"""`archgrad bench methods`: seconds per step and peak memory of every method, as ratios to first-order DARTS.

Every method runs in a process of its own, one after the other, so that peak memory is its own; first-order DARTS is
always among them, measured in the same run. A step is all that the driver does for a pair of batches: the logits' part
with the method's hypergradient and penalties, then the weights'. It is a step of the first epoch: of the first stage
where a method has stages, at the initial temperature, with the auxiliary skip at its full weight. What happens between
epochs (decisions of stages, diagnostics) or after the search (selection) is not in it.
"""

import json
import sys
from dataclasses import asdict, dataclass

import torch
from rich.console import Console

from archgrad.bench.measurement import Measurement, cost_table, measured_each, timed
from archgrad.bilevel import Searcher
from archgrad.checks import at_least, one_of
from archgrad.devices import resolve_device
from archgrad.methods import METHODS
from archgrad.spaces import ConvCellSpace

REFERENCE = "darts-first-order"


@dataclass(frozen=True, kw_only=True)
class MethodBenchmarkSettings:
    """What is measured: methods on a supernet of convolutional cells, on random images."""

    methods: tuple[str, ...] = ()  # names in the table of methods; none: all of them
    channels: int = 16  # channels of the first cells
    layers: int = 8  # number of cells
    batch_size: int = 16  # images per step
    image_size: int = 32  # height and width
    steps: int = 5  # steps that are timed, after one that is not
    device: str = "auto"  # auto, cpu, cuda, …

    def __post_init__(self) -> None:
        for name in self.methods:
            one_of("methods", name, METHODS)
        at_least("batch_size", self.batch_size, 2)
        at_least("steps", self.steps, 1)
        resolve_device(self.device)

    @property
    def measured(self) -> tuple[str, ...]:
        """The methods in the order in which they are measured: the reference first, each once."""
        return tuple(dict.fromkeys((REFERENCE, *(self.methods or METHODS))))


def measure(name: str, settings: MethodBenchmarkSettings) -> Measurement:
    """Time a method in this process."""
    device = resolve_device(settings.device)
    space = ConvCellSpace(channels=settings.channels, layers=settings.layers)
    size = (settings.batch_size, space.in_channels, settings.image_size, settings.image_size)
    space.check_data(size[1:], None)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(size, generator=generator).to(device, memory_format=torch.channels_last)
    labels = torch.randint(space.num_classes, size[:1], generator=generator).to(device)
    searcher = Searcher(space, steps_per_epoch=1000, method=METHODS[name], device=device)
    state = searcher.init(seed=0)
    batch = images, labels
    return timed(lambda: searcher.step(state, batch, batch), steps=settings.steps, device=device)


def run_method_benchmark(settings: MethodBenchmarkSettings) -> dict[str, Measurement]:
    """Measure the methods, each in a new process, and print a table; returns the measurements by name."""
    found = measured_each("archgrad.bench.methods", settings.measured, asdict(settings))
    size = f"batch {settings.batch_size}, {settings.image_size}×{settings.image_size}"
    title = (
        f"C={settings.channels}, L={settings.layers}, {size}, median of {settings.steps} steps, "
        f"{resolve_device(settings.device)}"
    )
    heading = {"÷ first order": REFERENCE}
    Console().print(cost_table(title, found, seconds=heading, mebibytes=heading))
    return found


if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    chosen = MethodBenchmarkSettings(**{**request["settings"], "methods": tuple(request["settings"]["methods"])})
    print(json.dumps(asdict(measure(request["variant"], chosen))))
