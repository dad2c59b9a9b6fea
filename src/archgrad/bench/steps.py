"""`archgrad bench`: seconds per step and peak memory of the supernet, as ratios to the plain per-edge evaluation.

Every variant runs in a process of its own, one after the other, so that peak memory is its own. The reference is the
per-edge evaluation in contiguous layout which differentiates everything (weights and logits) in both halves of a step,
as the public code of arXiv:1806.09055 does.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

import torch
import torch.nn.functional as F
from rich.console import Console
from torch import Tensor, nn

from archgrad.bench.measurement import Measurement, cost_table, measured_each, timed
from archgrad.bilevel import Searcher
from archgrad.checks import at_least
from archgrad.devices import resolve_device
from archgrad.methods import Method, darts
from archgrad.ops.convolution import Convolution
from archgrad.relax import Softmax
from archgrad.settings import SearchSettings
from archgrad.spaces import ConvCellSpace

REFERENCE = "per-edge reference"
METHODS = {
    "first order": darts(order=1),
    "second order, exact": darts(order=2),
    "second order, differences": darts(order=2, product="finite_difference"),
}


@dataclass(frozen=True, kw_only=True)
class BenchmarkSettings:
    """What is measured: a supernet on random images."""

    channels: int = 16  # channels of the first cells
    layers: int = 8  # number of cells
    batch_size: int = 16  # images per step
    image_size: int = 32  # height and width
    steps: int = 5  # steps that are timed, after one that is not
    device: str = "auto"  # auto, cpu, cuda, …

    def __post_init__(self) -> None:
        at_least("batch_size", self.batch_size, 2)
        at_least("steps", self.steps, 1)
        resolve_device(self.device)


def random_images(settings: BenchmarkSettings) -> tuple[ConvCellSpace, Tensor, Tensor]:
    """The space that is measured, and a batch of images and labels for it on the device."""
    device = resolve_device(settings.device)
    space = ConvCellSpace(channels=settings.channels, layers=settings.layers)
    size = (settings.batch_size, space.in_channels, settings.image_size, settings.image_size)
    space.check_data(size[1:], None)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(size, generator=generator).to(device)
    labels = torch.randint(space.num_classes, size[:1], generator=generator).to(device)
    return space, images, labels


def searcher_step(method: Method, space: ConvCellSpace, images: Tensor, labels: Tensor) -> Callable[[], object]:
    """A step of the driver by a method, on one batch for both parts."""
    searcher = Searcher(space, steps_per_epoch=1000, method=method, device=images.device)
    state = searcher.init(seed=0)
    batch = images.to(memory_format=torch.channels_last), labels
    return lambda: searcher.step(state, batch, batch)


def describe(settings: BenchmarkSettings) -> str:
    """What is measured, for the title of a table."""
    return (
        f"C={settings.channels}, L={settings.layers}, batch {settings.batch_size}, "
        f"{settings.image_size}×{settings.image_size}, median of {settings.steps} steps"
    )


def measure(variant: str, settings: BenchmarkSettings) -> Measurement:
    """Time a variant in this process."""
    space, images, labels = random_images(settings)
    if variant == REFERENCE:
        step = _reference_step(space, images, labels)
    else:
        step = searcher_step(METHODS[variant], space, images, labels)
    return timed(step, steps=settings.steps, device=images.device)


def _reference_step(space: ConvCellSpace, images: Tensor, labels: Tensor) -> Callable[[], object]:
    settings = SearchSettings()
    torch.manual_seed(0)
    supernet = space.supernet(engine="per_edge").to(images.device, memory_format=torch.contiguous_format)  # pyright: ignore[reportCallIssue]
    for module in supernet.modules():
        if isinstance(module, Convolution):
            module.forward = partial(nn.Conv2d.forward, module)  # PyTorch's own, as the public code has it
    logits = {
        group.name: (1e-3 * torch.randn(group.shape)).to(images.device).requires_grad_() for group in space.groups
    }
    masks = {group.name: group.mask_tensor(images.device) for group in space.groups}
    of_weights = torch.optim.SGD(supernet.parameters(), lr=settings.learning_rate, momentum=settings.momentum)
    of_logits = torch.optim.Adam(logits.values(), lr=settings.logits_learning_rate, betas=settings.logits_betas)

    def half_a_step(optimizer: torch.optim.Optimizer) -> None:
        for either in (of_weights, of_logits):
            either.zero_grad()
        mixture = {name: Softmax()(tensor, masks[name]) for name, tensor in logits.items()}
        F.cross_entropy(supernet(images, mixture), labels).backward()
        if optimizer is of_weights:
            nn.utils.clip_grad_norm_(supernet.parameters(), settings.gradient_clip)
        optimizer.step()

    def step() -> None:
        half_a_step(of_logits)
        half_a_step(of_weights)

    return step


def run_benchmark(settings: BenchmarkSettings) -> dict[str, Measurement]:
    """Measure all variants, each in a new process, and print a table; returns the measurements by variant."""
    found = measured_each("archgrad.bench.steps", (REFERENCE, *METHODS), asdict(settings))
    Console().print(
        cost_table(
            describe(settings),
            found,
            seconds={"÷ ref.": REFERENCE, "÷ first": "first order"},
            mebibytes={"÷ ref.": REFERENCE},
        )
    )
    return found


if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    print(json.dumps(asdict(measure(request["variant"], BenchmarkSettings(**request["settings"])))))
