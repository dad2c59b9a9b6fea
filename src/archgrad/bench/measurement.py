"""What a step costs: seconds and peak memory, of each variant in a process of its own, so that its peak is its own."""

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Measurement:
    """Median seconds of a step, and the peak of memory over what the process held before the first step, in MiB."""

    seconds: float
    mebibytes: float


def timed(step: Callable[[], object], *, steps: int, device: torch.device) -> Measurement:
    """Time `steps` steps in this process, after one that is not timed."""
    before = _memory(device)
    seconds = []
    for _ in range(steps + 1):
        started = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - started)
    return Measurement(statistics.median(seconds[1:]), _memory(device) - before)


def _memory(device: torch.device) -> float:
    """The peak of memory so far, in MiB: of the device, or of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def measured_each(module: str, variants: Iterable[str], settings: Mapping[str, Any]) -> dict[str, Measurement]:
    """Measure all variants, each in a new process, and say which one is measured."""
    console, found = Console(), {}
    for variant in variants:
        console.print(f"measuring {variant} …", style="dim")
        found[variant] = measured_alone(module, variant, settings)
    return found


def cost_table(
    title: str, found: Mapping[str, Measurement], *, seconds: Mapping[str, str], mebibytes: Mapping[str, str]
) -> Table:
    """A row for each variant: seconds and MiB, each followed by ratios, given as heading and what is divided by."""
    table = Table(title=title)
    table.add_column("step", no_wrap=True)
    for heading in ("seconds", *seconds, "MiB", *mebibytes):
        table.add_column(heading, justify="right")
    for variant, measured in found.items():
        times = [f"{measured.seconds / found[name].seconds:.2f}" for name in seconds.values()]
        sizes = [found[name].mebibytes for name in mebibytes.values()]
        ratios = [f"{measured.mebibytes / size:.2f}" if size else "–" for size in sizes]
        table.add_row(variant, f"{measured.seconds:.3f}", *times, f"{measured.mebibytes:.0f}", *ratios)
    return table


def measured_alone(module: str, variant: str, settings: Mapping[str, Any]) -> Measurement:
    """Measure a variant by running a module in a new process, which prints the measurement as JSON.

    Raises:
        RuntimeError: the process failed; what it printed is in the message.
    """
    arguments = json.dumps({"variant": variant, "settings": dict(settings)})
    # The package imports this module before it is run by name, which is what `runpy` warns of.
    quietly = [sys.executable, "-W", "ignore::RuntimeWarning:runpy", "-m", module]
    answer = subprocess.run([*quietly, arguments], capture_output=True, text=True, check=False)
    if answer.returncode:
        raise RuntimeError(f"bench: measuring {variant!r} failed:\n{answer.stderr}")
    return Measurement(**json.loads(answer.stdout))
