from fractions import Fraction
from math import floor

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import interpolate

from archgrad.data import augment
from archgrad.data.segmentation.augment import DenseAugmentation, DenseDraws
from archgrad.data.segmentation.labelled import SegmentationData

OFF = {"scale": (1, 1), "flip": False}
MOMENTS = {"mean": (0.5, 0.25, 0.1), "std": (0.2, 0.3, 0.4)}
NOTHING = DenseDraws(None, None, None, None, None, None)


def noise(*shape, dtype=torch.uint8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    if dtype == torch.uint8:
        return torch.randint(1, 256, shape, generator=generator, dtype=dtype)
    return torch.rand(shape, generator=generator)


def labels(*shape, seed=0):
    return torch.randint(0, 5, shape, generator=seeded(seed), dtype=torch.uint8)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def nearest_and_neighbours(place, size, length):
    """The pixel, the two pixels around and the weight of the second, by the formula of the docstring; None outside."""
    if not 0 <= place < size:
        return None
    coordinate = (place + Fraction(1, 2)) * Fraction(length, size) - Fraction(1, 2)
    low = floor(coordinate)
    pair = [min(max(pixel, 0), length - 1) for pixel in (low, low + 1)]
    return min(floor(coordinate + Fraction(1, 2)), length - 1), *pair, float(coordinate - low)


def luma(channels):
    return torch.tensor([0.299, 0.587, 0.114] if channels == 3 else [1 / channels] * channels).view(-1, 1, 1)


def jittered(image, augmentation, draws, index):
    def grey(pixels):
        return (luma(len(pixels)) * pixels).sum(0)

    if augmentation.brightness:
        image = image * draws.brightness[index]
    if augmentation.contrast:
        image = draws.contrast[index] * image + (1 - draws.contrast[index]) * grey(image).mean()
    if augmentation.saturation:
        image = draws.saturation[index] * image + (1 - draws.saturation[index]) * grey(image)
    return image


def one_by_one(augmentation, images, masks, draws, ignore):
    """The pipeline as loops over images and pixels, with fractions: jitter, then read every pixel of the crop."""
    batch, channels, *extent = images.shape
    rows, columns = augmentation.crop or extent
    results = torch.zeros(batch, channels, rows, columns)
    results_mask = torch.full((batch, rows, columns), ignore)
    mean, std = torch.tensor(augmentation.mean or (0.0,)), torch.tensor(augmentation.std or (1.0,))
    for index, image in enumerate(images.float() / (255 if images.dtype == torch.uint8 else 1)):
        image = jittered(image, augmentation, draws, index)
        size = extent if draws.size is None else draws.size[index].tolist()
        offset = (0, 0) if draws.offset is None else draws.offset[index].tolist()
        for i in range(rows):
            for j in range(columns):
                mirrored = columns - 1 - j if draws.flip is not None and draws.flip[index] else j
                down = nearest_and_neighbours(i + offset[0], size[0], extent[0])
                across = nearest_and_neighbours(mirrored + offset[1], size[1], extent[1])
                if down and across:
                    (y, top, bottom, v), (x, left, right, h) = down, across
                    pixel = (1 - v) * ((1 - h) * image[:, top, left] + h * image[:, top, right])
                    pixel = pixel + v * ((1 - h) * image[:, bottom, left] + h * image[:, bottom, right])
                    if draws[3:] != (None, None, None):
                        pixel = pixel.clamp(0, 1)
                    results[index, :, i, j] = (pixel - mean) / std
                    results_mask[index, i, j] = masks[index, y, x]
    return results, results_mask


@settings(max_examples=40, deadline=None)
@given(
    st.none() | st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.sampled_from([(1, 1), (0.5, 2.0), (0.1, 0.1), (3, 3), (0.7, 1.3)]),
    st.booleans(),
    st.tuples(*[st.sampled_from([0, 0.4, 1])] * 3),
    st.sampled_from([(torch.uint8, 3), (torch.uint8, 1), (torch.float32, 2), (torch.float32, 3)]),
    st.integers(0, 99),
)
def test_batched_equals_one_by_one(crop, scale, flip, strengths, kind, seed):
    dtype, channels = kind
    brightness, contrast, saturation = strengths
    augmentation = DenseAugmentation(
        crop,
        scale,
        flip,
        brightness,
        contrast,
        saturation if channels == 3 else 0,
        **(MOMENTS if channels == 3 else {}),
    )
    images, masks = noise(3, channels, 4, 5, dtype=dtype, seed=seed), labels(3, 4, 5, seed=seed)
    draws = augmentation.draw(images, seeded(seed))
    values, classes = augmentation(images, masks, seeded(seed), ignore=200)
    expected, expected_classes = one_by_one(augmentation, images, masks, draws, 200)
    torch.testing.assert_close(values, expected.contiguous(memory_format=torch.channels_last), atol=2e-5, rtol=0)
    assert torch.equal(classes, expected_classes)
    assert (values.dtype, classes.dtype) == (torch.float32, torch.int64)
    assert values.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("moments", [{}, MOMENTS])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_identity_when_all_is_off(dtype, moments):
    off = DenseAugmentation(**OFF, **moments)
    images, masks = noise(4, 3, 5, 6, dtype=dtype), labels(4, 5, 6)
    generator = seeded()
    before = generator.get_state()
    values, classes = off(images, masks, generator, ignore=255)
    assert torch.equal(values, off.normalise(images))
    assert torch.equal(classes, masks.long())
    assert torch.equal(generator.get_state(), before)
    assert off.draw(images, generator) == NOTHING


def test_drawn_but_trivial_steps_are_the_identity_bit_for_bit():
    augmentation = DenseAugmentation(**MOMENTS)
    images, masks = noise(2, 3, 5, 7), labels(2, 5, 7)
    size, offset, flip = torch.tensor([[5, 7]] * 2), torch.zeros(2, 2).long(), torch.zeros(2).bool()
    for steps in ((size, None, None), (None, offset, None), (None, None, flip), (size, offset, flip)):
        draws = DenseDraws(*steps, None, None, None)
        values, classes = augmentation.apply(images, masks, draws, ignore=255)
        assert torch.equal(values, augmentation.normalise(images))
        assert torch.equal(classes, masks.long())


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.integers(1, 7), st.booleans(), st.integers(0, 99))
def test_a_crop_at_scale_1_is_a_slice(height, width, flip, seed):
    augmentation = DenseAugmentation((height, width), (1, 1), flip, **MOMENTS)
    images, masks = noise(4, 3, 6, 7, seed=seed), labels(4, 6, 7, seed=seed)
    draws = augmentation.draw(images, seeded(seed))
    values, classes = augmentation(images, masks, seeded(seed), ignore=255)
    assert draws.size is None
    for index in range(4):
        top, left = (0, 0) if draws.offset is None else draws.offset[index].tolist()
        window = (..., slice(top, top + height), slice(left, left + width))
        image, mask = augmentation.normalise(images)[index][window], masks[index][window].long()
        if flip and draws.flip[index]:
            image, mask = image.flip(-1), mask.flip(-1)
        assert torch.equal(values[index], image)
        assert torch.equal(classes[index], mask)


