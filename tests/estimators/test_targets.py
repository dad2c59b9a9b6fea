"""Output types: what targets they take, what they predict, and that a known model comes back."""

import numpy as np
import pytest
import sympy

from archgrad.estimators.targets import Targets, useful_columns


def table(rows=200, columns=1, seed=0):
    return np.random.default_rng(seed).uniform(-2, 2, (rows, columns))


@pytest.mark.parametrize("kind", ["sigmoid", "probability"])
def test_a_logistic_curve_comes_back(kind, quick):
    X = table()
    y = 1 / (1 + np.exp(-(3 * X[:, 0] - 1)))
    model = quick(output_type=kind).fit(X, y)
    assert sympy.simplify(model.sympy() - (3 * sympy.Symbol("x0") - 1)) == 0
    np.testing.assert_allclose(model.predict(X), y, atol=1e-9)


def test_outcomes_give_probabilities_that_can_be_drawn_from(quick):
    X = table(400)
    y = (np.random.default_rng(1).random(400) < 1 / (1 + np.exp(-3 * X[:, 0]))).astype(float)
    model = quick(output_type="probability_sample", num_graph_nodes=1).fit(X, y)
    shares = model.predict(X)
    assert np.abs(shares - 1 / (1 + np.exp(-3 * X[:, 0]))).mean() < 0.08
    np.testing.assert_allclose(model.predict_proba(X), np.column_stack([1 - shares, shares]))
    drawn = model.sample(X, random_state=0)
    assert set(drawn) == {0, 1}
    assert abs(drawn.mean() - shares.mean()) < 0.1


def test_a_distribution_is_the_softmax_of_its_laws(quick):
    X = table()
    scores = np.column_stack([X[:, 0], 0 * X[:, 0], -2 * X[:, 0]])
    y = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    model = quick(output_type="probability_distribution", num_graph_nodes=1).fit(X, y)
    np.testing.assert_allclose(model.predict(X), y, atol=1e-8)
    assert len(model.sympy()) == 2


def test_labels_come_back_as_they_were(quick):
    X = table(150)
    labels = np.where(X[:, 0] < -0.5, "low", np.where(X[:, 0] > 0.7, "high", "middle"))
    flipped = np.random.default_rng(2).random(150) < 0.05
    labels[flipped] = "middle"
    model = quick(output_type="class", num_graph_nodes=1).fit(X, labels)
    assert set(model.predict(X)) <= {"low", "middle", "high"}
    assert model.score(X, labels) > 0.8
    assert model.predict_proba(X).shape == (150, 3)
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1)
    assert model.classes_.tolist() == ["high", "low", "middle"]


def test_real_targets_have_no_probabilities(quick):
    assert not hasattr(quick(), "predict_proba")
    assert hasattr(quick(output_type="class"), "predict_proba")


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        ("sigmoid", [0.5, 1.5], r"needs values in \[0, 1\], got 0.5 to 1.5"),
        ("probability_sample", [0.5, 1.0], "needs outcomes 0 and 1"),
        ("probability_distribution", [[0.5, 0.4]], "needs rows that sum to 1"),
        ("class", [[1, 2]], "needs one label a row"),
        ("class", [1, 1], "needs at least two labels, got only \\[1\\]"),
        ("number", [1.0], "output_type: 'number' is unknown"),
    ],
)
def test_targets_that_do_not_fit_are_refused(kind, values, said):
    with pytest.raises(ValueError, match=said):
        Targets.of(kind, np.array(values))


def test_equal_rows_become_one_of_their_summed_weight():
    targets = Targets.of("real", np.array([3.0, 1.0, 3.0, 9.0]))
    problem = targets.problem(np.array([[2.0], [1.0], [2.0], [5.0]]), np.array([1.0, 1.0, 2.0, 0.0]), 0)
    assert problem.inputs.tolist() == [[1, 2]]
    assert problem.targets.tolist() == [1, 3]
    assert problem.weights.tolist() == [1, 3]


def test_constant_columns_and_those_that_tell_nothing_are_left_out():
    generator = np.random.default_rng(0)
    X = generator.normal(size=(300, 20))
    X[:, 4] = 7.0
    targets = Targets.of("real", X[:, 3] ** 2)
    problem = targets.problem(X, np.ones(300), 0)
    kept, columns = useful_columns(problem, [f"c{i}" for i in range(20)], seed=0)
    assert len(columns.places) == 12
    assert 3 in columns.places
    assert 4 not in columns.places
    np.testing.assert_array_equal(kept.inputs[columns.places.index(3)], problem.inputs[3])
    assert columns.names[0] == f"c{columns.places[0]}"
