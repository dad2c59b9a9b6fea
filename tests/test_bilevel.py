"""The alternating optimisation: what moves what, in which order, and that nothing depends on anything unsaved."""

import copy
import math
import os
import signal
from dataclasses import dataclass, field, fields, replace

import pytest
import torch
from torch.func import functional_call
from torch.nn.functional import cross_entropy
from torch.utils.data import TensorDataset

from archgrad import Callback, Diverged, Searcher, SearchSettings, search
from archgrad.data import Augmentation, ImageData, Stream
from archgrad.data import stream as stream_module
from archgrad.hypergrad import FirstOrder
from archgrad.methods import Method, darts, fair_darts, snas
from archgrad.relax import Softmax
from archgrad.schedule import cosine
from archgrad.tasks import Evaluation

PLAIN = Augmentation(crop_padding=0, flip=False)
BASE = {
    "epochs": 2,
    "batch_size": 4,
    "learning_rate": 0.1,
    "logits_learning_rate": 0.05,
    "augmentation": PLAIN,
}
FIRST = darts(order=1)


def quick(space, data, *, method=FIRST, callbacks=(), seed=0, **changes):
    return search(space, train=data, method=method, seed=seed, callbacks=callbacks, device="cpu", **{**BASE, **changes})


def fingerprint(result):
    """All tensors that a search leaves behind, by name."""
    logits = {f"logits.{name}": tensor for name, tensor in result.logits.items()}
    return {**result.state.supernet.state_dict(), **logits}


def timeless(history):
    return [{name: value for name, value in record.items() if name != "seconds"} for record in history]


def same(first, second):
    tensors, others = fingerprint(first), fingerprint(second)
    return timeless(first.history) == timeless(second.history) and all(
        torch.equal(tensor, others[name]) for name, tensor in tensors.items()
    )


def snapshot(state):
    weights = {name: weight.detach().clone() for name, weight in state.supernet.named_parameters()}
    return weights, {name: tensor.clone() for name, tensor in state.logits.items()}


def moved(before, after):
    return [name for name in before if not torch.equal(before[name], after[name])]


def batches_of(data, count, batch_size=6):
    stream = Stream(data, batch_size=batch_size, seed=3, purpose="test")
    return [batch for _, batch in zip(range(count), stream.batches(), strict=False)]


class Exact:
    """Cross-entropy in the precision of the scores, for comparisons in float64."""

    def evaluate(self, forward, batch, carry):
        images, labels = batch
        loss = cross_entropy(forward(images.to(torch.get_default_dtype())), labels)
        return Evaluation(loss, {"loss": loss.detach()}, len(labels), carry)


class Counting:
    """A task with a memory: the loss depends on how many batches of its part came before."""

    def __init__(self):
        self.seen = []

    def evaluate(self, forward, batch, carry):
        images, labels = batch
        carry = torch.zeros(()) if carry is None else carry
        self.seen.append(int(carry))
        loss = cross_entropy(forward(images), labels) * (1 + 0.1 * carry)
        return Evaluation(loss, {"loss": loss.detach()}, len(labels), carry + 1)


class Events(Callback):
    def __init__(self):
        self.names = []

    def on_start(self, loop):
        self.names.append("start")

    def on_step(self, loop, info):
        self.names.append(f"step {loop.state.progress.step}")

    def on_epoch(self, loop, record):
        self.names.append(f"epoch {record['epoch']}")

    def on_interrupt(self, loop):
        self.names.append("interrupt")

    def on_end(self, loop):
        self.names.append("end")

    def on_exit(self, loop):
        self.names.append("exit")


