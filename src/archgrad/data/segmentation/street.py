"""What stands in a street, painted in perspective: buildings, cars, trees, poles and pedestrians.

Coordinates are metres: x to the right of the camera, y above the ground, z away from it. Nothing drawn at random
depends on the size of the picture, so that the same scene can be painted at any size.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from archgrad.data.segmentation.painting import Canvas, Point, Shape, band, hull, sampled, tone

SKY, BUILDING, ROAD, SIDEWALK, VEGETATION, CAR, POLE, PEDESTRIAN = range(8)

NEAR = 0.8
"""Metres: what lies nearer is cut off."""

Place = tuple[float, float]
"""x and z of a point on the ground."""

OCTAGON = ((1, 0), (0.7, 0.7), (0, 1), (-0.7, 0.7), (-1, 0), (-0.7, -0.7), (0, -1), (0.7, -0.7))
"""The directions of the corners of an octagon."""

Corner = tuple[float, float, float]
"""x, y and z of a point."""

_GLASS = np.array([0.2, 0.25, 0.31], np.float32)
_BLACK = np.array([0.07, 0.07, 0.08], np.float32)
_WHITE = np.array([0.95, 0.95, 0.92], np.float32)
_RED = np.array([0.75, 0.08, 0.07], np.float32)
_BLUE = np.array([0.1, 0.28, 0.7], np.float32)
_YELLOW = np.array([0.95, 0.78, 0.12], np.float32)
_GREEN = np.array([0.1, 0.75, 0.4], np.float32)


@dataclass(frozen=True)
class Camera:
    """A pinhole: focal length, column and row of the vanishing point, in pixels, and its height in metres."""

    focal: float
    column: float
    row: float
    height: float

    def point(self, x: float, y: float, z: float) -> Point:
        """Where a point of the street appears."""
        scale = self.focal / max(z, NEAR)
        return self.column + x * scale, self.row + (self.height - y) * scale

    def scale(self, z: float) -> float:
        """Pixels per metre at a distance."""
        return self.focal / max(z, NEAR)


@dataclass(frozen=True, eq=False)
class Light:
    """Light from all sides, and from the sun: `sun` is the shadow, to the right and away, of a pole a metre high."""

    sun: Place
    direct: float
    ambient: float
    haze: np.ndarray
    visibility: float

    def on(self, right: float, away: float) -> float:
        """The brightness of a wall whose normal has these components."""
        facing = -(right * self.sun[0] + away * self.sun[1]) / (math.hypot(*self.sun) + 0.3)
        return self.ambient + 0.05 * right + self.direct * max(0.0, facing)

    def through(self, colour: np.ndarray, z: np.ndarray | float) -> np.ndarray:
        """Colours [3] or [3, h, w] as they appear at distances, with the haze before them."""
        # numpy's exponential of a number would make every product with it float64
        share = np.exp(z * (-1 / self.visibility)) if isinstance(z, np.ndarray) else math.exp(-z / self.visibility)
        return colour * share + (self.haze if colour.ndim == 1 else self.haze[:, None, None]) * (1 - share)


@dataclass(frozen=True, eq=False)
class View:
    """What things need to paint themselves: where to, seen from where, in which light, with which noise and chance.

    The noise is fine, coarse, and both in one.
    """

    canvas: Canvas
    camera: Camera
    light: Light
    rough: np.ndarray
    smooth: np.ndarray
    grain: np.ndarray
    random: np.random.Generator

    def polygon(self, corners: Sequence[Corner], colour: np.ndarray, label: int) -> None:
        """Paint a convex polygon in space, in the haze of its nearest corner."""
        points = [self.camera.point(*corner) for corner in corners]
        nearest = min(corner[2] for corner in corners)
        self.canvas.paint(self.canvas.polygon(points), self.light.through(colour, nearest), label)


@runtime_checkable
class Thing(Protocol):
    """Something that stands in the street: farther things, by `order`, are painted first."""

    @property
    def order(self) -> float:
        """The distance up to which it hides what lies behind."""
        ...

    def shadow(self, sun: Place) -> list[Place]:
        """The corners of its shadow on the ground."""
        ...

    def paint(self, view: View) -> None:
        """Paint it over what is there."""
        ...


def cast(footprint: Sequence[Place], height: float, sun: Place) -> list[Place]:
    """The shadow of a prism over a footprint: convex, cut off near the camera."""
    ends = [(x + sun[0] * top, max(z + sun[1] * top, NEAR)) for x, z in footprint for top in (0.0, height)]
    return hull(ends)


@dataclass(frozen=True)
class Building:
    """A block along the street: its wall at `wall` (left of the camera if negative) from `near` to `far`.

    `joined` is the height of the building before it, wall to wall, which may hide the front; 0 if there is a gap.
    """

    wall: float
    near: float
    far: float
    height: float
    depth: float
    roof: float
    joined: float = 0.0

    @property
    def order(self) -> float:
        return self.far

    @property
    def outer(self) -> float:
        """x of the wall that faces away from the street."""
        return self.wall + math.copysign(self.depth, self.wall)

    def shadow(self, sun: Place) -> list[Place]:
        x, outer, near, far = self.wall, self.outer, self.near, self.far
        return cast([(x, near), (outer, near), (outer, far), (x, far)], self.height, sun)

    def paint(self, view: View) -> None:
        facade = _Facade.drawn(view.random, self.height)
        roof = tone(view.random, 0.2, 0.6)
        ridge = (self.wall + self.outer) / 2
        top = self.height + self.roof
        eaves = [(self.wall, self.height, self.near), (self.wall, self.height, self.far)]
        if self.roof:
            view.polygon([*eaves, (ridge, top, self.far), (ridge, top, self.near)], roof, BUILDING)
        self._side(view, facade)
        if top > self.joined:
            self._front(view, facade)

    def _side(self, view: View, facade: "_Facade") -> None:
        camera, canvas = view.camera, view.canvas
        first, last = (camera.point(self.wall, self.height, z) for z in (self.near, self.far))
        left, right = sorted((first[0], last[0]))
        base = camera.point(self.wall, 0, self.near)[1]
        # half a pixel more where the front adjoins, which is painted over it: no seam between the two
        left, right = (left - 0.6, right) if self.wall < 0 else (left, right + 0.6)
        window = canvas.window((left, right), (min(first[1], last[1]), base))
        if window is None:
            return
        scale = np.maximum((window.x - camera.column) / self.wall, camera.focal / self.far / 2)
        z = camera.focal / scale
        height = camera.height - (window.y - camera.row) / scale
        inside = np.minimum(height, self.height - height) * scale
        inside = np.minimum(inside, np.minimum(window.x - left, right - window.x))
        along = abs(self.wall) * scale**2 / camera.focal
        lit = view.light.on(-math.copysign(1, self.wall), 0)
        colour = facade.colours(view, z, height, across=along, up=scale) * lit
        canvas.paint(Shape(window, inside), view.light.through(colour, z), BUILDING)

    def _front(self, view: View, facade: "_Facade") -> None:
        camera, outer = view.camera, self.outer
        corners = [(self.wall, 0.0), (self.wall, self.height), (outer, self.height), (outer, 0.0)]
        if self.roof:
            corners.insert(2, ((self.wall + outer) / 2, self.height + self.roof))
        shape = view.canvas.polygon([camera.point(x, y, self.near) for x, y in corners])
        if shape is None:
            return
        scale = camera.scale(self.near)
        x = (shape.window.x - camera.column) / scale - self.wall
        height = camera.height - (shape.window.y - camera.row) / scale
        colour = facade.colours(view, x, height, across=scale, up=scale) * view.light.on(0, -1)
        view.canvas.paint(shape, view.light.through(colour, self.near), BUILDING)


@dataclass(frozen=True, eq=False)
class _Facade:
    """A wall with rows of windows and perhaps shops below: all sizes in metres."""

    wall: np.ndarray
    glass: np.ndarray
    shop: np.ndarray
    ground: float
    floor: float
    bay: float
    wide: float
    high: float
    top: float
    shift: int

    @classmethod
    def drawn(cls, random: np.random.Generator, top: float) -> "_Facade":
        floor, bay = random.uniform(2.8, 3.6), random.uniform(1.8, 4.2)
        wide, high = bay * random.uniform(0.3, 0.75), floor * random.uniform(0.4, 0.7)
        ground = (0.0, 3.2, 3.8)[random.integers(3)]
        glass = _GLASS * random.uniform(0.5, 1.9) + (0.0, 0.0, 0.25)[random.integers(3)]
        return cls(
            tone(random, 0.25, 0.95),
            glass,
            tone(random, 0.15, 0.9),
            ground if top > 6 else 0.0,
            floor,
            bay,
            wide,
            high,
            top - 0.3,
            int(random.integers(1000)),
        )

    def colours(
        self, view: View, along: np.ndarray, height: np.ndarray, *, across: np.ndarray | float, up: np.ndarray | float
    ) -> np.ndarray:
        """Colours [3, h, w] at places along the wall and heights, given the pixels per metre in the two directions."""
        bay = np.floor(along / self.bay)
        storey = np.floor((height - self.ground) / self.floor)
        columns = band((along - (bay + 0.5) * self.bay) * across, self.wide / 2 * across)
        middle = self.ground + (storey + 0.55) * self.floor
        rows = band((height - middle) * up, self.high / 2 * up)
        rows = rows * ((storey >= 0) & (middle + self.high / 2 < self.top))
        lit = sampled(view.rough, storey + self.shift, bay)
        grain = 1 + 0.08 * sampled(view.grain, height * 12 + self.shift, along * 12)
        wall, glass = self.wall[:, None, None] * grain, self.glass[:, None, None] * np.maximum(1 + 0.3 * lit, 0.2)
        if self.ground:
            panes = band((along - (bay + 0.5) * self.bay) * across, 0.42 * self.bay * across)
            panes = panes * band((height - 1.4) * up, 1.05 * up)
            board = band((height - self.ground + 0.45) * up, 0.35 * up)
            wall = wall + board * (self.shop[:, None, None] - wall)
            wall = wall + panes * (glass - wall)
        return wall + (rows * columns) * (glass - wall)


@dataclass(frozen=True)
class Tree:
    """A tree, or a bush where the trunk is 0 m: the crown's half axes are `wide` and `high`."""

    x: float
    z: float
    trunk: float
    wide: float
    high: float
    colour: tuple[float, float, float]

    @property
    def order(self) -> float:
        return self.z

    def shadow(self, sun: Place) -> list[Place]:
        """The crown's, an ellipse that is longer in the direction of the sun."""
        middle, length = self.trunk + self.high, math.hypot(*sun)
        wide = 0.8 * self.wide
        longer = (math.hypot(wide, self.high * length) - wide) / max(length, 1e-6) ** 2
        corners = []
        for right, away in OCTAGON:
            along = middle + longer * (right * sun[0] + away * sun[1])
            corners.append((self.x + wide * right + sun[0] * along, max(self.z + wide * away + sun[1] * along, NEAR)))
        return corners

    def paint(self, view: View) -> None:
        random, camera = view.random, view.camera
        bark = np.array([0.3, 0.24, 0.19], np.float32) * random.uniform(0.5, 1.3)
        lobes = [(0.0, 0.0, 0.75), *random.uniform((-0.5, -0.45, 0.45), (0.5, 0.45, 0.7), (4, 3)).tolist()]
        shift = random.uniform(0, 100)
        scale = camera.scale(self.z)
        if self.trunk:
            thick = max(0.05 + 0.05 * self.trunk, 0.5 / scale)
            top = self.trunk + self.high
            ends = [(-thick, 0.0), (thick, 0.0), (0.6 * thick, top), (-0.6 * thick, top)]
            view.polygon([(self.x + dx, y, self.z) for dx, y in ends], bark, VEGETATION)
        x, y = camera.point(self.x, self.trunk + self.high, self.z)
        across, down = self.wide * scale, self.high * scale
        window = view.canvas.window((x - 1.3 * across, x + 1.3 * across), (y - 1.3 * down, y + 1.3 * down))
        if window is None:
            return
        u, v = (window.x - x) / across, (window.y - y) / down
        squares = [((u - right) / size) ** 2 + ((v - below) / size) ** 2 for right, below, size in lobes]
        radius = np.sqrt(np.minimum.reduce(squares))
        leaves = sampled(view.grain, v * self.high * 10 + shift, u * self.wide * 10 + shift)
        inside = (1 - radius) * (0.6 * min(across, down)) + leaves * (0.15 * scale * min(1, self.wide))
        if not self.trunk:  # a bush stands on the ground
            inside = np.minimum(inside, (1 - v) * down)
        sunny = 0.85 - 0.22 * v - 0.2 * math.copysign(view.light.direct, view.light.sun[0]) * u
        colour = np.array(self.colour, np.float32)[:, None, None] * (sunny + 0.18 * leaves)
        view.canvas.paint(Shape(window, inside), view.light.through(colour, self.z), VEGETATION)


