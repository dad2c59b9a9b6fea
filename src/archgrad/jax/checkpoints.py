"""States on disk, by Orbax: a search that is restored goes on as if it had never stopped."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from jax import Array

from archgrad.checks import whole
from archgrad.identity import flat, identify
from archgrad.jax.search import SearchState


def save(folder: str | Path, state: SearchState, *, keep: int = 2) -> None:
    """Write a state into a folder, under its step; the latest `keep` stay. Returns when all is on disk.

    Raises:
        ValueError: the folder has this step already, or `keep` is below 1.
    """
    whole("keep", keep, 1)
    step = int(np.max(state.step))
    with _manager(folder, keep) as manager:
        if step in manager.all_steps():
            raise ValueError(f"folder: {folder} has a state of step {step} already.")
        items = ocp.args.Composite(
            state=ocp.args.StandardSave(_named(state)), identity=ocp.args.JsonSave(_identity(state))
        )
        manager.save(step, args=items)


def restore(folder: str | Path, state: SearchState, *, step: int | None = None) -> SearchState:
    """Read what `save` wrote, the latest step unless one is given.

    `state` is one that `init_search` made as for the saved search; arrays come back to the devices where its own are.

    Raises:
        ValueError: nothing is saved there, not that step, or of another space, method or settings; the message names
            what differs.
    """
    if not Path(folder).is_dir():
        raise ValueError(f"folder: {folder} is not there.")
    with _manager(folder, None) as manager:
        steps = sorted(manager.all_steps())
        if not steps or (step is not None and step not in steps):
            wanted = "no state" if step is None else f"no state of step {step}"
            raise ValueError(f"folder: {folder} has {wanted}; it has {steps}.")
        chosen = steps[-1] if step is None else step
        found = manager.restore(chosen, args=ocp.args.Composite(identity=ocp.args.JsonRestore()))
        _check_identity(found["identity"], _identity(state))
        wanted = jax.tree.map(ocp.utils.to_shape_dtype_struct, _named(state))
        saved = manager.restore(chosen, args=ocp.args.Composite(state=ocp.args.StandardRestore(wanted)))["state"]
    leaves = [_typed(saved[name], leaf) for name, leaf in _leaves(state)]
    return jax.tree.unflatten(jax.tree.structure(state), leaves)


def _manager(folder: str | Path, keep: int | None) -> ocp.CheckpointManager:
    return ocp.CheckpointManager(Path(folder).resolve(), options=ocp.CheckpointManagerOptions(max_to_keep=keep))


def _leaves(state: SearchState) -> list[tuple[str, Array]]:
    paths, _ = jax.tree.flatten_with_path(state)
    return [(jax.tree_util.keystr(path, simple=True, separator="."), leaf) for path, leaf in paths]


def _named(state: SearchState) -> dict[str, Array]:
    """The arrays by name; keys of random numbers as what they consist of."""
    return {name: jax.random.key_data(leaf) if _is_key(leaf) else leaf for name, leaf in _leaves(state)}


def _is_key(leaf: Array) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _typed(value: Array, like: Array) -> Array:
    if not like.committed:
        value = jnp.asarray(np.asarray(value))  # free of a device like the original, or steps would be compiled anew
    return jax.random.wrap_key_data(value) if _is_key(like) else value


def _identity(state: SearchState) -> dict[str, Any]:
    problem = state.problem
    asked = {
        "space": problem.space,
        "method": problem.method,
        "settings": problem.settings,
        "steps_per_epoch": problem.steps_per_epoch,
        "searches": list(state.step.shape),
    }
    return flat(identify(asked))


def _check_identity(saved: dict[str, Any], asked: dict[str, Any]) -> None:
    for name in sorted(saved.keys() | asked.keys()):
        if saved.get(name) != asked.get(name):
            raise ValueError(f"state: the saved search has {name}={saved.get(name)!r}, not {asked.get(name)!r}.")
