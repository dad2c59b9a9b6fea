"""A picture of a search that is under way, for those who have no terminal to look at."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from archgrad.checks import at_least, one_of
from archgrad.report.equations import Equation, draw_losses
from archgrad.report.figures import save_figure


@runtime_checkable
class Progress(Protocol):
    """What the picture shows of that which an estimator tells its `execution_monitor` after every round."""

    @property
    def seconds(self) -> float: ...
    @property
    def round(self) -> int: ...
    @property
    def candidates(self) -> int: ...
    @property
    def best(self) -> Equation | None: ...
    @property
    def losses(self) -> Sequence[float]: ...


class PlotMonitor:
    """An `execution_monitor` that rewrites a picture of the held-out loss by round, atomically, without a display.

    Arguments:
        path: of the picture, .png or .svg.
        every: least seconds between two pictures; 0 draws one after every round.

    Raises:
        ValueError: another suffix, a folder that does not exist, or a negative `every`.

    >>> import tempfile, types
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     monitor = PlotMonitor(Path(folder) / "losses.png")
    ...     monitor(types.SimpleNamespace(round=1, seconds=0.5, candidates=9, stage="", best=None, losses=[0.1]))
    ...     monitor.path.exists()
    True
    """

    def __init__(self, path: str | Path, *, every: float = 0.0) -> None:
        self.path = Path(path).expanduser()
        one_of("path", self.path.suffix.lower(), (".png", ".svg"))
        if not self.path.parent.is_dir():
            raise ValueError(f"path: the folder of {str(path)!r} does not exist.")
        at_least("every", every, 0)
        self.every = every
        self._drawn = -float("inf")

    def __call__(self, progress: Progress) -> None:
        """Draw the losses so far."""
        if time.monotonic() - self._drawn < self.every:
            return
        best = progress.best
        law = "" if best is None else f" · {best}"
        title = f"round {progress.round} · {progress.seconds:.0f} s · {progress.candidates:,} candidates{law}"
        save_figure(draw_losses(progress.losses, title), self.path)
        self._drawn = time.monotonic()
