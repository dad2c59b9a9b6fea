"""Layouts of relaxed expression graphs: tables of which edges there are and what each of them may be."""

from collections.abc import Sequence
from typing import TypeAlias

from archgrad.arch import NONE
from archgrad.ops.symbolic import PRIMITIVES, Primitive

Choices: TypeAlias = dict[tuple[int, int], tuple[str, ...]]
"""(source, target) -> the candidates of that edge; ordered by target, then source."""

POWERS = (NONE, "powered")
"""What a product of powers makes of a column."""

FACTORS = (NONE, "multiply", "divide", "powered")
"""What a term makes of a factor."""

PRODUCTS = ("reciprocal", "square", "cube", "sqrt", "inverse_square")
"""Primitives that products of powers contain."""


def layout_of_sums(columns: int, names: Sequence[str], *, nodes: int) -> Choices:
    """Every node has an edge from each column and each earlier node, with all candidates."""
    targets = range(columns, columns + nodes)
    return {(source, target): tuple(names) for target in targets for source in range(target)}


def layout_of_laws(columns: int, names: Sequence[str], *, terms: int, factors: int, functions: int) -> Choices:
    """The shapes of `archgrad.spaces.expression.laws`, laid over one another, from the columns to the terms:

        M_jk = Π_i x_i^a      F_j = Σ_k s_k · h_k(t_k · M_jk + b_k)      T_t = Π_i x_i^a · Π_j F_j^{1, −1 or a}

    for factors j and functions k. `names` are the candidates of h.
    """
    edges: Choices = {}
    first_factor = columns + factors * functions
    first_term = first_factor + factors
    for product in range(columns, first_factor):
        edges |= {(column, product): POWERS for column in range(columns)}
    for factor in range(factors):
        start = columns + factor * functions
        edges |= {(product, first_factor + factor): tuple(names) for product in range(start, start + functions)}
    for term in range(first_term, first_term + terms):
        edges |= {(column, term): POWERS for column in range(columns)}
        edges |= {(factor, term): FACTORS for factor in range(first_factor, first_term)}
    return edges


def functions_of_laws(primitives: Sequence[Primitive]) -> dict[str, Primitive]:
    """The candidates of h in `layout_of_laws`: none, a line, and the functions among `primitives` with a line inside.

    Combinations of nodes and powers are left out, since products of powers contain them.
    """
    chosen = {name: PRIMITIVES[name] for name in (NONE, "mult", "linear")}
    for primitive in primitives:
        name, inside = primitive.name, f"linear_{primitive.name}"
        if PRIMITIVES.get(name) is not primitive:
            usable = primitive if primitive.combination == "add" else None
        else:
            usable = primitive if name.startswith("linear_") else PRIMITIVES.get(inside)
        if usable is not None and name not in PRODUCTS:
            chosen[usable.name] = usable
    return chosen
