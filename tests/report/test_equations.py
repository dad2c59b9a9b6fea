"""Plots of equation discovery: every finite point is drawn, zeros have a place, names are no mathematics."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import sympy

from archgrad.genotype import Cell, Edge, Genotype
from archgrad.report import draw_front, draw_losses, draw_parity, r_squared


def equation(complexity, loss, validation_loss):
    return SimpleNamespace(
        complexity=complexity,
        loss=loss,
        validation_loss=validation_loss,
        expression=sympy.Symbol("x"),
        latex="x",
        genotype=Genotype("expression", (Cell("expression", ((Edge("add", 0),),), (1,), 1),)),
        coefficients=[1.0, 0.0],
        names=["x"],
    )


def heights(axes, label):
    (line,) = [line for line in axes.lines if str(line.get_label()).startswith(label)]
    return list(map(float, line.get_ydata()))


def test_r_squared():
    truth = np.array([1.0, 2.0, 3.0])
    assert r_squared(truth, truth) == 1.0
    assert r_squared(truth, np.full(3, 2.0)) == 0.0
    assert r_squared(np.ones(3), np.ones(3)) == 1.0
    assert math.isnan(r_squared(np.ones(3), truth))
    assert math.isnan(r_squared(truth, np.array([1.0, np.nan, 3.0])))
    assert math.isnan(r_squared(np.empty(0), np.empty(0)))


def test_the_front_shows_losses_and_marks_the_chosen():
    equations = [equation(1, 10.0, 12.0), equation(4, 0.1, math.inf), equation(9, 1e-3, 2e-3)]
    figure = draw_front(equations, equations[1])
    figure.canvas.draw()
    (axes,) = figure.axes
    assert axes.get_yscale() == "log"
    assert heights(axes, "training") == [10.0, 0.1, 1e-3]
    np.testing.assert_array_equal(heights(axes, "held out"), [12.0, np.nan, 2e-3])
    (mark,) = [line for line in axes.lines if line.get_gid() == "chosen"]
    assert set(mark.get_xdata()) == {4}
    assert not axes.texts


def test_zeros_stand_below_all_losses_and_are_named():
    equations = [equation(1, 10.0, 12.0), equation(4, 0.0, 1e-20), equation(5, 0.0, 0.0)]
    figure = draw_front(equations, equations[2])
    figure.canvas.draw()
    (axes,) = figure.axes
    _, low, lowest = heights(axes, "training")
    assert low == lowest < 1e-20
    assert axes.get_ylim()[0] < low
    assert [text.get_text() for text in axes.texts] == ["0"]
    ticks = zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
    assert not any(label.get_text() for height, label in ticks if height <= low)


@pytest.mark.parametrize("loss", [0.0, 0.5, math.nan])
def test_one_equation_is_a_front(loss):
    equations = [equation(3, loss, loss)]
    figure = draw_front(equations, equations[0])
    figure.canvas.draw()
    said = [text.get_text() for text in figure.axes[0].texts]
    assert said == {0.0: ["0"], 0.5: []}.get(loss, ["no finite loss"])


def test_parity_draws_both_groups_with_their_scores():
    truth, predicted = np.array([1.0, 2.0, 3.0, 4.0, 6.0]), np.array([1.0, 2.0, np.nan, 4.0, 5.0])
    labels = ["training"] * 3 + ["test"] * 2
    figure = draw_parity(truth, predicted, labels=labels, target="$y_{$ in %")
    figure.canvas.draw()
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "training (2), R² = 1, 1 not finite",
        "test (2), R² = 0.5",
    ]
    assert axes.get_xlabel() == "$y_{$ in %"
    assert axes.get_xlim() == axes.get_ylim()
    diagonal = next(line for line in axes.lines if line.get_gid() == "diagonal")
    np.testing.assert_array_equal(diagonal.get_xdata(), diagonal.get_ydata())


def test_parity_of_nothing_and_of_one_value():
    figure = draw_parity(np.ones(2), np.full(2, np.nan), labels=["test", "test"])
    assert [text.get_text() for text in figure.axes[0].texts] == ["no finite prediction"]
    draw_parity(np.ones(2), np.ones(2), labels=["test", "test"]).canvas.draw()
    with pytest.raises(ValueError, match="labels: 1 labels for 2 rows"):
        draw_parity(np.ones(2), np.ones(2), labels=["test"])


@pytest.mark.parametrize("losses", [[0.5], [1e3, 1.0, 1e-9], [1.0, 0.0], [0.0], [math.inf, 1.0, math.nan]])
def test_losses_by_round(losses):
    figure = draw_losses(losses, "round $3_{ · 2*price $")
    figure.canvas.draw()
    (axes,) = figure.axes
    line = axes.lines[-1]
    assert list(line.get_xdata()) == list(range(1, len(losses) + 1))
    finite = np.isfinite(losses)
    np.testing.assert_array_equal(np.isfinite(np.asarray(line.get_ydata(), dtype=float)), finite)
    positive = finite & (np.array(losses) > 0)
    np.testing.assert_array_equal(np.asarray(line.get_ydata(), dtype=float)[positive], np.array(losses)[positive])


def test_no_losses():
    assert [text.get_text() for text in draw_losses([]).axes[0].texts] == ["no finite loss"]
