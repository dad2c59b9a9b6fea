"""Lists of problems are read as they are written, and points lie where they should."""

import os
from pathlib import Path

import numpy as np
import pytest
import sympy

from archgrad.bench.problems import Axis, Problem, default_list, read_problems

LISTS = Path(__file__).parents[2] / os.environ.get("ARCHGRAD_DATA", "../shared/data") / "equations"
LAWS = """name,output,formula,variables
I.6.2,f,exp(-(theta/sigma)**2/2)/(sqrt(2*pi)*sigma),"[[""sigma"", 1.0, 3.0], [""theta"", 1.0, 3.0]]"
test_1,E,E*beta,"[[""E"", -1, 1], [""beta"", 0.0, 6.0]]"
"""
SPECIFIED = """name,variables,expression,train_spec,test_spec,function_set
Nguyen-1,1,"pow(x1,3)+x1","{""all"":{""U"":[-1,1,20]}}",None,Koza
Keijzer-1,1,0.3*x1*sin(2*pi*x1),"{""all"":{""E"":[-1,1,0.1]}}","{""all"":{""E"":[-1,1,0.001]}}",Keijzer
Vladislavleva-3,2,x1*x2,"{""x1"":{""E"":[0.05,10,0.1]},""x2"":{""E"":[0.05,10.05,2]}}",None,None
"""
needs_lists = pytest.mark.skipif(not LISTS.is_dir(), reason=f"no problem lists in {LISTS}; set ARCHGRAD_DATA")


