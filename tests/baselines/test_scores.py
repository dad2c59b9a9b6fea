"""Scores by brief training: from scratch, on validation data, a function of genotype and seed. Scores by a table."""

import numpy as np
import pytest
import torch

from archgrad import Recipe, evaluate, train
from archgrad.baselines import by_table, by_training, random_search
from archgrad.data import Augmentation, ImageData
from archgrad.data.split import halve
from archgrad.seeding import derive

RECIPE = Recipe(
    epochs=1,
    batch_size=6,
    learning_rate=0.1,
    path_dropout=0.0,
    augmentation=Augmentation(crop_padding=0, flip=False),
)


@pytest.fixture(scope="module")
def genotypes(tiny_space):
    generator = np.random.default_rng(0)
    return [tiny_space.random_genotype(generator) for _ in range(6)]


def scores(space, data, genotypes, recipe=RECIPE, **arguments):
    score = by_training(space, data, recipe, device="cpu", **arguments)
    return [score(genotype) for genotype in genotypes]


def test_a_score_is_a_training_from_scratch_written_out(tiny_space, tiny_data, genotypes):
    genotype = genotypes[0]
    training, validation = halve(tiny_data, fraction=0.5, seed=3)
    with torch.random.fork_rng([]):
        torch.manual_seed(derive(3, "network weights", genotype.to_json()))
        network = tiny_space.network(genotype)
    key = derive(3, "training", genotype.to_json())
    trained = train(network, train=training, recipe=RECIPE, seed=key, device="cpu")
    expected = evaluate(trained.network, validation, augmentation=trained.augmentation, device="cpu")["accuracy"]
    assert scores(tiny_space, tiny_data, [genotype], seed=3) == [expected]


def test_scores_follow_from_genotype_and_seed_alone(tiny_space, tiny_data, genotypes):
    state = torch.get_rng_state()
    first = scores(tiny_space, tiny_data, genotypes)
    assert torch.equal(state, torch.get_rng_state())
    torch.rand(3)
    assert scores(tiny_space, tiny_data, genotypes[::-1])[::-1] == first


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"train_fraction": 0.75},
        {"channels": 8},
        {"recipe": Recipe(epochs=3, batch_size=6, learning_rate=0.1, path_dropout=0.0)},
    ],
)
def test_every_argument_changes_the_scores(tiny_space, tiny_data, genotypes, change):
    assert scores(tiny_space, tiny_data, genotypes) != scores(tiny_space, tiny_data, genotypes, **change)


def test_a_search_by_training(tiny_space, tiny_data):
    trace = random_search(tiny_space, by_training(tiny_space, tiny_data, RECIPE, device="cpu"), budget=2, seed=0)
    assert all(0 <= score <= 1 for score in trace.scores)


def test_data_that_does_not_fit_is_refused_before_any_training(tiny_space, tiny_data):
    with pytest.raises(ValueError, match=r"in_channels: the network reads 1 channels, the images have 3"):
        by_training(tiny_space, (torch.zeros(4, 3, 8, 8), torch.tensor([0, 1, 0, 1])), RECIPE, device="cpu")
    with pytest.raises(ValueError, match=r"fraction: must lie strictly between 0 and 1, got 1.0"):
        by_training(tiny_space, tiny_data, RECIPE, train_fraction=1.0, device="cpu")
    three = ImageData(tiny_data.images, torch.arange(24) % 3, ("a", "b", "c"))
    with pytest.raises(ValueError, match=r"num_classes: the space has 2, the data has 3"):
        by_training(tiny_space, three, RECIPE, device="cpu")
    with pytest.raises(ValueError, match=r"device: 'gpu' is unknown"):
        by_training(tiny_space, tiny_data, RECIPE, device="gpu")


def test_a_table_is_asked_for_the_genotype_and_the_column(benchmark_space):
    class Table:
        def accuracy(self, genotype, *, dataset, split, epochs):
            self.asked = genotype, dataset, split, epochs
            return 90.0

    table, genotype = Table(), benchmark_space.random_genotype(np.random.default_rng(0))
    assert by_table(table)(genotype) == 90.0
    assert table.asked == (genotype, "cifar10", "validation", 12)
    by_table(table, dataset="cifar100", split="test", epochs=200)(genotype)
    assert table.asked == (genotype, "cifar100", "test", 200)
