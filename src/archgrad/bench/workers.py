"""Work in processes of its own that may hang or crash: each piece has a limit after which its process is killed."""

import multiprocessing
import os
import signal
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from archgrad.checks import above, whole

START_SECONDS = 300.0
"""Time that a process has to import what it needs."""

ONE_THREAD: Mapping[str, str] = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

_READY = "ready"


@dataclass(frozen=True)
class Outcome:
    """What became of a piece of work: a value, or an error, and whether its process was killed at the limit."""

    task: Any
    seconds: float
    value: Any = None
    error: str | None = None
    killed: bool = False


class _Worker:
    """A process, the connection to it, and what it works on."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, function), daemon=True)
        with _environment(ONE_THREAD):  # read by a process while it imports
            self.process.start()
        theirs.close()  # so that the end of the process is the end of the connection
        self.task: Any = None
        self.ready = False
        self.since = time.monotonic()
        self.deadline = self.since + START_SECONDS

    def give(self, task: Any, seconds: float) -> None:
        """Send a piece of work; its time begins."""
        self.task = task
        self.since = time.monotonic()
        self.deadline = self.since + seconds
        with suppress(BrokenPipeError):  # a process that has died is noticed when it is next listened to
            self.connection.send(task)

    def outcome(self, **told: Any) -> Outcome:
        """What became of the piece of work."""
        return Outcome(self.task, time.monotonic() - self.since, **told)

    def usable(self, outcome: Outcome) -> bool:
        """Whether the process can go on after this outcome."""
        return not outcome.killed and self.process.is_alive()

    def end(self) -> None:
        """Kill the process and release what belongs to it."""
        self.process.kill()
        self.process.join()
        self.process.close()
        self.connection.close()


def run_tasks(function: Callable[[Any], Any], tasks: Iterable[Any], *, jobs: int, seconds: float) -> Generator[Outcome]:
    """Call `function` with each task, `jobs` at a time, and yield what became of each, in the order of completion.

    The processes are spawned, run on one thread, ignore Ctrl-C and are used again until one is killed or dies. Closing
    the iterator, or an exception in it, ends them all.

    Args:
        function: of a module that can be imported, or a `functools.partial` of one, as for `multiprocessing`.
        tasks: anything that can be pickled, like the values that `function` returns.
        jobs: processes at a time.
        seconds: for each task, beyond which its process is killed.

    Raises:
        ValueError: `jobs` is no whole number above 0, or `seconds` is not above 0.
        RuntimeError: a process could not start, for instance because `function` cannot be imported.
    """
    whole("jobs", jobs, 1)
    above("seconds", seconds, 0)
    return _run(function, deque(tasks), jobs, seconds)


def _run(function: Callable[[Any], Any], pending: deque[Any], jobs: int, seconds: float) -> Generator[Outcome]:
    workers: list[_Worker] = []
    try:
        while pending or any(worker.task is not None for worker in workers):
            busy = sum(worker.task is not None for worker in workers)
            while len(workers) < min(jobs, len(pending) + busy):
                workers.append(_Worker(function))
            nearest = min(worker.deadline for worker in workers)
            wait([worker.connection for worker in workers], max(0.0, nearest - time.monotonic()))
            for worker in list(workers):
                outcome = None
                if worker.connection.poll():
                    outcome = _listen(worker)
                elif time.monotonic() >= worker.deadline:
                    outcome = worker.outcome(error=f"killed after {seconds:g} seconds", killed=True)
                else:
                    continue
                if not worker.ready:
                    raise RuntimeError("workers: a process did not start; what it printed says why.")
                if pending and (outcome is None or worker.usable(outcome)):
                    worker.give(pending.popleft(), seconds)
                else:
                    workers.remove(worker)
                    worker.end()
                if outcome is not None:
                    yield outcome
    finally:
        for worker in workers:
            worker.end()


def _listen(worker: _Worker) -> Outcome | None:
    """What a process says; None when it says that it is ready."""
    try:
        kind, content = worker.connection.recv()
    except (EOFError, ConnectionError):
        worker.process.join()
        return worker.outcome(error=f"the process ended with code {worker.process.exitcode}")
    if kind == _READY:
        worker.ready = True
        return None
    return worker.outcome(**{kind: content})


def _serve(connection: Connection, function: Callable[[Any], Any]) -> None:
    """The process: answer tasks until the connection ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the parent decides
    warnings.simplefilter("ignore")  # hundreds of fits would bury what the parent prints
    connection.send((_READY, None))
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        try:
            answer = ("value", function(task))
        except Exception as error:  # whatever it is, it belongs to this task alone
            answer = ("error", f"{type(error).__name__}: {error}")
        connection.send(answer)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for what is started in the block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
