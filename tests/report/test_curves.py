"""Curves: what is there is drawn, what is missing leaves a gap."""

import math

import numpy as np
import pytest
from matplotlib.axes import Axes

from archgrad.arch import LogitGroup
from archgrad.ops import DENSE_CANDIDATES
from archgrad.report import draw_comparison, draw_history, draw_mixture
from archgrad.spaces.trellis import Trellis

CANDIDATES = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)


def series(axes: Axes) -> dict[str, list[float]]:
    return {str(line.get_label()).split(",")[0]: list(map(float, line.get_ydata())) for line in axes.lines}


def mixtures(group: LogitGroup, epochs: int) -> list[np.ndarray]:
    weights = np.random.default_rng(0).random((epochs, *group.shape)) * group.mask
    return list(weights / weights.sum(axis=-1, keepdims=True))


def test_history_draws_what_is_there() -> None:
    history = [
        {"epoch": 1, "train_loss": 2.0, "validation_loss": None, "validation_accuracy": 0.25, "learning_rate": 0.1},
        {"epoch": 2, "train_loss": math.nan, "validation_loss": 1.5, "validation_accuracy": 0.5},
        {"epoch": 3, "train_loss": 1, "validation_loss": np.float32(1.25), "test_accuracy": 0.75},
    ]
    figure = draw_history(history)
    figure.canvas.draw()
    loss, accuracy = map(series, figure.axes)
    np.testing.assert_array_equal(loss["train"], [2.0, np.nan, 1.0])
    np.testing.assert_array_equal(loss["validation"], [np.nan, 1.5, 1.25])
    np.testing.assert_array_equal(accuracy["validation"], [25.0, 50.0, np.nan])
    np.testing.assert_array_equal(accuracy["test"], [np.nan, np.nan, 75.0])
    assert "train" not in accuracy
    assert list(figure.axes[0].lines[0].get_xdata()) == [1.0, 2.0, 3.0]


def test_history_of_one_epoch_shows_points() -> None:
    figure = draw_history([{"epoch": 7, "train_loss": 2.0, "train_accuracy": 0.5}])
    figure.canvas.draw()
    for axes in figure.axes:
        (line,) = axes.lines
        assert line.get_marker() == "o"
        low, high = axes.get_xlim()
        assert low < 7 < high


@pytest.mark.parametrize("history", [[], [{"epoch": 1}], [{"epoch": 1, "train_loss": math.inf, "test_accuracy": None}]])
def test_history_with_nothing_finite(history: list[dict[str, object]]) -> None:
    figure = draw_history(history)
    figure.canvas.draw()
    assert [text.get_text() for axes in figure.axes for text in axes.texts] == ["no finite loss", "no finite accuracy"]
    assert not any(axes.lines for axes in figure.axes)


def test_losses_over_orders_of_magnitude_are_logarithmic() -> None:
    assert draw_history([{"train_loss": 100.0}, {"train_loss": 0.1}]).axes[0].get_yscale() == "log"
    assert draw_history([{"train_loss": 2.0}, {"train_loss": 1.0}]).axes[0].get_yscale() == "linear"
    assert draw_history([{"train_loss": 100.0}, {"train_loss": -0.1}]).axes[0].get_yscale() == "linear"


def test_perplexity_is_the_exponential_of_the_loss_where_the_records_have_none() -> None:
    history = [
        {"epoch": 1, "train_loss": math.log(500.0), "validation_loss": 1e6},
        {"epoch": 2, "train_loss": math.log(100.0), "validation_loss": 1.0, "validation_perplexity": 150.0},
        {"epoch": 3, "validation_loss": None},
    ]
    figure = draw_history(history, ("loss", "perplexity"))
    figure.canvas.draw()
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["loss", "perplexity"]
    perplexity = series(figure.axes[1])
    np.testing.assert_allclose(perplexity["train"], [500.0, 100.0, np.nan])
    np.testing.assert_allclose(perplexity["validation"], [np.inf, 150.0, np.nan])
    assert [line.get_label() for line in figure.axes[1].lines] == ["train, last 100.0", "validation, last 150.0"]


