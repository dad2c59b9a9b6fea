"""Training from scratch in JAX: it learns, running averages follow, and scores are exact."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from archgrad.jax import classification, evaluate, train

GENERATOR = np.random.default_rng(0)
LABELS = jnp.asarray(GENERATOR.integers(0, 3, 70))
IMAGES = jnp.asarray(1.0 * np.eye(3)[LABELS][:, None, None, :] + GENERATOR.normal(size=(70, 4, 4, 3)), jnp.float32)
TRAIN, TEST = (IMAGES[:44], LABELS[:44]), (IMAGES[44:], LABELS[44:])


class Small(nnx.Module):
    """Normalise, pool, classify."""

    def __init__(self, seed=0):
        rngs = nnx.Rngs(seed)
        self.norm = nnx.BatchNorm(3, momentum=0.9, rngs=rngs)
        self.classifier = nnx.Linear(3, 3, rngs=rngs)

    def __call__(self, images):
        return self.classifier(self.norm(images).mean(axis=(1, 2)))


@pytest.fixture(scope="module")
def trained():
    network = Small()
    score = train(network, train=TRAIN, test=TEST, epochs=8, batch_size=10, learning_rate=0.3)
    return network, score


def test_what_can_be_told_apart_is(trained):
    _, score = trained
    assert score.accuracy > 0.9
    assert score.loss < 0.2
    assert score.parameters == 3 + 3 + 3 * 3 + 3
    assert score.seconds > 0


def test_running_averages_go_to_those_of_the_data(trained):
    """After 32 steps of pace 0.1 with what is left of the beginning, 0.9³² = 3 %."""
    network, _ = trained
    mean = IMAGES[:44].mean(axis=(0, 1, 2))
    assert (mean > 0.2).all()
    np.testing.assert_allclose(network.norm.mean[...], mean, rtol=0.2)
    assert (network.norm.var[...] > 1.05).all()


def test_the_network_stays_in_evaluation_and_is_scored_exactly(trained):
    """The mean over all examples, whatever the batches are: the last ones are smaller."""
    network, score = trained
    scores = network(TEST[0])
    picked = nnx.log_softmax(scores)[jnp.arange(26), TEST[1]]
    mixed = (TEST[0], TEST[1].at[:7].set(0))  # with mistakes, for an accuracy below 1
    accuracy = float((scores.argmax(axis=1) == mixed[1]).mean())
    assert score.loss == pytest.approx(-float(picked.mean()), rel=1e-4)
    assert 0.5 < accuracy < 1
    found = evaluate(network, mixed, batch_size=10)
    assert found["accuracy"] == pytest.approx(accuracy, rel=1e-6)
    assert found["loss"] == pytest.approx(float(classification(scores, mixed[1])[0]), rel=1e-5)


def test_evaluation_changes_nothing(trained):
    network, _ = trained
    before = [np.array(leaf) for leaf in jax.tree.leaves(nnx.state(network))]
    evaluate(network, TEST, batch_size=26)
    assert all(np.array_equal(a, b) for a, b in zip(before, jax.tree.leaves(nnx.state(network)), strict=True))


def test_equal_seeds_are_equal_weights(trained):
    """The order of the batches is all that a seed decides."""
    weights = []
    for seed in (0, 1):
        network = Small()
        score = train(network, train=TRAIN, epochs=8, batch_size=10, learning_rate=0.3, seed=seed)
        assert (score.accuracy, score.loss) == (None, None)
        weights.append(np.asarray(network.classifier.kernel[...]))
    assert np.array_equal(weights[0], trained[0].classifier.kernel[...])
    assert not np.array_equal(*weights)


def test_the_usual_optimiser_written_out(trained):
    """One epoch of one batch, the whole set: SGD at the full rate with weight decay, on the bounded gradient."""
    network, twin = Small(3), Small(3)
    train(network, train=TRAIN, epochs=1, batch_size=44, learning_rate=0.3)

    twin.train()

    @nnx.jit
    def slope(twin):
        gradient = nnx.grad(lambda twin: classification(twin(TRAIN[0]), TRAIN[1])[0])(twin)
        return gradient.classifier.kernel[...], optax.tree.norm(gradient)

    kernel = twin.classifier.kernel[...]
    gradient, norm = slope(twin)
    assert float(norm) < 5
    expected = kernel - 0.3 * (gradient + 3e-4 * kernel)
    np.testing.assert_allclose(network.classifier.kernel[...], expected, rtol=1e-4, atol=1e-6)


def test_any_transformation_takes_its_place():
    network = Small()
    before = np.asarray(network.classifier.kernel[...])
    train(network, train=TRAIN, epochs=1, batch_size=44, optimizer=optax.set_to_zero())
    assert np.array_equal(network.classifier.kernel[...], before)
    assert (network.norm.mean[...] != 0).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs: must be at least 1, got 0"),
        ({"batch_size": 1}, "batch_size: must be at least 2, got 1"),
        ({"batch_size": 45}, "batch_size: must be at most the number of examples, 44, got 45"),
        ({"learning_rate": -1.0}, "learning_rate: must be above 0, got -1.0"),
        ({"seed": 2**32}, r"seed: must lie in \[0, 4294967295\], got 4294967296"),
        ({"train": (TRAIN[0], TRAIN[1] + 5)}, "train: labels must lie in 0 to "),
        ({"test": (TRAIN[0], TRAIN[1] - 1)}, "test: labels must lie in 0 to "),
    ],
)
def test_bad_arguments_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        train(Small(), **({"train": TRAIN} | changes))
