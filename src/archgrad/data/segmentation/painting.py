"""Painting pictures together with their masks: shapes, laid over each other, that set colours and labels at once.

A shape is the distance of every pixel centre to its outline. Where the centre lies within, the pixel gets the shape's
label; the colour changes by the share of the pixel that is covered, which is half at the outline. So the label is that
of the last shape to cover most of the pixel, and edges are smooth in the picture and exact in the mask.
"""

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple, TypeAlias

import numpy as np

Point: TypeAlias = tuple[float, float]
"""Column and row in pixels; the centre of the first pixel is at (0.5, 0.5)."""

_HUES = np.array(
    [(1.0, 0.97, 0.92), (1.0, 0.86, 0.66), (1.0, 0.55, 0.44), (0.5, 0.68, 1.0), (0.6, 0.9, 0.62), (1.0, 0.9, 0.4)],
    np.float32,
)
_HUE_SHARES = (0.45, 0.2, 0.15, 0.1, 0.06, 0.04)

SHORTEST = 1e-6
"""Pixels: edges of a polygon below that length are left out."""

TILE = 128
"""Width and height of a tile of noise, after which it repeats."""


class Window(NamedTuple):
    """A rectangle of pixels: its place, and the coordinates of the centres, `y` [h, 1] and `x` [1, w]."""

    rows: slice
    columns: slice
    y: np.ndarray
    x: np.ndarray


class Shape(NamedTuple):
    """Distances to an outline, in pixels and positive within: `inside` [h, w] float32, for the pixels of a window."""

    window: Window
    inside: np.ndarray

    @property
    def coverage(self) -> np.ndarray:
        """The share of each pixel that the shape covers, if its outline is straight there."""
        return np.minimum(np.maximum(self.inside + 0.5, 0), 1)


class Canvas:
    """Colours [3, H, W] float32, black at first, and labels [H, W] uint8, at first 0."""

    def __init__(self, height: int, width: int) -> None:
        self.colours = np.zeros((3, height, width), np.float32)
        self.labels = np.zeros((height, width), np.uint8)
        self._y = np.arange(0.5, height, dtype=np.float32)[:, None]
        self._x = np.arange(0.5, width, dtype=np.float32)[None]

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.labels.shape[0]

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.labels.shape[1]

    def window(self, across: tuple[float, float], down: tuple[float, float]) -> Window | None:
        """The pixels that a shape between these columns and rows may touch; None where they lie outside the picture."""
        (left, right), (top, bottom) = across, down
        columns = slice(max(0, int(left - 1)), min(self.width, int(max(right, 0) + 2)))
        rows = slice(max(0, int(top - 1)), min(self.height, int(max(bottom, 0) + 2)))
        if right < -1 or bottom < -1 or columns.start >= columns.stop or rows.start >= rows.stop:
            return None
        return Window(rows, columns, self._y[rows], self._x[:, columns])

    def whole(self) -> Window:
        """All pixels."""
        return Window(slice(0, self.height), slice(0, self.width), self._y, self._x)

    def polygon(self, points: Sequence[Point]) -> Shape | None:
        """The convex polygon with these corners, in either direction; None outside the picture."""
        columns, rows = zip(*points, strict=True)
        window = self.window((min(columns), max(columns)), (min(rows), max(rows)))
        if window is None:
            return None
        turn, sides, (x0, y0) = (-1.0 if signed_area(points) < 0 else 1.0), [], points[-1]
        for x1, y1 in points:
            length = turn * math.hypot(x1 - x0, y1 - y0)
            if abs(length) > SHORTEST:
                right, down = (y0 - y1) / length, (x1 - x0) / length
                sides.append((right, down, -right * x0 - down * y0))
            x0, y0 = x1, y1
        if len(sides) < 3:
            return None
        # the distance to each side is right·x + down·y + shift; all sides at once take fewer, larger operations
        right, down, shift = np.array(sides, np.float32).T[:, :, None]
        across = right * window.x + shift
        return Shape(window, np.minimum.reduce((down * window.y[:, 0])[:, :, None] + across[:, None]))

    def ellipse(self, centre: Point, across: float, down: float) -> Shape | None:
        """The ellipse with these half axes in pixels; distances are exact on circles. None outside the picture."""
        x, y = centre
        window = self.window((x - across, x + across), (y - down, y + down))
        if window is None or min(across, down) <= 0:
            return None
        radius = np.sqrt(((window.x - x) / across) ** 2 + ((window.y - y) / down) ** 2)
        return Shape(window, (1 - radius) * min(across, down))

    def paint(self, shape: Shape | None, colour: np.ndarray, label: int) -> None:
        """Lay a shape, if it is in the picture, over what is there: `colour` [3] or [3, h, w], from 0 to 1."""
        if shape is None:
            return
        rows, columns = shape.window.rows, shape.window.columns
        part = self.colours[:, rows, columns]
        part += shape.coverage * ((colour[:, None, None] if colour.ndim == 1 else colour) - part)
        self.labels[rows, columns][shape.inside >= 0] = label


