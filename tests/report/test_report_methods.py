"""Comparisons of methods, and drawings of NAS-Bench-201's cells: values are where they belong, names do not overlap."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from archgrad.genotype import NASBENCH201, Cell, Edge, Genotype
from archgrad.report import (
    Report,
    TradeOff,
    draw_cell,
    draw_genotype,
    draw_method_table,
    draw_regret,
    draw_tradeoff,
    write_report,
)

SPREAD = 10 + 84 * np.random.default_rng(0).beta(8, 1, 2000)
FOUND = {"DARTS": [54.3, 54.3, 80.0], "GDAS, a rather long name": [93.61], "failed $_{": [math.nan]}


def by_gid(axes: Axes, gid: str) -> list:
    return [artist for artist in axes.get_children() if artist.get_gid() == gid]


def words(axes: Axes, gid: str) -> list[str]:
    return [text.get_text() for text in by_gid(axes, gid)]


def assert_texts_fit(figure: Figure) -> None:
    """No text touches another or the border of the picture."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    texts = [text for axes in figure.axes for text in (*axes.texts, *axes.get_xticklabels(), *axes.get_yticklabels())]
    texts += [label for axes in figure.axes for label in (axes.xaxis.label, axes.yaxis.label)]
    texts += [text for axes in figure.axes if (box := axes.get_legend()) is not None for text in box.get_texts()]
    boxes = [text.get_window_extent(renderer) for text in texts if text.get_text() and text.get_visible()]
    boxes = [box for box in boxes if box.width and figure.bbox.overlaps(box)]
    for first, second in combinations(boxes, 2):
        assert not first.padded(-0.5).overlaps(second.padded(-0.5))
    for box in boxes:
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1


def test_a_method_table_shows_seeds_means_and_all_architectures() -> None:
    figure = draw_method_table(FOUND, SPREAD)
    strips, below = figure.axes
    assert [list(map(float, line.get_xdata())) for line in by_gid(strips, "seed")] == [
        pytest.approx([54.3, 54.3, 80.0]),
        pytest.approx([93.61]),
    ]
    assert [float(line.get_xdata()[0]) for line in by_gid(strips, "stroke")] == pytest.approx([62.86667, 93.61])
    assert words(strips, "mean") == ["62.87 ± 14.84", "93.61", "no result"]
    better = 100 * np.mean(SPREAD < 62.86667)
    assert float(words(strips, "share")[0].rstrip(" %")) == pytest.approx(better, abs=0.01)
    assert words(strips, "best") == [f"best {SPREAD.max():.2f} %"]
    assert words(below, "mean") == [f"{SPREAD.mean():.2f}"]
    assert [text.get_text() for text in strips.get_yticklabels()] == list(FOUND)
    assert [text.get_text() for text in below.get_yticklabels()] == ["all 2,000"]
    for axes in figure.axes:
        (line,) = by_gid(axes, "optimum")
        assert float(line.get_xdata()[0]) == pytest.approx(SPREAD.max())
    assert_texts_fit(figure)


def test_all_architectures_are_counted_in_bars() -> None:
    below = draw_method_table(FOUND, SPREAD).axes[1]
    (bars,) = by_gid(below, "distribution")
    heights, edges, _ = bars.get_data()
    counts, _ = np.histogram(SPREAD, edges)
    assert counts.sum() == SPREAD.size
    np.testing.assert_allclose(heights / heights.max(), counts / counts.max())
    places = below.xaxis.get_transform().transform(edges)
    np.testing.assert_allclose(np.diff(places), np.diff(places)[0])  # equally wide on the axis


