"""Drawings of cells: nothing overlaps, nothing is missing."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matplotlib.artist import Artist
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from archgrad.genotype import (
    AUTO_DEEPLAB,
    CONV_CELL,
    DARTS_V1_RECURRENT,
    DARTS_V2,
    ENAS_RECURRENT,
    NASNET,
    PUBLISHED,
    RECURRENT_CELL,
    TRELLIS,
    Cell,
    Edge,
    Genotype,
)
from archgrad.report import draw_cell, draw_genotype, save_figure
from archgrad.report.cells import ACTIVATIONS, INITIAL
from archgrad.report.layout import Link, Size, arrange

OPERATIONS = (
    "none",
    "skip_connect",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "max_pool_3x3",
    "a_very_long_operation_name_7x1_1x7",
)
CHAIN = Cell("chain", tuple((Edge("tanh", state),) for state in range(8)), (8,), inputs=1)
SINGLE = Cell("recurrent", ((Edge("tanh", 0),),), (1,), inputs=1)
STAR = Cell("recurrent", tuple((Edge("sigmoid", 0),) for _ in range(8)), tuple(range(1, 9)), inputs=1)
PUBLISHED_CELLS = [
    pytest.param(cell, genotype.space, id=f"{name}-{cell.name}")
    for name, genotype in PUBLISHED.items()
    for cell in genotype.cells
]


@st.composite
def plans(draw: st.DrawFn) -> tuple[int, list[list[tuple[str, int]]], set[int]]:
    """Inputs, nodes and outputs of a cell. Cells are built in the test: checked constructors draw random numbers."""
    inputs = draw(st.integers(1, 3))
    count = draw(st.integers(1, 7))
    nodes = [
        draw(st.lists(st.tuples(st.sampled_from(OPERATIONS), st.integers(0, state - 1)), min_size=1, max_size=3))
        for state in range(inputs, inputs + count)
    ]
    return inputs, nodes, draw(st.sets(st.integers(0, inputs + count - 1), min_size=1))


@st.composite
def recurrent_plans(draw: st.DrawFn) -> tuple[int, list[list[tuple[str, int]]], set[int]]:
    """A recurrent cell, as decoding gives it: one edge into each node, all nodes are outputs."""
    activations = st.sampled_from(["tanh", "relu", "sigmoid", "identity", "softsign"])
    count = draw(st.integers(1, 8))
    nodes = [[draw(st.tuples(activations, st.integers(0, state - 1)))] for state in range(1, count + 1)]
    return 1, nodes, set(range(1, count + 1))


def build(inputs: int, nodes: list[list[tuple[str, int]]], outputs: set[int]) -> Cell:
    return Cell("drawn", tuple(tuple(Edge(*edge) for edge in edges) for edges in nodes), tuple(outputs), inputs=inputs)


def artists(figure: Figure, gid: str) -> list[Artist]:
    """The artists with a gid, in the order in which they were added; a path has axes of its own after the cells'."""
    axes = figure.axes[0]
    return [artist for artist in axes.get_children() if artist.get_gid() == gid]


def boxes(figure: Figure, gid: str) -> list[Bbox]:
    renderer = figure.canvas.get_renderer()
    return [artist.get_window_extent(renderer) for artist in artists(figure, gid)]


def texts(figure: Figure, gid: str) -> list[str]:
    return [artist.get_text() for artist in artists(figure, gid)]


def strictly_overlap(first: Bbox, second: Bbox) -> bool:
    return min(first.x1, second.x1) > max(first.x0, second.x0) and min(first.y1, second.y1) > max(first.y0, second.y0)


def contains(box: Bbox, points: np.ndarray) -> bool:
    inside = (points[:, 0] > box.x0) & (points[:, 0] < box.x1) & (points[:, 1] > box.y0) & (points[:, 1] < box.y1)
    return bool(inside.any())


def ends_of(cell: Cell, space: str) -> list[tuple[int, int]]:
    """Where each edge of a drawing starts and ends; x_t and h_{t−1} stand before state 0 of a recurrent cell."""
    first = [(0, 2), (1, 2)] if space == RECURRENT_CELL else []
    shift = len(first)
    last = shift + cell.inputs + len(cell.nodes)
    edges = [(edge.source, target) for target, edges in enumerate(cell.nodes, start=cell.inputs) for edge in edges]
    return [
        *first,
        *((source + shift, target + shift) for source, target in edges),
        *((state + shift, last) for state in cell.outputs),
    ]


