"""Streets drawn at random: where the road runs, and what stands on either side of it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from archgrad.data.segmentation.painting import drawn
from archgrad.data.segmentation.street import NEAR, Building, Place, Pole, Thing, Tree
from archgrad.data.segmentation.traffic import CAR_SHAPES, Car, CarShape, Pedestrian

FARTHEST = 80.0
"""Metres up to which a street is built up."""

HEDGES = 24.0
"""Metres up to which lots without a house may have a hedge: farther ones would be hidden, and take time."""

CORNER = 2.6
"""Metres of pavement along a crossing street."""

Leaves = tuple[float, float, float]
"""The colour of a species of tree."""

SPECIES = (
    (0.27, 0.42, 0.16),
    (0.2, 0.33, 0.15),
    (0.36, 0.45, 0.2),
    (0.17, 0.27, 0.17),
    (0.5, 0.4, 0.15),
    (0.5, 0.28, 0.13),
)


@dataclass(frozen=True)
class Street:
    """The ground, in metres from the camera: all that is not road or sidewalk is lawn.

    The road runs between x = `left` and x = `right`, with a sidewalk of `walks` on either side, 0 for none, and then
    `gardens` up to the walls. `lanes` are the middles of the lanes, and `coming` tells which are those of the other
    direction. Another road crosses between the two z of `crossing`; those of `zebra` are of a crossing on foot.
    """

    left: float
    right: float
    walks: Place
    gardens: Place
    lanes: tuple[float, ...]
    lane_width: float
    coming: tuple[bool, ...]
    parking: tuple[bool, bool]
    crossing: Place | None
    zebra: Place | None

    def kerb(self, side: int) -> float:
        """Metres from the camera to the road's edge at a side, −1 or 1."""
        return -self.left if side < 0 else self.right

    def free(self, near: float, far: float) -> bool:
        """Whether a stretch of the road lies off the crossing and the zebra."""
        closed = [(low - 3, high + 2) for low, high in filter(None, (self.crossing, self.zebra))]
        return all(far < low or near > high for low, high in closed)