def test_a_scaled_crop_is_a_slice_of_the_resized_image():
    augmentation = DenseAugmentation((30, 40), (0.5, 2.0), flip=False)
    images, masks = noise(6, 3, 37, 53), labels(6, 37, 53)
    draws = augmentation.draw(images, seeded(3))
    values, _ = augmentation.apply(images, masks, draws, ignore=255)
    for image, result, size, (top, left) in zip(images, values, draws.size, draws.offset.tolist(), strict=True):
        resized = interpolate(image[None] / 255, size=size.tolist(), mode="bilinear", align_corners=False)[0]
        padded = torch.nn.functional.pad(resized, [40, 40, 30, 30])
        window = padded[:, top + 30 : top + 60, left + 40 : left + 80]
        torch.testing.assert_close(result, window.contiguous(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("scale", [(1, 1), (0.5, 2.0)])
@pytest.mark.parametrize("axis", [0, 1])
def test_image_and_mask_are_read_at_the_same_coordinates(axis, scale):
    # a ramp interpolates to the coordinate itself, of which the mask's label is the nearest whole number
    masks = torch.arange(60, dtype=torch.uint8)
    masks = (masks[:, None].expand(60, 60) if axis == 0 else masks.expand(60, 60)).expand(8, 60, 60).contiguous()
    augmentation = DenseAugmentation((50, 70), scale)
    values, classes = augmentation(masks[:, None].float(), masks, seeded(), ignore=255)
    inside = classes != 255
    distance = (values[:, 0] - classes)[inside].abs()
    assert inside.any(2).any(1).all()
    assert distance.max() <= (0 if scale == (1, 1) else 0.5001)
    assert (values[:, 0][~inside] == 0).all()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_flipped_twice_is_the_identity(dtype):
    augmentation = DenseAugmentation(scale=(1, 1))
    images, masks = noise(8, 3, 4, 5, dtype=dtype), labels(8, 4, 5)
    draws = augmentation.draw(images, seeded())
    once, mirrored = augmentation.apply(images, masks, draws, ignore=255)
    assert torch.equal(mirrored[draws.flip], masks[draws.flip].flip(2).long())
    twice, back = augmentation.apply(once, mirrored, draws, ignore=255)
    assert torch.equal(twice, augmentation.normalise(images))
    assert torch.equal(back, masks.long())


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 99))
def test_a_crop_lies_in_the_image_or_contains_it(height, width, seed):
    images = torch.zeros(50, 1, 17, 11)
    draws = DenseAugmentation((height, width)).draw(images, seeded(seed))
    for axis, crop in enumerate((height, width)):
        start, size = draws.offset[:, axis], draws.size[:, axis]
        larger = size >= crop
        assert (torch.where(larger, start, -start) >= 0).all()
        assert (torch.where(larger, size - (start + crop), start + crop - size) >= 0).all()