# -- one step -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 2])
def test_a_step_against_the_algorithm_written_out(tiny_space, tiny_data, order):
    """Two iterations of Algorithm 1 in float64: α first, by Adam; then w, by SGD, with the new α."""
    torch.set_default_dtype(torch.float64)
    try:
        settings = SearchSettings(epochs=2, learning_rate=0.1, logits_learning_rate=0.05, gradient_clip=0.5)
        searcher = Searcher(
            tiny_space, steps_per_epoch=1, method=darts(order=order), settings=settings, task=Exact(), device="cpu"
        )
        state = searcher.init(seed=0)
        w, alpha = snapshot(state)
        buffers = dict.fromkeys(w, 0.0)
        first = {name: torch.zeros_like(tensor) for name, tensor in alpha.items()}
        second = {name: torch.zeros_like(tensor) for name, tensor in alpha.items()}
        masks = {group.name: group.mask_tensor() for group in tiny_space.groups}

        def loss(weights, logits, batch):
            mixture = {name: Softmax()(tensor, masks[name]) for name, tensor in logits.items()}
            return cross_entropy(functional_call(state.supernet, weights, (batch[0].double(), mixture)), batch[1])

        batches = batches_of(tiny_data, 4)
        for step, (train_batch, validation_batch) in enumerate(zip(batches[::2], batches[1::2], strict=True)):
            rate = cosine(0.1, settings.final_learning_rate, epoch=step, epochs=2)
            alpha = {name: tensor.requires_grad_() for name, tensor in alpha.items()}
            w = {name: tensor.requires_grad_() for name, tensor in w.items()}
            inner = w
            if order == 2:
                found = torch.autograd.grad(loss(w, alpha, train_batch), list(w.values()), create_graph=True)
                inner = {
                    name: w[name] - rate * (gradient + 3e-4 * w[name] + 0.9 * buffers[name])
                    for name, gradient in zip(w, found, strict=True)
                }
            found = torch.autograd.grad(loss(inner, alpha, validation_batch), list(alpha.values()))
            for name, gradient in zip(list(alpha), found, strict=True):
                gradient = gradient + 1e-3 * alpha[name].detach()
                first[name] = 0.5 * first[name] + 0.5 * gradient
                second[name] = 0.999 * second[name] + 0.001 * gradient**2
                first_hat, second_hat = first[name] / (1 - 0.5 ** (step + 1)), second[name] / (1 - 0.999 ** (step + 1))
                alpha[name] = alpha[name].detach() - 0.05 * first_hat / (second_hat.sqrt() + 1e-8)
            found = torch.autograd.grad(loss(w, alpha, train_batch), list(w.values()))
            norm = torch.cat([gradient.flatten() for gradient in found]).norm()
            assert norm > 0.5  # clipping is part of the comparison
            for name, gradient in zip(list(w), found, strict=True):
                gradient = gradient * 0.5 / (norm + 1e-6) + 3e-4 * w[name].detach()
                buffers[name] = 0.9 * buffers[name] + gradient
                w[name] = w[name].detach() - rate * buffers[name]

            state, _ = searcher.step(state, train_batch, validation_batch)
            for name, tensor in alpha.items():
                torch.testing.assert_close(state.logits[name], tensor, rtol=1e-7, atol=1e-9)
            for name, weight in state.supernet.named_parameters():
                torch.testing.assert_close(weight.detach(), w[name], rtol=1e-7, atol=1e-9)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("order", [1, 2])
def test_architecture_step_moves_only_logits_and_weight_step_only_weights(tiny_space, tiny_data, order):
    """The spy is the task: it is asked for a loss before, between and after the two steps."""
    seen = []

    class Watching(Exact):
        def evaluate(self, forward, batch, carry):
            seen.append(snapshot(state))
            assert order == 2 or all(weight.grad is None for weight in state.supernet.parameters())
            return super().evaluate(forward, batch, carry)

    searcher = Searcher(
        tiny_space,
        steps_per_epoch=1,
        method=darts(order=order),
        settings=SearchSettings(**BASE),
        task=Watching(),
        device="cpu",
    )
    state = searcher.init(seed=0)
    searcher.step(state, *batches_of(tiny_data, 2))
    seen.append(snapshot(state))
    (weights, logits), (weights_between, logits_between), (weights_after, logits_after) = seen[0], seen[-2], seen[-1]
    assert len(seen) == 2 + order
    assert not moved(weights, weights_between)
    assert moved(logits, logits_between) == ["normal", "reduce"]
    assert len(moved(weights_between, weights_after)) == len(weights)
    assert not moved(logits_between, logits_after)


def test_first_order_computes_no_gradient_of_the_weights(tiny_space, tiny_data):
    checked = []

    def spy(losses, weights, logits, *, inner):
        found = FirstOrder()(losses, weights, logits, inner=inner)
        checked.append(all(weight.grad is None for weight in weights.values()))
        return found

    method = Method(name="spy", citation="", hypergradient=spy)
    searcher = Searcher(tiny_space, steps_per_epoch=1, method=method, settings=SearchSettings(**BASE), device="cpu")
    searcher.step(searcher.init(seed=0), *batches_of(tiny_data, 2))
    assert checked == [True]


