"""Names beside the points of a plot, where they hide neither points nor each other."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from archgrad.report.figures import any_glyph
from archgrad.report.style import GREY, INK

DISTANCES = (7.0, 15.0, 24.0, 36.0, 50.0)
"""How far from its point a name may stand, in points; beyond the second it has a line to it."""

DIRECTIONS = 16
POINTS = 8.5
SPOT = 4.0
"""The half width of what a point covers, in points."""


def place_labels(
    axes: Axes,
    places: Sequence[tuple[float, float]],
    names: Sequence[str],
    *,
    needed: int,
    beside: Sequence[Sequence[tuple[float, float]]] = (),
) -> list[Annotation]:
    """Write names beside the places, in data coordinates, as near as there is room within the axes.

    The first `needed` names are written in any case, where they hide least, with a line to their points if these are
    far; the others only where they are near and hide nothing. The limits of the axes have to be final.

    Args:
        axes: of the plot.
        places: the points (x, y).
        names: theirs, in the same order.
        needed: how many of them, from the first on, must not be left out.
        beside: lines that names keep clear of, as the points that they lead through.
    """
    figure = axes.get_figure(root=True)
    assert isinstance(figure, Figure)
    renderer, pixels = FigureCanvasAgg(figure).get_renderer(), figure.dpi / 72
    frame = np.array(axes.get_window_extent(renderer).extents)
    centres = axes.transData.transform(np.array(places, dtype=np.float64))
    points = [point for line in beside for point in _along(axes, line, 4 * pixels)]
    taken = [*_spots(centres, SPOT * pixels), *_spots(np.array(points).reshape(-1, 2), 1.5 * pixels)]
    written = []
    for number, (place, centre, name) in enumerate(zip(places, centres, names, strict=True)):
        note = axes.annotate(name, place, xytext=(0, 0), textcoords="offset points", fontsize=POINTS, color=INK)
        note.set(parse_math=False, horizontalalignment="center", verticalalignment="center", gid="name")
        with any_glyph():
            size = note.get_window_extent(renderer)
        half = np.array([size.width, size.height]) / 2
        spot = _nearest(centre, half, frame, np.array(taken), pixels=pixels)
        if number >= needed and (spot.hidden > 0 or spot.distance > DISTANCES[1]):
            note.remove()
            continue
        offset = (float(spot.offset[0]) / pixels, float(spot.offset[1]) / pixels)
        note.xyann = offset
        middle = centre + spot.offset
        taken.append(np.concatenate([middle - half, middle + half]))
        written.append(note)
        if spot.distance > DISTANCES[1]:
            line = {"arrowstyle": "-", "color": GREY, "linewidth": 0.6, "shrinkA": 2, "shrinkB": 3}
            axes.annotate("", place, xytext=offset, textcoords="offset points", arrowprops=line, zorder=1.5)
    return written


class _Spot(NamedTuple):
    """Where a name could stand: its offset and the area that it hides, in pixels, and its distance in points."""

    offset: np.ndarray
    hidden: float
    distance: float


def _nearest(
    centre: np.ndarray, half: np.ndarray, frame: np.ndarray, taken: Float[np.ndarray, "boxes 4"], *, pixels: float
) -> _Spot:
    """The nearest place for a box beside a point where it hides nothing, or that where it hides least."""
    best = None
    angles = 2 * math.pi * np.arange(DIRECTIONS) / DIRECTIONS
    for distance in DISTANCES:
        # The box begins at that distance, whichever side of it faces the point.
        offsets = np.stack([np.cos(angles), np.sin(angles)], axis=1) * (distance * pixels + half)
        boxes = np.concatenate([centre + offsets - half, centre + offsets + half], axis=1)
        outside = 4 * half.prod() - _overlaps(boxes, frame[None])[:, 0]
        hidden = _overlaps(boxes, taken).sum(axis=1) + outside
        place = int(hidden.argmin())
        if best is None or hidden[place] < best.hidden - 1e-6:
            best = _Spot(offsets[place], float(hidden[place]) if hidden[place] > 1e-6 else 0.0, distance)
        if best.hidden == 0:
            break
    assert best is not None
    return best


def _spots(centres: Float[np.ndarray, "spots 2"], reach: float) -> Float[np.ndarray, "spots 4"]:
    return np.concatenate([centres - reach, centres + reach], axis=1)


def _along(axes: Axes, line: Sequence[tuple[float, float]], step: float) -> Iterator[np.ndarray]:
    """Points on a line that lie at most `step` pixels apart."""
    corners = axes.transData.transform(np.array(line, dtype=np.float64))
    for start, end in pairwise(corners):
        count = 2 + int(np.linalg.norm(end - start) / step)
        yield from (start + (end - start) * share for share in np.linspace(0, 1, count))


def _overlaps(first: Float[np.ndarray, "a 4"], second: Float[np.ndarray, "b 4"]) -> Float[np.ndarray, "a b"]:
    """The areas that boxes (left, bottom, right, top) share."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    return np.maximum(high - low, 0.0).prod(axis=-1)
