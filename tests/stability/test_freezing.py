"""Gradient matching by operation against loops, windows, and weights that are held."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import Parameter

from archgrad.arch import OperationKey, Slice
from archgrad.stability import Freezing, held

SHAPES = {"depthwise": (6, 1, 3, 3), "pointwise": (6, 3, 1, 1), "stem": (4, 3), "scale": (6,)}
OPERATIONS = {
    OperationKey(0, 0, "sep_conv_3x3"): (Slice("depthwise", 0, 3), Slice("pointwise", 0, 3)),
    OperationKey(0, 0, "skip_connect"): (),
    OperationKey(0, 1, "sep_conv_3x3"): (Slice("depthwise", 3, 6), Slice("pointwise", 3, 6)),
    OperationKey(1, 0, "dil_conv_3x3"): (Slice("scale", 2, 4),),
}
SEPARABLE, SKIP, SECOND, DILATED = range(4)


def gradients(seed):
    normal = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=normal) for name, shape in SHAPES.items()}


def cosine_of(slices, train, validation):
    """The same by loops."""
    g, h = (torch.cat([of[name][start:stop].flatten() for name, start, stop in slices]) for of in (train, validation))
    return float(torch.dot(g, h) / (g.norm() * h.norm()))


def directed(scores):
    """Gradients whose cosine is `scores[o]` for each operation with weights."""
    train = {name: torch.zeros(shape) for name, shape in SHAPES.items()}
    validation = {name: torch.zeros(shape) for name, shape in SHAPES.items()}
    for slices, score in zip((slices for slices in OPERATIONS.values() if slices), scores, strict=True):
        rows = slices[0]
        first, second = (
            of[rows.parameter][rows.start : rows.start + 2].view(2, -1)[:, 0] for of in (train, validation)
        )
        first[0] = 2.0
        second[0], second[1] = 3.0 * score, 3.0 * (1 - score**2) ** 0.5
    return train, validation


def observed(rule, *steps):
    memory = rule.start(OPERATIONS)
    for scores in steps:
        rule.observe(memory, OPERATIONS, *directed(scores))
    return memory


def flags(rule, *steps):
    return observed(rule, *steps)["freezing.frozen"].tolist()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), steps=st.integers(1, 4))
def test_scores_are_those_of_loops(seed, steps):
    rule = Freezing(window=9)
    memory = rule.start(OPERATIONS)
    expected = [0.0] * len(OPERATIONS)
    for step in range(steps):
        train, validation = gradients(seed + step), gradients(seed + step + 5000)
        rule.observe(memory, OPERATIONS, train, validation)
        for place, slices in enumerate(OPERATIONS.values()):
            expected[place] += cosine_of(slices, train, validation) if slices else 0.0
    assert memory["freezing.sums"].tolist() == pytest.approx(expected, abs=1e-5)
    assert memory["freezing.counts"].tolist() == [steps, 0, steps, steps]


def test_an_operation_freezes_when_the_mean_of_its_window_is_below_the_threshold():
    rule = Freezing(threshold=0.4, window=2)
    assert flags(rule, (0.0, 0.0, 0.0)) == [False] * 4
    assert flags(rule, (0.0, 0.9, 0.5), (0.7, 0.0, 0.5)) == [True, False, False, False]


def test_windows_do_not_overlap():
    rule = Freezing(threshold=0.4, window=2)
    well, badly = (0.9, 0.9, 0.9), (0.0, 0.0, 0.0)
    assert flags(rule, well, badly, badly) == [False] * 4
    assert flags(rule, well, badly, badly, badly) == [True, False, True, True]


def test_frozen_is_for_ever():
    rule = Freezing(threshold=0.4, window=1)
    memory = observed(rule, (0.0, 0.9, 0.9), (1.0, 0.9, 0.0), (1.0, 1.0, 1.0))
    assert memory["freezing.frozen"].tolist() == [True, False, False, True]
    assert memory["freezing.counts"].tolist() == [0, 0, 0, 0]


def test_operations_without_weights_never_freeze():
    assert flags(Freezing(threshold=1.0, window=1), (0.0, 0.0, 0.0)) == [True, False, True, True]
    rule = Freezing()
    lonely = {OperationKey(0, 0, "skip_connect"): ()}
    memory = rule.start(lonely)
    rule.observe(memory, lonely, {}, {})
    assert rule.frozen(memory, lonely) == []


def test_a_step_without_a_gradient_is_not_counted():
    rule = Freezing(window=2)
    memory = rule.start(OPERATIONS)
    train, validation = directed((0.5, 0.5, 0.5))
    train["scale"][:] = 0
    validation["depthwise"][3:] = torch.nan
    rule.observe(memory, OPERATIONS, train, validation)
    assert memory["freezing.counts"].tolist() == [1, 0, 0, 0]


def test_scales_of_the_gradients_do_not_count():
    rule = Freezing(window=9)
    memories = [rule.start(OPERATIONS) for _ in range(2)]
    train, validation = gradients(0), gradients(1)
    rule.observe(memories[0], OPERATIONS, train, validation)
    rule.observe(
        memories[1], OPERATIONS, {n: 7 * g for n, g in train.items()}, {n: 0.1 * g for n, g in validation.items()}
    )
    torch.testing.assert_close(*(memory["freezing.sums"] for memory in memories))


def test_channels_last_gradients_count_by_their_rows():
    rule = Freezing(window=9)
    memories = [rule.start(OPERATIONS) for _ in range(2)]
    for memory, memory_format in zip(memories, (torch.contiguous_format, torch.channels_last), strict=True):
        train, validation = (
            {n: g.contiguous(memory_format=memory_format) if g.ndim == 4 else g for n, g in gradients(seed).items()}
            for seed in (0, 1)
        )
        rule.observe(memory, OPERATIONS, train, validation)
    torch.testing.assert_close(*(memory["freezing.sums"] for memory in memories))


def test_a_search_that_is_resumed_freezes_the_same():
    rule = Freezing(threshold=0.2, window=3)
    whole, parts = rule.start(OPERATIONS), rule.start(OPERATIONS)
    for step in range(7):
        for memory in (whole, parts):
            rule.observe(memory, OPERATIONS, gradients(step), gradients(step + 100))
        parts = {name: tensor.clone() for name, tensor in parts.items()}
    assert whole["freezing.frozen"].any()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_other_entries_of_the_memory_stay():
    rule = Freezing(window=1)
    memory = {**rule.start(OPERATIONS), "other": torch.ones(1)}
    rule.observe(memory, OPERATIONS, gradients(0), gradients(1))
    assert set(memory) == {*rule.start(OPERATIONS), "other"}


def test_frozen_slices_are_merged_where_they_touch():
    rule = Freezing(threshold=0.4, window=1)
    both = observed(rule, (0.0, 0.0, 1.0))
    assert rule.frozen(both, OPERATIONS) == [Slice("depthwise", 0, 6), Slice("pointwise", 0, 6)]
    one = observed(rule, (1.0, 0.0, 0.0))
    assert rule.frozen(one, OPERATIONS) == [Slice("depthwise", 3, 6), Slice("pointwise", 3, 6), Slice("scale", 2, 4)]


def network():
    return {name: Parameter(value) for name, value in gradients(3).items()}


def step(parameters, optimizer):
    optimizer.zero_grad()
    sum(parameter.pow(3).sum() for parameter in parameters.values()).backward()
    optimizer.step()


def test_held_against_momentum_and_weight_decay():
    slices = [Slice("depthwise", 1, 3), Slice("depthwise", 4, 5), Slice("scale", 0, 6)]
    parameters = network()
    optimizer = torch.optim.SGD(parameters.values(), lr=0.1, momentum=0.9, weight_decay=0.1)
    step(parameters, optimizer)  # momentum from before the freezing
    before = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    for _ in range(3):
        with held(parameters, slices):
            step(parameters, optimizer)
    for name, parameter in parameters.items():
        kept = torch.zeros(len(parameter), dtype=torch.bool)
        for row in slices:
            kept[row.start : row.stop] |= row.parameter == name
        assert torch.equal(parameter[kept], before[name][kept])
        assert not (parameter[~kept] == before[name][~kept]).any()


def test_held_weights_have_no_part_in_the_gradients_norm():
    parameters = network()
    with held(parameters, [Slice("scale", 0, 3), Slice("stem", 1, 2)]):
        sum(parameter.square().sum() for parameter in parameters.values()).backward()
    for name, kept in (("scale", slice(0, 3)), ("stem", slice(1, 2))):
        gradient = parameters[name].grad
        assert not gradient[kept].any()
        assert torch.equal(gradient[4:], 2 * parameters[name][4:])
    parameters["scale"].grad = None
    parameters["scale"].square().sum().backward()  # outside the block all of them learn again
    assert parameters["scale"].grad.all()


def test_held_also_when_the_block_fails():
    parameters = network()
    before = parameters["stem"].detach().clone()

    def fail():
        with held(parameters, [Slice("stem", 0, 4)]), torch.no_grad():
            parameters["stem"].zero_()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert torch.equal(parameters["stem"], before)
    assert not parameters["stem"]._backward_hooks


def test_nothing_held_changes_nothing():
    alone, free = network(), network()
    for parameters, slices in ((alone, None), (free, [])):
        optimizer = torch.optim.SGD(parameters.values(), lr=0.1)
        if slices is None:
            step(parameters, optimizer)
        else:
            with held(parameters, slices):
                step(parameters, optimizer)
    assert all(torch.equal(alone[name], free[name]) for name in alone)


def test_every_argument_counts():
    steps = ((0.3, 0.5, 0.5),) * 4
    base = Freezing(threshold=0.4, window=4)
    assert flags(base, *steps) != flags(replace(base, threshold=0.2), *steps)
    assert flags(base, *steps) != flags(replace(base, window=5), *steps)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"threshold": 1.5}, "threshold: must lie in"), ({"window": 0}, "window: must be at least 1")],
)
def test_bad_arguments(arguments, named):
    with pytest.raises(ValueError, match=named):
        Freezing(**arguments)
