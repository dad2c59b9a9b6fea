"""Drawings of equations: what contributes is there with its coefficients, what does not is not, nothing overlaps."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from archgrad.genotype import Cell, Edge, Genotype
from archgrad.ops.symbolic import PRIMITIVES, Primitive
from archgrad.report import draw_expression, draw_genotype, save_figure
from archgrad.report.expressions import kind_of
from archgrad.spaces.expression.graph import Graph
from archgrad.spaces.expression.laws import Factor, Law

NAMES = ["a", "a name that is much longer than there is room", "t_{0}^$", "$\\frac{$", "日本 😀", "price in $"]


def genotype(nodes: list[list[tuple[str, int]]], outputs: tuple[int, ...], inputs: int) -> Genotype:
    cell = Cell("expression", tuple(tuple(Edge(*edge) for edge in edges) for edges in nodes), outputs, inputs)
    return Genotype("expression", (cell,))


def texts(figure: Figure, gid: str) -> list[str]:
    (axes,) = figure.axes
    return [artist.get_text() for artist in axes.get_children() if artist.get_gid() == gid]


def assert_readable(figure: Figure) -> None:
    """No box meets another or leaves the picture."""
    figure.canvas.draw()
    (axes,) = figure.axes
    renderer = figure.canvas.get_renderer()
    found = [
        artist.get_window_extent(renderer)
        for artist in axes.get_children()
        if artist.get_gid() in ("label-box", "state-box", "legend")
    ]
    for first, second in combinations(found, 2):
        apart = (
            max(first.x0, second.x0) >= min(first.x1, second.x1),
            max(first.y0, second.y0) >= min(first.y1, second.y1),
        )
        assert any(apart)
    for box in found:
        assert figure.bbox.x0 < box.x0 < box.x1 < figure.bbox.x1
        assert figure.bbox.y0 < box.y0 < box.y1 < figure.bbox.y1


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, list[list[tuple[str, int]]], set[int]]:
    inputs, count = draw(st.integers(1, 6)), draw(st.integers(1, 8))
    nodes = [
        draw(
            st.lists(st.tuples(st.sampled_from(sorted(PRIMITIVES)), st.integers(0, state - 1)), min_size=1, max_size=3)
        )
        for state in range(inputs, inputs + count)
    ]
    return inputs, nodes, draw(st.sets(st.integers(inputs, inputs + count - 1), min_size=1))


@pytest.mark.filterwarnings("ignore:Glyph")
@settings(max_examples=12, deadline=None, database=None)
@given(graphs(), st.booleans())
def test_any_graph_is_readable(graph, fitted):
    inputs, nodes, outputs = graph
    drawn = genotype(nodes, tuple(sorted(outputs)), inputs)
    size = Graph(drawn.cells[0]).size
    coefficients = np.random.default_rng(0).normal(size=size) * (np.arange(size) % 3 > 0)
    assert_readable(draw_expression(drawn, NAMES[:inputs], list(coefficients) if fitted else None))


def test_names_are_no_mathematics(tmp_path):
    drawn = genotype([[("add", place) for place in range(6)]], (6,), 6)
    figure = draw_expression(drawn, NAMES, target="$y_{$")
    assert texts(figure, "state")[-1] == "$y_{$"
    assert texts(figure, "state")[2:6] == NAMES[2:]
    assert texts(figure, "state")[1] == "a name that is much longe…"
    save_figure(figure, tmp_path / "graph.png")


def test_edges_carry_operations_and_coefficients():
    nodes = [[("linear", 0), ("linear_exp", 1), ("mult", 0), ("exp", 0), ("softplus", 1)], [("powered", 0)]]
    drawn = genotype(nodes, (2, 3), 2)
    labels = texts(draw_expression(drawn), "label")
    assert labels == ["linear", "linear_exp", "mult", "exp", "softplus", "powered"]
    figure = draw_expression(drawn, ["x", "z"], [2.0, -0.5, 3.0, 0.0, 1.23456, 0.25, -1.5, 1.0, -2.0, 7.0])
    assert texts(figure, "label") == [
        "linear\n2·x − 0.5",
        "linear_exp\n3·x",
        "mult\n1.23·x",
        "exp",
        "softplus\na = 0.25",
        "powered\nx^−1.5",
        "× −2",
    ]
    assert texts(figure, "state") == ["x", "z", "7", "∑", "∏", "y"]


def test_what_contributes_nothing_is_left_out():
    law = Law(((Factor(("cos",), offset=False),), ())).cell(3)
    coefficients = np.zeros(Graph(law).size)
    graph = Graph(law)
    first = graph.nodes[0][0].start  # column 0 inside the cosine
    coefficients[[first, graph.nodes[1][0].start, graph.nodes[3][3].start, graph.outputs[0]]] = 1.0
    figure = draw_expression(Genotype("expression", (law,)), ["mass", "speed", "time"], list(coefficients))
    assert texts(figure, "state") == ["mass", "∏", "∑", "∑", "∏", "y"]
    assert texts(figure, "label") == ["powered\nx^1", "mult\n1·x", "cos", "powered\nx^1"]


def test_edges_of_none_and_zero_terms_are_left_out():
    drawn = genotype([[("none", 0), ("mult", 1), ("mult", 2)]], (3,), 3)
    assert texts(draw_expression(drawn, ["a", "b", "c"]), "state") == ["b", "c", "∑", "y"]
    assert texts(draw_expression(drawn, ["a", "b", "c"], [0.0, 2.0, 1.0, 0.0]), "state") == ["c", "∑", "y"]


def test_constants_stand_alone():
    drawn = genotype([[("constant", 0), ("linear_exp", 1)], [("none", 0)], [("powered", 0)]], (2, 3, 4), 2)
    figure = draw_expression(drawn, ["a", "b"], [0.5, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    assert texts(figure, "state") == ["0.5", "1", "∑", "0", "1", "y"]
    assert texts(figure, "label") == []
    assert texts(draw_expression(drawn, ["a", "b"]), "state") == ["a", "b", "constant", "∑", "0", "∏", "y"]
    nothing = draw_expression(genotype([[("exp", 0)]], (1,), 1), ["a"], [0.0, 3.0])
    assert texts(nothing, "state") == ["3", "y"]


def test_nodes_that_mix_sums_and_products():
    drawn = genotype([[("add", 0), ("exp", 1), ("multiply", 0), ("power", 1)]], (2,), 2)
    assert texts(draw_expression(drawn), "state") == ["column 0", "column 1", "∑∏^", "y"]


def test_operations_of_the_users_own():
    own = Primitive("cube_root", lambda x: x, lambda x: x, coefficients="scale")
    drawn = genotype([[("cube_root", 0)]], (1,), 1)
    assert texts(draw_expression(drawn), "legend") == ["other", "output"]
    figure = draw_expression(drawn, ["x"], [2.0, 1.0], primitives={"cube_root": own})
    assert texts(figure, "label") == ["cube_root\n2·x"]
    with pytest.raises(ValueError, match="'cube_root' is no primitive"):
        draw_expression(drawn, ["x"], [2.0, 1.0])


def test_every_operation_has_a_kind():
    assert {name for name in PRIMITIVES if kind_of(name) == "other"} == {"none", "constant"}


def test_an_expression_is_drawn_as_one():
    drawn = genotype([[("powered", 0), ("powered", 1)]], (2,), 2)
    assert texts(draw_genotype(drawn), "state") == ["column 0", "column 1", "∏", "y"]
    assert texts(draw_genotype(Genotype("other", drawn.cells)), "state")[0] == "$c_{k-2}$"


def test_what_does_not_fit_is_refused():
    drawn = genotype([[("linear", 0)]], (2,), 2)
    with pytest.raises(ValueError, match="names: 1 names for 2 columns"):
        draw_expression(drawn, ["x"])
    with pytest.raises(ValueError, match="coefficients: 2 values for a graph of 3, or 4 with c₀"):
        draw_expression(drawn, ["x", "z"], [1.0, 2.0])
    with pytest.raises(ValueError, match="has no cells"):
        draw_expression(Genotype("expression", ()))