@pytest.mark.parametrize(("crop", "starts"), [((3, 5), [0, 1, 2]), ((7, 5), [-2, -1, 0])])
def test_offsets_are_uniform_and_half_of_the_images_are_flipped(crop, starts):
    draws = DenseAugmentation(crop, (1, 1)).draw(torch.zeros(9000, 1, 5, 5), seeded())
    share = torch.stack([(draws.offset[:, 0] == start).double().mean() for start in starts])
    assert share.sub(1 / 3).abs().max().item() < 4 * (1 / 3 * 2 / 3 / 9000) ** 0.5
    assert share.sum() == 1
    assert (draws.offset[:, 1] == 0).all()
    assert draws.flip.double().mean().item() == pytest.approx(0.5, abs=4 * (0.25 / 9000) ** 0.5)


def test_scales_are_uniform_in_the_logarithm_and_the_same_for_both_axes():
    size = DenseAugmentation(scale=(0.25, 4.0)).draw(torch.zeros(1).expand(9000, 1, 1000, 2000), seeded()).size
    share = size[:, 0].double().div(1000).log2().add(2).div(4)
    assert 0 <= share.min() < 0.001 < 0.999 < share.max() <= 1
    for quantile in (0.25, 0.5, 0.75):
        assert share.quantile(quantile).item() == pytest.approx(quantile, abs=4 * (0.25 / 9000) ** 0.5)
    assert (size[:, 1] - 2 * size[:, 0]).abs().max() <= 1


def test_an_image_has_at_least_one_pixel_however_small_it_is_scaled():
    augmentation = DenseAugmentation((2, 2), (1e-6, 1e-6), flip=False)
    values, classes = augmentation(torch.ones(5, 1, 8, 8), torch.zeros(5, 8, 8).long(), seeded(), ignore=9)
    assert (values.sum((1, 2, 3)) == 1).all()
    assert torch.equal(classes == 9, values[:, 0] == 0)


def test_outside_is_the_mean_and_ignored():
    augmentation = DenseAugmentation((6, 7), (0.5, 1.0), brightness=0.5, mean=(0.25,), std=(0.5,))
    images = torch.full((16, 1, 4, 4), 255, dtype=torch.uint8)
    values, classes = augmentation(images, torch.ones(16, 4, 4, dtype=torch.uint8), seeded(), ignore=99)
    assert set(classes.unique().tolist()) == {1, 99}
    assert (values[:, 0][classes == 99] == 0).all()
    assert (values[:, 0][classes == 1] > 0).all()