def test_good_architectures_are_kept_apart_where_errors_differ_much() -> None:
    wide = draw_method_table({"a": [10.0]}, SPREAD).axes[1]
    to_axis = wide.xaxis.get_transform().transform
    low, middle, high = (float(to_axis(np.array([accuracy]))[0]) for accuracy in (92.0, 94.0, 95.5))
    assert middle - low == pytest.approx(math.log(8 / 6))
    assert high - middle == pytest.approx(math.log(6 / 4.5))
    assert "logarithm" in wide.get_xlabel()
    narrow = draw_method_table({"a": [91.0]}, [90.0, 92.0], metric="mean accuracy").axes[1]
    assert narrow.get_xscale() == "linear"
    assert narrow.get_xlabel() == "mean accuracy in %"


def test_an_accuracy_of_100_stays_on_the_axis() -> None:
    strips, _ = draw_method_table({"a": [100.0, 0.0]}, [100.0, 50.0, 0.0]).axes
    low, high = strips.get_xlim()
    assert low <= 0.0 + 1e-9
    assert high >= 100.0 - 0.01
    assert words(strips, "share") == ["33.33 %"]


@pytest.mark.parametrize("count", [1, 16])
def test_rows_of_a_method_table_do_not_overlap(count: int) -> None:
    rows = {f"method {place} with a name that goes on": [90.0, 10.0 + place] for place in range(count)}
    assert_texts_fit(draw_method_table(rows, SPREAD))
    assert_texts_fit(draw_method_table(rows, [90.0]))


def test_a_method_table_refuses() -> None:
    with pytest.raises(ValueError, match=r"rows\['a'\]: must lie in \[0, 100\], in per cent, got 110"):
        draw_method_table({"a": [110.0]}, SPREAD)
    with pytest.raises(ValueError, match=r"rows\['a'\]: 0.93 is its largest; these are fractions, needed are per cent"):
        draw_method_table({"a": [0.93, 0.1]}, SPREAD)
    with pytest.raises(ValueError, match=r"distribution: must lie in \[0, 100\], in per cent, got -0.5"):
        draw_method_table({"a": [50.0]}, [-0.5])
    with pytest.raises(ValueError, match="0 rows and 2000 architectures"):
        draw_method_table({}, SPREAD)
    with pytest.raises(ValueError, match="1 rows and 0 architectures"):
        draw_method_table({"a": [50.0]}, [math.nan])


def test_regret_is_median_and_quartiles_over_seeds() -> None:
    seeds = np.random.default_rng(0).uniform(1, 20, (9, 12))
    figure = draw_regret({"random search": seeds, "DARTS": seeds[0]}, against="epoch", metric="accuracy")
    (axes,) = figure.axes
    first, second = by_gid(axes, "median")
    np.testing.assert_allclose(first.get_ydata(), np.median(seeds, axis=0))
    np.testing.assert_allclose(second.get_ydata(), seeds[0])
    assert list(map(float, first.get_xdata())) == list(range(1, 13))
    corners = by_gid(axes, "band")[0].get_paths()[0].vertices
    np.testing.assert_allclose(corners[:, 1].max(), np.quantile(seeds, 0.75, axis=0).max())
    assert axes.get_yscale() == "log"
    assert axes.get_xlabel() == "epoch"
    assert axes.get_ylabel() == "regret in points of accuracy"


def test_seeds_may_end_early_and_a_regret_of_zero_stands_on_the_foot() -> None:
    figure = draw_regret({"a": [[40.0, 20.0, 10.0], [20.0]], "b": [10.0, 0.0, math.nan]})
    (axes,) = figure.axes
    first, second = by_gid(axes, "median")
    np.testing.assert_allclose(first.get_ydata(), [30.0, 20.0, 10.0])
    heights = np.asarray(second.get_ydata(), dtype=np.float64)
    assert heights[0] == pytest.approx(10.0)
    assert 0 < heights[1] < 10.0
    assert math.isnan(heights[2])
    (zero,) = by_gid(axes, "zero")
    assert zero.get_text() == "0"
    assert zero.xy[1] == heights[1]


