"""`archgrad bench recurrent`: a first-order step of the recurrent supernet beside a plain loop and the bare products.

The reference evaluates every edge, activation and time step in turn with automatic differentiation. The matrix products
that any evaluation must do bound the time from below: forward and by the states in the architecture step, forward, by
the states and by the weights in the weight step, each once, of the sizes that they have when edges are bundled.
"""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import torch
from rich.console import Console
from torch import Tensor

from archgrad.bench.measurement import Measurement, cost_table, measured_each, timed
from archgrad.bilevel import Searcher
from archgrad.checks import at_least
from archgrad.devices import resolve_device
from archgrad.methods import darts
from archgrad.settings import TextSearchSettings
from archgrad.spaces import RecurrentCellSpace
from archgrad.tasks import LanguageModelling

REFERENCE = "per-edge loop"
PRODUCTS = "matrix products alone"
ENGINES = {
    REFERENCE: "per_edge",
    "bundled, autograd": "bundled",
    "through time": "through_time",
    "compiled": "compiled",
}


@dataclass(frozen=True, kw_only=True)
class RecurrentBenchmarkSettings:
    """What is measured: a recurrent supernet on random tokens."""

    hidden_size: int = 300  # units of states and embedding
    nodes: int = 8  # states of the cell
    vocabulary_size: int = 10_000  # tokens
    batch_size: int = 64  # sequences per step
    sequence_length: int = 35  # tokens of a sequence (BPTT)
    steps: int = 5  # steps that are timed, after one that is not
    device: str = "auto"  # auto, cpu, cuda, …

    def __post_init__(self) -> None:
        at_least("batch_size", self.batch_size, 2)
        at_least("sequence_length", self.sequence_length, 1)
        at_least("steps", self.steps, 1)
        resolve_device(self.device)


def measure(variant: str, settings: RecurrentBenchmarkSettings) -> Measurement:
    """Time a variant in this process."""
    device = resolve_device(settings.device)
    torch.manual_seed(0)
    step = _products(settings, device) if variant == PRODUCTS else _step(ENGINES[variant], settings, device)
    return timed(step, steps=settings.steps, device=device)


def _step(engine: str, settings: RecurrentBenchmarkSettings, device: torch.device) -> Callable[[], object]:
    space = RecurrentCellSpace(
        vocabulary_size=settings.vocabulary_size,
        hidden_size=settings.hidden_size,
        nodes=settings.nodes,
        engine=engine,
    )
    searcher = Searcher(
        space,
        steps_per_epoch=1000,
        method=darts(order=1),
        settings=TextSearchSettings(batch_size=settings.batch_size, sequence_length=settings.sequence_length),
        task=LanguageModelling(),
        device=device,
    )
    state = searcher.init(seed=0)
    tokens = torch.randint(settings.vocabulary_size, (settings.sequence_length + 1, settings.batch_size), device=device)
    batch = tokens[:-1], tokens[1:]
    return lambda: searcher.step(state, batch, batch)


def _products(settings: RecurrentBenchmarkSettings, device: torch.device) -> Callable[[], object]:
    """All products of a step with their sizes, into memory that is there already."""
    pairs = [
        (left, right, torch.empty(left.shape[0], right.shape[1], device=device), times)
        for left, right, times in _factors(settings, device)
    ]

    def step() -> None:
        for left, right, product, times in pairs:
            for _ in range(times):
                torch.mm(left, right, out=product)

    return step


def _factors(settings: RecurrentBenchmarkSettings, device: torch.device) -> Iterator[tuple[Tensor, Tensor, int]]:
    """Pairs of factors, and how often a step multiplies them.

    A layer Y = X W has three products: X W forward (in both halves of the step), Y' Wᵀ for the states (both), Xᵀ Y' for
    the weights (once). The embedding's layer x W0x has no states before it but in the weight step.
    """
    time, batch, size = settings.sequence_length, settings.batch_size, settings.hidden_size
    layers = [(time * batch, size, settings.vocabulary_size, 1, 2), (time * batch, size, 2 * size, 1, 1)]
    layers += [(batch, size, 2 * size, time, 2)]
    layers += [((node + 1) * batch, size, 2 * size, time, 2) for node in range(settings.nodes)]
    for rows, inputs, outputs, times, by_states in layers:
        given, weight = torch.randn(rows, inputs, device=device), torch.randn(inputs, outputs, device=device)
        gradient = torch.randn(rows, outputs, device=device)
        yield given, weight, 2 * times
        yield gradient, weight.T, by_states * times
        yield given.T, gradient, times


def run_recurrent_benchmark(settings: RecurrentBenchmarkSettings) -> dict[str, Measurement]:
    """Measure all variants, each in a new process, and print a table; returns the measurements by variant."""
    found = measured_each("archgrad.bench.recurrent", (PRODUCTS, *ENGINES), asdict(settings))
    title = (
        f"{settings.hidden_size} units, batch {settings.batch_size}, BPTT {settings.sequence_length}, "
        f"vocabulary {settings.vocabulary_size:,}, first order, median of {settings.steps} steps"
    )
    Console().print(
        cost_table(title, found, seconds={"÷ loop": REFERENCE, "÷ products": PRODUCTS}, mebibytes={"÷ loop": REFERENCE})
    )
    return found


if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    answer = measure(request["variant"], RecurrentBenchmarkSettings(**request["settings"]))
    print(json.dumps(asdict(answer)))
