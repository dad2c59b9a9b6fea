"""The steps of a search on text against sums written out, and what they carry from batch to batch."""

import sys
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch.func import functional_call

from archgrad import Callback, Searcher
from archgrad.data.text import Corpus, Vocabulary
from archgrad.hypergrad import FiniteDifference, FirstOrder, InnerStep, Losses, Unrolled
from archgrad.language import search
from archgrad.ops.dropout import NO_DROPOUT, Dropout
from archgrad.relax import Softmax
from archgrad.runs import CheckpointError, Recorder, read_checkpoint, write_checkpoint
from archgrad.settings import TextSearchSettings
from archgrad.spaces import RecurrentCellSpace
from archgrad.tasks import LanguageModelling

DROPOUT = Dropout(output=0.2, hidden=0.2, cell_input=0.2, embedding=0.1, rows=0.1)
SPACE = RecurrentCellSpace(vocabulary_size=6, nodes=2, hidden_size=4, dropout=DROPOUT)
PLAIN = replace(SPACE, dropout=NO_DROPOUT)
BASE = {
    "epochs": 2,
    "batch_size": 16,
    "sequence_length": 5,
    "learning_rate": 2.0,
    "final_learning_rate": 2.0,
    "logits_learning_rate": 0.05,
}
FIRST, SECOND, FINITE = "darts-first-order", "darts-second-order", "darts-second-order-finite-difference"
MASK = SPACE.groups[0].mask_tensor()


@pytest.fixture(scope="module")
def corpus(tiny_corpus):
    """16 rows of 16 columns for the weights and 15 for the logits: four steps an epoch, the last of a row or so."""
    return replace(tiny_corpus, train=tiny_corpus.train[:256])


def quick(corpus, *, space=SPACE, method=FIRST, callbacks=(), **changes):
    return search(space, corpus=corpus, method=method, callbacks=callbacks, device="cpu", **{**BASE, **changes})


def fingerprint(result):
    """All tensors that a search leaves behind, by name."""
    carries = {f"carry.{part}": hidden for part, hidden in result.state.state_dict()["carries"].items()}
    return {**result.state.supernet.state_dict(), **result.logits, **carries}


def timeless(history):
    return [{name: value for name, value in record.items() if name != "seconds"} for record in history]


def same(first, second):
    tensors, others = fingerprint(first), fingerprint(second)
    return timeless(first.history) == timeless(second.history) and all(
        torch.equal(tensor, others[name]) for name, tensor in tensors.items()
    )


def snapshot(state):
    return {name: weight.detach().clone() for name, weight in state.supernet.named_parameters()}


def batches(count, *, time=10, batch=8):
    draws = torch.Generator().manual_seed(3)
    return [torch.randint(6, (2, time, batch), generator=draws).unbind() for _ in range(count)]


def searcher(*, method=FIRST, task=None, **changes):
    """A searcher for single steps, without clipping and decay; the task by default without penalties, of length 10."""
    task = LanguageModelling(slowness=0.0, sequence_length=10) if task is None else task
    settings = TextSearchSettings(**{**BASE, "gradient_clip": 1e9, "weight_decay": 0.0, **changes})
    return Searcher(PLAIN, steps_per_epoch=100, method=method, settings=settings, task=task, device="cpu")


# -- one step -------------------------------------------------------------------------------------------------------


def test_weight_steps_against_the_update_written_out():
    """Clipping and decay, penalties, a rate by the length, the state carried on, by the equations of `per_edge`."""
    task = LanguageModelling(slowness=0.3, activation=0.2, sequence_length=10)
    driver = searcher(task=task, logit_updates=0, gradient_clip=0.05, weight_decay=0.01)
    state, twin = driver.init(seed=0), replace(PLAIN, engine="per_edge").supernet()
    twin.load_state_dict(state.supernet.state_dict())
    mixture, hidden = {"recurrent": Softmax()(state.logits["recurrent"], MASK)}, None
    for length in (5, 20, 10):
        [(tokens, targets)] = batches(1, time=length)
        output = twin((tokens, hidden), mixture)
        loss = F.cross_entropy(output.scores.flatten(0, 1), targets.flatten())
        total = loss + 0.3 * output.outputs.diff(dim=0).square().mean() + 0.2 * output.outputs.square().mean()
        gradients = torch.autograd.grad(total, list(twin.parameters()))
        norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
        assert norm > 0.05
        with torch.no_grad():
            for weight, gradient in zip(twin.parameters(), gradients, strict=True):
                weight.sub_(2.0 * length / 10 * (gradient * 0.05 / norm + 0.01 * weight))
        hidden = output.hidden.detach()
        state, info = driver.step(state, (tokens, targets), None)
        assert info == {"train_loss": pytest.approx(loss.item(), rel=1e-5)}
        torch.testing.assert_close(state.carries["train"], hidden, rtol=1e-3, atol=1e-4)
        assert state.carries["validation"] is None
        for weight, expected in zip(state.supernet.parameters(), twin.parameters(), strict=True):
            torch.testing.assert_close(weight, expected, rtol=1e-3, atol=1e-5)


