"""The estimator from the outside: laws that are found, conventions that are kept, input that is refused."""

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
import sympy
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from archgrad.estimators import DARTSRegressor
from archgrad.ops.symbolic import Primitive

CHECKED = DARTSRegressor(
    strategy="enumeration", primitives=("none", "linear", "square"), enumeration_limit=100, random_state=0
)


@parametrize_with_checks([CHECKED])
def test_scikit_learns_checks_pass_without_exclusion(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([DARTSRegressor(max_epochs=3, restarts=8)])
def test_scikit_learns_checks_pass_for_the_whole_search(estimator, check):
    check(estimator)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("random_state", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_the_law_of_the_existing_estimators_tutorial_is_found(seed_table, sign, random_state):
    x0, x1 = sympy.symbols("x0 x1")
    model = DARTSRegressor(num_graph_nodes=2, random_state=random_state).fit(*seed_table(sign))
    assert model.sympy() == 2 * x0 + sign * sympy.exp(5 * x1)
    assert model.score(*seed_table(sign)) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "constant", [130_000.0, pytest.param(1e-6, marks=pytest.mark.slow), pytest.param(-2.5e7, marks=pytest.mark.slow)]
)
def test_large_and_small_constants_are_found(constant):
    X = np.random.default_rng(0).uniform(1, 3, (80, 2))
    model = DARTSRegressor(random_state=0).fit(X, constant * X[:, 0] / X[:, 1] ** 2)
    x0, x1 = sympy.symbols("x0 x1")
    ratio = sympy.simplify(model.sympy() / (x0 / x1**2))
    assert float(ratio) == pytest.approx(constant, rel=1e-9)


@pytest.mark.parametrize("scale", [1e-100, 1e-12, 1e9, 1e100])
def test_the_scale_of_columns_and_targets_does_not_matter(scale):
    X = np.random.default_rng(0).uniform(1, 3, (60, 1))
    model = DARTSRegressor(random_state=0).fit(X * scale, X[:, 0] / scale)
    assert model.score(X * scale, X[:, 0] / scale) > 1 - 1e-9


def test_products_of_signed_columns_are_found():
    X = np.random.default_rng(0).normal(size=(120, 3))
    model = DARTSRegressor(random_state=0).fit(X, X[:, 0] * X[:, 1] * 3)
    x0, x1 = sympy.symbols("x0 x1")
    assert model.sympy() == 3 * x0 * x1


def test_noise_does_not_become_structure(quick):
    generator = np.random.default_rng(0)
    X = generator.uniform(0, 2, (150, 2))
    y = 3 * X[:, 0] ** 2 + 0.2 * generator.normal(size=150)
    model = quick().fit(X, y)
    (x0,) = model.sympy().free_symbols
    assert x0.name == "x0"
    assert float(model.sympy().coeff(x0, 2)) == pytest.approx(3, abs=0.1)


def test_the_front_is_sorted_and_each_equation_better_than_the_simpler_ones(quick, seed_table):
    front = quick().fit(*seed_table()).equations_
    complexities = [equation.complexity for equation in front]
    losses = [equation.validation_loss for equation in front]
    assert complexities == sorted(set(complexities))
    assert losses == sorted(losses, reverse=True)
    assert front[0].expression.is_number
    assert set(front.rows()[0]) == {"complexity", "loss", "validation_loss", "equation", "latex"}
    assert "exp(5*x1)" in str(front)
    assert len(front[:1]) == 1


def test_selection_by_index_and_rule(quick, seed_table):
    X, y = seed_table()
    simplest = quick(selection=0).fit(X, y)
    assert simplest.sympy().is_number
    assert simplest.sympy(-1) != simplest.sympy(0)
    assert quick(selection="accurate").fit(X, y).equation_.validation_loss == min(
        e.validation_loss for e in simplest.equations_
    )
    with pytest.raises(ValueError, match="selection: 99 is no index"):
        quick(selection=99).fit(X, y)


def test_the_best_is_the_simplest_within_a_standard_error(quick):
    generator = np.random.default_rng(1)
    X = generator.uniform(0, 2, (100, 1))
    model = quick().fit(X, X[:, 0] + 0.3 * generator.normal(size=100))
    best = min(model.equations_, key=lambda e: e.validation_loss)
    assert model.equation_.validation_loss <= best.validation_loss + best.validation_error
    assert model.equation_.complexity <= best.complexity


@pytest.mark.parametrize("jobs", [2])
def test_the_law_does_not_depend_on_the_number_of_processes(quick, jobs):
    generator = np.random.default_rng(0)
    X = generator.uniform(0, 1, (60, 2))
    y = np.exp(X[:, 0]) + X[:, 1] ** 2 + 0.1 * generator.normal(size=60)
    assert quick(n_jobs=jobs).fit(X, y).equations_ == quick().fit(X, y).equations_


def test_equal_seeds_give_equal_laws_and_leave_numpys_state_alone(quick):
    generator = np.random.default_rng(0)
    X = generator.uniform(0, 1, (60, 2))
    y = X[:, 0] * 2 + 0.1 * generator.normal(size=60)
    before = np.random.get_state()[1].copy()  # noqa: NPY002  the global state is what is looked at
    assert quick().fit(X, y).equations_ == quick().fit(X, y).equations_
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_the_order_of_rows_does_not_matter_and_a_weight_is_a_repetition(quick):
    generator = np.random.default_rng(0)
    X = generator.uniform(0, 1, (40, 2))
    y = X[:, 0] ** 2 + 0.1 * generator.normal(size=40)
    weights = generator.integers(0, 4, 40)
    shuffled = generator.permutation(40)
    model = quick().fit(X, y, sample_weight=weights)
    assert quick().fit(X[shuffled], y[shuffled], sample_weight=weights[shuffled]).equations_ == model.equations_
    assert quick().fit(X.repeat(weights, axis=0), y.repeat(weights)).equations_ == model.equations_


class Frame:
    """What scikit-learn takes for a data frame, so that pandas need not be installed."""

    def __init__(self, columns):
        self.columns = np.array(list(columns), dtype=object)
        self._values = np.column_stack(list(columns.values()))
        self.shape = self._values.shape

    def __array__(self, dtype=None, copy=None):
        return self._values.astype(dtype) if dtype else self._values

    def __len__(self):
        return len(self._values)

    def __dataframe__(self, *args, **kwargs):
        raise NotImplementedError


@pytest.mark.parametrize("name", ["body mass", "sin", "exp", "E", "I", "x-y", "lambda", "S", "pi", "a_b", "µ", "1st"])
def test_columns_may_be_called_anything(name, quick):
    X = np.random.default_rng(0).uniform(1, 2, (40, 1))
    model = quick()
    model.fit(X, 3 * X[:, 0] ** 2)
    model.names_ = (name,)
    from dataclasses import replace

    equation = replace(
        model.equation_, names=(name,), expression=model.sympy().subs(sympy.Symbol("x0"), sympy.Symbol(name))
    )
    assert equation.expression == 3 * sympy.Symbol(name) ** 2
    assert equation.latex.startswith("3 ")
    space = {}
    exec(equation.source("numpy"), space)
    np.testing.assert_allclose(space["law"](X), 3 * X[:, 0] ** 2)
    assert str(equation).count(name) == 1


def test_several_outputs_have_a_law_each(quick):
    X = np.random.default_rng(0).uniform(1, 2, (50, 2))
    Y = np.column_stack([X[:, 0] ** 2, 5 * X[:, 1]])
    model = quick().fit(X, Y)
    x0, x1 = sympy.symbols("x0 x1")
    assert model.sympy() == [x0**2, 5 * x1]
    np.testing.assert_allclose(model.predict(X), Y)
    assert len(model.equations_) == len(model.latex()) == 2


def test_it_works_in_pipelines_searches_clones_and_pickles(quick, seed_table):
    X, y = seed_table()
    pipeline = make_pipeline(StandardScaler(), quick()).fit(X, y)
    assert pipeline.score(X, y) > 0.999
    grid = GridSearchCV(quick(), {"num_graph_nodes": [1, 2]}, cv=2).fit(X, y)
    assert grid.best_score_ > 0.999
    model = quick().fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert again.equations_ == model.equations_
    assert not hasattr(clone(model), "equations_")


def test_exports_compute_what_predict_computes(quick, seed_table):
    X, y = seed_table()
    model = quick().fit(X, y)
    np.testing.assert_allclose(model.numpy_function()(X), model.predict(X))
    import torch

    module = model.torch_module()
    np.testing.assert_allclose(module(torch.from_numpy(X)).detach().numpy(), model.predict(X))
    space = {}
    exec(model.jax_source().replace("jax.numpy", "numpy"), space)
    np.testing.assert_allclose(space["law"](X), model.predict(X))
    assert model.model_repr() == str(model.equation_)
    assert model.model_repr(output_format="latex") == model.latex()
    with pytest.raises(ValueError, match="output_format: 'html' is unknown"):
        model.model_repr(output_format="html")


def test_saved_and_loaded_without_pickle(quick, seed_table, tmp_path):
    X, y = seed_table()
    model = quick().fit(X, y)
    model.save(tmp_path / "model.json")
    again = DARTSRegressor.load(tmp_path / "model.json")
    assert again.get_params() == model.get_params()
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert again.equations_ == model.equations_
    assert again.sympy() == model.sympy()
    assert again.refit(X, 2 * y).sympy() == 2 * model.sympy().expand()


@pytest.mark.parametrize(
    ("content", "said"),
    [("no json", "not JSON"), ("{}", "not a saved DARTSRegressor"), ("[]", "not a saved DARTSRegressor")],
)
def test_files_that_are_something_else_are_refused(content, said, tmp_path):
    (tmp_path / "model.json").write_text(content)
    with pytest.raises(ValueError, match=said):
        DARTSRegressor.load(tmp_path / "model.json")


def test_a_file_of_a_newer_version_is_refused(quick, seed_table, tmp_path):
    path = tmp_path / "model.json"
    quick().fit(*seed_table()).save(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 99}))
    with pytest.raises(ValueError, match="version 99 is newer"):
        DARTSRegressor.load(path)


