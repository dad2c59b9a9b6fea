"""What a street stands on and before: sky, skyline, lawns, sidewalks, road and shadows, painted in perspective."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from archgrad.data.segmentation.layout import CORNER, Street
from archgrad.data.segmentation.painting import TILE, Shape, Window, band, sampled, tone
from archgrad.data.segmentation.street import BUILDING, ROAD, SIDEWALK, SKY, VEGETATION, Thing, View

PAINT = np.array([0.86, 0.85, 0.8], np.float32)
"""Lane marks."""

SHADOWS = 36.0
"""Metres up to which shadows are painted."""


@dataclass(frozen=True, eq=False)
class Sky:
    """Colours at the zenith and the horizon, and how much cloud of which brightness lies before them."""

    zenith: np.ndarray
    horizon: np.ndarray
    cloud: float
    bright: float


def paint_sky(view: View, sky: Sky) -> None:
    """A gradient, and clouds that get lower and wider towards the horizon."""
    camera, window = view.camera, view.canvas.whole()
    shift = int(view.random.integers(TILE))
    up = np.clip((camera.row - window.y) / camera.focal, 0, 1.5)
    share = np.exp(-2.5 * up)
    far = 1 / (up + 0.12)
    across = (window.x - camera.column) / camera.focal * far
    cloud = sampled(view.smooth, far * 40 + shift, across * 50 + shift + 5000)
    cloud = np.clip(0.4 * cloud + sky.cloud, 0, 1) * np.clip(up * 12, 0.2, 1)
    colour = sky.zenith[:, None, None] + (sky.horizon - sky.zenith)[:, None, None] * share
    colour = colour + cloud * (sky.bright - colour) * 0.8
    view.canvas.paint(Shape(window, np.ones_like(view.canvas.colours[0])), colour, SKY)


def paint_skyline(view: View) -> None:
    """Far houses, or woods, along the horizon."""
    random, camera = view.random, view.camera
    heights = random.random(64, np.float32) * (0.036, 0.084, 0.12)[random.integers(3)]
    wide, wood = random.uniform(0.03, 0.09), random.random() < 0.5
    colour = tone(random, 0.3, 0.7)
    window = view.canvas.window((0, view.canvas.width), (camera.row - 0.15 * camera.focal, camera.row + 1))
    if window is None:
        return
    across = (window.x - camera.column) / camera.focal
    height = heights[np.floor(across / wide).astype(np.intp) % 64]
    if wood:
        colour = np.array([0.22, 0.32, 0.17], np.float32)
        height = 0.3 * height + 0.012 * (2 + sampled(view.smooth, np.zeros_like(across), 90 * across + 900))
    grain = 1 + 0.1 * sampled(view.rough, 150 * window.y / camera.focal, 150 * across + 900)
    inside = window.y - (camera.row - height * camera.focal)
    far = view.light.through(colour[:, None, None] * grain, 110.0)
    view.canvas.paint(Shape(window, inside), far, VEGETATION if wood else BUILDING)


@dataclass(frozen=True, eq=False)
class _Ground:
    """The pixels below the horizon: `scale` are pixels per metre across, `deep` along the street."""

    window: Window
    x: np.ndarray
    z: np.ndarray
    scale: np.ndarray
    deep: np.ndarray
    horizon: np.ndarray

    def across(self, low: float, high: float) -> np.ndarray:
        """Distances in pixels to the edges of a strip along the street."""
        return np.minimum(self.x - low, high - self.x) * self.scale

    def along(self, near: float, far: float) -> np.ndarray:
        """Distances in pixels to the edges of a strip across the street; exact as to which side a pixel is on."""
        return np.minimum(self.z - near, far - self.z) * self.deep


def paint_ground(view: View, street: Street, things: Iterable[Thing]) -> None:
    """Lawn, sidewalks, road and its marks, and the shadows of things on them: a shadow belongs to what it falls on."""
    camera, canvas = view.camera, view.canvas
    window = canvas.window((0, canvas.width), (camera.row, canvas.height))
    if window is None:
        return
    horizon = window.y - camera.row
    scale = np.maximum(horizon, 0.02) / camera.height
    z = camera.focal / scale
    ground = _Ground(window, (window.x - camera.column) / scale, z, scale, scale / z, horizon)
    _lawn(view, ground)
    _sidewalks(view, ground, street)
    _road(view, ground, street)
    _shadows(view, things)
    lit = canvas.colours[:, window.rows]
    lit[:] = view.light.through(lit, z)


def _lawn(view: View, ground: _Ground) -> None:
    green = np.array([0.3, 0.4, 0.19], np.float32) * view.random.uniform(0.7, 1.2)
    grain = _grain(view, ground, strength=0.14, cells=14.0)
    inside = np.broadcast_to(ground.horizon, ground.x.shape)
    view.canvas.paint(Shape(ground.window, inside), green[:, None, None] * grain, VEGETATION)


def _grain(view: View, ground: _Ground, *, strength: float, cells: float) -> np.ndarray:
    """Noise around 1, `cells` to the metre, weaker where it gets finer than the pixels."""
    near = np.clip(ground.scale / cells, 0.35, 1)
    return 1 + strength * near * sampled(view.grain, ground.z * cells, ground.x * cells + 9000)


def _sidewalks(view: View, ground: _Ground, street: Street) -> None:
    """Pavement of slabs on either side, around the corners of a crossing, with a kerb."""
    random = view.random
    colour, slab = tone(random, 0.35, 0.75), random.uniform(0.5, 1.3)
    colour = colour * 0.5 + colour.mean() * 0.5
    seam, stone = random.uniform(0, 0.18), random.uniform(0.8, 1.25)
    left, right = street.walks
    strips = []
    if left:
        strips.append(ground.across(street.left - left, street.left))
    if right:
        strips.append(ground.across(street.right, street.right + right))
    if street.crossing:
        near, far = street.crossing
        strips.append(np.broadcast_to(ground.along(near - CORNER, far + CORNER), ground.x.shape))
    inside = np.minimum(np.maximum.reduce(strips), ground.horizon)
    grid = _every(ground.x, slab, ground.scale) + _every(ground.z, slab, ground.deep)
    grain = _grain(view, ground, strength=0.08, cells=16.0) - seam * grid
    kerbs = sum(band((ground.x - edge) * ground.scale, 0.16 * ground.scale) for edge in (street.left, street.right))
    grain = grain * (1 + (stone - 1) * kerbs)
    view.canvas.paint(Shape(ground.window, inside), colour[:, None, None] * grain, SIDEWALK)


def _every(metres: np.ndarray, step: float, scale: np.ndarray) -> np.ndarray:
    """Lines of 4 cm every `step` metres, as shares of the pixels."""
    return band((np.mod(metres, step) - step / 2) * scale, 0.02 * scale)


def _road(view: View, ground: _Ground, street: Street) -> None:
    random = view.random
    brightness, tint = random.uniform(0.22, 0.58), random.uniform(-0.02, 0.02)
    colour = brightness * np.array([1 + tint, 1, 1 - tint], np.float32)
    patches = random.uniform((street.left, 3, 0.6, 1, 0.75), (street.right, 25, 2.5, 6, 1.2), (3, 5)).tolist()
    worn = random.uniform(0.4, 0.95)
    inside = ground.across(street.left, street.right)
    if street.crossing:
        inside = np.maximum(inside, ground.along(*street.crossing))
    inside = np.minimum(inside, ground.horizon)
    grain = _grain(view, ground, strength=0.09, cells=14.0)
    for x, z, wide, long, factor in patches:
        share = np.clip(np.minimum(ground.across(x, x + wide), ground.along(z, z + long)) + 0.5, 0, 1)
        grain = grain * (1 + (factor - 1) * share)
    marks = worn * _marks(view, ground, street) * np.clip(grain, 0, 1)
    pixels = colour[:, None, None] * grain
    pixels = pixels + marks * (PAINT[:, None, None] - pixels)
    view.canvas.paint(Shape(ground.window, inside), pixels, ROAD)


def _marks(view: View, ground: _Ground, street: Street) -> np.ndarray:
    """Lines between lanes, at the edges and before a crossing, and a zebra: the share of paint in each pixel."""
    random = view.random
    period, share = (6.0, 9.0)[random.integers(2)], (0.34, 0.5, 1.0)[random.integers(3)]
    half = random.uniform(0.05, 0.09)
    edges, lanes = random.random() < 0.35, random.random() < 0.85
    dash = band((np.mod(ground.z, period) - period / 2) * ground.deep, share * period / 2 * ground.deep)
    marks = np.zeros_like(ground.x)
    if lanes:
        for middle in street.lanes[1:]:
            line = middle - street.lane_width / 2
            marks = marks + dash * band((ground.x - line) * ground.scale, half * ground.scale)
    if edges:
        for line in (street.lanes[0] - street.lane_width / 2 + 0.2, street.lanes[-1] + street.lane_width / 2 - 0.2):
            marks = marks + band((ground.x - line) * ground.scale, half * ground.scale)
    if street.crossing:
        near, far = street.crossing
        marks = marks * (1 - np.clip(ground.along(near - CORNER - 1, far + CORNER) + 0.5, 0, 1))
    if street.zebra:
        on = np.clip(np.minimum(ground.along(*street.zebra), ground.across(street.left, street.right)) + 0.5, 0, 1)
        stripes = band((np.mod(ground.x, 1.0) - 0.5) * ground.scale, 0.27 * ground.scale)
        marks = marks * (1 - on) + on * stripes
    return np.clip(marks, 0, 1)


def _shadows(view: View, things: Iterable[Thing]) -> None:
    """Darken the ground where the sun does not reach, once however many shadows overlap; without sun, below things."""
    canvas, camera, light = view.canvas, view.camera, view.light
    sun = light.sun if light.direct else (0.0, 0.0)
    dark = np.zeros_like(canvas.colours[0])
    for thing in things:
        if thing.order < SHADOWS:
            shape = canvas.polygon([camera.point(x, 0.0, z) for x, z in thing.shadow(sun)])
            if shape is not None:
                part = dark[shape.window.rows, shape.window.columns]
                np.maximum(part, shape.coverage, out=part)
    canvas.colours *= 1 - (0.35 + 0.45 * light.direct) * dark
