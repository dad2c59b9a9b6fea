import dataclasses

import numpy as np
import pytest
import torch

from archgrad.data.segmentation import SCENE_CLASSES, SCENE_PALETTE, scenes
from archgrad.data.segmentation.ground import paint_ground
from archgrad.data.segmentation.layout import Street
from archgrad.data.segmentation.painting import TILE, Canvas
from archgrad.data.segmentation.street import (
    BUILDING,
    CAR,
    PEDESTRIAN,
    POLE,
    ROAD,
    SIDEWALK,
    SKY,
    VEGETATION,
    Building,
    Camera,
    Light,
    Pole,
    Tree,
    View,
)
from archgrad.data.segmentation.traffic import CAR_SHAPES, Car, Pedestrian

CAMERA = Camera(focal=100.0, column=64.0, row=45.0, height=1.5)
STREET = Street(
    left=-5.0,
    right=4.0,
    walks=(3.0, 0.0),
    gardens=(0.0, 2.0),
    lanes=(-3.0, 0.0),
    lane_width=3.0,
    coming=(True, False),
    parking=(False, False),
    crossing=None,
    zebra=None,
)
THINGS = {
    "building": (Building(-6.0, 12.0, 20.0, 7.0, 10.0, 2.0), BUILDING),
    "car": (Car(-0.9, 8.0, CAR_SHAPES["saloon"]), CAR),
    "coming car": (Car(-3.9, 7.0, CAR_SHAPES["van"], coming=True), CAR),
    "crossing car": (Car(-2.0, 9.0, CAR_SHAPES["hatchback"], crossing=True), CAR),
    "tree": (Tree(3.0, 10.0, 2.0, 2.0, 1.8, (0.3, 0.5, 0.2)), VEGETATION),
    "bush": (Tree(3.0, 10.0, 0.0, 1.0, 0.8, (0.3, 0.5, 0.2)), VEGETATION),
    "lamp": (Pole(2.0, 12.0, 6.0, "lamp", -1.5), POLE),
    "sign": (Pole(2.0, 8.0, 2.5, "sign"), POLE),
    "traffic lights": (Pole(2.0, 8.0, 3.4, "lights"), POLE),
    "pedestrian": (Pedestrian(1.0, 6.0, 1.75, 0.4), PEDESTRIAN),
}


@pytest.fixture(scope="module")
def drawn():
    return scenes(train=40, test=12)


def view(direct=0.3, seed=0):
    """A view of nothing yet: black, without noise or haze."""
    light = Light((0.8, 0.3), direct, 0.7, np.ones(3, np.float32), 1e9)
    still = np.zeros((TILE, TILE), np.float32)
    return View(Canvas(96, 128), CAMERA, light, still, still, still, np.random.default_rng(seed))


def extent(mask):
    """First and last rows and columns of the pixels, the last ones excluded."""
    rows, columns = np.nonzero(mask)
    return rows.min(), rows.max() + 1, columns.min(), columns.max() + 1


def shares(masks):
    return torch.stack([torch.bincount(mask.flatten(), minlength=8) / mask.numel() for mask in masks])


def test_every_pixel_has_one_of_the_classes(drawn):
    for data, count in zip(drawn, (40, 12), strict=True):
        assert data.images.shape == (count, 3, 96, 128)
        assert data.masks.shape == (count, 96, 128)
        assert data.images.dtype == data.masks.dtype == torch.uint8
        assert data.masks.max() < len(SCENE_CLASSES)
        assert data.classes == SCENE_CLASSES
        assert data.palette == SCENE_PALETTE
        assert len(set(data.palette)) == data.num_classes == 8


def test_labels_are_the_places_of_their_names():
    labels = (SKY, BUILDING, ROAD, SIDEWALK, VEGETATION, CAR, POLE, PEDESTRIAN)
    names = ("sky", "building", "road", "sidewalk", "vegetation", "car", "pole", "pedestrian")
    assert tuple(SCENE_CLASSES[label] for label in labels) == names


def test_equal_seeds_give_equal_scenes_and_others_do_not(drawn):
    train, test = scenes(train=2, test=2)
    assert torch.equal(train.images, drawn[0].images[:2])
    assert torch.equal(train.masks, drawn[0].masks[:2])
    assert torch.equal(test.images, drawn[1].images[:2])
    assert not torch.equal(scenes(train=2, test=2, seed=1)[0].masks, train.masks)
    assert not torch.equal(train.masks, test.masks)
    assert len(torch.unique(drawn[0].masks, dim=0)) == 40


