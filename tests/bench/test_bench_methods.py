"""The benchmark of the methods measures what it says; figures are for `archgrad bench`, not for tests."""

from dataclasses import replace

import pytest

from archgrad.bench.methods import REFERENCE, MethodBenchmarkSettings, measure, run_method_benchmark
from archgrad.methods import METHODS

TINY = MethodBenchmarkSettings(channels=4, layers=3, batch_size=2, image_size=8, steps=1, device="cpu")


@pytest.mark.parametrize("name", METHODS)
def test_every_method_takes_a_step(name):
    measured = measure(name, TINY)
    assert measured.seconds > 0
    assert measured.mebibytes >= 0


def test_the_reference_is_measured_first_and_once():
    assert MethodBenchmarkSettings().measured[0] == REFERENCE
    assert set(MethodBenchmarkSettings().measured) == set(METHODS)
    other = next(name for name in METHODS if name != REFERENCE)
    assert MethodBenchmarkSettings(methods=(other, REFERENCE, other)).measured == (REFERENCE, other)


def test_each_method_gets_a_process_of_its_own_and_a_row(capsys):
    found = run_method_benchmark(replace(TINY, methods=(REFERENCE,)))
    assert list(found) == [REFERENCE]
    said = capsys.readouterr().out
    assert "÷ first order" in said
    assert REFERENCE in said


@pytest.mark.parametrize("change", [{"methods": ("dart",)}, {"batch_size": 1}, {"steps": 0}, {"device": "abacus"}])
def test_settings_are_checked(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        MethodBenchmarkSettings(**change)


def test_images_must_fit_the_supernet():
    with pytest.raises(ValueError, match="too small for the reductions"):
        measure(REFERENCE, MethodBenchmarkSettings(image_size=4, device="cpu"))
