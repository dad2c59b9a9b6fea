"""What of a search does not change while it runs: the supernet's graph, the method, the optimisers, the loss."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array

from archgrad.arch import LogitGroup
from archgrad.jax.optimizers import logit_optimizer, weight_optimizer
from archgrad.jax.penalties import penalty
from archgrad.jax.relaxations import relaxation
from archgrad.methods import Method
from archgrad.relax import Softmax
from archgrad.settings import BilevelSettings

Loss: TypeAlias = Callable[[Any, Any], tuple[Array, dict[str, Array]]]
"""(outputs, targets) -> (a scalar, metrics by name)."""


def classification(scores: Array, labels: Array) -> tuple[Array, dict[str, Array]]:
    """Cross-entropy of class scores [N, classes] and labels [N], with the share of the right ones, `accuracy`.

    Raises:
        ValueError: the labels are no whole numbers [N], one for each score. Their values are checked by `search_epoch`
            and `train` alone; here one that is no class makes the loss NaN.
    """
    if labels.ndim != 1 or not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(
            f"labels: must be whole numbers [N], got {labels.dtype} {list(labels.shape)}; other targets need a `loss`."
        )
    if not 0 < len(labels) == len(scores):
        raise ValueError(f"labels: must be one for each of the scores, {list(scores.shape)}, got {len(labels)}.")
    known = jnp.where(labels < 0, scores.shape[-1], labels)  # or −1 would count as the last class
    loss = optax.softmax_cross_entropy_with_integer_labels(scores, known).mean()
    return loss, {"accuracy": (scores.argmax(axis=-1) == labels).mean(dtype=scores.dtype)}


@dataclass(frozen=True)
class Problem:
    """The static part of a state: compiled steps are shared by all states whose problems are equal."""

    graph: nnx.GraphDef
    space: Any
    groups: tuple[LogitGroup, ...]
    method: Method
    settings: BilevelSettings
    steps_per_epoch: int
    loss: Loss
    given_weight_optimizer: optax.GradientTransformation | None
    given_logit_optimizer: optax.GradientTransformation | None

    def __hash__(self) -> int:
        # Equal problems have equal groups; the rest, a space's choices among them, cannot all be hashed.
        return hash((self.groups, self.steps_per_epoch))

    @property
    def weight_optimizer(self) -> optax.GradientTransformation:
        """That of the weights: what was given, or SGD as in the settings, without the bound on the gradient."""
        return self.given_weight_optimizer or weight_optimizer(self.settings, self.steps_per_epoch)

    @property
    def logit_optimizer(self) -> optax.GradientTransformation:
        """That of the logits: what was given, or Adam as in the settings."""
        return self.given_logit_optimizer or logit_optimizer(self.settings)

    def progress(self, step: Array) -> Array:
        """How far the search is at a step, by its epoch: from 0 in the first to 1 in the last."""
        return jnp.minimum(step // self.steps_per_epoch / max(1, self.settings.epochs - 1), 1.0)

    def mixture(self, logits: dict[str, Array], key: Array | None, progress: Array) -> dict[str, Array]:
        """p = relax(α), with the noise of a key, or without noise for decoding."""
        mixture = {}
        for place, group in enumerate(self.groups):
            relax = relaxation(self.method.relaxation if group.role == "operations" else Softmax())
            of_group = None if key is None else jax.random.fold_in(key, place)
            mixture[group.name] = relax(logits[group.name], jnp.asarray(group.mask), of_group, progress)
        return mixture

    def penalties(self, logits: dict[str, Array], mixture: dict[str, Array], progress: Array) -> Array:
        """What the method adds to the validation loss."""
        terms = (penalty(part)(logits, mixture, self.groups, progress) for part in self.method.penalties)
        return sum(terms, jnp.zeros(()))