def test_drawing_leaves_the_global_random_state_alone():
    before, torch_before = np.random.get_state()[1].tolist(), torch.get_rng_state()  # noqa: NPY002
    scenes(train=1, test=1, size=(32, 32))
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_before)


def test_all_classes_occur_in_most_scenes_and_none_dominates(drawn):
    share = shares(drawn[0].masks)
    assert (share.mean(0) < 0.6).all()
    assert ((share > 0).float().mean(0) > 0.75).all()
    bounds = {
        "sky": (0.08, 0.3),
        "building": (0.15, 0.4),
        "road": (0.2, 0.45),
        "sidewalk": (0.02, 0.15),
        "vegetation": (0.03, 0.25),
        "car": (0.02, 0.15),
        "pole": (0.005, 0.06),
        "pedestrian": (0.003, 0.06),
    }
    for name, mean in zip(SCENE_CLASSES, share.mean(0).tolist(), strict=True):
        low, high = bounds[name]
        assert low < mean < high, (name, mean)


def test_sky_is_above_the_road(drawn):
    rows = torch.arange(96.0)[:, None].expand(96, 128)
    for mask in drawn[0].masks:
        assert rows[mask == SKY].mean() < 48 < rows[mask == ROAD].mean()


def test_colour_alone_does_not_tell_the_classes(drawn):
    """The classifier by the nearest mean colour of a class is far from right, on its own training images too."""
    train, _ = drawn
    colours, labels = train.images.permute(0, 2, 3, 1).reshape(-1, 3).double(), train.masks.flatten().long()
    means = torch.stack([colours[labels == label].mean(0) for label in range(8)])
    counts = torch.bincount(labels * 8 + torch.cdist(colours, means).argmin(1), minlength=64).reshape(8, 8)
    iou = counts.diag() / (counts.sum(0) + counts.sum(1) - counts.diag())
    assert iou.mean() < 0.5


def test_the_light_differs_from_scene_to_scene(drawn):
    brightness = drawn[0].images.float().mean((1, 2, 3))
    assert brightness.std() > 10
    assert 40 < brightness.min() < brightness.max() < 220
    tint = drawn[0].images.float().mean((2, 3))
    assert (tint[:, 0] - tint[:, 2]).std() > 5


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (40, 300), (200, 32)])
def test_any_size(size):
    train, test = scenes(train=2, test=1, size=size)
    assert train.images.shape == (2, 3, *size)
    assert test.masks.shape == (1, *size)
    assert train.masks.unique().numel() > 3


def test_a_scene_is_the_same_at_every_size():
    """At thrice the size, the centre of every third pixel is that of a small pixel: so the labels are the same.

    All but those of poles, which are at least a pixel wide, and of details that are left out where they are too small.
    """
    small, large = (scenes(train=6, test=1, size=size)[0].masks for size in ((48, 64), (144, 192)))
    thin = (small == POLE) | (large[:, 1::3, 1::3] == POLE)
    assert (small == large[:, 1::3, 1::3])[~thin].float().mean() > 0.985


