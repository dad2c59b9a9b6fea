"""The protocol's rules, on estimators whose answers are known; and runs that crash, hang and are interrupted."""

import importlib
import io
import json
import math
import multiprocessing

import numpy as np
import pytest
import sympy
from rich.console import Console

from archgrad.bench import EquationBenchmarkSettings, equations, run_equation_benchmark
from archgrad.bench.equations import Trial, coefficient_of_determination, solve
from archgrad.bench.formulas import parse_formula
from archgrad.bench.problems import Axis, Problem
from archgrad.bench.table import TrialResult, markdown, one_line, problem_table, summary_rows, summary_table
from archgrad.cli import main

FAKE = '''
"""Estimators that fit a multiple of the product of two columns; other numbers of columns go wrong, each in its way."""

import os
import time

import sympy


class Fake:
    def __init__(self, strategy, seed, time_limit):
        assert (strategy, time_limit) == ("full", 1.0)

    def fit(self, X, y):
        columns = X.shape[1]
        if columns == 1:
            os._exit(7)
        if columns == 3:
            time.sleep(600)
        if columns == 4:
            raise ArithmeticError("no fit")
        product = X[:, 0] * X[:, 1]
        self.factor = float(product @ y / (product @ product))
        return self

    def predict(self, X):
        return self.factor * X[:, 0] * X[:, 1]

    def sympy(self):
        return self.factor * sympy.Symbol("x0") * sympy.Symbol("x1")
'''
LIST = """name,output,formula,variables
crashes,f,a,"[[""a"", 1, 2]]"
product,f,3*a*b/(4*pi),"[[""a"", 1, 2], [""b"", 1, 2]]"
hangs,f,a*b*c,"[[""a"", 1, 2], [""b"", 1, 2], [""c"", 1, 2]]"
sum,f,a+b,"[[""a"", 1, 2], [""b"", 1, 2]]"
raises,f,a*b*c*d,"[[""a"", 1, 2], [""b"", 1, 2], [""c"", 1, 2], [""d"", 1, 2]]"
"""
PRODUCT = Problem("product", ("x1", "x2"), parse_formula("x1*x2", ("x1", "x2")), (Axis(1, 2), Axis(1, 2)))


class Known:
    """An estimator whose model is given."""

    def __init__(self, model):
        self.model = sympy.sympify(model)

    def fit(self, X, y):
        self.columns = [sympy.Symbol(f"x{column}") for column in range(X.shape[1])]

    def predict(self, X):
        return np.broadcast_to(sympy.lambdify(self.columns, self.model)(*X.T), len(X))[:, None]

    def sympy(self):
        return self.model


