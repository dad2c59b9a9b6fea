"""Training from scratch: every part of a recipe counts, and nothing depends on anything unsaved."""

import copy
import math
from dataclasses import fields

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import TensorDataset

from archgrad import Callback, Diverged, Recipe, evaluate, train
from archgrad.data import Augmentation, ImageData, Stream
from archgrad.data import stream as stream_module
from archgrad.genotype import Cell, Edge, Genotype
from archgrad.spaces import ConvNetwork
from archgrad.training import Trainer, count_parameters

NODE = (Edge("sep_conv_3x3", 0), Edge("skip_connect", 1))
GENOTYPE = Genotype("conv_cell", (Cell("normal", (NODE,), (2,)), Cell("reduce", (NODE,), (2,))))
PLAIN = Augmentation(crop_padding=0, flip=False)
BASE = {"epochs": 2, "batch_size": 8, "learning_rate": 0.1, "path_dropout": 0.0, "augmentation": PLAIN}


def network(*, seed=0, **arguments):
    torch.manual_seed(seed)
    return ConvNetwork(GENOTYPE, channels=4, layers=3, num_classes=2, in_channels=1, **arguments)


def fit(data, *, model=None, seed=0, test=None, callbacks=(), **changes):
    recipe = Recipe(**{**BASE, **changes})
    model = network() if model is None else model
    return train(model, train=data, test=test, recipe=recipe, seed=seed, callbacks=callbacks, device="cpu")


def timeless(history):
    return [{name: value for name, value in record.items() if name != "seconds"} for record in history]


def same(first, second):
    states = first.network.state_dict(), second.network.state_dict()
    return timeless(first.history) == timeless(second.history) and all(
        torch.equal(tensor, states[1][name]) for name, tensor in states[0].items()
    )


class Watch(Callback):
    """Keeps what `look` sees of the state after every step."""

    def __init__(self, look):
        self.look = look
        self.seen = []

    def on_step(self, loop, info):
        self.seen.append(self.look(loop.state))


def test_a_step_against_the_update_written_out(tiny_data):
    """SGD with momentum, decay and clipping on the smoothed loss with its auxiliary term, for two steps."""
    recipe = Recipe(**{**BASE, "gradient_clip": 0.5, "label_smoothing": 0.2, "auxiliary_weight": 0.7})
    model, twin = network(auxiliary=True), network(auxiliary=True)
    trainer = Trainer(recipe, steps_per_epoch=1, device="cpu")
    state = trainer.init(model)
    buffers = [torch.zeros_like(weight) for weight in twin.parameters()]
    batches = Stream(tiny_data, batch_size=8, seed=0, purpose="test").batches()
    for epoch, (images, labels) in zip(range(2), batches, strict=False):
        rate = 0.1 * (1 + math.cos(math.pi * epoch / 2)) / 2
        target = 0.8 * F.one_hot(labels, 2) + 0.2 / 2
        scores, auxiliary = twin(images)
        terms = [-(target * output.log_softmax(dim=1)).sum(dim=1).mean() for output in (scores, auxiliary)]
        loss = terms[0] + 0.7 * terms[1]
        gradients = torch.autograd.grad(loss, list(twin.parameters()))
        norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
        assert norm > 0.5
        with torch.no_grad():
            for weight, gradient, buffer in zip(twin.parameters(), gradients, buffers, strict=True):
                buffer.mul_(0.9).add_(gradient * 0.5 / norm + 3e-4 * weight)
                weight.sub_(rate * buffer)
        state, info = trainer.step(state, (images, labels))
        assert info["train_loss"] == pytest.approx(loss.item(), rel=1e-4)
        for weight, expected in zip(model.parameters(), twin.parameters(), strict=True):
            torch.testing.assert_close(weight, expected, rtol=1e-3, atol=1e-5)


CHANGES = {
    "epochs": (3, {}),
    "batch_size": (6, {}),
    "learning_rate": (0.2, {}),
    "final_learning_rate": (0.05, {}),
    "schedule": ("exponential", {}),
    "decay": (0.5, {"schedule": "exponential"}),
    "warmup_epochs": (2, {}),
    "momentum": (0.5, {}),
    "weight_decay": (0.1, {}),
    "gradient_clip": (0.01, {}),
    "label_smoothing": (0.2, {}),
    "auxiliary_weight": (0.9, {"auxiliary": True}),
    "path_dropout": (0.5, {}),
    "average_decay": (0.5, {}),
    "precision": ("bfloat16", {}),
    "augmentation": (Augmentation(crop_padding=2, flip=False), {}),
}


def test_all_fields_of_a_recipe_are_tried():
    assert {field.name for field in fields(Recipe)} == {*CHANGES, "evaluate_every", "workers"}


@pytest.mark.parametrize("name", CHANGES)
def test_every_field_changes_the_training(tiny_data, name):
    value, others = CHANGES[name]
    auxiliary = "auxiliary" in others
    others = {} if auxiliary else others
    base, other = (
        fit(tiny_data, model=network(auxiliary=auxiliary), **others, **changes) for changes in ({}, {name: value})
    )
    states = base.network.state_dict(), other.network.state_dict()
    assert any(not torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())
    assert all(tensor.isfinite().all() for tensor in states[1].values())