def draw_street(random: np.random.Generator) -> Street:
    """Draw the ground's plan."""
    count = (2, 2, 3, 4)[random.integers(4)]
    own, coming = int(random.integers(count // 2, count)), tuple(lane < count // 2 for lane in range(count))
    if random.random() < 0.3:  # they drive on the left
        own, coming = count - 1 - own, coming[::-1]
    lane_width, shift = random.uniform(2.7, 3.5), random.uniform(-0.7, 0.7)
    parking = (random.random() < 0.55, random.random() < 0.55)
    lanes = tuple((lane - own) * lane_width + shift for lane in range(count))
    left = lanes[0] - lane_width / 2 - 2.1 * parking[0]
    right = lanes[-1] + lane_width / 2 + 2.1 * parking[1]
    walks = random.uniform(2, 5, 2) * (random.random(2) < 0.88)
    if not walks.any():
        walks[random.integers(2)] = 3.0
    gardens = random.uniform(0.6, 5, 2) * (random.random(2) < 0.4)
    start = random.uniform(12, 34)
    crossing = (start, start + random.uniform(6, 10)) if random.random() < 0.4 else None
    middle = start - 1.8 if crossing else random.uniform(7, 22)
    zebra = (middle - 1.3, middle + 1.3) if random.random() < (0.6 if crossing else 0.25) else None
    walks, gardens = ((float(pair[0]), float(pair[1])) for pair in (walks, gardens))
    return Street(left, right, walks, gardens, lanes, lane_width, coming, parking, crossing, zebra)


def furnish(random: np.random.Generator, street: Street) -> list[Thing]:
    """Draw what stands in the street, the farthest first."""
    species = [SPECIES[random.integers(len(SPECIES))] for _ in range(2)]
    town = _Town(random, street, species)
    things: list[Thing] = [*town.end(), *town.driving(), *town.pedestrians()]
    for side in (-1, 1):
        things += [*town.lots(side), *town.avenue(side), *town.poles(side), *town.parked(side)]
    return sorted(things, key=lambda thing: -thing.order)


@dataclass(frozen=True, eq=False)
class _Town:
    """What the things of one scene have in common; its methods draw some of them."""

    random: np.random.Generator
    street: Street
    species: list[Leaves]

    def leaves(self) -> Leaves:
        """The colour of a tree of one of the species."""
        red, green, blue = self.species[self.random.integers(len(self.species))]
        light = self.random.uniform(0.8, 1.25)
        return light * red, light * green, light * blue

    def tree(self, x: float, z: float) -> Tree:
        """A tree: wide, round or tall."""
        random = self.random
        wide, slim = random.uniform(1.3, 3.2), (0.7, 0.9, 1.5)[random.integers(3)]
        return Tree(x, z, random.uniform(1.8, 3.2), wide, wide * slim, self.leaves())

    def end(self) -> Iterator[Thing]:
        """What closes the street off far away: nothing, a row of houses, or trees."""
        random = self.random
        kind, z = random.integers(4), random.uniform(55, 100)
        if kind == 0:
            for side in (-0.01, 0.01):
                yield Building(side, z, z + 10, random.uniform(6, 18), 40, 0.0)
        elif kind == 1:
            for x in range(-35, 36, 6):
                yield self.tree(x, z + random.uniform(0, 12))

    def lots(self, side: int) -> Iterator[Thing]:
        """Buildings wall by wall, with alleys and green between them, from the camera to the end."""
        random, street = self.random, self.street
        place = (side + 1) // 2
        wall = street.kerb(side) + street.walks[place] + street.gardens[place]
        built, storeys = (0.95, 0.8, 0.4)[random.integers(3)], random.uniform(1.5, 6)
        z, joined = NEAR, 0.0
        while z < FARTHEST:
            end = z + random.uniform(7, 20)
            if street.crossing:
                low, high = street.crossing[0] - CORNER, street.crossing[1] + CORNER
                if z < high and end > low:
                    end = low
            before, joined = joined, 0.0
            if end - z > 3:
                if random.random() < built:
                    floors = max(1, round(storeys + random.uniform(-1.5, 1.5)))
                    pitched = floors <= 3 and random.random() < 0.6
                    height = 3.2 * floors + random.uniform(0.4, 1.2)
                    roof = random.uniform(1.5, 3.5) if pitched else 0.0
                    joined = height
                    yield Building(side * wall, z, end, height, random.uniform(8, 15), roof, before)
                else:
                    yield from self.green(side * wall, (z, end))
            if street.crossing and end == street.crossing[0] - CORNER:
                end, joined = street.crossing[1] + CORNER, 0.0
            alley = random.uniform(1, 4) if random.random() < 0.25 else 0.0
            z, joined = end + alley, 0.0 if alley else joined

    def green(self, wall: float, ends: Place) -> Iterator[Thing]:
        """A lot without a house: trees, and bushes along the street."""
        random, away = self.random, math.copysign(1, wall)
        near, far = max(ends[0], 3.0), ends[1]
        if near > far:
            return
        for _ in range(random.integers(1, 4)):
            yield self.tree(wall + away * random.uniform(1.5, 9), random.uniform(near, far))
        if random.random() < 0.6 and near < HEDGES:
            size = random.uniform(0.6, 1.1)
            for z in np.arange(near, far, 1.9 * size).tolist():
                wide, high = size * random.uniform(1.1, 1.5), size * random.uniform(0.7, 1.0)
                yield Tree(wall + 1.2 * away, z, 0.0, wide, high, self.leaves())

    def avenue(self, side: int) -> Iterator[Thing]:
        """Trees along the kerb."""
        random, street = self.random, self.street
        z, step = random.uniform(5, 14), random.uniform(8, 16)
        if random.random() < 0.45 and street.walks[(side + 1) // 2]:
            while z < 60:
                if street.free(z, z):
                    yield self.tree(side * (street.kerb(side) + 0.8), z)
                z += step * random.uniform(0.85, 1.2)

    def poles(self, side: int) -> Iterator[Thing]:
        """Lamps and signs where there is room beside the road, and traffic lights before a crossing."""
        random, street = self.random, self.street
        place, x = (side + 1) // 2, street.kerb(side) + 0.45
        tall, arm = random.uniform(4.2, 7.5), random.uniform(0.9, 1.9) * random.integers(2)
        z, step = random.uniform(5, 16), random.uniform(14, 26)
        if street.walks[place] + street.gardens[place] > 0.8:
            if random.random() < 0.8:
                for distance in np.arange(z, 50, step).tolist():
                    if street.free(distance, distance):
                        yield Pole(side * x, distance, tall, "lamp", -side * arm)
            for _ in range(random.poisson(1.3)):
                x_sign, height = x + random.uniform(0, 0.3), random.uniform(2.3, 3.1)
                yield Pole(side * x_sign, _distance(random, 4.5, 40), height, "sign")
        if street.crossing and random.random() < 0.6:
            yield Pole(side * x, street.crossing[0] - 0.4, 3.4, "lights")

    def parked(self, side: int) -> Iterator[Thing]:
        """Cars at the kerb, with gaps."""
        random, street = self.random, self.street
        if not street.parking[(side + 1) // 2]:
            return
        filled, coming = random.uniform(0.35, 0.9), random.random() < 0.5
        z = random.uniform(2.5, 9)
        while z < 50:
            shape = _car(random)
            if random.random() < filled and street.free(z, z + shape.length):
                edge = street.kerb(side) - 0.2 - random.uniform(0, 0.15)
                yield Car(-edge if side < 0 else edge - shape.width, z, shape, coming)
            z += shape.length + random.uniform(0.7, 2.2)

    def driving(self) -> Iterator[Thing]:
        """Cars ahead and coming, in their lanes, and one that crosses."""
        random, street = self.random, self.street
        for middle, coming in zip(street.lanes, street.coming, strict=True):
            z = _distance(random, 6, 60)
            while z < 60:
                shape = _car(random)
                if street.free(z, z + shape.length) and random.random() < 0.7:
                    yield Car(middle - shape.width / 2 + random.uniform(-0.25, 0.25), z, shape, coming)
                z += shape.length + random.uniform(5, 40)
        if street.crossing and random.random() < 0.6:
            low, high = street.crossing
            z = random.uniform(low + 0.4, high - 2.4)
            shape = _car(random)
            yield Car(random.uniform(-12, 8), z, shape, random.random() < 0.5, crossing=True)

    def pedestrians(self) -> Iterator[Thing]:
        """People on the sidewalks, some in company, and on the zebra."""
        random, street = self.random, self.street
        sides = [side for side in (-1, 1) if street.walks[(side + 1) // 2]]
        for _ in range(3 + random.poisson(4)):
            side = sides[random.integers(len(sides))]
            x = street.kerb(side) + random.uniform(0.5, max(0.7, street.walks[(side + 1) // 2] - 0.4))
            z = _distance(random, 3.7, 40)
            yield self.person(side * x, z)
            if random.random() < 0.3:
                yield self.person(side * x + random.uniform(0.45, 0.7), z + random.uniform(-0.3, 0.3))
        if street.zebra:
            for _ in range(random.poisson(1.3)):
                yield self.person(random.uniform(street.left, street.right), random.uniform(*street.zebra))

    def person(self, x: float, z: float) -> Pedestrian:
        """A grown-up or a child, standing or walking."""
        random = self.random
        tall = random.uniform(1.0, 1.4) if random.random() < 0.15 else random.uniform(1.55, 1.92)
        return Pedestrian(x, z, tall, random.uniform(0.05, 0.6) * tall / 1.75)


def _distance(random: np.random.Generator, near: float, far: float) -> float:
    """A distance, uniform in its logarithm: as many far things as near ones, which look larger."""
    return math.exp(random.uniform(math.log(near), math.log(far)))


def _car(random: np.random.Generator) -> CarShape:
    return tuple(CAR_SHAPES.values())[drawn(random, (0.35, 0.35, 0.2, 0.1))]
