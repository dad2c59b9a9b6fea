import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archgrad.data import CIFAR10_MEAN, CIFAR10_STD, Augmentation, ImageData


def noise(*shape, dtype=torch.uint8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    if dtype == torch.uint8:
        return torch.randint(1, 256, shape, generator=generator, dtype=dtype)
    return torch.randn(shape, generator=generator)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def one_by_one(augmentation, images, draws):
    """The pipeline as loops over images and pixels: pad, crop, flip, normalise, cut out."""
    results = []
    padding, (_, channels, height, width) = augmentation.crop_padding, images.shape
    for index, image in enumerate(images):
        padded = torch.zeros(channels, height + 2 * padding, width + 2 * padding, dtype=image.dtype)
        padded[:, padding : padding + height, padding : padding + width] = image
        top, left = draws.offset[index].tolist() if padding else (0, 0)
        image = padded[:, top : top + height, left : left + width]
        if augmentation.flip and draws.flip[index]:
            image = image.flip(2)
        values = image.float() / 255 if image.dtype == torch.uint8 else image.float()
        if augmentation.mean is not None:
            rows = zip(values, augmentation.mean, augmentation.std, strict=True)
            values = torch.stack([(v - torch.tensor(m)) / torch.tensor(s) for v, m, s in rows])
        values = values.clone()
        if augmentation.cutout:
            row, column = (draws.centre[index] - augmentation.cutout // 2).tolist()
            for y in range(max(0, row), min(height, row + augmentation.cutout)):
                for x in range(max(0, column), min(width, column + augmentation.cutout)):
                    values[:, y, x] = 0
        results.append(values)
    return torch.stack(results)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 3),
    st.booleans(),
    st.integers(0, 12),
    st.booleans(),
    st.sampled_from([torch.uint8, torch.float32]),
    st.integers(0, 99),
)
def test_batched_equals_one_by_one(crop_padding, flip, cutout, normalised, dtype, seed):
    moments = {"mean": CIFAR10_MEAN, "std": CIFAR10_STD} if normalised else {}
    augmentation = Augmentation(crop_padding=crop_padding, flip=flip, cutout=cutout, **moments)
    images = noise(5, 3, 7, 6, dtype=dtype, seed=seed)
    draws = augmentation.draw(images, seeded(seed))
    result = augmentation(images, seeded(seed))
    assert torch.equal(result, one_by_one(augmentation, images, draws))
    assert result.dtype == torch.float32
    assert result.shape == images.shape
    assert result.is_contiguous(memory_format=torch.channels_last)


def test_identity_when_all_is_off():
    off = Augmentation(crop_padding=0, flip=False)
    images = noise(4, 3, 6, 6, dtype=torch.float32)
    generator = seeded()
    before = generator.get_state()
    assert torch.equal(off(images, generator), images)
    assert torch.equal(generator.get_state(), before)
    assert off.draw(images, generator) == (None, None, None)


def test_bytes_are_scaled_and_floats_are_not():
    off = Augmentation(crop_padding=0, flip=False, mean=(0.5,), std=(0.25,))
    assert off.normalise(torch.full((1, 1, 1, 1), 255, dtype=torch.uint8)).item() == 2
    assert off.normalise(torch.full((1, 1, 1, 1), 255.0)).item() == (255 - 0.5) * 4


def test_the_border_of_a_crop_is_black_before_normalisation():
    augmentation = Augmentation(crop_padding=2, flip=False, mean=(0.5,), std=(0.25,))
    images = torch.full((64, 1, 4, 4), 255, dtype=torch.uint8)
    assert augmentation(images, seeded()).unique().tolist() == [-2, 2]


def test_cutout_is_zero_after_normalisation():
    augmentation = Augmentation(crop_padding=0, flip=False, cutout=2, mean=(0.5,), std=(0.25,))
    images = torch.full((64, 1, 4, 4), 255, dtype=torch.uint8)
    assert augmentation(images, seeded()).unique().tolist() == [0, 2]


def test_half_of_the_images_are_flipped():
    augmentation = Augmentation(crop_padding=0)
    images = torch.tensor([1.0, 2.0]).expand(4000, 1, 1, 2).contiguous()
    flipped = (augmentation(images, seeded())[:, 0, 0, 0] == 2).double().mean().item()
    assert flipped == pytest.approx(0.5, abs=4 * (0.25 / 4000) ** 0.5)


