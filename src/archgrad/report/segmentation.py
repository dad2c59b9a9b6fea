"""Pictures of dense prediction: images beside what a network makes of them, and how well it does by class."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float, Integer, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from torch import Tensor

from archgrad.checks import whole
from archgrad.report.style import GREY, INK, PAGE, PALETTE, make_figure, tidy

Colour: TypeAlias = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

Values: TypeAlias = Float[Tensor, "_"] | Float[np.ndarray, "_"]
"""A number for each class."""

FIRST = tuple(colour for colour in PALETTE if colour != "#000000")
"""Colours for the first classes; black is that of pixels without a class."""

WRONG = (213, 94, 0)
"""The colour of wrong pixels, vermilion."""

OTHERS, MARKERS = (PALETTE[1], PALETTE[4], PALETTE[2], PALETTE[3]), ("D", "s", "^", "o", "v")
"""The colours and shapes of further networks, in turn."""

BAR = 0.66
"""The height of a bar as a share of its row."""

NARROWEST, WIDEST, HIGHEST = 1.0, 2.6, 2.4
"""The least and largest width of an image in the picture, and its height if that leaves the least, in inches."""

GAP = 0.1
HEAD = 0.3
NAME = 0.2
LETTER, ROW = 0.078, 0.182
"""The width of a letter and the height of a row in a legend, in inches."""


class _Layout(NamedTuple):
    """Measures of a picture of predictions, in inches.

    `width` and `height` are an image's, `name` is the room for a note above it, `least` the width of the longest entry
    of the legend, and `foot` the legend's height.
    """

    columns: tuple[str, ...]
    rows: int
    width: float
    height: float
    name: float
    least: float
    foot: float

    @property
    def size(self) -> tuple[float, float]:
        width = len(self.columns) * (self.width + GAP) + GAP
        return max(width, self.least), HEAD + self.rows * (self.height + self.name + GAP) + self.foot


def fallback_palette(count: int) -> tuple[Colour, ...]:
    """Return so many colours that differ, none of them near black or white.

    The first seven are those of Okabe and Ito, which the colour-blind can tell apart, without black; each further one
    is, of a grid of colours, the farthest from all before it, by the Euclidean distance in CIELAB.

    Raises:
        ValueError: `count` is below 1.

    >>> fallback_palette(2)
    ((0, 114, 178), (213, 94, 0))
    """
    whole("count", count, 1)
    chosen: list[Colour] = [(int(name[1:3], 16), int(name[3:5], 16), int(name[5:], 16)) for name in FIRST]
    steps = np.linspace(0, 255, 12).round()
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    lightness, *hue = _lab(grid).T
    grid = grid[(lightness > 25) & (lightness < 90) & (np.hypot(*hue) < 80)]
    known = _lab(np.array(chosen, dtype=np.float64))
    nearest = np.linalg.norm(_lab(grid)[:, None] - known[None], axis=-1).min(axis=1)
    while len(chosen) < count:
        best = int(nearest.argmax())
        red, green, blue = map(int, grid[best])
        chosen.append((red, green, blue))
        nearest = np.minimum(nearest, np.linalg.norm(_lab(grid) - _lab(grid[best : best + 1]), axis=-1))
    return tuple(chosen[:count])


def _lab(colours: Float[np.ndarray, "colours 3"]) -> Float[np.ndarray, "colours 3"]:
    """sRGB from 0 to 255 as CIELAB under D65, IEC 61966-2-1 and CIE 15."""
    linear = colours / 255
    linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    ratio = linear @ matrix.T / np.array([0.9505, 1.0, 1.089])
    bent = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = bent.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def draw_predictions(
    images: UInt8[Tensor, "images channels height width"],
    truths: Integer[Tensor, "_ _ _"],
    predictions: Integer[Tensor, "_ _ _"],
    *,
    classes: Sequence[str],
    palette: Sequence[Colour],
    ignore: int,
    names: Sequence[str] | None = None,
    errors: bool = False,
) -> Figure:
    """Draw images, what was predicted of them and the truth side by side, a row each, over a legend of the classes.

    Pixels without a class are black in the truth; where a class of the palette is almost black itself, they are white.

    Args:
        images: [images, channels, height, width] of one channel or three, 0 to 255.
        truths: [images, height, width], the class of each pixel, or `ignore`.
        predictions: the class of each pixel by the network, of the same shape.
        classes: their names, in the order of their numbers.
        palette: a colour for each class; none at all takes `fallback_palette`.
        ignore: what pixels without a class have in `truths`.
        names: written above each row.
        errors: add a column with the wrong pixels in vermilion over the pale image, under the share of right ones.

    Raises:
        ValueError: no images, of other than one or three channels, labels of another shape or that are no class, or
            more or fewer colours than classes or names than images.
    """
    images, truths, predictions = images.cpu(), truths.cpu(), predictions.cpu()
    colours = tuple(palette) or fallback_palette(len(classes))
    _check_predictions(images, truths, predictions, classes=classes, colours=colours, ignore=ignore, names=names)
    void = _void(colours)
    legend = _legend_of(truths, predictions, classes=classes, colours=colours, ignore=ignore)
    layout = _layout(images, legend, named=names is not None, errors=errors)
    figure = make_figure(*layout.size)
    for row in range(layout.rows):
        right = predictions[row] == truths[row]
        counted = truths[row] != ignore
        shown = [
            images[row].permute(1, 2, 0).expand(-1, -1, 3).numpy(),
            _paint(predictions[row], colours, void, ignore),
            _paint(truths[row], colours, void, ignore),
        ]
        if errors:
            shown.append(_pale(shown[0], (~right & counted).numpy()))
        panels = [_panel(figure, layout, row, column, picture) for column, picture in enumerate(shown)]
        if names is not None:
            _say_above(panels[0], names[row], "name")
        if errors and counted.any():
            _say_above(panels[-1], f"{100 * float(right[counted].double().mean()):.1f} % right", "right")
    handles = [
        Patch(facecolor="#{:02x}{:02x}{:02x}".format(*colour), edgecolor=GREY, linewidth=0.6, label=name)
        for name, colour in legend
    ]
    width, height = layout.size
    _legend(figure, handles, (GAP / width, 0.08 / height), columns=_keys(legend, width))
    return figure


def _check_predictions(
    images: Tensor,
    truths: Tensor,
    predictions: Tensor,
    *,
    classes: Sequence[str],
    colours: Sequence[Colour],
    ignore: int,
    names: Sequence[str] | None,
) -> None:
    if not len(images) or images.shape[1] not in (1, 3):
        raise ValueError(f"images: must be one or more, of 1 or 3 channels, got shape {tuple(images.shape)}.")
    if len(colours) != len(classes):
        raise ValueError(f"palette: {len(colours)} colours for {len(classes)} classes; there must be one for each.")
    if names is not None and len(names) != len(images):
        raise ValueError(f"names: {len(names)} names for {len(images)} images; there must be one for each.")
    for argument, labels in (("truths", truths), ("predictions", predictions)):
        expected = (len(images), *images.shape[2:])
        if tuple(labels.shape) != expected:
            raise ValueError(f"{argument}: must have the shape {expected} of the images, got {tuple(labels.shape)}.")
        wrong = labels[(labels != ignore) & ((labels < 0) | (labels >= len(classes)))]
        if len(wrong):
            raise ValueError(
                f"{argument}: has label {int(wrong[0])}; allowed is 0 to {len(classes) - 1}, and {ignore} for none."
            )


def _void(colours: Sequence[Colour]) -> Colour:
    """Black for pixels without a class, or white if a class is almost black."""
    return (255, 255, 255) if any(max(colour) < 24 for colour in colours) else (0, 0, 0)


def _legend_of(
    truths: Tensor, predictions: Tensor, *, classes: Sequence[str], colours: Sequence[Colour], ignore: int
) -> list[tuple[str, Colour]]:
    """The names and colours of what occurs."""
    found = {int(label) for labels in (truths, predictions) for label in labels.unique()}
    legend = [(name, colours[label]) for label, name in enumerate(classes) if label in found - {ignore}]
    return [*legend, ("no class, ignored", _void(colours))] if ignore in found else legend


def _layout(images: Tensor, legend: Sequence[tuple[str, Colour]], *, named: bool, errors: bool) -> _Layout:
    columns = ("image", "prediction", "truth", "wrong pixels")[: 3 + errors]
    height, width = images.shape[2:]
    across = max(NARROWEST, min((PAGE - GAP) / len(columns) - GAP, WIDEST, HIGHEST * width / height))
    least = 0.65 + LETTER * max(len(name) for name, _ in legend)
    layout = _Layout(columns, len(images), across, across * height / width, NAME * (named or errors), least, 0.0)
    rows = math.ceil(len(legend) / _keys(legend, layout.size[0]))
    return layout._replace(foot=ROW * rows + 0.2)


def _keys(legend: Sequence[tuple[str, Colour]], width: float) -> int:
    """How many entries of a legend fit side by side."""
    longest = max(len(name) for name, _ in legend)
    return max(1, min(len(legend), int((width - 0.2) / (0.45 + LETTER * longest))))


def _paint(labels: Tensor, colours: Sequence[Colour], void: Colour, ignore: int) -> UInt8[np.ndarray, "height width 3"]:
    """Labels as their colours."""
    numbers = labels.long().numpy()
    ignored = numbers == ignore
    painted = np.array(colours, dtype=np.uint8)[np.where(ignored, 0, numbers)]
    painted[ignored] = void
    return painted


def _pale(image: UInt8[np.ndarray, "height width 3"], wrong: np.ndarray) -> UInt8[np.ndarray, "height width 3"]:
    """The image in pale grey, with the wrong pixels over it."""
    grey = 255 - (255 - image.mean(axis=-1, keepdims=True)) * 0.35
    return np.where(wrong[..., None], np.array(WRONG), grey).round().astype(np.uint8)


def _panel(figure: Figure, layout: _Layout, row: int, column: int, picture: UInt8[np.ndarray, "_ _ 3"]) -> Axes:
    width, height = layout.size
    left = GAP + column * (layout.width + GAP)
    bottom = height - HEAD - (row + 1) * (layout.height + layout.name) - row * GAP
    axes = figure.add_axes((left / width, bottom / height, layout.width / width, layout.height / height))
    axes.imshow(picture, interpolation="nearest", aspect="auto")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(color=GREY, linewidth=0.6)
    axes.set_label(layout.columns[column])
    if row == 0:
        figure.text(left / width, 1 - 0.2 / height, layout.columns[column], fontsize=10, color=INK, gid="column")
    return axes


def _say_above(axes: Axes, text: str, gid: str) -> None:
    note = axes.annotate(text, (0, 1), xycoords="axes fraction", xytext=(0, 3), textcoords="offset points", gid=gid)
    note.set(fontsize=8, color=INK, parse_math=False)


def draw_class_iou(iou: Values, classes: Sequence[str], *, others: Mapping[str, Values] | None = None) -> Figure:
    """Draw the intersection over union of each class as a bar, in %, and their mean as a line.

    Args:
        iou: of each class, 0 to 1; NaN for a class that is absent: it neither occurs nor is predicted.
        classes: their names, from top to bottom.
        others: the same of further networks by name, drawn as markers over the bars.

    Raises:
        ValueError: no classes, more or fewer values than classes, or one outside [0, 1].

    >>> figure = draw_class_iou(np.array([0.5, 0.75]), ("road", "sky"))
    >>> [text.get_text() for text in figure.legends[0].get_texts()]
    ['mean IoU 62.5 %']
    """
    values = _percent("iou", iou, classes)
    marked = {name: _percent(f"others[{name!r}]", other, classes) for name, other in (others or {}).items()}
    margin = 0.35 + LETTER * max(map(len, classes))
    pitch = 0.27 + 0.06 * min(len(marked), 4)
    foot = 0.62 + ROW * (1 + len(marked))
    width, height = margin + 5.4, pitch * len(classes) + foot + 0.12
    figure = make_figure(width, height)
    axes = figure.add_axes((margin / width, foot / height, 4.8 / width, pitch * len(classes) / height))
    tidy(axes)
    axes.grid(visible=False, axis="y")
    axes.set(xlim=(0, 100), ylim=(len(classes) - 0.5, -0.5))
    axes.set_yticks(range(len(classes)), classes, fontsize=8.5, parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("intersection over union in %", fontsize=9)
    _paint_bars(axes, values)
    handles = _handles(values, marked)
    for place, (other, handle) in enumerate(zip(marked.values(), handles[-len(marked) :], strict=False)):
        _paint_markers(axes, other, handle, (place + 0.5) / len(marked) - 0.5)
    _legend(figure, handles, (margin / width, 0.08 / height), columns=1)
    return figure


def _percent(argument: str, values: Values, classes: Sequence[str]) -> Float[np.ndarray, "classes"]:
    numbers = 100 * np.asarray(values, dtype=np.float64)
    if not classes or len(numbers) != len(classes):
        raise ValueError(f"{argument}: {len(numbers)} values for {len(classes)} classes; there must be one for each.")
    outside = numbers[(numbers < 0) | (numbers > 100)]
    if outside.size:
        raise ValueError(f"{argument}: must lie in [0, 1], or be NaN for an absent class, got {outside[0] / 100}.")
    return numbers


def _mean(values: Float[np.ndarray, "classes"]) -> float:
    """The mean over the classes that have a value; NaN if none has."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else math.nan


