"""Without a new search: coefficients for other data, another architecture, and back to the first one."""

import numpy as np
import pytest

SMALL = {"restarts": 4, "max_epochs": 2, "num_graph_nodes": 1}


def data():
    X = np.random.default_rng(0).uniform(0, 1, (60, 2))
    return X, 2 * X[:, 0] + np.exp(X[:, 1])


def test_sampling_draws_others_and_max_returns_the_first(quick):
    X, y = data()
    model = quick(**SMALL).fit(X, y)
    first = model.equation_.genotype
    model.set_params(max_epochs=0, sampling_strategy="sample")
    drawn = {model.fit(X, y).equation_.genotype for _ in range(4)}
    assert len(drawn) > 1
    model.set_params(sampling_strategy="max")
    assert model.fit(X, y).equation_.genotype == first
    assert model.score(X, y) == pytest.approx(1)


def test_the_methods_do_what_the_arguments_do(quick):
    X, y = data()
    model, twin = quick(**SMALL).fit(X, y), quick(**SMALL).fit(X, y)
    twin.set_params(max_epochs=0, sampling_strategy="sample").fit(X, y)
    twin.set_params(max_epochs=SMALL["max_epochs"])
    assert model.sample_architecture(X, y).equation_.genotype is not None
    model.best_architecture(X, 3 * y)
    np.testing.assert_allclose(model.predict(X), 3 * y, rtol=1e-6)


def test_refit_keeps_exponents_and_zeros(quick):
    X = np.random.default_rng(0).uniform(1, 2, (60, 2))
    model = quick(primitives=("none", "mult", "powered")).fit(X, 3 * X[:, 0] ** 2 / X[:, 1])
    model.refit(X, 7 * X[:, 0] ** 2 / X[:, 1])
    assert str(model.equation_) == "7*x0**2/x1"


def test_drawing_first_fits_and_draws(quick):
    X, y = data()
    assert quick(**SMALL, sampling_strategy="sample").fit(X, y).draws_ == 1