def assert_readable(cell: Cell, space: str = CONV_CELL) -> None:
    figure = draw_cell(cell, space)
    figure.canvas.draw()
    labels, states = boxes(figure, "label-box"), boxes(figure, "state-box")
    assert len(labels) == len(cell.operations)
    assert len(states) == cell.inputs + len(cell.nodes) + 1 + 2 * (space == RECURRENT_CELL)
    for first, second in combinations([*labels, *states, *boxes(figure, "legend")], 2):
        assert not strictly_overlap(first, second)
    for kind, frames in (("label", labels), ("state", states)):
        for text, frame in zip(boxes(figure, kind), frames, strict=True):
            assert frame.x0 < text.x0
            assert text.x1 < frame.x1
            assert frame.y0 < text.y0
            assert text.y1 < frame.y1
    assert states[0].y0 > states[1].y1 or (cell.inputs == 1 and space != RECURRENT_CELL)  # the first input is on top
    for box in [*labels, *states]:
        assert figure.bbox.x0 < box.x0
        assert box.x1 < figure.bbox.x1
        assert figure.bbox.y0 < box.y0
        assert box.y1 < figure.bbox.y1
    assert_edges_pass_by(figure, ends_of(cell, space), labels, states)


def assert_edges_pass_by(figure: Figure, ends: list[tuple[int, int]], labels: list[Bbox], states: list[Bbox]) -> None:
    """No edge runs through a state, or through the label of another edge; each starts and ends at its own states."""
    edges = artists(figure, "edge")
    assert len(edges) == len(ends)
    # The edges that lead to state 0 of a recurrent cell come first, and have no labels.
    unlabelled = len([edge for edge in edges if edge.get_edgecolor() == to_rgba(ACTIVATIONS[INITIAL])])
    for number, (edge, (source, target)) in enumerate(zip(edges, ends, strict=True)):
        (curve,) = edge.get_transform().transform_path(edge.get_path()).to_polygons(closed_only=False)
        assert curve[0] == pytest.approx([states[source].x1, curve[0][1]], abs=0.1)
        assert states[source].y0 < curve[0][1] < states[source].y1
        assert states[target].y0 < curve[-1][1] < states[target].y1
        assert 0 < states[target].x0 - curve[-1][0] < 0.15 * figure.dpi
        assert not any(contains(box.padded(-0.5), curve) for box in states)
        assert not any(contains(box, curve) for place, box in enumerate(labels) if place != number - unlabelled)


@pytest.mark.parametrize(("cell", "space"), PUBLISHED_CELLS)
def test_published_cells_are_readable(cell: Cell, space: str) -> None:
    assert_readable(cell, space)


@pytest.mark.parametrize("cell", [CHAIN, SINGLE, STAR], ids=["chain", "single", "star"])
def test_recurrent_cells_are_readable(cell: Cell) -> None:
    assert_readable(cell, RECURRENT_CELL)
    assert_readable(cell)


@settings(max_examples=10, deadline=None, database=None)
@given(recurrent_plans())
def test_random_recurrent_cells_are_readable(plan: tuple[int, list[list[tuple[str, int]]], set[int]]) -> None:
    assert_readable(build(*plan), RECURRENT_CELL)


# Three inputs, of which the fewest edges cross with the first one in the middle.
MIDDLE = (3, [[("none", 0)], [("none", 0), ("none", 0), ("none", 1)], [("none", 0)]], {0})


@settings(max_examples=20, deadline=None, database=None)
@example(MIDDLE)
@given(plans())
def test_random_cells_are_readable(plan: tuple[int, list[list[tuple[str, int]]], set[int]]) -> None:
    assert_readable(build(*plan))


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_operation_is_written_as_often_as_it_occurs(name: str) -> None:
    genotype = PUBLISHED[name]
    figure = draw_genotype(genotype)
    expected = Counter(operation for cell in genotype.cells for operation in cell.operations)
    assert Counter(texts(figure, "label")) == expected
    assert texts(figure, "title") == [cell.name for cell in genotype.cells]


def test_cells_of_a_genotype_do_not_overlap() -> None:
    figure = draw_genotype(NASNET)
    figure.canvas.draw()
    drawn = [box for gid in ("title", "label-box", "state-box", "legend") for box in boxes(figure, gid)]
    assert not any(strictly_overlap(first, second) for first, second in combinations(drawn, 2))


def test_names_of_states() -> None:
    assert texts(draw_cell(DARTS_V2["normal"]), "state") == ["$c_{k-2}$", "$c_{k-1}$", "2", "3", "4", "5", "$c_{k}$"]
    assert texts(draw_cell(CHAIN), "state") == ["input", *"12345678", "output"]


def test_cell_of_a_trellis_and_its_path_stand_one_below_the_other() -> None:
    figure = draw_genotype(AUTO_DEEPLAB)
    figure.canvas.draw()
    assert texts(figure, "state") == ["$H^{l-1}$", "$H^{l-2}$", *"23456", "$H^{l}$"]
    assert texts(figure, "legend") == ["separable", "atrous", "output"]
    cell, path = figure.axes
    (band,) = [line for line in path.lines if line.get_gid() == "path"]
    assert list(band.get_ydata()) == [0, *AUTO_DEEPLAB.path]
    (title,) = figure.texts
    assert title.get_text() == "path"
    below = title.get_window_extent().y0
    assert all(box.y0 > title.get_window_extent().y1 for gid in ("state-box", "legend") for box in boxes(figure, gid))
    assert path.get_tightbbox().y1 <= below
    assert cell.get_window_extent().height == figure.bbox.height
    assert figure.bbox.x0 < path.get_tightbbox().x0 < path.get_tightbbox().x1 < figure.bbox.x1


