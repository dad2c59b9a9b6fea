"""How well a network labels pixels: the confusion matrix of one pass over a data set, from one or several views.

A view is the image at a scale, as it is or mirrored, read whole or through a window that slides over it. The class
probabilities of all views, brought back to the image, are averaged; the largest is the prediction (the protocol of
arXiv:1606.00915, section 4, and arXiv:1802.02611, section 4).
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64, Integer, Shaped
from torch import Tensor, nn

from archgrad.checks import above, share, whole
from archgrad.data.images import to_device
from archgrad.data.segmentation.augment import DenseAugmentation
from archgrad.data.segmentation.labelled import SegmentationData
from archgrad.devices import preserved_randomness, resolve_device
from archgrad.settings import changed


@dataclass(frozen=True, eq=False)
class Confusion:
    """How often pixels of each class (rows of `counts`) were taken for each class (columns); sums by `+`.

    For class k, TP is the diagonal entry, FN the rest of row k, FP the rest of column k.

    Raises:
        ValueError: there is not one row and column for each class.

    >>> confusion = Confusion(torch.tensor([[3, 1], [0, 4]]), ("road", "sky"))
    >>> confusion.iou.tolist(), confusion.accuracy
    ([0.75, 0.8], 0.875)
    """

    counts: Int64[Tensor, "classes classes"]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.counts) != len(self.classes):
            raise ValueError(
                f"counts: must have a row and a column for each of the {len(self.classes)} classes, "
                f"got shape {list(self.counts.shape)}."
            )

    @classmethod
    def of(
        cls,
        predicted: Integer[Tensor, "*pixels"],
        masks: Integer[Tensor, "*pixels"],
        *,
        classes: tuple[str, ...],
        ignore: int = 255,
    ) -> "Confusion":
        """Count predicted labels against those of the masks; pixels whose label is `ignore` are left out.

        Raises:
            ValueError: a label that is no class.
        """
        for name, labels in (("predicted", predicted), ("masks", masks)):
            wrong = labels[(masks != ignore) & ((labels < 0) | (labels >= len(classes)))]
            if len(wrong):
                raise ValueError(f"{name}: has label {int(wrong[0])}; allowed is 0 to {len(classes) - 1}.")
        bins = _bins(len(classes), masks.device)
        _count(bins, predicted, masks, ignore=ignore)
        return _confusion(bins, classes)

    def __add__(self, other: "Confusion") -> "Confusion":
        """Of the pixels of both.

        Raises:
            ValueError: the classes differ.
        """
        if self.classes != other.classes:
            raise ValueError(f"classes: {other.classes} cannot be added to {self.classes}.")
        return Confusion(self.counts + other.counts, self.classes)

    @property
    def pixels(self) -> int:
        """How many pixels were counted: those with a class."""
        return int(self.counts.sum())

    @property
    def iou(self) -> Float[Tensor, "classes"]:
        """Intersection over union of each class, TP / (TP + FP + FN); NaN for one that neither occurs nor is predicted.

        Reference: the Jaccard index of PASCAL VOC (Everingham et al. 2015, section 4.2).
        """
        hits = self.counts.diagonal()
        return hits.double() / (self.counts.sum(dim=0) + self.counts.sum(dim=1) - hits)

    @property
    def mean_iou(self) -> float:
        """The mean of `iou` over the classes that have one; NaN without any pixel."""
        return self.iou.nanmean().item()

    @property
    def accuracy(self) -> float:
        """The share of pixels that got their class, Σ TP / pixels; NaN without any pixel."""
        return (self.counts.diagonal().sum().double() / self.counts.sum()).item()

    @property
    def class_accuracy(self) -> Float[Tensor, "classes"]:
        """The share of each class's pixels that got it, TP / (TP + FN); NaN for a class without pixels."""
        return self.counts.diagonal().double() / self.counts.sum(dim=1)

    @property
    def mean_accuracy(self) -> float:
        """The mean of `class_accuracy` over the classes that have pixels; NaN without any pixel."""
        return self.class_accuracy.nanmean().item()

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain numbers for JSON; None where a number would be NaN."""
        return {
            "mean_iou": _plain(self.mean_iou),
            "accuracy": _plain(self.accuracy),
            "mean_accuracy": _plain(self.mean_accuracy),
            "pixels": self.pixels,
            "iou": dict(zip(self.classes, map(_plain, self.iou.tolist()), strict=True)),
            "class_accuracy": dict(zip(self.classes, map(_plain, self.class_accuracy.tolist()), strict=True)),
            "counts": self.counts.tolist(),
        }


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else value


def _bins(classes: int, device: torch.device) -> Tensor:
    """A bin for each pair of classes, and one for the pixels that have none."""
    return torch.zeros(classes**2 + 1, dtype=torch.int64, device=device)


def _count(bins: Tensor, predicted: Tensor, masks: Tensor, *, ignore: int) -> None:
    classes = math.isqrt(len(bins))
    pairs = masks.long() * classes + predicted
    # No pixels are selected, and bincount is not used, because either would make the host wait for the device.
    pairs = pairs.masked_fill(masks == ignore, len(bins) - 1).flatten()
    bins.scatter_add_(0, pairs, torch.ones_like(pairs))


def _confusion(bins: Tensor, classes: tuple[str, ...]) -> Confusion:
    return Confusion(bins[:-1].view(len(classes), -1).cpu(), classes)


@dataclass(frozen=True, kw_only=True)
class Views:
    """From how many sides an image is looked at; each view counts the same.

    Arguments:
        scales: factors of the image's height and width; the image and what is found are resized bilinearly.
        flip: look at the mirrored image too.
        window: height and width, in pixels of the scaled image, of what the network sees at a time; None shows it the
            whole image. A side that is longer than the image's is cut to it.
        overlap: share of a window, in [0, 1), that the next one sees again, or more so that they end at the border.

    Raises:
        ValueError: no scale or one that is not positive, a window below one pixel, or an overlap outside its bounds.
    """

    scales: Sequence[float] = (1.0,)
    flip: bool = False
    window: tuple[int, int] | None = None
    overlap: float = 1 / 3

    def __post_init__(self) -> None:
        if not self.scales:
            raise ValueError("scales: must have one at least, got none.")
        for place, scale in enumerate(self.scales):
            above(f"scales[{place}]", scale, 0)
        for place, length in enumerate(self.window or ()):
            whole(f"window[{place}]", length, 1)
        share("overlap", self.overlap)


def window_starts(length: int, window: int, overlap: float) -> list[int]:
    """Where windows begin along a side of `length` pixels, so that they cover it exactly and overlap evenly.

    n = 1 + ⌈(length − window) / stride⌉ windows, stride = window · (1 − overlap) rounded, at least one pixel.

    >>> window_starts(10, 4, 0.5), window_starts(10, 4, 0.0), window_starts(10, 12, 0.5)
    ([0, 2, 4, 6], [0, 3, 6], [0])
    """
    room = length - window
    if room <= 0:
        return [0]
    steps = -(-room // max(1, round(window * (1 - overlap))))
    return [step * room // steps for step in range(steps + 1)]


@torch.no_grad()
def probabilities(
    network: nn.Module,
    images: Shaped[Tensor, "batch channels height width"],
    *,
    augmentation: DenseAugmentation | None = None,
    device: str | torch.device = "auto",
    **views: Any,
) -> Float[Tensor, "batch classes height width"]:
    """The probability of each class at each pixel of a batch of images (uint8, or float in 0 … 1), on the device.

    p = 1/V Σ_v resize(softmax(network(v))) over V views; `views` are fields of `Views`. The network is in evaluation
    mode meanwhile; its mode and torch's random state are given back. `augmentation` gives the mean and std to normalise
    with; None scales pixels to 0 … 1 and no more.

    Raises:
        ValueError: a view that is not possible, or a network that does not give scores for each pixel.
    """
    where = resolve_device(device)
    asked = changed(Views(), views)
    with _evaluating(network, where):
        return _probabilities(network, _normalised(images, augmentation, where), asked)


@torch.no_grad()
def predict(
    network: nn.Module,
    images: Shaped[Tensor, "images channels height width"],
    *,
    augmentation: DenseAugmentation | None = None,
    batch_size: int = 4,
    device: str | torch.device = "auto",
    **views: Any,
) -> Int64[Tensor, "images height width"]:
    """The most probable class of each pixel, in memory of the host; the arguments are those of `probabilities`.

    Images are processed `batch_size` at a time.

    Raises:
        ValueError: as `probabilities`, or no image or a batch size below 1.
    """
    where = resolve_device(device)
    asked = changed(Views(), views)
    whole("batch_size", batch_size, 1)
    if not len(images):
        raise ValueError("images: must be one at least, got none.")
    with _evaluating(network, where):
        labels = [
            _probabilities(network, _normalised(part, augmentation, where), asked).argmax(dim=1)
            for part in images.split(batch_size)
        ]
    return torch.cat(labels).cpu()


@torch.no_grad()
def evaluate(
    network: nn.Module,
    data: SegmentationData,
    *,
    augmentation: DenseAugmentation | None = None,
    batch_size: int = 4,
    device: str | torch.device = "auto",
    **views: Any,
) -> Confusion:
    """Evaluate a network on every labelled pixel once; the arguments are those of `predict`.

    Raises:
        ValueError: as `predict`, or a network that scores another number of classes than the data has.
    """
    where = resolve_device(device)
    asked = changed(Views(), views)
    whole("batch_size", batch_size, 1)
    bins = _bins(data.num_classes, where)
    with _evaluating(network, where):
        for images, masks in zip(data.images.split(batch_size), data.masks.split(batch_size), strict=True):
            found = _probabilities(network, _normalised(images, augmentation, where), asked)
            check_scores(found, images, classes=data.num_classes)
            _count(bins, found.argmax(dim=1), to_device(masks, where), ignore=data.ignore)
    return _confusion(bins, data.classes)


@contextmanager
def _evaluating(network: nn.Module, device: torch.device) -> Iterator[None]:
    """Evaluation mode on the device; modes of all modules and torch's random state are given back in the end."""
    modes = [(module, module.training) for module in network.modules()]
    network.to(device).eval()
    try:
        with preserved_randomness(device):  # a network of any kind may draw in evaluation mode too
            yield
    finally:
        for module, training in modes:
            module.training = training


