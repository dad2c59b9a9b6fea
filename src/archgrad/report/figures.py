"""Figures as files."""

import io
from pathlib import Path

from matplotlib.figure import Figure

from archgrad.checks import one_of
from archgrad.files import write_atomically

RESOLUTION = 150
"""Dots per inch of the pictures."""


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure to a PNG or SVG file, atomically.

    Args:
        figure: the figure.
        path: its suffix, `.png` or `.svg`, decides the format.

    Raises:
        ValueError: the suffix is another one.
    """
    kind = one_of("path", path.suffix.lower(), (".png", ".svg"))[1:]
    write_atomically(path, encode_figure(figure, kind))


def encode_figure(figure: Figure, kind: str = "png") -> bytes:
    """Return a figure as the bytes of a file of the given kind, `png` or `svg`."""
    buffer = io.BytesIO()
    # Without a date, equal figures give equal files.
    figure.savefig(buffer, format=kind, dpi=RESOLUTION, metadata={"Date": None} if kind == "svg" else None)
    return buffer.getvalue()
