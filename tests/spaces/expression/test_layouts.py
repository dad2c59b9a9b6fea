"""The tables of edges, counted and drawn by hand."""

from archgrad.ops.symbolic import PRIMITIVES, Primitive
from archgrad.spaces.expression.layouts import functions_of_laws, layout_of_laws, layout_of_sums


def test_sums_read_every_column_and_every_earlier_node():
    assert layout_of_sums(2, ["add"], nodes=2) == dict.fromkeys(((0, 2), (1, 2), (0, 3), (1, 3), (2, 3)), ("add",))


def test_laws_by_hand():
    """One column: products 1 … 4, factors 5 and 6 of two products each, and terms 7 to 9."""
    powers, factors, names = ("none", "powered"), ("none", "multiply", "divide", "powered"), ("none", "linear_sin")
    expected = {(0, product): powers for product in (1, 2, 3, 4)}
    expected |= {(1, 5): names, (2, 5): names, (3, 6): names, (4, 6): names}
    for term in (7, 8, 9):
        expected |= {(0, term): powers, (5, term): factors, (6, term): factors}
    found = layout_of_laws(1, names, terms=3, factors=2, functions=2)
    assert found == expected
    assert list(found) == sorted(found, key=lambda edge: (edge[1], edge[0]))


def test_functions_of_laws_have_a_line_inside_and_are_no_powers():
    own, pair = (
        Primitive("own", lambda x: x, lambda x: x),
        Primitive("pair", lambda x: x, lambda x: x, combination="power"),
    )
    names = ("none", "add", "constant", "sin", "linear_exp", "square", "reciprocal", "multiply", "powered", "softplus")
    found = functions_of_laws([*(PRIMITIVES[name] for name in names), own, pair])
    assert list(found) == ["none", "mult", "linear", "linear_sin", "linear_exp", "linear_softplus", "own"]
    assert found["own"] is own