def _normalised(images: Tensor, augmentation: DenseAugmentation | None, device: torch.device) -> Tensor:
    return (augmentation or DenseAugmentation()).normalise(to_device(images, device))


def _probabilities(network: nn.Module, images: Tensor, views: Views) -> Tensor:
    """The mean over views of normalised images."""
    height, width = images.shape[-2:]
    found = []
    for scale in views.scales:
        scaled = _resized(images, (max(1, round(height * scale)), max(1, round(width * scale))))
        seen = [_through_windows(network, scaled, views)]
        if views.flip:
            seen.append(_through_windows(network, scaled.flip(-1), views).flip(-1))
        found.append(_resized(_mean(seen), (height, width)))
    return _mean(found)


def _mean(values: list[Tensor]) -> Tensor:
    return sum(values[1:], start=values[0]) / len(values)


def _through_windows(network: nn.Module, images: Tensor, views: Views) -> Tensor:
    size = images.shape[-2:]
    extents = [min(pair) for pair in zip(views.window or size, size, strict=True)]
    rows, columns = (window_starts(length, extent, views.overlap) for length, extent in zip(size, extents, strict=True))
    places = [
        (..., slice(row, row + extents[0]), slice(column, column + extents[1])) for row in rows for column in columns
    ]
    if len(places) == 1:
        return _class_probabilities(network, images)
    times = torch.zeros(size, device=images.device)
    total = times  # until the number of classes is known
    for number, place in enumerate(places):
        seen = _class_probabilities(network, images[place].contiguous(memory_format=torch.channels_last))
        total = total if number else seen.new_zeros(*seen.shape[:2], *size)
        total[place] += seen
        times[place] += 1
    return total / times


def _class_probabilities(network: nn.Module, images: Tensor) -> Tensor:
    scores = network(images)
    check_scores(scores, images)
    return scores.softmax(dim=1, dtype=torch.promote_types(scores.dtype, torch.float32))


def check_scores(scores: Any, images: Tensor, *, classes: int | None = None) -> None:
    """Raise a ValueError unless a network's output has scores for each pixel of the images, and for so many classes."""
    batch, _, height, width = images.shape
    found = list(scores.shape) if isinstance(scores, Tensor) else []
    count = found[1] if classes is None and len(found) == 4 else classes
    if found != [batch, count, height, width]:
        wanted = f"[{batch}, {classes or 'classes'}, {height}, {width}]"
        raise ValueError(
            f"network: must give scores {wanted} for images {list(images.shape)}, got {found or type(scores).__name__}."
        )


def _resized(values: Tensor, size: tuple[int, int]) -> Tensor:
    if values.shape[-2:] == size:
        return values
    return F.interpolate(values, size, mode="bilinear", align_corners=False)
