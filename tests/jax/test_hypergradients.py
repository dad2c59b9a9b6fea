"""Hypergradients in JAX against closed forms, differentiation through the whole step, and PyTorch's estimators."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from archgrad import hypergrad
from archgrad.hypergrad import FirstOrder, Implicit, InnerStep, Unrolled
from archgrad.hypergrad.problem import detached, gradients
from archgrad.jax import Losses, first_order, init_search, to_torch, unrolled
from archgrad.jax.hypergradients import estimator
from archgrad.jax.optimizers import weight_optimizer
from archgrad.jax.search import _architecture_step, _losses
from archgrad.relax import Softmax
from archgrad.settings import BilevelSettings
from archgrad.spaces import ConvCellSpace

RATES = st.floats(0.0, 1.0)
GENERATOR = np.random.default_rng(0)
MATRIX, FACTOR = GENERATOR.normal(size=(5, 3)), GENERATOR.normal(size=(5, 5))
CURVATURE = FACTOR @ FACTOR.T / 5 + np.eye(5)
TARGET, SLOPE, WEIGHT, LOGIT, BUFFER = (GENERATOR.normal(size=size) for size in (5, 3, 5, 3, 5))


def split(vector, at):
    return {"first": vector[:at], "second": (vector[at:],)}


def joined(tree):
    return jnp.concatenate(jax.tree.leaves(tree))


def quadratic_train(weights, logits):
    """½ (w − Aα)ᵀ H (w − Aα): the gradient is H (w − Aα), the mixed derivative −Aᵀ H."""
    apart = joined(weights) - MATRIX @ joined(logits)
    return apart @ CURVATURE @ apart / 2, {"size": apart @ apart}


def quadratic_validation(weights, logits):
    """½ ‖w − b‖² + cᵀα."""
    return jnp.square(joined(weights) - TARGET).sum() / 2 + SLOPE @ joined(logits), joined(weights)


QUADRATIC = Losses(quadratic_train, quadratic_validation)


def stepped(rate=0.0, momentum=0.0, decay=0.0):
    direction = CURVATURE @ (WEIGHT - MATRIX @ LOGIT) + decay * WEIGHT + momentum * BUFFER
    return WEIGHT - rate * direction


def closed_form(rate=0.0, **step):
    """With w' = w − ξ (μ b + H (w − Aα) + λ w): c + ξ Aᵀ H (w' − b)."""
    return SLOPE + rate * MATRIX.T @ CURVATURE @ (stepped(rate, **step) - TARGET)


@jax.jit
def of_quadratic(rate, momentum, decay):
    weights = split(jnp.asarray(WEIGHT), 2)
    buffers = split(jnp.asarray(BUFFER), 2)

    def inner(gradient):
        return jax.tree.map(lambda w, g, b: w - rate * (momentum * b + g + decay * w), weights, gradient, buffers)

    return unrolled(QUADRATIC, weights, split(jnp.asarray(LOGIT), 1), inner=inner)


@settings(max_examples=20, deadline=None)
@given(rate=RATES, momentum=RATES, decay=RATES)
def test_closed_form(rate, momentum, decay):
    with jax.enable_x64(True):
        gradient, (value, weights) = of_quadratic(rate, momentum, decay)
    step = {"rate": rate, "momentum": momentum, "decay": decay}
    assert gradient["first"].shape == (1,)
    assert gradient["second"][0].shape == (2,)
    np.testing.assert_allclose(np.concatenate(jax.tree.leaves(gradient)), closed_form(**step), rtol=1e-12, atol=1e-12)
    # What is handed on is the validation loss where the gradient was taken, at w'.
    np.testing.assert_allclose(weights, stepped(**step), rtol=1e-12, atol=1e-12)
    expected = np.square(stepped(**step) - TARGET).sum() / 2 + SLOPE @ LOGIT
    assert float(value) == pytest.approx(expected, rel=1e-12)


def test_the_optimiser_of_the_settings_is_the_closed_form_with_its_buffer():
    """SGD with weight decay and a running momentum, at a later epoch of the cosine."""
    changed = BilevelSettings(epochs=4, learning_rate=0.3, final_learning_rate=0.1, momentum=0.8, weight_decay=0.2)
    with jax.enable_x64(True):
        optimizer = weight_optimizer(changed, steps_per_epoch=5)
        weights = jnp.asarray(WEIGHT)
        state = optax.tree.set(optimizer.init(weights), trace=jnp.asarray(BUFFER), count=jnp.asarray(14))

        @jax.jit
        def estimate(weights, logits, state):
            def inner(gradient):
                updates, _ = optimizer.update(gradient, state, weights)
                return optax.apply_updates(weights, updates)

            return unrolled(QUADRATIC, weights, logits, inner=inner)

        gradient, _ = estimate(weights, jnp.asarray(LOGIT), state)
    rate = 0.1 + 0.2 * (1 + np.cos(np.pi * 2 / 4)) / 2
    np.testing.assert_allclose(gradient, closed_form(rate, momentum=0.8, decay=0.2), rtol=1e-7)


def test_first_order_is_the_plain_gradient_and_takes_no_inner_step():
    def refuse(gradient):
        raise AssertionError

    with jax.enable_x64(True):
        found = jax.jit(lambda w, a: first_order(QUADRATIC, w, a, inner=refuse))(WEIGHT, LOGIT)
    gradient, (value, weights) = found
    np.testing.assert_allclose(gradient, SLOPE, rtol=1e-12)
    np.testing.assert_array_equal(weights, WEIGHT)
    assert float(value) == pytest.approx(np.square(WEIGHT - TARGET).sum() / 2 + SLOPE @ LOGIT)


MIXING = GENERATOR.normal(size=(4, 3))
CURVED_WEIGHTS = {"w": GENERATOR.normal(size=4), "idle": GENERATOR.normal(size=4), "unused": GENERATOR.normal(size=2)}
CURVED_LOGITS = {"x": GENERATOR.normal(size=3), "unused": GENERATOR.normal(size=2)}
CURVED_BUFFERS = {name: GENERATOR.normal(size=value.shape) for name, value in CURVED_WEIGHTS.items()}


def curved(numeric, mixing):
    """Losses that are quadratic in nothing, with a weight and logits that each ignores, in either library."""

    def train(weights, logits):
        return (numeric.exp(weights["w"] * numeric.sin(mixing @ logits["x"])) + weights["w"] ** 4).sum()

    def validation(weights, logits):
        tangents = numeric.tanh(weights["w"] * weights["idle"]).sum()
        return tangents + (numeric.cos(logits["x"]) * numeric.exp(weights["w"][:3])).sum()

    return train, validation


TRAIN, VALIDATION = curved(jnp, MIXING)
CURVED = Losses(lambda w, a: (TRAIN(w, a), None), lambda w, a: (VALIDATION(w, a), None))


def assert_close(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(
    "optimizer",
    [
        optax.adam(0.05),
        optax.chain(optax.clip_by_global_norm(0.5), optax.add_decayed_weights(0.1), optax.sgd(0.1, momentum=0.9)),
    ],
)
def test_any_transformation_is_differentiated_as_it_is(optimizer):
    """Against reverse mode through all of L_val(inner(∇_w L_train(w, α)), α), in the middle of a training."""

    def both(weights, logits):
        earlier = jax.tree.map(lambda w: 0.3 * w, weights)
        _, state = optimizer.update(earlier, optimizer.init(weights), weights)

        def inner(gradient):
            return optax.apply_updates(weights, optimizer.update(gradient, state, weights)[0])

        def through(logits):
            return VALIDATION(inner(jax.grad(TRAIN)(weights, logits)), logits)

        return unrolled(CURVED, weights, logits, inner=inner)[0], jax.grad(through)(logits)

    with jax.enable_x64(True):
        found, expected = jax.jit(both)(CURVED_WEIGHTS, CURVED_LOGITS)
        direct = jax.jit(jax.grad(VALIDATION, argnums=1))(CURVED_WEIGHTS, CURVED_LOGITS)
    assert_close(found, expected)
    assert not np.allclose(found["x"], direct["x"], rtol=1e-3)
    assert not np.asarray(found["unused"]).any()


def test_pytorch_gives_the_same_and_without_a_step_both_orders_are_one():
    def estimates(weights, logits, rate, momentum, decay):
        def inner(gradient):
            return {
                name: w - rate * (gradient[name] + decay * w + momentum * CURVED_BUFFERS[name])
                for name, w in weights.items()
            }

        return tuple(estimate(CURVED, weights, logits, inner=inner)[0] for estimate in (unrolled, first_order))

    def as_tensors(arrays):
        return {name: torch.from_numpy(array).clone() for name, array in arrays.items()}

    compiled = jax.jit(estimates)
    losses = hypergrad.Losses(*curved(torch, torch.from_numpy(MIXING)))
    given = as_tensors(CURVED_WEIGHTS), as_tensors(CURVED_LOGITS)
    for rate, momentum, decay in ((0.1, 0.9, 0.3), (0.5, 0.0, 0.0), (0.0, 0.9, 0.3)):
        with jax.enable_x64(True):
            second, first = compiled(CURVED_WEIGHTS, CURVED_LOGITS, rate, momentum, decay)
        step = InnerStep(learning_rate=rate, momentum=momentum, weight_decay=decay, buffers=as_tensors(CURVED_BUFFERS))
        for found, twin in ((second, Unrolled()), (first, FirstOrder())):
            expected = twin(losses, *given, inner=step)
            assert_close(found, {name: tensor.numpy() for name, tensor in expected.items()})
        assert (rate == 0) == np.allclose(first["x"], second["x"], rtol=1e-12)


def test_an_estimator_is_found_by_its_part():
    assert estimator(FirstOrder()) is first_order
    assert estimator(Unrolled()) is unrolled
    with pytest.raises(ValueError, match=r"hypergradient: 'Implicit' is unknown.*FirstOrder, Unrolled"):
        estimator(Implicit())


SUPERNET_SPACE = ConvCellSpace(
    channels=2,
    layers=3,
    nodes=1,
    num_classes=3,
    in_channels=1,
    candidates=("none", "max_pool_3x3", "skip_connect", "dil_conv_3x3", "sep_conv_3x3"),
    choices={  # every kernel costs time to compile
        "normal": {(0, 2): ("none", "sep_conv_3x3"), (1, 2): ("none", "skip_connect")},
        "reduce": {(0, 2): ("none", "skip_connect"), (1, 2): ("max_pool_3x3", "dil_conv_3x3")},
    },
)


def test_the_hypergradient_of_a_supernet_is_that_of_pytorch():
    """Equal weights, logits, momenta and batches in float64; the logits' SGD of rate 1 shows the hypergradient."""
    generator = np.random.default_rng(1)
    batches = [(generator.normal(size=(6, 8, 8, 1)), np.arange(6) % 3) for _ in range(2)]
    with jax.enable_x64(True):
        state = init_search(SUPERNET_SPACE, steps_per_epoch=3, logit_optimizer=optax.sgd(1.0), learning_rate=0.1)
        momenta = jax.tree.map(lambda w: jnp.asarray(0.1 * generator.normal(size=w.shape)), state.weights)
        state = replace(state, weight_state=optax.tree.set(state.weight_state, trace=momenta))
        step = jax.jit(
            lambda state, train, validation: _architecture_step(state, _losses(state, train, validation)),
            compiler_options={"xla_backend_optimization_level": 0},  # compiles in half the time
        )
        after, metrics = step(state, *((jnp.asarray(images), jnp.asarray(labels)) for images, labels in batches))
        found = {name: np.asarray(state.logits[name] - after.logits[name]) for name in state.logits}
        supernet, buffers = (
            to_torch(nnx.merge(state.problem.graph, values, state.variables), SUPERNET_SPACE.supernet().double())
            for values in (state.weights, momenta)
        )

    masks = {group.name: group.mask_tensor() for group in SUPERNET_SPACE.groups}

    def loss_on(images, labels):
        inputs, targets = torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(labels)

        def loss(weights, logits):
            mixture = {name: Softmax()(tensor, masks[name]) for name, tensor in logits.items()}
            return cross_entropy(functional_call(supernet, weights, (inputs, mixture)), targets)

        return loss

    losses = hypergrad.Losses(*(loss_on(*batch) for batch in batches))
    given = {name: torch.from_numpy(np.array(logits)) for name, logits in state.logits.items()}
    settings = state.problem.settings
    inner = InnerStep(
        learning_rate=0.1,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        buffers=dict(buffers.named_parameters()),
    )
    weights = dict(supernet.named_parameters())
    expected, direct = (
        np.concatenate([tensor.numpy().ravel() for tensor in estimate(losses, weights, given, inner=inner).values()])
        for estimate in (Unrolled(), FirstOrder())
    )
    together = np.concatenate([found[name].ravel() for name in given])
    assert np.linalg.norm(together - expected) < 1e-8 * np.linalg.norm(expected)
    assert np.linalg.norm(expected - direct) > 1e-3 * np.linalg.norm(expected)
    of_train = gradients(losses.train(weights, given), weights)
    moved = inner(detached(weights), of_train)
    assert float(metrics["loss"]) == pytest.approx(losses.validation(moved, given).item(), rel=1e-12)