def test_the_weight_step_gives_the_logits_no_gradient(tiny_space, tiny_data):
    settings = SearchSettings(**BASE, warmup_epochs=1)
    searcher = Searcher(tiny_space, steps_per_epoch=1, method=FIRST, settings=settings, device="cpu")
    state = searcher.init(seed=0)
    searcher.step(state, batches_of(tiny_data, 1)[0], None)
    assert all(tensor.grad is None and not tensor.requires_grad for tensor in state.logits.values())


def test_metrics_of_a_step(tiny_space, tiny_data):
    searcher = Searcher(tiny_space, steps_per_epoch=1, method=FIRST, settings=SearchSettings(**BASE), device="cpu")
    state, info = searcher.step(searcher.init(seed=0), *batches_of(tiny_data, 2))
    assert set(info) == {"train_loss", "train_accuracy", "validation_loss", "validation_accuracy"}
    assert all(isinstance(value, float) for value in info.values())
    assert state.progress.step == 1
    assert state.progress.means() == pytest.approx(info)


def test_no_validation_batch_after_the_warm_up_is_refused(tiny_space, tiny_data):
    searcher = Searcher(tiny_space, steps_per_epoch=1, settings=SearchSettings(**BASE), device="cpu")
    with pytest.raises(ValueError, match=r"validation_batch: is None, which is allowed during the warm-up only"):
        searcher.step(searcher.init(seed=0), batches_of(tiny_data, 1)[0], None)


def test_a_searcher_needs_steps_and_a_device_that_is_there(tiny_space):
    with pytest.raises(ValueError, match=r"steps_per_epoch: must be at least 1, got 0"):
        Searcher(tiny_space, steps_per_epoch=0)
    with pytest.raises(ValueError, match=r"device: 'abacus' is unknown; allowed: auto, cpu, cuda"):
        Searcher(tiny_space, steps_per_epoch=1, device="abacus")


# -- whole searches -------------------------------------------------------------------------------------------------


def test_cosine_by_epoch(tiny_space, tiny_data):
    rates = []

    class Rates(Callback):
        def on_step(self, loop, info):
            rates.append(loop.state.weight_optimizer.param_groups[0]["lr"])

    result = quick(tiny_space, tiny_data, epochs=3, callbacks=[Rates()])
    expected = [cosine(0.1, 0.001, epoch=epoch, epochs=3) for epoch in range(3)]
    assert rates == [rate for rate in expected for _ in range(3)]
    assert [record["learning_rate"] for record in result.history] == expected


def test_what_a_result_holds(tiny_space, tiny_data):
    result = quick(tiny_space, tiny_data)
    assert [(record["epoch"], record["step"]) for record in result.history] == [(1, 3), (2, 6)]
    for group in tiny_space.groups:
        assert result.logits[group.name].shape == group.shape
        assert torch.allclose(result.mixture[group.name].sum(dim=1), torch.ones(group.shape[0]))
        assert result.history[-1]["mixture"][group.name] == result.mixture[group.name].tolist()
    assert result.genotype == tiny_space.decode(result.mixture, FIRST.decoder)
    assert result.seconds >= 0
    network = tiny_space.network(result.genotype)
    assert network.eval()(torch.zeros(2, 1, 8, 8)).shape == (2, 2)