def _spelled(values: Float[np.ndarray, "classes"]) -> str:
    mean = _mean(values)
    return "no class occurs" if math.isnan(mean) else f"mean IoU {mean:.1f} %"


def _paint_bars(axes: Axes, values: Float[np.ndarray, "classes"]) -> None:
    """Paint bars with their values beside the plot, where no marker can hide them, and the line of their mean."""
    known = np.flatnonzero(~np.isnan(values))
    axes.barh(known, values[known], height=BAR, color=PALETTE[0], gid="bar")
    for place, value in enumerate(values):
        words, colour = ("absent", GREY) if math.isnan(value) else (f"{value:.1f}", INK)
        text = axes.text(101.5, place, words, color=colour, fontsize=8.5, gid="value")
        text.set(verticalalignment="center_baseline", fontstyle="italic" if colour == GREY else "normal")
    if known.size:
        axes.axvline(_mean(values), color=INK, linewidth=1.3, linestyle="--", zorder=3, gid="mean")


def _handles(values: Float[np.ndarray, "classes"], others: Mapping[str, np.ndarray]) -> list[Patch | Line2D]:
    """What the legend shows: the line of the mean, and the markers with their means."""
    label = f"this network, {_spelled(values)}" if others else _spelled(values)
    handles: list[Patch | Line2D] = [Line2D([], [], color=INK, linewidth=1.3, linestyle="--", label=label)]
    for place, (name, other) in enumerate(others.items()):
        colour, marker = OTHERS[place % len(OTHERS)], MARKERS[place % len(MARKERS)]
        style = {"color": colour, "marker": marker, "markersize": 6, "markeredgecolor": "white", "linestyle": "none"}
        handles.append(Line2D([], [], label=f"{name}, {_spelled(other)}", **style))
    return handles


def _paint_markers(axes: Axes, values: Float[np.ndarray, "classes"], handle: Patch | Line2D, shift: float) -> None:
    """Paint the values of a further network as markers, within the height of the bars."""
    places = np.arange(len(values)) + BAR * shift
    markers = Line2D(values, places)
    markers.update_from(handle)
    markers.set(clip_on=False, zorder=4, gid="other", label=handle.get_label())
    axes.add_line(markers)


def _legend(figure: Figure, handles: Sequence[Patch | Line2D], corner: tuple[float, float], *, columns: int) -> None:
    """A legend at the foot, whose names are no markup."""
    legend = figure.legend(
        handles=handles,
        ncols=columns,
        loc="lower left",
        bbox_to_anchor=corner,
        borderaxespad=0.0,
        borderpad=0.0,
        fontsize=8.5,
        frameon=False,
        handlelength=1.6,
        handleheight=1.0,
        columnspacing=1.2,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
