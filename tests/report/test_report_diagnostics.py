"""Diagnostics of a search: what is there is drawn, nothing overlaps, and every search's report has them."""

import math
from itertools import combinations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from archgrad.arch import LogitGroup
from archgrad.genotype import DARTS_V2, DARTS_V2_RECURRENT, NASBENCH201, Cell, Edge, Genotype
from archgrad.ops import DARTS_CANDIDATES
from archgrad.report import draw_diagnostics, explain_diagnostics
from archgrad.report.diagnostics import LESSONS
from archgrad.runs import RunFolder, write_json
from archgrad.spaces.trellis import Trellis
from archgrad.summary import last_metrics, report_search, search_curves

NORMAL, REDUCE = (
    LogitGroup.dense(name, inputs=2, nodes=4, candidates=DARTS_CANDIDATES) for name in ("normal", "reduce")
)
CELLS = (NORMAL, REDUCE)
PARTIAL = (*CELLS, NORMAL.node_weights(), REDUCE.node_weights())
RECURRENT = (LogitGroup.dense("edges", inputs=1, nodes=8, candidates=("none", "tanh", "relu", "identity")),)
TRELLIS = (LogitGroup.dense("cell", inputs=2, nodes=5, candidates=DARTS_CANDIDATES), Trellis(12, 4).group)
SMALL = tuple(LogitGroup.dense(name, inputs=2, nodes=2, candidates=DARTS_CANDIDATES) for name in ("normal", "reduce"))
NASBENCH = (
    LogitGroup.dense(
        "cell",
        inputs=1,
        nodes=3,
        candidates=("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"),
        keeps_none=True,
    ),
)
LONG = (
    LogitGroup.dense("a name $_{ that is far too long for a panel", inputs=2, nodes=1, candidates=DARTS_CANDIDATES),
)


def history_of(groups: tuple[LogitGroup, ...], epochs: int) -> list[dict]:
    """All diagnostics of a search whose edges decide."""
    draw = np.random.default_rng(0)
    records = []
    for epoch in range(epochs):
        share = epoch / max(epochs - 1, 1)
        entropy = {
            group.name: [math.log(len(names)) * (1 - share * float(draw.random())) for names in group.choices]
            for group in groups
        }
        mixture = {group.name: (group.mask / group.mask.sum(axis=1, keepdims=True)).tolist() for group in groups}
        records.append(
            {
                "epoch": epoch + 1,
                "train_loss": 2.0,
                "validation_accuracy": 0.5,
                "mixture": mixture,
                "entropy": entropy,
                "skips": {group.name: int(5 * share) for group in groups[:2]},
                "hypergradient_cosine": 0.5 - share,
                "eigenvalue": 0.01 * math.exp(4 * share),
                "gap_loss": 3.0 - share,
                "gap_accuracy": -0.5 * share,
            }
        )
    return records


def panel(figure: Figure, title: str) -> Axes:
    (axes,) = [axes for axes in figure.axes if axes.get_title(loc="left").startswith(title)]
    return axes


def titles(figure: Figure) -> list[str]:
    return [axes.get_title(loc="left").split()[0] for axes in figure.axes]


def labels(axes: Axes) -> list[str]:
    legend = axes.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def values(axes: Axes, place: int = 0) -> np.ndarray:
    lines = [line for line in axes.lines if line.get_gid() not in ("edge", "level", "stopped")]
    return np.asarray(lines[place].get_ydata(), dtype=np.float64)


def test_every_diagnostic_has_a_panel() -> None:
    history = history_of(CELLS, 50)
    figure = draw_diagnostics(history, CELLS)
    assert titles(figure) == ["entropy", "skip", "cosine", "dominant", "gap", "gap"]
    entropy = panel(figure, "entropy")
    expected = np.array([[record["entropy"][group.name] for group in CELLS] for record in history])
    for place in range(2):
        np.testing.assert_allclose(values(entropy, place), expected[:, place].mean(axis=1))
    thin = [line for line in entropy.lines if line.get_gid() == "edge"]
    assert len(thin) == 28
    np.testing.assert_allclose(thin[15].get_ydata(), expected[:, 1, 1])
    assert thin[0].get_color() != thin[15].get_color()
    assert labels(entropy)[-1] == "ln 8"
    (level,) = [line for line in entropy.lines if line.get_gid() == "level"]
    assert list(map(float, level.get_ydata())) == pytest.approx([math.log(8)] * 2)
    assert labels(panel(figure, "skip")) == ["normal 5", "reduce 5"]
    np.testing.assert_allclose(values(panel(figure, "cosine")), [record["hypergradient_cosine"] for record in history])
    np.testing.assert_allclose(values(panel(figure, "gap of accuracy"))[-1], -50.0)
    assert labels(panel(figure, "gap of accuracy")) == ["last −50.0"]
    np.testing.assert_allclose(values(panel(figure, "gap of loss"))[-1], 2.0)