def test_a_sequence_of_half_the_length_moves_the_weights_by_half():
    """The same batch, once at the length that the rate is meant for and once at half of it, without clipping."""
    steps = []
    for length in (10, 20):
        task = LanguageModelling(slowness=0.0, sequence_length=length)
        driver = searcher(task=task, logit_updates=0)
        state = driver.init(seed=0)
        before = snapshot(state)
        driver.step(state, batches(1)[0], None)
        steps.append({name: weight - before[name] for name, weight in snapshot(state).items()})
    assert steps[0]["weights"].abs().max() > 0
    for name, step in steps[0].items():
        torch.testing.assert_close(steps[1][name], step / 2, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("method", [FIRST, SECOND, FINITE])
def test_penalties_move_the_weights_and_not_the_logits(method):
    """The first hypergradient is equal bit for bit, the weights after it are not."""
    found = []
    for penalties in ({"slowness": 0.0}, {"slowness": 5.0}, {"slowness": 0.0, "activation": 5.0}):
        driver = searcher(method=method, task=LanguageModelling(sequence_length=10, **penalties))
        state, info = driver.step(driver.init(seed=0), *batches(2))
        found.append((state.logits["recurrent"].grad.clone(), info, snapshot(state)["weights"]))
    (gradient, info, weights), *others = found
    for other_gradient, other_info, other_weights in others:
        assert torch.equal(gradient, other_gradient)
        assert info == other_info
        assert not torch.equal(weights, other_weights)


def test_the_first_order_is_the_gradient_of_the_validation_loss():
    """By the equations of `per_edge`, with the weights, the logits and the hidden state before the second step."""
    driver = searcher()
    first, second, third, fourth = batches(4)
    state, _ = driver.step(driver.init(seed=0), first, second)
    weights, alpha = snapshot(state), state.logits["recurrent"].clone().requires_grad_()
    (tokens, targets), hidden = fourth, state.carries["validation"].clone()
    twin, mixture = replace(PLAIN, engine="per_edge").supernet(), {"recurrent": Softmax()(alpha, MASK)}
    output = functional_call(twin, weights, ((tokens, hidden), mixture))
    loss = F.cross_entropy(output.scores.flatten(0, 1), targets.flatten())
    (expected,) = torch.autograd.grad(loss, alpha)
    state, info = driver.step(state, third, fourth)
    assert info["validation_loss"] == pytest.approx(loss.item(), rel=1e-5)
    torch.testing.assert_close(state.logits["recurrent"].grad, expected, rtol=1e-3, atol=1e-7)
    torch.testing.assert_close(state.carries["validation"], output.hidden.detach(), rtol=1e-3, atol=1e-4)


# -- the hypergradient of the recurrent supernet --------------------------------------------------------------------


def losses_of(supernet):
    """Losses in float64, with masks that are those of one seed, and a hidden state each that they start from."""

    def loss_on(batch, hidden):
        def loss(weights, logits):
            torch.manual_seed(2)
            mixture = {"recurrent": Softmax()(logits["recurrent"], MASK)}
            output = functional_call(supernet, weights, ((batch[0], hidden), mixture))
            return F.cross_entropy(output.scores.flatten(0, 1), batch[1].flatten())

        return loss

    hidden = 0.5 * torch.randn(2, 8, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    return Losses(*map(loss_on, batches(2, time=4), hidden))


def gradient_of(loss, weights, logits, **options):
    """∇_w of a loss, by name."""
    leaves = {name: weight.clone().requires_grad_() for name, weight in weights.items()}
    found = torch.autograd.grad(loss(leaves, logits), list(leaves.values()), **options)
    return dict(zip(leaves, found, strict=True))


@pytest.fixture(params=[NO_DROPOUT, DROPOUT], ids=["plain", "dropout"])
def problem(request):
    """A supernet in float64, weights that are large enough to make a difference, and logits."""
    space = replace(SPACE, dropout=request.param)
    draws = torch.Generator().manual_seed(1)
    supernet = space.supernet().double()
    weights = {
        name: torch.randn(weight.shape, dtype=torch.float64, generator=draws)
        for name, weight in supernet.named_parameters()
    }
    return space, weights, {"recurrent": torch.randn(MASK.shape, dtype=torch.float64, generator=draws)}


@pytest.mark.parametrize("clip", [None, 0.01])
def test_finite_differences_agree_with_the_exact_product(problem, clip):
    """What the second order adds. A small step, since the kink of relu is never far."""
    space, weights, logits = problem
    losses, inner = losses_of(space.supernet().double()), InnerStep(learning_rate=0.5, gradient_clip=clip)
    exact = Unrolled()(losses, weights, logits, inner=inner)["recurrent"]
    estimate = FiniteDifference(scale=1e-6)(losses, weights, logits, inner=inner)["recurrent"]
    stepped = inner(weights, gradient_of(losses.train, weights, logits))
    direct = FirstOrder()(losses, stepped, logits, inner=inner)["recurrent"]
    added = exact - direct
    assert added.norm() > 1e-6
    torch.testing.assert_close(estimate - direct, added, rtol=1e-3, atol=1e-3 * float(added.norm()))


def test_the_exact_hypergradient_is_that_through_the_step(problem):
    """∇_α L_val(w − ξ ∇_w L_train(w, α), α) by differentiating through it, with the equations of `per_edge`."""
    space, weights, logits = problem
    found = Unrolled()(losses_of(space.supernet().double()), weights, logits, inner=InnerStep(learning_rate=0.5))
    losses = losses_of(replace(space, engine="per_edge").supernet().double())
    alpha = {"recurrent": logits["recurrent"].clone().requires_grad_()}
    gradients = gradient_of(losses.train, weights, alpha, create_graph=True)
    stepped = {name: weight - 0.5 * gradients[name] for name, weight in weights.items()}
    (expected,) = torch.autograd.grad(losses.validation(stepped, alpha), alpha["recurrent"])
    torch.testing.assert_close(found["recurrent"], expected, rtol=1e-8, atol=1e-12)


# -- hidden states --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [FIRST, SECOND, FINITE])
def test_stopped_at_any_step_and_resumed_is_uninterrupted_bit_for_bit(corpus, method, stop_at, load_from, tmp_path):
    """Through a file: in the warm-up, at its end, which has no hidden state for the logits yet, and after it."""
    arguments = {"method": method, "warmup_epochs": 1, "momentum": 0.5}
    whole = quick(corpus, **arguments)
    for step in (1, 4, 7):
        stop = stop_at(step)
        with pytest.raises(KeyboardInterrupt):
            quick(corpus, callbacks=[stop], **arguments)
        shapes = {part: None if hidden is None else hidden.shape for part, hidden in stop.saved["carries"].items()}
        assert shapes == {"train": (16, 4), "validation": None if step <= 4 else (16, 4)}
        write_checkpoint(tmp_path / "state", stop.saved, identity={})
        load = load_from(read_checkpoint(tmp_path / "state"))
        assert same(quick(corpus, callbacks=[load], **arguments), whole), step


def test_both_hidden_states_count(corpus, stop_at, load_from):
    """One for each stream, without a graph; with another one the search goes another way."""
    whole, stop = quick(corpus), stop_at(3)
    with pytest.raises(KeyboardInterrupt):
        quick(corpus, callbacks=[stop])
    assert not torch.equal(*whole.state.carries.values())
    for part, hidden in whole.state.state_dict()["carries"].items():
        assert (hidden.shape, hidden.requires_grad) == ((16, 4), False)
        carries = {**stop.saved["carries"], part: -stop.saved["carries"][part]}
        resumed = quick(corpus, callbacks=[load_from({**stop.saved, "carries": carries})])
        assert not torch.equal(resumed.logits["recurrent"], whole.logits["recurrent"])


@pytest.mark.parametrize("engine", ["per_edge", "bundled", "through_time"])
@pytest.mark.parametrize("method", [FIRST, SECOND])
def test_hidden_states_lose_no_digits_to_products_in_bfloat16(corpus, engine, method):
    """And none of the losses of a step meets states and weights of two kinds."""
    result = quick(corpus, space=replace(PLAIN, engine=engine), method=method, epochs=1, precision="bfloat16")
    assert {hidden.dtype for hidden in result.state.carries.values()} == {torch.float32}
    exact = quick(corpus, space=replace(PLAIN, engine=engine), method=method, epochs=1)
    assert result.history[0]["train_loss"] == pytest.approx(exact.history[0]["train_loss"], abs=0.01)


# -- whole searches -------------------------------------------------------------------------------------------------


def test_a_search_learns_what_follows_what(tiny_corpus):
    """A story of six words costs ln 6 = 1.79 nats a token to begin with, and 0.25 · ln 2 when all is known."""
    space = replace(PLAIN, hidden_size=8)
    result = quick(tiny_corpus, space=space, epochs=3, learning_rate=20.0, final_learning_rate=20.0, gradient_clip=1.0)
    assert result.history[-1]["validation_loss"] < 1.2


def test_other_seeds_methods_and_spaces_give_other_searches(corpus):
    base = quick(corpus)
    assert same(base, quick(corpus, seed=0))
    spaces = ({"dropout": NO_DROPOUT}, {"candidates": ("none", "tanh", "relu")}, {"nodes": 3}, {"tied": False})
    others = [quick(corpus, **changes) for changes in ({"seed": 1}, {"method": SECOND}, {"method": FINITE})]
    others += [quick(corpus, space=replace(SPACE, **changes)) for changes in spaces]
    histories = [timeless(result.history) for result in (base, *others)]
    assert all(first != second for place, first in enumerate(histories) for second in histories[:place])


@pytest.mark.parametrize("clip", [1e-3, None])
def test_the_clip_of_the_unrolled_step_changes_the_second_order_alone(corpus, clip):
    for method in (FIRST, SECOND, FINITE):
        clipped = quick(corpus, method=method, epochs=1, unrolled_clip=clip)
        assert same(quick(corpus, method=method, epochs=1), clipped) == (method == FIRST)


def test_epochs_and_patience():
    """Words that are noise: the validation loss soon stops falling."""
    draws = torch.Generator().manual_seed(0)
    vocabulary = Vocabulary(("a", "b", "c", "d", "<eos>", "<unk>"))
    corpus = Corpus("noise", *(torch.randint(6, (256,), generator=draws) for _ in range(3)), vocabulary)
    whole = quick(corpus, epochs=8, patience=0)
    assert [record["epoch"] for record in whole.history] == list(range(1, 9))
    losses = [record["validation_loss"] for record in whole.history]
    age = [epoch - losses.index(min(losses[: epoch + 1])) for epoch in range(8)]
    expected = next(epoch for epoch, old in enumerate(age) if old >= 1) + 1
    assert expected < 8
    stopped = quick(corpus, epochs=8, patience=1)
    assert timeless(stopped.history) == timeless(whole.history[:expected])


# -- what goes wrong ------------------------------------------------------------------------------------------------


class Started(Callback):
    """Whether any work began."""

    def __init__(self):
        self.began = False

    def on_start(self, loop):
        self.began = True


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sequence_lenght": 3}, r"argument: 'sequence_lenght' is unknown; did you mean 'sequence_length'"),
        ({"workers": 3}, r"argument: 'workers' is unknown"),
        ({"slowness": -1.0}, r"slowness: must be at least 0, got -1"),
        ({"activation": -1.0}, r"activation: must be at least 0, got -1"),
        ({"method": "darts-third-order"}, r"method: 'darts-third-order' is unknown; did you mean"),
        ({"batch_size": 129}, r"256 are shorter than one batch of sequences; batch_size 129 needs at least 258"),
        ({"batch_size": 128}, r"240 are shorter than one batch of sequences; batch_size 128 needs at least 256"),
        ({"space": replace(SPACE, vocabulary_size=9)}, r"vocabulary_size: the space has 9 tokens, the text's voc.* 6"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_work(corpus, changes, message):
    started = Started()
    with pytest.raises(ValueError, match=message):
        quick(corpus, callbacks=[started], **changes)
    assert not started.began


def test_the_estimate_of_a_step_counts_edges_and_nodes(corpus, monkeypatch):
    asked = []
    module = sys.modules["archgrad.language.search"]  # it hides behind the function of its name
    monkeypatch.setattr(module, "require_memory", lambda estimate, device: asked.append(estimate))
    quick(corpus, epochs=1, warmup_epochs=1)
    count = sum(parameter.numel() for parameter in SPACE.supernet().parameters())
    assert asked == [4 * (3 * count + 16 * 5 * (3 * 6 + (2 * 3 + 2 * 2 + 8) * 4))]


def test_a_checkpoint_of_another_text_or_vocabulary_names_what_differs(corpus, tmp_path):
    quick(corpus, epochs=1, callbacks=[Recorder(tmp_path, configuration={})])

    def resume(corpus, **changes):
        recorder = Recorder(tmp_path, configuration={}, resume=True)
        return quick(corpus, epochs=1, callbacks=[recorder], **changes)

    assert len(resume(corpus).history) == 1
    with pytest.raises(CheckpointError, match=r"it differs in train\.data"):
        resume(replace(corpus, train=corpus.train.flip(0)))
    with pytest.raises(CheckpointError, match=r"it differs in validation\.data"):
        resume(replace(corpus, validation=corpus.validation.flip(0)))
    larger = replace(corpus, vocabulary=Vocabulary((*corpus.vocabulary.tokens, "e")))
    with pytest.raises(CheckpointError, match=r"space\.vocabulary_size \(6 there, 7 here\)"):
        resume(larger, space=replace(SPACE, vocabulary_size=7))
