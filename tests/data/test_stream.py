import random
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from archgrad.data import Augmentation, ImageData, Stream, evaluation_batches
from archgrad.seeding import generator

CLASSES = ("even", "odd")


def numbered(size):
    """Image i has the value i everywhere."""
    images = torch.arange(size, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 1, 4, 4).contiguous()
    return ImageData(images, torch.arange(size) % 2, CLASSES)


class Jittered(Dataset):
    """Items whose transforms draw from every global state there is."""

    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        noise = torch.rand(2, 3, 3) + random.random() + np.random.rand()  # noqa: NPY002
        return index + 0.1 * noise, index % 2


def same(first, second):
    return all(
        torch.equal(a, b) for one, other in zip(first, second, strict=True) for a, b in zip(one, other, strict=True)
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 5))
def test_every_epoch_is_drawn_without_replacement(size, batch_size, seed):
    size = max(size, batch_size)
    stream = Stream(numbered(size), batch_size=batch_size, seed=seed, purpose="train")
    assert stream.batches_per_epoch == size // batch_size
    batches = stream.batches()
    for _ in range(2):
        epoch = [next(batches) for _ in range(stream.batches_per_epoch)]
        seen = torch.cat([images[:, 0, 0, 0] for images, _ in epoch]).int().tolist()
        assert len(set(seen)) == len(seen) == batch_size * (size // batch_size)
        assert [label for _, labels in epoch for label in labels.tolist()] == [value % 2 for value in seen]


def test_batch_t_is_a_closed_form_of_the_step():
    data, augmentation = numbered(7), Augmentation(crop_padding=1)
    stream = Stream(data, batch_size=3, seed=2, purpose="train", augmentation=augmentation)
    for step, (images, labels) in zip(range(6), stream.batches(), strict=False):
        epoch, batch = divmod(step, 2)
        order = torch.randperm(7, generator=generator(2, "train", "permutation", epoch))[3 * batch : 3 * batch + 3]
        assert torch.equal(images, augmentation(data.images[order], generator(2, "train", "augmentation", step)))
        assert torch.equal(labels, data.labels[order])


def test_epochs_seeds_and_purposes_differ():
    def epoch(start=0, **changed):
        stream = Stream(numbered(32), **{"batch_size": 32, "seed": 0, "purpose": "train", **changed})
        return next(stream.batches(start))[0].flatten().tolist()

    orders = [epoch(), epoch(1), epoch(seed=1), epoch(purpose="validation")]
    assert len({tuple(order) for order in orders}) == 4
    assert epoch() == orders[0]


@pytest.mark.parametrize("data", [numbered(10), Jittered(10)], ids=["ImageData", "Dataset"])
@pytest.mark.parametrize("start", [0, 1, 3, 7])
def test_a_late_start_reads_what_the_uninterrupted_run_read(data, start):
    stream = Stream(data, batch_size=3, seed=5, purpose="train", augmentation=Augmentation(crop_padding=1, cutout=2))
    whole = list(islice(stream.batches(), 10))
    torch.manual_seed(start)
    random.seed(start)
    assert same(whole[start:], islice(stream.batches(start), 10 - start))


def test_two_iterators_of_a_stream_do_not_disturb_each_other():
    stream = Stream(Jittered(8), batch_size=4, seed=0, purpose="train", augmentation=Augmentation(crop_padding=1))
    first, second = stream.batches(), stream.batches()
    interleaved = [(next(first), next(second)) for _ in range(5)]
    assert same([a for a, _ in interleaved], [b for _, b in interleaved])


def test_workers_change_nothing():
    def read(workers):
        stream = Stream(Jittered(6), batch_size=3, seed=1, purpose="train", workers=workers)
        return list(islice(stream.batches(1), 4))

    assert same(read(0), read(2))
    ahead = list(evaluation_batches(Jittered(5), batch_size=2, workers=1))
    assert same(ahead, evaluation_batches(Jittered(5), batch_size=2))


def test_random_transforms_differ_between_epochs_and_items():
    data = Jittered(4)
    batches = Stream(data, batch_size=4, seed=0, purpose="train").batches()
    noises = []
    for _ in range(2):
        images, _ = next(batches)
        first = images[:, 0, 0, 0]
        noises += (first - first.floor()).tolist()
    assert len(set(noises)) == 8


def test_reading_leaves_the_callers_random_states_alone():
    # `random` itself is left to test_items: the type checker that watches these tests draws from it
    def states():
        return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()  # noqa: NPY002

    before = states()
    augmentation = Augmentation(crop_padding=1)
    for data in (Jittered(4), numbered(4)):
        next(Stream(data, batch_size=2, seed=0, purpose="train", augmentation=augmentation).batches())
        list(evaluation_batches(data, batch_size=3))
    assert states() == before


def test_datasets_and_arrays_give_the_same_stream():
    data = numbered(9)
    arguments = {"batch_size": 4, "seed": 3, "purpose": "train", "augmentation": Augmentation(crop_padding=2)}
    whole = Stream(data, **arguments).batches()
    items = Stream(TensorDataset(data.images, data.labels), **arguments).batches()
    assert same(list(islice(whole, 5)), list(islice(items, 5)))


def test_batches_are_float_channels_last_on_the_device():
    data = ImageData(torch.full((4, 3, 5, 5), 51, dtype=torch.uint8), torch.zeros(4).long(), ("a",))
    for augmentation in (None, Augmentation(crop_padding=0)):
        stream = Stream(data, batch_size=2, seed=0, purpose="train", augmentation=augmentation, device="cpu")
        images, labels = next(stream.batches())
        assert images.unique().tolist() == pytest.approx([0.2])
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)