def solved(model, problem=PRODUCT, noise=0.0):
    return solve(Trial(problem, noise, 0), EquationBenchmarkSettings(rows=100), lambda *_: Known(model))


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """A run over the list that was interrupted after two results, with what it was given."""
    folder = tmp_path_factory.mktemp("equations")
    (folder / "fake_estimators.py").write_text(FAKE)
    (folder / "list.csv").write_text(LIST)
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(folder)
    patch.setattr(equations, "GRACE_SECONDS", 1.0)
    make = importlib.import_module("fake_estimators").Fake
    append = equations._append

    def interrupt(path, result):
        append(path, result)
        if len(path.read_text().splitlines()) == 2:
            raise KeyboardInterrupt

    settings = EquationBenchmarkSettings(
        problems=folder / "list.csv", time_limit=1.0, rows=40, jobs=2, out=folder / "run"
    )
    running = set(multiprocessing.active_children())  # a pool that other tests left idle is not this run's
    with pytest.MonkeyPatch.context() as pressed:
        pressed.setattr(equations, "_append", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run_equation_benchmark(settings, make)
    assert set(multiprocessing.active_children()) <= running
    yield folder / "run", make
    patch.undo()


@pytest.fixture(scope="module")
def resumed(interrupted):
    """The same run, resumed after half a line was left behind: its results by problem, and its lines before."""
    folder, make = interrupted
    lines = (folder / "results.jsonl").read_text()
    (folder / "results.jsonl").write_text(lines + '{"name": "sum", "noi')
    results = run_equation_benchmark(EquationBenchmarkSettings(resume=folder, jobs=1), make)
    return {result.name: result for result in results}, lines


def test_training_is_three_quarters_of_the_points():
    training, targets, testing, test_targets = Trial(PRODUCT, 0.0, 0).data(1000)
    assert (training.shape, testing.shape) == ((750, 2), (250, 2))
    np.testing.assert_array_equal(targets, training[:, 0] * training[:, 1])
    np.testing.assert_array_equal(test_targets, testing[:, 0] * testing[:, 1])


def test_noise_is_relative_to_the_root_mean_square_and_on_training_targets_only():
    clean = Trial(PRODUCT, 0.0, 0).data(40_000)
    noisy = Trial(PRODUCT, 0.1, 0).data(40_000)
    for place in (0, 2, 3):
        np.testing.assert_array_equal(noisy[place], clean[place])
    added = noisy[1] - clean[1]
    assert np.std(added) == pytest.approx(0.1 * math.sqrt(np.mean(clean[1] ** 2)), rel=0.02)
    np.testing.assert_allclose(Trial(PRODUCT, 0.2, 0).data(40_000)[1] - clean[1], 2 * added)
    assert abs(np.corrcoef(added, clean[1])[0, 1]) < 0.03


def test_the_seed_and_the_name_decide_the_points():
    first = Trial(PRODUCT, 0.0, 0).data(8)[0]
    np.testing.assert_array_equal(first, Trial(PRODUCT, 0.0, 0).data(8)[0])
    renamed = Problem("other", PRODUCT.variables, PRODUCT.expression, PRODUCT.training)
    for other in (Trial(PRODUCT, 0.0, 1), Trial(renamed, 0.0, 0)):
        assert not np.array_equal(first, other.data(8)[0])


def test_test_points_follow_their_own_distribution_where_there_is_one():
    own = Problem("own", ("x1",), sympy.Symbol("x1"), (Axis(0, 1),), (Axis(2, 3),))
    training, _, testing, _ = Trial(own, 0.0, 0).data(100)
    assert (len(training), len(testing)) == (75, 25)
    assert training.max() <= 1
    assert testing.min() >= 2


def test_a_grid_with_fewer_points_is_split_alike():
    grid = Problem("grid", ("x1",), sympy.Symbol("x1"), (Axis(0, 1, 20),))
    training, _, testing, _ = Trial(grid, 0.0, 0).data(1000)
    assert (len(training), len(testing)) == (15, 5)


def test_the_true_law_is_found_in_the_variables_of_the_problem():
    result = solved("x0*x1")
    assert (result.symbolic, result.accurate, result.r2, result.size, result.law) == (True, True, 1.0, 3, "x1*x2")
    assert (result.error, result.timed_out, result.evidence) == (None, False, "proved")


def test_a_close_model_is_accurate_and_not_symbolic_a_shifted_one_the_reverse():
    close = solved("x0*x1 + 0.002*x0")
    assert (close.symbolic, close.accurate) == (False, True)
    shifted = solved("2*x0*x1")
    assert (shifted.symbolic, shifted.accurate) == (True, False)
    assert shifted.r2 is not None
    assert shifted.r2 < equations.ACCURATE


def test_predictions_that_are_not_finite_have_no_coefficient():
    assert coefficient_of_determination(np.array([1.0, 2.0]), np.array([1.0, np.inf])) is None
    assert coefficient_of_determination(np.array([1.0, 1.0]), np.array([1.0, 1.0])) is None
    assert coefficient_of_determination(np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 2.0])) == 0


def test_an_interrupted_run_keeps_what_it_has_and_a_resumed_one_does_the_rest(interrupted, resumed):
    folder, _ = interrupted
    results, before = resumed
    assert list(results) == ["crashes", "product", "hangs", "sum", "raises"]
    lines = (folder / "results.jsonl").read_text()
    assert len(before.splitlines()) == 2
    assert lines.startswith(before)
    assert sorted(json.loads(line)["name"] for line in lines.splitlines()) == sorted(results)


def test_each_problem_is_judged_by_itself(resumed):
    results, _ = resumed
    assert results["product"].symbolic
    assert results["product"].accurate
    assert results["product"].law.startswith("0.2387")
    assert results["sum"].law is not None
    assert not results["sum"].symbolic
    assert results["crashes"].error == "the process ended with code 7"
    assert results["raises"].error == "ArithmeticError: no fit"
    assert results["hangs"].error == "killed after 2 seconds"
    assert [name for name, result in results.items() if result.timed_out] == ["hangs"]
    for name in ("crashes", "raises", "hangs"):
        assert (results[name].symbolic, results[name].accurate, results[name].law) == (False, False, None)


def test_the_folder_holds_what_was_asked_and_the_tables(interrupted, resumed, capsys):
    folder, make = interrupted
    settings = json.loads((folder / "config.json").read_text())["settings"]
    assert settings["rows"] == 40
    assert not {"jobs", "out", "resume"} & set(settings)
    assert "torch" in json.loads((folder / "environment.json").read_text())["packages"]
    assert "| product | 0 | 0 | ✓ | ✓ | 1.000000 | 4 |" in (folder / "table.md").read_text()
    run_equation_benchmark(EquationBenchmarkSettings(resume=folder), make)
    printed = capsys.readouterr().out
    assert f"run folder: {folder}" in printed.replace("\n", "")
    assert "20.0%" in printed


