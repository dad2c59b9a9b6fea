"""What is checked of data before any work starts."""

import pytest
import torch
from torch.utils.data import TensorDataset

from archgrad.data import ImageData
from archgrad.data.describe import check_classes, image_shape


def test_shapes_of_images_and_of_datasets():
    images = torch.zeros(4, 3, 6, 5)
    assert image_shape(ImageData(images, torch.arange(4) % 2, ("a", "b"))) == (3, 6, 5)
    assert image_shape(TensorDataset(images, torch.arange(4) % 2)) == (3, 6, 5)


def test_missing_classes_are_named():
    data = ImageData(torch.zeros(2, 1, 8, 8), torch.tensor([0, 2]), ("cat", "dog", "emu"))
    with pytest.raises(ValueError, match="train: has no example of class 'dog'"):
        check_classes(data, name="train", num_classes=3)
    dataset = TensorDataset(torch.zeros(2, 1, 8, 8), torch.tensor([0, 2]))
    with pytest.raises(ValueError, match="validation: has no example of class 1"):
        check_classes(dataset, name="validation", num_classes=3)


@pytest.mark.parametrize("label", [-1, 2])
def test_labels_outside_the_classes_are_named(label):
    dataset = TensorDataset(torch.zeros(3, 1, 8, 8), torch.tensor([0, 1, label]))
    with pytest.raises(ValueError, match=f"example 2 has label {label}; allowed is 0 to 1"):
        check_classes(dataset, name="train", num_classes=2)
