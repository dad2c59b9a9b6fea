"""The one driver on many searches at once: each member is what it would be alone, and a broken one breaks no other."""

import copy
from dataclasses import replace

import pytest
import torch

from archgrad import Callback, Diverged, Searcher, SearchSettings
from archgrad.data.tables import TableStream
from archgrad.methods import darts, fair_darts, snas
from archgrad.relax import Parsimony
from archgrad.spaces.expression import EXPRESSION, ExpressionSpace
from archgrad.tasks import Regression

PRIMITIVES = ("none", "add", "linear", "linear_sin", "linear_exp", "multiply")
BASE = {"epochs": 6, "batch_size": 8, "learning_rate": 0.1, "logits_learning_rate": 0.1, "gradient_clip": 1.0}
FIRST = darts(order=1)


def searcher_of(members=3, *, method=FIRST, steps_per_epoch=1, space=None, **changes):
    space = space or ExpressionSpace(columns=2, nodes=2, primitives=PRIMITIVES, restarts=members)
    settings = SearchSettings(**{**BASE, **changes})
    return Searcher(
        space, steps_per_epoch=steps_per_epoch, method=method, settings=settings, task=Regression(), device="cpu"
    )


def streams_of(rows=16, batch_size=8, seed=0, *, shift=1.0):
    inputs = torch.rand(rows, 2, generator=torch.Generator().manual_seed(seed)) * 2 - shift
    targets = torch.sin(2 * inputs[:, 0]) + inputs[:, 1]
    return [TableStream(inputs, targets, batch_size=batch_size, seed=seed, purpose=p) for p in ("train", "validation")]


def member_of(saved, member):
    """The state of a search for one member alone, cut out of an ensemble's."""
    cut = copy.deepcopy(saved)
    cut["weights"] = {name: tensor[[member]] for name, tensor in saved["weights"].items()}
    cut["logits"] = {name: tensor[[member]] for name, tensor in saved["logits"].items()}
    return cut


def start_from(searcher, saved):
    state = searcher.init(seed=0)
    state.load_state_dict(saved)
    return state


def tensors_of(state):
    return {**dict(state.supernet.named_parameters()), **state.logits}


# -- members --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method",
    [
        FIRST,
        darts(order=2),
        fair_darts(),
        replace(FIRST, penalties=(Parsimony(weight=0.1, base=0.1, costs={"linear": 2.0}),)),
    ],
    ids=["first order", "second order", "fair", "penalties"],
)
@pytest.mark.parametrize("layout", ["sums", "laws"])
def test_an_ensemble_is_as_many_single_searches(method, layout):
    def space_of(members):
        functions = {"columns": 2, "primitives": ("linear_sin", "linear_exp"), "layout": layout}
        return ExpressionSpace(**functions, restarts=members)

    together = searcher_of(method=method, space=space_of(3), weight_updates=2)
    saved = copy.deepcopy(together.init(seed=0).state_dict())
    streams = streams_of(shift=-0.5)  # away from zero, where powers are large
    whole = together.run(together.init(seed=0), *streams).state
    single = searcher_of(method=method, space=space_of(1), weight_updates=2)
    for member in range(3):
        alone = single.run(start_from(single, member_of(saved, member)), *streams).state
        for name, tensor in tensors_of(alone).items():
            torch.testing.assert_close(tensor[0], tensors_of(whole)[name][member], rtol=1e-3, atol=1e-4)


def test_members_start_apart_and_from_the_seed():
    searcher = searcher_of(4)
    first, second, other = (searcher.init(seed) for seed in (0, 0, 1))
    for name, tensor in tensors_of(first).items():
        assert torch.equal(tensor, tensors_of(second)[name])
        if name != "offset":
            assert not torch.equal(tensor, tensors_of(other)[name])
            assert not torch.equal(tensor[0], tensor[1])
    assert first.logits["edges"].shape == (4, 5, 6)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("order", [1, 2])
