import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archgrad.data.segmentation.labelled import SegmentationData, digest, resample_masks, split

CLASSES = ("road", "sky", "tree")


def random_data(count=6, size=(4, 6), seed=0, channels=3, **options):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, channels, *size), dtype=torch.uint8, generator=generator)
    masks = torch.randint(0, 3, (count, *size), dtype=torch.uint8, generator=generator)
    return SegmentationData(images, masks, CLASSES, **options)


def blank(count=2, value=0, **options):
    images = torch.zeros(count, 3, 2, 2, dtype=torch.uint8)
    return SegmentationData(images, torch.full((count, 2, 2), value, dtype=torch.uint8), CLASSES, **options)


def same(one, other):
    return torch.equal(one.images, other.images) and torch.equal(one.masks, other.masks)


def test_properties_and_what_is_printed():
    data = random_data(5)
    assert (len(data), data.shape, data.num_classes, data.ignore, data.palette) == (5, (3, 4, 6), 3, 255, ())
    assert repr(data) == "SegmentationData(5 images [3, 4, 6], classes road, sky, tree)"


def test_subsets_keep_the_given_order_and_everything_else():
    palette = ((1, 2, 3), (4, 5, 6), (7, 8, 9))
    data = random_data(4, ignore=9, palette=palette)
    picked = data.subset([3, 0])
    assert torch.equal(picked.images, torch.stack([data.images[3], data.images[0]]))
    assert torch.equal(picked.masks, torch.stack([data.masks[3], data.masks[0]]))
    assert (picked.classes, picked.ignore, picked.palette) == (CLASSES, 9, palette)
    chosen = torch.tensor([False, True, False, True])
    for indices in (chosen, np.array([1, 3]), torch.tensor([1, 3])):
        assert same(data.subset(indices), data.subset([1, 3]))
    with pytest.raises(ValueError, match="indices: must not be empty"):
        data.subset([])
    with pytest.raises(IndexError):
        data.subset([4])


def test_limits_keep_the_first():
    data = random_data(4)
    assert same(data.limited(2), data.subset([0, 1]))
    assert data.limited(None) is data
    assert data.limited(4) is data
    assert data.limited(9) is data
    with pytest.raises(ValueError, match="count: must be at least 1, got 0"):
        data.limited(0)


@pytest.mark.parametrize(
    ("images", "masks", "message"),
    [
        ((0, 3, 2, 2), (0, 2, 2), r"images: must be a non-empty uint8 tensor .* torch.uint8 \[0, 3, 2, 2\]"),
        ((3, 2, 2), (2, 2), r"images: must be a non-empty uint8 tensor"),
        ((2, 3, 2, 2), (2, 2, 3), r"masks: must be uint8 \[2, 2, 2\].* got torch.uint8 \[2, 2, 3\]"),
        ((2, 3, 2, 2), (1, 2, 2), r"masks: must be uint8 \[2, 2, 2\]"),
        ((2, 3, 2, 2), (2, 1, 2, 2), r"masks: must be uint8 \[2, 2, 2\]"),
    ],
)
def test_shapes_that_do_not_fit(images, masks, message):
    with pytest.raises(ValueError, match=message):
        SegmentationData(torch.zeros(images, dtype=torch.uint8), torch.zeros(masks, dtype=torch.uint8), CLASSES)


def test_types_other_than_bytes():
    images, masks = torch.zeros(2, 3, 2, 2, dtype=torch.uint8), torch.zeros(2, 2, 2, dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"images: must be a non-empty uint8 tensor .* got torch.float32"):
        SegmentationData(images.float(), masks, CLASSES)
    with pytest.raises(ValueError, match=r"masks: must be uint8 .* got torch.int64"):
        SegmentationData(images, masks.long(), CLASSES)


def test_labels_that_are_no_class():
    masks = torch.zeros(3, 2, 2, dtype=torch.uint8)
    masks[1, 1, 0] = 3
    masks[2] = 200
    images = torch.zeros(3, 3, 2, 2, dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"must lie in 0 … 2 \(3 classes\) or be the ignored 255, got 3 in image 1"):
        SegmentationData(images, masks, CLASSES)
    with pytest.raises(ValueError, match=r"or be the ignored 3, got 200 in image 2"):
        SegmentationData(images, masks, CLASSES, ignore=3)


def test_images_without_a_labelled_pixel():
    masks = torch.zeros(3, 2, 2, dtype=torch.uint8)
    masks[1] = 255
    with pytest.raises(ValueError, match="masks: image 1 has no pixel but of the ignored 255"):
        SegmentationData(torch.zeros(3, 3, 2, 2, dtype=torch.uint8), masks, CLASSES)
    with pytest.raises(ValueError, match="masks: image 0 has no pixel but of the ignored 0"):
        blank(ignore=0)