def test_a_primitive_of_ones_own_is_found_saved_and_loaded(tmp_path):
    import torch

    own = Primitive("gauss", lambda x: torch.exp(-(x**2)), lambda x: sympy.exp(-(x**2)))
    X = np.linspace(-2, 2, 50)[:, None]
    model = DARTSRegressor(strategy="enumeration", primitives=("mult", own), random_state=0)
    model.fit(X, 3 * np.exp(-(X[:, 0] ** 2)))
    assert model.sympy() == 3 * sympy.exp(-(sympy.Symbol("x0") ** 2))
    model.save(tmp_path / "m.json")
    again = DARTSRegressor.load(tmp_path / "m.json", primitives=("mult", own))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    with pytest.raises(ValueError, match="gauss"):
        DARTSRegressor.load(tmp_path / "m.json")


def test_new_data_refit_the_coefficients_and_keep_the_architecture(quick, seed_table):
    X, y = seed_table()
    model = quick().fit(X, y)
    genotype = model.equation_.genotype
    model.set_params(max_epochs=0, param_updates_for_sampled_model=1000)
    model.fit(X, 3 * X[:, 0] + np.exp(4 * X[:, 1]))
    x0, x1 = sympy.symbols("x0 x1")
    assert model.equation_.genotype == genotype
    assert sympy.simplify(model.sympy() - 3 * x0 - sympy.exp(4 * x1)) == 0


