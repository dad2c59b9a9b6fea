"""Data parallelism: the state on every device, each batch cut into as many parts as there are devices.

`search_step` needs no change: JAX splits the computation after its arguments. Losses, gradients and the statistics of
batch normalisation are those of the whole batch, so that the search is the one that a single device does.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

Tree = TypeVar("Tree")


def replicate(tree: Tree, devices: Sequence[Any] | None = None) -> Tree:
    """Put a state, or any other pytree, on every device; all there are unless given."""
    return jax.device_put(tree, NamedSharding(_mesh(devices), PartitionSpec()))


def shard(batch: Tree, devices: Sequence[Any] | None = None) -> Tree:
    """Spread a batch over the devices along its first dimension; all there are unless given.

    Raises:
        ValueError: an array's length is no multiple of the number of devices.
    """
    mesh = _mesh(devices)
    for leaf in jax.tree.leaves(batch):
        if len(leaf) % mesh.size:
            raise ValueError(
                f"batch: {len(leaf)} examples cannot be spread evenly over {mesh.size} devices; "
                f"the nearest are {len(leaf) - len(leaf) % mesh.size} and {len(leaf) + -len(leaf) % mesh.size}."
            )
    return jax.device_put(batch, NamedSharding(mesh, PartitionSpec("batch")))


def _mesh(devices: Sequence[Any] | None) -> Mesh:
    chosen: Any = jax.devices() if devices is None else devices
    return Mesh(np.array(chosen), ("batch",))
