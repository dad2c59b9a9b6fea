"""Shapes of physical laws, as a table: sums of products of powers, whose factors are functions of such products.

Most laws of physics are products of powers of their variables, times functions of sums of such products. A shape says
how many factors there are and what they are made of; every exponent and coefficient is left to the refit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from archgrad.genotype import Cell, Edge

EXPRESSION = "expression"
"""The space of expression graphs, as genotypes name it."""


@dataclass(frozen=True)
class Factor:
    """F = [b +] Σ_k s_k · h_k(t_k · M_k) with products of powers M_k; `functions` are the h_k ("" is the identity).

    `power` is how the factor enters its term: "powered" |F|^p, "multiply" F, "divide" 1/F. With `amplitudes`, each h_k
    other than the identity is multiplied by one more product of powers. With `sums`, the argument of a function is a
    sum of so many products of powers instead of one.
    """

    functions: tuple[str, ...]
    offset: bool = True
    power: str = "powered"
    amplitudes: bool = False
    sums: int = 1


@dataclass(frozen=True)
class Law:
    """y = [c₀ +] Σ_t c_t · M_t · Π F_tj: each of `terms` is a product of powers times its factors."""

    terms: tuple[tuple[Factor, ...], ...]
    constant: bool = False

    def cell(self, columns: int) -> Cell:
        """The graph of the law over so many columns."""
        nodes: list[tuple[Edge, ...]] = []

        def add(*edges: Edge) -> int:
            nodes.append(edges)
            return columns + len(nodes) - 1

        def product(*more: Edge) -> int:
            return add(*(Edge("powered", column) for column in range(columns)), *more)

        def summand(function: str, shape: Factor) -> int:
            if not function:
                return product()
            argument = add(*(Edge("mult", product()) for _ in range(shape.sums)))
            value = add(Edge(function, argument))
            return product(Edge("multiply", value)) if shape.amplitudes else value

        def factor(shape: Factor) -> Edge:
            states = [summand(function, shape) for function in shape.functions]
            if len(states) == 1 and not shape.offset:
                return Edge(shape.power, states[0])
            first = "linear" if shape.offset else "mult"
            return Edge(shape.power, add(*(Edge("mult" if place else first, s) for place, s in enumerate(states))))

        outputs = []
        for factors in self.terms:
            edges = sorted((factor(shape) for shape in factors), key=lambda edge: edge.operation != "powered")
            outputs.append(product(*edges))
        return Cell(EXPRESSION, tuple(nodes), tuple(outputs), columns)


PERIODIC = ("sin", "cos")
"""Functions that are worth a row of their own, since they come in pairs and squares."""


def laws(functions: Sequence[str]) -> list[Law]:
    """The table: shapes by ascending size, with each of `functions` (names of primitives without coefficients).

    >>> [len(laws([])), len(laws(["exp", "sin"]))]
    [12, 27]
    """
    waves = [name for name in functions if name in PERIODIC]
    plain = Factor(("",))
    two, three = Factor(("", "")), Factor(("", "", ""))

    def single(*factors: Factor) -> Law:
        return Law((factors,))

    return [
        Law(((),)),
        Law(((),), constant=True),
        single(plain),
        *(single(Factor((name,), offset=False, power="multiply")) for name in functions),
        Law(((), ())),
        Law(((plain,),), constant=True),
        *(single(Factor((name,), power="multiply", amplitudes=True)) for name in functions),
        *(single(Factor((name,), offset=False)) for name in functions if name != "exp"),
        single(two),
        *(single(Factor((name,))) for name in functions),
        *(Law(((), (Factor((name,), offset=False, power="multiply"),))) for name in functions),
        single(plain, plain),
        Law(((), (), ())),
        single(three),
        single(two, plain),
        *(single(Factor(("", name), amplitudes=True)) for name in waves),
        *(single(plain, Factor((name,), amplitudes=True)) for name in waves),
        *(single(Factor((name,), offset=False), Factor((name,), offset=False)) for name in waves),
        *(
            Law(((Factor((name,), offset=False, power="multiply"),), (Factor((name,), offset=False),)))
            for name in waves
        ),
        *(single(Factor((name,), offset=False, power="multiply", sums=3)) for name in functions),
        Law(((plain,), ())),
        Law(((plain,), (plain,))),
    ]
