"""The benchmark measures what it says; its figures are for `archgrad bench`, not for tests."""

import pytest

from archgrad.bench.steps import METHODS, REFERENCE, BenchmarkSettings, measure, run_benchmark

TINY = BenchmarkSettings(channels=4, layers=3, batch_size=2, image_size=8, steps=1, device="cpu")


@pytest.mark.parametrize("variant", [REFERENCE, *METHODS])
def test_every_variant_runs(variant):
    measured = measure(variant, TINY)
    assert measured.seconds > 0
    assert measured.mebibytes >= 0


@pytest.mark.slow
def test_each_variant_gets_a_process_of_its_own_and_a_row(capsys, monkeypatch):
    monkeypatch.setattr("archgrad.bench.steps.METHODS", {"first order": METHODS["first order"]})
    found = run_benchmark(TINY)
    assert list(found) == [REFERENCE, "first order"]
    assert "÷ ref." in capsys.readouterr().out


@pytest.mark.parametrize("change", [{"batch_size": 1}, {"steps": 0}, {"device": "abacus"}])
def test_settings_are_checked(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        BenchmarkSettings(**change)
