import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import Dataset, Subset, TensorDataset

from archgrad.data import ImageData, halve, labels_of, stratified_split


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(2, 12), min_size=1, max_size=5), st.floats(0.05, 0.95), st.integers(0, 3))
def test_every_class_is_divided_as_evenly_as_whole_numbers_allow(sizes, fraction, seed):
    labels = torch.cat([torch.full((size,), label) for label, size in enumerate(sizes)])
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))]
    first, second = stratified_split(labels, fraction, seed=seed)
    assert sorted(first.tolist() + second.tolist()) == list(range(len(labels)))
    counts = Counter(labels[first].tolist())
    for label, size in enumerate(sizes):
        share = fraction * size
        assert (
            max(1, math.floor(share)) - (share > size - 1) <= counts[label] <= min(size - 1, max(1, math.ceil(share)))
        )
    if all(1 <= fraction * size <= size - 1 for size in sizes):
        assert len(first) == pytest.approx(fraction * len(labels), abs=0.5 + 1e-6)


def test_odd_classes_balance_each_other():
    labels = torch.arange(4).repeat(5)
    first, second = stratified_split(labels, 0.5, seed=0)
    assert len(first) == len(second) == 10
    assert set(Counter(labels[first].tolist()).values()) == {2, 3}


def test_exact_shares_are_exact():
    labels = torch.arange(3).repeat(30)
    assert Counter(labels[stratified_split(labels, 0.1, seed=0)[0]].tolist()) == {0: 3, 1: 3, 2: 3}


def test_the_seed_alone_decides():
    labels = torch.arange(2).repeat(50)
    first = stratified_split(labels, 0.5, seed=1)[0]
    torch.rand(3)
    assert torch.equal(first, stratified_split(labels, 0.5, seed=1)[0])
    assert not torch.equal(first, stratified_split(labels, 0.5, seed=2)[0])


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_fraction_outside(fraction):
    with pytest.raises(ValueError, match="fraction: must lie strictly between 0 and 1, got"):
        stratified_split(torch.tensor([0, 0, 1, 1]), fraction, seed=0)


def test_a_class_with_one_example_is_named():
    labels = torch.tensor([0, 0, 1])
    with pytest.raises(ValueError, match="labels: class 1 has a single example"):
        stratified_split(labels, 0.5, seed=0)
    data = ImageData(torch.zeros(3, 1, 2, 2), labels, ("cat", "dog"))
    with pytest.raises(ValueError, match="labels: class 'dog' has a single example"):
        halve(data, seed=0)


def test_no_labels():
    with pytest.raises(ValueError, match="labels: must not be empty"):
        stratified_split(torch.zeros(0).long(), 0.5, seed=0)


class Labelled(Dataset):
    """Items draw random numbers; `reads` counts them."""

    def __init__(self, labels, **attributes):
        self.labels, self.reads = labels, 0
        self.__dict__.update(attributes)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        self.reads += 1
        return torch.rand(1, 2, 2), self.labels[index]


def test_labels_of_every_kind_of_data():
    expected = [2, 0, 1, 0]
    read = Labelled(expected)
    before = torch.get_rng_state()
    assert labels_of(read).tolist() == expected
    assert read.reads == 4
    assert torch.equal(before, torch.get_rng_state())
    for targets in (expected, torch.tensor(expected)):
        data = Labelled([9] * 4, targets=targets, target_transform=None)
        assert labels_of(data).tolist() == expected
        assert labels_of(Subset(data, [2, 0])).tolist() == [1, 2]
        assert data.reads == 0
    assert labels_of(TensorDataset(torch.zeros(4, 1, 2, 2), torch.tensor(expected))).tolist() == expected
    assert labels_of(ImageData(torch.zeros(4, 1, 2, 2), torch.tensor(expected), tuple("abc"))).tolist() == expected


def test_a_target_transform_makes_targets_stale():
    data = Labelled([1, 1], targets=[5, 5], target_transform=lambda target: 1)
    assert labels_of(data).tolist() == [1, 1]


def test_targets_of_another_length():
    with pytest.raises(ValueError, match="targets: Labelled has 3 of them for 2 items"):
        labels_of(Labelled([0, 1], targets=[0, 1, 1]))


def test_halves_of_both_kinds_hold_the_same_examples():
    labels = torch.arange(3).repeat(7)
    images = torch.arange(21, dtype=torch.float32).view(-1, 1, 1, 1)
    data = ImageData(images, labels, ("a", "b", "c"))
    train, validation = halve(data, fraction=0.6, seed=4)
    assert len(train) + len(validation) == 21
    assert len(train) == 13
    tensors = TensorDataset(images, labels)
    first, second = halve(tensors, fraction=0.6, seed=4)
    assert isinstance(first, Subset)
    assert [int(image) for image, _ in first] == train.images.flatten().int().tolist()
    assert [int(image) for image, _ in second] == validation.images.flatten().int().tolist()
