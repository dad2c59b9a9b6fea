"""The alternating optimisation of Eq. 4 in JAX, one compiled step (arXiv:1806.09055, Algorithm 1).

States are pytrees: `jax.vmap` runs searches of many seeds at once, `archgrad.jax.replicate` and `shard` spread one over
devices, and `archgrad.jax.save` keeps it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from flax import nnx
from jax import Array, lax

from archgrad.checks import whole
from archgrad.genotype import Genotype
from archgrad.jax.hypergradients import Losses, estimator
from archgrad.jax.problem import Loss, Problem, classification
from archgrad.jax.stream import batch_at, check_data
from archgrad.jax.supernet import ConvSupernet, check_space
from archgrad.jax.support import (
    check_loss,
    check_optimizer,
    check_own,
    checked_settings,
    method_row,
    random_key,
)
from archgrad.methods import Method, check_fit, stage_space
from archgrad.settings import BilevelSettings

Batch: TypeAlias = tuple[Any, Any]
"""(inputs, targets): images [N, H, W, C] and labels [N] for a `ConvSupernet`."""

WEIGHTS, LOGITS, NOISE, TRAIN, VALIDATION = range(5)  # what numbers are drawn for


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["weights", "variables", "logits", "weight_state", "logit_state", "key", "step"],
    meta_fields=["problem"],
)
@dataclass(frozen=True)
class SearchState:
    """All that a search has learnt, as a pytree: w, α, both optimisers' states, the key of its randomness, the step.

    `variables` is what the supernet keeps besides parameters, such as running averages in modules of your own.
    `problem` is static.
    """

    weights: nnx.State
    variables: nnx.State
    logits: dict[str, Array]
    weight_state: optax.OptState
    logit_state: optax.OptState
    key: Array
    step: Array
    problem: Problem


def init_search(
    space: Any,
    *,
    steps_per_epoch: int,
    method: Method | str | None = None,
    seed: int | Array = 0,
    supernet: Callable[..., nnx.Module] | None = None,
    loss: Loss = classification,
    weight_optimizer: optax.GradientTransformation | None = None,
    logit_optimizer: optax.GradientTransformation | None = None,
    settings: BilevelSettings | None = None,
    **changes: Any,
) -> SearchState:
    """Draw w and α from the seed: the state that a search begins with.

    Arguments:
        space: a `ConvCellSpace`; or with `supernet` anything that has `groups`, a tuple of `archgrad.arch.LogitGroup`
            (and `decode(mixture, decoder)`, for `archgrad.jax.decode`).
        steps_per_epoch: gives learning rate, warm-up and the progress of methods their scale.
        method: a row of the table or its name, of those that JAX knows; second-order DARTS unless given.
        seed: a whole number from 0 to 2³² − 1, or an array under `jax.vmap`.
        supernet: for a space of your own, a class or function which is called with `rngs=` and makes a Flax module that
            maps (inputs, mixture) to outputs.
        loss: (outputs, targets) -> (a scalar, metrics by name); cross-entropy and accuracy unless given.
        weight_optimizer, logit_optimizer: any two Optax transformations of the gradient; those of the settings unless
            given, whose rate, momentum and decay then have no part (as keywords they are refused). The second order
            differentiates the update of `weight_optimizer` as it is. The settings' `gradient_clip` bounds the weights'
            gradient before it, in the weight step alone; a bound within the transformation is differentiated as well.
        settings, changes: `archgrad.settings.BilevelSettings` and single fields of it, such as `epochs=10`.

    Raises:
        ValueError: before any work, for a method, a setting or a space that JAX does not know, naming those it does.

    >>> from archgrad.spaces import ConvCellSpace
    >>> space = ConvCellSpace(channels=4, layers=3, nodes=1, candidates=("none", "skip_connect", "max_pool_3x3"))
    >>> state = init_search(space, steps_per_epoch=10, method="darts-first-order", epochs=5)
    >>> sorted(state.logits), state.logits["normal"].shape
    (['normal', 'reduce'], (2, 3))
    """
    whole("steps_per_epoch", steps_per_epoch, 1)
    row = method_row(method)
    resolved = checked_settings(BilevelSettings() if settings is None else settings, changes)
    check_optimizer("weight_optimizer", weight_optimizer, beside=changes)
    check_optimizer("logit_optimizer", logit_optimizer, beside=changes)
    check_loss(loss)
    key = random_key(seed)
    if supernet is None:
        check_space(space)
        check_fit(row, space, epochs=resolved.epochs)
        space = stage_space(row, space, 0, {})
        supernet = partial(ConvSupernet, space)
    else:
        check_own(space, supernet, row)
    module = supernet(rngs=nnx.Rngs(jax.random.fold_in(key, WEIGHTS)))
    if not isinstance(module, nnx.Module):
        raise ValueError(f"supernet: must make a module of Flax NNX, made {type(module).__name__}.")
    graph, weights, variables = nnx.split(module, nnx.Param, ...)
    problem = Problem(
        graph, space, tuple(space.groups), row, resolved, steps_per_epoch, loss, weight_optimizer, logit_optimizer
    )
    logits = {
        group.name: resolved.logits_scale
        * jax.random.normal(jax.random.fold_in(jax.random.fold_in(key, LOGITS), place), group.shape)
        for place, group in enumerate(problem.groups)
    }
    return SearchState(
        weights=weights,
        variables=variables,
        logits=logits,
        weight_state=problem.weight_optimizer.init(weights),
        logit_state=problem.logit_optimizer.init(logits),
        key=key,
        step=jnp.zeros((), jnp.int32),
        problem=problem,
    )


@jax.jit
def search_step(
    state: SearchState, train_batch: Batch, validation_batch: Batch
) -> tuple[SearchState, dict[str, Array]]:
    """Take an architecture step on the validation batch, then a weight step on the training batch; compiled once.

        α ← α − T_α(∇_α of the bilevel objective)
        w ← w − T_w(∇_w L_train(w, α), clipped)      with the updated α

    The metrics are `train_loss`, `train_accuracy`, … at (w, α) of the weight step, and `validation_loss`, … where the
    hypergradient took them: at w, or at w' for the second order (NaN during a warm-up). A loss that is no longer finite
    is for the caller to notice; nothing is raised within a compiled step.

    Reference: arXiv:1806.09055, Algorithm 1.

    Raises:
        ValueError: images or labels that do not fit, or a state of several searches without `jax.vmap`.
    """
    _check_single(state)
    problem = state.problem
    losses = _losses(state, train_batch, validation_batch)
    warmup = problem.settings.warmup_epochs * problem.steps_per_epoch
    move = partial(_architecture_step, losses=losses)
    if warmup:
        still = partial(_no_architecture_step, metrics=jax.eval_shape(lambda: move(state)[1]))
        moved, of_validation = lax.cond(state.step >= warmup, move, still, state)
    else:
        moved, of_validation = move(state)
    moved, of_train = _weight_step(moved, losses)
    info = {f"train_{name}": value for name, value in of_train.items()}
    info |= {f"validation_{name}": value for name, value in of_validation.items()}
    return replace(moved, step=state.step + 1), info


def _losses(state: SearchState, train_batch: Batch, validation_batch: Batch) -> Losses:
    """L_train and L_val of a step: its noise, its progress, and both batches; what they hand on are (metrics, rest)."""
    problem = state.problem
    progress = problem.progress(state.step)
    noise = jax.random.fold_in(jax.random.fold_in(state.key, NOISE), state.step)

    def evaluate(batch: Batch, weights: nnx.State, logits: dict[str, Array], *, penalised: bool) -> Any:
        mixture = problem.mixture(logits, noise, progress)
        inputs, targets = batch
        outputs, variables = _apply(replace(state, weights=weights), inputs, mixture, progress)
        found = problem.loss(outputs, targets)
        if not isinstance(found, tuple) or len(found) != 2:
            raise ValueError(f"loss: must return (a scalar, metrics by name), got {type(found).__name__}.")
        loss, metrics = found
        total = loss + problem.penalties(logits, mixture, progress) if penalised else loss
        return total, ({**metrics, "loss": loss}, variables)

    return Losses(
        train=partial(evaluate, train_batch, penalised=False),
        validation=partial(evaluate, validation_batch, penalised=True),
    )


def _apply(state: SearchState, inputs: Any, mixture: Any, progress: Array) -> tuple[Any, nnx.State]:
    """The supernet's outputs, and its variables after them."""
    # A module of its own, since those of one trace must not change variables of another, as running averages do.
    module = cast(Callable[..., Any], supernet_of(state))
    fading = {"progress": progress} if state.problem.method.mixing.auxiliary_skip else {}
    outputs = module(inputs, mixture, **fading)
    _, _, variables = nnx.split(module, nnx.Param, ...)
    return outputs, variables


