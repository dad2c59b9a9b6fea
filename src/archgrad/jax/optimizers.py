"""The optimisers of DARTS as Optax transformations; any two others may take their place."""

from typing import Any

import jax.numpy as jnp
import optax

from archgrad.settings import BilevelSettings


def weight_optimizer(settings: BilevelSettings, steps_per_epoch: int) -> optax.GradientTransformation:
    """SGD with momentum and weight decay; the rate falls by a cosine, epoch by epoch, as `archgrad.schedule.cosine`.

    Reference: arXiv:1806.09055, appendix A.1.1.
    """
    initial, final = settings.learning_rate, settings.final_learning_rate

    def rate(step: Any) -> Any:
        epoch = step // steps_per_epoch
        return final + (initial - final) * (1 + jnp.cos(jnp.pi * epoch / settings.epochs)) / 2

    return optax.chain(
        optax.add_decayed_weights(settings.weight_decay),
        optax.sgd(rate, momentum=settings.momentum),
    )


def logit_optimizer(settings: BilevelSettings) -> optax.GradientTransformation:
    """Adam whose weight decay is part of the gradient, as in the paper's code."""
    first, second = settings.logits_betas
    return optax.chain(
        optax.add_decayed_weights(settings.logits_weight_decay),
        optax.adam(settings.logits_learning_rate, b1=first, b2=second),
    )
