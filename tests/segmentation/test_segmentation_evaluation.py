"""The confusion matrix against counting by hand, and what looking from several sides may and may not change."""

import json
import math
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from archgrad.data.segmentation.augment import DenseAugmentation
from archgrad.data.segmentation.labelled import SegmentationData
from archgrad.segmentation import Confusion, evaluate, predict, probabilities
from archgrad.segmentation.evaluation import window_starts

CLASSES = ("road", "sky", "tree", "car")
AUGMENTATION = DenseAugmentation(mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.1))


def labels(count, *, seed, classes=4):
    return torch.randint(classes, (count,), generator=torch.Generator().manual_seed(seed))


def images(count=2, *, size=(8, 12), seed=0):
    return torch.randint(256, (count, 3, *size), generator=torch.Generator().manual_seed(seed)).to(torch.uint8)


def convolution(kernel_size, *, seed=0, classes=4):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Conv2d(3, classes, kernel_size, padding=kernel_size // 2)


def plain(network, pixels):
    """Without any view: one call of the network."""
    return network(AUGMENTATION.normalise(pixels)).softmax(dim=1)


def seen(network, pixels, **views):
    return probabilities(network, pixels, augmentation=AUGMENTATION, device="cpu", **views)


def equal(first, second):
    torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-6)


# -- confusion ------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(0, 60), classes=st.integers(2, 4))
def test_measures_against_counting_by_hand(seed, count, classes):
    predicted, truth = labels(count, seed=seed, classes=classes), labels(count, seed=seed + 1, classes=classes)
    truth[::5] = 255
    confusion = Confusion.of(predicted, truth, classes=CLASSES[:classes])
    pairs = [(t, p) for t, p in zip(truth.tolist(), predicted.tolist(), strict=True) if t != 255]
    iou, recall = [], []
    for k in range(classes):
        both = sum(t == k and p == k for t, p in pairs)
        either = sum(t == k or p == k for t, p in pairs)
        occurs = sum(t == k for t, _ in pairs)
        iou.append(both / either if either else math.nan)
        recall.append(both / occurs if occurs else math.nan)
        assert confusion.counts[k].tolist() == [pairs.count((k, p)) for p in range(classes)]

    def mean(values):
        known = [value for value in values if not math.isnan(value)]
        return pytest.approx(sum(known) / len(known) if known else math.nan, nan_ok=True)

    assert confusion.pixels == len(pairs)
    assert confusion.iou.tolist() == pytest.approx(iou, nan_ok=True)
    assert confusion.class_accuracy.tolist() == pytest.approx(recall, nan_ok=True)
    assert confusion.mean_iou == mean(iou)
    assert confusion.mean_accuracy == mean(recall)
    assert confusion.accuracy == mean([float(t == p) for t, p in pairs])


def test_a_sum_is_of_all_pixels():
    predicted, truth = labels(50, seed=0), labels(50, seed=1)
    parts = [Confusion.of(predicted[at], truth[at], classes=CLASSES) for at in (slice(20), slice(20, 50))]
    assert torch.equal((parts[0] + parts[1]).counts, Confusion.of(predicted, truth, classes=CLASSES).counts)
    with pytest.raises(ValueError, match=r"classes: \('a', 'b', 'c', 'd'\) cannot be added to \('road', "):
        parts[0] + Confusion(parts[1].counts, tuple("abcd"))


def test_a_class_that_neither_occurs_nor_is_predicted_does_not_count():
    confusion = Confusion(torch.tensor([[3, 1, 0], [0, 4, 0], [0, 0, 0]]), CLASSES[:3])
    assert confusion.iou.tolist() == pytest.approx([3 / 4, 4 / 5, math.nan], nan_ok=True)
    assert confusion.mean_iou == pytest.approx((3 / 4 + 4 / 5) / 2)
    predicted = Confusion(torch.tensor([[3, 1, 0], [0, 3, 1], [0, 0, 0]]), CLASSES[:3])
    assert predicted.iou[2] == 0.0
    assert predicted.class_accuracy[2].isnan()


def test_json_has_plain_numbers_and_no_nan():
    confusion = Confusion(torch.tensor([[3, 1, 0], [0, 4, 0], [0, 0, 0]]), CLASSES[:3])
    written = json.loads(json.dumps(confusion.as_dict(), allow_nan=False))
    assert written["iou"] == {"road": 0.75, "sky": 0.8, "tree": None}
    assert written["class_accuracy"] == {"road": 0.75, "sky": 1.0, "tree": None}
    assert (written["mean_iou"], written["accuracy"], written["mean_accuracy"]) == (0.775, 0.875, 0.875)
    assert (written["pixels"], written["counts"]) == (8, confusion.counts.tolist())
    nothing = Confusion(torch.zeros(2, 2, dtype=torch.int64), CLASSES[:2]).as_dict()
    assert (nothing["mean_iou"], nothing["accuracy"], nothing["pixels"]) == (None, None, 0)