def test_a_broken_member_stops_and_the_others_go_on_as_before(value, order):
    searcher = searcher_of(method=darts(order=order), momentum=0.0, weight_decay=0.0, logits_weight_decay=0.0)
    sound, broken = searcher.init(seed=0), searcher.init(seed=0)
    with torch.no_grad():
        broken.supernet.offset[1] = value
    for state in (sound, broken):
        before = copy.deepcopy(state.state_dict())
        result = searcher.run(state, *streams_of())
        assert all(torch.isfinite(torch.tensor(record["train_loss"])) for record in result.history)
    for name, tensor in tensors_of(broken).items():
        torch.testing.assert_close(tensor[[0, 2]], tensors_of(sound)[name][[0, 2]])
        saved = {**before["weights"], **before["logits"]}[name]
        assert torch.equal(tensor[1], saved[1]) or tensor[1].isnan()


@pytest.mark.parametrize("warmup_epochs", [0, 1])
def test_if_all_members_are_broken_the_search_has_diverged(warmup_epochs):
    searcher = searcher_of(warmup_epochs=warmup_epochs)
    state = searcher.init(seed=0)
    with torch.no_grad():
        state.supernet.offset.fill_(torch.nan)
    with pytest.raises(Diverged, match=f"the {'training' if warmup_epochs else 'validation'} loss is not finite"):
        searcher.run(state, *streams_of())


def test_a_hypergradient_that_is_finite_for_no_member_moves_nothing():
    def broken(losses, weights, logits, *, inner):
        losses.validation(weights, logits)
        return {name: torch.full_like(tensor, torch.nan) for name, tensor in logits.items()}

    searcher = searcher_of(method=replace(FIRST, hypergradient=broken))
    state = searcher.init(seed=0)
    before = state.logits["edges"].clone()
    with pytest.raises(Diverged, match=r"hypergradient of all members is not finite at step 1"):
        searcher.run(state, *streams_of())
    assert torch.equal(state.logits["edges"], before)


# -- whole searches -------------------------------------------------------------------------------------------------


def test_what_a_result_holds():
    result = searcher_of(4).run(searcher_of(4).init(seed=0), *streams_of())
    assert result.genotype.space == EXPRESSION
    assert result.mixture["edges"].shape == (4, 5, 6)
    torch.testing.assert_close(
        torch.tensor(result.history[-1]["mixture"]["edges"]), result.mixture["edges"].mean(dim=0)
    )
    assert {"train_loss", "train_median_loss", "validation_loss"} <= result.history[-1].keys()


def test_the_search_finds_what_it_is_to_find():
    """y = sin(2 x) + z: the loss of the best member falls below a fiftieth of the target's variance."""
    train, validation = streams_of(64, batch_size=64)
    searcher = searcher_of(8, epochs=80, weight_updates=2, logits_learning_rate=0.03, gradient_clip=5.0)
    state = searcher.init(seed=0)
    result = searcher.run(state, train, validation)
    variance = float(train.targets.var())
    losses = [record["validation_loss"] for record in result.history]
    assert losses[0] > 0.1 * variance
    assert min(losses[-5:]) < 0.02 * variance
    assert result.history[-1]["validation_median_loss"] < 0.5 * result.history[0]["validation_median_loss"]


@pytest.mark.parametrize("method", [FIRST, snas(), snas(hard=True)], ids=["darts", "snas", "hard snas"])
def test_a_search_that_is_interrupted_and_resumed_is_uninterrupted_bit_for_bit(method, stop_at, load_from):
    searcher = searcher_of(method=method, steps_per_epoch=2, epochs=3, logit_updates=2, weight_updates=3)

    def finished(*callbacks):
        return tensors_of(searcher.run(searcher.init(seed=0), *streams_of(), callbacks=callbacks).state)

    whole = finished()
    for step in (1, 4):
        stop = stop_at(step)
        with pytest.raises(KeyboardInterrupt):
            finished(stop)
        resumed = finished(load_from(stop.saved))
        assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())


def test_a_callback_can_end_the_search():
    class Enough(Callback):
        def on_epoch(self, loop, record):
            if record["epoch"] == 2:
                loop.stop()

    searcher = searcher_of()
    result = searcher.run(searcher.init(seed=0), *streams_of(), callbacks=[Enough()])
    assert [record["epoch"] for record in result.history] == [1, 2]
    shorter = searcher.run(searcher.init(seed=0), *streams_of(), callbacks=[Enough()])
    assert torch.equal(result.logits["edges"], shorter.logits["edges"])
