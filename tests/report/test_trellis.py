"""Drawings of trellises: every node and edge is where it belongs, and as strong as its probability."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from archgrad.arch import LogitGroup
from archgrad.decode import viterbi
from archgrad.genotype import AUTO_DEEPLAB
from archgrad.report import draw_trellis
from archgrad.report.trellis import ROOM, make_picture, width_of
from archgrad.spaces.trellis import PATHS, Trellis

SHAPES = [(12, 4), (4, 2), (16, 5), (4, 5), (1, 1), (16, 2)]


def mixture(trellis: Trellis) -> np.ndarray:
    group = trellis.group
    weights = np.random.default_rng(trellis.layers).random(group.shape) * group.mask
    return weights / weights.sum(axis=1, keepdims=True)


def decoded(trellis: Trellis) -> tuple[int, ...]:
    return viterbi(trellis.transitions(mixture(trellis)))[0].states


def draw(trellis: Trellis) -> Figure:
    return draw_trellis(decoded(trellis), mixture=mixture(trellis), group=trellis.group)


def lines(figure: Figure, *gids: str) -> list[Line2D]:
    return [line for line in figure.axes[0].lines if line.get_gid() in gids]


def points(line: Line2D) -> list[tuple[int, int]]:
    return [(int(x), int(y)) for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)]


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def numbers(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts if text.get_gid() == "number"]


@pytest.mark.parametrize("shape", SHAPES)
def test_nodes_and_edges_are_those_of_the_trellis(shape: tuple[int, int]) -> None:
    trellis = Trellis(*shape)
    for figure in (draw(trellis), draw_trellis(decoded(trellis), levels=trellis.levels)):
        nodes = [point for line in lines(figure, "node", "path-node") for point in points(line)]
        assert sorted(nodes) == [(0, 0), *trellis.nodes]
        edges = sorted(tuple(points(line)) for line in lines(figure, "edge", "path-edge"))
        assert edges == sorted(tuple(map(tuple, edge)) for edge in trellis.edges)


@pytest.mark.parametrize("shape", SHAPES)
def test_layers_run_to_the_right_and_strides_down(shape: tuple[int, int]) -> None:
    trellis = Trellis(*shape)
    figure = draw(trellis)
    figure.canvas.draw()
    (axes,) = figure.axes
    rows = range(trellis.highest(trellis.layers) + 1)
    assert [label.get_text() for label in axes.get_yticklabels()] == [f"stride {4 * 2**level}" for level in rows]
    columns = ["stem", *map(str, range(1, trellis.layers + 1))]
    assert [label.get_text() for label in axes.get_xticklabels()] == columns
    assert axes.get_xlabel() == "layer"
    origin, right, below = axes.transData.transform([(0, 0), (1, 0), (0, 1)])
    assert right[0] > origin[0]
    assert below[1] < origin[1]


@pytest.mark.parametrize("shape", SHAPES)
def test_path_is_drawn_over_everything_but_the_nodes(shape: tuple[int, int]) -> None:
    trellis = Trellis(*shape)
    figure, path = draw(trellis), [*enumerate((0, *decoded(trellis)))]
    (band,) = lines(figure, "path")
    assert points(band) == path
    (filled,) = lines(figure, "path-node")
    assert points(filled) == path
    assert to_rgb(filled.get_markerfacecolor()) == to_rgb(band.get_color())
    assert sorted(map(points, lines(figure, "path-edge"))) == [list(pair) for pair in pairwise(path)]
    lowest = min(line.get_zorder() for line in lines(figure, "path", "path-edge"))
    assert all(line.get_zorder() < lowest for line in lines(figure, "edge"))


@pytest.mark.parametrize("shape", SHAPES)
def test_each_edge_is_as_wide_as_its_probability(shape: tuple[int, int]) -> None:
    trellis = Trellis(*shape)
    matrices = trellis.transitions(mixture(trellis))
    for line in lines(draw(trellis), "edge", "path-edge"):
        (layer, source), (_, target) = points(line)
        assert line.get_linewidth() == pytest.approx(width_of(float(matrices[layer][source, target])))


@settings(max_examples=20, deadline=None, database=None)
@given(st.floats(0, 1), st.floats(0, 1))
def test_more_probable_edges_are_wider_and_darker(first: float, second: float) -> None:
    trellis = Trellis(2, 2)
    weights = trellis.group.mask * 0.5
    weights[1], weights[2] = (0, first, 1 - first), (second, 1 - second, 0)
    drawn = {
        tuple(points(line)): line
        for line in lines(draw_trellis((0, 1), mixture=weights, group=trellis.group), "edge", "path-edge")
    }
    one, other = drawn[(1, 0), (2, 0)], drawn[(1, 1), (2, 0)]  # neither is on the path
    low, high = sorted([(first, one), (second, other)], key=lambda pair: pair[0])
    assert low[1].get_linewidth() <= high[1].get_linewidth()
    assert sum(to_rgb(low[1].get_color())) >= sum(to_rgb(high[1].get_color()))
    if high[0] - low[0] > 0.01:
        assert low[1].get_linewidth() < high[1].get_linewidth()
        assert sum(to_rgb(low[1].get_color())) > sum(to_rgb(high[1].get_color()))


def test_without_probabilities_all_other_edges_are_equal() -> None:
    figure = draw_trellis(AUTO_DEEPLAB.path)
    assert {(line.get_linewidth(), line.get_color()) for line in lines(figure, "edge")} == {(0.8, "#C9CED4")}
    assert legend(figure) == ["path", "other edges of the trellis"]
    assert numbers(figure) == []
    bare = draw_trellis(AUTO_DEEPLAB.path, group=Trellis(12, 4).group)
    assert sorted(map(points, lines(bare, "edge"))) == sorted(map(points, lines(figure, "edge")))


def test_legend_says_what_the_widths_mean() -> None:
    figure = draw(Trellis(12, 4))
    assert legend(figure) == ["path", "β = 0.1", "β = 0.3", "β = 0.6", "β = 1"]
    samples = figure.axes[0].get_legend().get_lines()[1:]
    assert [line.get_linewidth() for line in samples] == [width_of(weight) for weight in (0.1, 0.3, 0.6, 1.0)]


def test_numbers_are_those_of_the_path_where_there_is_room() -> None:
    trellis = Trellis(12, 4)
    path = decoded(trellis)
    matrices = trellis.transitions(mixture(trellis))
    expected = [matrix[pair] for matrix, pair in zip(matrices, pairwise((0, *path)), strict=True)]
    assert numbers(draw(trellis)) == [f"{weight:.2f}" for weight in expected]
    long = Trellis(30, 3)
    assert make_picture(decoded(long), levels=3).pitch.width < ROOM
    assert numbers(draw(long)) == []


@pytest.mark.parametrize("shape", [(12, 4), (4, 2), (16, 5), (4, 5), (16, 2)])
def test_texts_lie_apart_and_inside(shape: tuple[int, int]) -> None:
    figure = draw(Trellis(*shape))
    figure.canvas.draw()
    assert figure.get_size_inches()[0] <= 10.21  # the page of the report
    renderer = figure.canvas.get_renderer()
    boxes = [
        text.get_window_extent(renderer) for text in figure.findobj(Text) if text.get_text() and text.get_visible()
    ]
    assert not any(first.overlaps(second) for first, second in combinations(boxes, 2))
    for box in boxes:
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1


@pytest.mark.parametrize("name", PATHS)
def test_known_networks(name: str) -> None:
    (band,) = lines(draw_trellis(PATHS[name]), "path")
    assert points(band) == [*enumerate((0, *PATHS[name]))]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ((), "path: must not be empty"),
        ((0, 2), "path: 0 2 leaves the trellis: layer 2 lies at level 2, allowed after level 0 is 0 to 1"),
        ((0, 1, 2, 3), "path: 0 1 2 3 leaves the trellis: layer 4 lies at level 3, allowed after level 2 is 1 to 2"),
    ],
)
def test_path_must_lie_in_the_trellis(path: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw_trellis(path, levels=3)


def test_levels_must_be_a_whole_number() -> None:
    with pytest.raises(ValueError, match="levels: must be at least 1"):
        draw_trellis((0,), levels=0)


def test_group_and_path_must_fit() -> None:
    trellis = Trellis(3, 2)
    with pytest.raises(ValueError, match="path: has 2 layers; group 'trellis' has 3"):
        draw_trellis((0, 0), group=trellis.group)
    with pytest.raises(ValueError, match="layer 2 lies at level 2, allowed after level 1 is 0 to 1"):
        draw_trellis((1, 2, 1), group=trellis.group)
    cell = LogitGroup.dense("cell", inputs=2, nodes=1, candidates=("none", "keep"))
    with pytest.raises(
        ValueError, match=r"group: \['none'\] of group 'cell' are no moves; allowed: halve, keep, double"
    ):
        draw_trellis((0, 0), group=cell)


def test_mixture_must_be_probabilities_of_the_group() -> None:
    trellis = Trellis(3, 2)
    weights = mixture(trellis)
    with pytest.raises(ValueError, match="group: a mixture needs the group"):
        draw_trellis((0, 0, 0), mixture=weights)
    with pytest.raises(ValueError, match=r"mixture: shape \(4, 3\) is not that of group 'trellis', \(5, 3\)"):
        draw_trellis((0, 0, 0), mixture=weights[:-1], group=trellis.group)
    for wrong in (-0.5, 1.5, np.nan):
        with pytest.raises(ValueError, match=r"mixture: must lie in \[0, 1\]"):
            draw_trellis((0, 0, 0), mixture=np.where(weights > 0.5, wrong, weights), group=trellis.group)
