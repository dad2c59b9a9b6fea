"""Batches of rows as a closed form of the step, and splits that leave something on either side."""

from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archgrad.data.stream import Batches
from archgrad.data.tables import TableStream, split_rows
from archgrad.seeding import generator


def stream(rows=7, **changes):
    arguments = {"inputs": torch.arange(rows)[:, None] + torch.zeros(1, 2), "targets": -torch.arange(float(rows))}
    return TableStream(**{**arguments, "batch_size": 3, "seed": 2, "purpose": "train", **changes})


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 3))
def test_every_epoch_is_drawn_without_replacement(rows, batch_size, seed):
    table = stream(rows, batch_size=batch_size, seed=seed)
    size = min(rows, batch_size)
    assert table.batches_per_epoch == rows // size
    batches = table.batches()
    for _ in range(2):
        epoch = [next(batches) for _ in range(table.batches_per_epoch)]
        seen = torch.cat([inputs[:, 0] for inputs, _ in epoch]).tolist()
        assert len(set(seen)) == len(seen) == size * (rows // size)
        assert torch.cat([targets for _, targets in epoch]).tolist() == [-value for value in seen]


def test_batch_t_is_a_closed_form_of_the_step():
    table = stream()
    for step, (inputs, _) in zip(range(6), table.batches(), strict=False):
        epoch, number = divmod(step, 2)
        order = torch.randperm(7, generator=generator(2, "train", "permutation", epoch))
        assert torch.equal(inputs[:, 0], order[3 * number : 3 * number + 3].float())
        assert torch.equal(next(table.batches(step))[0], inputs)


@pytest.mark.parametrize("batch_size", [7, 100])
def test_a_batch_of_all_rows_has_them_in_order(batch_size):
    table = stream(batch_size=batch_size)
    assert table.batches_per_epoch == 1
    for inputs, targets in islice(table.batches(3), 2):
        assert inputs[:, 0].tolist() == list(range(7))
        assert targets.tolist() == [-row for row in range(7)]


def test_weights_stand_beside_the_targets():
    _, targets = next(stream(batch_size=7, weights=torch.arange(7.0) / 2).batches())
    assert torch.equal(targets, torch.stack([-torch.arange(7.0), torch.arange(7.0) / 2], dim=1))
    _, targets = next(stream(batch_size=7, targets=torch.ones(7, 2)).batches())
    assert torch.equal(targets, torch.ones(7, 2))


def test_numbers_are_single_precision():
    inputs, targets = next(stream(inputs=torch.ones(7, 2).double(), targets=torch.ones(7).double()).batches())
    assert inputs.dtype == targets.dtype == torch.float32


def test_every_argument_is_part_of_the_identity_and_of_the_batches():
    base = stream()
    assert isinstance(base, Batches)
    assert base.identity == stream().identity
    changes = [
        {"seed": 3},
        {"purpose": "validation"},
        {"batch_size": 2},
        {"inputs": torch.ones(7, 2)},
        {"targets": torch.ones(7)},
        {"weights": torch.ones(7)},
    ]
    first = next(base.batches())
    for change in changes:
        other = stream(**change)
        assert other.identity != base.identity
        batch = next(other.batches())
        assert any(a.shape != b.shape or not torch.equal(a, b) for a, b in zip(batch, first, strict=True)), change


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 0}, r"batch_size: must be at least 1, got 0"),
        ({"targets": torch.ones(6)}, r"targets: 6 of them for 7 rows of inputs"),
        ({"weights": torch.ones(8)}, r"weights: 8 of them for 7 rows of inputs"),
        (
            {"inputs": torch.ones(0, 2), "targets": torch.ones(0)},
            r"inputs: the number of rows: must be at least 1, got 0",
        ),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        stream(**changes)
    with pytest.raises(ValueError, match=r"start: must be at least 0, got -1"):
        stream().batches(-1)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.floats(0.01, 0.99), st.integers(0, 5))
def test_splits_are_partitions_with_something_on_either_side(count, fraction, seed):
    training, held_out = split_rows(count, fraction, seed)
    if count < 4:
        assert training.tolist() == held_out.tolist() == list(range(count))
        return
    assert sorted([*training, *held_out]) == list(range(count))
    assert training.tolist() == sorted(training)
    assert held_out.tolist() == sorted(held_out)
    assert min(len(training), len(held_out)) >= 1
    assert abs(len(held_out) - fraction * count) <= 1


def test_splits_follow_from_the_seed():
    first, second, other = (split_rows(30, 0.3, seed)[1] for seed in (0, 0, 1))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("count", "fraction", "message"),
    [(0, 0.5, r"count: must be at least 1, got 0"), (9, 1.0, r"fraction: must lie strictly between 0 and 1, got 1.0")],
)
def test_splits_that_cannot_be_are_refused(count, fraction, message):
    with pytest.raises(ValueError, match=message):
        split_rows(count, fraction, 0)
