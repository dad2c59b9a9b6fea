"""Training of networks that label pixels: every part of a recipe counts, and nothing depends on anything unsaved."""

import inspect
import math
from dataclasses import fields, replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from archgrad.data.segmentation.augment import DenseAugmentation
from archgrad.data.segmentation.labelled import SegmentationData
from archgrad.data.segmentation.stream import SegmentationStream
from archgrad.loop import Callback, Diverged
from archgrad.recipes import DenseRecipe, Recipe
from archgrad.segmentation import class_weights, evaluate, train
from archgrad.segmentation import training as training_module
from archgrad.tasks import Segmentation
from archgrad.training import Trainer

PLAIN = DenseAugmentation(scale=(1.0, 1.0), flip=False)
BASE = DenseRecipe(epochs=2, batch_size=4, learning_rate=0.1, path_dropout=0.0, evaluate_every=1, augmentation=PLAIN)
RANDOM = {"path_dropout": 0.3, "augmentation": DenseAugmentation(crop=(6, 8)), "average_decay": 0.5}


@pytest.fixture
def fit(tiny_segmentation, tiny_network):
    """Trains on 12 images."""

    def call(*, model=None, data=None, test=None, seed=0, callbacks=(), **changes):
        return train(
            tiny_network() if model is None else model,
            data=tiny_segmentation(12) if data is None else data,
            test=test,
            recipe=replace(BASE, **changes),
            seed=seed,
            callbacks=callbacks,
            device="cpu",
        )

    return call


def timeless(history):
    return [{name: value for name, value in record.items() if name != "seconds"} for record in history]


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def equal(first, second):
    return all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def same(first, second):
    return timeless(first.history) == timeless(second.history) and equal(
        weights(first.network), weights(second.network)
    )


class Watch(Callback):
    """Keeps what `look` sees of the state after every step."""

    def __init__(self, look):
        self.look = look
        self.seen = []

    def on_step(self, loop, info):
        self.seen.append(self.look(loop.state))


# -- the step -------------------------------------------------------------------------------------------------------


def test_steps_against_the_update_written_out(tiny_segmentation, tiny_network):
    """SGD with momentum, decay and clipping on the weighted loss of labelled pixels, at a rate that falls by step."""
    recipe = replace(BASE, gradient_clip=0.2, weight_decay=0.01)
    model, twin, balance = tiny_network(), tiny_network().train(), (1.0, 0.5, 3.0)
    trainer = Trainer(recipe, steps_per_epoch=2, task=Segmentation(class_weights=balance), device="cpu")
    state = trainer.init(model)
    buffers = [torch.zeros_like(weight) for weight in twin.parameters()]
    stream = SegmentationStream(tiny_segmentation(12), batch_size=4, seed=0, purpose="test", augmentation=PLAIN)
    for step, (images, masks) in zip(range(4), stream.batches(), strict=False):
        rate = 0.1 * (1 - step / 4) ** 0.9
        loss = F.cross_entropy(twin(images), masks, torch.tensor(balance), ignore_index=255)
        gradients = torch.autograd.grad(loss, list(twin.parameters()))
        norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
        assert norm > 0.2
        with torch.no_grad():
            for weight, gradient, buffer in zip(twin.parameters(), gradients, buffers, strict=True):
                buffer.mul_(0.9).add_(gradient * 0.2 / norm + 0.01 * weight)
                weight.sub_(rate * buffer)
        state, info = trainer.step(state, (images, masks))
        assert info["train_loss"] == pytest.approx(loss.item(), rel=1e-4)
        for weight, expected in zip(model.parameters(), twin.parameters(), strict=True):
            torch.testing.assert_close(weight, expected, rtol=1e-3, atol=1e-5)


CHANGES = {
    "epochs": 3,
    "batch_size": 3,
    "learning_rate": 0.2,
    "power": 2.0,
    "warmup_epochs": 2,
    "momentum": 0.5,
    "weight_decay": 0.1,
    "gradient_clip": 0.01,
    "class_weights": "inverse_log",
    "path_dropout": 0.5,
    "average_decay": 0.5,
    "precision": "bfloat16",
    "augmentation": replace(PLAIN, crop=(4, 4)),
}