def test_offsets_and_centres_are_uniform():
    augmentation = Augmentation(crop_padding=1, flip=False, cutout=1)
    draws = augmentation.draw(torch.zeros(9000, 1, 3, 3), seeded())
    for positions in (draws.offset, draws.centre):
        share = torch.bincount(positions[:, 0] * 3 + positions[:, 1], minlength=9) / 9000
        assert share.sub(1 / 9).abs().max().item() < 4 * (1 / 9 * 8 / 9 / 9000) ** 0.5


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 9), st.integers(0, 99))
def test_cutout_area_is_that_of_the_clipped_square(side, seed):
    augmentation = Augmentation(crop_padding=0, flip=False, cutout=side)
    images = torch.ones(16, 2, 6, 6)
    area = (augmentation(images, seeded(seed)) == 0).sum((2, 3))
    starts = augmentation.draw(images, seeded(seed)).centre - side // 2
    lengths = (starts + side).clamp(max=6) - starts.clamp(min=0)
    assert torch.equal(area, lengths.prod(1)[:, None].expand(-1, 2))
    assert area.min() > 0
    assert area.max() <= side**2


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99))
def test_a_crop_without_padding_loss_keeps_every_pixel_value(seed):
    images = noise(3, 2, 5, 5, seed=seed)
    augmented = Augmentation(crop_padding=2)(images, seeded(seed)).mul(255).round()
    for image, result in zip(images, augmented, strict=True):
        assert set(result.unique().int().tolist()) <= {0, *image.unique().int().tolist()}


def test_the_generator_alone_decides():
    augmentation = Augmentation(cutout=3)
    images = noise(8, 3, 8, 8)
    assert torch.equal(augmentation(images, seeded(1)), augmentation(images, seeded(1)))
    assert not torch.equal(augmentation(images, seeded(1)), augmentation(images, seeded(2)))


@pytest.mark.parametrize("field", ["crop_padding", "flip", "cutout"])
def test_each_switch_changes_the_result(field):
    off = {"crop_padding": 0, "flip": False, "cutout": 0}
    images = noise(8, 3, 8, 8)
    plain, changed = Augmentation(**off), Augmentation(**{**off, field: True if field == "flip" else 3})
    assert not torch.equal(plain(images, seeded()), changed(images, seeded()))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_fitted_moments_standardise_the_data(dtype):
    images = noise(1100, 3, 4, 4, dtype=dtype)
    data = ImageData(images, torch.zeros(1100).long(), ("a",))
    values = Augmentation().fitted(data).normalise(images).double()
    assert values.mean((0, 2, 3)).abs().max() < 1e-5
    assert values.std((0, 2, 3), correction=0).sub(1).abs().max() < 1e-5


def test_fitted_gives_a_constant_channel_std_1():
    images = torch.cat([torch.full((3, 1, 2, 2), 0.1), torch.arange(12.0).view(3, 1, 2, 2)], 1)
    fitted = Augmentation().fitted(ImageData(images, torch.zeros(3).long(), ("a",)))
    assert fitted.std[0] == 1
    assert fitted.std[1] == pytest.approx((143 / 12) ** 0.5)
    assert fitted.mean == pytest.approx((0.1, 5.5))


def test_fitted_keeps_given_moments_and_all_else():
    given_moments = Augmentation(cutout=5, mean=(0.5,), std=(2.0,))
    data = ImageData(torch.zeros(2, 1, 2, 2), torch.zeros(2).long(), ("a",))
    assert given_moments.fitted(data) is given_moments
    assert Augmentation(crop_padding=1, flip=False, cutout=5).fitted(data) == Augmentation(1, False, 5, (0.0,), (1.0,))
    with pytest.raises(ValueError, match="mean: has 3 entries, the images have 1 channels"):
        Augmentation(mean=CIFAR10_MEAN, std=CIFAR10_STD).fitted(data)
    with pytest.raises(ValueError, match="mean: has 3 entries, the images have 1 channels"):
        Augmentation(mean=CIFAR10_MEAN, std=CIFAR10_STD)(data.images, seeded())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"crop_padding": -1}, "crop_padding: must be at least 0, got -1"),
        ({"cutout": -3}, "cutout: must be at least 0, got -3"),
        ({"mean": (0.5,)}, "std: is None although mean is given"),
        ({"std": (0.5,)}, "mean: is None although std is given"),
        ({"mean": (0.5,), "std": (0.5, 0.5)}, "std: must have one entry per channel"),
        ({"mean": (), "std": ()}, "std: must have one entry per channel"),
        ({"mean": (0.5,), "std": (0.0,)}, "std: must be positive and finite"),
        ({"mean": (0.5,), "std": (float("nan"),)}, "std: must be positive and finite"),
        ({"mean": (float("inf"),), "std": (1.0,)}, "mean: must be finite"),
    ],
)
def test_impossible_settings(arguments, message):
    with pytest.raises(ValueError, match=message):
        Augmentation(**arguments)