def test_eigenvalues_are_logarithmic_if_they_are_wide() -> None:
    for eigenvalues, scale in (([0.1, 2.0], "log"), ([0.1, 0.9], "linear"), ([-0.1, 2.0], "linear")):
        figure = draw_diagnostics([{"eigenvalue": value} for value in eigenvalues], CELLS)
        assert figure.axes[0].get_yscale() == scale
    assert labels(draw_diagnostics([{"eigenvalue": 1.25e-5}], CELLS).axes[0]) == ["last 1.25e−05"]


@pytest.mark.parametrize("key", ["entropy", "skips", "hypergradient_cosine", "eigenvalue", "gap_loss", "gap_accuracy"])
def test_panels_without_data_are_left_out(key: str) -> None:
    history = history_of(CELLS, 3)
    figure = draw_diagnostics([{name: value for name, value in r.items() if name != key} for r in history], CELLS)
    assert len(figure.axes) == 5
    alone = [{key: record[key]} for record in history]
    assert len(draw_diagnostics(alone, CELLS).axes) == 1
    assert explain_diagnostics(alone, CELLS).removeprefix(f"{LESSONS['all']} ") in LESSONS.values()
    empty = {"entropy": {"normal": [None] * 14}, "skips": {}}.get(key, math.nan)
    assert explain_diagnostics([{key: empty}, {key: None}, {}], CELLS) == ""


def test_missing_values_are_gaps_and_lonely_ones_are_marked() -> None:
    history = history_of(CELLS, 20)
    for place, record in enumerate(history):
        if place % 5:
            record["eigenvalue"] = None
        if place == 3:
            del record["hypergradient_cosine"], record["skips"]
            record["entropy"] = {"normal": record["entropy"]["normal"]}
            record["gap_loss"] = math.inf
    figure = draw_diagnostics(history, CELLS)
    figure.canvas.draw()
    eigenvalue = panel(figure, "dominant")
    assert np.flatnonzero(np.isfinite(values(eigenvalue))).tolist() == [0, 5, 10, 15]
    assert eigenvalue.lines[0].get_markevery() == [0, 5, 10, 15]
    for title in ("cosine", "skip", "gap of loss"):
        assert np.flatnonzero(np.isnan(values(panel(figure, title)))).tolist() == [3]
    entropy = panel(figure, "entropy")
    assert [np.isnan(values(entropy, place)).sum() for place in range(2)] == [0, 1]


def test_edges_without_a_choice_and_cells_without_skips_are_left_out() -> None:
    edges = NASBENCH[0].node_weights()  # node 1 reads nothing but the input
    figure = draw_diagnostics([{"entropy": {edges.name: [0.0, 0.5, 1.0]}}], [edges])
    assert values(figure.axes[0]).tolist() == [0.75]
    assert labels(figure.axes[0]) == ["cell 0.75", "ln 2, ln 3"]
    history = [{"skips": {"recurrent": 0}, "hypergradient_cosine": 0.5}]
    assert titles(draw_diagnostics(history, RECURRENT)) == ["cosine"]


def test_edge_weights_and_moves_have_panels_of_their_own() -> None:
    figure = draw_diagnostics(history_of(PARTIAL, 4), PARTIAL)
    assert labels(panel(figure, "entropy of edge weights"))[-1] == "ln 2 … ln 5"
    assert [name.split()[0] for name in labels(panel(figure, "entropy of edge weights"))] == ["normal", "reduce", "ln"]
    figure = draw_diagnostics(history_of(TRELLIS, 4), TRELLIS)
    assert labels(panel(figure, "entropy of moves"))[-1] == "ln 2, ln 3"
    explained = explain_diagnostics(history_of(TRELLIS, 4), TRELLIS)
    assert LESSONS["moves"] in explained
    assert LESSONS["edges"] not in explained


def test_the_epoch_that_the_architecture_is_from_is_marked() -> None:
    history = history_of(CELLS, 30)
    figure = draw_diagnostics(history, CELLS, stopped_at=13)
    for axes in figure.axes:
        (line,) = [line for line in axes.lines if line.get_gid() == "stopped"]
        assert list(map(float, line.get_xdata())) == [13.0, 13.0]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["the architecture is that of epoch 13"]
    assert not draw_diagnostics(history, CELLS).legends
    assert explain_diagnostics(history, CELLS, stopped_at=13).endswith(LESSONS["stopped"])
    with pytest.raises(ValueError, match=r"stopped_at: must be an epoch of 1 to 30, got 31"):
        draw_diagnostics(history, CELLS, stopped_at=31)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="history: has no diagnostics to draw"):
        draw_diagnostics([{"train_loss": 1.0}], CELLS)
    with pytest.raises(ValueError, match=r"history: 'entropy' of group 'normal' has 2 values for 14 edges"):
        draw_diagnostics([{"entropy": {"normal": [0.5, 0.5]}}], CELLS)


