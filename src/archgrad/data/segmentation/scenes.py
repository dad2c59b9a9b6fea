"""Street scenes made up on the spot, each with its exact mask: a dense-prediction task with nothing to download.

Colours alone do not tell the classes: walls, cars and clothes share theirs, as do clouds, asphalt and slabs, and the
light changes from scene to scene. Cars and pedestrians stand at all distances, in the sizes that perspective gives
them, and hide each other.
"""

import math

import numpy as np
import torch

from archgrad import checks
from archgrad.data.segmentation.ground import Sky, paint_ground, paint_sky, paint_skyline
from archgrad.data.segmentation.labelled import SegmentationData
from archgrad.data.segmentation.layout import draw_street, furnish
from archgrad.data.segmentation.painting import Canvas, blurred, drawn, fractal_tiles
from archgrad.data.segmentation.street import Camera, Light, View
from archgrad.seeding import derive

SCENE_CLASSES = ("sky", "building", "road", "sidewalk", "vegetation", "car", "pole", "pedestrian")
"""Roofs are building; lane marks and shadows on the road are road; trunks and lawns are vegetation; signs, lamps and
traffic lights are pole."""

SCENE_PALETTE = (
    (70, 130, 180),
    (70, 70, 70),
    (128, 64, 128),
    (244, 35, 232),
    (107, 142, 35),
    (0, 0, 142),
    (153, 153, 153),
    (220, 20, 60),
)
"""The colours that Cityscapes (arXiv:1604.01685) gives these classes, in masks."""

SMALLEST = 32
"""Pixels: below that height or width a scene cannot be told."""

LONGEST = 16
"""How many times the height a scene may be wide: the camera sees no farther to the sides."""


def scenes(
    *, train: int = 400, test: int = 100, size: tuple[int, int] = (96, 128), seed: int = 0
) -> tuple[SegmentationData, SegmentationData]:
    """Draw street scenes with their masks for training and test.

    Arguments:
        train, test: how many scenes of each.
        size: height and width in pixels. What a scene shows follows the height; wider ones show more to the sides.
        seed: of the scenes. Scene i of a part depends on the seed, the part and i alone, not on how many are drawn, and
            is the same at every size of the same proportions but for the noise of single pixels.

    Returns:
        Training and test data: images uint8 [N, 3, H, W], masks [N, H, W] with a class of `SCENE_CLASSES` everywhere.
        A mask is painted by the same strokes as its image and has the class that covers the pixel's centre.

    Raises:
        ValueError: `train` or `test` below 1, a side of `size` below `SMALLEST`, or a width above `LONGEST` heights.

    >>> train, test = scenes(train=2, test=1)
    >>> train.shape, len(train), len(test)
    ((3, 96, 128), 2, 1)
    """
    checks.whole("train", train, 1)
    checks.whole("test", test, 1)
    for side, pixels in zip(("height", "width"), size, strict=True):
        checks.whole(f"size: {side}", pixels, SMALLEST)
    if size[1] > LONGEST * size[0]:
        raise ValueError(f"size: the width must be at most {LONGEST} times the height, got {size}.")
    return _part("train", train, size, seed), _part("test", test, size, seed)


def _part(part: str, count: int, size: tuple[int, int], seed: int) -> SegmentationData:
    images = np.empty((count, 3, *size), np.uint8)
    masks = np.empty((count, *size), np.uint8)
    for index in range(count):
        images[index], masks[index] = _scene(np.random.default_rng(derive(seed, "scene", part, index)), size)
    return SegmentationData(torch.from_numpy(images), torch.from_numpy(masks), SCENE_CLASSES, palette=SCENE_PALETTE)


def _scene(random: np.random.Generator, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """An image and its mask, painted from far to near."""
    height, width = size
    camera = Camera(
        height * random.uniform(0.85, 1.3),
        width / 2 + height * random.uniform(-0.3, 0.3),
        height * random.uniform(0.36, 0.56),
        random.uniform(1.3, 2.6),
    )
    sky, light = _weather(random)
    rough, smooth = fractal_tiles(random, 0.4, 1.3)
    view = View(Canvas(height, width), camera, light, rough, smooth, 0.6 * (rough + smooth), random)
    street = draw_street(random)
    things = furnish(random, street)
    paint_sky(view, sky)
    paint_skyline(view)
    paint_ground(view, street, things)
    for thing in things:
        thing.paint(view)
    return _photographed(random, view.canvas), view.canvas.labels


def _weather(random: np.random.Generator) -> tuple[Sky, Light]:
    """Clear, cloudy, overcast, evening or mist: the sky, and the light that comes from it."""
    kind = ("clear", "cloudy", "overcast", "evening", "mist")[drawn(random, (0.3, 0.25, 0.2, 0.13, 0.12))]
    zenith, horizon, cloud, bright, direct, ambient, visibility = {
        "clear": ((0.27, 0.48, 0.82), (0.72, 0.83, 0.94), -0.3, 0.95, 0.4, 0.68, 300),
        "cloudy": ((0.4, 0.54, 0.74), (0.78, 0.82, 0.87), 0.4, 0.85, 0.2, 0.78, 200),
        "overcast": ((0.58, 0.6, 0.63), (0.74, 0.75, 0.76), 0.4, 0.56, 0.0, 0.85, 150),
        "evening": ((0.42, 0.44, 0.6), (0.95, 0.72, 0.52), 0.0, 0.75, 0.35, 0.62, 200),
        "mist": ((0.68, 0.69, 0.7), (0.76, 0.76, 0.76), 0.0, 0.7, 0.0, 0.8, 55),
    }[kind]
    zenith, horizon = (np.array(colour, np.float32) * random.uniform(0.85, 1.1) for colour in (zenith, horizon))
    long = random.uniform(0.3, 1.0) * (2 if kind == "evening" else 1)
    angle = random.uniform(-0.4, 0.9) + math.pi * random.integers(2)
    sun = (long * math.cos(angle), abs(long * math.sin(angle)) if random.random() < 0.6 else long * math.sin(angle))
    sky = Sky(zenith, horizon, cloud + random.uniform(-0.15, 0.15), bright)
    return sky, Light(sun, direct, ambient, horizon, visibility * random.uniform(0.7, 1.3))


def _photographed(random: np.random.Generator, canvas: Canvas) -> np.ndarray:
    """The image [3, H, W] uint8: exposure, tint, uneven light, contrast, blur and the noise of the sensor."""
    warm, green = random.uniform(-0.1, 0.1), random.uniform(-0.03, 0.03)
    tint = np.array([1 + warm, 1 + green, 1 - warm], np.float32) * random.uniform(0.84, 1.2)
    slope = random.uniform(-0.15, 0.15, 2).astype(np.float32)
    dark, contrast = random.uniform(0, 0.2), random.uniform(0.85, 1.2)
    share, noise = random.uniform(0, 0.12), random.uniform(0.004, 0.02)
    height, width = canvas.labels.shape
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    across = np.linspace(-1, 1, width, dtype=np.float32)[None]
    light = 1 + slope[0] * down + slope[1] * across - dark * (down**2 + across**2) / 2
    colours = canvas.colours * light * tint[:, None, None]
    colours = blurred(0.5 + (colours - 0.5) * contrast, share)
    colours = colours + noise * random.standard_normal(colours.shape, np.float32)
    return np.rint(np.clip(colours, 0, 1) * 255).astype(np.uint8)
