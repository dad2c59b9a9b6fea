"""Rules that end a search, on made-up histories."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archgrad.stability import EigenvalueGrowth, SkipCount, StableRanking, Stopping

RULES = (EigenvalueGrowth(), SkipCount(), StableRanking(columns=(0, 1)))


def measured(values):
    return [{} if value is None else {"eigenvalue": value} for value in values]


def skips(*counts):
    return [{} if count is None else {"skips": {"normal": count, "reduce": 9}} for count in counts]


def mixtures(*rows):
    return [{"mixture": {"normal": [list(row)]}} for row in rows]


def first_stop(rule, history):
    """(epochs that were run, index taken) of a search that asks after every epoch."""
    for epochs in range(1, len(history) + 1):
        taken = rule(history[:epochs])
        if taken is not None:
            return epochs, taken
    return None


def definition(values, window, lag, ratio):
    """λ̄(i − k) / λ̄(i) < ratio at the newest i whose window is full, by loops."""
    half = window // 2

    def mean(i):
        return sum(values[i - half : i + half + 1]) / window

    newest = len(values) - 1 - half
    if newest - lag - half < 0:
        return None
    return newest - lag if mean(newest - lag) / mean(newest) < ratio else None


@pytest.mark.parametrize("rule", RULES)
def test_protocol(rule):
    assert isinstance(rule, Stopping)
    assert rule.citation in ("1909.09656", "1909.06035")
    assert len(rule.needs) == 1


@pytest.mark.parametrize("rule", RULES)
def test_nothing_known_stops_nothing(rule):
    assert rule([]) is None
    assert rule([{"train_loss": 1.0}] * 30) is None


@given(
    values=st.lists(st.floats(0.01, 10.0), max_size=25),
    window=st.sampled_from([1, 3, 5]),
    lag=st.integers(1, 6),
    ratio=st.floats(0.1, 1.0),
)
def test_growth_is_that_of_the_definition(values, window, lag, ratio):
    found = EigenvalueGrowth(window=window, lag=lag, ratio=ratio)(measured(values))
    assert found == definition(values, window, lag, ratio)


def test_a_jump_takes_the_cell_from_before_it():
    """1 until epoch 11, then 3: the mean around 10 is 1.4 with one 3 in it, and 1 / 1.4 < 0.75."""
    history = measured([1.0] * 12 + [3.0] * 8)
    assert first_stop(EigenvalueGrowth(), history) == (13, 5)


def test_geometric_growth_stops_by_its_rate():
    """λ̄(i − 5) / λ̄(i) = r⁻⁵ for all i: below 0.75 from r = 1.0593 on."""
    for rate, stops in ((1.058, None), (1.060, (10, 2))):
        assert first_stop(EigenvalueGrowth(), measured([rate**epoch for epoch in range(30)])) == stops


def test_a_falling_or_constant_eigenvalue_never_stops():
    assert first_stop(EigenvalueGrowth(), measured([2.0] * 40)) is None
    assert first_stop(EigenvalueGrowth(), measured([0.9**epoch for epoch in range(40)])) is None


def test_epochs_without_the_eigenvalue_are_passed_over():
    """Warm-up, a failed measurement, and every second epoch: indices are those of the records."""
    values = [None] * 3 + [1.0, None] * 4 + [float("nan"), 1.0, None, 4.0]
    rule = EigenvalueGrowth(window=1, lag=2)
    assert first_stop(rule, measured(values)) == (len(values), 9)


def test_a_mean_that_is_not_positive_stops_nothing():
    rule = EigenvalueGrowth(window=1, lag=1)
    assert rule(measured([-3.0, -1.0])) is None
    assert rule(measured([-1.0, 0.0])) is None
    assert rule(measured([-1.0, 1.0])) == 0


def test_skips_stop_in_the_epoch_that_has_too_many():
    history = skips(None, None, 1, 0, 1, 2, 3)
    assert first_stop(SkipCount(), history) == (6, 5)
    assert first_stop(SkipCount(limit=3), history) == (7, 6)
    assert first_stop(SkipCount(limit=4), history) is None
    assert first_stop(SkipCount(group="reduce"), history) == (3, 2)


def test_a_record_without_skips_stops_nothing_whatever_came_before():
    assert SkipCount()(skips(5, None)) is None


def test_a_ranking_that_holds():
    """The order of columns 1 and 2 holds from epoch 2 on; column 0 wanders, and does not count."""
    history = mixtures(
        (0.5, 0.2, 0.3), (0.1, 0.4, 0.5), (0.6, 0.3, 0.1), (0.2, 0.5, 0.3), (0.3, 0.4, 0.3), (0.1, 0.6, 0.3)
    )
    assert first_stop(StableRanking(columns=(1, 2), epochs=3), history) == (5, 4)
    assert first_stop(StableRanking(columns=(0, 1, 2), epochs=3), history) is None
    assert first_stop(StableRanking(columns=(1, 2), epochs=5), history) is None


def test_the_ranking_of_every_edge_has_to_hold():
    still, turning = [0.7, 0.3], ([0.6, 0.4], [0.4, 0.6])
    history = [{"mixture": {"normal": [still, turning[epoch % 2]]}} for epoch in range(9)]
    assert first_stop(StableRanking(columns=(0, 1), epochs=3), history) is None


def test_the_warm_up_is_not_a_stable_ranking():
    """Five epochs in which nothing moves, the last of which is where the logits start from."""
    rows = [(0.6, 0.4)] * 5 + [(0.6 + 0.01 * epoch, 0.4 - 0.01 * epoch) for epoch in range(1, 6)]
    assert first_stop(StableRanking(columns=(0, 1), epochs=4), mixtures(*rows)) == (8, 7)


def test_every_argument_counts():
    history = measured([1.0, 1.0, 1.1, 1.3, 1.7, 2.0, 2.2, 2.3])
    base = EigenvalueGrowth(window=3, lag=2, ratio=0.75)
    for change in ({"window": 1}, {"lag": 3}, {"ratio": 0.5}):
        assert first_stop(base, history) != first_stop(replace(base, **change), history), change
    other = [{"mixture": {"normal": [[0.6, 0.4]], "reduce": [[0.4 + 0.1 * (e % 3), 0.5]]}} for e in range(6)]
    for epoch, record in enumerate(other):
        record["mixture"]["normal"][0][0] += 0.01 * epoch
    rule = StableRanking(columns=(0, 1), epochs=4)
    assert rule(other) == 5
    assert replace(rule, group="reduce")(other) is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EigenvalueGrowth(window=4), r"^window: must be odd.* got 4; the nearest are 3 and 5\."),
        (lambda: EigenvalueGrowth(window=0), r"^window: must be at least 1"),
        (lambda: EigenvalueGrowth(lag=0), r"^lag: must be at least 1"),
        (lambda: EigenvalueGrowth(ratio=0.0), r"^ratio: must be above 0"),
        (lambda: EigenvalueGrowth(ratio=1.1), r"^ratio: must be at most 1"),
        (lambda: SkipCount(limit=0), r"^limit: must be at least 1"),
        (
            lambda: SkipCount(group="cell")(skips(1)),
            r"^group: 'cell' is not in the records; allowed are normal, reduce",
        ),
        (lambda: StableRanking(columns=(1,)), r"^columns: must be two or more different places"),
        (lambda: StableRanking(columns=(1, 1, 2)), r"^columns: must be two or more different places"),
        (lambda: StableRanking(columns=(-1, 2)), r"^columns: must be at least 0"),
        (lambda: StableRanking(columns=(0, 1), epochs=1), r"^epochs: must be at least 2"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