def test_the_legend_of_regrets_goes_from_the_worst_to_the_best() -> None:
    figure = draw_regret({f"method {place}": [10.0 * place] for place in (2, 3, 1)})
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [f"method {p}, last {10 * p}" for p in (3, 2, 1)]
    many = draw_regret({f"$_{{ method {place} with a long name": [0.1, 0.0] for place in range(24)})
    assert_texts_fit(many)
    assert len({(line.get_color(), line.get_linestyle()) for line in by_gid(many.axes[0], "median")}) == 24


def test_a_single_regret_is_seen() -> None:
    figure = draw_regret({"a": [[0.1]]})
    (line,) = by_gid(figure.axes[0], "median")
    assert line.get_marker() == "o"
    assert_texts_fit(figure)


def test_regret_refuses() -> None:
    for curves, message in (
        ({}, "curves: are none"),
        ({"a": [[0.1, -0.25]]}, r"curves\['a'\]: a regret must be at least 0, got -0.25"),
        ({"a": []}, r"curves\['a'\]: has no finite regret"),
        ({"a": [[math.nan]]}, r"curves\['a'\]: has no finite regret"),
    ):
        with pytest.raises(ValueError, match=message):
            draw_regret(curves)


POINTS = [
    TradeOff("slow", 4.0, 90.0),
    TradeOff("beaten", 3.0, 60.0),
    TradeOff("fast", 1.0, 50.0),
    TradeOff("equal but slower", 2.0, 50.0),
    TradeOff("between", 2.0, 75.0),
    TradeOff("broken", math.nan, 90.0),
]


def test_the_front_has_what_no_other_network_beats() -> None:
    (axes,) = draw_tradeoff(POINTS, cost="latency in ms", metric="accuracy", target=2.5).axes
    (front,) = by_gid(axes, "front")
    assert list(map(float, front.get_xdata())) == [1.0, 2.0, 4.0]
    assert list(map(float, front.get_ydata())) == pytest.approx([50.0, 75.0, 90.0])
    (others,) = by_gid(axes, "others")
    assert sorted(map(float, others.get_xdata())) == [2.0, 3.0]
    assert sorted(words(axes, "name")) == ["beaten", "between", "equal but slower", "fast", "slow"]
    (line,) = by_gid(axes, "target")
    assert float(line.get_xdata()[0]) == 2.5
    assert words(axes, "target-name") == ["target 2.5"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("latency in ms", "accuracy in %")
    assert not by_gid(draw_tradeoff(POINTS, cost="latency in ms").axes[0], "target")


def test_the_front_is_that_of_brute_force() -> None:
    draw = np.random.default_rng(0)
    points = [TradeOff(str(place), *map(float, draw.integers(2, 9, 2))) for place in range(40)]
    beaten = [any(q.cost <= p.cost and q.accuracy >= p.accuracy and q[1:] != p[1:] for q in points) for p in points]
    expected = {(p.cost, p.accuracy) for p, lost in zip(points, beaten, strict=True) if not lost}
    (front,) = by_gid(draw_tradeoff(points, cost="c").axes[0], "front")
    assert set(zip(front.get_xdata(), front.get_ydata(), strict=True)) == expected


def test_costs_over_orders_of_magnitude_are_logarithmic() -> None:
    for cost, scale in ((100.0, "log"), (10.0, "linear")):
        (axes,) = draw_tradeoff([TradeOff("a", 1.0, 50.0), TradeOff("b", cost, 60.0)], cost="c").axes
        assert axes.get_xscale() == scale


@settings(max_examples=15, deadline=None, database=None)
@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 20)), min_size=1, max_size=12, unique=True))
def test_names_hide_neither_points_nor_each_other(places: list[tuple[int, int]]) -> None:
    points = [TradeOff(f"network {place}", float(c), 80.0 + a) for place, (c, a) in enumerate(places)]
    figure = draw_tradeoff(points, cost="$latency_{ in ms")
    figure.canvas.draw()
    (axes,) = figure.axes
    renderer = figure.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer).padded(-1.0) for text in by_gid(axes, "name")]
    frame = axes.get_window_extent(renderer)
    assert not any(first.overlaps(second) for first, second in combinations(boxes, 2))
    for box in boxes:
        assert frame.x0 < box.x0 < box.x1 < frame.x1
        assert frame.y0 < box.y0 < box.y1 < frame.y1
    spots = axes.transData.transform([(point.cost, point.accuracy) for point in points])
    assert not any(box.contains(x, y) for box in boxes for x, y in spots)
    (front,) = by_gid(axes, "front")
    assert len(boxes) >= len(front.get_xdata())