def test_perplexities_are_logarithmic_beyond_a_factor_of_ten() -> None:
    for last, scale in ((40.0, "log"), (60.0, "linear")):
        figure = draw_history([{"train_perplexity": 500.0}, {"train_perplexity": last}], ["perplexity"])
        figure.canvas.draw()
        (axes,) = figure.axes
        assert axes.get_yscale() == scale
        low, high = axes.get_ylim()
        shown = [tick.label1.get_text() for tick in axes.yaxis.get_major_ticks() if low <= tick.get_loc() <= high]
        assert len(shown) >= 3
        assert all(text.isdigit() for text in shown)


@pytest.mark.parametrize("quantities", [("loss",), ("perplexity", "loss", "accuracy")])
def test_history_has_a_panel_for_each_quantity(quantities: tuple[str, ...]) -> None:
    figure = draw_history([{"train_loss": 1.0, "train_accuracy": 0.5}], quantities)
    figure.canvas.draw()
    assert [axes.get_title(loc="left").split()[0] for axes in figure.axes] == list(quantities)
    extents = [axes.get_tightbbox() for axes in figure.axes]
    assert not any(first.overlaps(second) for place, first in enumerate(extents) for second in extents[place + 1 :])


def test_mean_iou_is_drawn_in_percent() -> None:
    history = [{"train_loss": 2.0, "test_iou": 0.25}, {"train_loss": 1.0, "test_iou": None, "validation_iou": 0.5}]
    figure = draw_history(history, ("loss", "accuracy", "iou"))
    figure.canvas.draw()
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["loss", "accuracy in %", "mean IoU in %"]
    np.testing.assert_array_equal(series(figure.axes[2])["test"], [25.0, np.nan])
    assert [line.get_label() for line in figure.axes[2].lines] == ["validation, last 50.0 %", "test, last 25.0 %"]
    (axes,) = draw_history([], ["iou"]).axes
    assert [text.get_text() for text in axes.texts] == ["no finite mean IoU"]


def test_history_refuses_other_quantities() -> None:
    with pytest.raises(ValueError, match=r"quantities: 'perplexty' is unknown; did you mean 'perplexity'"):
        draw_history([], ["perplexty"])
    with pytest.raises(ValueError, match=r"quantities: \[\] are none; allowed: loss, accuracy, perplexity"):
        draw_history([], [])


@pytest.mark.parametrize(
    ("inputs", "nodes", "candidates", "epochs"), [(2, 4, 8, 50), (2, 1, 5, 1), (1, 5, 5, 20), (2, 1, 1, 2)]
)
def test_mixture_has_a_panel_per_edge_and_a_line_per_candidate(
    inputs: int, nodes: int, candidates: int, epochs: int
) -> None:
    group = LogitGroup.dense("cell", inputs=inputs, nodes=nodes, candidates=CANDIDATES[:candidates])
    figure = draw_mixture(mixtures(group, epochs), group)
    figure.canvas.draw()
    assert [axes.get_title() for axes in figure.axes] == [f"{source}→{target}" for source, target in group.edges]
    assert all(len(axes.lines) == candidates for axes in figure.axes)
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(group.candidates)


ACTIVATIONS = ("none", "tanh", "relu", "sigmoid", "identity")


@pytest.mark.parametrize("epochs", [3, 50])
@pytest.mark.parametrize(
    ("inputs", "nodes", "candidates"),
    [
        (2, 1, CANDIDATES),
        (2, 2, CANDIDATES),
        (2, 4, CANDIDATES),
        (2, 5, DENSE_CANDIDATES),
        (1, 8, ACTIVATIONS),
        pytest.param(1, 11, ACTIVATIONS, marks=pytest.mark.slow),
    ],
)
def test_panels_and_legend_do_not_overlap(inputs: int, nodes: int, candidates: tuple[str, ...], epochs: int) -> None:
    group = LogitGroup.dense("cell", inputs=inputs, nodes=nodes, candidates=candidates)
    figure = draw_mixture(mixtures(group, epochs), group)
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    extents = [axes.get_tightbbox(renderer).padded(-1.0) for axes in figure.axes]
    extents.append(figure.legends[0].get_window_extent(renderer))
    assert not any(first.overlaps(second) for place, first in enumerate(extents) for second in extents[place + 1 :])
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in extents)
    assert all(figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1 for box in extents)


