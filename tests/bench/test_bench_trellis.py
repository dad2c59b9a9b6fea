"""The benchmark of the trellis measures what it says; figures are for `archgrad bench`, not for tests."""

import pytest

from archgrad.bench.trellis import (
    REFERENCE,
    VARIANTS,
    TrellisBenchmarkSettings,
    estimated_mebibytes,
    measure,
    run_trellis_benchmark,
)

TINY = TrellisBenchmarkSettings(
    layers=2, filters=1, blocks=1, num_classes=3, batch_size=2, image_size=33, steps=1, device="cpu"
)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_runs(variant):
    measured = measure(variant, TINY)
    assert measured.seconds > 0
    assert measured.mebibytes >= 0


def test_variants_are_what_they_are_called():
    readings = {variant: (TINY.space(variant).reading, TINY.space(variant).checkpointing) for variant in VARIANTS}
    assert readings == VARIANTS
    assert readings[REFERENCE] == ("cell_per_edge", False)


def test_a_cell_per_edge_is_estimated_to_take_more():
    assert estimated_mebibytes(REFERENCE, TINY) > estimated_mebibytes("mixed inputs", TINY)


@pytest.mark.slow
def test_each_variant_gets_a_process_of_its_own_and_a_row(capsys, monkeypatch):
    monkeypatch.setattr("archgrad.bench.trellis.VARIANTS", {REFERENCE: VARIANTS[REFERENCE]})
    found = run_trellis_benchmark(TINY)
    assert list(found) == [REFERENCE]
    said = capsys.readouterr().out
    assert "÷ ref." in said
    assert f"{REFERENCE}: estimated" in said


@pytest.mark.parametrize("change", [{"batch_size": 1}, {"steps": 0}, {"device": "abacus"}])
def test_settings_are_checked(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        TrellisBenchmarkSettings(**change)