def test_a_trade_off_refuses_or_says_that_there_is_nothing() -> None:
    with pytest.raises(ValueError, match="points: are none"):
        draw_tradeoff([], cost="c")
    with pytest.raises(ValueError, match=r"points: 0.93 is its largest; these are fractions"):
        draw_tradeoff([TradeOff("a", 1.0, 0.93)], cost="c")
    (axes,) = draw_tradeoff([TradeOff("a", math.inf, 50.0), TradeOff("b", 1.0, math.nan)], cost="c").axes
    assert [text.get_text() for text in axes.texts] == ["nothing finite"]


def nasbench201(*operations: str) -> Genotype:
    """The cell with these operations on the edges 0→1, 0→2, 1→2, 0→3, 1→3, 2→3."""
    rest = iter(operations)
    nodes = tuple(tuple(Edge(next(rest), source) for source in range(target)) for target in (1, 2, 3))
    return Genotype(NASBENCH201, (Cell("cell", nodes, (3,), 1),))


CONV, SKIP, NONE, POOL = "nor_conv_3x3", "skip_connect", "none", "avg_pool_3x3"


def test_a_cell_of_nasbench201_is_drawn_with_all_its_edges() -> None:
    figure = draw_genotype(nasbench201(CONV, CONV, CONV, SKIP, CONV, POOL))
    (axes,) = figure.axes
    assert sorted(words(axes, "label")) == [POOL, CONV, CONV, CONV, CONV, SKIP]
    assert words(axes, "state") == ["input", "1", "2", "3", "output"]
    assert words(axes, "legend") == ["convolution", "pooling", "skip", "output"]
    assert len(by_gid(axes, "edge")) == 7
    figure.canvas.draw()
    boxes = [box.get_window_extent() for gid in ("label-box", "state-box", "legend") for box in by_gid(axes, gid)]
    assert not any(first.overlaps(second) for first, second in combinations(boxes, 2))


def test_edges_with_none_are_left_out_and_states_without_others_are_zero() -> None:
    genotype = nasbench201(NONE, POOL, CONV, NONE, SKIP, NONE)
    (axes,) = draw_genotype(genotype).axes
    assert sorted(words(axes, "label")) == [POOL, CONV, SKIP]
    assert words(axes, "state") == ["input", "1 = 0", "2", "3", "output"]
    (axes,) = draw_genotype(nasbench201(*[NONE] * 6)).axes
    assert words(axes, "label") == []
    assert words(axes, "state") == ["input", "1 = 0", "2 = 0", "3 = 0", "output"]
    (other,) = draw_cell(genotype.cells[0]).axes  # elsewhere `none` would be a mistake, and is shown
    assert words(other, "label").count(NONE) == 3


def test_the_page_of_nasbench201_says_what_its_states_are(tmp_path) -> None:
    genotype = nasbench201(CONV, NONE, CONV, SKIP, CONV, POOL)
    report = Report("t", [], [], [], genotype, configuration={}, environment={})
    write_report(tmp_path / "report.html", report)
    page = (tmp_path / "report.html").read_text()
    assert "The cell of the nasbench201 genotype" in page
    assert "State 0 is the input" in page
    assert "c<sub>" not in page
    assert "none(0)" in page