def test_paths_of_a_trellis_may_be_short_deep_or_missing() -> None:
    cells = AUTO_DEEPLAB.cells
    for path, rows in (((0,), 2), ((1, 2, 3, 4, 5), 6)):
        figure = draw_genotype(Genotype(TRELLIS, cells, path))
        figure.canvas.draw()
        assert len(figure.axes[1].get_yticklabels()) == rows
    assert len(draw_genotype(Genotype(TRELLIS, cells)).axes) == 1
    with pytest.raises(ValueError, match="path: 0 2 leaves the trellis"):
        draw_genotype(Genotype(TRELLIS, cells, (0, 2)))


def test_recurrent_cell_is_drawn_from_the_input_and_the_state_before_to_the_mean_of_its_outputs() -> None:
    figure = draw_genotype(DARTS_V1_RECURRENT)
    assert texts(figure, "state") == ["$x_{t}$", "$h_{t-1}$", *"012345678", "mean: $h_{t}$"]
    assert texts(figure, "label") == ["relu", "relu", "tanh", "relu", "relu", "identity", "relu", "relu"]
    assert texts(figure, "title") == ["recurrent"]
    assert len(artists(figure, "edge")) == 2 + 8 + 8
    assert texts(figure, "legend") == ["tanh", "relu", "identity", "initial state", "output"]
    assert texts(draw_cell(DARTS_V1_RECURRENT["recurrent"], RECURRENT_CELL), "state") == texts(figure, "state")


def test_a_single_output_is_no_mean() -> None:
    assert texts(draw_cell(SINGLE, RECURRENT_CELL), "state") == ["$x_{t}$", "$h_{t-1}$", "0", "1", "$h_{t}$"]


def test_only_outputs_of_a_recurrent_cell_lead_to_its_mean() -> None:
    cell = ENAS_RECURRENT["recurrent"]
    assert len(artists(draw_cell(cell, RECURRENT_CELL), "edge")) == 2 + 11 + 6


def test_activations_have_colours_of_their_own() -> None:
    cell = Cell(
        "recurrent", tuple((Edge(name, 0),) for name in ("tanh", "relu", "sigmoid", "identity", "sine")), (1,), 1
    )
    figure = draw_cell(cell, RECURRENT_CELL)
    assert len({box.get_edgecolor() for box in artists(figure, "label-box")}) == 5
    assert texts(figure, "legend") == ["tanh", "relu", "sigmoid", "identity", "other", "initial state", "output"]


def test_states_that_are_no_output_have_no_edge_to_it() -> None:
    cell = NASNET["reduce"]
    assert len(artists(draw_cell(cell), "edge")) == len(cell.operations) + len(cell.outputs)


def test_legend_lists_the_kinds_that_occur() -> None:
    assert texts(draw_cell(DARTS_V2["normal"]), "legend") == ["separable", "dilated", "skip", "output"]
    assert texts(draw_cell(CHAIN), "legend") == ["other", "output"]


def test_drawing_is_deterministic() -> None:
    first, second = (draw_cell(NASNET["reduce"]) for _ in range(2))
    assert [box.extents.tolist() for box in boxes(first, "label-box")] == [
        box.extents.tolist() for box in boxes(second, "label-box")
    ]


def test_names_are_no_markup() -> None:
    hostile = Cell("$x^{", ((Edge("$y_{", 0), Edge("<b>%s</b>", 0)),), (1,), inputs=1)
    figure = draw_genotype(Genotype("space", (hostile,)))
    figure.canvas.draw()
    assert texts(figure, "label") == ["$y_{", "<b>%s</b>"]


def test_genotype_without_cells() -> None:
    with pytest.raises(ValueError, match="has no cells"):
        draw_genotype(Genotype("space", ()))


def test_links_lead_forward() -> None:
    sizes = [Size(1.0, 1.0)] * 2
    with pytest.raises(ValueError, match="from a lower to a higher"):
        arrange(sizes, [Link(1, 0, None)])


@pytest.mark.parametrize(("name", "start"), [("cell.png", b"\x89PNG"), ("cell.SVG", b"<?xml")])
def test_save_figure(tmp_path, name: str, start: bytes) -> None:
    path = tmp_path / name
    save_figure(draw_cell(CHAIN), path)
    assert path.read_bytes().startswith(start)
    assert list(tmp_path.iterdir()) == [path]


def test_save_figure_knows_its_formats(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"path: '\.jpg' is unknown"):
        save_figure(Figure(), tmp_path / "cell.jpg")
