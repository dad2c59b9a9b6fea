"""What the user sees of a search for an equation: a line that changes on a terminal, plain lines elsewhere."""

import math
import time
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.text import Text

LONGEST = 100  # letters of an equation that a line shows
SILENCE = 5.0  # seconds after which a plain line is printed, even if nothing better was found


def rounds(title: str, *, quiet: bool = False, console: Console | None = None) -> "Rounds":
    """The `execution_monitor` that fits where the output goes; used as a context, it clears up when the search ends.

    `quiet` gives plain lines on a terminal, too.
    """
    console = console or Console()
    return RoundStatus(title, console) if console.is_terminal and not quiet else RoundLines(title, console)


def describe(progress: Any) -> str:
    """How far a search is, in a few words.

    >>> from types import SimpleNamespace
    >>> describe(SimpleNamespace(round=3, seconds=4.21, candidates=1200, stage="laws", losses=[0.5, 0.00125]))
    'round 3 · 4.2 s · 1,200 candidates · laws · held-out loss 0.00125'
    """
    parts = [f"round {progress.round}", f"{progress.seconds:.1f} s", f"{progress.candidates:,} candidates"]
    parts += [progress.stage] if progress.stage else []
    parts += [f"held-out loss {progress.losses[-1]:.4g}"] if progress.losses else []
    return " · ".join(parts)


class Rounds:
    """What both ways of showing rounds share: they ask for the best equation, which costs time, when there is a new."""

    def __init__(self, title: str, console: Console) -> None:
        self.title = title
        self.console = console
        self.lowest = math.inf

    def __enter__(self) -> "Rounds":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def __call__(self, progress: Any) -> None:
        """Show the round."""
        raise NotImplementedError

    def line(self, progress: Any) -> str:
        """The title and how far the search is."""
        return f"{self.title}: {describe(progress)}"

    def news(self, progress: Any) -> str | None:
        """The best equation, if it is better than that of all rounds before."""
        if not progress.losses or not progress.losses[-1] < self.lowest:
            return None
        self.lowest = progress.losses[-1]
        best = progress.best
        if best is None:
            return None
        law = str(best)
        return f"complexity {best.complexity} · {law if len(law) <= LONGEST else f'{law[: LONGEST - 1]}…'}"


class RoundLines(Rounds):
    """A line for each round that found something better, and a sign of life in between, for logs and pipes."""

    def __init__(self, title: str, console: Console, *, silence: float = SILENCE) -> None:
        super().__init__(title, console)
        self.silence = silence
        self.spoken = -math.inf

    def __call__(self, progress: Any) -> None:
        """Print the round."""
        news = self.news(progress)
        if news is None and time.monotonic() - self.spoken < self.silence:
            return
        line = self.line(progress) if news is None else f"{self.line(progress)} · {news}"
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)
        self.spoken = time.monotonic()


class RoundStatus(Rounds):
    """One line that changes with every round, and a line that stays for each better equation."""

    def __init__(self, title: str, console: Console) -> None:
        super().__init__(title, console)
        self.status = Status(Text(f"{title}: begins"), console=console)

    def __enter__(self) -> "RoundStatus":
        self.status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.status.stop()

    def __call__(self, progress: Any) -> None:
        """Show the round."""
        line, news = self.line(progress), self.news(progress)
        self.status.update(Text(line, no_wrap=True, overflow="ellipsis"))
        if news is not None:
            self.console.print(Text(f"{line} · {news}"), style="dim", highlight=False)
