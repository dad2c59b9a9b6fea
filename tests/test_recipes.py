"""The published recipes, the learning rates that they give, and that each bad value is refused by name."""

import math

import pytest

from archgrad import Recipe, recipes
from archgrad.ops.dropout import Dropout
from archgrad.recipes import DenseRecipe, LanguageRecipe


def test_cifar10_as_published():
    recipe = recipes.cifar10()
    assert (recipe.epochs, recipe.batch_size, recipe.learning_rate, recipe.final_learning_rate) == (600, 96, 0.025, 0.0)
    assert (recipe.momentum, recipe.weight_decay, recipe.gradient_clip) == (0.9, 3e-4, 5.0)
    assert (recipe.auxiliary_weight, recipe.path_dropout, recipe.label_smoothing) == (0.4, 0.2, 0.0)
    assert (recipe.schedule, recipe.average_decay, recipe.warmup_epochs) == ("cosine", 0.0, 0)
    assert recipe.augmentation.cutout == 16
    assert recipe.augmentation.crop_padding == 4
    assert recipe.augmentation.mean == (0.49139968, 0.48215827, 0.44653124)
    assert recipe.augmentation.std == (0.24703233, 0.24348505, 0.26158768)
    assert recipe.rate(0) == 0.025
    assert recipe.rate(300) == pytest.approx(0.0125)


def test_imagenet_as_published():
    recipe = recipes.imagenet()
    assert (recipe.epochs, recipe.batch_size, recipe.learning_rate, recipe.weight_decay) == (250, 128, 0.1, 3e-5)
    assert (recipe.label_smoothing, recipe.auxiliary_weight, recipe.path_dropout) == (0.1, 0.4, 0.0)
    assert recipe.rate(2) == pytest.approx(0.1 * 0.97**2)
    assert recipe.augmentation.cutout == 0


def test_digits_are_not_flipped():
    assert recipes.digits().augmentation.flip is False


def test_recipes_by_name_take_changes():
    assert set(recipes.RECIPES) == {"cifar10", "imagenet", "digits"}
    for make in recipes.RECIPES.values():
        assert make(epochs=7).epochs == 7
        with pytest.raises(ValueError, match=r"argument: 'epoch' is unknown; did you mean 'epochs'"):
            make(epoch=7)


def test_image_recipes_have_one_rate_for_an_epoch():
    for recipe in (recipes.cifar10(epochs=4, warmup_epochs=2), recipes.imagenet(epochs=4)):
        found = [recipe.step_rate(step, steps_per_epoch=3) for step in range(12)]
        assert found == [recipe.rate(epoch) for epoch in range(4) for _ in range(3)]


