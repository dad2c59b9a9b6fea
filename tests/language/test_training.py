"""Training of language models: every part of a recipe counts, and nothing depends on anything unsaved."""

import copy
import inspect
import math
from dataclasses import fields, replace

import pytest
import torch
import torch.nn.functional as F

from archgrad import Callback, Diverged
from archgrad.data.text import Corpus, Vocabulary
from archgrad.language import LanguageTrainer, averaging_begins, evaluate, train
from archgrad.ops.dropout import NO_DROPOUT, Dropout
from archgrad.recipes import LanguageRecipe
from archgrad.runs.checkpoint import read_checkpoint, write_checkpoint
from archgrad.spaces.recurrent.lstm import LSTMNetwork
from archgrad.tasks import LanguageOutput

BASE = LanguageRecipe(
    epochs=2, batch_size=4, evaluation_batch_size=2, sequence_length=20, learning_rate=2.0, dropout=NO_DROPOUT
)
RANDOM = {"dropout": Dropout(output=0.2, hidden=0.2, cell_input=0.2, embedding=0.1, rows=0.1), "learning_rate": 30.0}
AVERAGED = {"averaging_patience": 0, "learning_rate": 60.0, "epochs": 4}


def network(*, seed=0, size=4, vocabulary=6):
    torch.manual_seed(seed)
    return LSTMNetwork(vocabulary_size=vocabulary, hidden_size=size)


def fit(corpus, *, model=None, seed=0, callbacks=(), **changes):
    model = network() if model is None else model
    recipe = replace(BASE, **changes)
    return train(model, corpus=corpus, recipe=recipe, seed=seed, callbacks=callbacks, device="cpu")


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


def batches(count, *, time=5, batch=2, vocabulary=6):
    draws = torch.Generator().manual_seed(3)
    return [torch.randint(vocabulary, (2, time, batch), generator=draws).unbind() for _ in range(count)]


class Watch(Callback):
    """Keeps what `look` sees of the state after every step."""

    def __init__(self, look):
        self.look = look
        self.seen = []

    def on_step(self, loop, info):
        self.seen.append(self.look(loop.state))


class Spoil(Callback):
    """Makes the weights NaN after those steps, as an overflow would."""

    def __init__(self, *steps):
        self.steps = steps

    def on_step(self, loop, info):
        if loop.state.progress.step in self.steps:
            with torch.no_grad():
                loop.state.network.bias.fill_(math.nan)


# -- the step -------------------------------------------------------------------------------------------------------


def test_steps_against_the_update_written_out():
    """SGD with decay and clipping on loss and penalties, at a rate by the length, the state carried on."""
    recipe = replace(BASE, gradient_clip=0.05, weight_decay=0.01, slowness=0.3, activation=0.2, sequence_length=10)
    model, twin = network(), network()
    trainer = LanguageTrainer(recipe, device="cpu")
    state, hidden = trainer.init(model), None
    for length in (5, 20, 10):
        [(tokens, targets)] = batches(1, time=length)
        output = twin.train()(tokens, hidden)
        loss = F.cross_entropy(output.scores.flatten(0, 1), targets.flatten())
        total = loss + 0.3 * output.outputs.diff(dim=0).square().mean() + 0.2 * output.outputs.square().mean()
        gradients = torch.autograd.grad(total, list(twin.parameters()))
        norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
        assert norm > 0.05
        with torch.no_grad():
            for weight, gradient in zip(twin.parameters(), gradients, strict=True):
                weight.sub_(2.0 * length / 10 * (gradient * 0.05 / norm + 0.01 * weight))
        hidden = output.hidden.detach()
        state, info = trainer.step(state, (tokens, targets))
        assert info == {"train_loss": pytest.approx(loss.item(), rel=1e-5)}
        torch.testing.assert_close(state.carry, hidden)
        assert not state.carry.requires_grad
        for weight, expected in zip(model.parameters(), twin.parameters(), strict=True):
            torch.testing.assert_close(weight, expected, rtol=1e-3, atol=1e-6)


