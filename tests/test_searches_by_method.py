"""Every row of the table of methods under the one driver: whole searches, stopped and resumed ones, and the parts."""

import copy
from dataclasses import replace

import pytest
import torch

from archgrad import Searcher, SearchSettings, search
from archgrad.data import Augmentation, Stream
from archgrad.genotype import Genotype
from archgrad.hypergrad import Unrolled
from archgrad.methods import METHODS, Method, darts, darts_pt, drnas, oles, p_darts, pc_darts, random_weight_sharing
from archgrad.mixing import Mixing
from archgrad.relax import Annealed, BetaDecay, Softmax
from archgrad.stability import EigenvalueGrowth, SkipCount
from archgrad.stages import Stage

EPOCHS = 3
BASE = {
    "epochs": EPOCHS,
    "batch_size": 4,
    "learning_rate": 0.1,
    "logits_learning_rate": 0.05,
    "selection_batches": 1,
    "augmentation": Augmentation(crop_padding=1, flip=False),
}
SMALL = {  # of rows whose published sizes are larger than the tiny space
    "p-darts": p_darts(added_layers=(0, 0, 1), keep=(4, 3, 2)),
    "drnas-progressive": drnas(progressive=True, partial_channels=2, keep=2),
    "pc-darts": pc_darts(partial_channels=2),
    "darts-pt": darts_pt(tune_epochs=0.5),
    "random-weight-sharing": random_weight_sharing(count=3),
    "oles": oles(threshold=0.9, window=2),
    "robust-darts": replace(METHODS["robust-darts"], stopping=(EigenvalueGrowth(window=1, lag=1, ratio=1e-6),)),
}
ROWS = {name: SMALL.get(name, method) for name, method in METHODS.items()}


def quick(space, data, method, *, callbacks=(), seed=0, **changes):
    return search(space, train=data, method=method, seed=seed, callbacks=callbacks, device="cpu", **{**BASE, **changes})


def fingerprint(result):
    logits = {f"logits.{name}": tensor for name, tensor in result.logits.items()}
    return {**result.state.supernet.state_dict(), **logits, **result.state.memory}


def timeless(history):
    return [{name: value for name, value in record.items() if name != "seconds"} for record in history]


def same(first, second):
    tensors, others = fingerprint(first), fingerprint(second)
    return (
        timeless(first.history) == timeless(second.history)
        and first.genotype == second.genotype
        and set(tensors) == set(others)
        and all(torch.equal(tensor, others[name]) for name, tensor in tensors.items())
    )


@pytest.fixture(scope="module")
def wholes(tiny_space, tiny_data):
    """The whole search of each row, made when it is first asked for."""

    class Wholes(dict):
        def __missing__(self, name):
            self[name] = quick(tiny_space, tiny_data, ROWS[name])
            return self[name]

    return Wholes()


@pytest.mark.parametrize("name", ROWS)
def test_every_row_finds_a_network_and_resumes_bit_for_bit(tiny_space, tiny_data, wholes, name, stop_at, load_from):
    """Stopped in the second of three epochs: beyond the first stage, before the last."""
    result = wholes[name]
    assert isinstance(result.genotype, Genotype)
    assert all(tensor.isfinite().all() for tensor in fingerprint(result).values())
    assert tiny_space.network(result.genotype)(torch.zeros(2, 1, 8, 8)).shape == (2, 2)
    if name not in ("darts-first-order", "darts-plus", "robust-darts", "darts-pt"):  # the same up to where they stop
        assert not same(result, wholes["darts-first-order"])
    stop = stop_at(3)
    if name == "darts-plus":
        return  # has ended by then
    with pytest.raises(KeyboardInterrupt):
        quick(tiny_space, tiny_data, ROWS[name], callbacks=[stop])
    resumed = quick(tiny_space, tiny_data, ROWS[name], callbacks=[load_from(stop.saved)])
    assert same(resumed, result)


def test_the_records_have_the_diagnostics(wholes):
    for record in wholes["darts-first-order"].history:
        assert {name: len(edges) for name, edges in record["entropy"].items()} == {"normal": 5, "reduce": 5}
        assert set(record["skips"]) == {"normal", "reduce"}
        assert -1 <= record["hypergradient_cosine"] <= 1
        assert "eigenvalue" not in record
        assert "gap_loss" not in record