def test_cityscapes_as_published():
    recipe = recipes.cityscapes()
    assert recipe == DenseRecipe()
    assert (recipe.learning_rate, recipe.power, recipe.momentum, recipe.warmup_epochs) == (0.05, 0.9, 0.9, 0)
    assert (recipe.augmentation.crop, recipe.augmentation.scale, recipe.augmentation.flip) == (
        (769, 769),
        (0.5, 2.0),
        True,
    )
    assert (recipe.class_weights, recipe.average_decay, recipe.precision) == ("none", 0.0, "float32")
    steps = recipe.epochs * (2975 // recipe.batch_size)
    assert 1_500_000 <= steps < 1_500_000 + 2975 // recipe.batch_size


def test_dense_recipes_fall_by_the_step_to_the_last():
    """lr (1 − t / T)^0.9, from lr at the first step to lr / T^0.9 at the last."""
    found = [recipes.cityscapes(epochs=4).step_rate(step, steps_per_epoch=5) for step in range(20)]
    assert found == pytest.approx([0.05 * (1 - step / 20) ** 0.9 for step in range(20)])
    warm = [recipes.cityscapes(epochs=4, warmup_epochs=2).step_rate(step, steps_per_epoch=5) for step in range(20)]
    assert warm[:10] == pytest.approx([rate * (step + 1) / 10 for step, rate in enumerate(found[:10])])
    assert warm[10:] == found[10:]


def test_dense_recipes_by_name_take_changes():
    assert set(recipes.DENSE_RECIPES) == {"cityscapes", "camvid", "scenes"}
    for make in recipes.DENSE_RECIPES.values():
        assert make(epochs=7).epochs == 7
        with pytest.raises(ValueError, match=r"argument: 'powr' is unknown; did you mean 'power'"):
            make(powr=1.0)


def test_penn_treebank_as_published():
    recipe = recipes.penn_treebank()
    assert recipe == LanguageRecipe()
    assert (recipe.epochs, recipe.batch_size, recipe.sequence_length, recipe.vary_length) == (3600, 64, 35, True)
    assert (recipe.learning_rate, recipe.weight_decay, recipe.gradient_clip) == (20.0, 8e-7, 0.25)
    assert (recipe.slowness, recipe.activation, recipe.averaging_patience) == (1e-3, 0.0, 5)
    assert (recipe.evaluation_batch_size, recipe.recoveries, recipe.precision) == (10, 5, "float32")
    assert recipe.dropout == Dropout(output=0.75, hidden=0.25, cell_input=0.75, embedding=0.2, rows=0.1)


def test_wikitext2_differs_in_decay_and_hidden_dropout():
    dropout = Dropout(output=0.75, hidden=0.15, cell_input=0.75, embedding=0.2, rows=0.1)
    assert recipes.wikitext2() == recipes.penn_treebank(weight_decay=5e-7, dropout=dropout)


def test_language_recipes_by_name_take_changes():
    assert set(recipes.LANGUAGE_RECIPES) == {"penn_treebank", "wikitext2", "grammar"}
    for make in recipes.LANGUAGE_RECIPES.values():
        assert make(epochs=7).epochs == 7
        with pytest.raises(ValueError, match=r"argument: 'slownes' is unknown; did you mean 'slowness'"):
            make(slownes=1.0)


def test_warm_up_comes_before_either_schedule():
    for schedule in ("cosine", "exponential"):
        plain, warm = (Recipe(epochs=10, schedule=schedule, warmup_epochs=count) for count in (0, 2))
        assert warm.rate(0) == pytest.approx(plain.rate(0) / 2)
        assert [warm.rate(epoch) for epoch in range(1, 10)] == [plain.rate(epoch) for epoch in range(1, 10)]


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("epochs", 0, "must be at least 1"),
        ("evaluate_every", 0, "must be at least 1"),
        ("batch_size", 1, "must be at least 2"),
        ("learning_rate", 0.0, "must be above 0"),
        ("gradient_clip", math.nan, "must be above 0"),
        ("decay", 0.0, "must be above 0"),
        ("final_learning_rate", -1.0, "must be at least 0"),
        ("weight_decay", -1.0, "must be at least 0"),
        ("auxiliary_weight", -1.0, "must be at least 0"),
        ("workers", -1, "must be at least 0"),
        ("warmup_epochs", 601, r"must be at most epochs, 600 \(.*\)"),
        ("momentum", 1.0, r"must lie in \[0, 1\)"),
        ("label_smoothing", -0.1, r"must lie in \[0, 1\)"),
        ("path_dropout", 1.0, r"must lie in \[0, 1\)"),
        ("average_decay", math.nan, r"must lie in \[0, 1\)"),
    ],
)
def test_bad_values_are_named(name, value, allowed):
    with pytest.raises(ValueError, match=rf"^{name}: {allowed}, got {value}\.$"):
        Recipe(**{name: value})


def test_unknown_names():
    with pytest.raises(ValueError, match=r"schedule: 'cosin' is unknown; did you mean 'cosine'\? Allowed: cosine, exp"):
        Recipe(schedule="cosin")
    with pytest.raises(ValueError, match=r"precision: 'float64' is unknown;.* Allowed: float32, bfloat16"):
        Recipe(precision="float64")


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("epochs", 0, "must be at least 1"),
        ("evaluate_every", 0, "must be at least 1"),
        ("batch_size", 1, "must be at least 2"),
        ("evaluation_batch_size", 0, "must be at least 1"),
        ("learning_rate", 0.0, "must be above 0"),
        ("power", 0.0, "must be above 0"),
        ("weight_decay", -1.0, "must be at least 0"),
        ("warmup_epochs", 8110, r"must be at most epochs, 8109 \(.*\)"),
        ("path_dropout", 1.0, r"must lie in \[0, 1\)"),
    ],
)
def test_bad_values_of_a_dense_recipe_are_named(name, value, allowed):
    with pytest.raises(ValueError, match=rf"^{name}: {allowed}, got {value}\.$"):
        DenseRecipe(**{name: value})


def test_unknown_names_of_a_dense_recipe():
    with pytest.raises(ValueError, match=r"class_weights: 'enet' is unknown; Allowed: none, inverse_log, median_freq"):
        DenseRecipe(class_weights="enet")
    with pytest.raises(ValueError, match=r"precision: 'float64' is unknown;.* Allowed: float32, bfloat16"):
        DenseRecipe(precision="float64")


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("epochs", 0, "must be at least 1"),
        ("batch_size", 0, "must be at least 1"),
        ("evaluation_batch_size", 0, "must be at least 1"),
        ("sequence_length", 0, "must be at least 1"),
        ("averaging_patience", -1, "must be at least 0"),
        ("recoveries", -1, "must be at least 0"),
        ("learning_rate", 0.0, "must be above 0"),
        ("gradient_clip", math.nan, "must be above 0"),
        ("weight_decay", -1.0, "must be at least 0"),
        ("slowness", -1.0, "must be at least 0"),
        ("activation", -1.0, "must be at least 0"),
    ],
)
def test_bad_values_of_a_language_recipe_are_named(name, value, allowed):
    with pytest.raises(ValueError, match=rf"^{name}: {allowed}, got {value}\.$"):
        LanguageRecipe(**{name: value})


def test_precision_of_a_language_recipe():
    with pytest.raises(ValueError, match=r"precision: 'float64' is unknown;.* Allowed: float32, bfloat16"):
        LanguageRecipe(precision="float64")
