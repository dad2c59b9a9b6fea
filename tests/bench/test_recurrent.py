"""The benchmark of the recurrent supernet measures what it says; figures are for `archgrad bench`, not for tests."""

import pytest

from archgrad.bench.recurrent import (
    ENGINES,
    PRODUCTS,
    REFERENCE,
    RecurrentBenchmarkSettings,
    _factors,
    measure,
    run_recurrent_benchmark,
)

TINY = RecurrentBenchmarkSettings(
    hidden_size=4, nodes=2, vocabulary_size=7, batch_size=2, sequence_length=3, steps=1, device="cpu"
)


@pytest.mark.parametrize("variant", [PRODUCTS, *(name for name in ENGINES if name != "compiled")])
def test_every_variant_runs(variant):
    measured = measure(variant, TINY)
    assert measured.seconds > 0
    assert measured.mebibytes >= 0


def test_the_products_are_those_of_the_two_halves_of_a_step():
    """Multiply-adds by hand: decoder, x·W0x, h·W0h and two nodes, forward twice, by states twice, by weights once."""
    import torch

    counted = sum(
        times * left.shape[0] * left.shape[1] * right.shape[1]
        for left, right, times in _factors(TINY, torch.device("cpu"))
    )
    tokens, size, vocabulary = 3 * 2, 4, 7
    decoder, embedding = tokens * size * vocabulary, tokens * size * 2 * size
    recurrent, nodes = tokens * size * 2 * size, (1 + 2) * tokens * size * 2 * size
    assert counted == 5 * (decoder + recurrent + nodes) + 4 * embedding


@pytest.mark.slow
def test_each_variant_gets_a_process_of_its_own_and_a_row(capsys, monkeypatch):
    monkeypatch.setattr("archgrad.bench.recurrent.ENGINES", {REFERENCE: "per_edge"})
    found = run_recurrent_benchmark(TINY)
    assert list(found) == [PRODUCTS, REFERENCE]
    assert "÷ products" in capsys.readouterr().out


@pytest.mark.parametrize("change", [{"batch_size": 1}, {"sequence_length": 0}, {"steps": 0}, {"device": "abacus"}])
def test_settings_are_checked(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        RecurrentBenchmarkSettings(**change)