def _architecture_step(state: SearchState, losses: Losses) -> tuple[SearchState, dict[str, Array]]:
    problem = state.problem

    def inner(gradient: nnx.State) -> Any:
        updates, _ = problem.weight_optimizer.update(gradient, state.weight_state, state.weights)
        return optax.apply_updates(state.weights, updates)

    assert problem.method.hypergradient is not None
    estimate = estimator(problem.method.hypergradient)
    gradient, (_, (metrics, _)) = estimate(losses, state.weights, state.logits, inner=inner)
    updates, logit_state = problem.logit_optimizer.update(gradient, state.logit_state, state.logits)
    logits = cast(dict[str, Array], optax.apply_updates(state.logits, updates))
    return replace(state, logits=logits, logit_state=logit_state), metrics


def _no_architecture_step(state: SearchState, metrics: Any) -> tuple[SearchState, dict[str, Array]]:
    return state, {name: jnp.full(value.shape, jnp.nan, value.dtype) for name, value in metrics.items()}


def _weight_step(state: SearchState, losses: Losses) -> tuple[SearchState, dict[str, Array]]:
    problem = state.problem
    gradient, (metrics, variables) = jax.grad(losses.train, has_aux=True)(state.weights, state.logits)
    clip = optax.clip_by_global_norm(problem.settings.gradient_clip)
    clipped, _ = clip.update(gradient, clip.init(state.weights))
    updates, weight_state = problem.weight_optimizer.update(clipped, state.weight_state, state.weights)
    weights = cast(nnx.State, optax.apply_updates(state.weights, updates))
    return replace(state, weights=weights, variables=variables, weight_state=weight_state), metrics