@pytest.fixture
def written(tmp_path):
    def write(text, name="list.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def problem(formula, *axes, testing=None):
    names = tuple("xyz"[: len(axes)])
    return Problem("p", names, sympy.sympify(formula), axes, testing)


def generator():
    return np.random.default_rng(0)


def test_feynman_laws_are_uniform_in_their_ranges(written):
    gauss, product = read_problems(written(LAWS))
    assert (gauss.name, gauss.variables) == ("I.6.2", ("sigma", "theta"))
    points = gauss.sample(generator(), 500)
    assert points.shape == (500, 2)
    assert points.min() >= 1
    assert points.max() <= 3
    np.testing.assert_allclose(
        gauss.evaluate(points),
        np.exp(-((points[:, 1] / points[:, 0]) ** 2) / 2) / (np.sqrt(2 * np.pi) * points[:, 0]),
    )
    np.testing.assert_allclose(product.evaluate(np.array([[-0.5, 3.0]])), -1.5)
    assert product.ranges == {"E": (-1, 1), "beta": (0, 6)}


def test_specifications_give_uniform_points_and_grids(written):
    uniform, grid, mesh = read_problems(written(SPECIFIED))
    assert uniform.training == (Axis(-1, 1),)
    assert uniform.testing is None
    assert grid.testing == (Axis(-1, 1, 2001),)
    np.testing.assert_allclose(np.sort(grid.sample(generator(), 1000)[:, 0]), np.linspace(-1, 1, 21), atol=1e-12)
    assert grid.sample(generator(), 1000, testing=True).shape == (1000, 1)
    points = mesh.sample(generator(), 10_000)
    assert len(points) == len(np.unique(points, axis=0)) == 100 * 6
    assert mesh.sample(generator(), 50).shape == (50, 2)


@pytest.mark.parametrize(
    ("low", "high", "step", "values"),
    [
        (0, 1, 0.25, [0, 0.25, 0.5, 0.75, 1]),
        (0.05, 10, 5, [0.05, 5.05]),
        (-1, 1, 5, [-1, -0.5, 0, 0.5, 1]),
        (0, 3, 3, [0, 1.5, 3]),
        (1, 2, 0.1, 1 + np.arange(11) / 10),
    ],
)
def test_a_step_no_narrower_than_the_range_is_a_number_of_points(low, high, step, values):
    np.testing.assert_allclose(Axis.grid(low, high, step).values(), values)


def test_points_without_a_finite_target_are_drawn_again():
    half = problem("log(x)", Axis(-1, 1))
    points = half.sample(generator(), 1000)
    assert points.shape == (1000, 1)
    assert points.min() > 0
    on_grid = problem("1/x", Axis(-1, 1, 5)).sample(generator(), 10)
    assert sorted(on_grid[:, 0]) == [-1, -0.5, 0.5, 1]
    with pytest.raises(ValueError, match=r"problem p: .* is finite at 0 of"):
        problem("log(-x)", Axis(1, 2)).sample(generator(), 10)


def test_what_is_not_real_is_not_a_number():
    values = problem("x**0.25 + sqrt(-1)*y", Axis(-1, 1), Axis(-1, 1)).evaluate(np.array([[1.0, 1.0], [1.0, 0.0]]))
    assert np.isnan(values[0])
    assert values[1] == 1


def test_constants_and_harmonic_numbers_have_values_at_all_points():
    np.testing.assert_array_equal(problem("pi/2", Axis(0, 1)).evaluate(np.zeros((3, 1))), np.full(3, np.pi / 2))
    harmonic = Problem("h", ("x",), sympy.harmonic(sympy.Symbol("x")), (Axis(1, 50, 50),))
    np.testing.assert_allclose(harmonic.evaluate(np.array([[1.0], [2.0], [4.0]])), [1, 3 / 2, 25 / 12])


def test_the_generator_decides_the_points():
    uniform = problem("x", Axis(0, 1))
    np.testing.assert_array_equal(uniform.sample(generator(), 9), uniform.sample(generator(), 9))
    assert not np.array_equal(uniform.sample(generator(), 9), uniform.sample(np.random.default_rng(1), 9))


def test_names_and_limit_choose(written):
    path = written(SPECIFIED)
    assert [p.name for p in read_problems(path, ["Keijzer-*", "Nguyen-1"])] == ["Nguyen-1", "Keijzer-1"]
    assert [p.name for p in read_problems(path, limit=2)] == ["Nguyen-1", "Keijzer-1"]
    with pytest.raises(ValueError, match="names: 'Nguyen-9' is unknown; did you mean 'Nguyen-1'"):
        read_problems(path, ["Nguyen-9"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "has the columns a, b"),
        ("", "has the columns"),
        (LAWS.splitlines()[0] + "\n", "holds no problem"),
        (LAWS.replace("E*beta", "E*bet"), "line 3, test_1: formula: the name: 'bet' is unknown"),
        (LAWS.replace("-1, 1]", "1, 1]"), "must be finite and rise"),
        (LAWS.replace('[""beta"", 0.0, 6.0]', '[""beta""]'), "line 3, test_1"),
        (SPECIFIED.replace('""U""', '""V""'), "kind of range: 'V' is unknown"),
        (SPECIFIED.replace('""all"":{""U', '""x2"":{""U'), "has neither 'all' nor each of x1"),
        (SPECIFIED.replace("0.1]", "0]"), "the step of a grid must be above 0"),
    ],
)
def test_lists_that_cannot_be_read_are_refused_by_line(written, text, said):
    with pytest.raises(ValueError, match="problems") as refused:
        read_problems(written(text))
    assert said in str(refused.value)


def test_the_default_list_lies_under_the_data_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("ARCHGRAD_DATA", str(tmp_path))
    assert default_list() == tmp_path / "equations" / "feynman.csv"
    with pytest.raises(ValueError, match=r"there is no file .*ARCHGRAD_DATA"):
        read_problems(default_list())


@needs_lists
@pytest.mark.parametrize(("name", "count"), [("feynman.csv", 64), ("dso_benchmarks.csv", 268)])
def test_the_published_lists_are_read_whole(name, count):
    assert len(read_problems(LISTS / name)) == count


@needs_lists
def test_every_feynman_law_has_points():
    for law in read_problems(LISTS / "feynman.csv"):
        points = law.sample(generator(), 20)
        assert points.shape == (20, len(law.variables))
        assert np.isfinite(law.evaluate(points)).all()