@pytest.mark.parametrize(
    ("groups", "epochs"),
    [(CELLS, 1), (CELLS, 50), (PARTIAL, 4), (RECURRENT, 3), (TRELLIS, 20), (NASBENCH, 300), (LONG, 2)],
)
def test_nothing_overlaps_or_is_cut(groups: tuple[LogitGroup, ...], epochs: int) -> None:
    figure = draw_diagnostics(history_of(groups, epochs), groups, stopped_at=1)
    figure.canvas.draw()
    assert figure.get_size_inches()[0] <= 10.25  # the page of the report
    renderer = figure.canvas.get_renderer()
    boxes = [axes.get_tightbbox(renderer).padded(-1.0) for axes in figure.axes]
    boxes.append(figure.legends[0].get_window_extent(renderer))
    assert not any(first.overlaps(second) for first, second in combinations(boxes, 2))
    for box in boxes:
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1
    for axes in figure.axes:
        legend = axes.get_legend()
        assert legend is not None
        box, plot = legend.get_window_extent(renderer), axes.get_window_extent(renderer)
        assert box.y0 >= plot.y1 - 1.0
        (title,) = [
            text
            for text in axes.get_children()
            if isinstance(text, Text) and text.get_text() == axes.get_title(loc="left")
        ]
        assert title.get_window_extent(renderer).y0 >= box.y1 - 1.0


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    write_json(folder.configuration_path, {"seed": 0})
    write_json(folder.path / "environment.json", {})
    return folder


@pytest.mark.parametrize(("groups", "genotype"), [(NASBENCH, DARTS_V2_RECURRENT), (SMALL, DARTS_V2)])
def test_the_report_of_a_search_explains_its_diagnostics(folder, groups, genotype: Genotype) -> None:
    history = history_of(groups, 3)
    report_search(folder, groups, history, genotype=genotype, stopped_at=1)
    page = (folder.path / "report.html").read_text()
    assert page.index("<h2>Curves</h2>") < page.index("<h2>Diagnostics</h2>") < page.index("<h2>Settings</h2>")
    assert page.count(LESSONS["cosine"]) == 1
    assert 'alt="Diagnostics of the search over its epochs"' in page
    assert LESSONS["stopped"] in page
    assert (folder.path / "pictures" / "diagnostics.png").exists()
    assert "gap loss" not in page


def test_a_gap_is_no_key_number_of_an_epoch() -> None:
    assert last_metrics({"train_loss": 1.5, "gap_loss": 2.0, "gap_accuracy": -0.5}, ("loss",)) == [
        ("train loss", "1.5")
    ]


def test_the_curves_of_partial_channels_name_their_edge_weights() -> None:
    groups = (*SMALL, *(group.node_weights() for group in SMALL))
    shown = search_curves(groups, history_of(groups, 2), genotype=DARTS_V2)
    captions = {name: picture.caption for name, picture in shown.items() if name.startswith("mixture")}
    assert captions == {
        "mixture_normal": "Mixture weights of the normal cell, by edge",
        "mixture_reduce": "Mixture weights of the reduce cell, by edge",
        "mixture_normal_edges": "Weights of the edges of the normal cell, by node",
        "mixture_reduce_edges": "Weights of the edges of the reduce cell, by node",
    }
    figure = shown["mixture_normal_edges"].figure
    assert [axes.get_title() for axes in figure.axes] == ["into 2", "into 3"]
    assert [len(axes.lines) for axes in figure.axes] == [2, 3]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["from 0", "from 1", "from 2"]
    assert len({round(axes.get_position().y0, 6) for axes in figure.axes}) == 1


def test_the_curves_of_nasbench201_have_a_panel_for_each_edge() -> None:
    genotype = Genotype(NASBENCH201, (Cell("cell", ((Edge("none", 0),), (Edge("skip_connect", 0),)), (2,), 1),))
    picture = search_curves(NASBENCH, history_of(NASBENCH, 2), genotype=genotype)["mixture_cell"]
    assert picture.caption == "Mixture weights of the cell, by edge"
    assert [axes.get_title() for axes in picture.figure.axes] == ["0→1", "0→2", "1→2", "0→3", "1→3", "2→3"]
    assert all(len(axes.lines) == 5 for axes in picture.figure.axes)
