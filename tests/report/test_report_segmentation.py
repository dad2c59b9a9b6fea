"""Pictures of dense prediction: what is shown is what was given, and the legends say what it means."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from torch import Tensor

from archgrad.report import draw_class_iou, draw_predictions, fallback_palette

CLASSES = ("sky", "road", "car $_{hostile}", "never")
PALETTE = ((128, 128, 128), (128, 64, 128), (64, 0, 128), (1, 2, 250))
IGNORE = 255


def example(channels: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Two images of 4×6: sky over road, one ignored row; the prediction errs in one pixel of the second."""
    images = torch.arange(2 * channels * 24, dtype=torch.uint8).view(2, channels, 4, 6)
    truths = torch.zeros(2, 4, 6, dtype=torch.uint8)
    truths[:, 2], truths[:, 3] = 1, IGNORE
    predictions = truths.long()
    predictions[:, 3] = 0
    predictions[1, 0, 0] = 2
    return images, truths, predictions


def draw(**changes: object) -> Figure:
    images, truths, predictions = example()
    contents = {"images": images, "truths": truths, "predictions": predictions}
    options = {"classes": CLASSES, "palette": PALETTE, "ignore": IGNORE} | changes
    for name in contents:
        contents[name] = options.pop(name, contents[name])
    figure = draw_predictions(*contents.values(), **options)
    figure.canvas.draw()
    return figure


def shown(figure: Figure) -> list[list[np.ndarray]]:
    """The pictures by row."""
    columns = len([text for text in figure.texts if text.get_gid() == "column"])
    pictures = [np.asarray(axes.images[0].get_array()) for axes in figure.axes]
    return [pictures[start : start + columns] for start in range(0, len(pictures), columns)]


def legend(figure: Figure) -> dict[str, tuple[int, ...]]:
    (box,) = figure.legends
    colours = [tuple(round(255 * part) for part in to_rgb(patch.get_facecolor())) for patch in box.get_patches()]
    return dict(zip([text.get_text() for text in box.get_texts()], colours, strict=True))


def assert_apart(figure: Figure) -> None:
    renderer = figure.canvas.get_renderer()
    texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    boxes = [text.get_window_extent(renderer) for text in texts]
    assert not any(first.overlaps(second) for first, second in combinations(boxes, 2))
    for box in boxes:
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1


def test_rows_are_image_prediction_and_truth() -> None:
    images, truths, predictions = example()
    figure = draw()
    assert [text.get_text() for text in figure.texts] == ["image", "prediction", "truth"]
    for row, (image, prediction, truth) in enumerate(shown(figure)):
        np.testing.assert_array_equal(image, images[row].permute(1, 2, 0))
        colours = np.array([*PALETTE, (0, 0, 0)])
        np.testing.assert_array_equal(prediction, colours[predictions[row]])
        np.testing.assert_array_equal(truth, colours[np.where(truths[row] == IGNORE, 4, truths[row])])
    boxes = [axes.get_position() for axes in figure.axes]
    assert boxes[0].x0 < boxes[1].x0 < boxes[2].x0
    assert boxes[0].y0 == boxes[2].y0 > boxes[3].y0
    assert_apart(figure)


def test_images_of_one_channel_are_grey() -> None:
    images, truths, predictions = example(1)
    picture = shown(draw(images=images, truths=truths, predictions=predictions))[0][0]
    np.testing.assert_array_equal(picture, images[0, 0].unsqueeze(-1).expand(-1, -1, 3))


def test_pictures_keep_their_shape() -> None:
    for height, width in ((4, 16), (16, 4), (8, 8)):
        labels = torch.zeros(1, height, width, dtype=torch.int64)
        images = torch.zeros(1, 3, height, width, dtype=torch.uint8)
        figure = draw(images=images, truths=labels, predictions=labels)
        size = figure.axes[0].get_window_extent().size
        assert size[0] / size[1] == pytest.approx(width / height)
        assert figure.get_size_inches()[0] <= 10.21  # the page of the report


