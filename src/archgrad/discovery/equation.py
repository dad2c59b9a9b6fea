"""Equations: laws that were found, in a form to read, to compute with, and to take along."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import sympy
import torch
from jaxtyping import Float

from archgrad.checks import one_of
from archgrad.discovery.problem import LINKS, Problem
from archgrad.discovery.snap import Law
from archgrad.discovery.writing import as_latex, as_source, as_text
from archgrad.genotype import Genotype
from archgrad.ops.symbolic import Primitive
from archgrad.spaces.expression.graph import Graph
from archgrad.spaces.expression.laws import EXPRESSION
from archgrad.spaces.expression.network import ExpressionNetwork


@dataclass(frozen=True)
class Equation:
    """A law, its complexity and its losses.

    `expression` is a sympy expression over symbols named like the columns, `complexity` the number of nodes of its
    tree. `loss` and `validation_loss` are mean squared residuals in units of y² (for probabilities, mean deviances) on
    the rows that coefficients were fitted to, and on those set aside to judge, with the standard error
    `validation_error`; in the end, the coefficients were fitted to all rows. `names` and `columns` are the columns of
    the table that the law was looked for in, which constant ones are not. `genotype` and `coefficients` are the graph
    behind it (`archgrad.spaces.expression.Graph`), those at the places in `exact` being exact; `signs` says which of
    its states kept their sign.

    Called with a table [rows, columns] it predicts.
    """

    expression: sympy.Expr
    complexity: int
    loss: float
    validation_loss: float
    validation_error: float
    genotype: Genotype
    coefficients: tuple[float, ...]
    exact: Mapping[int, sympy.Expr]
    names: tuple[str, ...]
    columns: tuple[int, ...]
    signs: tuple[int, ...]
    link: str = "identity"
    offset: bool = True
    primitives: Mapping[str, Primitive] = field(default_factory=dict, repr=False)

    @classmethod
    def written(cls, *, losses: tuple[float, float, float], **graph: Any) -> "Equation":
        """Make the expression of a graph from its other fields; what is always positive is simplified as such."""
        numbers = [graph["exact"].get(place, sympy.Float(value)) for place, value in enumerate(graph["coefficients"])]
        family = Graph(graph["genotype"][EXPRESSION], primitives=graph["primitives"], offset=graph["offset"])
        symbols = [
            sympy.Symbol(f"column_{place}", **({"positive": True} if graph["signs"][place] > 0 else {"real": True}))
            for place in range(family.cell.inputs)
        ]
        raw = family.expression(numbers, symbols, signs=graph["signs"])
        names = dict(zip(symbols, map(sympy.Symbol, graph["names"]), strict=True))
        expression: Any = simplified(_without_rounding(raw)).xreplace(names)
        return cls(expression, complexity(expression), *losses, **graph)

    def __call__(self, table: Float[np.ndarray, "rows columns"]) -> Float[np.ndarray, "rows"]:
        inputs = np.ascontiguousarray(table[:, list(self.columns)].T)
        with np.errstate(all="ignore"):
            return LINKS[self.link].predict(self.graph.predict(np.array(self.coefficients), inputs))

    def __str__(self) -> str:
        return as_text(self.expression)

    @property
    def graph(self) -> Graph:
        """The function family that the law belongs to."""
        return Graph(self.genotype[EXPRESSION], primitives=self.primitives, offset=self.offset)

    @property
    def latex(self) -> str:
        """The formula in LaTeX."""
        return as_latex(self.expression)

    def source(self, library: str = "jax") -> str:
        """A Python function of the table in the words of "jax" or "numpy", as text."""
        formula = self.expression if self.link == "identity" else 1 / (1 + sympy.exp(-self.expression))
        return as_source(formula, dict(zip(self.names, self.columns, strict=True)), library=library)

    def torch_module(self) -> ExpressionNetwork:
        """The law as a plain torch module: tables [rows, columns] in, predictions [rows] out, in float64."""
        network = ExpressionNetwork(
            self.genotype, primitives=self.primitives, offset=self.offset, columns=self.columns, link=self.link
        ).double()
        network.load_coefficients(torch.tensor(self.coefficients, dtype=torch.float64))
        return network

    def row(self) -> dict[str, Any]:
        """What a table says of it."""
        return {
            "complexity": self.complexity,
            "loss": self.loss,
            "validation_loss": self.validation_loss,
            "equation": str(self),
            "latex": self.latex,
        }


RULES = ("best", "accurate")


class Equations(Sequence[Equation]):
    """The front of accuracy and complexity: each equation is more accurate than all simpler ones.

    Prints as a table; `rows()` gives dictionaries, of which `pandas.DataFrame` makes a frame.
    """

    def __init__(self, equations: Sequence[Equation]) -> None:
        self._equations = tuple(equations)

    def __getitem__(self, index: Any) -> Any:
        return Equations(self._equations[index]) if isinstance(index, slice) else self._equations[index]

    def __len__(self) -> int:
        return len(self._equations)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Equations) and self.rows() == other.rows()

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def rows(self) -> list[dict[str, Any]]:
        """One dictionary for each equation."""
        return [equation.row() for equation in self]

    def __str__(self) -> str:
        head = f"{'':>3} {'complexity':>10} {'loss':>10} {'held-out':>10}  equation"
        lines = [
            f"{place:>3} {e.complexity:>10} {e.loss:>10.3g} {e.validation_loss:>10.3g}  {e}"
            for place, e in enumerate(self)
        ]
        return "\n".join([head, *lines])

    __repr__ = __str__


@dataclass(frozen=True)
class Columns:
    """Which columns of the user's table a problem has, and what they are called."""

    places: tuple[int, ...]
    names: tuple[str, ...]