@pytest.mark.parametrize(("option", "value"), [("rows", 50), ("noise", (0.5,)), ("strategy", "random"), ("trials", 2)])
def test_a_resumed_run_keeps_its_settings(interrupted, option, value):
    folder, make = interrupted
    with pytest.raises(ValueError, match=f"--{option}: .* a resumed run keeps its settings"):
        run_equation_benchmark(EquationBenchmarkSettings(resume=folder, **{option: value}), make)


def test_folders_that_are_no_run_of_equations_are_refused(tmp_path, interrupted):
    (tmp_path / "config.json").write_text('{"command": "search"}')
    with pytest.raises(ValueError, match="holds no 'bench equations' run"):
        run_equation_benchmark(EquationBenchmarkSettings(resume=tmp_path))
    with pytest.raises(ValueError, match=r"no config\.json"):
        run_equation_benchmark(EquationBenchmarkSettings(resume=tmp_path / "nowhere"))
    folder, make = interrupted
    problems = folder.parent / "list.csv"
    with pytest.raises(ValueError, match="exists already"):
        run_equation_benchmark(EquationBenchmarkSettings(problems=problems, out=folder), make)
    (tmp_path / "results.jsonl").write_text('{"name": 3}\n')
    with pytest.raises(ValueError, match="no result"):
        equations._read_results(tmp_path / "results.jsonl")


@pytest.mark.parametrize(
    "change",
    [
        {"noise": ()},
        {"noise": (0.1, 0.1)},
        {"noise": (1.5,)},
        {"noise": (-0.1,)},
        {"rows": 7},
        {"trials": 0},
        {"seed": -1},
        {"limit": 0},
        {"strategy": "evolution"},
        {"time_limit": 0},
        {"jobs": 0},
    ],
)
def test_settings_are_checked(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        EquationBenchmarkSettings(**change)


def result(name, noise, **told):
    return TrialResult(name, noise, 0, "gradient", **told)


RESULTS = [
    result("a", 0.1, symbolic=True, accurate=True, r2=1.0, size=5, seconds=2.0, law="0.318309886183791*x**2*|y|"),
    result("b", 0.1, accurate=True, r2=0.9995, size=8, seconds=4.0, law="[red]x"),
    result("c", 0.1, seconds=90.0, timed_out=True, error="killed after 90 seconds"),
    result("d", 0.1, seconds=1.0, error="ValueError: no\nfit"),
    result("a", 0.0, seconds=3.0, r2=-1.0, size=1, law="3"),
]


def test_rates_are_of_all_trials_of_a_level():
    assert summary_rows(RESULTS) == [
        ("0", "1", "0.0%", "0.0%", "3.0", "1", "0", "0"),
        ("0.1", "4", "25.0%", "50.0%", "3.0", "6.5", "1", "1"),
    ]
    assert summary_rows(RESULTS[2:4])[0][5] == "–"


def test_tables_show_laws_and_errors_as_text():
    text = markdown(RESULTS)
    assert r"| a | 0.1 | 0 | ✓ | ✓ | 1.000000 | 5 | 2.0 | 0.31831\*x\*\*2\*\|y\| |" in text
    assert "ValueError: no fit |" in text
    assert one_line(RESULTS[0]).startswith("a γ=0.1 seed 0: symbolic, accurate, 2.0 s, 0.31831*x**2")
    assert "error, 90.0 s, killed" in one_line(RESULTS[2])
    console = Console(width=200, file=io.StringIO(), record=True)
    console.print(problem_table([*RESULTS, result("e", 0.1, law="x + " * 50)]))
    console.print(summary_table(RESULTS))
    printed = console.export_text()
    assert "[red]x" in printed
    assert "…" in printed


def test_the_command_describes_its_options_and_refuses_in_one_line(capsys, tmp_path):
    for arguments, said in (
        (["--problems", str(tmp_path / "none.csv")], "problems: there is no file"),
        (["--noise", "0", "2"], "noise: must lie in [0, 1], got 2.0"),
        (["--resume", str(tmp_path)], "resume"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["bench", "equations", *arguments])
        assert ended.value.code == 2
        assert said in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["bench", "equations", "--help"])
    assert ended.value.code == 0
    assert "--time-limit" in capsys.readouterr().out


def test_the_steps_are_measured_where_no_benchmark_is_named(monkeypatch):
    measured = []
    monkeypatch.setattr("archgrad.cli.commands.run_benchmark", measured.append)
    for arguments in ([], ["--steps", "3"], ["steps", "--steps", "3"]):
        main(["bench", *arguments])
    assert [settings.steps for settings in measured] == [5, 3, 3]


def test_ctrl_c_ends_the_command_with_its_code(monkeypatch, capsys):
    def press(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("archgrad.cli.commands.run_equation_benchmark", press)
    with pytest.raises(SystemExit) as ended:
        main(["bench", "equations"])
    assert ended.value.code == 130
    assert "--resume" in capsys.readouterr().err
