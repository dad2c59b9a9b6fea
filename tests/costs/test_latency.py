"""Latency tables: with a count for a clock they are exact; each distinct operation is timed once."""

import time

import numpy as np
import pytest
import torch

from archgrad.costs import latency, median_milliseconds, multiply_adds
from archgrad.costs.counts import multiply_adds_by_module
from archgrad.spaces import ConvCellSpace

SPACE = ConvCellSpace(
    channels=4, layers=4, num_classes=3, nodes=2, candidates=("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3")
)
CPU = torch.device("cpu")


class CountingTimer:
    """Says that a call takes as many milliseconds as it makes multiply-adds, and notes what it is asked to time."""

    def __init__(self, overhead=0.0):
        self.asked = []
        self.overhead = overhead

    def __call__(self, call, device, repeats):
        (batch,) = call.args
        self.asked.append((call.func, batch, device, repeats))
        return self.overhead + len(batch) * sum(multiply_adds_by_module(call.func, batch).values())


def test_with_multiply_adds_for_a_clock_latency_is_multiply_adds():
    table = latency(SPACE, 8, device="cpu", timer=CountingTimer(), channels=6, layers=3)
    counted = multiply_adds(SPACE, 8, channels=6, layers=3)
    assert (table.fixed, table.values) == (counted.fixed, counted.values)
    assert (table.name, table.unit) == ("latency", "ms")
    assert table.conditions["channels"] == 6
    assert table.conditions["image_size"] == 8
    assert table.conditions["device"] == "cpu"


def test_each_distinct_operation_is_timed_once():
    timer, reported = CountingTimer(), []
    table = latency(
        SPACE, 8, device="cpu", batch_size=2, repeats=7, timer=timer, progress=lambda *counts: reported.append(counts)
    )
    # Three stages of normal cells, two reductions with edges from inputs and from nodes, each times three candidates.
    # With four cells no normal cell lies between the reductions: what is distinct there is 2 + 2 · 2 shapes.
    operations = timer.asked[:-3]
    kinds = {(type(func.body), sum(p.numel() for p in func.parameters()), x.shape) for func, x, _, _ in operations}
    assert len(kinds) == len(operations)
    assert {len(x) for _, x, _, _ in timer.asked} == {2}
    assert {repeats for *_, repeats in timer.asked} == {7}
    assert {device for _, _, device, _ in timer.asked} == {CPU}
    assert reported == [(place, len(timer.asked)) for place in range(1, len(timer.asked) + 1)]
    assert table.conditions["batch_size"] == 2


def test_operations_are_those_of_a_network_that_is_used():
    timer = CountingTimer()
    before = torch.get_rng_state()
    latency(SPACE, 8, device="cpu", timer=timer)
    assert torch.equal(torch.get_rng_state(), before)
    for func, batch, *_ in timer.asked:
        assert not func.training
        assert batch.is_contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            assert func(batch).isfinite().all()


def test_what_all_networks_share_is_at_least_nothing():
    assert latency(SPACE, 8, device="cpu", timer=CountingTimer(overhead=1e6)).fixed == 0


def test_a_median_of_calls_after_some_that_warm_up(monkeypatch):
    calls, now = [], [0.0]
    durations = iter([9.0, 9.0, 9.0, 0.001, 0.005, 0.002])

    def call():
        calls.append(now[0])
        now[0] += next(durations)

    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    assert median_milliseconds(call, CPU, 3) == pytest.approx(2.0)
    assert len(calls) == 6


def test_times_are_measured():
    space = ConvCellSpace(channels=2, layers=3, nodes=1, candidates=("skip_connect", "sep_conv_3x3"))
    table = latency(space, 8, device="cpu", repeats=1)
    costs = np.array(table.values["reduce"])
    assert (costs > 0).all()
    assert table.of(space.random_genotype(np.random.default_rng(0))) > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 0}, "batch_size: must be at least 1"),
        ({"repeats": 0}, "repeats: must be at least 1"),
        ({"device": "abacus"}, "device: 'abacus' is unknown"),
        ({"image_size": 4}, "too small for the reductions"),
    ],
)
def test_bad_arguments_are_named_before_anything_is_timed(change, message):
    timer = CountingTimer()
    with pytest.raises(ValueError, match=message):
        latency(SPACE, **{"image_size": 8, "timer": timer, **change})
    assert timer.asked == []
