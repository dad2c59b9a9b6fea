"""Streams of text: what is in a batch, where passes begin, and that batch t follows from t."""

from itertools import islice

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archgrad.data.stream import Batches
from archgrad.data.text import FIXED, SEARCH_LENGTHS, TRAIN_LENGTHS, Lengths, TextStream, passes
from archgrad.seeding import generator

ALL_LENGTHS = st.sampled_from([FIXED, SEARCH_LENGTHS, TRAIN_LENGTHS, Lengths(0.5, 3.0, 2, 1)])


def stream(size=100, **changed):
    return TextStream(
        torch.arange(size), **{"batch_size": 3, "sequence_length": 4, "seed": 0, "purpose": "t", **changed}
    )


def first_pass(batches, rows):
    """The batches until every row but the last was an input."""
    found = []
    while sum(len(tokens) for tokens, _ in found) < rows - 1:
        found.append(next(batches))
    return found


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.integers(2, 40), st.integers(0, 4), st.integers(1, 12), ALL_LENGTHS, st.integers(0, 3))
def test_a_pass_gives_back_the_columns(batch_size, rows, rest, sequence_length, lengths, seed):
    size = batch_size * rows + rest % batch_size
    text = stream(size, batch_size=batch_size, sequence_length=sequence_length, lengths=lengths, seed=seed)
    batches = text.batches()
    columns = torch.stack([torch.arange(size)[k * rows : (k + 1) * rows] for k in range(batch_size)], dim=1)
    low, high = lengths.bounds(sequence_length)
    for _ in range(3):
        found = first_pass(batches, rows)
        assert torch.equal(torch.cat([tokens for tokens, _ in found]), columns[:-1])
        assert torch.equal(torch.cat([targets for _, targets in found]), columns[1:])
        sizes = [len(tokens) for tokens, _ in found]
        assert all(low <= size <= high for size in sizes[:-1])
        assert 1 <= sizes[-1] <= high


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 60), st.integers(1, 7), ALL_LENGTHS, st.integers(0, 3), st.integers(6, 80))
def test_random_access_is_sequential_access(start, sequence_length, lengths, seed, size):
    text = stream(size, sequence_length=sequence_length, lengths=lengths, seed=seed)
    later, skipped = text.batches(start), islice(text.batches(), start, None)
    for (tokens, targets), (others, other_targets) in islice(zip(later, skipped, strict=False), 5):
        assert torch.equal(tokens, others)
        assert torch.equal(targets, other_targets)


def test_a_pass_draws_its_lengths_from_its_own_key():
    lengths, text = TRAIN_LENGTHS, stream(3000, sequence_length=20, lengths=TRAIN_LENGTHS, seed=7)
    batches = text.batches()
    for number in range(3):
        sizes = [len(tokens) for tokens, _ in first_pass(batches, 1000)]
        drawn = lengths.draw(20, -(-999 // 5), generator(7, "t", "lengths", number)).tolist()
        assert sizes[:-1] == drawn[: len(sizes) - 1]
        assert sum(sizes) == 999


def test_seeds_purposes_and_passes_differ():
    def sizes(skip=0, **changed):
        text = stream(3000, sequence_length=20, lengths=TRAIN_LENGTHS, **changed)
        batches = text.batches()
        for _ in range(skip):
            first_pass(batches, 1000)
        return tuple(len(tokens) for tokens, _ in first_pass(batches, 1000))

    assert len({sizes(), sizes(1), sizes(seed=1), sizes(purpose="v")}) == 4
    assert sizes() == sizes()


def test_two_iterators_do_not_disturb_each_other():
    text = stream(lengths=TRAIN_LENGTHS)
    first, second = text.batches(), text.batches()
    assert all(torch.equal(next(first)[0], next(second)[0]) for _ in range(30))


def test_reading_leaves_the_global_random_state_alone():
    before = torch.get_rng_state()
    list(islice(stream(lengths=TRAIN_LENGTHS).batches(), 40))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("sequence_length", [1, 2, 3, 4, 5, 10, 35])
@pytest.mark.parametrize("lengths", [FIXED, SEARCH_LENGTHS, TRAIN_LENGTHS, Lengths(0.5, 2.0, 3, 2)])
def test_the_expected_length_is_the_mean_of_many(lengths, sequence_length):
    drawn = lengths.draw(sequence_length, 40_000, torch.Generator().manual_seed(0)).double()
    error = drawn.std().item() / 200
    assert drawn.mean().item() == pytest.approx(lengths.expected(sequence_length), abs=5 * error + 1e-9)


def test_fixed_and_search_lengths_in_closed_form():
    assert [FIXED.expected(length) for length in (1, 5, 35)] == [1, 5, 35]
    assert SEARCH_LENGTHS.expected(35) == pytest.approx(0.95 * 35 + 0.05 * 17)
    assert SEARCH_LENGTHS.expected(1) == 1
    drawn = SEARCH_LENGTHS.draw(35, 10_000, torch.Generator().manual_seed(1))
    assert drawn.unique().tolist() == [17, 35]
    assert (drawn == 17).double().mean().item() == pytest.approx(0.05, abs=0.01)


def test_training_lengths_are_a_normal_around_the_base_within_bounds():
    drawn = TRAIN_LENGTHS.draw(12, 20_000, torch.Generator().manual_seed(1))
    assert (drawn.min().item(), TRAIN_LENGTHS.bounds(12)) == (5, (5, 32))
    long = TRAIN_LENGTHS.draw(70, 20_000, torch.Generator().manual_seed(1)).double()
    assert long[long > 52].mean().item() == pytest.approx(69.5, abs=0.2)  # a whole part is half a row below on average
    assert long[long > 52].std().item() == pytest.approx(5, abs=0.2)
    assert long.max() <= 90


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 200), st.integers(1, 20))
def test_at_a_fixed_length_an_epoch_is_a_pass(rows, sequence_length):
    text = stream(rows * 2, batch_size=2, sequence_length=sequence_length)
    assert text.batches_per_epoch == len(first_pass(text.batches(), rows))
    assert text.batches_per_epoch == len(
        list(passes(torch.arange(rows * 2), batch_size=2, sequence_length=sequence_length))
    )
    assert next(text.batches(text.batches_per_epoch))[0][0, 0] == 0