def test_evaluation_is_every_so_many_epochs_and_after_the_last(tiny_data):
    for every, expected in ((1, [1, 2, 3, 4, 5]), (2, [2, 4, 5]), (9, [5])):
        score = fit(tiny_data, test=tiny_data, epochs=5, evaluate_every=every)
        assert [record["epoch"] for record in score.history if "test_accuracy" in record] == expected
        assert score.accuracy == score.history[-1]["test_accuracy"]
        assert score.loss == score.history[-1]["test_loss"]


def test_workers_read_the_items(tiny_data, monkeypatch):
    """They change nothing else, so the reader's argument is what is compared."""
    numbers = []
    plain = stream_module.DataLoader

    def loader(*arguments, num_workers, **options):
        numbers.append(num_workers)
        return plain(*arguments, num_workers=0, **options)

    monkeypatch.setattr(stream_module, "DataLoader", loader)
    fit(TensorDataset(tiny_data.images, tiny_data.labels), epochs=1, workers=3)
    assert numbers == [3]


def test_rates_and_path_dropout_by_epoch(tiny_data):
    watch = Watch(lambda state: (state.optimizer.param_groups[0]["lr"], state.network.path_dropout))
    score = fit(tiny_data, epochs=4, path_dropout=0.4, warmup_epochs=2, callbacks=[watch])
    recipe = Recipe(**{**BASE, "epochs": 4, "path_dropout": 0.4, "warmup_epochs": 2})
    expected = [(recipe.rate(epoch), pytest.approx(0.1 * epoch)) for epoch in range(4)]
    assert watch.seen == [values for values in expected for _ in range(3)]
    assert [record["learning_rate"] for record in score.history] == [rate for rate, _ in expected]


def test_it_learns(tiny_data):
    score = fit(tiny_data, test=tiny_data, epochs=15)
    assert score.accuracy > 0.8
    assert evaluate(score.network, tiny_data, augmentation=score.augmentation, device="cpu") == pytest.approx(
        {"loss": score.loss, "accuracy": score.accuracy},
        abs=1e-6,  # both are sums of float32, in an order that is the processor's
    )


def test_without_a_test_set_there_is_no_score(tiny_data):
    score = fit(tiny_data)
    assert (score.accuracy, score.loss) == (None, None)
    assert [(record["epoch"], record["step"]) for record in score.history] == [(1, 3), (2, 6)]
    assert not score.network.training


def test_auxiliary_head_is_not_counted(tiny_data):
    score = fit(tiny_data, model=network(auxiliary=True))
    assert score.parameters == count_parameters(network()) < sum(w.numel() for w in score.network.parameters())


def test_any_module_can_be_trained(tiny_data):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    score = fit(tiny_data, model=model, test=tiny_data, epochs=10)
    assert score.network is model
    assert score.accuracy > 0.8


# -- averaging ------------------------------------------------------------------------------------------------------


def test_average_is_exponential_over_steps_and_is_what_is_returned(tiny_data):
    """torch's rule: the average starts as the weights after the first step."""
    watch = Watch(lambda state: {name: tensor.clone() for name, tensor in state.network.state_dict().items()})
    score = fit(tiny_data, average_decay=0.8, test=tiny_data, callbacks=[watch])
    expected = watch.seen[0]
    for weights in watch.seen[1:]:
        expected = {
            name: 0.8 * tensor + 0.2 * weights[name] if tensor.is_floating_point() else weights[name]
            for name, tensor in expected.items()
        }
    for name, tensor in score.network.state_dict().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, expected[name], rtol=1e-4, atol=1e-6)
    found = evaluate(score.network, tiny_data, augmentation=score.augmentation, device="cpu")
    assert found == pytest.approx({"loss": score.loss, "accuracy": score.accuracy})


def test_the_trained_weights_do_not_depend_on_their_average(tiny_data):
    models = network(), network()
    fit(tiny_data, model=models[0])
    fit(tiny_data, model=models[1], average_decay=0.8)
    states = [model.state_dict() for model in models]
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())


# -- reproducibility ------------------------------------------------------------------------------------------------

RANDOM = {"path_dropout": 0.3, "augmentation": Augmentation(crop_padding=1, flip=True, cutout=2), "average_decay": 0.5}


def test_equal_seeds_give_equal_weights_and_others_differ(tiny_data):
    first, second, other = (fit(tiny_data, seed=seed, **RANDOM) for seed in (3, 3, 4))
    assert same(first, second)
    assert not same(first, other)


