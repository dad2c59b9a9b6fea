"""Batches as functions of a key and a step, and data sets of the PyTorch side as arrays."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer

from archgrad.data.augment import Augmentation
from archgrad.data.images import ImageData, as_images


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


def check_data(data: Any, *, name: str, num_classes: int | None = None) -> None:
    """Raise a ValueError unless this is a pair (inputs, targets), and with `num_classes` arrays of numbers and classes.

    What is traced is not looked into.
    """
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise ValueError(
            f"{name}: must be (inputs, targets) as arrays, got {type(data).__name__}; `archgrad.jax.arrays` makes them "
            "of images."
        )
    if num_classes is None or isinstance(data[1], Tracer):
        return
    for part, values, kind in (("inputs", data[0], np.number), ("labels", data[1], np.integer)):
        found = values.dtype if isinstance(values, Array | np.ndarray) else None
        if found is None or not jnp.issubdtype(found, kind):
            numbers = "whole numbers" if kind is np.integer else "numbers"
            got = type(values).__name__ if found is None else found
            raise ValueError(f"{name}: {part} must be an array of {numbers}, of JAX or NumPy, got {got}.")
    labels = np.asarray(data[1])
    if labels.size and not 0 <= labels.min() <= labels.max() < num_classes:
        raise ValueError(f"{name}: labels must lie in 0 to {num_classes - 1}, got {labels.min()} to {labels.max()}.")


def arrays(data: Any, augmentation: Augmentation | None = None) -> tuple[Array, Array]:
    """Images [N, H, W, C] in float32, normalised by the augmentation's mean and std, and labels [N].

    `data` is `ImageData` or a pair (images, labels) of NumPy arrays or tensors, as `archgrad.search` takes. Without an
    augmentation pixels of 0 … 255 are only scaled to 0 … 1. Nothing is cropped or flipped: that is for an input
    pipeline of your own.

    Raises:
        ValueError: the data is no images with labels, see `archgrad.data.from_arrays`.
    """
    found = as_images(data)
    if not isinstance(found, ImageData):
        raise ValueError(f"data: must be ImageData or a pair of arrays, got {type(data).__name__}.")
    images = (augmentation or Augmentation()).normalise(found.images).permute(0, 2, 3, 1)
    return jnp.asarray(images.numpy()), jnp.asarray(found.labels.numpy())
