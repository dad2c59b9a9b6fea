"""Train a decoded network from scratch in JAX: SGD on cross-entropy, one compiled loop per epoch."""

import time
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array, lax

from archgrad.checks import whole
from archgrad.jax.problem import classification
from archgrad.jax.search import Batch
from archgrad.jax.stream import batch_at


class Score(NamedTuple):
    """What a training came to: accuracy and loss on the test set after the last epoch, None without a test set."""

    accuracy: float | None
    loss: float | None
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

    `optimizer` is any Optax transformation; unless given SGD with momentum 0.9 and weight decay 3e-4, the rate falling
    from `learning_rate` to 0 by a cosine over all steps, the gradient's norm bounded by 5: those of arXiv:1806.09055,
    appendix A.2. For augmentation, auxiliary heads and path dropout train on the PyTorch side (`archgrad.train`), or
    write a loop of your own.

    Raises:
        ValueError: no epochs, or fewer images than a batch.
    """
    whole("epochs", epochs, 1)
    whole("batch_size", batch_size, 2)
    started = time.perf_counter()
    inputs, _ = train
    steps = len(inputs) // batch_size
    chosen = _sgd(learning_rate, steps * epochs) if optimizer is None else optimizer
    network.train()
    graph, weights, variables = nnx.split(network, nnx.Param, ...)
    learnt = (weights, variables, chosen.init(weights))
    epoch = jax.jit(partial(_epoch, graph, chosen, batch_size=batch_size, steps=steps))
    key = jax.random.key(seed)
    for number in range(epochs):
        learnt = epoch(learnt, train, key, number)
    weights, variables, _ = jax.block_until_ready(learnt)
    nnx.update(network, weights, variables)
    metrics = {"accuracy": None, "loss": None} if test is None else evaluate(network, test, batch_size=batch_size)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(weights))
    return Score(metrics["accuracy"], metrics["loss"], parameters, time.perf_counter() - started)


def _sgd(rate: float, steps: int) -> optax.GradientTransformation:
    return optax.chain(
        optax.clip_by_global_norm(5.0),
        optax.add_decayed_weights(3e-4),
        optax.sgd(optax.cosine_decay_schedule(rate, max(1, steps)), momentum=0.9),
    )


def _epoch(
    graph: nnx.GraphDef,
    optimizer: optax.GradientTransformation,
    learnt: Any,
    data: Batch,
    key: Array,
    number: Array,
    *,
    batch_size: int,
    steps: int,
) -> Any:
    def step(learnt: Any, place: Array) -> tuple[Any, None]:
        weights, variables, optimizer_state = learnt
        images, labels = batch_at(data, key, step=number * steps + place, batch_size=batch_size)

        def loss(weights: nnx.State) -> tuple[Array, nnx.State]:
            network: Any = nnx.merge(graph, weights, variables, copy=True)
            value, _ = classification(network(images), labels)
            _, _, variables_after = nnx.split(network, nnx.Param, ...)
            return value, variables_after

        gradient, variables = jax.grad(loss, has_aux=True)(weights)
        updates, optimizer_state = optimizer.update(gradient, optimizer_state, weights)
        return (optax.apply_updates(weights, updates), variables, optimizer_state), None

    return lax.scan(step, learnt, jnp.arange(steps))[0]


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
