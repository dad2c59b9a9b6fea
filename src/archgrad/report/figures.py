"""Figures as files."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from matplotlib.figure import Figure

from archgrad.checks import one_of
from archgrad.files import write_atomically

RESOLUTION = 150
"""Dots per inch of the pictures."""


SUFFIXES = (".png", ".svg")


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure and its caption. It is drawn once: the files of a run and its page take the same bytes."""

    caption: str
    figure: Figure

    @cached_property
    def png(self) -> bytes:
        """The figure as a PNG file, as it was when this was first asked for."""
        return encode_figure(self.figure)


def check_picture(argument: str, path: Path) -> None:
    """Raise a ValueError unless a picture can be written to `path`, as far as its suffix and folder tell."""
    one_of(argument, path.suffix.lower(), SUFFIXES)
    if not path.absolute().parent.is_dir():
        raise ValueError(f"{argument}: there is no folder {path.parent} to write {path.name} to.")


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure to a PNG or SVG file, atomically.

    Args:
        figure: the figure.
        path: its suffix, `.png` or `.svg`, decides the format.

    Raises:
        ValueError: the suffix is another one.
    """
    kind = one_of("path", path.suffix.lower(), SUFFIXES)[1:]
    write_atomically(path, encode_figure(figure, kind))


def encode_figure(figure: Figure, kind: str = "png") -> bytes:
    """Return a figure as the bytes of a file of the given kind, `png` or `svg`."""
    buffer = io.BytesIO()
    with any_glyph():
        # Without a date, equal figures give equal files.
        figure.savefig(buffer, format=kind, dpi=RESOLUTION, metadata={"Date": None} if kind == "svg" else None)
    return buffer.getvalue()


@contextmanager
def any_glyph() -> Iterator[None]:
    """Let characters that the font lacks become boxes without a warning: names come from users' files."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font", category=UserWarning)
        yield