def test_eigenvalue_and_gap_are_measured_on_request(tiny_space, tiny_data, wholes):
    result = quick(tiny_space, tiny_data, darts(order=1), eigenvalue_every=2, gap_batches=1)
    assert ["eigenvalue" in record for record in result.history] == [False, True, False]
    assert all({"gap_loss", "gap_accuracy"} <= set(record) for record in result.history)
    plain = fingerprint(wholes["darts-first-order"])
    assert all(torch.equal(tensor, plain[name]) for name, tensor in fingerprint(result).items())


# -- parts ----------------------------------------------------------------------------------------------------------


def test_a_temperature_schedule_follows_the_epochs(tiny_space, tiny_data):
    """The recorded mixture is that of its epoch's temperature: harder and harder for logits that do not move."""
    method = replace(darts(order=1), relaxation=Annealed(Softmax(1.0), 0.01))
    result = quick(tiny_space, tiny_data, method, logit_updates=0, logits_scale=0.1)
    sharpest = [max(max(row) for row in record["mixture"]["normal"]) for record in result.history]
    assert sharpest == sorted(sharpest)
    last = Softmax(0.01)(result.logits["normal"], result.state.masks["normal"])
    torch.testing.assert_close(torch.tensor(result.history[-1]["mixture"]["normal"]), last)


def test_stages_narrow_and_deepen_the_supernet(wholes):
    state = wholes["p-darts"].state
    assert state.stage == 2
    assert len(state.supernet.cells) == 4
    assert {len(names) for rows in state.choices.values() for names in rows} == {2}
    for name, mask in state.masks.items():
        assert mask.sum(dim=1).tolist() == [2] * len(mask)
        assert not wholes["p-darts"].mixture[name][~mask].any()


def test_a_stage_carries_the_weights_over(tiny_space, tiny_data):
    method = replace(darts(order=1), stages=(Stage(share=0.5), Stage(share=0.5, keep=2)))
    settings = SearchSettings(epochs=2, batch_size=4)
    searcher = Searcher(tiny_space, steps_per_epoch=1, method=method, settings=settings, device="cpu")
    batch = next(iter(Stream(tiny_data, batch_size=4, seed=0, purpose="test").batches()))
    state = searcher.init(seed=0)
    searcher.step(state, batch, batch)
    stem, logits = copy.deepcopy(state.supernet.stem.state_dict()), copy.deepcopy(state.logits)
    searcher._begin(state, 1, batch)
    assert state.stage == 1
    for name, tensor in state.supernet.stem.state_dict().items():
        assert torch.equal(tensor, stem[name])
    assert all(torch.equal(tensor, logits[name]) for name, tensor in state.logits.items())


def test_fresh_logits_are_drawn_anew(tiny_space, tiny_data):
    results = [
        quick(
            tiny_space,
            tiny_data,
            replace(darts(order=1), stages=(Stage(share=0.5), Stage(share=0.5, fresh_logits=fresh))),
            logit_updates=0,
        )
        for fresh in (False, True)
    ]
    assert not torch.equal(results[0].logits["normal"], results[1].logits["normal"])


def test_a_stopping_rule_ends_the_search_and_names_the_epoch(tiny_space, tiny_data):
    class Second:
        needs = ()

        def __call__(self, history):
            return 0 if len(history) == 2 else None

    result = quick(tiny_space, tiny_data, replace(darts(order=1), stopping=(Second(),)), logits_learning_rate=0.5)
    assert len(result.history) == 2
    assert result.stopped_at == 1
    first = {name: torch.tensor(rows) for name, rows in result.history[0]["mixture"].items()}
    assert result.genotype == tiny_space.decode(first, darts().decoder)


def test_skips_stop_the_search(tiny_space, tiny_data):
    """A space whose normal cell can only skip has too many skips after the first epoch."""
    space = replace(tiny_space, candidates=("none", "skip_connect"))
    result = quick(space, tiny_data, replace(darts(order=1), stopping=(SkipCount(limit=2),)))
    assert len(result.history) == 1