def test_panels_of_a_recurrent_cell_are_a_triangle_on_a_page() -> None:
    group = LogitGroup.dense("edges", inputs=1, nodes=8, candidates=ACTIVATIONS)
    figure = draw_mixture(mixtures(group, 3), group)
    width, height = figure.get_size_inches()
    assert width <= 10.25  # the page of the report
    assert height <= 12
    boxes = {group.edges[edge]: axes.get_position() for edge, axes in enumerate(figure.axes)}
    for (source, target), box in boxes.items():
        assert box.width * width >= 1.0
        assert box.height * height >= 0.8
        assert box.x0 == pytest.approx(boxes[source, 8].x0)  # a column for each source
        assert box.y0 == pytest.approx(boxes[0, target].y0)  # a row for each target
    assert boxes[0, 1].y0 > boxes[0, 8].y0
    assert boxes[0, 8].x0 < boxes[7, 8].x0


@pytest.mark.parametrize(("layers", "levels", "epochs"), [(12, 4, 40), (4, 2, 3), (4, 5, 1)])
def test_panels_of_a_trellis_stand_by_layer_and_stride(layers: int, levels: int, epochs: int) -> None:
    group = Trellis(layers, levels).group
    figure = draw_mixture(mixtures(group, epochs), group)
    figure.canvas.draw()
    width, _ = figure.get_size_inches()
    assert width <= 10.25  # the page of the report
    boxes = {group.edges[row]: axes.get_position() for row, axes in enumerate(figure.axes)}
    for (layer, level), axes in zip(group.edges, figure.axes, strict=True):
        assert axes.get_label() == f"{f'layer {layer}' if layer else 'stem'}, stride {4 * 2**level}"
        assert boxes[layer, level].x0 == pytest.approx(boxes[layer, 0].x0)
        assert boxes[layer, level].y0 == pytest.approx(boxes[layers - 1, level].y0)
        assert [line.get_label() for line in axes.lines] == list(group.choices[group.edges.index((layer, level))])
        assert axes.get_title() == (("stem" if layer == 0 else f"layer {layer}") if level == 0 else "")
        assert axes.get_ylabel() == (f"stride {4 * 2**level}" if level == layer else "")
    assert boxes[1, 1].y1 < boxes[1, 0].y0
    renderer = figure.canvas.get_renderer()
    extents = [axes.get_tightbbox(renderer).padded(-1.0) for axes in figure.axes]
    extents.append(figure.legends[0].get_window_extent(renderer))
    assert not any(first.overlaps(second) for place, first in enumerate(extents) for second in extents[place + 1 :])
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in extents)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["halve the stride", "keep the stride", "double the stride"]


def test_masked_candidates_are_not_drawn() -> None:
    group = LogitGroup.dense(
        "cell", inputs=2, nodes=1, candidates=CANDIDATES[:4], choices={(0, 2): CANDIDATES[1:3], (1, 2): CANDIDATES[1:2]}
    )
    figure = draw_mixture(mixtures(group, 4), group)
    assert [[line.get_label() for line in axes.lines] for axes in figure.axes] == [
        ["max_pool_3x3", "avg_pool_3x3"],
        ["max_pool_3x3"],
    ]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["max_pool_3x3", "avg_pool_3x3"]


def test_lines_are_told_apart() -> None:
    group = LogitGroup.dense("cell", inputs=1, nodes=1, candidates=[f"operation_{place}" for place in range(20)])
    (axes,) = draw_mixture(mixtures(group, 2), group).axes
    assert len({(line.get_color(), line.get_linestyle()) for line in axes.lines}) == 20