def test_a_wider_picture_of_equal_height_shows_the_same_at_its_middle():
    narrow, wide = (scenes(train=6, test=1, size=(48, width))[0].masks for width in (64, 96))
    assert (narrow == wide[:, :, 16:80]).float().mean() > 0.995


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"train": 0}, "train: must be at least 1, got 0"),
        ({"test": -3}, "test: must be at least 1, got -3"),
        ({"size": (31, 64)}, "size: height: must be at least 32, got 31"),
        ({"size": (64, 16)}, "size: width: must be at least 32, got 16"),
        ({"size": (32, 513)}, r"size: the width must be at most 16 times the height, got \(32, 513\)"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        scenes(**arguments)


@pytest.mark.parametrize("name", THINGS)
def test_a_thing_changes_the_colours_where_it_sets_labels_and_half_a_pixel_around(name):
    thing, label = THINGS[name]
    scene = view()
    thing.paint(scene)
    labelled = scene.canvas.labels == label
    assert labelled.any()
    assert set(np.unique(scene.canvas.labels)) <= {0, label}
    coloured = (scene.canvas.colours > 0).any(0)
    assert coloured[labelled].all()
    padded = np.pad(labelled, 1)
    near = np.max([padded[1 + y : 97 + y, 1 + x : 129 + x] for y in (-1, 0, 1) for x in (-1, 0, 1)], axis=0)
    assert near[coloured].mean() > 0.97  # parts thinner than a pixel may leave colour and no label


@pytest.mark.parametrize("name", THINGS)
def test_a_thing_stands_on_the_ground_at_its_distance(name):
    thing, label = THINGS[name]
    scene = view()
    thing.paint(scene)
    nearest = thing.near if isinstance(thing, Building) else thing.z
    _, bottom, _, _ = extent(scene.canvas.labels == label)
    ground = CAMERA.point(0.0, 0.0, nearest)[1]
    assert bottom == pytest.approx(ground, abs=1.5)


@pytest.mark.parametrize("name", ["car", "coming car", "crossing car", "pedestrian", "tree"])
def test_twice_as_far_is_half_as_large(name):
    thing, label = THINGS[name]
    sizes = []
    for factor in (1, 2):
        scene = view()
        dataclasses.replace(thing, x=thing.x * factor, z=thing.z * factor).paint(scene)
        top, bottom, _, _ = extent(scene.canvas.labels == label)
        sizes.append(bottom - top)
    assert sizes[1] == pytest.approx(sizes[0] / 2, abs=2)


def test_a_car_is_as_wide_and_high_as_perspective_has_it():
    scene = view()
    shape = CAR_SHAPES["van"]
    Car(-shape.width / 2, 10.0, shape).paint(scene)
    top, bottom, left, right = extent(scene.canvas.labels == CAR)
    assert right - left == pytest.approx(shape.width * 10, abs=1)
    assert bottom == pytest.approx(45 + 1.5 * 10, abs=1.5)
    # the roof is farther than the tail
    assert 45 - (shape.height - 1.5) * 10 - 1 < top < 45


def test_near_things_hide_far_ones():
    scene = view()
    Building(-3.0, 4.0, 30.0, 9.0, 10.0, 0.0).paint(scene)
    Pedestrian(-2.0, 9.0, 1.8, 0.3).paint(scene)
    before = (scene.canvas.labels == PEDESTRIAN).sum()
    Car(-3.0, 6.0, CAR_SHAPES["van"]).paint(scene)
    after = (scene.canvas.labels == PEDESTRIAN).sum()
    assert after < before / 2


def test_the_ground_is_what_its_plan_says():
    """A pixel of row r below the horizon shows z = f·h/(r − horizon), and x in proportion to its column."""
    scene = view()
    scene.canvas.labels[:] = 255
    paint_ground(scene, STREET, [])
    y, x = np.mgrid[0.5:96, 0.5:128]
    below = y > 45
    across = (x - 64) * 1.5 / np.where(below, y - 45, 1)
    expected = np.where(
        (across > -5) & (across < 4), ROAD, np.where((across > -8) & (across < -5), SIDEWALK, VEGETATION)
    )
    np.testing.assert_array_equal(scene.canvas.labels, np.where(below, expected, 255))


def test_a_crossing_street_is_road_from_side_to_side_with_pavement_around_the_corners():
    scene = view()
    paint_ground(scene, dataclasses.replace(STREET, crossing=(10.0, 18.0)), [])
    at = {z: scene.canvas.labels[round(CAMERA.point(0.0, 0.0, z)[1])] for z in (8.5, 13.0)}
    assert (at[13.0] == ROAD).all()
    assert at[8.5][0] == at[8.5][127] == SIDEWALK
    assert at[8.5][64] == ROAD


@pytest.mark.parametrize("direct", [0.0, 0.4])
def test_shadows_darken_the_ground_and_leave_its_labels(direct):
    plain, shaded = view(direct), view(direct)
    paint_ground(plain, STREET, [])
    paint_ground(shaded, STREET, [thing for thing, _ in THINGS.values()])
    np.testing.assert_array_equal(plain.canvas.labels, shaded.canvas.labels)
    assert (shaded.canvas.colours <= plain.canvas.colours + 1e-6).all()
    car = CAMERA.point(0.0, 0.0, 9.0)
    assert shaded.canvas.colours[0, round(car[1]), 64] < 0.8 * plain.canvas.colours[0, round(car[1]), 64]


@pytest.mark.parametrize("name", THINGS)
def test_a_shadow_reaches_as_far_as_the_thing_is_high(name):
    thing, _ = THINGS[name]
    for sun in ((0.0, 0.0), (1.0, 0.0), (-0.5, 0.7)):
        corners = thing.shadow(sun)
        assert len(corners) > 2
        assert all(z >= 0.8 for _, z in corners)
    tops = {"building": 7.0, "pedestrian": 1.75, "lamp": 6.0, "sign": 2.5}
    if name in tops:
        still, cast = (max(x for x, _ in thing.shadow(sun)) for sun in ((0.0, 0.0), (1.0, 0.0)))
        assert cast - still == pytest.approx(tops[name])
