"""Batches as functions of a key and a step, and data sets of the PyTorch side as arrays."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from archgrad.data.augment import Augmentation
from archgrad.data.images import ImageData


def batch_at(data: Any, key: Array, *, step: Array | int, batch_size: int) -> Any:
    """The batch of a step: each pass over the data is a permutation, of which what does not fill a batch is left out.

    `data` is any pytree of arrays with equal first dimensions.

    >>> batches = [batch_at(jnp.arange(6), jax.random.key(0), step=step, batch_size=3) for step in range(2)]
    >>> sorted(jnp.concatenate(batches).tolist())
    [0, 1, 2, 3, 4, 5]

    Raises:
        ValueError: the arrays differ in length, or have fewer examples than a batch.
    """
    sizes = {len(leaf) for leaf in jax.tree.leaves(data)}
    if len(sizes) != 1:
        raise ValueError(f"data: inputs and targets must be equally many, got {sorted(sizes)}.")
    (size,) = sizes
    if size < batch_size:
        raise ValueError(f"batch_size: must be at most the number of examples, {size}, got {batch_size}.")
    passed, place = jnp.divmod(step, size // batch_size)
    order = jax.random.permutation(jax.random.fold_in(key, passed), size)
    chosen = jax.lax.dynamic_slice_in_dim(order, place * batch_size, batch_size)
    return jax.tree.map(lambda leaf: leaf[chosen], data)


def arrays(data: ImageData, augmentation: Augmentation) -> tuple[Array, Array]:
    """Images [N, H, W, C] in float32, normalised by the augmentation's mean and std, and labels [N].

    Nothing is cropped or flipped: that is for an input pipeline of your own.
    """
    images = augmentation.normalise(data.images).permute(0, 2, 3, 1)
    return jnp.asarray(images.numpy()), jnp.asarray(data.labels.numpy())
