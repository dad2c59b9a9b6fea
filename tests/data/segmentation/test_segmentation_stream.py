from itertools import islice

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archgrad.data.segmentation.augment import DenseAugmentation
from archgrad.data.segmentation.labelled import SegmentationData, digest
from archgrad.data.segmentation.stream import SegmentationStream
from archgrad.data.stream import Batches
from archgrad.seeding import generator

CLASSES = tuple(f"class {number}" for number in range(32))


def numbered(size, channels=3, ignore=255):
    """Image i has the value i everywhere, and so has its mask, but for one pixel."""
    values = torch.arange(size, dtype=torch.uint8)
    images = values.view(-1, 1, 1, 1).expand(-1, channels, 4, 6).contiguous()
    masks = values.view(-1, 1, 1).expand(-1, 4, 6).clone()
    masks[:, 0, 0] = ignore
    return SegmentationData(images, masks, CLASSES, ignore)


def same(first, second):
    return all(
        torch.equal(a, b) for one, other in zip(first, second, strict=True) for a, b in zip(one, other, strict=True)
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 5))
def test_every_epoch_is_drawn_without_replacement(size, batch_size, seed):
    size = max(size, batch_size)
    stream = SegmentationStream(numbered(size), batch_size=batch_size, seed=seed, purpose="train")
    assert isinstance(stream, Batches)
    assert stream.batches_per_epoch == size // batch_size
    batches = stream.batches()
    for _ in range(2):
        epoch = [next(batches) for _ in range(stream.batches_per_epoch)]
        seen = torch.cat([masks[:, 1, 1] for _, masks in epoch]).tolist()
        assert len(set(seen)) == len(seen) == batch_size * (size // batch_size)
        assert torch.cat([images[:, 0, 0, 0] for images, _ in epoch]).mul(255).round().int().tolist() == seen


def test_batch_t_is_a_closed_form_of_the_step():
    data, augmentation = numbered(7, ignore=40), DenseAugmentation((5, 5), brightness=0.5)
    stream = SegmentationStream(data, batch_size=3, seed=2, purpose="train", augmentation=augmentation)
    for step, batch in zip(range(6), stream.batches(), strict=False):
        epoch, number = divmod(step, 2)
        order = torch.randperm(7, generator=generator(2, "train", "permutation", epoch))[3 * number : 3 * number + 3]
        draws = generator(2, "train", "augmentation", step)
        assert same([batch], [augmentation(data.images[order], data.masks[order], draws, ignore=40)])


def test_epochs_seeds_and_purposes_differ():
    def epoch(start=0, **changed):
        stream = SegmentationStream(numbered(32), **{"batch_size": 32, "seed": 0, "purpose": "train", **changed})
        return next(stream.batches(start))[1].flatten().tolist()

    orders = [epoch(), epoch(1), epoch(seed=1), epoch(purpose="validation")]
    assert len({tuple(order) for order in orders}) == 4
    assert epoch() == orders[0]


@pytest.mark.parametrize("start", [0, 1, 3, 7])
def test_a_late_start_reads_what_the_uninterrupted_run_read(start):
    augmentation = DenseAugmentation((3, 5), brightness=0.5, contrast=0.5, saturation=0.5)
    stream = SegmentationStream(numbered(10), batch_size=3, seed=5, purpose="train", augmentation=augmentation)
    whole = list(islice(stream.batches(), 10))
    torch.manual_seed(start)
    assert same(whole[start:], islice(stream.batches(start), 10 - start))


def test_two_iterators_of_a_stream_do_not_disturb_each_other():
    stream = SegmentationStream(
        numbered(8), batch_size=4, seed=0, purpose="train", augmentation=DenseAugmentation((3, 3))
    )
    first, second = stream.batches(), stream.batches()
    interleaved = [(next(first), next(second)) for _ in range(5)]
    assert same([a for a, _ in interleaved], [b for _, b in interleaved])


def test_reading_leaves_the_callers_random_state_alone():
    before = torch.get_rng_state()
    augmentation = DenseAugmentation(brightness=0.5)
    next(SegmentationStream(numbered(4), batch_size=2, seed=0, purpose="a", augmentation=augmentation).batches())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("augmentation", [None, DenseAugmentation(), DenseAugmentation((7, 2))])
def test_batches_are_float_channels_last_and_whole_numbers(augmentation):
    stream = SegmentationStream(numbered(4), batch_size=2, seed=0, purpose="train", augmentation=augmentation)
    images, masks = next(stream.batches())
    height, width = (7, 2) if augmentation and augmentation.crop else (4, 6)
    assert (images.shape, masks.shape) == ((2, 3, height, width), (2, height, width))
    assert (images.dtype, masks.dtype) == (torch.float32, torch.int64)
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_without_augmentation_images_and_masks_are_as_they_are():
    data = numbered(5)
    images, masks = next(SegmentationStream(data, batch_size=5, seed=0, purpose="train").batches())
    order = masks[:, 1, 1]
    assert torch.equal(images, data.images[order] / 255)
    assert torch.equal(masks, data.masks[order].long())


def test_the_identity_is_the_key_and_the_data():
    data = numbered(5)
    stream = SegmentationStream(data, batch_size=2, seed=3, purpose="train")
    assert stream.identity == {"seed": 3, "purpose": "train", "batch_size": 2, "data": digest(data)}
    other = SegmentationStream(numbered(5, ignore=31), batch_size=2, seed=3, purpose="train")
    assert other.identity != stream.identity


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"batch_size": 5}, "batch_size: 5 is more than the 4 examples for 'train'"),
        ({"batch_size": 0}, "batch_size: must be at least 1, got 0"),
        ({"augmentation": DenseAugmentation(saturation=1)}, "saturation: needs 3 channels .* for 1"),
        ({"augmentation": DenseAugmentation(mean=(0.5,) * 3, std=(1.0,) * 3)}, "mean: has 3 entries, .* 1 channels"),
    ],
)
def test_impossible_streams(changed, message):
    with pytest.raises(ValueError, match=message):
        SegmentationStream(numbered(4, channels=1), **{"batch_size": 2, "seed": 0, "purpose": "train", **changed})


def test_an_impossible_start_is_refused_before_the_first_batch():
    with pytest.raises(ValueError, match="start: must be at least 0"):
        SegmentationStream(numbered(4), batch_size=2, seed=0, purpose="train").batches(-1)
