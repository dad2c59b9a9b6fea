"""A step on two devices is the step on one, and both devices hold their part."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from archgrad.jax import replicate, search_step, shard


def test_there_are_two_devices():
    assert len(jax.devices()) == 2


def test_a_step_on_two_devices_is_the_step_on_one(start_chain, examples):
    """Losses and gradients are those of the whole batch."""
    inputs, targets = examples
    batches = (inputs[:16], targets[:16]), (inputs[16:], targets[16:])
    alone, info = search_step(start_chain(seed=2, method="darts-first-order"), *batches)
    spread, found = search_step(replicate(start_chain(seed=2, method="darts-first-order")), *map(shard, batches))
    for left, right in zip(
        jax.tree.leaves((alone.weights, alone.logits, alone.logit_state, info)),
        jax.tree.leaves((spread.weights, spread.logits, spread.logit_state, found)),
        strict=True,
    ):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-6)
        assert len(left.sharding.device_set) == 1
        assert len(right.sharding.device_set) == 2
        assert right.sharding.is_fully_replicated


def test_a_batch_is_cut_in_order_and_a_state_copied():
    batch = {"inputs": jnp.arange(12.0).reshape(6, 2), "targets": jnp.arange(6)}
    cut = shard(batch)
    for part, whole in zip(cut["targets"].addressable_shards, ([0, 1, 2], [3, 4, 5]), strict=True):
        assert part.data.tolist() == whole
    assert {part.data.shape for part in cut["inputs"].addressable_shards} == {(3, 2)}
    copied = replicate(batch)
    assert [part.data.tolist() for part in copied["targets"].addressable_shards] == [list(range(6))] * 2
    assert {part.device for part in copied["inputs"].addressable_shards} == set(jax.devices())


def test_the_devices_may_be_chosen():
    last = jax.devices()[1:]
    assert shard(jnp.arange(3), last).devices() == replicate(jnp.arange(3), last).devices() == set(last)


def test_a_batch_that_cannot_be_cut_evenly_is_refused():
    with pytest.raises(ValueError, match=r"batch: 3 examples cannot be spread evenly over 2 devices; .* are 2 and 4"):
        shard((jnp.zeros((4, 2)), jnp.zeros(3)))