def test_a_crop_without_a_class_is_none_of_its_business():
    _, classes = DenseAugmentation((2, 2))(noise(3, 1, 8, 8), torch.full((3, 8, 8), 255), seeded(), ignore=255)
    assert (classes == 255).all()


def applied(images, **factors):
    factors = {name: torch.full((len(images),), value) for name, value in factors.items()}
    masks = torch.zeros_like(images[:, 0]).long()
    return DenseAugmentation().apply(images, masks, NOTHING._replace(**factors), ignore=255)[0]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_factors_of_one_change_nothing_and_factors_of_zero_leave_black_and_grey(dtype, channels):
    images = noise(3, channels, 4, 5, dtype=dtype)
    pixels = images / 255 if dtype == torch.uint8 else images
    grey = (pixels * luma(channels)).sum(1, keepdim=True)
    torch.testing.assert_close(applied(images, brightness=1.0, contrast=1.0, saturation=1.0).contiguous(), pixels)
    assert (applied(images, brightness=0.0) == 0).all()
    constant = grey.mean((2, 3), keepdim=True).expand_as(pixels)
    torch.testing.assert_close(applied(images, contrast=0.0).contiguous(), constant.contiguous())
    torch.testing.assert_close(applied(images, saturation=0.0).contiguous(), grey.expand_as(pixels).contiguous())


def test_brightness_multiplies_and_all_is_clamped_to_the_range():
    images = torch.tensor([0.0, 0.25, 0.5, 0.75]).view(1, 1, 1, 4)
    assert applied(images, brightness=2.0).flatten().tolist() == [0, 0.5, 1, 1]
    assert applied(images, contrast=2.0).flatten().tolist() == [0, 0.125, 0.625, 1]
    assert applied(images, brightness=2.0, contrast=0.0).flatten().tolist() == [0.75] * 4


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99))
def test_saturation_keeps_greys_and_the_jitter_the_range(seed):
    greys = noise(4, 1, 3, 3, dtype=torch.float32, seed=seed).expand(4, 3, 3, 3).contiguous()
    torch.testing.assert_close(applied(greys, saturation=1.7).contiguous(), greys)
    augmentation = DenseAugmentation(brightness=1, contrast=1, saturation=1)
    values, _ = augmentation(noise(4, 3, 5, 5, seed=seed), labels(4, 5, 5), seeded(seed), ignore=255)
    assert values.min() >= 0
    assert values.max() <= 1


def test_contrast_takes_the_mean_of_the_whole_image_whatever_the_crop():
    images = noise(6, 3, 8, 8)
    augmentation = DenseAugmentation((2, 2), (1, 1), flip=False, contrast=0.5)
    draws = augmentation.draw(images, seeded())
    values, _ = augmentation.apply(images, labels(6, 8, 8), draws, ignore=255)
    whole, _ = augmentation.apply(images, labels(6, 8, 8), NOTHING._replace(contrast=draws.contrast), ignore=255)
    for result, image, (top, left) in zip(values, whole, draws.offset.tolist(), strict=True):
        assert torch.equal(result, image[:, top : top + 2, left : left + 2])


def test_factors_are_uniform_and_each_image_has_its_own():
    augmentation = DenseAugmentation(**OFF, brightness=0.4, contrast=1, saturation=0.1)
    draws = augmentation.draw(torch.zeros(9000, 3, 1, 1), seeded())
    for factor, strength in ((draws.brightness, 0.4), (draws.contrast, 1), (draws.saturation, 0.1)):
        share = (factor.double() - 1 + strength) / (2 * strength)
        assert -1e-6 < share.min() < 0.001 < 0.999 < share.max() < 1 + 1e-6
        assert share.mean().item() == pytest.approx(0.5, abs=4 * (1 / 12 / 9000) ** 0.5)
        assert len(factor.unique()) > 4000