def test_all_256_labels_may_be_classes():
    masks = torch.arange(256, dtype=torch.uint8).view(1, 16, 16)
    images = torch.zeros(1, 1, 16, 16, dtype=torch.uint8)
    assert SegmentationData(images, masks, tuple(map(str, range(256)))).num_classes == 256
    for count in (0, 257):
        with pytest.raises(ValueError, match=f"classes: must be 1 to 256 names, got {count}"):
            SegmentationData(images, masks, tuple(map(str, range(count))))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ignore": -1}, "ignore: must be at least 0, got -1"),
        ({"ignore": 256}, r"ignore: must lie in \[0, 255\], got 256"),
        ({"palette": ((0, 0, 0),)}, "palette: must have a colour for each of the 3 classes, got 1"),
        ({"palette": ((0, 0, 0), (0, 0, 256), (0, 0, 0))}, r"palette: colours are .* in 0 … 255, got \(0, 0, 256\)"),
    ],
)
def test_other_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        blank(**options)


def test_resizing_keeps_constants_types_and_labels():
    data = random_data(3, (6, 8))
    smaller = data.resized((3, 5))
    assert (smaller.shape, smaller.masks.shape) == ((3, 3, 5), (3, 3, 5))
    assert data.resized(4).shape == (3, 4, 4)
    assert (smaller.images.dtype, smaller.masks.dtype) == (torch.uint8, torch.uint8)
    assert data.resized((6, 8)) is data
    for value in (0, 2):
        assert blank(value=value).resized((5, 3)).masks.unique().tolist() == [value]
    with pytest.raises(ValueError, match="size: must be at least 1, got 0"):
        data.resized((0, 4))


def test_images_are_averaged_where_masks_are_not():
    images = torch.tensor([[[[0, 100, 100, 200, 200, 100]]]], dtype=torch.uint8).expand(1, 1, 6, 6).contiguous()
    masks = torch.tensor([0, 0, 0, 2, 2, 2], dtype=torch.uint8).expand(1, 6, 6).contiguous()
    smaller = SegmentationData(images, masks, CLASSES).resized((2, 2))
    assert smaller.images[0, 0, :, 0].unique().item() < 100 < smaller.images[0, 0, :, 1].unique().item() < 200
    assert smaller.masks.tolist() == [[[0, 2], [0, 2]]]


def test_a_size_that_loses_all_labelled_pixels_is_refused():
    masks = torch.full((1, 9, 9), 255, dtype=torch.uint8)
    masks[0, 0, 0] = 1
    data = SegmentationData(torch.zeros(1, 3, 9, 9, dtype=torch.uint8), masks, CLASSES)
    with pytest.raises(ValueError, match="image 0 has no pixel but of the ignored"):
        data.resized(3)


@settings(max_examples=40, deadline=None)
@given(st.tuples(*[st.integers(1, 9)] * 4))
def test_masks_take_the_label_at_the_centre_of_the_pixel(sizes):
    height, width, rows, columns = sizes
    masks = torch.randint(0, 256, (2, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    resampled = resample_masks(masks, (rows, columns))
    from_row = [(2 * row + 1) * height // (2 * rows) for row in range(rows)]
    from_column = [(2 * column + 1) * width // (2 * columns) for column in range(columns)]
    assert torch.equal(resampled, masks[:, from_row][:, :, from_column])


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 20), st.floats(0.01, 0.99), st.integers(0, 3))
def test_splits_are_disjoint_complete_and_ordered(count, fraction, seed):
    images = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1)
    data = SegmentationData(images, torch.zeros(count, 1, 1, dtype=torch.uint8), CLASSES)
    parts = split(data, fraction, seed=seed)
    numbers = [part.images.flatten().tolist() for part in parts]
    assert sorted(numbers[0] + numbers[1]) == list(range(count))
    assert all(part == sorted(part) for part in numbers)
    assert len(numbers[0]) == min(max(round(fraction * count), 1), count - 1)
    assert same(split(data, fraction, seed=seed)[0], parts[0])


def test_splits_depend_on_the_seed_and_keep_images_and_masks_together():
    data = random_data(12)
    first, second = split(data, 0.5, seed=0)
    assert not all(same(split(data, 0.5, seed=seed)[0], first) for seed in range(1, 4))
    for part in (first, second):
        for image, mask in zip(part.images, part.masks, strict=True):
            place = int((data.images == image).flatten(1).all(1).nonzero())
            assert torch.equal(data.masks[place], mask)


def test_splits_that_cannot_be_drawn():
    for fraction in (0.0, 1.0, float("nan")):
        with pytest.raises(ValueError, match="fraction: must lie strictly between 0 and 1"):
            split(random_data(4), fraction, seed=0)
    with pytest.raises(ValueError, match="data: has a single image"):
        split(random_data(1), 0.5, seed=0)


def test_the_digest_follows_from_all_that_training_sees():
    data = random_data()
    digests = {
        digest(data),
        digest(random_data(seed=1)),
        digest(SegmentationData(data.images, data.masks.flip(0), CLASSES)),
        digest(SegmentationData(data.images.flip(0), data.masks, CLASSES)),
        digest(SegmentationData(data.images, data.masks, ("a", "b", "c"))),
        digest(SegmentationData(data.images, data.masks, CLASSES, ignore=2)),
    }
    assert len(digests) == 6
    coloured = SegmentationData(data.images, data.masks, CLASSES, palette=((0, 0, 0),) * 3)
    assert digest(coloured) == digest(data) == digest(random_data())