def test_bad_confusions_are_named():
    with pytest.raises(ValueError, match=r"counts: must have a row and a column for each of the 4 classes, got .*3, 3"):
        Confusion(torch.zeros(3, 3, dtype=torch.int64), CLASSES)
    known, wrong = torch.tensor([0, 1]), torch.tensor([0, 4])
    for name, arguments in (("predicted", (wrong, known)), ("masks", (known, wrong))):
        with pytest.raises(ValueError, match=rf"{name}: has label 4; allowed is 0 to 3"):
            Confusion.of(*arguments, classes=CLASSES)


# -- views ----------------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 60), st.integers(1, 70), st.floats(0, 0.99))
def test_windows_cover_a_side_exactly_and_overlap_enough(length, window, overlap):
    starts = window_starts(length, window, overlap)
    extent = min(window, length)
    assert (starts[0], starts[-1] + extent) == (0, length)
    assert starts == sorted(set(starts))
    stride = max(1, round(window * (1 - overlap)))
    assert all(later - earlier <= stride for earlier, later in pairwise(starts))
    assert len(starts) == 1 + max(0, math.ceil((length - window) / stride))  # no more than that takes


@torch.no_grad()
def test_one_view_is_the_network_itself():
    network, pixels = convolution(3), images()
    for views in ({}, {"scales": (1.0,)}, {"window": (8, 12)}, {"window": (30, 12)}, {"window": (99, 99)}):
        assert torch.equal(seen(network, pixels, **views), plain(network, pixels))


@settings(max_examples=20, deadline=None)
@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    window=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    overlap=st.floats(0, 0.9),
)
@torch.no_grad()
def test_a_pointwise_network_does_not_see_the_windows(size, window, overlap):
    network, pixels = convolution(1), images(size=size)
    equal(seen(network, pixels, window=window, overlap=overlap), plain(network, pixels))


@torch.no_grad()
def test_overlapping_windows_are_averaged():
    """Windows of 4 columns in 6: the two in the middle are seen twice."""
    network, pixels = convolution(3), images(size=(4, 6))
    left, right = (plain(network, pixels[..., at]) for at in (slice(0, 4), slice(2, 6)))
    expected = torch.cat([left[..., :2], (left[..., 2:] + right[..., :2]) / 2, right[..., 2:]], dim=-1)
    equal(seen(network, pixels, window=(4, 4), overlap=0.5), expected)


@torch.no_grad()
def test_the_mirrored_image_is_averaged():
    network, pixels = convolution(3), images()
    mirrored = plain(network, pixels.flip(-1)).flip(-1)
    equal(seen(network, pixels, flip=True), (plain(network, pixels) + mirrored) / 2)
    assert not torch.allclose(seen(network, pixels, flip=True), plain(network, pixels), atol=1e-3)


@torch.no_grad()
def test_the_mirror_shows_nothing_new_to_a_symmetric_network():
    network, pixels = convolution(3), images()
    network.weight.copy_((network.weight + network.weight.flip(-1)) / 2)
    equal(seen(network, pixels, flip=True), plain(network, pixels))


@torch.no_grad()
def test_scales_are_averaged_as_probabilities_of_the_size_of_the_image():
    network, pixels = convolution(3), images(size=(7, 11))

    def resized(values, size):
        return F.interpolate(values, size, mode="bilinear", align_corners=False)

    expected = plain(network, pixels)
    for size in ((4, 6), (10, 16)):  # half of 7 and 11 is 3.5 and 5.5, rounded to even
        scores = network(resized(AUGMENTATION.normalise(pixels), size))
        expected = expected + resized(scores.softmax(dim=1), (7, 11))
    found = seen(network, pixels, scales=(0.5, 1.0, 1.5))
    equal(found, expected / 3)
    equal(found.sum(dim=1), torch.ones(2, 7, 11))


@torch.no_grad()
def test_scales_and_mirror_show_nothing_new_where_the_network_sees_nothing():
    network, pixels = convolution(1), images()
    network.weight.zero_()
    found = seen(network, pixels, scales=(0.25, 0.01, 2.0), flip=True, window=(3, 5))
    equal(found, plain(network, pixels))