def test_mixture_that_is_not_finite() -> None:
    group = LogitGroup.dense("cell", inputs=2, nodes=1, candidates=CANDIDATES[:3])
    figure = draw_mixture([np.full(group.shape, np.nan)], group)
    figure.canvas.draw()
    assert figure.axes[0].get_ylim() == (0.0, 1.0)


def test_mixture_refuses_other_shapes() -> None:
    group = LogitGroup.dense("cell", inputs=2, nodes=1, candidates=CANDIDATES[:3])
    with pytest.raises(ValueError, match=r"shape \(3, 2\) is not that of group 'cell', \(2, 3\)"):
        draw_mixture([np.zeros((3, 2))], group)
    with pytest.raises(ValueError, match="mixtures: 0 epochs of 2 edges"):
        draw_mixture([], group)


def test_comparison_shows_dots_mean_and_deviation() -> None:
    figure = draw_comparison(0.975, [0.96, 0.97, math.nan], metric="test accuracy")
    figure.canvas.draw()
    (axes,) = figure.axes
    points = {line.get_gid(): list(map(float, line.get_xdata())) for line in axes.lines if line.get_gid()}
    assert points["found"] == pytest.approx([97.5])
    assert points["random"] == pytest.approx([96.0, 97.0])
    assert [text.get_text() for text in axes.texts] == ["97.50 %", "96.50 ± 0.71 %"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["found", "random (2)"]
    assert axes.get_xlabel() == "test accuracy in %"


def test_comparison_of_mean_iou_is_in_percent() -> None:
    (axes,) = draw_comparison(0.5, [], metric="test mean IoU").axes
    assert [text.get_text() for text in axes.texts] == ["50.00 %"]
    assert axes.get_xlabel() == "test mean IoU in %"


def test_comparison_of_other_metrics_keeps_their_unit() -> None:
    figure = draw_comparison(61.5, [63.25], metric="perplexity")
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["61.50", "63.25"]
    assert axes.get_xlabel() == "perplexity"
    (axes,) = draw_comparison(4.125, [], metric="loss").axes
    assert [text.get_text() for text in axes.texts] == ["4.1250"]


def test_comparison_has_a_row_for_each_further_network() -> None:
    others = {"LSTM": 99.25, "a $_{hostile} name that is longer than the others": math.nan, "third": 130.0}
    figure = draw_comparison(101.5, [110.0, 104.0], metric="test perplexity", others=others)
    figure.canvas.draw()
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["found", "random (2)", *others]
    assert [float(line.get_xdata()[0]) for line in axes.lines if line.get_gid() == "other"] == [99.25, 130.0]
    words = [text.get_text() for text in axes.texts]
    assert words == ["101.50", "99.25", "not finite", "130.00", "107.00 ± 4.24"]
    renderer = figure.canvas.get_renderer()
    extents = [text.get_window_extent(renderer) for text in (*axes.texts, *axes.get_yticklabels())]
    assert not any(first.overlaps(second) for place, first in enumerate(extents) for second in extents[place + 1 :])
    for box in extents:
        assert figure.bbox.x0 < box.x0 < box.x1 < figure.bbox.x1
        assert figure.bbox.y0 < box.y0 < box.y1 < figure.bbox.y1
    heights = [float(line.get_ydata()[0]) for line in axes.lines if line.get_gid() in ("found", "other")]
    assert heights == sorted(heights, reverse=True)


def test_comparison_of_others_alone_keeps_its_ticks() -> None:
    figure = draw_comparison(math.nan, [], metric="test perplexity", others={"LSTM": 99.25})
    assert len(figure.axes[0].get_xticks())


def test_comparison_with_nothing_finite() -> None:
    figure = draw_comparison(math.nan, [], metric="test accuracy")
    figure.canvas.draw()
    assert [text.get_text() for text in figure.axes[0].texts] == ["not finite"]