def test_monitors_are_told_of_every_piece_of_work(quick, seed_table):
    seen = []
    quick(execution_monitor=seen.append).fit(*seed_table())
    assert [progress.round for progress in seen] == list(range(1, len(seen) + 1))
    assert seen[-1].stage == "enumeration"
    assert len(seen[-1].losses) == seen[-1].round
    assert seen[-1].candidates >= seen[0].candidates
    assert seen[-1].best.complexity > 0


def test_a_time_limit_returns_the_best_so_far():
    generator = np.random.default_rng(0)
    X = generator.uniform(0, 1, (80, 4))
    y = np.sin(9 * X[:, 0] * X[:, 1]) * X[:, 2] + generator.normal(size=80)
    model = DARTSRegressor(time_limit=1.0, rounds=None, random_state=0).fit(X, y)
    (discovery,) = model.discoveries_
    assert discovery.reached_time_limit
    assert discovery.seconds < 8
    assert np.isfinite(model.predict(X)).all()


def test_warm_starts_compete(quick, seed_table):
    X, y = seed_table()
    model = quick(warm_start=True).fit(X, y)
    model.set_params(primitives=("none", "mult"))
    assert model.fit(X, y).score(X, y) == pytest.approx(1.0)
    assert quick(primitives=("none", "mult")).fit(X, y).score(X, y) < 0.99


def constant(value):
    return lambda X: np.full(len(X), value)


