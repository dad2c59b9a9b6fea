"""The table of shapes: each becomes the graph that it says."""

import numpy as np
import sympy

from archgrad.spaces.expression.graph import Graph
from archgrad.spaces.expression.laws import Factor, Law, laws


def formula(law, columns=1):
    """The law with exponents and coefficients of one and offsets of ten."""
    graph = Graph(law.cell(columns), offset=law.constant)
    symbols = sympy.symbols(f"x:{columns}", positive=True)
    numbers = [1] * graph.size
    for slots in graph.nodes:
        for slot in slots:
            if slot.primitive.name == "linear":
                numbers[slot.start + 1] = 10
    return sympy.expand(graph.expression(numbers, symbols)), symbols


def test_shapes_are_what_they_say():
    x = sympy.Symbol("x0", positive=True)
    sine = Factor(("sin",), offset=False, power="multiply")
    cases = {
        Law(((),)): x,
        Law(((),), constant=True): x + 1,
        Law(((), ())): 2 * x,
        Law(((Factor(("",)),),)): x * (x + 10),
        Law(((Factor(("", "")),),)): x * (2 * x + 10),
        Law(((sine,),)): x * sympy.sin(x),
        Law(((Factor(("sin",)),),)): x * (sympy.sin(x) + 10),
        Law(((Factor(("sin",), amplitudes=True),),)): x * (x * sympy.sin(x) + 10),
        Law(((Factor(("exp",), offset=False, power="multiply", sums=3),),)): x * sympy.exp(3 * x),
        Law(((Factor(("",)), Factor(("",), power="divide")),)): x,
    }
    for law, expected in cases.items():
        found, _ = formula(law)
        assert sympy.simplify(found - sympy.expand(expected)) == 0, law


def test_every_law_of_the_table_can_be_evaluated():
    inputs = np.random.default_rng(0).uniform(1, 2, (2, 5))
    for law in laws(["exp", "sin", "ln"]):
        graph = Graph(law.cell(2), offset=law.constant)
        value, jacobian = graph.evaluate(np.full((2, graph.size), 0.5), inputs)
        assert np.isfinite(value).all()
        assert np.isfinite(jacobian).all()


def test_no_law_is_there_twice():
    table = laws(["exp", "ln", "sin", "cos", "tanh"])
    assert len(set(table)) == len(table)
