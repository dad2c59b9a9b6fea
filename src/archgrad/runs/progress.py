"""What the user sees of a run: a progress bar on a terminal, plain lines elsewhere, nothing if so asked."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from archgrad.genotype import Genotype
from archgrad.loop import Callback, Loop, Record

MEASURES = {
    "_loss": ("loss", ".3f"),
    "_accuracy": ("accuracy", ".1%"),
    "_iou": ("mean IoU", ".1%"),
    "_perplexity": ("perplexity", ".1f"),
}
"""What a line says of an epoch: the ending of a metric's name, what it is called, and how it is written."""


def progress(title: str, *, quiet: bool = False, console: Console | None = None) -> Callback:
    """The callback that fits where the output goes: a bar with ETA on a terminal, a line an epoch elsewhere.

    `quiet` gives plain lines on a terminal, too.
    """
    console = console or Console()
    return ProgressBar(title, console) if console.is_terminal and not quiet else PlainLines(title, console)


def summarise(metrics: Mapping[str, Any]) -> str:
    """Losses, accuracies, mean IoUs and perplexities in a few words; what is not there is left out.

    >>> summarise({"train_loss": 1.25, "validation_loss": 1.5, "train_accuracy": 0.5, "epoch": 3})
    'loss 1.250 train, 1.500 validation · accuracy 50.0 % train'
    >>> summarise({"train_loss": 4.534, "train_perplexity": 93.13, "validation_perplexity": 101.2})
    'loss 4.534 train · perplexity 93.1 train, 101.2 validation'
    >>> summarise({"test_iou": 0.512})
    'mean IoU 51.2 % test'
    """
    parts = []
    for suffix, (name, form) in MEASURES.items():
        values = [
            f"{value:{form}} {key.removesuffix(suffix)}".replace("%", " %")
            for key, value in metrics.items()
            if key.endswith(suffix)
        ]
        if values:
            parts.append(f"{name} {', '.join(values)}")
    return " · ".join(parts)


def strongest(genotype: Genotype) -> str:
    """The operations on the kept edges of each cell, by how often they occur.

    >>> from archgrad.genotype import DARTS_V2
    >>> strongest(DARTS_V2)
    'normal: 5 sep_conv_3x3, 2 skip_connect, 1 dil_conv_3x3 · reduce: 5 max_pool_3x3, 3 skip_connect'
    """
    cells = []
    for cell in genotype.cells:
        counts = {name: cell.operations.count(name) for name in dict.fromkeys(cell.operations)}
        ordered = sorted(counts.items(), key=lambda item: -item[1])
        cells.append(f"{cell.name}: {', '.join(f'{count} {name}' for name, count in ordered)}")
    return " · ".join(cells)


class PlainLines(Callback):
    """A line for each epoch, for logs and pipes."""

    def __init__(self, title: str, console: Console) -> None:
        self.title = title
        self.console = console

    def on_start(self, loop: Loop) -> None:
        done = loop.state.progress.step
        resumed = f", resumed at step {done}" if done else ""
        self._print(f"{self.title}: {loop.epochs} epochs of {loop.steps_per_epoch} steps{resumed}")

    def on_epoch(self, loop: Loop, record: Record) -> None:
        self._print(f"{self.title}: epoch {record['epoch']}/{loop.epochs} · {summarise(record)}")
        if loop.genotype is not None:
            self._print(f"{self.title}: {strongest(loop.genotype())}")

    def on_selection(self, loop: Loop, rule: str) -> None:
        self._print(f"{self.title}: selecting by {rule}, which evaluates the supernet many times …")

    def on_interrupt(self, loop: Loop) -> None:
        self._print(f"{self.title}: interrupted after step {loop.state.progress.step}")

    def _print(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


class ProgressBar(Callback):
    """A bar with steps, time left, the metrics of the running epoch, and the strongest operations."""

    def __init__(self, title: str, console: Console) -> None:
        self.title = title
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[metrics]}", style="dim"),
            console=console,
        )
        self.task: TaskID | None = None

    def on_start(self, loop: Loop) -> None:
        self.task = self.bar.add_task(
            self.title, total=loop.total_steps, completed=loop.state.progress.step, metrics=""
        )
        self.bar.start()

    def on_step(self, loop: Loop, info: Mapping[str, float]) -> None:
        assert self.task is not None
        metrics = summarise(loop.state.progress.means())
        self.bar.update(self.task, completed=loop.state.progress.step, metrics=metrics)

    def on_epoch(self, loop: Loop, record: Record) -> None:
        line = f"{self.title} {record['epoch']}/{loop.epochs} · {summarise(record)}"
        if loop.genotype is not None:
            line += f"\n  {strongest(loop.genotype())}"
        self.bar.console.print(line, style="dim", markup=False, highlight=False)

    def on_selection(self, loop: Loop, rule: str) -> None:
        said = f"{self.title}: selecting by {rule}, which evaluates the supernet many times …"
        Console(file=self.bar.console.file).print(said, style="dim", markup=False, highlight=False)

    def on_exit(self, loop: Loop) -> None:
        self.bar.stop()
