"""The parts of the mixed operation's variants, each by its closed form."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archgrad.arch import LogitGroup
from archgrad.mixing import Mixing
from archgrad.spaces.conv.interior import interior
from archgrad.spaces.conv.mixed import Sums, check_partial_channels, drop, go_past, shuffle, shuffled

GROUP = LogitGroup.dense("cell", inputs=2, nodes=2, candidates=("none", "skip_connect"))


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 5), st.integers(1, 4))
def test_shuffling_in_one_copy(groups, size):
    x = torch.randn(2, groups * size, 3, 2).contiguous(memory_format=torch.channels_last)
    found = shuffled(x[:, :size], x[:, size:])
    assert torch.equal(found, shuffle(x, groups))
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_shuffling_is_undone_by_the_other_number_of_groups():
    x = torch.randn(2, 12, 2, 2)
    assert torch.equal(shuffle(shuffle(x, 3), 4), x)
    assert not torch.equal(shuffle(x, 3), x)


def test_what_goes_past_is_pooled_at_stride_two():
    x = torch.arange(15.0).view(1, 1, 3, 5)
    assert go_past(x, 1) is x
    assert go_past(x, 2).squeeze().tolist() == [[6, 8, 9], [11, 13, 14]]


@pytest.mark.parametrize(
    ("partial", "channels", "even", "message"),
    [
        (3, 16, False, r"partial_channels: must divide the channels, 16, got 3; the nearest that does is 2 or 4\."),
        (32, 16, False, r"got 32; the nearest that does is 16\."),
        (16, 16, True, r"divide the channels, 16, into an even number, for the factorised reductions, got 16; .* is 8"),
        (5, 12, True, r"got 5; the nearest that does is 6"),
        (1, 3, True, r"channels: a factorised reduction needs an even number of channels, got 3"),
    ],
)
def test_partial_channels_that_do_not_fit(partial, channels, even, message):
    with pytest.raises(ValueError, match=message):
        check_partial_channels(partial, channels, even=even)


def test_partial_channels_that_fit():
    for partial in (1, 2, 4, 8, 16):
        check_partial_channels(partial, 16)


def test_an_interior_that_halves_needs_an_even_number_of_selected_channels():
    mixing = Mixing(partial_channels=4)
    interior(GROUP, 4, (1, 1, 1), inputs=2, mixing=mixing)
    with pytest.raises(ValueError, match=r"partial_channels: .* into an even number.*got 4; .* is 2"):
        interior(GROUP, 4, (2, 2, 1), inputs=2, mixing=mixing)


def test_unknown_engine_of_an_interior():
    with pytest.raises(ValueError, match="engine: 'edge' is unknown"):
        interior(GROUP, 4, (1, 1, 1), inputs=2, engine="edge")


def test_dropout_keeps_the_mean_and_draws_from_the_generator_of_torch():
    torch.manual_seed(0)
    x = torch.ones(8, 8, 16, 16)
    y = drop(x, 0.25)
    assert y.unique().tolist() == pytest.approx([0, 4 / 3])
    assert abs(float(y.mean()) - 1) < 0.02
    torch.manual_seed(0)
    assert torch.equal(drop(x, 0.25), y)
    assert drop(x, 0.0) is x


def test_auxiliary_skips_and_dropout_fade():
    """b (1 − t), and r exp(−5 t)."""
    cell = interior(GROUP, 4, (1, 1, 1), inputs=2, mixing=Mixing(auxiliary_skip=2.0, skip_dropout=0.4))
    assert (cell.auxiliary_weight, cell.skip_dropout) == (2.0, 0.4)
    cell.progress = 0.25
    assert cell.auxiliary_weight == 1.5
    assert cell.skip_dropout == pytest.approx(0.4 * math.exp(-1.25))
    cell.progress = 1.0
    assert cell.auxiliary_weight == 0.0
    assert cell.eval().skip_dropout == 0.0


def test_sums_of_the_nodes_ahead():
    one, two, three = torch.tensor(1.0), torch.tensor(2.0), torch.tensor(4.0)
    sums = Sums()
    assert sums.next() is None
    sums.to_each([one, None])
    sums.to_each([two, None])
    sums.to_all(three)
    assert sums.next() == 7
    sums.to_each([two])
    assert sums.next() == 6
    assert sums.next() == 4