def test_the_parts_are_the_librarys_halves_unless_validation_is_given(tiny_space, tiny_data):
    own = search(tiny_space, train=tiny_data, validation=tiny_data, method=FIRST, device="cpu", **BASE)
    assert own.history[-1]["step"] == 2 * (24 // 4)
    assert quick(tiny_space, tiny_data).history[-1]["step"] == 2 * (12 // 4)


def test_warm_up_leaves_the_logits_untouched(tiny_space, tiny_data):
    logits = []

    class Watch(Callback):
        def on_start(self, loop):
            logits.append(snapshot(loop.state)[1])

        def on_epoch(self, loop, record):
            logits.append(snapshot(loop.state)[1])

    result = quick(tiny_space, tiny_data, epochs=2, warmup_epochs=1, callbacks=[Watch()])
    assert not moved(logits[0], logits[1])
    assert moved(logits[1], logits[2])
    assert "validation_loss" not in result.history[0]
    assert "validation_loss" in result.history[1]


@pytest.mark.parametrize("order", [1, 2])
def test_equal_seeds_are_equal_and_others_differ(tiny_space, tiny_data, order):
    method = darts(order=order)
    first, second = (quick(tiny_space, tiny_data, method=method, augmentation=Augmentation()) for _ in range(2))
    assert same(first, second)
    other = quick(tiny_space, tiny_data, method=method, augmentation=Augmentation(), seed=1)
    assert not same(first, other)


def test_random_state_of_the_caller_is_neither_used_nor_touched(tiny_space, tiny_data):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = quick(tiny_space, tiny_data)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    assert same(first, quick(tiny_space, tiny_data))


@pytest.mark.parametrize("order", [1, 2])
def test_stopped_at_any_step_and_resumed_is_uninterrupted_bit_for_bit(tiny_space, tiny_data, order, stop_at, load_from):
    arguments = {"method": darts(order=order), "augmentation": Augmentation(crop_padding=1), "warmup_epochs": 1}
    whole = quick(tiny_space, tiny_data, **arguments)
    for step in range(1, 6):
        stop = stop_at(step)
        with pytest.raises(KeyboardInterrupt):
            quick(tiny_space, tiny_data, callbacks=[stop], **arguments)
        assert stop.saved["progress"]["step"] == step
        resumed = quick(tiny_space, tiny_data, callbacks=[load_from(stop.saved)], **arguments)
        assert same(resumed, whole), step


def test_a_state_loaded_into_a_searcher_of_another_seed_is_complete(tiny_space, tiny_data):
    searcher = Searcher(tiny_space, steps_per_epoch=2, settings=SearchSettings(**BASE), device="cpu")
    batches = batches_of(tiny_data, 4)
    state, _ = searcher.step(searcher.init(seed=0), *batches[:2])
    other = searcher.init(seed=1)
    other.load_state_dict(copy.deepcopy(state.state_dict()))
    searcher.step(state, *batches[2:])
    searcher.step(other, *batches[2:])
    for first, second in zip(snapshot(state), snapshot(other), strict=True):
        assert not moved(first, second)
    assert other.progress == state.progress


CHANGES = {
    "epochs": 3,
    "batch_size": 6,
    "warmup_epochs": 1,
    "learning_rate": 0.2,
    "final_learning_rate": 0.05,
    "momentum": 0.5,
    "weight_decay": 0.1,
    "gradient_clip": 0.01,
    "logits_learning_rate": 0.1,
    "logits_betas": (0.9, 0.99),
    "logits_weight_decay": 0.1,
    "logits_scale": 0.1,
    "logit_updates": 2,
    "weight_updates": 2,
    "train_fraction": 0.75,
    "precision": "bfloat16",
    "augmentation": Augmentation(crop_padding=2, flip=False),
}


ELSEWHERE = {"patience", "unrolled_clip", "workers", "eigenvalue_every", "gap_batches", "selection_batches"}
"""Settings that are tested by themselves, here and in `test_searches_by_method`."""


def test_all_settings_are_tried():
    assert {field.name for field in fields(SearchSettings)} == {*CHANGES, *ELSEWHERE}


@pytest.fixture(scope="module")
def base_results(tiny_space, tiny_data):
    return {order: quick(tiny_space, tiny_data, method=darts(order=order)) for order in (1, 2)}


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", CHANGES)
def test_every_setting_changes_the_search(tiny_space, tiny_data, base_results, name, order):
    result = quick(tiny_space, tiny_data, method=darts(order=order), **{name: CHANGES[name]})
    base, other = fingerprint(base_results[order]), fingerprint(result)
    assert any(not torch.equal(tensor, other[name]) for name, tensor in base.items())
    assert all(tensor.isfinite().all() for tensor in other.values())


def test_the_clip_of_the_unrolled_step_changes_the_second_order_alone(tiny_space, tiny_data, base_results):
    for order, changes in ((1, False), (2, True)):
        base = fingerprint(base_results[order])
        other = fingerprint(quick(tiny_space, tiny_data, method=darts(order=order), unrolled_clip=0.01))
        assert any(not torch.equal(tensor, other[name]) for name, tensor in base.items()) == changes


def test_patience_stops(tiny_space, tiny_data):
    """Labels that are noise: the validation loss soon stops falling."""
    labels = torch.randint(2, (24,), generator=torch.Generator().manual_seed(0))
    noise = ImageData(torch.randn(24, 1, 8, 8, generator=torch.Generator().manual_seed(1)), labels, ("a", "b"))
    whole = quick(tiny_space, noise, epochs=6, patience=0)
    losses = [record["validation_loss"] for record in whole.history]
    age = [epoch - losses.index(min(losses[: epoch + 1])) for epoch in range(6)]
    expected = next(epoch for epoch, old in enumerate(age) if old >= 1) + 1
    assert expected < 6
    stopped = quick(tiny_space, noise, epochs=6, patience=1)
    assert timeless(stopped.history) == timeless(whole.history[:expected])


def test_workers_read_the_items(tiny_space, tiny_data, monkeypatch):
    """They change nothing else, so the reader's argument is what is compared."""
    numbers = []
    plain = stream_module.DataLoader

    def loader(*arguments, num_workers, **options):
        numbers.append(num_workers)
        return plain(*arguments, num_workers=0, **options)

    monkeypatch.setattr(stream_module, "DataLoader", loader)
    quick(tiny_space, TensorDataset(tiny_data.images, tiny_data.labels), epochs=1, workers=3)
    assert numbers == [3, 3]


def test_method_and_task_are_used(tiny_space, tiny_data, base_results):
    assert not same(base_results[1], base_results[2])
    assert not same(base_results[1], quick(tiny_space, tiny_data, method=darts(order=1, temperature=0.5)))
    finite = quick(tiny_space, tiny_data, method=darts(order=2, product="finite_difference"))
    assert not same(base_results[2], finite)
    task = Counting()
    search(tiny_space, train=tiny_data, method=FIRST, task=task, device="cpu", **BASE)
    assert task.seen


@pytest.mark.parametrize("order", [1, 2])
def test_what_a_task_carries_is_passed_on_and_saved(tiny_space, tiny_data, order, stop_at, load_from):
    """Each part has its own carry, and all evaluations within a step see the one that the step began with."""
    task = Counting()
    arguments = {**BASE, "train": tiny_data, "method": darts(order=order), "device": "cpu"}
    whole = search(tiny_space, task=task, **arguments)
    per_step = 1 + order  # validation and training batch, and for the second order the inner step's training loss
    assert task.seen == [step for step in range(6) for _ in range(per_step)]
    assert int(whole.state.carries["train"]) == int(whole.state.carries["validation"]) == 6
    stop = stop_at(2)
    with pytest.raises(KeyboardInterrupt):
        search(tiny_space, task=Counting(), callbacks=[stop], **arguments)
    assert same(search(tiny_space, task=Counting(), callbacks=[load_from(stop.saved)], **arguments), whole)


def test_updates_of_a_step_are_on_the_same_batches_and_carries(tiny_space, tiny_data):
    """Three architecture steps, then two weight steps, all with the carry that the step began with."""
    task, batches = Counting(), batches_of(tiny_data, 4)
    settings = SearchSettings(**BASE, logit_updates=3, weight_updates=2)
    searcher = Searcher(tiny_space, steps_per_epoch=1, method=FIRST, settings=settings, task=task, device="cpu")
    state = searcher.init(seed=0)
    before = snapshot(state)
    for number in (0, 1):
        searcher.step(state, *batches[2 * number : 2 * number + 2])
        assert task.seen == [0] * 5 + [1] * 5 * number
    assert state.progress.step == 2
    counts = {"validation_loss": 2 * 3 * 6, "train_loss": 2 * 2 * 6, "hypergradient_cosine": 1}
    assert state.progress.counts == counts
    assert moved(before[1], snapshot(state)[1])


def test_without_updates_of_the_logits_they_stay_and_need_no_batch(tiny_space, tiny_data):
    settings = SearchSettings(**BASE, logit_updates=0)
    searcher = Searcher(tiny_space, steps_per_epoch=1, method=FIRST, settings=settings, device="cpu")
    state = searcher.init(seed=0)
    before = snapshot(state)
    _, info = searcher.step(state, batches_of(tiny_data, 1)[0], None)
    assert not moved(before[1], snapshot(state)[1])
    assert moved(before[0], snapshot(state)[0])
    assert set(info) == {"train_loss", "train_accuracy"}


@pytest.mark.parametrize("order", [1, 2])
def test_penalties_are_part_of_the_hypergradient_and_of_nothing_else(tiny_space, tiny_data, order):
    """A constant slope of the mixture shows as such; metrics and the weight step do not know of it."""

    def slope(relaxed):
        assert [group.name for group in relaxed.groups] == list(relaxed.mixture) == list(relaxed.logits)
        return 1000 * relaxed.mixture["normal"][:, 1].sum()

    base = darts(order=order)
    searchers = [
        Searcher(tiny_space, steps_per_epoch=1, method=method, settings=SearchSettings(**BASE), device="cpu")
        for method in (base, replace(base, penalties=(slope, slope)))
    ]
    states, infos = zip(*(s.step(s.init(seed=0), *batches_of(tiny_data, 2)) for s in searchers), strict=True)
    plain, penalised = (state.logits["normal"].grad for state in states)
    alpha = searchers[0].init(seed=0).logits["normal"].requires_grad_()
    mask = tiny_space.groups[0].mask_tensor()
    (expected,) = torch.autograd.grad(2000 * Softmax()(alpha, mask)[:, 1].sum(), alpha)
    torch.testing.assert_close(penalised - plain, expected, rtol=1e-3, atol=1e-2)
    assert torch.equal(states[0].logits["reduce"].grad, states[1].logits["reduce"].grad)
    assert infos[0]["validation_loss"] == infos[1]["validation_loss"]


# -- relaxations that draw noise ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Watched:
    """A relaxation with noise that notes its seeds, and whether it was asked for a mixture without noise."""

    seeds: list = field(default_factory=list)

    def at(self, seed):
        self.seeds.append(seed)
        return lambda logits, mask: Softmax()(logits + seed % 7, mask)

    def __call__(self, logits, mask):
        self.seeds.append(None)
        return Softmax()(logits, mask)


def test_noise_is_that_of_the_seed_and_the_step(tiny_space, tiny_data):
    """Equal in all evaluations within a step, another for each group, step and seed; none for decoding."""
    seen = {}
    for seed in (0, 0, 1):
        watched = Watched()
        method = replace(darts(order=2), relaxation=watched)
        settings = SearchSettings(**BASE, logit_updates=2)
        searcher = Searcher(tiny_space, steps_per_epoch=1, method=method, settings=settings, device="cpu")
        state = searcher.init(seed)
        for number in (0, 1):
            searcher.step(state, *batches_of(tiny_data, 2))
            noises = watched.seeds[:]
            watched.seeds.clear()
            assert len(noises) == 2 * (2 * 2 + 1)  # of two groups, in the losses of two updates and of the weights
            assert noises == noises[:2] * 5
            assert seen.setdefault((seed, number), noises[:2]) == noises[:2]
        searcher.decode(state)
        assert watched.seeds == [None, None]
    assert len({noise for pair in seen.values() for noise in pair}) == 8


@pytest.mark.parametrize("method", [snas(temperature=0.7), fair_darts()], ids=["snas", "fair"])
def test_searches_with_noise_and_with_sigmoids_resume_exactly(tiny_space, tiny_data, method, stop_at, load_from):
    whole = quick(tiny_space, tiny_data, method=method)
    assert all(tensor.isfinite().all() for tensor in fingerprint(whole).values())
    assert same(whole, quick(tiny_space, tiny_data, method=method))
    assert not same(whole, quick(tiny_space, tiny_data))
    stop = stop_at(2)
    with pytest.raises(KeyboardInterrupt):
        quick(tiny_space, tiny_data, method=method, callbacks=[stop])
    assert same(quick(tiny_space, tiny_data, method=method, callbacks=[load_from(stop.saved)]), whole)


# -- callbacks and interruption -------------------------------------------------------------------------------------


def test_callbacks_in_order(tiny_space, tiny_data):
    events = Events()
    quick(tiny_space, tiny_data, callbacks=[events])
    steps = ["step 1", "step 2", "step 3", "epoch 1", "step 4", "step 5", "step 6", "epoch 2"]
    assert events.names == ["start", *steps, "end", "exit"]


@pytest.mark.parametrize("step", [2, 3])
def test_interruption_waits_until_the_step_is_whole(tiny_space, tiny_data, step, stop_at):
    """Also at the end of an epoch, whose record is filed first."""
    events = Events()
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        quick(tiny_space, tiny_data, callbacks=[stop_at(step), events])
    done = ["start", "step 1", "step 2", "step 3", "epoch 1"]
    assert events.names == [*(done[:3] if step == 2 else done), "interrupt", "exit"]
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_second_interruption_is_immediate(tiny_space, tiny_data):
    class Twice(Events):
        def on_step(self, loop, info):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            self.names.append("not reached")

    events = Twice()
    with pytest.raises(KeyboardInterrupt):
        quick(tiny_space, tiny_data, callbacks=[events])
    assert events.names == ["start", "exit"]


# -- what goes wrong ------------------------------------------------------------------------------------------------


def test_data_with_nan_is_refused_before_any_work(tiny_space, tiny_data):
    images = tiny_data.images.numpy().copy()
    images[5, 0, 0, 0] = math.nan
    events = Events()
    with pytest.raises(ValueError, match=r"images: must be finite, image 5 has NaN or infinity"):
        quick(tiny_space, (images, tiny_data.labels.numpy()), callbacks=[events])
    assert events.names == []


@pytest.mark.parametrize("order", [1, 2])
def test_an_exploding_learning_rate_is_diverged_with_its_step(tiny_space, tiny_data, order):
    events = Events()
    with pytest.raises(Diverged, match=r"is not finite at step \d+\. Try a lower learning.rate"):
        quick(tiny_space, tiny_data, method=darts(order=order), learning_rate=1e38, callbacks=[events])
    assert "end" not in events.names


def test_a_hypergradient_that_is_not_finite_moves_nothing(tiny_space, tiny_data):
    def broken(losses, weights, logits, *, inner):
        found = FirstOrder()(losses, weights, logits, inner=inner)
        found["reduce"][0, 0] = math.nan
        return found

    method = Method(name="broken", citation="", hypergradient=broken)
    searcher = Searcher(tiny_space, steps_per_epoch=1, method=method, settings=SearchSettings(**BASE), device="cpu")
    state = searcher.init(seed=0)
    before = snapshot(state)
    with pytest.raises(Diverged, match=r"hypergradient of 'reduce' is not finite at step 1"):
        searcher.step(state, *batches_of(tiny_data, 2))
    assert not any(moved(first, second) for first, second in zip(before, snapshot(state), strict=True))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epoch": 3}, r"argument: 'epoch' is unknown; did you mean 'epochs'"),
        ({"epochs": 0}, r"epochs: must be at least 1, got 0"),
        ({"batch_size": 13}, r"batch_size: 13 is more than the 12 examples for 'search train'"),
        ({"train_fraction": 1.5}, r"train_fraction: must lie strictly between 0 and 1, got 1.5"),
        ({"workers": -1}, r"workers: must be at least 0, got -1"),
        ({"logits_betas": (0.5, 1.0)}, r"logits_betas\[1\]: must lie in \[0, 1\), got 1.0"),
    ],
)
def test_settings_that_do_not_fit_are_refused_before_any_work(tiny_space, tiny_data, changes, message):
    events = Events()
    with pytest.raises(ValueError, match=message):
        quick(tiny_space, tiny_data, callbacks=[events], **changes)
    assert events.names == []


def test_data_that_does_not_fit_is_refused_before_any_work(tiny_space, tiny_data):
    def images(channels, size, classes):
        labels = torch.arange(24) % len(classes)
        return ImageData(torch.randn(24, channels, size, size), labels, tuple(classes))

    for data, message in [
        (images(3, 8, "ab"), r"in_channels: the network reads 1 channels, the images have 3"),
        (images(1, 7, "ab"), r"images: 7×7 is too small for the reductions; the 'cifar' stem needs at least 8×8"),
        (images(1, 8, "abc"), r"num_classes: the space has 2, the data has 3"),
        (
            ImageData(torch.randn(24, 1, 8, 8), torch.zeros(24).long(), ("a", "b")),
            r"train: has no example of class 'b'",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            quick(tiny_space, data)
    with pytest.raises(ValueError, match=r"validation: images of shape \(1, 9, 9\), but train has \(1, 8, 8\)"):
        search(tiny_space, train=tiny_data, validation=images(1, 9, "ab"), device="cpu", **BASE)
