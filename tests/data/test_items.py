import random

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset

from archgrad.data.items import collate, isolated_randomness, read_item

RAMP = np.arange(24, dtype=np.uint8).reshape(4, 6)
COLOURS = np.arange(72, dtype=np.uint8).reshape(4, 6, 3)


class Single(Dataset):
    def __init__(self, item):
        self.item = item

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return self.item


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (RAMP, RAMP[None]),
        (torch.from_numpy(RAMP), RAMP[None]),
        (Image.fromarray(RAMP), RAMP[None]),
        (COLOURS, COLOURS.transpose(2, 0, 1)),
        (Image.fromarray(COLOURS), COLOURS.transpose(2, 0, 1)),
        (torch.from_numpy(COLOURS).permute(2, 0, 1), COLOURS.transpose(2, 0, 1)),
        (RAMP.astype(np.float64) - 0.5, RAMP[None].astype(np.float32) - 0.5),
        (torch.zeros(2, 4, 6), np.zeros((2, 4, 6), np.float32)),
        (Image.fromarray(RAMP > 11), (RAMP > 11)[None].astype(np.uint8) * 255),
        (Image.fromarray(COLOURS).quantize(72), COLOURS.transpose(2, 0, 1)),
    ],
)
def test_every_kind_of_image_becomes_a_tensor_channels_first(image, expected):
    tensor, label = read_item(Single((image, np.int32(3))), 0, seed=0)
    assert label == 3
    assert tensor.dtype == (torch.uint8 if expected.dtype == np.uint8 else torch.float32)
    if isinstance(image, Image.Image) and image.mode == "P":  # a palette of 72 colours is near, not exact
        assert tensor.shape == expected.shape
    else:
        assert np.array_equal(tensor.numpy(), expected)


@pytest.mark.parametrize("label", [2, 2.0, torch.tensor(2), np.int8(2), np.float32(2)])
def test_whole_labels(label):
    assert read_item(Single((RAMP, label)), 0, seed=0)[1] == 2


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (RAMP, r"item 0 of Single: must be a pair \(image, label\), got ndarray"),
        ((RAMP, 1, 2), "must be a pair"),
        ((RAMP, 1.5), "item 0 of Single: the label must be a whole number, got 1.5"),
        ((RAMP, "3"), "the label must be a whole number, got '3'"),
        ((RAMP, None), "the label must be a whole number, got None"),
        (("cat.png", 1), "the image must be a tensor, an array or a Pillow image, got str"),
        ((RAMP[0], 1), r"got ndarray of shape \[6\]"),
        ((RAMP.astype(int) + 300, 1), "item 0 of Single: images: whole numbers must lie in 0 … 255"),
    ],
)
def test_items_that_are_no_labelled_images(item, message):
    with pytest.raises(ValueError, match=message):
        read_item(Single(item), 0, seed=0)


def test_a_batch_of_differing_images_is_refused():
    with pytest.raises(ValueError, match=r"one shape and dtype, got \[1, 2, 2\] torch.float32 and \[1, 2, 3\]"):
        collate([(torch.zeros(1, 2, 2), 0), (torch.zeros(1, 2, 3), 1)])


def test_states_come_back_after_an_error():
    def states():
        return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002

    def draw_and_fail():
        with isolated_randomness(1):
            torch.rand(1), random.random(), np.random.rand()  # noqa: NPY002
            raise KeyError

    before = states()
    with pytest.raises(KeyError):
        draw_and_fail()
    assert states() == before