def search_epoch(
    state: SearchState, train: Batch, validation: Batch, *, batch_size: int
) -> tuple[SearchState, dict[str, Array]]:
    """Take `steps_per_epoch` steps on data in memory, in one compiled loop; return the means of the metrics.

    Batches are drawn from the state's key and step without replacement, pass by pass, so that a state that was saved
    anywhere goes on with the same batches. Many seeds on one copy of the data:

        jax.vmap(partial(search_epoch, batch_size=64), in_axes=(0, None, None))(states, train, validation)

    Raises:
        ValueError: a part is no pair of equally many inputs and targets, or has fewer examples than `batch_size`, a
            label is no class, or the state holds several searches without `jax.vmap`.
    """
    _check_single(state)
    whole("batch_size", batch_size, 2)  # batch statistics need two examples
    classes = getattr(state.problem.space, "num_classes", None) if state.problem.loss is classification else None
    for name, part in (("train", train), ("validation", validation)):
        check_data(part, name=name, num_classes=classes)
    return _epoch(state, train, validation, batch_size=batch_size)


@partial(jax.jit, static_argnames="batch_size")
def _epoch(
    state: SearchState, train: Batch, validation: Batch, *, batch_size: int
) -> tuple[SearchState, dict[str, Array]]:
    def step(state: SearchState, _: None) -> tuple[SearchState, dict[str, Array]]:
        batches = (
            batch_at(part, jax.random.fold_in(state.key, purpose), step=state.step, batch_size=batch_size)
            for part, purpose in ((train, TRAIN), (validation, VALIDATION))
        )
        return search_step(state, *batches)

    state, metrics = lax.scan(step, state, length=state.problem.steps_per_epoch)
    return state, jax.tree.map(lambda values: values.mean(axis=0), metrics)


def supernet_of(state: SearchState) -> nnx.Module:
    """The supernet of a state as a module of its own: what happens to it leaves the state as it is.

    Raises:
        ValueError: the state holds several searches (see `member`).
    """
    _check_single(state)
    return nnx.merge(state.problem.graph, state.weights, state.variables, copy=True)


def mixture(state: SearchState) -> dict[str, Array]:
    """p = relax(α) of a state by group, without noise, at the progress of its last step."""
    if state.step.ndim:  # several searches side by side, each at a progress of its own
        return jax.vmap(mixture)(state)
    return state.problem.mixture(state.logits, None, state.problem.progress(jnp.maximum(state.step - 1, 0)))


def decode(state: SearchState) -> Genotype:
    """The genotype that a state's mixture decodes to, by the method's rule; the same object as on the PyTorch side.

    Raises:
        ValueError: the state holds several searches (see `member`), or the space has no `decode`.
    """
    _check_single(state)
    if not hasattr(state.problem.space, "decode"):
        raise ValueError(f"space: {type(state.problem.space).__name__} has no method decode(mixture, decoder).")
    weights = {name: torch.from_numpy(np.array(rows)) for name, rows in mixture(state).items()}
    return state.problem.space.decode(weights, state.problem.method.decoder)


def _check_single(state: SearchState) -> None:
    if state.step.ndim:
        raise ValueError(
            f"state: holds {len(state.step)} searches; take one of them, `member(state, 0)`, or all by `jax.vmap`."
        )


def member(states: SearchState, index: int) -> SearchState:
    """One search of those that `jax.vmap` ran side by side.

    Raises:
        ValueError: the state is a single search, or has no such member.
    """
    if not states.step.ndim or not 0 <= index < len(states.step):
        many = f"{len(states.step)} searches, 0 to {len(states.step) - 1}" if states.step.ndim else "one search alone"
        raise ValueError(f"index: the state holds {many}; got {index}.")
    return jax.tree.map(lambda leaf: leaf[index], states)
