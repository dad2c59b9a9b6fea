"""Train a decoded network from scratch in JAX: SGD on cross-entropy, one compiled loop per epoch."""

import time
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array, lax

from archgrad.checks import above, whole
from archgrad.jax.problem import classification
from archgrad.jax.search import Batch
from archgrad.jax.stream import batch_at, check_data
from archgrad.jax.support import check_optimizer, random_key


class Score(NamedTuple):
    """What a training came to.

    `accuracy` and `loss` are those on the test set after the last epoch, None without a test set; `train_loss` is the
    mean over the last epoch.
    """

    accuracy: float | None
    loss: float | None
    train_loss: float
    parameters: int
    seconds: float


def train(
    network: nnx.Module,
    *,
    train: Batch,
    test: Batch | None = None,
    epochs: int = 15,
    batch_size: int = 64,
    learning_rate: float = 0.05,
    seed: int = 0,
    optimizer: optax.GradientTransformation | None = None,
) -> Score:
    """Train a network, which is changed, on (images [N, H, W, C], labels [N]) in memory; nothing is augmented.

    `optimizer` is any Optax transformation, in place of SGD with momentum 0.9 and weight decay 3e-4, the rate falling
    from `learning_rate` to 0 by a cosine over all steps, the gradient's norm bounded by 5: those of arXiv:1806.09055,
    appendix A.2. For augmentation, auxiliary heads and path dropout train on the PyTorch side (`archgrad.train`), or
    write a loop of your own. The network is left in evaluation mode where there is a test set.

    Raises:
        ValueError: no epochs, a rate that is not above 0, no module of Flax, no transformation of Optax, a seed
            that JAX does not take, fewer images than a batch, or a label that is no class.
    """
    started = time.perf_counter()
    whole("epochs", epochs, 1)
    whole("batch_size", batch_size, 2)
    above("learning_rate", learning_rate, 0)
    if not isinstance(network, nnx.Module):
        raise ValueError(f"network: must be a module of Flax, got {type(network).__name__}.")
    check_optimizer("optimizer", optimizer)
    key = random_key(seed)
    network.train()
    for name, part in (("train", train), ("test", test)):
        if part is not None:
            check_data(part, name=name, num_classes=_classes(network, part))
    steps = len(train[0]) // batch_size
    chosen = _sgd(learning_rate, epochs * steps) if optimizer is None else optimizer
    graph, weights, variables = nnx.split(network, nnx.Param, ...)
    learnt, train_loss = (weights, variables, chosen.init(weights)), jnp.nan
    for number in range(epochs):
        learnt, train_loss = _epoch(learnt, train, key, number, graph=graph, optimizer=chosen, batch_size=batch_size)
    weights, variables, _ = jax.block_until_ready(learnt)
    nnx.update(network, weights, variables)
    metrics = {"accuracy": None, "loss": None} if test is None else evaluate(network, test, batch_size=batch_size)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(weights))
    seconds = time.perf_counter() - started
    return Score(metrics["accuracy"], metrics["loss"], float(train_loss), parameters, seconds)


def _classes(network: Any, data: Any) -> int | None:
    """How many scores the network has for an image; None where it does not read these images, which it says itself."""
    if not isinstance(data, tuple | list) or len(data) != 2:
        return None
    return nnx.eval_shape(lambda network, images: network(images), network, data[0][:2]).shape[-1]


@lru_cache(maxsize=1)
def _sgd(rate: float, steps: int) -> optax.GradientTransformation:
    """The same object for the same numbers, so that training again does not compile again."""
    return optax.chain(
        optax.clip_by_global_norm(5.0),
        optax.add_decayed_weights(3e-4),
        optax.sgd(optax.cosine_decay_schedule(rate, max(1, steps)), momentum=0.9),
    )


@partial(jax.jit, static_argnames=("graph", "optimizer", "batch_size"))
def _epoch(
    learnt: Any,
    data: Batch,
    key: Array,
    number: Array | int,
    *,
    graph: nnx.GraphDef,
    optimizer: optax.GradientTransformation,
    batch_size: int,
) -> tuple[Any, Array]:
    steps = max(1, len(data[0]) // batch_size)

    def step(learnt: Any, place: Array) -> tuple[Any, Array]:
        weights, variables, optimizer_state = learnt
        images, labels = batch_at(data, key, step=number * steps + place, batch_size=batch_size)

        def loss(weights: nnx.State) -> tuple[Array, nnx.State]:
            network: Any = nnx.merge(graph, weights, variables, copy=True)
            value, _ = classification(network(images), labels)
            _, _, variables_after = nnx.split(network, nnx.Param, ...)
            return value, variables_after

        (value, variables), gradient = jax.value_and_grad(loss, has_aux=True)(weights)
        updates, optimizer_state = optimizer.update(gradient, optimizer_state, weights)
        return (optax.apply_updates(weights, updates), variables, optimizer_state), value

    learnt, losses = lax.scan(step, learnt, jnp.arange(steps))
    return learnt, losses.mean()


def evaluate(network: nnx.Module, data: Batch, *, batch_size: int = 256) -> dict[str, float]:
    """The mean loss and accuracy of a network in evaluation mode, in which it stays; no example is left out."""
    network.eval()
    images, labels = data
    totals: dict[str, float] = {"loss": 0.0, "accuracy": 0.0}
    for start in range(0, len(images), batch_size):
        part = slice(start, start + batch_size)
        loss, metrics = _score(network, images[part], labels[part])
        for name, value in {"loss": loss, **metrics}.items():
            totals[name] += float(value) * len(images[part]) / len(images)
    return totals


@nnx.jit
def _score(network: Any, images: Array, labels: Array) -> tuple[Array, dict[str, Array]]:
    return classification(network(images), labels)
