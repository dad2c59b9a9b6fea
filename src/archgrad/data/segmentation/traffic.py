"""Who moves in a street, painted in perspective: cars and pedestrians."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from archgrad.data.segmentation.painting import hull, signed_area, tone
from archgrad.data.segmentation.street import CAR, OCTAGON, PEDESTRIAN, Corner, Place, View, cast

COARSE, FINE = 5, 14
"""Pixels of a car's width, or a pedestrian's height, above which coarse and fine details are painted."""

CLEARANCE = 0.24
"""Metres between a car's body and the road."""

_GLASS = np.array([0.13, 0.16, 0.19], np.float32)
_RUBBER = np.array([0.07, 0.07, 0.08], np.float32)
_RED = np.array([0.75, 0.06, 0.06], np.float32)
_WHITE = np.array([0.95, 0.95, 0.9], np.float32)


@dataclass(frozen=True)
class CarShape:
    """The proportions of a car in metres: `hood` and `boot` are the lengths of its body before and after the cabin."""

    length: float
    width: float
    height: float
    belt: float
    hood: float
    boot: float


CAR_SHAPES = {
    "saloon": CarShape(4.5, 1.8, 1.45, 0.9, 1.1, 0.7),
    "hatchback": CarShape(3.9, 1.75, 1.5, 0.95, 0.9, 0.05),
    "off-road": CarShape(4.5, 1.95, 1.75, 1.1, 1.0, 0.05),
    "van": CarShape(5.2, 2.0, 2.2, 1.2, 0.6, 0.02),
}


@dataclass(frozen=True)
class Car:
    """A car whose near left corner is at (x, z): along the street, or across it, where it points right or left."""

    x: float
    z: float
    shape: CarShape
    coming: bool = False
    crossing: bool = False

    @property
    def order(self) -> float:
        return self.z

    def _place(self, across: float, along: float) -> Place:
        """Turned by 90 degrees, the right flank is nearest and the tail, or the bonnet of a coming car, at the left."""
        if self.crossing:
            return self.x + along, self.z + self.shape.width - across
        return self.x + across, self.z + along

    def _outline(self, ends: Place, inset: float) -> list[Place]:
        """The corners of a rectangle from one end to another along the car, counter-clockwise seen from above."""
        low, high = inset, self.shape.width - inset
        first, last = ends
        return [self._place(*corner) for corner in ((low, first), (high, first), (high, last), (low, last))]

    def shadow(self, sun: Place) -> list[Place]:
        return cast(self._outline((-0.1, self.shape.length + 0.1), -0.1), self.shape.height * 0.8, sun)

    def paint(self, view: View) -> None:
        paint = tone(view.random, 0.06, 0.98)
        shape, scale = self.shape, view.camera.scale(self.z)
        pixels = shape.width * scale
        front, back = (shape.hood, shape.boot) if self.coming else (shape.boot, shape.hood)
        slope = 0.35 * (shape.height - shape.belt) + 0.1
        if pixels > FINE:
            self._tyres(view)
        body = self._outline((0.0, shape.length), 0.0), CLEARANCE
        belt = self._outline((0.1, shape.length - 0.1), 0.05), shape.belt
        faces = _solid(view, body, belt, colour=paint)
        cabin = self._outline((front, shape.length - back), 0.06), shape.belt
        roof = self._outline((front + slope, shape.length - back - 1.5 * slope), 0.25), shape.height
        if pixels > COARSE:
            self._ends(view, faces, fine=pixels > FINE)
        if pixels > FINE:
            self._wheels(view, faces)
        faces = _solid(view, cabin, roof, colour=paint)
        for side, face in faces.items():
            panes = [(0.1, 0.9)] if side % 2 == 0 or pixels < FINE else [(0.1, 0.5), (0.54, 0.9)]
            for left, right in panes:
                view.polygon(_part(face, (left, right), (0.12, 0.85)), _GLASS * (1.6 if side % 2 else 1.0), CAR)

    def _tyres(self, view: View) -> None:
        """The tyres seen below the near end."""
        if self.crossing:
            return
        for left in (0.08, self.shape.width - 0.32):
            x, z, right = self.x + left, self.z + 0.3, self.x + left + 0.24
            view.polygon([(x, 0, z), (right, 0, z), (right, 0.4, z), (x, 0.4, z)], _RUBBER, CAR)

    def _wheels(self, view: View, faces: dict[int, list[Corner]]) -> None:
        for side in faces.keys() & {1, 3}:
            across = self.shape.width if side == 1 else 0.0
            for middle in (0.85, self.shape.length - 0.85):
                for radius, colour in ((0.33, _RUBBER), (0.17, _WHITE * 0.5)):
                    rim = []
                    for along, up in OCTAGON:
                        x, z = self._place(across, middle + radius * along)
                        rim.append((x, 0.33 + radius * up, z))
                    view.polygon(rim, colour, CAR)

    def _ends(self, view: View, faces: dict[int, list[Corner]], *, fine: bool) -> None:
        """Bumpers, lamps and number plates; the end at 0 is the tail unless the car is coming."""
        for side, face in faces.items():
            if fine:
                view.polygon(_part(face, (0, 1), (0, 0.22)), _RUBBER * 2, CAR)
            if side % 2:
                continue
            bonnet = self.coming == (side == 0)
            for left in (0.04, 0.76):
                view.polygon(_part(face, (left, left + 0.2), (0.5, 0.78)), _WHITE if bonnet else _RED, CAR)
            if not fine:
                continue
            if bonnet:
                view.polygon(_part(face, (0.28, 0.72), (0.42, 0.72)), _RUBBER, CAR)
            view.polygon(_part(face, (0.36, 0.64), (0.2, 0.38)), _WHITE * 0.9, CAR)