def test_the_seed_decides_the_random_layers_too(tiny_data):
    """Equal batches, so that path dropout alone is random; it is above zero from the second epoch on."""
    batch = next(Stream(tiny_data, batch_size=8, seed=0, purpose="test").batches())
    found = []
    for seed in (3, 3, 4):
        trainer = Trainer(Recipe(**{**BASE, "path_dropout": 0.8}), steps_per_epoch=1, seed=seed, device="cpu")
        state = trainer.init(network())
        found.append([trainer.step(state, batch)[1]["train_loss"] for _ in range(2)])
    assert found[0] == found[1]
    assert found[0][0] == found[2][0]
    assert found[0][1] != found[2][1]


def test_random_layers_draw_anew_in_every_step(tiny_data):
    class Noise(nn.Module):
        def __init__(self):
            super().__init__()
            self.scores = nn.Linear(64, 2)
            self.drawn = []

        def forward(self, images):
            drawn = torch.rand(()).item()
            if self.training:
                self.drawn.append(drawn)
            return self.scores(images.flatten(1))

    models = [Noise() for _ in range(3)]
    before = torch.get_rng_state()
    for model, seed in zip(models, (3, 3, 4), strict=True):
        fit(tiny_data, model=model, seed=seed)
    assert torch.equal(before, torch.get_rng_state())
    assert models[0].drawn == models[1].drawn
    assert len({*models[0].drawn, *models[2].drawn}) == 12


def test_random_state_of_the_caller_is_neither_used_nor_touched(tiny_data):
    model = network()
    torch.manual_seed(5)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = fit(tiny_data, model=copy.deepcopy(model), **RANDOM)
    assert torch.equal(before, torch.get_rng_state())
    assert np.array_equal(numpy_before, np.random.get_state()[1])  # noqa: NPY002
    torch.manual_seed(6)
    assert same(first, fit(tiny_data, model=copy.deepcopy(model), **RANDOM))


def test_stopped_at_any_step_and_resumed_is_uninterrupted_bit_for_bit(tiny_data, stop_at, load_from):
    whole = fit(tiny_data, test=tiny_data, **RANDOM)
    for step in range(1, 6):
        stop = stop_at(step)
        with pytest.raises(KeyboardInterrupt):
            fit(tiny_data, test=tiny_data, callbacks=[stop], **RANDOM)
        assert stop.saved["progress"]["step"] == step
        resumed = fit(tiny_data, model=network(seed=7), test=tiny_data, callbacks=[load_from(stop.saved)], **RANDOM)
        assert same(resumed, whole), step


# -- evaluation -----------------------------------------------------------------------------------------------------


def test_evaluation_sees_every_example_once_whatever_the_batch(tiny_data):
    model = network()
    by_hand = model.eval()(tiny_data.images)
    accuracy = (by_hand.argmax(dim=1) == tiny_data.labels).double().mean().item()
    loss = F.cross_entropy(by_hand, tiny_data.labels).item()
    for batch_size in (1, 7, 24, 100):
        found = evaluate(model.train(), tiny_data, batch_size=batch_size, device="cpu")
        assert found == pytest.approx({"loss": loss, "accuracy": accuracy}, rel=1e-4)
        assert not model.training


# -- what goes wrong ------------------------------------------------------------------------------------------------


def test_an_exploding_learning_rate_is_diverged_with_its_step(tiny_data):
    with pytest.raises(Diverged, match=r"training loss is not finite at step \d+\. Try a lower learning.rate"):
        fit(tiny_data, learning_rate=1e38)


def test_weights_that_are_not_finite_are_found_at_the_first_step(tiny_data):
    model = network()
    model.classifier.bias.data[0] = math.nan
    with pytest.raises(Diverged, match=r"training loss is not finite at step 1\."):
        fit(tiny_data, model=model)


def test_data_that_does_not_fit_is_refused_before_any_work(tiny_data):
    def images(size, names):
        return ImageData(torch.randn(8, 1, size, size), torch.arange(8) % len(names), names)

    weights = network().state_dict()
    model = network()
    for testing, message in [
        (images(9, ("dark", "bright")), r"test: images of shape \(1, 9, 9\), but train has \(1, 8, 8\)"),
        (images(8, ("cat", "dog")), r"test: has the classes \('cat', 'dog'\), but train has \('dark', 'bright'\)"),
        ((np.full((4, 8, 8), np.nan, np.float32), [0, 1, 0, 1]), r"images: must be finite, image 0 has NaN"),
    ]:
        with pytest.raises(ValueError, match=message):
            fit(tiny_data, model=model, test=testing)
    for training, message in [
        (images(8, ("a", "b", "c")), r"train: example 2 has label 2; allowed is 0 to 1"),
        (
            (np.zeros((4, 8, 8, 3), np.uint8), [0, 1, 0, 1]),
            r"train: the network cannot process images of shape \(3, 8, 8",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            fit(training, model=model)
    with pytest.raises(ValueError, match=r"batch_size: 25 is more than the 24 examples for 'train'"):
        fit(tiny_data, model=model, batch_size=25)
    with pytest.raises(ValueError, match=r"train: has no example of class 'bright'"):
        fit(tiny_data.subset(list(range(0, 24, 2))), model=model)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())