CHANGES = {
    "epochs": (3, {}),
    "batch_size": (5, {}),
    "sequence_length": (10, {}),
    "vary_length": (False, {}),
    "learning_rate": (1.0, {}),
    "weight_decay": (0.01, {}),
    "gradient_clip": (0.01, {}),
    "slowness": (1.0, {}),
    "activation": (1.0, {}),
    "averaging_patience": (9, AVERAGED),
    "precision": ("bfloat16", {}),
    "dropout": (Dropout(), {}),
}


def test_all_fields_of_a_recipe_are_tried():
    assert {field.name for field in fields(LanguageRecipe)} == {*CHANGES, "evaluation_batch_size", "recoveries"}


@pytest.mark.parametrize("name", CHANGES)
def test_every_field_changes_the_training(tiny_corpus, name):
    value, others = CHANGES[name]
    base, other = (fit(tiny_corpus, **{**others, **changes}) for changes in ({}, {name: value}))
    assert not equal(weights(base.network), weights(other.network))
    assert all(tensor.isfinite().all() for tensor in weights(other.network).values())


def test_rows_of_the_evaluation(tiny_corpus):
    first, second = (fit(tiny_corpus, evaluation_batch_size=size, epochs=1) for size in (2, 7))
    assert first.history[0]["train_loss"] == second.history[0]["train_loss"]
    assert (first.test.tokens, second.test.tokens) == (240 - 2, 240 // 7 * 7 - 7)


def test_the_rate_of_a_step_is_by_its_length(tiny_corpus):
    watch = Watch(lambda state: state.optimizer.param_groups[0]["lr"])
    fit(tiny_corpus, callbacks=[watch], vary_length=False)
    # 2,000 tokens in 4 rows: 499 targets, 24 batches of 20 and one of 19.
    assert watch.seen == pytest.approx(2 * [*[2.0] * 24, 2.0 * 19 / 20])
    varied = Watch(lambda state: state.optimizer.param_groups[0]["lr"])
    score = fit(tiny_corpus, callbacks=[varied], epochs=1)
    assert len(set(varied.seen)) > 5
    assert score.history[0]["learning_rate"] == 2.0


def test_it_learns(tiny_corpus):
    """The pattern leaves one bit in every four tokens open: a loss of ln 2 / 4."""
    score = fit(tiny_corpus, model=network(size=8), epochs=12, learning_rate=10.0)
    assert math.log(2) / 4 - 0.03 < score.test.loss < math.log(2) / 4 + 0.03


# -- what comes back ------------------------------------------------------------------------------------------------


def test_the_weights_of_the_lowest_validation_loss_come_back(tiny_corpus):
    """Not the last: the rate is so high that the loss goes up and down."""
    model = network()
    score = fit(tiny_corpus, model=model, epochs=6, learning_rate=60.0, averaging_patience=9)
    losses = [record["validation_loss"] for record in score.history]
    assert min(losses) < losses[-1]
    assert score.network is model
    assert not model.training
    found = [
        evaluate(model, tokens, batch_size=2, sequence_length=20, device="cpu")
        for tokens in (tiny_corpus.validation, tiny_corpus.test)
    ]
    assert [score.validation, score.test] == found
    assert score.validation.loss == min(losses)
    assert score.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert score.seconds == sum(record["seconds"] for record in score.history)


def test_the_recipe_gives_the_dropout(tiny_corpus):
    model = network()
    fit(tiny_corpus, model=model, epochs=1, dropout=RANDOM["dropout"])
    assert model.dropout == RANDOM["dropout"]


# -- averaging ------------------------------------------------------------------------------------------------------


def test_when_the_averaging_begins():
    losses = [5.0, 4.0, 3.0, 3.5, 3.2, 3.1, 2.9]
    public = []
    for n in (1, 2, 3):
        earlier = losses[:4]  # the public rule for a next loss of 3.2
        public.append(len(earlier) > n and losses[4] > min(earlier[:-n]))
        assert averaging_begins(earlier, losses[4], patience=n) == public[-1]
    assert public == [True, False, False]
    first = [
        next((t for t, loss in enumerate(losses) if averaging_begins(losses[:t], loss, patience=n)), None)
        for n in range(4)
    ]
    assert first == [3, 4, 5, None]


def test_losses_that_are_not_finite_neither_begin_it_nor_count():
    assert not averaging_begins([1.0], math.inf, patience=0)
    assert not averaging_begins([math.nan], 1.0, patience=0)
    assert averaging_begins([math.nan, 1.0], 2.0, patience=0)


def test_the_average_is_that_of_torch():
    """torch.optim.ASGD with t0 = 0, lambd = 0 is SGD beside a mean of the iterates from the second step on; ours is of
    all iterates from the weights at the beginning on, as in Algorithm 1.
    """
    recipe = replace(BASE, sequence_length=5, gradient_clip=1e9, weight_decay=0.01, slowness=0.0)
    model, twin = network(), network()
    trainer = LanguageTrainer(recipe, device="cpu")
    state = trainer.init(model)
    state.start_average()
    optimizer = torch.optim.ASGD(twin.parameters(), lr=2.0, t0=0, lambd=0.0, weight_decay=0.01)
    iterates, hidden, count = [[parameter.detach().clone() for parameter in twin.parameters()]], None, 6
    for tokens, targets in batches(count):
        trainer.step(state, (tokens, targets))
        output = twin(tokens, hidden)
        hidden = output.hidden.detach()
        optimizer.zero_grad()
        F.cross_entropy(output.scores.flatten(0, 1), targets.flatten()).backward()
        optimizer.step()
        iterates.append([parameter.detach().clone() for parameter in twin.parameters()])
    ours = list(state.average.module.parameters())
    for place, (parameter, expected) in enumerate(zip(model.parameters(), twin.parameters(), strict=True)):
        torch.testing.assert_close(parameter, expected)
        all_iterates = torch.stack([iterate[place] for iterate in iterates])
        torch.testing.assert_close(ours[place], all_iterates.mean(dim=0))
        theirs = optimizer.state[expected]["ax"]
        torch.testing.assert_close(theirs * (count - 1) + all_iterates[:2].sum(dim=0), ours[place] * (count + 1))


def test_averaging_in_a_training(tiny_corpus):
    """The mean from the trigger on is what is validated and kept; the weights that are trained do not depend on it."""
    watch, plain = (Watch(lambda state: weights(state.network)) for _ in range(2))
    score = fit(tiny_corpus, callbacks=[watch], **AVERAGED)
    fit(tiny_corpus, callbacks=[plain], **{**AVERAGED, "averaging_patience": 9})
    assert all(equal(first, second) for first, second in zip(watch.seen, plain.seen, strict=True))
    losses = [record["validation_loss"] for record in score.history]
    trigger = next(epoch for epoch in range(1, 4) if losses[epoch] > min(losses[:epoch]))
    assert [record["averaging"] for record in score.history] == [epoch > trigger for epoch in range(4)]
    assert score.averaged_from == trigger + 2
    per_epoch, twin = len(watch.seen) // 4, network()
    for epoch in range(trigger + 1, 4):
        iterates = watch.seen[(trigger + 1) * per_epoch - 1 : (epoch + 1) * per_epoch]
        twin.load_state_dict({name: torch.stack([each[name] for each in iterates]).mean(dim=0) for name in iterates[0]})
        found = evaluate(twin, tiny_corpus.validation, batch_size=2, device="cpu").loss
        assert losses[epoch] == pytest.approx(found, rel=1e-4)
    assert score.validation.loss == min(losses)


# -- recovery -------------------------------------------------------------------------------------------------------


def test_a_loss_that_is_not_finite_goes_back_to_the_best_weights(tiny_corpus):
    """Before the first validation these are the initial ones; the batch is passed over, the state empty."""
    model = network()
    initial = weights(model)
    watch = Watch(lambda state: (weights(state.network), state.carry, state.best_loss, state.failures))
    score = fit(tiny_corpus, model=model, callbacks=[Spoil(3, 30), watch], vary_length=False)
    assert equal(watch.seen[3][0], initial)
    assert watch.seen[3][1:] == (None, math.inf, 1)
    assert equal(watch.seen[30][0], watch.seen[24][0])
    assert watch.seen[30][1:] == (None, score.history[0]["validation_loss"], 1)
    assert [record["recoveries"] for record in score.history] == [1, 1]
    assert math.isfinite(score.test.loss)
    assert all(math.isfinite(record["train_loss"]) for record in score.history)


def test_the_average_starts_anew_from_the_best_weights(tiny_corpus):
    watch = Watch(lambda state: None if state.average is None else (weights(state.evaluated), copy.copy(state.best)))
    score = fit(tiny_corpus, callbacks=[Spoil(95), watch], vary_length=False, **AVERAGED)
    average, best = watch.seen[95]
    assert equal(average, best)
    assert [record["recoveries"] for record in score.history] == [0, 0, 0, 1]
    assert math.isfinite(score.history[-1]["validation_loss"])


def test_it_gives_up_after_so_many_without_an_improvement(tiny_corpus):
    for allowed, steps in ((0, (2,)), (2, (2, 4, 6))):
        with pytest.raises(Diverged, match=rf"returned to its best weights {allowed} times .* recoveries={allowed}"):
            fit(tiny_corpus, callbacks=[Spoil(*steps)], recoveries=allowed)
    # An improvement between them begins the count anew.
    score = fit(tiny_corpus, callbacks=[Spoil(2, 4, 27, 29)], recoveries=2, vary_length=False)
    assert [record["recoveries"] for record in score.history] == [2, 2]


def test_weights_that_are_never_finite_are_given_up(tiny_corpus):
    model = network()
    model.bias.data[0] = math.nan
    with pytest.raises(Diverged, match=r"training loss is not finite at step 6\."):
        fit(tiny_corpus, model=model)


# -- reproducibility ------------------------------------------------------------------------------------------------


def test_equal_seeds_give_equal_weights_and_others_differ(tiny_corpus):
    first, second, other = (fit(tiny_corpus, seed=seed, **RANDOM) for seed in (3, 3, 4))
    assert same(first, second)
    assert not same(first, other)


def test_the_seed_decides_the_dropout_too():
    found = []
    for seed in (3, 3, 4):
        trainer = LanguageTrainer(replace(BASE, dropout=RANDOM["dropout"]), seed=seed, device="cpu")
        state = trainer.init(network())
        found.append([trainer.step(state, batch)[1]["train_loss"] for batch in batches(3)])
    assert found[0] == found[1]
    assert found[0] != found[2]


def test_random_state_of_the_caller_is_neither_used_nor_touched(tiny_corpus):
    model = network()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = fit(tiny_corpus, model=copy.deepcopy(model), **RANDOM)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(6)
    assert same(first, fit(tiny_corpus, model=copy.deepcopy(model), **RANDOM))


@pytest.mark.parametrize("spoilt", [(), (3, 40)])
def test_stopped_at_any_step_and_resumed_is_uninterrupted_bit_for_bit(
    tiny_corpus, stop_at, load_from, tmp_path, spoilt
):
    """Through a file, in all phases: within an epoch, at its end, while the mean runs, after a recovery."""
    # So many epochs that, on any processor's rounding, the loss at this rate rises in one of them and the mean begins.
    changes = {**RANDOM, **AVERAGED, "sequence_length": 35, "epochs": 6}
    whole = fit(tiny_corpus, callbacks=[Spoil(*spoilt)], **changes)
    assert whole.averaged_from is not None
    assert whole.averaged_from < 6
    last = whole.history[-1]["step"]
    for step in (1, 5, last // 4, last // 2, last * 3 // 4, last - 1):
        stop = stop_at(step)
        with pytest.raises(KeyboardInterrupt):
            fit(tiny_corpus, callbacks=[Spoil(*spoilt), stop], **changes)
        write_checkpoint(tmp_path / "state", stop.saved, identity={})
        load = load_from(read_checkpoint(tmp_path / "state"))
        resumed = fit(tiny_corpus, model=network(seed=7), callbacks=[load, Spoil(*spoilt)], **changes)
        assert same(resumed, whole), step
        assert (resumed.validation, resumed.test) == (whole.validation, whole.test)


def test_what_is_saved_is_a_copy_when_loaded():
    trainer = LanguageTrainer(BASE, device="cpu")
    state = trainer.init(network())
    trainer.step(state, batches(1)[0])
    state.start_average()
    saved = copy.deepcopy(state.state_dict())
    other = trainer.init(network(seed=7))
    other.load_state_dict(saved)
    kept = copy.deepcopy(saved)
    for batch in batches(3):
        trainer.step(other, batch)
    other.best["bias"].fill_(7.0)
    assert equal(saved["best"], kept["best"])
    assert torch.equal(saved["carry"], kept["carry"])
    assert equal(saved["average"], kept["average"])


def test_the_identity_knows_the_words(tiny_corpus):
    identities = []

    class Look(Callback):
        def on_start(self, loop):
            identities.append(loop.identity)

    tokens = tiny_corpus.vocabulary.tokens
    renamed = replace(tiny_corpus, vocabulary=Vocabulary(tuple("e" if token == "d" else token for token in tokens)))
    shorter = replace(tiny_corpus, validation=tiny_corpus.validation[:-1])
    for corpus in (tiny_corpus, tiny_corpus, renamed, shorter):
        fit(corpus, callbacks=[Look()], epochs=1)
    assert identities[0] == identities[1]
    assert identities[2] != identities[0] != identities[3]


# -- what goes wrong ------------------------------------------------------------------------------------------------


class Plain(torch.nn.Module):
    """Scores every token alike, and has no dropout."""

    def __init__(self):
        super().__init__()
        self.vocabulary_size, self.hidden_size = 6, 6
        self.table = torch.nn.Parameter(torch.zeros(6, 6))

    def forward(self, tokens, hidden=None):
        scores = self.table[tokens]
        return LanguageOutput(scores, torch.zeros(1), scores, scores)


def test_any_module_that_keeps_to_the_contract_can_be_trained(tiny_corpus):
    model = Plain()
    with pytest.raises(ValueError, match=r"network: must have an attribute dropout, of type Dropout; got a Plain"):
        fit(tiny_corpus, model=model)
    model.dropout = NO_DROPOUT
    assert fit(tiny_corpus, model=model, learning_rate=20.0).test.perplexity < 2.0


def test_what_does_not_fit_is_refused_before_any_work(tiny_corpus, monkeypatch):
    model = network()
    initial = weights(model)
    with pytest.raises(
        ValueError, match=r"corpus: its vocabulary has 6 tokens, but vocabulary_size of the network is 9"
    ):
        fit(tiny_corpus, model=network(vocabulary=9))
    with pytest.raises(
        ValueError, match=r"network: must be a language model, with an attribute vocabulary_size; got L"
    ):
        fit(tiny_corpus, model=torch.nn.Linear(2, 2))
    for part, argument in (
        ("train", "batch_size"),
        ("validation", "evaluation_batch_size"),
        ("test", "evaluation_batch_size"),
    ):
        short = replace(tiny_corpus, **{part: getattr(tiny_corpus, part)[:7]})
        message = rf"corpus: {part} has 7 tokens; {argument} 4 needs at least 8, .* lower {argument}\."
        with pytest.raises(ValueError, match=message):
            fit(short, model=model, evaluation_batch_size=4)
    with pytest.raises(ValueError, match=r"recipe: must be a LanguageRecipe such as archgrad\.recipes\.penn_treebank"):
        inspect.unwrap(train)(model, corpus=tiny_corpus, recipe={"epochs": 1})
    monkeypatch.setattr("archgrad.memory.available_bytes", lambda device: 1000)
    with pytest.raises(ValueError, match=r"device: a step would take about .* lower batch_size, sequence_length"):
        fit(tiny_corpus, model=model)
    assert equal(weights(model), initial)


def test_the_text_bounds_what_a_step_is_estimated_to_take(tiny_corpus, monkeypatch):
    """However long the sequences may be; and lengths that do not vary are shorter at most."""
    asked = []
    monkeypatch.setattr("archgrad.language.training.require_memory", lambda estimate, device: asked.append(estimate))
    for changes in ({}, {"vary_length": False}, {"sequence_length": 2000}):
        fit(tiny_corpus, epochs=1, **changes)
    count = sum(parameter.numel() for parameter in network().parameters())
    expected = [4 * (4 * count + length * 4 * (3 * 6 + 16 * 4)) for length in (40, 20, 500)]
    assert asked == expected


def test_corpus_is_what_it_says(tiny_corpus):
    assert isinstance(tiny_corpus, Corpus)
    assert (len(tiny_corpus.train), len(tiny_corpus.vocabulary)) == (2000, 6)
