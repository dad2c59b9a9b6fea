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

FIRST = ("method.name", "searches")
"""What is said before anything else when two searches differ."""


def save(folder: str | Path, state: SearchState, *, keep: int = 2) -> None:
    """Write a state into a folder, under its step; the latest `keep` stay. Returns when all is on disk.

    A folder belongs to one search, and its steps ascend.

    Raises:
        ValueError: the folder is a file, has a state of this or a later step, or of another search (the message says
            what differs), or `keep` is below 1.
        OSError: the folder cannot be written.
    """
    whole("keep", keep, 1)
    if Path(folder).is_file():
        raise ValueError(f"folder: {folder} is a file.")
    Path(folder).mkdir(parents=True, exist_ok=True)
    step, identity = int(np.max(state.step)), _identity(state)
    with _manager(folder, keep) as manager:
        latest = manager.latest_step()
        if latest is not None:
            _check_identity(_saved_identity(manager, folder, latest), identity)
            if step <= latest:
                raise ValueError(
                    f"folder: {folder} has a state of step {latest} already, this one is of step {step}; restore that "
                    "one, or save to another folder."
                )
        items = ocp.args.Composite(state=ocp.args.StandardSave(_named(state)), identity=ocp.args.JsonSave(identity))
        manager.save(step, args=items)


def restore(folder: str | Path, state: SearchState, *, step: int | None = None) -> SearchState:
    """Read what `save` wrote, the latest step unless one is given.

    `state` is one that `init_search` made as for the saved search, of any seed; arrays come back to the devices where
    its own are.

    Raises:
        ValueError: nothing is saved there, not that step, or of another space, method, settings or optimisers; the
            message says what differs. What an optimiser was made with, such as its rate, is not known.
    """
    if not Path(folder).is_dir():
        raise ValueError(f"folder: {folder} is {'a file' if Path(folder).is_file() else 'not there'}.")
    with _manager(folder, None) as manager:
        steps = sorted(manager.all_steps())
        if not steps or (step is not None and step not in steps):
            wanted = "no state" if step is None else f"no state of step {step}"
            raise ValueError(f"folder: {folder} has {wanted}; it has {steps}.")
        chosen = steps[-1] if step is None else step
        identity = _saved_identity(manager, folder, chosen)
        _check_identity(identity, _identity(state) | {"key": identity.get("key")})
        wanted = jax.tree.map(ocp.utils.to_shape_dtype_struct, _named(state))
        saved = manager.restore(chosen, args=ocp.args.Composite(state=ocp.args.StandardRestore(wanted)))["state"]
    leaves = [_typed(saved[name], leaf) for name, leaf in _leaves(state)]
    return jax.tree.unflatten(jax.tree.structure(state), leaves)


def _saved_identity(manager: ocp.CheckpointManager, folder: str | Path, step: int) -> dict[str, Any]:
    try:
        return manager.restore(step, args=ocp.args.Composite(identity=ocp.args.JsonRestore()))["identity"]
    except (KeyError, FileNotFoundError) as error:
        raise ValueError(f"folder: step {step} in {folder} is damaged, or was not written by `save`.") from error


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
    """What a saved state belongs to, as plain values: the problem, the key, and the arrays' names and shapes."""
    problem = state.problem
    asked = {
        "space": problem.space,
        "method": problem.method,
        "settings": problem.settings,
        "steps_per_epoch": problem.steps_per_epoch,
        "searches": f"{len(state.step)} at once" if state.step.ndim else "one",
        "arrays": {name: list(leaf.shape) for name, leaf in _named(state).items()},
        "key": np.asarray(jax.random.key_data(state.key)).tolist(),
    }
    return flat(identify(asked))


def _check_identity(saved: dict[str, Any], asked: dict[str, Any]) -> None:
    # Method and number of searches come first, then what else was asked for, and the arrays that follow from it last.
    for name in sorted(
        saved.keys() | asked.keys(), key=lambda name: (name.startswith("arrays."), name not in FIRST, name)
    ):
        has, wants = (repr(known[name]) if name in known else "nothing of that name" for known in (saved, asked))
        if has != wants:
            raise ValueError(f"state: the saved one has {name} = {has}, this one {wants}.")