@pytest.mark.parametrize("kind", ["ImageData", "Dataset"])
@pytest.mark.parametrize("batch_size", [1, 3, 7, 50])
def test_evaluation_reads_every_example_once_in_order(kind, batch_size):
    data = numbered(7)
    source = data if kind == "ImageData" else TensorDataset(data.images, data.labels)
    moments = Augmentation(crop_padding=3, cutout=2, mean=(1.0,), std=(2.0,))
    batches = list(evaluation_batches(source, batch_size=batch_size, augmentation=moments))
    assert [len(labels) for _, labels in batches] == [min(batch_size, 7 - start) for start in range(0, 7, batch_size)]
    assert torch.equal(torch.cat([images for images, _ in batches]), (data.images - 1) / 2)
    assert torch.equal(torch.cat([labels for _, labels in batches]), data.labels)


class Endless(IterableDataset):
    def __iter__(self):
        return iter(())


@pytest.mark.parametrize(
    ("data", "changed", "message"),
    [
        (numbered(4), {"batch_size": 5}, "batch_size: 5 is more than the 4 examples for 'train'"),
        (Jittered(4), {"batch_size": 5}, "batch_size: 5 is more than the 4 examples"),
        (numbered(4), {"batch_size": 0}, "batch_size: must be at least 1, got 0"),
        (numbered(4), {"workers": -1}, "workers: must be at least 0, got -1"),
        (Endless(), {}, "Endless is an IterableDataset"),
    ],
)
def test_impossible_streams(data, changed, message):
    with pytest.raises(ValueError, match=message):
        Stream(data, **{"batch_size": 2, "seed": 0, "purpose": "train", **changed})


def test_impossible_requests_are_refused_before_the_first_batch():
    with pytest.raises(ValueError, match="start: must be at least 0"):
        Stream(numbered(4), batch_size=2, seed=0, purpose="train").batches(-1)
    with pytest.raises(ValueError, match="batch_size: must be at least 1"):
        evaluation_batches(numbered(4), batch_size=0)
    with pytest.raises(ValueError, match="workers: must be at least 0"):
        evaluation_batches(numbered(4), batch_size=1, workers=-1)
