"""A step of the weights: w ← w − SGD(∇_w L_train(w, α)), with what methods change about it."""

from collections.abc import Mapping
from contextlib import nullcontext

import torch
from torch import Tensor

from archgrad.arch import Logits, Mixture
from archgrad.data.stream import Batch
from archgrad.devices import autocast
from archgrad.hypergrad import Weights
from archgrad.hypergrad.problem import detached, gradients
from archgrad.optimization import NOTHING, descend
from archgrad.seeding import derive
from archgrad.stability import held
from archgrad.state import SearchState
from archgrad.supernet_loss import SupernetLoss
from archgrad.tasks import Evaluation


def weight_step(
    losses: SupernetLoss, state: SearchState, batch: Batch, *, validation_batch: Batch | None
) -> Evaluation:
    """Change the state's weights by one step on a training batch.

    The logits may be perturbed, the gradient regularised, and the weights of frozen operations stay; which operations
    freeze is decided on the gradients of both batches, those of this step for the next.
    """
    method = losses.method
    logits = None if method.perturbation is None else _perturbed(losses, state, batch)
    with torch.no_grad():
        mixture = losses.mixture(state, logits, stepping=True)
    regulariser = NOTHING if method.alignment is None else _alignment(losses, state, batch, mixture)
    freezing = method.freezing
    of_validation: Weights = {}
    if freezing is not None and validation_batch is not None:
        of_validation = _validation_gradient(losses, state, validation_batch, mixture)
    hold = nullcontext()
    if freezing is not None:
        frozen = freezing.frozen(state.memory, state.operations)
        hold = held(dict(state.supernet.named_parameters()), frozen)
    with hold:
        evaluation = descend_on(losses, state, batch, mixture, regulariser=regulariser)
    if freezing is not None and of_validation:
        of_train = {
            name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            for name, parameter in state.supernet.named_parameters()
        }
        freezing.observe(state.memory, state.operations, of_train, of_validation)
    return evaluation


def descend_on(
    losses: SupernetLoss,
    state: SearchState,
    batch: Batch,
    mixture: Mixture,
    *,
    regulariser: Mapping[str, Tensor] = NOTHING,
) -> Evaluation:
    """Step the weights down the training loss under a mixture."""
    with autocast(losses.device, losses.settings.precision), losses.seeded(state, "train"):
        evaluation = losses.task.evaluate(lambda inputs: state.supernet(inputs, mixture), batch, state.carries["train"])
    descend(
        state.weight_optimizer,
        evaluation.penalised,
        network=state.supernet,
        gradient_clip=losses.settings.gradient_clip,
        step=state.progress.step,
        ensemble=bool(state.space.ensemble),
        regulariser=regulariser,
    )
    return evaluation


def _perturbed(losses: SupernetLoss, state: SearchState, batch: Batch) -> Logits:
    assert losses.method.perturbation is not None
    weights = detached(dict(state.supernet.named_parameters()))

    def loss(logits: Logits) -> Tensor:
        mixture = losses.mixture(state, logits, stepping=True)
        return losses.evaluate(state, weights, mixture, part="train", batch=batch).loss

    return losses.method.perturbation(
        detached(state.logits),
        loss,
        masks=state.masks,
        progress=losses.progress(state, stepping=True),
        seed=derive(state.seed, "perturbation", state.progress.step),
    )


def _alignment(losses: SupernetLoss, state: SearchState, batch: Batch, mixture: Mixture) -> Weights:
    assert losses.method.alignment is not None

    def loss(weights: Weights, mixture: Mixture) -> Tensor:
        # Differences of losses are smaller than bfloat16's rounding.
        return losses.evaluate(state, weights, mixture, part="train", batch=batch, precision="float32").loss

    return losses.method.alignment(
        loss,
        detached(dict(state.supernet.named_parameters())),
        mixture,
        cells=state.supernet.cell_groups,  # pyright: ignore[reportArgumentType]  those of a cell space, which was checked
        progress=losses.progress(state, stepping=True),
    )


def _validation_gradient(losses: SupernetLoss, state: SearchState, batch: Batch, mixture: Mixture) -> Weights:
    weights = detached(dict(state.supernet.named_parameters()), requires_grad=True)
    return gradients(losses.evaluate(state, weights, mixture, part="validation", batch=batch).loss, weights)