def test_all_fields_of_a_recipe_are_tried():
    assert {field.name for field in fields(DenseRecipe)} == {*CHANGES, "evaluate_every", "evaluation_batch_size"}


@pytest.mark.parametrize("name", CHANGES)
def test_every_field_changes_the_training(fit, name):
    base, other = (fit(**changes) for changes in ({}, {name: CHANGES[name]}))
    assert not equal(weights(base.network), weights(other.network))
    assert all(tensor.isfinite().all() for tensor in weights(other.network).values())


def test_rates_fall_by_the_step_and_path_dropout_rises_by_the_epoch(fit):
    watch = Watch(lambda state: (state.optimizer.param_groups[0]["lr"], state.network.path_dropout))
    score = fit(epochs=4, path_dropout=0.4, warmup_epochs=1, callbacks=[watch])
    expected = [0.1 * (1 - step / 12) ** 0.9 * min(1.0, (step + 1) / 3) for step in range(12)]
    assert [rate for rate, _ in watch.seen] == pytest.approx(expected)
    assert [dropped for _, dropped in watch.seen] == pytest.approx([0.1 * (step // 3) for step in range(12)])
    assert [record["learning_rate"] for record in score.history] == pytest.approx(expected[2::3])


def test_a_batch_without_a_class_changes_nothing(tiny_segmentation, tiny_network):
    """Without decay, and without momentum from before."""
    trainer = Trainer(replace(BASE, weight_decay=0.0), steps_per_epoch=3, task=Segmentation(), device="cpu")
    state = trainer.init(tiny_network())
    before = weights(state.network)
    images = tiny_segmentation(4).images / 255
    _, info = trainer.step(state, (images, torch.full((4, 8, 12), 255)))
    assert info == {"train_loss": 0.0, "train_accuracy": 0.0}
    names = [name for name, _ in state.network.named_parameters()]
    assert all(torch.equal(before[name], state.network.state_dict()[name]) for name in names)


# -- what comes back ------------------------------------------------------------------------------------------------


def test_it_learns(fit, tiny_segmentation, tiny_network):
    """More than a guess, which is right in a third of the pixels and has a mean IoU of a fifth."""
    test, model = tiny_segmentation(6, seed=1), tiny_network()
    score = fit(model=model, test=test, epochs=15)
    assert score.confusion.mean_iou > 0.6
    assert score.confusion.accuracy > 0.75
    assert score.network is model
    assert not model.training
    assert score.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert score.seconds == sum(record["seconds"] for record in score.history)
    again = evaluate(model, test, augmentation=score.augmentation, device="cpu")
    assert torch.equal(again.counts, score.confusion.counts)


def test_evaluation_is_every_so_many_epochs_and_after_the_last(fit, tiny_segmentation):
    test = tiny_segmentation(3, seed=1)
    for every, expected in ((1, [1, 2, 3, 4, 5]), (2, [2, 4, 5]), (9, [5])):
        score = fit(test=test, epochs=5, evaluate_every=every)
        assert [record["epoch"] for record in score.history if "test_iou" in record] == expected
        last = score.history[-1]
        assert (last["test_iou"], last["test_accuracy"]) == (score.confusion.mean_iou, score.confusion.accuracy)
        assert {"train_loss", "train_accuracy", "learning_rate"} <= last.keys()


def test_test_images_may_have_another_size_and_come_so_many_at_once(fit, tiny_segmentation, monkeypatch):
    sizes = []

    def watched(*arguments, batch_size, **options):
        sizes.append(batch_size)
        return evaluate(*arguments, batch_size=batch_size, **options)

    monkeypatch.setattr(training_module, "evaluate", watched)
    score = fit(test=tiny_segmentation(3, seed=1, size=(5, 7)), evaluation_batch_size=2)
    assert score.confusion.pixels <= 3 * 5 * 7
    assert set(sizes) == {2}


def test_without_a_test_set_there_is_no_confusion(fit):
    score = fit()
    assert score.confusion is None
    assert [(record["epoch"], record["step"]) for record in score.history] == [(1, 3), (2, 6)]
    assert "test_iou" not in score.history[-1]


def test_the_average_is_what_is_evaluated_and_returned(fit, tiny_segmentation, tiny_network):
    test, model, twin = tiny_segmentation(3, seed=1), tiny_network(), tiny_network()
    score = fit(model=model, test=test, average_decay=0.9)
    fit(model=twin)
    assert equal(weights(model), weights(twin))  # the weights that are trained do not depend on their average
    assert not equal(weights(score.network), weights(model))
    again = evaluate(score.network, test, augmentation=score.augmentation, device="cpu")
    assert torch.equal(again.counts, score.confusion.counts)


def test_the_normalisation_is_that_of_the_training_images(fit, tiny_segmentation):
    data = tiny_segmentation(12)
    assert fit(data=data).augmentation == PLAIN.fitted(data)


# -- weights of the classes -----------------------------------------------------------------------------------------


def data_of(*masks):
    masks = torch.tensor(masks, dtype=torch.uint8)
    count, *size = masks.shape
    return SegmentationData(torch.zeros(count, 3, *size, dtype=torch.uint8), masks, ("a", "b", "c", "d"))


def test_weights_of_classes_in_closed_form():
    """11 labelled pixels: 6 of a, 3 of b, 2 of c in 5 labelled pixels of the second image; d has none."""
    data = data_of([[0, 0, 0], [0, 1, 1]], [[0, 0, 1], [2, 2, 255]])
    assert class_weights(data, "none") is None
    assert class_weights(data, "inverse_log") == pytest.approx(
        [*(1 / math.log(1.02 + count / 11) for count in (6, 3, 2)), 0.0]
    )
    frequencies = (6 / 11, 3 / 11, 2 / 5)
    assert class_weights(data, "median_frequency") == pytest.approx(
        [0.4 / frequency for frequency in frequencies] + [0]
    )


def test_classes_that_are_alike_weigh_alike():
    data = data_of([[0, 1], [2, 3]])
    assert class_weights(data, "median_frequency") == pytest.approx([1.0] * 4)
    assert class_weights(data, "inverse_log") == pytest.approx([1 / math.log(1.27)] * 4)


def test_unknown_weights_are_named():
    with pytest.raises(ValueError, match=r"class_weights: 'median' is unknown;.* Allowed: none, inverse_log, median_"):
        class_weights(data_of([[0, 1], [2, 3]]), "median")


# -- reproducibility ------------------------------------------------------------------------------------------------


def test_equal_seeds_give_equal_weights_and_others_differ(fit):
    first, second, other = (fit(seed=seed, **RANDOM) for seed in (3, 3, 4))
    assert same(first, second)
    assert not same(first, other)


def test_random_state_of_the_caller_is_neither_used_nor_touched(fit, tiny_segmentation):
    test = tiny_segmentation(3, seed=1)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = fit(test=test, **RANDOM)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(6)
    assert same(first, fit(test=test, **RANDOM))


def test_stopped_at_any_step_and_resumed_is_uninterrupted_bit_for_bit(
    fit, tiny_segmentation, tiny_network, stop_at, load_from
):
    test = tiny_segmentation(3, seed=1)
    uninterrupted = fit(test=test, **RANDOM)
    for step in range(1, 7):  # the last is the end
        stop = stop_at(step)
        with pytest.raises(KeyboardInterrupt):
            fit(test=test, callbacks=[stop], **RANDOM)
        assert stop.saved["progress"]["step"] == step
        resumed = fit(model=tiny_network(seed=7), test=test, callbacks=[load_from(stop.saved)], **RANDOM)
        assert same(resumed, uninterrupted), step
        assert torch.equal(resumed.confusion.counts, uninterrupted.confusion.counts), step


# -- what goes wrong ------------------------------------------------------------------------------------------------


def test_an_exploding_learning_rate_is_diverged_with_its_step(fit):
    with pytest.raises(Diverged, match=r"training loss is not finite at step \d+\. Try a lower learning.rate"):
        fit(learning_rate=1e38)


def test_data_that_does_not_fit_is_refused_before_any_work(fit, tiny_segmentation, tiny_network):
    model, data = tiny_network(), tiny_segmentation(12)
    before = weights(model)
    four = SegmentationData(data.images, data.masks, ("red", "green", "blue", "white"))
    named = SegmentationData(data.images, data.masks, ("a", "b", "c"))
    ignored = SegmentationData(data.images, data.masks.masked_fill(data.masks == 255, 9), data.classes, ignore=9)
    grey = SegmentationData(data.images[:, :1], data.masks, data.classes)
    for arguments, message in (
        (
            {"data": four},
            r"data: images of shape \(3, 8, 12\) and 4 classes .* scores \[1, 4, 8, 12\], got \[1, 3, 8, 12",
        ),
        ({"data": grey}, r"data: the network cannot process images of shape \(1, 8, 12\)"),
        ({"test": named}, r"test: has the classes \('a', 'b', 'c'\), but data has \('red', 'green', 'blue'\)"),
        ({"test": ignored}, r"test: ignores the label 9, but data ignores 255"),
        ({"test": grey}, r"test: images with 1 channels, but data has 3"),
        ({"batch_size": 13}, r"batch_size: 13 is more than the 12 "),
    ):
        with pytest.raises(ValueError, match=message):
            fit(model=model, **arguments)
    assert equal(before, weights(model))


def test_networks_that_do_not_fit_are_refused(fit, tiny_segmentation, tiny_network):
    strided = nn.Sequential(tiny_network(), nn.MaxPool2d(2))
    with pytest.raises(ValueError, match=r"need a network that gives scores \[1, 3, 6, 8\], got \[1, 3, 3, 4\]"):
        fit(model=strided, augmentation=replace(PLAIN, crop=(6, 8)))
    fixed = nn.Sequential(nn.Flatten(), nn.Linear(288, 288), nn.Unflatten(1, (3, 8, 12)))
    with pytest.raises(ValueError, match=r"test: the network cannot process images of shape \(3, 5, 7\)"):
        fit(model=fixed, test=tiny_segmentation(3, size=(5, 7)))

    class Named(nn.Conv2d):
        def forward(self, images):
            return {"out": super().forward(images)}

    with pytest.raises(ValueError, match=r"network: must give one tensor of scores in evaluation mode, got a dict"):
        fit(model=Named(3, 3, 1))


def test_other_recipes_and_missing_tasks_are_refused(tiny_segmentation, tiny_network):
    with pytest.raises(
        ValueError, match=r"recipe: must be a DenseRecipe such as archgrad.recipes.cityscapes\(\), got Re"
    ):
        inspect.unwrap(train)(tiny_network(), data=tiny_segmentation(4), test=None, recipe=Recipe())
    with pytest.raises(ValueError, match=r"task: must be given for a DenseRecipe; only a Recipe describes one"):
        Trainer(BASE, steps_per_epoch=1, device="cpu")


def test_a_training_that_a_callback_ends_is_scored_as_it_ended(fit, tiny_segmentation):
    """Its last epoch was not assessed: what was found of an earlier one is not what the network does now."""

    class End(Callback):
        def on_epoch(self, loop, record):
            if record["epoch"] == 3:
                loop.stop()

    test = tiny_segmentation(4)
    score = fit(test=test, epochs=6, evaluate_every=2, callbacks=[End()])
    assert len(score.history) == 3
    found = evaluate(score.network, test, augmentation=score.augmentation, device="cpu")
    assert torch.equal(score.confusion.counts, found.counts)


@pytest.mark.parametrize("evaluate_every", [1, 3])
def test_the_test_set_is_evaluated_once_after_the_last_epoch(fit, tiny_segmentation, monkeypatch, evaluate_every):
    counted = []
    monkeypatch.setattr(training_module, "evaluate", lambda *a, **o: counted.append(1) or evaluate(*a, **o))
    fit(test=tiny_segmentation(4), epochs=3, evaluate_every=evaluate_every)
    assert len(counted) == 3 // evaluate_every