def test_predictions_are_the_most_probable_classes_whatever_the_batch():
    network, pixels = convolution(3), images(5)
    views = {"scales": (0.5, 1.0), "flip": True, "window": (5, 6)}
    expected = seen(network, pixels, **views).argmax(dim=1)
    for batch_size in (1, 2, 5, 100):
        found = predict(network, pixels, augmentation=AUGMENTATION, batch_size=batch_size, device="cpu", **views)
        assert torch.equal(found, expected)
    raw = predict(network, pixels, device="cpu")
    assert torch.equal(raw, network(pixels / 255).argmax(dim=1))


# -- evaluation -----------------------------------------------------------------------------------------------------


def test_every_labelled_pixel_counts_once_whatever_the_batch(tiny_segmentation):
    data, network = tiny_segmentation(5), convolution(3, classes=3)
    views = {"scales": (0.5, 1.0), "flip": True}
    predicted = predict(network, data.images, augmentation=AUGMENTATION, device="cpu", **views)
    expected = Confusion.of(predicted, data.masks, classes=data.classes)
    assert expected.pixels == (data.masks != 255).sum()
    for batch_size in (1, 2, 5, 100):
        found = evaluate(network, data, augmentation=AUGMENTATION, batch_size=batch_size, device="cpu", **views)
        assert torch.equal(found.counts, expected.counts)
        assert found.classes == data.classes


def test_another_label_without_a_class(tiny_segmentation):
    data, network = tiny_segmentation(2), convolution(3, classes=3)
    moved = SegmentationData(data.images, data.masks.masked_fill(data.masks == 255, 9), data.classes, ignore=9)
    found = [evaluate(network, part, device="cpu").counts for part in (data, moved)]
    assert torch.equal(*found)


class Noise(nn.Module):
    """Draws in every mode, and notes which modes its parts are in."""

    def __init__(self):
        super().__init__()
        self.frozen = convolution(1)
        self.modes = []

    def forward(self, pixels):
        self.modes.append((self.training, self.frozen.training))
        return self.frozen(pixels) + torch.rand(())


class Pair(nn.Conv2d):
    """Scores, and something beside them."""

    def __init__(self):
        super().__init__(3, 3, 1)

    def forward(self, pixels):
        scores = super().forward(pixels)
        return scores, scores


@pytest.mark.parametrize("call", [predict, probabilities])
def test_modes_and_random_state_are_given_back(call):
    network = Noise().train()
    network.frozen.eval()
    before = torch.get_rng_state()
    call(network, images(), device="cpu")
    assert network.modes == [(False, False)]
    assert (network.training, network.frozen.training) == (True, False)
    assert torch.equal(before, torch.get_rng_state())


def test_modes_are_given_back_after_an_error():
    network = Noise().train()
    with pytest.raises(RuntimeError, match="channels"):
        predict(network, images()[:, :2], device="cpu")
    assert network.training


def test_nothing_is_learnt():
    network = nn.Sequential(nn.BatchNorm2d(3), convolution(3))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert not probabilities(network, images(), device="cpu").requires_grad
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


# -- what goes wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("views", "message"),
    [
        ({"scales": ()}, "scales: must have one at least, got none"),
        ({"scales": (1.0, 0.0)}, r"scales\[1\]: must be above 0, got 0.0"),
        ({"window": (4, 0)}, r"window\[1\]: must be at least 1, got 0"),
        ({"overlap": 1.0}, r"overlap: must lie in \[0, 1\), got 1.0"),
        ({"scale": (1.0,)}, "argument: 'scale' is unknown; did you mean 'scales'"),
    ],
)
def test_views_that_are_not_possible(views, message, tiny_segmentation):
    data, network = tiny_segmentation(1), convolution(3, classes=3)
    for call in (lambda: predict(network, data.images, **views), lambda: evaluate(network, data, **views)):
        with pytest.raises(ValueError, match=message):
            call()


def test_networks_that_do_not_fit(tiny_segmentation):
    data = tiny_segmentation(2)
    with pytest.raises(ValueError, match=r"network: must give scores \[2, 3, 8, 12\] for images \[2, 3, 8, 12\], got "):
        evaluate(convolution(3), data, device="cpu")
    flattened = nn.Sequential(nn.Flatten(), nn.Linear(288, 3))
    for network, got in (
        (nn.Conv2d(3, 3, 3, stride=2), r"\[2, 3, 3, 5\]"),
        (flattened, r"\[2, 3\]"),
        (Pair(), "tuple"),
    ):
        with pytest.raises(ValueError, match=rf"network: must give scores \[2, classes, 8, 12\] .* got {got}"):
            evaluate(network, data, device="cpu")
    with pytest.raises(ValueError, match="batch_size: must be at least 1, got 0"):
        evaluate(convolution(3, classes=3), data, batch_size=0, device="cpu")
    with pytest.raises(ValueError, match="images: must be one at least, got none"):
        predict(convolution(3), data.images[:0], device="cpu")
