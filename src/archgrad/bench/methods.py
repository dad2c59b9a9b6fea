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

from rich.console import Console

from archgrad.bench.measurement import Measurement, cost_table, measured_each, timed
from archgrad.bench.steps import BenchmarkSettings, describe, random_images, searcher_step
from archgrad.checks import one_of
from archgrad.devices import resolve_device
from archgrad.methods import METHODS

REFERENCE = "darts-first-order"


@dataclass(frozen=True, kw_only=True)
class MethodBenchmarkSettings(BenchmarkSettings):
    """What is measured: methods on a supernet of convolutional cells, on random images."""

    methods: tuple[str, ...] = ()  # names in the table of methods; none: all of them

    def __post_init__(self) -> None:
        for name in self.methods:
            one_of("methods", name, METHODS)
        super().__post_init__()

    @property
    def measured(self) -> tuple[str, ...]:
        """The methods in the order in which they are measured: the reference first, each once."""
        return tuple(dict.fromkeys((REFERENCE, *(self.methods or METHODS))))


def measure(name: str, settings: MethodBenchmarkSettings) -> Measurement:
    """Time a method in this process."""
    space, images, labels = random_images(settings)
    return timed(searcher_step(METHODS[name], space, images, labels), steps=settings.steps, device=images.device)


def run_method_benchmark(settings: MethodBenchmarkSettings) -> dict[str, Measurement]:
    """Measure the methods, each in a new process, and print a table; returns the measurements by name."""
    found = measured_each("archgrad.bench.methods", settings.measured, asdict(settings))
    title = f"{describe(settings)}, {resolve_device(settings.device)}"
    heading = {"÷ first order": REFERENCE}
    Console().print(cost_table(title, found, seconds=heading, mebibytes=heading))
    return found


if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    chosen = MethodBenchmarkSettings(**{**request["settings"], "methods": tuple(request["settings"]["methods"])})
    print(json.dumps(asdict(measure(request["variant"], chosen))))
