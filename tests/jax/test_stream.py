"""Batches by key and step: every example once in a pass, and nothing but key and step decides."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archgrad.data import Augmentation, ImageData
from archgrad.jax import arrays, batch_at

NUMBERS = {"inputs": jnp.arange(10.0) * 2, "targets": jnp.arange(10)}
KEY = jax.random.key(0)


@partial(jax.jit, static_argnames="batch_size")
def batches(key, first, batch_size):
    """A dozen batches from a step on."""
    steps = first + jnp.arange(12)
    return jax.lax.map(lambda step: batch_at(NUMBERS, key, step=step, batch_size=batch_size), steps)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), batch_size=st.sampled_from([3, 5]))
def test_a_pass_takes_no_example_twice(seed, batch_size):
    """Of ten examples three batches of three leave one out, two of five none."""
    found = batches(jax.random.key(seed), 0, batch_size)
    assert (found["inputs"] == 2 * found["targets"]).all()
    each = 10 // batch_size
    passes = [np.ravel(found["targets"][start : start + each]) for start in range(0, 12 - each + 1, each)]
    assert all(len(set(taken.tolist())) == each * batch_size for taken in passes)
    assert len({tuple(taken.tolist()) for taken in passes}) == len(passes)


def test_a_batch_follows_from_its_step_and_its_key():
    """So a search that is resumed at any step goes on with the same batches."""
    found = batches(KEY, 0, 3)["targets"]
    assert np.array_equal(batches(KEY, 5, 3)["targets"][:7], found[5:])
    assert not np.array_equal(batches(jax.random.key(1), 0, 3)["targets"], found)


def test_what_a_pass_leaves_out_is_not_always_the_same():
    found = np.asarray(batches(KEY, 0, 3)["targets"]).reshape(4, 9)
    assert len({45 - int(taken.sum()) for taken in found}) > 1


@pytest.mark.parametrize(
    ("data", "size", "message"),
    [
        (NUMBERS, 11, "batch_size: must be at most the number of examples, 10, got 11"),
        ((jnp.zeros((10, 3)), jnp.zeros(9)), 3, r"data: inputs and targets must be equally many, got \[9, 10\]"),
    ],
)
def test_what_cannot_be_cut_is_refused(data, size, message):
    with pytest.raises(ValueError, match=message):
        batch_at(data, KEY, step=0, batch_size=size)


def test_images_come_normalised_with_channels_last():
    """[N, C, H, W] -> [N, H, W, C], (x / 255 − mean) / std."""
    pixels = torch.randint(256, (3, 2, 4, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    data = ImageData(pixels, torch.tensor([1, 0, 1]), ("a", "b"))
    images, labels = arrays(data, Augmentation(mean=(0.5, 0.25), std=(0.5, 2.0)))
    assert isinstance(images, jax.Array)
    assert (images.shape, images.dtype, labels.tolist()) == ((3, 4, 5, 2), jnp.float32, [1, 0, 1])
    expected = (pixels.numpy()[2, :, 3, 1] / 255 - [0.5, 0.25]) / [0.5, 2.0]
    np.testing.assert_allclose(images[2, 3, 1], expected, rtol=1e-5)


def test_pixels_without_an_augmentation_are_scaled_and_pairs_will_do():
    pixels = np.full((2, 1, 8, 8), 255, np.uint8)
    images, labels = arrays((pixels, np.array([0, 1])))
    assert images.shape == (2, 8, 8, 1)
    assert (images == 1).all()
    assert labels.tolist() == [0, 1]
