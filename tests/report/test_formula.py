"""A law as a picture, whatever its columns are called."""

from itertools import pairwise

import pytest
import sympy

from archgrad.discovery.writing import as_text
from archgrad.report import draw_law, save_figure

X, Z = sympy.symbols("x1 z")


def lines(figure):
    return [text.get_text() for text in figure.texts]


@pytest.mark.parametrize(
    "expression",
    [
        sympy.Abs(X) ** sympy.Float(0.5) / (1 + sympy.exp(-Z)),
        sympy.Max(0, X) + sympy.asin(Z) + sympy.cbrt(X) - sympy.log(X) * sympy.tanh(Z),
        sympy.Symbol("price ($)") ** 2 / sympy.Symbol("a_b_c"),
        sympy.Float(2.5),
        sympy.Float(1.5e-30) * X,
    ],
)
def test_a_law_is_drawn_as_mathematics(expression, tmp_path):
    figure = draw_law(expression, "the y_$")
    (line,) = lines(figure)
    assert line.startswith("$\\text{the y_\\$} = ")
    save_figure(figure, tmp_path / "law.png")
    assert (tmp_path / "law.png").stat().st_size > 1000


@pytest.mark.parametrize("name", ["blood pressure", "$x^{", "a_b_c", "50 % \\ #1 & ~`\"'", "température (°C)", "{}{"])
def test_names_that_are_words_are_set_as_they_are(name, tmp_path):
    figure = draw_law(2 * sympy.Symbol(name))
    (line,) = lines(figure)
    assert line.startswith("$y = 2 \\cdot \\text{")
    save_figure(figure, tmp_path / "law.png")


def test_letters_with_an_index_are_mathematics():
    assert lines(draw_law(sympy.Symbol("theta_1") + sympy.Symbol("x2"))) == ["$y = \\theta_{1} + x_{2}$"]


def test_numbers_have_four_digits():
    assert lines(draw_law(sympy.Float("1.23456") * X)) == ["$y = 1.235 x_{1}$"]


def test_long_sums_are_broken_and_keep_their_terms():
    expression = sum(sympy.Float(k + 0.5) * sympy.sin(sympy.Symbol(f"x{k}")) for k in range(30))
    figure = draw_law(expression - sympy.Float(0.25))
    assert len(lines(figure)) > 1
    assert sum(line.count("sin") for line in lines(figure)) == 30
    assert "- 0.25" in " ".join(lines(figure))
    width, height = figure.get_size_inches() * figure.dpi
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.texts]
    assert all(0 < box.x0 < box.x1 < width and 0 < box.y0 < box.y1 < height for box in boxes)
    assert all(above.y0 > below.y1 for above, below in pairwise(boxes))


@pytest.mark.parametrize("expression", [sympy.Piecewise((X, X > 0), (0, True)), sympy.Symbol("日本") * 2])
def test_what_cannot_be_drawn_is_written(expression, tmp_path):
    figure = draw_law(expression, "y")
    assert lines(figure)[0] == f"y = {as_text(expression)}"
    assert not figure.texts[0].get_parse_math()
    save_figure(figure, tmp_path / "law.png")
