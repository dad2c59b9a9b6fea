"""What a step of a search or a training on labelled pixels takes, found by two small steps (`archgrad.memory`)."""

import copy
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn

from archgrad.bilevel import Searcher
from archgrad.memory import ALLOCATION, extrapolated_peak, require_memory
from archgrad.methods import Method
from archgrad.recipes import DenseRecipe
from archgrad.settings import SegmentationSearchSettings
from archgrad.spaces.trellis import TrellisSpace
from archgrad.spaces.trellis.plan import FIRST_STRIDE
from archgrad.tasks import Segmentation
from archgrad.training import Trainer

STEPS = 10
"""Steps of an epoch, as far as a step of an estimate is concerned: more than an estimate takes."""

BYTES = 4
"""Of a float32. What bfloat16 would save is not counted."""

LIBRARIES = 80 * 2**20
"""What libraries take for themselves when a step of many kinds of operations is first made, measured on a CPU."""

LOWER = "batch_size, the crop of the augmentation, or filters and layers of the network"
"""What makes a step smaller."""


def search_bytes(
    space: TrellisSpace,
    *,
    method: Method,
    settings: SegmentationSearchSettings,
    size: tuple[int, int],
    device: torch.device,
) -> int:
    """About how many bytes a search on crops of `size` holds at its peak, its weights and their momentum included.

    Two real steps on small images, on the CPU and in float32, give the constant and the growth with the pixels.
    """
    searcher = Searcher(
        space, steps_per_epoch=STEPS, method=method, settings=_moving(settings), task=Segmentation(), device="cpu"
    )
    state = searcher.init(0)

    _make_momentum(state.weight_optimizer)

    def step(side: int) -> None:
        batch = _batch(space.in_channels, side)
        state.logit_optimizer.state.clear()  # every step makes the averages of the few logits, so that all do the same
        searcher.step(state, batch, batch)

    peak = _peak(step, space.levels, pixels=settings.batch_size * size[0] * size[1], device=device)
    return peak + 2 * BYTES * _count(state.supernet)  # weights and momentum were there before


def training_bytes(
    network: nn.Module, *, recipe: DenseRecipe, channels: int, size: tuple[int, int], device: torch.device
) -> int:
    """About how many bytes a training on crops of `size` holds at its peak; see `search_bytes`."""
    trainer = Trainer(recipe, steps_per_epoch=STEPS, task=Segmentation(), device="cpu")
    state = trainer.init(copy.deepcopy(network).cpu())

    _make_momentum(state.optimizer)

    def step(side: int) -> None:
        trainer.step(state, _batch(channels, side))

    peak = _peak(step, levels=4, pixels=recipe.batch_size * size[0] * size[1], device=device)
    return peak + (3 if recipe.average_decay else 2) * BYTES * _count(network)


def require_room(make: Callable[[], nn.Module], device: torch.device) -> None:
    """Raise a ValueError if weights, their gradient and momentum alone do not fit; `make` builds the network."""
    with torch.device("meta"):  # counts need no memory and no random numbers
        count = _count(make())
    require_memory(3 * BYTES * count, device, lower=LOWER)


def _moving(settings: SegmentationSearchSettings) -> SegmentationSearchSettings:
    """The same settings past their warm-up, where a step is most expensive."""
    return replace(settings, warmup_epochs=0)


def _make_momentum(optimizer: torch.optim.SGD) -> None:
    """Give every weight the momentum that it has from the first step on, which is counted apart."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)


def _batch(channels: int, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.zeros(2, channels, side, side).to(memory_format=torch.channels_last)
    return images, torch.zeros(2, side, side, dtype=torch.int64)


def _peak(step: Callable[[int], object], levels: int, *, pixels: int, device: torch.device) -> int:
    # Sides that the strides divide make growth linear; states of a single pixel would be summed by other operations.
    smallest = 2 * FIRST_STRIDE * 2 ** (levels - 1)
    overhead = ALLOCATION.get(device.type, 1.0)
    return LIBRARIES + extrapolated_peak(step, sides=(smallest, 2 * smallest), pixels=pixels, overhead=overhead)


def _count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
