"""The estimator's arguments in the words of the driver."""

from dataclasses import replace
from typing import Any

from archgrad.checks import at_least
from archgrad.discovery.plan import OutputLayer
from archgrad.methods import Method, by_name
from archgrad.ops.symbolic import primitive_of
from archgrad.relax.penalties import Parsimony, Penalty, ZeroOneLoss
from archgrad.settings import SearchSettings

DEFAULT_PRIMITIVES = (
    *("none", "mult", "linear", "square", "reciprocal", "linear_exp", "linear_ln", "linear_sin", "linear_cos"),
    *("linear_tanh", "linear_arcsin", "linear_cosh", "multiply", "divide", "powered"),
)
"""What laws of physics are made of."""

RELAXATIONS = {"original": "darts-first-order", "fair": "fair-darts", "gumbel": "snas"}
"""darts_type and the row of the table of methods that it is."""

SAMPLING_STRATEGIES = ("max", "sample")


def settings(estimator: Any) -> SearchSettings:
    """The settings of a gradient search: an epoch is one step of so many updates of either kind."""
    return SearchSettings(
        epochs=max(1, estimator.max_epochs),
        batch_size=estimator.batch_size,
        learning_rate=estimator.param_learning_rate_max,
        final_learning_rate=estimator.param_learning_rate_min,
        momentum=estimator.param_momentum,
        weight_decay=estimator.param_weight_decay,
        gradient_clip=estimator.grad_clip,
        logits_learning_rate=estimator.arch_learning_rate_max,
        logits_weight_decay=estimator.arch_weight_decay,
        logit_updates=estimator.arch_updates_per_epoch,
        weight_updates=estimator.param_updates_per_epoch,
    )


def method(estimator: Any) -> Method:
    """The row of the table of methods, with the pressures that were asked for."""
    costs = {primitive.name: float(primitive.size) for primitive in map(primitive_of, estimator.primitives)}
    at_least("arch_weight_decay_base", estimator.arch_weight_decay_base, 0)
    at_least("arch_weight_decay_df", estimator.arch_weight_decay_df, 0)
    at_least("fair_darts_loss_weight", estimator.fair_darts_loss_weight, 0)
    penalties: list[Penalty] = [
        Parsimony(weight=estimator.arch_weight_decay_df, base=estimator.arch_weight_decay_base, costs=costs)
    ]
    if estimator.darts_type == "fair":
        penalties.append(ZeroOneLoss(weight=estimator.fair_darts_loss_weight))
    return replace(by_name(RELAXATIONS[estimator.darts_type]), penalties=tuple(penalties))


def output_layer(estimator: Any) -> OutputLayer:
    """How the gradient search treats the output layer."""
    return OutputLayer(
        coefficients=estimator.train_classifier_coefficients,
        bias=estimator.train_classifier_bias,
        weight_decay=estimator.classifier_weight_decay,
        initialise=estimator.init_weights_function,
    )