def signed_area(points: Sequence[Point]) -> float:
    """Twice the area of a polygon, positive if its corners run clockwise on the screen, where rows count downward.

    >>> signed_area([(0.0, 0.0), (2.0, 0.0), (2.0, 1.0), (0.0, 1.0)])
    4.0
    """
    area, (x0, y0) = 0.0, points[-1]
    for x1, y1 in points:
        area += x0 * y1 - x1 * y0
        x0, y0 = x1, y1
    return area


def hull(points: Sequence[Point]) -> list[Point]:
    """The corners of the smallest convex polygon around points (Andrew's monotone chains).

    >>> hull([(0.0, 0.0), (2.0, 0.0), (1.0, 0.5), (1.0, 2.0)])
    [(0.0, 0.0), (2.0, 0.0), (1.0, 2.0)]
    """
    ordered = sorted(set(points))
    if len(ordered) < 3:
        return ordered
    return _chain(ordered)[:-1] + _chain(ordered[::-1])[:-1]


def _chain(ordered: Sequence[Point]) -> list[Point]:
    chain: list[Point] = []
    for x, y in ordered:
        while len(chain) > 1:
            (x0, y0), (x1, y1) = chain[-2:]
            if (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) > 0:
                break
            chain.pop()
        chain.append((x, y))
    return chain


def band(offset: np.ndarray, half: np.ndarray | float) -> np.ndarray:
    """The share of a pixel within a band, given its offset from the middle line and half the width, all in pixels.

    Unlike a shape's coverage it is right for bands much narrower than a pixel: windows and lane marks far away fade.
    """
    upper, lower = 0.5 + half - offset, 0.5 - half - offset
    return np.minimum(np.maximum(upper, 0), 1) - np.minimum(np.maximum(lower, 0), 1)


def fractal_tiles(random: np.random.Generator, *exponents: float) -> list[np.ndarray]:
    """Tiles [TILE, TILE] of noise with mean 0 and variance 1, all made from the same white noise.

    The amplitude falls as frequency**−exponent: the higher, the larger the blotches. Tiles repeat without a seam.
    """
    spectrum = np.fft.rfft2(random.standard_normal((TILE, TILE), np.float32))
    tiles = [np.fft.irfft2(spectrum * _amplitudes(exponent)).astype(np.float32) for exponent in exponents]
    return [tile / tile.std() for tile in tiles]


@cache
def _amplitudes(exponent: float) -> np.ndarray:
    frequency = np.hypot(np.fft.fftfreq(TILE)[:, None], np.fft.rfftfreq(TILE))
    frequency[0, 0] = np.inf
    return frequency**-exponent


def sampled(tile: np.ndarray, v: np.ndarray, u: np.ndarray) -> np.ndarray:
    """The tile's values at rows `v` and columns `u`, which may be any numbers, broadcast against each other."""
    return tile[v.astype(np.intp) & (TILE - 1), u.astype(np.intp) & (TILE - 1)]


def blurred(colours: np.ndarray, share: float) -> np.ndarray:
    """Colours [3, H, W] with `share` of each pixel taken from each neighbour along an axis, rows then columns."""
    rows = np.pad(colours, [(0, 0), (1, 1), (0, 0)], mode="edge")
    colours = (1 - 2 * share) * colours + share * (rows[:, :-2] + rows[:, 2:])
    columns = np.pad(colours, [(0, 0), (0, 0), (1, 1)], mode="edge")
    return (1 - 2 * share) * colours + share * (columns[:, :, :-2] + columns[:, :, 2:])


def drawn(random: np.random.Generator, shares: Sequence[float]) -> int:
    """The index of a share, drawn with that probability; several times faster than numpy's own choice."""
    left = random.random()
    for index, share in enumerate(shares):
        left -= share
        if left < 0:
            return index
    return len(shares) - 1


def tone(random: np.random.Generator, low: float = 0.1, high: float = 0.9) -> np.ndarray:
    """A colour [3] such as walls, cars and clothes have: grey more often than not, `low` to `high` at its brightest."""
    hue = _HUES[drawn(random, _HUE_SHARES)]
    brightness, strength = random.uniform(low, high), random.uniform(0.5, 1.1)
    return brightness * (1 - strength * (1 - hue))