def test_an_epoch_at_random_lengths_is_about_a_pass():
    text = stream(30_000, sequence_length=35, lengths=TRAIN_LENGTHS)
    batches = text.batches()
    counts = [len(first_pass(batches, 10_000)) for _ in range(20)]
    assert sum(counts) / 20 == pytest.approx(text.batches_per_epoch, rel=0.02)


def test_the_stream_is_what_a_search_needs():
    text = stream()
    assert isinstance(text, Batches)
    assert text.identity == stream().identity
    changes = [
        {"size": 99}, {"batch_size": 2}, {"sequence_length": 5}, {"seed": 1}, {"purpose": "v"},
        {"lengths": SEARCH_LENGTHS},
    ]  # fmt: skip
    others = [str(stream(**change).identity) for change in changes]
    assert len({str(text.identity), *others}) == 1 + len(changes) - 1  # the 100th of 3 columns was left out anyway


def test_batches_are_int64_on_the_device():
    for tokens, targets in islice(stream(device="cpu").batches(), 3):
        assert tokens.dtype == targets.dtype == torch.int64
        assert tokens.shape == targets.shape == (4, 3)
        assert tokens.device.type == "cpu"


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 60), st.integers(1, 70))
def test_one_column_covers_every_token_but_the_first_as_target_once(size, sequence_length):
    found = list(passes(torch.arange(size), batch_size=1, sequence_length=sequence_length))
    assert torch.cat([targets for _, targets in found]).flatten().tolist() == list(range(1, size))
    assert torch.cat([tokens for tokens, _ in found]).flatten().tolist() == list(range(size - 1))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"batch_size": 0}, "batch_size: must be at least 1, got 0"),
        ({"batch_size": 51}, "tokens: 100 are shorter than one batch of sequences; batch_size 51 needs at least 102"),
        ({"size": 0}, "tokens: 0 are shorter"),
        ({"sequence_length": 0}, "sequence_length: must be at least 1, got 0"),
    ],
)
def test_impossible_streams(changed, message):
    with pytest.raises(ValueError, match=message):
        stream(**changed)
    size = changed.pop("size", 100)
    with pytest.raises(ValueError, match=message):  # at the call, before the first batch
        passes(torch.arange(size), **{"batch_size": 3, "sequence_length": 4, **changed})


def test_a_text_of_exactly_two_rows_is_enough():
    tokens, targets = next(stream(100, batch_size=50).batches())
    assert torch.equal(targets, tokens + 1)
    assert tokens.shape == (1, 50)


def test_a_start_below_zero_is_refused_at_the_call():
    with pytest.raises(ValueError, match="start: must be at least 0, got -1"):
        stream().batches(-1)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"half_probability": 1.5}, r"half_probability: must lie in \[0, 1\], got 1.5"),
        ({"deviation": -1.0}, "deviation: must be at least 0"),
        ({"minimum": 0}, "minimum: must be at least 1, got 0"),
        ({"excess": -1}, "excess: must be at least 0, got -1"),
    ],
)
def test_impossible_lengths(changed, message):
    with pytest.raises(ValueError, match=message):
        Lengths(**changed)
