"""The published defaults, and that each bad value is refused by name."""

import math
from dataclasses import asdict

import pytest

from archgrad import SearchSettings
from archgrad.settings import changed


def test_defaults_are_those_of_the_paper_and_its_code():
    published = {
        "epochs": 50,
        "batch_size": 64,
        "learning_rate": 0.025,
        "final_learning_rate": 0.001,
        "momentum": 0.9,
        "weight_decay": 3e-4,
        "gradient_clip": 5.0,
        "logits_learning_rate": 3e-4,
        "logits_betas": (0.5, 0.999),
        "logits_weight_decay": 1e-3,
        "logits_scale": 1e-3,
        "train_fraction": 0.5,
        "warmup_epochs": 0,
        "logit_updates": 1,
        "weight_updates": 1,
        "patience": 0,
    }
    assert asdict(SearchSettings()).items() >= published.items()
    augmentation = SearchSettings().augmentation
    assert (augmentation.crop_padding, augmentation.flip, augmentation.cutout) == (4, True, 0)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("epochs", 0, "must be at least 1"),
        ("batch_size", 1, "must be at least 2"),
        ("warmup_epochs", -1, "must be at least 0"),
        ("warmup_epochs", 51, r"must be at most epochs, 50 \(.*\)"),
        ("learning_rate", 0.0, "must be above 0"),
        ("learning_rate", math.nan, "must be above 0"),
        ("logits_learning_rate", -1.0, "must be above 0"),
        ("gradient_clip", 0.0, "must be above 0"),
        ("unrolled_clip", 0.0, "must be above 0"),
        ("final_learning_rate", -0.1, "must be at least 0"),
        ("weight_decay", -0.1, "must be at least 0"),
        ("logits_weight_decay", math.nan, "must be at least 0"),
        ("logits_scale", -1.0, "must be at least 0"),
        ("patience", -1, "must be at least 0"),
        ("workers", -1, "must be at least 0"),
        ("logit_updates", -1, "must be at least 0"),
        ("weight_updates", 0, "must be at least 1"),
        ("momentum", 1.0, r"must lie in \[0, 1\)"),
        ("train_fraction", 0.0, "must lie strictly between 0 and 1"),
        ("train_fraction", 1.0, "must lie strictly between 0 and 1"),
    ],
)
def test_bad_values_are_named(name, value, allowed):
    with pytest.raises(ValueError, match=rf"^{name}: {allowed}, got ") as caught:
        SearchSettings(**{name: value})
    assert str(value) in str(caught.value)


@pytest.mark.parametrize(("betas", "said"), [((0.5, 1.0), r"\[1\].* got 1.0"), ((-0.5, 0.9), r"\[0\].* got -0.5")])
def test_bad_betas_are_named(betas, said):
    with pytest.raises(ValueError, match=rf"^logits_betas{said}"):
        SearchSettings(logits_betas=betas)


def test_unknown_precision():
    with pytest.raises(
        ValueError, match=r"precision: 'float23' is unknown; did you mean 'float32'.*Allowed: float32, bfloat16"
    ):
        SearchSettings(precision="float23")


def test_changes_are_fields():
    assert changed(SearchSettings(), {"epochs": 3}).epochs == 3
    with pytest.raises(ValueError, match=r"argument: 'lr' is unknown"):
        changed(SearchSettings(), {"lr": 0.1})
    with pytest.raises(ValueError, match=r"argument: 'learning_rat' is unknown; did you mean 'learning_rate'"):
        changed(SearchSettings(), {"learning_rat": 0.1})
    with pytest.raises(ValueError, match=r"epochs: must be at least 1, got 0"):
        changed(SearchSettings(), {"epochs": 0})