def equation_of(
    law: Law, columns: Columns, problem: Problem, *, losses: tuple[float, float, float], custom: Mapping[str, Primitive]
) -> Equation:
    """Write a law over named columns.

    `losses` are the loss, the held-out loss and its standard error, relative to the problem's unit.
    """
    square = problem.square
    return Equation.written(
        genotype=Genotype(EXPRESSION, (law.graph.cell,)),
        coefficients=tuple(float(number) for number in law.numbers),
        exact=law.exact,
        losses=(losses[0] * square, losses[1] * square, losses[2] * square),
        names=columns.names,
        columns=columns.places,
        signs=law.graph.signs(law.coefficients, problem.inputs),
        link=problem.link,
        offset=law.graph.offset,
        primitives=custom,
    )


def complexity(expression: sympy.Expr) -> int:
    """The number of nodes of the expression tree."""
    return sum(1 for _ in sympy.preorder_traversal(expression))


def _without_rounding(expression: sympy.Expr) -> Any:
    """Floats that are simple fractions up to rounding, such as 2·exp(−ln 2), become these."""
    exact = {}
    for number in expression.atoms(sympy.Float):
        if not np.isfinite(float(number)):
            continue
        fraction = Fraction(float(number)).limit_denominator(12)
        if fraction and abs(float(number) - fraction) <= 1e-11 * abs(fraction) and abs(fraction.numerator) < 10_000:
            exact[number] = sympy.Rational(fraction.numerator, fraction.denominator)
    return expression.xreplace(exact)


def simplified(expression: sympy.Expr) -> sympy.Expr:
    """The shortest of some ways to write an expression; none of them can take long."""
    ways = [expression]
    # Multiplying out a high power of a sum takes minutes.
    steep = any(p.base.is_Add and p.exp.is_Integer and abs(int(p.exp)) > 6 for p in expression.atoms(sympy.Pow))
    if complexity(expression) < 150 and not steep:
        expanded: Any = sympy.expand(expression)
        ways += [expanded, sympy.factor_terms(expanded), sympy.together(expression), sympy.powsimp(expression)]
        together: Any = sympy.together(expanded)
        ways += [sympy.factor_terms(together)]
    return min(ways, key=complexity)


def choose(equations: Equations, rule: str | int, *, floor: float) -> Equation:
    """Pick an equation by its index or by a rule.

    "accurate": the lowest held-out loss. "best": the simplest whose held-out loss is within one standard error of the
    lowest (Breiman et al., Classification and Regression Trees, 1984, section 3.4.3); losses below `floor` are equal.

    Raises:
        ValueError: an unknown rule, or an index that the front does not have.
    """
    if isinstance(rule, int):
        if not -len(equations) <= rule < len(equations):
            raise ValueError(f"selection: {rule} is no index of the {len(equations)} equations.")
        return equations[rule]
    one_of("selection", rule, RULES)
    finest = min(equations, key=lambda equation: max(equation.validation_loss, floor))
    if rule == "accurate":
        return finest
    limit = max(finest.validation_loss, floor) + finest.validation_error
    return next(equation for equation in equations if equation.validation_loss <= limit)
