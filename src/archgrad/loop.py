"""The loop that searches and trainings share: steps, epochs, callbacks, interruption.

What is computed in a step is the caller's; the loop owns when things happen. A run's state counts its own steps and
carries the sums of the running epoch, so that a run can stop after any step and go on from there.
"""

import copy
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Protocol, TypeAlias, runtime_checkable

from archgrad.genotype import Genotype

Record: TypeAlias = dict[str, Any]
"""What is known of an epoch: numbers, strings, and nested lists of them, ready for JSON."""


class Diverged(FloatingPointError):
    """A loss that is no longer finite: the run has stopped before it could spoil its last checkpoint."""


@dataclass
class Progress:
    """How far a run is: steps done, sums of the metrics of the running epoch, and a record for each finished epoch."""

    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    history: list[Record] = field(default_factory=list)

    def load(self, saved: dict[str, Any]) -> None:
        """Take over what `dataclasses.asdict` made of another progress, as a copy."""
        for name, value in copy.deepcopy(saved).items():
            setattr(self, name, value)

    @property
    def seconds(self) -> float:
        """The time that the steps of all finished epochs took, also before a resumption."""
        return sum(record["seconds"] for record in self.history)

    def add(self, metrics: Mapping[str, float], count: int) -> None:
        """Add the means of `count` examples to the running epoch."""
        for name, value in metrics.items():
            self.sums[name] = self.sums.get(name, 0.0) + value * count
            self.counts[name] = self.counts.get(name, 0) + count

    def means(self) -> dict[str, float]:
        """The metrics of the running epoch so far."""
        return {name: total / self.counts[name] for name, total in self.sums.items()}

    def close_epoch(self, record: Record) -> Record:
        """File the running epoch under `record` and begin the next."""
        closed = {**record, **self.means()}
        self.history.append(closed)
        self.sums, self.counts = {}, {}
        return closed


@runtime_checkable
class RunState(Protocol):
    """What the loop needs of a state: its progress, and a nested dictionary of tensors and plain values to save."""

    progress: Progress

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, saved: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class Loop:
    """A run as callbacks see it.

    `purpose` is "search" or "train"; `identity` says what was asked for, as plain values; `genotype()` decodes what a
    search has found so far (None for a training). A callback ends the run with `stop()`.
    """

    purpose: str
    state: RunState
    epochs: int
    steps_per_epoch: int
    identity: Mapping[str, Any] = field(default_factory=dict)
    genotype: Callable[[], Genotype] | None = None
    stopping: threading.Event = field(default_factory=threading.Event)

    def stop(self) -> None:
        """End the run after the running epoch, as if its epochs were done; for callbacks."""
        self.stopping.set()

    @property
    def total_steps(self) -> int:
        """The steps of the whole run."""
        return self.epochs * self.steps_per_epoch


class Callback:
    """Told what happens; all methods may be left out. Callbacks must not change the state, save for `on_start`.

    `on_start` may load a saved state before the first step. `on_interrupt` is called after a whole step when the user
    asks to stop, `on_end` when the run is complete, and `on_exit` last of all, also after an error. Where a method
    selects by its supernet, `on_selection` follows with the name of the rule. At the last step of an epoch its record
    is filed between `on_step` and `on_epoch`: save the state in the latter.
    """

    def on_start(self, loop: Loop) -> None: ...

    def on_step(self, loop: Loop, info: Mapping[str, float]) -> None: ...

    def on_epoch(self, loop: Loop, record: Record) -> None: ...

    def on_interrupt(self, loop: Loop) -> None: ...

    def on_selection(self, loop: Loop, rule: str) -> None: ...

    def on_end(self, loop: Loop) -> None: ...

    def on_exit(self, loop: Loop) -> None: ...


def check_callbacks(callbacks: Sequence[Any]) -> None:
    """Raise a ValueError unless all are instances of `Callback`."""
    for callback in callbacks:
        if not isinstance(callback, Callback):
            raise ValueError(f"callbacks: must be instances of Callback, got {callback!r}.")


class Interruption:
    """Whether the user has asked to stop (Ctrl-C)."""

    requested = False


@contextmanager
def deferred_interruption() -> Iterator[Interruption]:
    """Hold a first Ctrl-C back until the running step is whole; a second one interrupts at once.

    Signals reach the main thread only; elsewhere nothing is held back.
    """
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return

    def note(number: int, frame: FrameType | None) -> None:
        if interruption.requested:
            raise KeyboardInterrupt
        interruption.requested = True

    previous = signal.signal(signal.SIGINT, note)
    try:
        yield interruption
    finally:
        signal.signal(signal.SIGINT, previous)


def run(
    loop: Loop,
    advance: Callable[[], Mapping[str, float]],
    *,
    describe_epoch: Callable[[], Record],
    should_stop: Callable[[list[Record]], bool],
    callbacks: Sequence[Callback],
) -> None:
    """Advance until all epochs are done or `should_stop(history)`, which is asked after each epoch.

    `advance` does one step, counts it in the state's progress and returns its metrics; `describe_epoch` gives what an
    epoch's record holds beside the means of the metrics.

    Raises:
        KeyboardInterrupt: after Ctrl-C, once the step is whole and the callbacks have been told.
    """
    try:
        with deferred_interruption() as interruption:
            _iterate(
                loop, advance, interruption, describe_epoch=describe_epoch, should_stop=should_stop, callbacks=callbacks
            )
        for callback in callbacks:
            callback.on_end(loop)
    finally:
        for callback in callbacks:
            callback.on_exit(loop)


def _iterate(
    loop: Loop,
    advance: Callable[[], Mapping[str, float]],
    interruption: Interruption,
    *,
    describe_epoch: Callable[[], Record],
    should_stop: Callable[[list[Record]], bool],
    callbacks: Sequence[Callback],
) -> None:
    progress = loop.state.progress
    started = time.perf_counter()
    while progress.step < loop.total_steps and not (_between_epochs(loop) and _ended(loop, should_stop)):
        info = advance()
        for callback in callbacks:
            callback.on_step(loop, info)
        if _between_epochs(loop):
            seconds = time.perf_counter() - started
            epoch = {"epoch": progress.step // loop.steps_per_epoch, "step": progress.step}
            record = progress.close_epoch({**epoch, **describe_epoch(), "seconds": seconds})
            for callback in callbacks:
                callback.on_epoch(loop, record)
            started = time.perf_counter()
        if interruption.requested:
            for callback in callbacks:
                callback.on_interrupt(loop)
            raise KeyboardInterrupt


def _ended(loop: Loop, should_stop: Callable[[list[Record]], bool]) -> bool:
    return loop.stopping.is_set() or should_stop(loop.state.progress.history)


def _between_epochs(loop: Loop) -> bool:
    return loop.state.progress.step % loop.steps_per_epoch == 0


def out_of_patience(history: Sequence[Record], *, metric: str, patience: int) -> bool:
    """Whether the lowest `metric` is `patience` epochs old; never with patience 0.

    >>> out_of_patience([{"loss": 2.0}, {"loss": 1.0}, {"loss": 1.5}], metric="loss", patience=1)
    True
    """
    values = [record[metric] for record in history if metric in record]
    return bool(patience and values) and len(values) - 1 - values.index(min(values)) >= patience
