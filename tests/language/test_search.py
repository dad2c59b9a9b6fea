"""Searches on text: reproducible, resumable with both hidden states, right in the limit, strict about their input."""

import copy
from dataclasses import fields, replace
from functools import partial

import pytest
import torch
from torch.func import functional_call

import archgrad as ag
from archgrad import Searcher, TextSearchSettings
from archgrad.data.text import Corpus, load_text
from archgrad.hypergrad import FiniteDifference, FirstOrder, InnerStep, Losses, Unrolled
from archgrad.language import search
from archgrad.ops.dropout import NO_DROPOUT, Dropout
from archgrad.relax import Softmax
from archgrad.runs import Recorder
from archgrad.spaces import RecurrentCellSpace
from archgrad.tasks import LanguageModelling

FIRST = "darts-first-order"
QUICK = {"epochs": 1, "batch_size": 4, "sequence_length": 20, "learning_rate": 1.0, "final_learning_rate": 1.0}


@pytest.fixture(scope="module")
def corpus():
    """320 tokens to train on: 4 or 5 steps an epoch."""
    return load_text("grammar", limit=320)


@pytest.fixture(scope="module")
def space(corpus):
    dropout = Dropout(output=0.2, hidden=0.2, cell_input=0.2, embedding=0.1)
    return RecurrentCellSpace(vocabulary_size=len(corpus.vocabulary), hidden_size=5, nodes=2, dropout=dropout)


def quick(space, corpus, **changes):
    return search(space, corpus=corpus, device="cpu", **{"method": FIRST, **QUICK, **changes})


def fingerprint(result):
    state = result.state
    carries = {f"carry {name}": carry for name, carry in state.carries.items()}
    return {**state.supernet.state_dict(), **{f"logits {k}": v for k, v in state.logits.items()}, **carries}


def equal(first, second):
    return all(torch.equal(tensor, second[name]) for name, tensor in first.items())


@pytest.mark.parametrize("method", [FIRST, "darts-second-order", "darts-second-order-finite-difference"])
def test_all_hypergradients_move_the_logits(space, corpus, method):
    result = quick(space, corpus, method=method)
    start = Searcher(space, steps_per_epoch=1, settings=TextSearchSettings(**QUICK)).init(0).logits["recurrent"]
    moved = (result.logits["recurrent"] - start).abs()
    assert result.logits["recurrent"].isfinite().all()
    assert moved.min() > 1e-4
    assert equal(fingerprint(result), fingerprint(quick(space, corpus, method=method)))


def test_a_stopped_search_goes_on_where_it_was(space, corpus, stop_at, load_from):
    whole = quick(space, corpus, epochs=2)
    stop = stop_at(3)
    with pytest.raises(KeyboardInterrupt):
        quick(space, corpus, epochs=2, callbacks=[stop])
    carries = stop.saved["carries"]
    assert {name: tuple(carry.shape) for name, carry in carries.items()} == {"train": (4, 5), "validation": (4, 5)}
    resumed = quick(space, corpus, epochs=2, callbacks=[load_from(stop.saved)])
    assert equal(fingerprint(whole), fingerprint(resumed))
    forgetful = copy.deepcopy(stop.saved) | {"carries": {"train": None, "validation": None}}
    assert not equal(fingerprint(whole), fingerprint(quick(space, corpus, epochs=2, callbacks=[load_from(forgetful)])))


def test_torchs_own_generator_is_given_back(space, corpus):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    quick(space, corpus)
    assert torch.equal(torch.get_rng_state(), before)


CHANGES = {
    "warmup_epochs": 1,
    "learning_rate": 2.0,
    "final_learning_rate": 0.5,
    "momentum": 0.5,
    "weight_decay": 0.1,
    "gradient_clip": 0.01,
    "unrolled_clip": 0.01,
    "logits_learning_rate": 0.1,
    "logits_betas": (0.5, 0.9),
    "logits_weight_decay": 0.5,
    "logits_scale": 0.1,
    "logit_updates": 2,
    "weight_updates": 2,
    "precision": "bfloat16",
    "batch_size": 5,
    "sequence_length": 10,
    "slowness": 10.0,
    "activation": 10.0,
}


def test_all_settings_are_tried():
    elsewhere = {"epochs", "patience", "eigenvalue_every", "gap_batches", "selection_batches"}  # the driver's tests
    assert {field.name for field in fields(TextSearchSettings)} == {*CHANGES, *elsewhere}


@pytest.mark.parametrize("name", CHANGES)
def test_every_setting_changes_the_search(space, corpus, name):
    method = "darts-second-order" if name == "unrolled_clip" else FIRST
    epochs = 2 if name == "final_learning_rate" else 1
    base = fingerprint(quick(space, corpus, method=method, epochs=epochs))
    other = fingerprint(quick(space, corpus, method=method, epochs=epochs, **{name: CHANGES[name]}))
    assert any(other[key] is None or not torch.equal(base[key], other[key]) for key in base)
    assert all(tensor.isfinite().all() for tensor in other.values() if tensor is not None)


