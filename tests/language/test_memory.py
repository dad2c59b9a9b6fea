"""The estimate is the sum that its docstring gives, and what cannot fit is refused with what to lower."""

import pytest
import torch

from archgrad.language import estimate_bytes, require_memory

SIZES = {"parameters": 1000, "vocabulary_size": 50, "hidden_size": 8, "batch_size": 4, "sequence_length": 5}


def test_the_sum():
    found = estimate_bytes(**SIZES, copies=3, states=10)
    assert found == 4 * (3 * 1000 + 3 * 5 * 4 * 50 + 10 * 5 * 4 * 8)


@pytest.mark.parametrize("name", [*SIZES, "copies", "states"])
def test_every_size_counts(name):
    arguments = {**SIZES, "copies": 3, "states": 10}
    assert estimate_bytes(**{**arguments, name: 2 * arguments[name]}) > estimate_bytes(**arguments)


def test_penn_treebank_takes_more_for_the_scores_than_for_the_weights():
    """23 million parameters at a batch of 64 and lengths up to 55: 0.4 GiB each, and some for the states."""
    found = estimate_bytes(
        parameters=23_000_000, vocabulary_size=10_000, hidden_size=850, batch_size=64, sequence_length=55, states=50
    )
    assert found / 2**30 == pytest.approx(0.343 + 0.393 + 0.557, abs=0.01)


def test_sizes_that_cannot_be_are_named():
    with pytest.raises(ValueError, match=r"^batch_size: must be at least 1, got 0\.$"):
        estimate_bytes(**{**SIZES, "batch_size": 0})
    with pytest.raises(ValueError, match=r"^states: must be at least 0, got -1\.$"):
        estimate_bytes(**SIZES, states=-1)


def test_what_cannot_fit_is_refused_with_what_to_lower(monkeypatch):
    monkeypatch.setattr("archgrad.memory.available_bytes", lambda device: 2**31)
    require_memory(2**31, torch.device("cpu"))
    message = (
        r"device: a step would take about 3\.0 GiB, but 'cpu' has 2\.0 GiB; lower batch_size, sequence_length, the "
        r"vocabulary_size of the corpus, or the size of the network\."
    )
    with pytest.raises(ValueError, match=message):
        require_memory(3 * 2**30, torch.device("cpu"))
