"""Latency, measured where the network is to run: each distinct operation is timed once, and times are summed."""

import copy
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from archgrad.checks import whole
from archgrad.costs.derived import candidates_of, groups_of, make_table, meta_images, on_meta, placed, saturated
from archgrad.costs.table import CostTable
from archgrad.devices import preserved_randomness, resolve_device
from archgrad.spaces.space import ImageSpace

WARM_UP = 3
"""Calls that are not timed: the first ones allocate, and choose algorithms."""

NETWORKS = 3
"""Random networks from which the part that all networks share is found."""

Timer: TypeAlias = Callable[[Callable[[], object], torch.device, int], float]
"""(call, device, repeats) -> milliseconds of one call."""

Key: TypeAlias = tuple[str, torch.Size, torch.Size]
"""What tells timings apart: candidate, shape of the input, shape of the output."""


def median_milliseconds(call: Callable[[], object], device: torch.device, repeats: int) -> float:
    """The median time of `repeats` calls after a few that are not timed, in ms, until the device has finished."""
    seconds = []
    for number in range(WARM_UP + repeats):
        _finish(device)
        started = time.perf_counter()
        call()
        _finish(device)
        if number >= WARM_UP:
            seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds)


def latency(
    space: ImageSpace,
    image_size: int,
    *,
    device: str | torch.device = "auto",
    batch_size: int = 1,
    repeats: int = 10,
    timer: Timer = median_milliseconds,
    progress: Callable[[int, int], None] | None = None,
    **size: int,
) -> CostTable:
    """The time that a space's networks take for a batch on `device`, measured there, in ms.

    c_{e,o} is the sum, over the cells that have the edge, of the time of the derived network's operation o on an input
    of the cell's shape. Each distinct operation (candidate, channels, stride, height and width) is timed once:
    evaluation mode, channels_last, without gradients, the median of `repeats` calls. C_0 is what the time of a whole
    network has beyond its operations', the median of three random networks, and at least 0, so that the table is right
    in the middle where times do not quite add up.

    `size` is as in `space.network`. `progress` is called with (timed, to be timed) after each one. `timer` says how a
    call is timed. Keep the table with `CostTable.save`: a machine that is busy gives another one.

    Reference: the lookup table of arXiv:1812.03443, section 3.2. Differs: C_0 is measured, they have all layers in the
    table.

    Raises:
        ValueError: the device is unknown, a number is below 1, images or size do not fit the space, or the space is not
            made of cells.
    """
    whole("batch_size", batch_size, 1)
    whole("repeats", repeats, 1)
    where = resolve_device(device)
    images = meta_images(space, image_size, batch_size)
    places, shapes = _places(space, images, size)
    total, timed = len(shapes) + NETWORKS, 0

    def measure(module: nn.Module, shape: torch.Size) -> float:
        nonlocal timed
        real, batch = _on_device(module, where), _batch(shape, where)
        with torch.inference_mode():
            milliseconds = timer(partial(real, batch), where, repeats)
        timed += 1
        if progress is not None:
            progress(timed, total)
        return milliseconds

    times = {key: measure(module, shape) for key, (module, shape) in shapes.items()}
    costs: dict[tuple[str, int, str], float] = {}
    for place, key in places:
        costs[place] = costs.get(place, 0.0) + times[key]
    table = make_table(
        space, costs, name="latency", unit="ms", fixed=0.0, conditions=_conditions(where, image_size, batch_size, size)
    )
    generator, rest = np.random.default_rng(0), []
    for _ in range(NETWORKS):
        genotype = space.random_genotype(generator)
        rest.append(measure(on_meta(space, genotype, size), images.shape) - table.of(genotype))
    fixed = max(0.0, statistics.median(rest))
    return make_table(space, costs, name="latency", unit="ms", fixed=fixed, conditions=table.conditions)


def _places(
    space: ImageSpace, images: Tensor, size: dict[str, int]
) -> tuple[list[tuple[tuple[str, int, str], Key]], dict[Key, tuple[nn.Module, torch.Size]]]:
    """All places of operations, each with the key of its timing; and a module and its input's shape for each key."""
    places: list[tuple[tuple[str, int, str], Key]] = []
    shapes: dict[Key, tuple[nn.Module, torch.Size]] = {}
    for candidate in candidates_of(space):
        network = on_meta(space, saturated(space, candidate), size)
        found = [place for place in placed(network, groups_of(space)) if place.candidate == candidate]
        seen = _seen(network, [place.operation for place in found], images)
        for group, row, _, module in found:
            entering, leaving = seen[module]
            key = candidate, entering, leaving
            places.append(((group, row, candidate), key))
            shapes.setdefault(key, (module, entering))
    return places, shapes


def _seen(
    network: nn.Module, operations: list[nn.Module], images: Tensor
) -> dict[nn.Module, tuple[torch.Size, torch.Size]]:
    """The shapes that enter and leave each operation in a forward pass; the shape of the output tells the stride."""
    seen: dict[nn.Module, tuple[torch.Size, torch.Size]] = {}

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen[module] = inputs[0].shape, output.shape

    handles = [operation.register_forward_hook(note) for operation in operations]
    with torch.no_grad():
        network(images)
    for handle in handles:
        handle.remove()
    return seen


def _on_device(module: nn.Module, device: torch.device) -> nn.Module:
    """A module of a network on the meta device as one that can be run, with weights as at the start of training."""
    real = copy.deepcopy(module).to_empty(device=device)
    with preserved_randomness(device):
        torch.manual_seed(0)
        for part in real.modules():
            if callable(reset := getattr(part, "reset_parameters", None)):
                reset()  # memory as it comes may hold denormal numbers, which are slow
    return real.to(memory_format=torch.channels_last).eval()  # pyright: ignore[reportCallIssue]


def _batch(shape: torch.Size, device: torch.device) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(shape, generator=generator).to(device, memory_format=torch.channels_last)


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _conditions(
    device: torch.device, image_size: int, batch_size: int, size: dict[str, int]
) -> dict[str, str | int | float]:
    """What a reader has to know to compare two tables."""
    where = (
        {"device": torch.cuda.get_device_name(device)}
        if device.type == "cuda"
        else {"device": str(device), "threads": torch.get_num_threads()}
    )
    return {**size, "image_size": image_size, "batch_size": batch_size, **where, "torch": torch.__version__}
