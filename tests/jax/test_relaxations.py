"""Eq. 1 in JAX: values and derivatives are those of PyTorch's relaxations, and noise is Gumbel's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from archgrad.jax.relaxations import relaxation
from archgrad.relax import Annealed, Dirichlet, Gumbel, Scheduled, Sigmoid, Softmax, UniformPath

LOGITS = np.array([[0.0, 1.0, -1.0, 0.5], [2.0, 0.0, 0.0, 0.0], [-3.0, 0.1, 0.2, 0.3]])
MASK = np.array([[True, True, True, False], [True, True, True, True], [False, False, True, False]])
ALLOWED = jnp.array(MASK)
SLOPES = np.random.default_rng(0).normal(size=LOGITS.shape)
PARTS = (
    Softmax(),
    Softmax(0.3),
    Sigmoid(),
    Gumbel(0.7),
    Gumbel(2.0, hard=True),
    Annealed(Softmax(5.0), 0.1),
    Annealed(Gumbel(5.0, hard=True), 0.1, "exponential"),
)


def pulled_back(part):
    """(logits, mask, slopes, progress) -> the mixture without noise and the gradient of Σ slopes · mixture."""
    relax = relaxation(part)

    @jax.jit
    def evaluate(logits, mask, slopes, progress):
        mixture, pull_back = jax.vjp(lambda logits: relax(logits, mask, None, progress), logits)
        return mixture, pull_back(slopes)[0]

    return evaluate


COMPILED = {part: pulled_back(part) for part in PARTS}


@settings(max_examples=20, deadline=None)
@given(
    part=st.sampled_from(PARTS),
    logits=arrays(np.float64, (3, 4), elements=st.floats(-20, 20)),
    mask=arrays(np.bool_, (3, 4)).map(lambda mask: mask | (np.arange(4) == 2)),
    progress=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
)
def test_values_and_gradients_are_those_of_pytorch(part, logits, mask, progress):
    with jax.enable_x64(True):
        found = COMPILED[part](logits, mask, SLOPES, progress)
    relaxed = part.during(progress) if isinstance(part, Scheduled) else part
    alpha = torch.from_numpy(logits).requires_grad_()
    mixture = relaxed(alpha, torch.from_numpy(mask))
    (gradient,) = torch.autograd.grad(mixture, alpha, torch.from_numpy(SLOPES))
    np.testing.assert_allclose(found[0], mixture.detach().numpy(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found[1], gradient.numpy(), rtol=1e-10, atol=1e-13)
    assert (np.asarray(found[0])[~mask] == 0).all()


@pytest.mark.parametrize("part", [Softmax(0.3), Sigmoid()])
def test_second_derivatives_are_those_of_pytorch_and_finite_under_a_mask(part):
    relax = relaxation(part)

    def product(logits, direction):
        gradient = jax.grad(lambda logits: (SLOPES * relax(logits, ALLOWED, None, 0.0) ** 2).sum())
        return jax.jvp(gradient, (logits,), (direction,))[1]

    with jax.enable_x64(True):
        found = jax.jit(product)(LOGITS, SLOPES)

    def value(logits):
        return (torch.from_numpy(SLOPES) * part(logits, torch.from_numpy(MASK)) ** 2).sum()

    _, expected = torch.autograd.functional.hvp(value, torch.from_numpy(LOGITS), torch.from_numpy(SLOPES))
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("shape", ["linear", "exponential"])
def test_a_compiled_step_anneals_with_its_progress(shape):
    """Of two candidates, ln p₁ / p₀ = (α₁ − α₀) / τ: the temperature can be read off the mixture."""
    part = Annealed(Softmax(5.0), 0.5, shape)
    relax = jax.jit(lambda progress: relaxation(part)(jnp.array([[0.0, 1.0]]), jnp.ones((1, 2), bool), None, progress))
    for progress in (0.0, 0.5, 1.0):
        ((first, second),) = np.asarray(relax(progress), np.float64)
        assert 1 / np.log(second / first) == pytest.approx(part.during(progress).temperature, rel=1e-5)


@pytest.fixture(scope="module")
def samples():
    """4,000 samples of each kind, all from the same keys."""
    keys = jax.random.split(jax.random.key(0), 4_000)

    def many(part, progress=0.0):
        relax = relaxation(part)
        return jax.vmap(lambda key: relax(jnp.asarray(LOGITS, jnp.float32), ALLOWED, key, progress))(keys)

    parts = {
        "soft": (Gumbel(0.7),),
        "warm": (Gumbel(1.4),),
        "hard": (Gumbel(0.7, hard=True),),
        "middle": (Annealed(Gumbel(1.4), 0.35, "exponential"), 0.5),
        "end": (Annealed(Gumbel(9.0, hard=True), 0.7), 1.0),
    }
    drawn = jax.jit(lambda: {name: many(*arguments) for name, arguments in parts.items()})()
    return {name: np.asarray(values) for name, values in drawn.items()}


@pytest.mark.parametrize("name", ["soft", "hard"])
def test_the_largest_weight_is_a_draw_from_the_softmax(samples, name):
    """The Gumbel-max trick (arXiv:1611.01144, Eq. 1), at any temperature; within five standard deviations."""
    found = np.eye(4)[samples[name].argmax(axis=-1)].mean(axis=0)
    expected = Softmax()(torch.from_numpy(LOGITS), torch.from_numpy(MASK)).numpy()
    assert abs(found - expected).max() < 5 * 0.5 / 4_000**0.5


def test_hard_samples_are_exactly_one_hot_where_the_soft_ones_are_largest(samples):
    hard = samples["hard"]
    assert ((hard == 0) | (hard == 1)).all()
    assert (hard.sum(axis=-1) == 1).all()
    assert (hard.argmax(axis=-1) == samples["soft"].argmax(axis=-1)).all()


def test_the_temperature_divides_logits_and_noise(samples):
    """τ ln p₁ / p₀ = α₁ + g₁ − α₀ − g₀, whatever τ is."""
    soft, warm = (np.log(samples[name][:100, 1].astype(np.float64)) for name in ("soft", "warm"))
    np.testing.assert_allclose(
        0.7 * (soft[:, 1:] - soft[:, :1]), 1.4 * (warm[:, 1:] - warm[:, :1]), rtol=1e-3, atol=1e-4
    )


def test_annealed_noise_is_that_of_the_temperature(samples):
    for annealed, constant in (("middle", "soft"), ("end", "hard")):
        np.testing.assert_allclose(samples[annealed], samples[constant], rtol=1e-4, atol=1e-6)


def test_the_noise_differs_from_edge_to_edge_and_key_to_key(samples):
    """τ ln p₁ / p₂ − (α₁ − α₂) = g₁ − g₂ is of no two samples the same."""
    first, second = (
        0.7 * np.log(samples["soft"][:50, edge, 1] / samples["soft"][:50, edge, 2]) - LOGITS[edge, 1] + LOGITS[edge, 2]
        for edge in (0, 1)
    )
    assert len(np.unique(np.concatenate([first, second]).round(6))) == 100


def test_hard_samples_are_differentiated_as_soft_ones():
    def gradient(hard):
        relax = relaxation(Gumbel(0.7, hard=hard))
        return jax.grad(lambda logits: (SLOPES * relax(logits, ALLOWED, jax.random.key(5), 0.0)).sum())

    soft, hard = jax.jit(lambda logits: (gradient(False)(logits), gradient(True)(logits)))(jnp.asarray(LOGITS))
    assert np.array_equal(soft, hard)
    assert (np.asarray(soft)[MASK.sum(axis=1) > 1][:, :3] != 0).all()


@pytest.mark.parametrize("part", [Dirichlet(), UniformPath(), lambda logits, mask: logits])
def test_what_has_no_twin_is_refused(part):
    with pytest.raises(ValueError, match=r"relaxation: .* has no twin in JAX; allowed are Softmax, Sigmoid, Gumbel"):
        relaxation(part)
