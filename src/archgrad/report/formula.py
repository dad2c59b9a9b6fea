"""A formula as a picture."""

import re
import textwrap
from typing import Any

import sympy
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import MathTextParser
from sympy.core.alphabets import greeks

from archgrad.discovery.writing import as_text
from archgrad.report.style import INK, make_figure

SYMBOL = re.compile(rf"([A-Za-z]|{'|'.join(greeks)})(_?\d+|_[A-Za-z\d]+)?")
"""Names that are written as a letter with an index; other names are words."""

DRAWN = re.compile(r"[\u0020-\u02ff\u0370-\u03ff\u2010-\u22ff]*")
"""Characters that the font of formulas has."""

WIDTH = 8.6
"""Inches that a line of a formula should keep to."""

POINTS = 13.0
LINE_GAP = 0.14
LETTERS = 100  # of a line of plain text


def draw_law(expression: sympy.Expr, target: str = "y", *, digits: int = 4) -> Figure:
    """Draw `target` = `expression` as mathematics with so many digits; as plain text where that cannot be drawn.

    Names that are more than a letter and an index are set as words; long sums are broken before a summand.
    """
    symbol = sympy.Symbol(target)
    left = _words(symbol).get(symbol) or sympy.latex(symbol)
    terms = _terms(_rounded(expression, digits), _words(expression))
    names = "".join(str(name) for name in (target, *expression.free_symbols))
    try:
        if not DRAWN.fullmatch(names):
            raise ValueError("the font lacks a character")
        lines = _lines(left, [_displayed(term) for term in terms])
        sizes = [_extent(line) for line in lines]
    except ValueError:
        lines = textwrap.wrap(f"{target} = {as_text(expression)}", LETTERS, subsequent_indent="    ")
        return _picture(lines, [(0.105 * len(line), 0.22) for line in lines], math=False)
    return _picture([f"${line}$" for line in lines], sizes, math=True)


def _latex(expression: sympy.Expr, words: dict[sympy.Basic, str]) -> str:
    """LaTeX with dots between factors where some are words."""
    return sympy.latex(expression, symbol_names=words, mul_symbol="dot" if words else None)


def _rounded(expression: sympy.Expr, digits: int) -> sympy.Expr:
    numbers = {number: sympy.Float(number, digits) for number in expression.atoms(sympy.Float)}
    return expression.xreplace(numbers)  # pyright: ignore[reportReturnType]  numbers stand for numbers


def _words(expression: sympy.Expr) -> dict[sympy.Basic, str]:
    symbols = expression.atoms(sympy.Symbol)
    return {symbol: _word(str(symbol.name)) for symbol in symbols if not SYMBOL.fullmatch(str(symbol.name))}


def _word(name: str) -> str:
    escaped = re.sub(r"([\\{}$])", r"\\\1", " ".join(name.split()))
    return rf"\text{{{escaped}}}"


def _terms(expression: sympy.Expr, words: dict[sympy.Basic, str]) -> list[str]:
    """The summands with their signs, in LaTeX."""
    if not isinstance(expression, sympy.Add):
        return [_latex(expression, words)]
    ordered: Any = expression.as_ordered_terms()
    terms = [_latex(term, words) for term in ordered]
    later = [f"- {term[1:].lstrip()}" if term.startswith("-") else f"+ {term}" for term in terms[1:]]
    return [terms[0], *later]


def _displayed(latex: str) -> str:
    """The same in the size of displayed mathematics, with bars that matplotlib does not stretch unevenly."""
    return latex.replace(r"\frac", r"\dfrac").replace(r"\left|", "|").replace(r"\right|", "|")


def _lines(left: str, terms: list[str]) -> list[str]:
    """As many terms on a line as it has room for; later lines begin further right."""
    lines = [f"{left} = {terms[0]}"]
    for term in terms[1:]:
        longer = f"{lines[-1]} {term}"
        if _extent(longer)[0] <= WIDTH:
            lines[-1] = longer
        else:
            lines.append(rf"\qquad {term}")
    return lines


def _extent(line: str) -> tuple[float, float]:
    """Width and height of a line of mathematics, in inches.

    Raises:
        ValueError: it is no mathematics that matplotlib can draw.
    """
    parsed = MathTextParser("path").parse(f"${line}$", dpi=72, prop=_font())
    return float(parsed.width) / 72, float(parsed.height + parsed.depth) / 72


def _font() -> FontProperties:
    return FontProperties(size=POINTS, math_fontfamily="stix")


def _picture(lines: list[str], sizes: list[tuple[float, float]], *, math: bool) -> Figure:
    margin = 0.2
    width = max(width for width, _ in sizes) + 2 * margin
    height = sum(height + LINE_GAP for _, height in sizes) - LINE_GAP + 2 * margin
    figure = make_figure(width, height)
    top = height - margin
    for line, (_, tall) in zip(lines, sizes, strict=True):
        place = {"x": margin / width, "y": (top - tall / 2) / height, "va": "center", "ha": "left"}
        figure.text(s=line, color=INK, parse_math=math, fontproperties=_font(), **place)
        top -= tall + LINE_GAP
    return figure