@dataclass(frozen=True)
class Pole:
    """A pole with something at its top: "lamp", "sign" or "lights"; an arm reaches `arm` metres to the right."""

    x: float
    z: float
    height: float
    top: str
    arm: float = 0.0

    @property
    def order(self) -> float:
        return self.z

    def shadow(self, sun: Place) -> list[Place]:
        left, right, near, far = self.x - 0.08, self.x + 0.08, self.z - 0.08, self.z + 0.08
        return cast([(left, near), (right, near), (right, far), (left, far)], self.height, sun)

    def paint(self, view: View) -> None:
        colour = tone(view.random, 0.1, 0.7) * np.array([0.95, 1, 1], np.float32)
        kind = int(view.random.integers(5))
        thick = 0.09 if self.top == "lamp" else 0.05
        scale = view.camera.scale(self.z)
        half = max(thick, 0.55 / scale)  # at least a pixel wide, so that no row is without it
        self._bar(view, (-half, half), (0, self.height), colour=colour)
        if self.top == "lamp":
            left, right = sorted((-half if self.arm > 0 else half, self.arm))
            deep = max(0.06, 0.5 / scale)
            self._bar(view, (left, right), (self.height - 2 * deep, self.height), colour=colour)
            lamp = (self.arm - 0.4, self.arm + 0.4), (self.height - 0.25, self.height + 0.05)
            self._bar(view, *lamp, colour=_WHITE * 0.9)
        elif self.top == "lights":
            self._bar(view, (-0.2, 0.2), (self.height - 1.1, self.height + 0.05), colour=_BLACK)
            for number, lit in enumerate((_RED, _YELLOW, _GREEN)):
                shine = lit * (1.2 if number == kind % 3 else 0.35)
                centre = view.camera.point(self.x, self.height - 0.18 - 0.34 * number, self.z)
                view.canvas.paint(view.canvas.ellipse(centre, 0.13 * scale, 0.13 * scale), shine, POLE)
        else:
            self._plate(view, kind)

    def _bar(self, view: View, across: Place, up: Place, *, colour: np.ndarray) -> None:
        left, right = (self.x + end for end in across)
        low, high = up
        corners = [(left, low), (right, low), (right, high), (left, high)]
        view.polygon([(x, y, self.z) for x, y in corners], colour, POLE)

    def _plate(self, view: View, kind: int) -> None:
        """A prohibition, a warning, a place name, a right of way, or a plate seen from behind."""
        centre = view.camera.point(self.x, self.height - 0.35, self.z)
        scale, canvas = view.camera.scale(self.z), view.canvas
        if kind == 0:
            canvas.paint(canvas.ellipse(centre, 0.4 * scale, 0.4 * scale), _RED, POLE)
            canvas.paint(canvas.ellipse(centre, 0.27 * scale, 0.27 * scale), _WHITE, POLE)
            return
        x, y = centre
        outlines = {
            1: [(-0.45, 0.35), (0.45, 0.35), (0.0, -0.4)],
            2: [(-0.65, -0.3), (0.65, -0.3), (0.65, 0.3), (-0.65, 0.3)],
            3: [(0.0, -0.45), (0.45, 0.0), (0.0, 0.45), (-0.45, 0.0)],
            4: [(-0.35, -0.35), (0.35, -0.35), (0.35, 0.35), (-0.35, 0.35)],
        }
        colours = {1: (_RED, _WHITE), 2: (_WHITE, _BLUE), 3: (_WHITE, _YELLOW), 4: (_WHITE * 0.6, _WHITE * 0.5)}
        for size, colour in zip((1.0, 0.68), colours[kind], strict=True):
            points = [(x + size * scale * dx, y + size * scale * dy) for dx, dy in outlines[kind]]
            canvas.paint(canvas.polygon(points), colour, POLE)
