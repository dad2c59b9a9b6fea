"""Which methods and settings JAX knows, and that every other one is refused by the part it has."""

import pytest

from archgrad.jax import supported
from archgrad.jax.support import check_loss, check_optimizer, checked_settings, method_row
from archgrad.methods import METHODS
from archgrad.settings import BilevelSettings, SearchSettings

SUPPORTED = ("darts-first-order", "darts-second-order", "fair-darts", "snas", "pc-darts", "darts-minus", "beta-darts")
OTHERS = {
    "darts-second-order-finite-difference": "'FiniteDifference' is unknown",
    "implicit-darts": "'Implicit' is unknown",
    "i-darts": "'Implicit' is unknown",
    "gdas": "it has mixing.one_path",
    "drnas": "Dirichlet.* has no twin",
    "drnas-progressive": "it has stages",
    "p-darts": "it has stages",
    "smooth-darts-random": "it has perturbation",
    "smooth-darts-adversarial": "it has perturbation",
    "lambda-darts": "it has alignment",
    "oles": "it has freezing",
    "robust-darts": "it has stopping",
    "darts-plus": "it has stopping",
    "darts-pt": "it has selection",
    "random-weight-sharing": "it has selection",
}


def test_the_methods_that_jax_knows():
    assert supported() == SUPPORTED
    for name in SUPPORTED:
        method_row(METHODS[name])


def test_what_is_no_method_is_refused():
    with pytest.raises(ValueError, match=r"method: must be a name or a row such as .*, got 3"):
        method_row(3)


def test_what_is_no_loss_and_no_transformation_is_refused():
    with pytest.raises(ValueError, match=r"loss: must be a function of \(outputs, targets\), got 'mse'"):
        check_loss("mse")
    with pytest.raises(ValueError, match=r"logit_optimizer: must be an Optax transformation such as .*, got 'adam'"):
        check_optimizer("logit_optimizer", "adam")


def test_every_method_is_either_known_or_refused():
    assert {*SUPPORTED, *OTHERS} == set(METHODS)


@pytest.mark.parametrize(("name", "part"), OTHERS.items())
def test_others_are_refused_by_the_part_they_have(name, part):
    with pytest.raises(ValueError, match=f"method: '{name}' is the PyTorch driver's alone .*{part}.*") as refused:
        method_row(METHODS[name])
    assert str(refused.value).endswith(f"In JAX: {', '.join(SUPPORTED)}.")


@pytest.mark.parametrize(
    "changes",
    [
        {"unrolled_clip": 5.0},
        {"logit_updates": 2},
        {"weight_updates": 2},
        {"patience": 1},
        {"precision": "bfloat16"},
        {"eigenvalue_every": 1},
        {"gap_batches": 1},
        {"selection_batches": 9},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_settings_of_the_other_driver_are_refused(changes):
    (name,) = changes
    with pytest.raises(ValueError, match=f"{name}: is a setting of the PyTorch driver alone; in JAX: epochs, "):
        checked_settings(BilevelSettings(**changes), {})
    with pytest.raises(ValueError, match=f"{name}: is a setting of the PyTorch driver alone; in JAX: epochs, "):
        checked_settings(BilevelSettings(), changes)


def test_settings_that_jax_knows_may_have_any_value():
    assert checked_settings(BilevelSettings(), {}) == BilevelSettings()
    changes = dict(  # noqa: C408
        epochs=3,
        warmup_epochs=1,
        learning_rate=0.1,
        final_learning_rate=0.0,
        momentum=0.5,
        weight_decay=0.0,
        gradient_clip=1.0,
        logits_learning_rate=0.1,
        logits_betas=(0.9, 0.99),
        logits_weight_decay=0.0,
        logits_scale=0.0,
    )
    assert checked_settings(BilevelSettings(), changes) == BilevelSettings(**changes)


def test_settings_of_images_are_refused_only_where_they_ask_for_more():
    with pytest.raises(ValueError, match="batch_size: is a setting of the PyTorch driver alone"):
        checked_settings(SearchSettings(batch_size=32), {})