def _solid(
    view: View, base: tuple[list[Place], float], lid: tuple[list[Place], float], *, colour: np.ndarray
) -> dict[int, list[Corner]]:
    """Paint a solid with vertical or leaning sides, each brighter or darker; returns the sides that are seen.

    First its whole silhouette, so that nothing shows through where sides meet.
    """
    corners = [(x, y, z) for ring, y in (base, lid) for x, z in ring]
    points = [view.camera.point(*corner) for corner in corners]
    light, nearest = view.light, min(z for _, _, z in corners)
    view.canvas.paint(view.canvas.polygon(hull(points)), light.through(colour * light.on(0, -1), nearest), CAR)
    seen = {}
    for side, ring in enumerate(((0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7))):
        if signed_area([points[place] for place in ring]) < 0:
            face = seen[side] = [corners[place] for place in ring]
            right = face[1][2] - face[0][2]
            if right:  # others face the camera and have the silhouette's colour
                view.polygon(face, colour * light.on(math.copysign(1, right), 0), CAR)
    if signed_area(points[4:]) < 0:
        view.polygon(corners[4:], colour * (light.ambient + 0.15 + 0.6 * light.direct), CAR)
    return seen


def _part(face: Sequence[Corner], across: Place, up: Place) -> list[Corner]:
    """A part of a face, given as shares of its width and height."""
    (left, right), (low, high) = across, up
    below = _between(face[0], face[3], low), _between(face[1], face[2], low)
    above = _between(face[0], face[3], high), _between(face[1], face[2], high)
    return [_between(*below, left), _between(*below, right), _between(*above, right), _between(*above, left)]


def _between(one: Corner, other: Corner, share: float) -> Corner:
    rest = 1 - share
    return rest * one[0] + share * other[0], rest * one[1] + share * other[1], rest * one[2] + share * other[2]


@dataclass(frozen=True)
class Pedestrian:
    """Somebody `height` metres tall; `stride` metres between the feet."""

    x: float
    z: float
    height: float
    stride: float

    @property
    def order(self) -> float:
        return self.z

    def shadow(self, sun: Place) -> list[Place]:
        x, z = self.x, self.z
        foot = [(x - 0.22, z - 0.12), (x + 0.22, z - 0.12), (x + 0.22, z + 0.12), (x - 0.22, z + 0.12)]
        return cast(foot, self.height, sun)

    def paint(self, view: View) -> None:
        """Legs, coat, arms, a bag perhaps, and a head seen from before or behind."""
        random, light, tall = view.random, view.light, self.height
        coat, trousers = tone(random, 0.08, 0.95), tone(random, 0.08, 0.6)
        skin = np.array([0.85, 0.64, 0.52], np.float32) * random.uniform(0.35, 1.1)
        hair = np.array([0.4, 0.29, 0.2], np.float32) * random.uniform(0.15, 1.7)
        hem, wide = (0.48, 0.48, 0.4, 0.25)[random.integers(4)], random.uniform(0.12, 0.16)
        turned, bag = random.random() < 0.5, (-1, 0, 0, 1)[random.integers(4)]
        coat, trousers, skin, hair = (colour * light.on(0, -1) for colour in (coat, trousers, skin, hair))
        swing = self.stride / tall / 2
        fine = tall * view.camera.scale(self.z) > FINE
        for side in (-1, 1):
            foot, hip = side * swing, side * 0.045
            leg = [(foot - 0.035, 0.0), (foot + 0.045, 0.0), (hip + 0.055, 0.5), (hip - 0.055, 0.5)]
            self._part(view, leg, trousers)
            if fine:
                shoe = [(foot - 0.04, 0.0), (foot + 0.05, 0.0), (foot + 0.05, 0.03), (foot - 0.04, 0.03)]
                self._part(view, shoe, hair * 0.6)
        for side in (-1, 1) if fine else ():
            hand, shoulder = side * (wide + 0.03 + swing / 3), side * wide * 0.9
            arm = [(hand - 0.03, 0.45), (hand + 0.03, 0.45), (shoulder + 0.03, 0.8), (shoulder - 0.03, 0.8)]
            self._part(view, arm, coat * 0.85)
        bottom = wide * (0.8 if hem > 0.3 else 1.1)
        trunk = [(-bottom, hem), (bottom, hem), (wide, 0.78), (wide * 0.5, 0.84), (-wide * 0.5, 0.84), (-wide, 0.78)]
        self._part(view, trunk, coat)
        if bag and fine:
            left = bag * (wide + 0.06) - 0.07
            self._part(view, [(left, 0.38), (left + 0.14, 0.38), (left + 0.14, 0.52), (left, 0.52)], hair * 1.2)
        self._head(view, skin, hair, turned=turned)

    def _head(self, view: View, skin: np.ndarray, hair: np.ndarray, *, turned: bool) -> None:
        size = self.height * view.camera.scale(self.z)
        x, y = view.camera.point(self.x, 0.925 * self.height, self.z)
        parts = [(0.0, 0.065, 0.078, hair)] if turned else [(-0.008, 0.065, 0.075, hair), (0.016, 0.05, 0.058, skin)]
        for below, across, down, colour in parts:
            oval = view.canvas.ellipse((x, y + below * size), across * size, down * size)
            view.canvas.paint(oval, view.light.through(colour, self.z), PEDESTRIAN)

    def _part(self, view: View, outline: Sequence[Place], colour: np.ndarray) -> None:
        """A flat part, given in heights of the person, right and up from between the feet."""
        tall = self.height
        corners = [(self.x + tall * u, tall * v, self.z) for u, v in outline]
        view.polygon(corners, colour, PEDESTRIAN)
