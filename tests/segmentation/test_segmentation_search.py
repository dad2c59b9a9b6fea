"""The search on labelled pixels: both groups move, resume bit for bit, and what is refused before any work."""

import copy
from dataclasses import replace

import pytest
import torch

import archgrad as ag
from archgrad.data.segmentation import DenseAugmentation, SegmentationData
from archgrad.segmentation import plan_search, search
from archgrad.settings import SegmentationSearchSettings
from archgrad.spaces import TrellisSpace

SPACE = TrellisSpace(
    layers=2,
    filters=2,
    blocks=1,
    levels=2,
    num_classes=3,
    in_channels=1,
    candidates=("none", "skip_connect", "sep_conv_3x3"),
)
QUICK = SegmentationSearchSettings(
    epochs=3,
    warmup_epochs=1,
    batch_size=2,
    learning_rate=0.05,
    logits_learning_rate=0.05,
    augmentation=DenseAugmentation(crop=(16, 16), scale=(1.0, 1.0)),
)


@pytest.fixture(scope="module")
def labelled():
    """Eight images of 20×24 whose brightness tells the class."""
    masks = torch.randint(3, (8, 5, 6), generator=torch.Generator().manual_seed(0)).repeat_interleave(4, 1)
    masks = masks.repeat_interleave(4, 2).to(torch.uint8)
    return SegmentationData((80 * masks).unsqueeze(1), masks, ("low", "middle", "high"))


def quick(data, *, space=SPACE, settings=QUICK, **arguments):
    return search(space, data=data, settings=settings, device="cpu", **arguments)


def assert_equal_states(one, other):
    assert all(torch.equal(weight, other.logits[name]) for name, weight in one.logits.items())
    for first, second in zip(one.supernet.parameters(), other.supernet.parameters(), strict=True):
        assert torch.equal(first, second)


def test_both_groups_move_once_the_warm_up_is_over(labelled):
    initial = ag.Searcher(SPACE, steps_per_epoch=1, settings=QUICK, device="cpu").init(0).logits
    resting = quick(labelled, settings=replace(QUICK, epochs=1))
    assert all(torch.equal(resting.logits[name], logits) for name, logits in initial.items())
    moved = quick(labelled)
    assert all(not torch.equal(moved.logits[name], logits) for name, logits in initial.items())
    assert set(moved.history[-1]["mixture"]) == {"cell", "trellis"}
    assert "validation_loss" not in moved.history[0]
    assert {"train_loss", "train_accuracy", "validation_loss", "validation_accuracy"} <= set(moved.history[-1])


def test_the_result_decodes_to_a_network_that_trains(labelled):
    result = quick(labelled)
    assert result.genotype.space == "trellis"
    assert len(result.genotype.path) == 2
    network = SPACE.network(result.genotype, filters=2, stem_channels=2, head_channels=4, low_level_channels=2)
    recipe = ag.recipes.scenes(epochs=1, batch_size=2)
    score = ag.segmentation.train(network, data=labelled, test=labelled, recipe=recipe, device="cpu")
    assert 0 <= score.confusion.mean_iou <= 1


def test_stopped_and_resumed_equals_uninterrupted(labelled, stop_at, load_from):
    whole = quick(labelled)
    stop = stop_at(3)
    with pytest.raises(KeyboardInterrupt):
        quick(labelled, callbacks=[stop])
    resumed = quick(labelled, callbacks=[load_from(copy.deepcopy(stop.saved))])
    assert_equal_states(whole.state, resumed.state)
    assert whole.genotype == resumed.genotype


@pytest.mark.parametrize("method", ["darts-second-order", "darts-second-order-finite-difference", "snas"])
def test_other_methods(labelled, method):
    assert len(quick(labelled, method=method, settings=replace(QUICK, epochs=2)).history) == 2


def test_checkpointing_finds_the_same(labelled):
    plain, again = quick(labelled), quick(labelled, space=replace(SPACE, checkpointing=True))
    assert_equal_states(plain.state, again.state)


def test_validation_data_of_ones_own(labelled):
    assert quick(labelled, validation=labelled).history[-1]["validation_loss"] > 0


def test_what_a_step_takes_grows_with_batch_and_crop(labelled):
    def estimate(**changes):
        return plan_search(SPACE, data=labelled, settings=replace(QUICK, **changes), device="cpu").estimated_bytes

    larger = DenseAugmentation(crop=(64, 64), scale=(1.0, 1.0))
    assert estimate() < estimate(batch_size=4) < estimate(batch_size=4, augmentation=larger)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space": replace(SPACE, num_classes=4)}, "num_classes: the space has 4, the data has 3"),
        ({"space": replace(SPACE, in_channels=3)}, "in_channels: the space reads 3 channels, the images have 1"),
        ({"space": replace(SPACE, levels=4, layers=3)}, "images: 16×16 is too small for stride 32"),
        ({"settings": replace(QUICK, batch_size=5)}, "batch_size: 5 is more than the 4 images that train the weights"),
        ({"method": "dart"}, "method: 'dart' is unknown"),
        ({"epoch": 3}, "argument: 'epoch' is unknown; did you mean 'epochs'"),
    ],
)
def test_refused_before_any_work(labelled, changes, message):
    arguments = {"space": SPACE, "settings": QUICK, **changes}
    with pytest.raises((ValueError, TypeError), match=message):
        quick(labelled, **arguments)


def test_parts_that_do_not_belong_together(labelled):
    with pytest.raises(ValueError, match="validation: ignores the label 9, but data ignores 255"):
        quick(labelled, validation=replace(labelled, ignore=9))
    with pytest.raises(ValueError, match="validation: has the classes"):
        quick(labelled, validation=replace(labelled, classes=("a", "b", "c")))
    whole = replace(QUICK, augmentation=DenseAugmentation(scale=(1.0, 1.0)))
    with pytest.raises(ValueError, match=r"validation: images of shape .* give the augmentation a crop"):
        quick(labelled, validation=labelled.resized((24, 24)), settings=whole)


def test_what_cannot_fit_is_refused(labelled, monkeypatch):
    monkeypatch.setattr("archgrad.memory.available_bytes", lambda device: 1000)
    with pytest.raises(ValueError, match=r"would take about .* GiB.*lower batch_size, the crop"):
        quick(labelled)


def test_weights_that_cannot_fit_are_refused_before_they_are_made(labelled):
    with pytest.raises(ValueError, match=r"would take about .* GiB.*lower batch_size, the crop"):
        quick(labelled, space=replace(SPACE, filters=300_000))


def test_too_few_images(labelled):
    with pytest.raises(ValueError, match="data: has a single image"):
        quick(labelled.limited(1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 1}, "batch_size: must be at least 2"),
        ({"train_fraction": 1.0}, "train_fraction: must lie strictly"),
    ],
)
def test_settings_are_checked(changes, message):
    with pytest.raises(ValueError, match=message):
        SegmentationSearchSettings(**changes)
