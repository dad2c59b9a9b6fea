import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from archgrad.data.segmentation.painting import (
    TILE,
    Canvas,
    band,
    blurred,
    drawn,
    fractal_tiles,
    hull,
    sampled,
    signed_area,
    tone,
)

RED = np.array([1, 0, 0], np.float32)
GREEN = np.array([0, 1, 0], np.float32)
COORDINATE = st.floats(-10, 30, width=16)
POINTS = st.lists(st.tuples(COORDINATE, COORDINATE), min_size=3, max_size=9)


@given(POINTS, st.booleans())
def test_a_polygon_has_the_pixels_whose_centres_lie_on_its_side_of_every_edge(points, backwards):
    corners = hull(points)
    assume(len(corners) > 2 and signed_area(corners) > 0.01)
    canvas = Canvas(12, 20)
    canvas.paint(canvas.polygon(corners[::-1] if backwards else corners), RED, 3)
    y, x = np.mgrid[0.5:12, 0.5:20]
    sides = zip(corners, [*corners[1:], corners[0]], strict=True)
    smallest = np.min([(x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) for (x0, y0), (x1, y1) in sides], axis=0)
    clear = np.abs(smallest) > 1e-3  # centres on an edge belong to either side
    assert ((canvas.labels == 3) == (smallest > 0))[clear].all()


@given(st.floats(2, 8), st.floats(2, 8), st.floats(10, 17), st.floats(10, 17))
def test_the_coverage_of_an_upright_rectangle_sums_to_its_area(left, top, right, bottom):
    shape = Canvas(20, 20).polygon([(left, top), (right, top), (right, bottom), (left, bottom)])
    # the nearest edge alone counts, which is off by at most a quarter of a pixel at each corner
    assert shape.coverage.sum() == pytest.approx((right - left) * (bottom - top), abs=1)


def test_an_ellipse_has_the_pixels_whose_centres_fulfil_its_equation():
    canvas = Canvas(16, 24)
    canvas.paint(canvas.ellipse((11.3, 7.8), 8.0, 4.5), RED, 1)
    y, x = np.mgrid[0.5:16, 0.5:24]
    np.testing.assert_array_equal(canvas.labels == 1, ((x - 11.3) / 8) ** 2 + ((y - 7.8) / 4.5) ** 2 <= 1)


@given(POINTS, POINTS)
def test_a_pixel_has_the_label_of_the_last_shape_that_covers_more_than_half_of_it(first, second):
    canvas = Canvas(12, 20)
    for points, colour, label in ((first, RED, 1), (second, GREEN, 2)):
        corners = hull(points)
        assume(len(corners) > 2 and signed_area(corners) > 0.01)
        canvas.paint(canvas.polygon(corners), colour, label)
    red, green, _ = canvas.colours
    clear = np.abs(green - 0.5) > 1e-3
    np.testing.assert_array_equal((canvas.labels == 2)[clear], (green > 0.5)[clear])
    assert (canvas.labels[(green == 0) & (red > 0.501)] == 1).all()
    assert (canvas.labels[(green == 0) & (red < 0.499)] == 0).all()


@pytest.mark.parametrize("points", [[(-9, 2), (-3, 2), (-3, 8)], [(2, 40), (8, 40), (8, 50)], [(1, 1), (1, 1), (5, 5)]])
def test_shapes_outside_and_shapes_without_corners_paint_nothing(points):
    canvas = Canvas(12, 20)
    canvas.paint(canvas.polygon([(float(x), float(y)) for x, y in points]), RED, 1)
    assert not canvas.labels.any()
    assert not canvas.colours.any()
    assert canvas.ellipse((40.0, 3.0), 5.0, 5.0) is None


@given(POINTS)
def test_the_hull_is_convex_and_contains_its_points(points):
    corners = hull(points)
    assume(len(corners) > 2)
    assert set(corners) <= set(points)
    for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
        assert all((x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) >= 0 for x, y in points)


@given(st.floats(0.01, 4), st.floats(8, 12))
def test_a_band_covers_its_width_however_narrow_it_is(half, middle):
    assert band(np.arange(0.5, 20) - middle, half).sum() == pytest.approx(2 * half)


def test_noise_is_standardised_without_a_seam_and_coarser_with_its_exponent():
    white, fine, coarse = fractal_tiles(np.random.default_rng(0), 0.0, 0.4, 1.3)
    for tile in (white, fine, coarse):
        assert tile.mean() == pytest.approx(0, abs=0.05)
        assert tile.std() == pytest.approx(1, abs=1e-3)
    alike = [(tile * np.roll(tile, 1, axis=1)).mean() for tile in (white, fine, coarse)]
    assert abs(alike[0]) < 0.05 < alike[1] < 0.7 < alike[2]
    first, last, middle = coarse[:, 0], coarse[:, -1], coarse[:, TILE // 2]
    assert ((first - last) ** 2).mean() < 0.5 * ((first - middle) ** 2).mean()  # neighbours once the tile repeats
    row, column = np.array([[-1.0 - TILE], [3.9 + TILE]]), np.array([[5.2, 7.0 + 2 * TILE]])
    np.testing.assert_array_equal(sampled(white, row, column), white[[[-1], [3]], [[5, 7]]])


def test_blur_keeps_a_point_s_light_and_spreads_it_evenly():
    point = np.zeros((3, 7, 7), np.float32)
    point[:, 3, 3] = 1
    spread = blurred(point, 0.1)
    np.testing.assert_allclose(spread[0, 2:5, 2:5], np.outer([0.1, 0.8, 0.1], [0.1, 0.8, 0.1]), atol=1e-6)
    assert spread.sum() == pytest.approx(3, abs=1e-5)
    np.testing.assert_allclose(blurred(np.ones((3, 4, 5), np.float32), 0.12), 1, atol=1e-6)


def test_indices_are_drawn_with_their_shares():
    random = np.random.default_rng(0)
    counts = np.bincount([drawn(random, (0.5, 0.0, 0.3, 0.2)) for _ in range(2000)], minlength=4)
    np.testing.assert_allclose(counts / 2000, (0.5, 0, 0.3, 0.2), atol=0.04)


def test_tones_stay_within_their_brightness():
    random = np.random.default_rng(0)
    brightest = [tone(random, 0.2, 0.6).max() for _ in range(200)]
    assert min(brightest) > 0.19
    assert max(brightest) <= 0.6


def test_the_signed_area_is_that_of_the_shoelace_formula():
    angles = [2 * math.pi * corner / 8 for corner in range(8)]
    octagon = [(math.cos(angle), math.sin(angle)) for angle in angles]
    assert signed_area(octagon) == pytest.approx(2 * 2 * math.sqrt(2))
    assert signed_area(octagon[::-1]) == pytest.approx(-2 * 2 * math.sqrt(2))