def test_published_settings():
    settings = TextSearchSettings()
    assert (settings.batch_size, settings.sequence_length, settings.epochs) == (256, 35, 50)
    assert (settings.learning_rate, settings.final_learning_rate, settings.momentum) == (20.0, 20.0, 0.0)
    assert (settings.gradient_clip, settings.unrolled_clip, settings.weight_decay) == (0.25, 0.25, 5e-7)
    assert (settings.logits_learning_rate, settings.logits_weight_decay, settings.slowness) == (3e-3, 1e-3, 1e-3)
    assert Dropout() == Dropout(output=0.75, hidden=0.25, cell_input=0.75, embedding=0.2, rows=0.0)


def one_step(space, length, **changes):
    """The change of the weights by one step on a batch of `length` tokens, whose gradient is far above the clip."""
    settings = TextSearchSettings(
        **{**QUICK, "weight_decay": 0.0, "gradient_clip": 1e-3, "logit_updates": 0, **changes}
    )
    task = LanguageModelling(slowness=0.0, sequence_length=20)
    searcher = Searcher(space, steps_per_epoch=100, method=FIRST, settings=settings, task=task, device="cpu")
    state = searcher.init(0)
    before = copy.deepcopy(state.supernet.state_dict())
    tokens = torch.arange(4 * (length + 1)).view(length + 1, 4) % space.vocabulary_size
    searcher.step(state, (tokens[:-1], tokens[1:]), None)
    after = state.supernet.state_dict()
    return torch.cat([(after[name] - before[name]).flatten() for name in before])


def test_the_step_is_as_long_as_the_sequence(space):
    """‖w' − w‖ = η · length / BPTT · clip, since the gradient is clipped to the same norm."""
    assert float(one_step(space, 20).norm()) == pytest.approx(1e-3, rel=1e-3)
    assert float(one_step(space, 10).norm()) == pytest.approx(0.5e-3, rel=1e-3)


@pytest.fixture(scope="module")
def problem(space):
    """Losses of the supernet in float64, with masks that follow from a seed, at random weights and logits."""
    torch.manual_seed(3)
    smooth = ("none", "tanh", "sigmoid", "identity")  # differences across the kink of a ReLU prove nothing
    space = replace(space, dropout=NO_DROPOUT, candidates=smooth)
    supernet = space.supernet().double()
    weights = {name: 5 * parameter.detach() for name, parameter in supernet.named_parameters()}
    logits = {"recurrent": torch.randn(3, 4, dtype=torch.float64)}
    tokens = torch.randint(space.vocabulary_size, (2, 6, 4))
    mask = torch.ones(3, 4, dtype=torch.bool)

    def loss(part, module=supernet):
        def evaluate(weights, logits):
            mixture = {"recurrent": Softmax()(logits["recurrent"], mask)}
            forward = lambda inputs: functional_call(module, weights, (inputs, mixture))  # noqa: E731
            return LanguageModelling().evaluate(forward, (part[:-1], part[1:]), None).loss

        return evaluate

    return Losses(loss(tokens[0]), loss(tokens[1])), weights, logits, partial(loss, tokens[1]), space


def test_finite_differences_approach_the_exact_product(problem):
    losses, weights, logits, *_ = problem
    inner = InnerStep(learning_rate=5.0, gradient_clip=0.25)
    exact = Unrolled()(losses, weights, logits, inner=inner)["recurrent"]
    estimate = FiniteDifference(scale=1e-5)(losses, weights, logits, inner=inner)["recurrent"]
    first = FirstOrder()(losses, weights, logits, inner=inner)["recurrent"]
    torch.testing.assert_close(estimate, exact, rtol=1e-7, atol=1e-10)
    assert (exact - first).norm() > 1e-3 * first.norm()


def test_first_order_is_that_of_the_equations(problem):
    losses, weights, logits, validation, space = problem
    reference = replace(space, engine="per_edge").supernet().double()
    inner = InnerStep(learning_rate=1.0)
    found = FirstOrder()(losses, weights, logits, inner=inner)["recurrent"]
    expected = FirstOrder()(losses._replace(validation=validation(reference)), weights, logits, inner=inner)
    torch.testing.assert_close(found, expected["recurrent"], rtol=1e-9, atol=1e-12)


def test_bad_input(space, corpus, monkeypatch):
    other = replace(space, vocabulary_size=space.vocabulary_size + 1)
    with pytest.raises(ValueError, match="vocabulary_size: the space has 266 tokens, the text's vocabulary 265"):
        quick(other, corpus)
    with pytest.raises(ValueError, match="batch_size"):
        quick(space, corpus, batch_size=200)
    with pytest.raises(ValueError, match="sequence_length: must be at least 1, got 0"):
        quick(space, corpus, sequence_length=0)
    with pytest.raises(ValueError, match="argument: 'bptt' is unknown"):
        quick(space, corpus, bptt=35)
    monkeypatch.setattr("archgrad.memory.available_bytes", lambda device: 1000)
    with pytest.raises(ValueError, match=r"would take about .* GiB.*lower batch_size"):
        quick(space, corpus)


def test_a_checkpoint_of_another_text_is_refused(space, corpus, tmp_path):
    quick(space, corpus, callbacks=[Recorder(tmp_path / "run", configuration={})])
    turned = Corpus("turned", corpus.train.flip(0), corpus.validation, corpus.test, corpus.vocabulary)
    with pytest.raises(ValueError, match="belongs to another configuration"):
        quick(space, turned, callbacks=[Recorder(tmp_path / "run", configuration={}, resume=True)])


def test_public_names():
    assert ag.language.search is search
