import pytest
import torch
from sklearn.datasets import load_digits

from archgrad.data import digits


def test_the_two_parts_are_scikit_learns_digits():
    train, test = digits()
    images = torch.cat([train.images, test.images])
    expected = torch.from_numpy(load_digits().images)
    assert images.dtype == torch.uint8
    assert images.shape == (1797, 1, 8, 8)
    assert images.double().sum().item() == (expected * 255 / 16).round().sum().item()
    assert images.max() == 255
    assert torch.equal(
        torch.cat([train.labels, test.labels]).bincount(), torch.from_numpy(load_digits().target).bincount()
    )
    assert train.classes == test.classes == tuple("0123456789")


def test_the_split_is_stratified_and_seeded():
    train, test = digits(test_fraction=0.5, seed=3)
    assert (train.labels.bincount() - test.labels.bincount()).abs().max() <= 1
    assert torch.equal(digits(test_fraction=0.5, seed=3)[1].images, test.images)
    assert not torch.equal(digits(test_fraction=0.5, seed=4)[1].images, test.images)


def test_fraction_outside():
    with pytest.raises(ValueError, match="fraction: must lie strictly between 0 and 1, got 1"):
        digits(test_fraction=1.0)