def test_narrow_images_leave_room_for_long_names() -> None:
    labels = torch.arange(16).view(1, 16, 1) % 2
    names = ["a class whose name is much longer than its image is wide", "another"]
    images = torch.zeros(1, 3, 16, 1, dtype=torch.uint8)
    assert_apart(draw(images=images, truths=labels, predictions=labels, classes=names, palette=(), errors=True))


def test_legend_lists_the_classes_that_occur_and_what_black_means() -> None:
    assert legend(draw()) == dict(zip([*CLASSES[:3], "no class, ignored"], [*PALETTE[:3], (0, 0, 0)], strict=True))
    _, truths, predictions = example()
    assert list(legend(draw(truths=predictions))) == ["sky", "road", CLASSES[2]]
    assert list(legend(draw(truths=truths.clamp(max=1), predictions=truths.clamp(max=1)))) == ["sky", "road"]


def test_pixels_without_a_class_are_white_where_a_class_is_black() -> None:
    palette = ((0, 0, 0), *PALETTE[1:])
    figure = draw(palette=palette)
    assert legend(figure)["no class, ignored"] == (255, 255, 255)
    assert (shown(figure)[0][2][3] == 255).all()
    assert (shown(figure)[0][2][0] == 0).all()


def test_a_data_set_without_palette_gets_one() -> None:
    assert list(legend(draw(palette=())).values())[:3] == list(fallback_palette(3))


def test_ignored_label_may_be_the_last_class_number() -> None:
    _, truths, predictions = example()
    figure = draw(truths=torch.where(truths == IGNORE, 4, truths), predictions=predictions, ignore=4)
    assert list(legend(figure)) == [*CLASSES[:3], "no class, ignored"]


def test_wrong_pixels_have_a_column_of_their_own() -> None:
    figure = draw(errors=True)
    assert [text.get_text() for text in figure.texts if text.get_gid() == "column"][-1] == "wrong pixels"
    (*_, first), (*_, second) = shown(figure)
    wrong = np.zeros((4, 6), dtype=bool)
    assert not (first == (213, 94, 0)).all(axis=-1).any()  # what is ignored is not wrong
    wrong[0, 0] = True
    np.testing.assert_array_equal((second == (213, 94, 0)).all(axis=-1), wrong)
    notes = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert notes == ["100.0 % right", "94.4 % right"]
    assert_apart(figure)


def test_rows_have_names() -> None:
    figure = draw(names=["one.png", "a $_{hostile} name"], errors=True)
    notes = [text.get_text() for axes in figure.axes for text in axes.texts if text.get_gid() == "name"]
    assert notes == ["one.png", "a $_{hostile} name"]
    assert_apart(figure)