@pytest.mark.parametrize(
    ("X", "y", "expected"),
    [
        (np.random.default_rng(0).normal(size=(30, 2)), constant(7.0), 7),
        (np.ones((20, 2)), lambda X: np.arange(20.0), None),
        (np.array([[1.0, 2.0]]), lambda X: np.array([5.0]), 5),
        (np.repeat([[1.0], [2.0], [3.0]], 20, axis=0), lambda X: 2 * X[:, 0], 2 * sympy.Symbol("x0")),
        (np.random.default_rng(0).normal(size=(8, 30)), lambda X: X[:, 3], None),
        (np.arange(1, 40)[:, None], lambda X: X[:, 0] ** 2, sympy.Symbol("x0") ** 2),
        (np.arange(40)[:, None] % 2 == 0, lambda X: X[:, 0].astype(float), None),
    ],
    ids=["constant y", "constant columns", "one row", "duplicates", "more columns than rows", "integers", "booleans"],
)
def test_odd_tables_get_a_right_answer(X, y, expected, quick):
    model = quick().fit(X, y(X))
    assert np.isfinite(model.predict(X)).all()
    if expected is not None:
        assert sympy.simplify(model.sympy() - expected) == 0


@pytest.mark.parametrize(
    ("X", "said"),
    [
        ([[np.nan], [1.0]], "NaN"),
        ([[np.inf], [1.0]], "infinity"),
        ([["a"], ["b"]], "could not convert string to float"),
        ([[1.0], [2.0], [3.0]], "inconsistent numbers of samples"),
    ],
)
def test_tables_without_numbers_are_refused(X, said, quick):
    with pytest.raises(ValueError, match=said):
        quick().fit(X, [1.0, 2.0])


def test_values_at_the_edge_of_floating_point_do_not_crash(quick):
    X = np.array([[1e300], [2e300], [3e300], [4e300], [5e300], [7e300]])
    model = quick().fit(X, np.array([1e300, 2e300, 3e300, 4e300, 5e300, 7e300]))
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"primitives": ("none", "sine")}, "primitives: 'sine' is unknown; did you mean 'sin'"),
        ({"primitives": ()}, "primitives: needs at least one"),
        ({"primitives": ("none",)}, "primitives: needs at least one"),
        ({"primitives": "sin"}, "primitives: needs a list"),
        ({"primitives": ("sin", "sin")}, "primitives: .* lists one twice"),
        ({"num_graph_nodes": 0}, "num_graph_nodes: must be at least 1, got 0"),
        ({"num_graph_nodes": 1.5}, "num_graph_nodes: must be a whole number"),
        ({"max_epochs": -1}, "max_epochs: must be at least 0, got -1"),
        ({"darts_type": "fairly"}, "darts_type: 'fairly' is unknown; did you mean 'fair'"),
        ({"strategy": "fast"}, "strategy: 'fast' is unknown"),
        ({"output_type": "number"}, "output_type: 'number' is unknown"),
        ({"sampling_strategy": "min"}, "sampling_strategy: 'min' is unknown; Allowed: max, sample"),
        ({"selection": "nicest"}, "selection: 'nicest' is unknown"),
        ({"validation_fraction": 1.0}, "validation_fraction: must lie strictly between 0 and 1"),
        ({"rounds": 0}, "rounds: must be at least 1"),
        ({"rounds": None}, "rounds: None goes on without end"),
        ({"time_limit": -1}, "time_limit: must be at least 0"),
        ({"restarts": 0}, "restarts: must be at least 1"),
        ({"target_loss": -1.0}, "target_loss: must be at least 0"),
        ({"param_updates_for_sampled_model": 0}, "param_updates_for_sampled_model: must be at least 1"),
        ({"classifier_weight_decay": -1.0}, "classifier_weight_decay: must be at least 0"),
        ({"fair_darts_loss_weight": -1.0}, "fair_darts_loss_weight: must be at least 0"),
        ({"arch_weight_decay_df": -1.0}, "arch_weight_decay_df: must be at least 0"),
        ({"enumeration_limit": -1}, "enumeration_limit: must be at least 0"),
    ],
)
def test_arguments_are_checked_before_any_work(changes, said, quick, seed_table):
    with pytest.raises(ValueError, match=said):
        quick(**changes).fit(*seed_table())


def test_predictions_beyond_the_domain_of_a_law_are_the_constant():
    X = np.linspace(0.5, 2, 40)[:, None]
    model = DARTSRegressor(strategy="enumeration", primitives=("ln",), random_state=0).fit(X, np.log(X[:, 0]))
    assert np.isfinite(model.predict([[-1.0], [1.0]])).all()


def test_importing_the_estimator_loads_no_plotting():
    code = "import sys, archgrad.estimators; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