def test_the_generator_alone_decides():
    augmentation = DenseAugmentation((6, 6), brightness=0.3, contrast=0.3, saturation=0.3)
    arguments = noise(8, 3, 8, 8), labels(8, 8, 8)

    def results(seed):
        return augmentation(*arguments, seeded(seed), ignore=255)

    assert all(map(torch.equal, results(1), results(1)))
    assert not any(map(torch.equal, results(1), results(2)))


@pytest.mark.parametrize(
    ("field", "value", "moves"),
    [
        ("crop", (7, 7), True),
        ("scale", (0.5, 0.5), True),
        ("flip", True, True),
        ("brightness", 0.5, False),
        ("contrast", 0.5, False),
        ("saturation", 0.5, False),
    ],
)
def test_each_switch_changes_the_image_and_the_mask_where_pixels_move(field, value, moves):
    arguments = noise(8, 3, 8, 8), labels(8, 8, 8)
    plain, changed = DenseAugmentation(**OFF), DenseAugmentation(**{**OFF, field: value})
    before, after = (augmentation(*arguments, seeded(), ignore=255) for augmentation in (plain, changed))
    assert not torch.equal(before[0], after[0])
    assert torch.equal(before[1], after[1]) == (not moves)


def test_inputs_are_left_as_they_are():
    images, masks = noise(4, 3, 6, 6, dtype=torch.float32), labels(4, 6, 6).long()
    copies = images.clone(), masks.clone()
    for augmentation in (DenseAugmentation(brightness=0.5), DenseAugmentation(**OFF), DenseAugmentation((9, 9))):
        augmentation(images, masks, seeded(), ignore=255)
        assert torch.equal(images, copies[0])
        assert torch.equal(masks, copies[1])


def data(images):
    return SegmentationData(images, torch.zeros_like(images[:, 0]), ("a",))


@pytest.mark.parametrize("values_in_a_chunk", [1, 200, 10**6])
def test_fitted_moments_standardise_the_data_in_chunks_of_any_size(monkeypatch, values_in_a_chunk):
    monkeypatch.setattr(augment, "VALUES", values_in_a_chunk)
    images = noise(11, 3, 4, 6)
    fitted = DenseAugmentation().fitted(data(images))
    values = fitted.normalise(images).double()
    assert values.mean((0, 2, 3)).abs().max() < 1e-5
    assert values.std((0, 2, 3), correction=0).sub(1).abs().max() < 1e-5
    assert fitted.fitted(data(images[:2])) is fitted


def test_fitted_keeps_all_else():
    augmentation = DenseAugmentation((3, 3), (1, 2), False, 0.1, 0.2)
    constant = data(torch.full((2, 1, 2, 2), 51, dtype=torch.uint8))
    assert augmentation.fitted(constant) == DenseAugmentation((3, 3), (1, 2), False, 0.1, 0.2, 0, (0.2,), (1.0,))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"crop": (5, 0)}, "crop: must be at least 1, got 0"),
        ({"scale": (0, 1)}, "scale: must be above 0, got 0"),
        ({"scale": (2.0, 0.5)}, r"scale: must begin with the smaller zoom, got \(2.0, 0.5\)"),
        ({"brightness": -0.1}, r"brightness: must lie in \[0, 1\], got -0.1"),
        ({"contrast": 1.1}, r"contrast: must lie in \[0, 1\], got 1.1"),
        ({"saturation": float("nan")}, r"saturation: must lie in \[0, 1\], got nan"),
        ({"mean": (0.5,)}, "std: is None although mean is given"),
    ],
)
def test_impossible_settings(arguments, message):
    with pytest.raises(ValueError, match=message):
        DenseAugmentation(**arguments)


@pytest.mark.parametrize(
    ("augmentation", "message"),
    [
        (DenseAugmentation(**MOMENTS), "mean: has 3 entries, the images have 1 channels"),
        (DenseAugmentation(saturation=0.5), r"saturation: needs 3 channels \(red, green, blue\), got 0.5 for 1"),
    ],
)
def test_impossible_channels(augmentation, message):
    images = noise(2, 1, 4, 4)
    with pytest.raises(ValueError, match=message):
        augmentation.fitted(data(images))
    with pytest.raises(ValueError, match=message):
        augmentation(images, labels(2, 4, 4), seeded(), ignore=255)