def test_an_image_of_ignored_pixels_has_no_share() -> None:
    _, truths, _ = example()
    figure = draw(truths=torch.full_like(truths, IGNORE), errors=True)
    assert not [text for axes in figure.axes for text in axes.texts]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"images": torch.zeros(2, 2, 4, 6, dtype=torch.uint8)},
            r"images: .* 1 or 3 channels, got shape \(2, 2, 4, 6\)",
        ),
        ({"images": torch.zeros(0, 3, 4, 6, dtype=torch.uint8)}, r"images: .* got shape \(0, 3, 4, 6\)"),
        ({"truths": torch.zeros(2, 6, 4, dtype=torch.uint8)}, r"truths: must have the shape \(2, 4, 6\) of the images"),
        ({"predictions": torch.zeros(1, 4, 6, dtype=torch.int64)}, r"predictions: must have the shape \(2, 4, 6\)"),
        ({"predictions": torch.full((2, 4, 6), -1)}, "predictions: has label -1; allowed is 0 to 3, and 255 for none"),
        ({"truths": torch.full((2, 4, 6), 4)}, "truths: has label 4; allowed is 0 to 3"),
        ({"palette": PALETTE[:2]}, "palette: 2 colours for 4 classes"),
        ({"names": ["one"]}, "names: 1 names for 2 images"),
    ],
)
def test_predictions_refuse_what_does_not_fit(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw(**changes)


@pytest.mark.parametrize("count", [1, 7, 19, 150])
def test_fallback_palette_has_distinct_colours(count: int) -> None:
    colours = fallback_palette(count)
    assert len(colours) == len(set(colours)) == count
    assert all(0 <= part <= 255 and isinstance(part, int) for colour in colours for part in colour)
    assert all(max(colour) > 40 and min(colour) < 240 for colour in colours)
    assert colours == fallback_palette(count + 1)[:-1]


def test_fallback_palette_of_nothing() -> None:
    with pytest.raises(ValueError, match="count: must be at least 1, got 0"):
        fallback_palette(0)


def values(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts if text.get_gid() == "value"]


def entries(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize("kind", [np.array, torch.tensor])
def test_bars_are_intersections_over_unions_in_percent(kind) -> None:
    figure = draw_class_iou(kind([0.5, 0.25, math.nan, 0.0]), CLASSES)
    figure.canvas.draw()
    (axes,) = figure.axes
    bars = {round(bar.get_y() + bar.get_height() / 2): bar.get_width() for bar in axes.patches}
    assert bars == {0: 50.0, 1: 25.0, 3: 0.0}
    assert values(axes) == ["50.0", "25.0", "absent", "0.0"]
    assert [label.get_text() for label in axes.get_yticklabels()] == list(CLASSES)
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first class is on top
    assert entries(figure) == ["mean IoU 25.0 %"]
    (mean,) = [line for line in axes.lines if line.get_gid() == "mean"]
    assert list(mean.get_xdata()) == [25.0, 25.0]
    assert_apart(figure)


def test_other_networks_are_markers_beside_the_bars() -> None:
    others = {"a $_{hostile} name": torch.tensor([0.1, 0.2, 0.3, math.nan]), "second": torch.tensor([1.0] * 4)}
    figure = draw_class_iou(torch.tensor([0.5, 0.25, 0.75, 0.5]), CLASSES, others=others)
    figure.canvas.draw()
    (axes,) = figure.axes
    first, second = (line for line in axes.lines if line.get_gid() == "other")
    np.testing.assert_allclose(first.get_xdata(), [10.0, 20.0, 30.0, np.nan])
    np.testing.assert_allclose(second.get_xdata(), 100.0)
    for line in (first, second):
        assert np.abs(line.get_ydata() - np.arange(4)).max() < 0.33  # within the bars
    assert (first.get_marker(), first.get_color()) != (second.get_marker(), second.get_color())
    names = ["this network, mean IoU 50.0 %", "a $_{hostile} name, mean IoU 20.0 %", "second, mean IoU 100.0 %"]
    assert entries(figure) == names
    assert_apart(figure)


def test_classes_that_are_all_absent() -> None:
    nothing = np.full(2, np.nan)
    figure = draw_class_iou(nothing, ("a", "b"), others={"other": nothing})
    figure.canvas.draw()
    assert values(figure.axes[0]) == ["absent", "absent"]
    assert entries(figure) == ["this network, no class occurs", "other, no class occurs"]
    assert not [line for line in figure.axes[0].lines if line.get_gid() == "mean"]


def test_many_classes_and_networks_have_room() -> None:
    generator = np.random.default_rng(0)
    names = [f"class number {place}" for place in range(40)]
    others = {f"network {place}": generator.random(40) for place in range(7)}
    figure = draw_class_iou(generator.random(40), names, others=others)
    figure.canvas.draw()
    assert_apart(figure)


def test_iou_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="iou: 2 values for 3 classes"):
        draw_class_iou(np.zeros(2), CLASSES[:3])
    with pytest.raises(ValueError, match="iou: 0 values for 0 classes"):
        draw_class_iou(np.zeros(0), ())
    with pytest.raises(ValueError, match=r"iou: must lie in \[0, 1\], or be NaN for an absent class, got 1.5"):
        draw_class_iou(np.array([0.5, 1.5]), CLASSES[:2])
    with pytest.raises(ValueError, match=r"others\['x'\]: 3 values for 2 classes"):
        draw_class_iou(np.zeros(2), CLASSES[:2], others={"x": np.zeros(3)})