def test_frozen_operations_stay(tiny_space, tiny_data, wholes):
    """With a threshold of 0.9 all operations freeze after two steps, and the rest of the weights goes on."""
    state = wholes["oles"].state
    slices = METHODS["oles"].freezing.frozen(state.memory, state.operations)
    assert slices
    short = quick(tiny_space, tiny_data, SMALL["oles"], epochs=EPOCHS)
    assert same(short, wholes["oles"])


def test_the_selection_leaves_the_state_as_it_was(wholes):
    plain, selected = fingerprint(wholes["darts-first-order"]), fingerprint(wholes["darts-pt"])
    assert all(torch.equal(tensor, plain[name]) for name, tensor in selected.items())


# -- combinations that make no sense -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: Method(name="x", citation="y", decoder=__import__("archgrad").decode.viterbi),
            "decoder: viterbi.*top_k",
        ),
        (lambda: replace(darts(), mixing=Mixing(one_path=True)), r"one_path.*Softmax.*Gumbel\(hard=True\)"),
        (lambda: replace(METHODS["gdas"], alignment=METHODS["lambda-darts"].alignment), "alignment: .*one_path"),
        (lambda: replace(METHODS["gdas"], freezing=METHODS["oles"].freezing), "freezing: .*one_path"),
        (lambda: replace(darts(), stages=(Stage(share=0.5),)), "stages: .*sum to 1"),
        (
            lambda: replace(darts(), stages=(Stage(share=0.5), Stage(share=0.25, keep=2), Stage(share=0.25, keep=3))),
            r"stages\[2\].keep",
        ),
        (lambda: replace(darts(), hypergradient=None, penalties=METHODS["fair-darts"].penalties), "penalties: .*never"),
        (lambda: replace(darts(), stages=(Stage(share=1.0, keep=3),)), r"stages\[0\].keep: 3 .*later stage"),
        (lambda: replace(darts(), hypergradient=None), "hypergradient: None .*selection"),
        (lambda: replace(darts(), hypergradient=Unrolled), r"hypergradient: must be an object .*Unrolled\(\), got"),
        (lambda: drnas(progressive=True, partial_channels=3), "partial_channels: must be even.*4"),
        (lambda: p_darts(keep=(8, 5)), "one value for each stage"),
    ],
)
def test_parts_that_contradict_each_other_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("decoder", "top_k", r"decoder: must be .*top_k, got 'top_k'"),
        ("penalties", BetaDecay(), r"penalties: must be a tuple.*\(BetaDecay\(\),\)"),
        ("mixing", {"one_path": True}, "mixing: must be such as Mixing"),
    ],
)
def test_parts_of_the_wrong_kind_are_refused(part, value, message):
    """The check itself: with types checked, as in tests, such a row cannot be made at all."""
    method = copy.copy(darts())
    object.__setattr__(method, part, value)
    with pytest.raises(ValueError, match=message):
        method._check_kinds()


@pytest.mark.parametrize(
    ("method", "changes", "message"),
    [
        (pc_darts(partial_channels=3), {}, "partial_channels: .*3.*4"),
        (replace(darts(), stages=(Stage(share=0.5), Stage(share=0.5, keep=9))), {}, r"stages\[1\].keep: 9 .*1 to 4"),
        (p_darts(), {"epochs": 2}, "epochs: 2 are too few for 3 stages"),
    ],
)
def test_methods_that_do_not_fit_the_space_are_refused_before_work(tiny_space, tiny_data, method, changes, message):
    with pytest.raises(ValueError, match=message):
        quick(tiny_space, tiny_data, method, **changes)


@pytest.mark.parametrize("name", ["pc-darts", "p-darts", "oles", "lambda-darts", "darts-pt", "gdas"])
def test_spaces_that_lack_what_a_method_needs_refuse_it(name):
    from archgrad.spaces import RecurrentCellSpace

    space = RecurrentCellSpace(vocabulary_size=10, hidden_size=4)
    with pytest.raises(ValueError, match=f"method: '{name}' has .*recurrent_cell"):
        Searcher(space, steps_per_epoch=1, method=METHODS[name], settings=SearchSettings(epochs=9), device="cpu")
