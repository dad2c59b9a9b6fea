"""Search, decode and train on real CIFAR-10 images, where they lie at hand."""

import os
from pathlib import Path

import pytest

import archgrad as ag

FOLDER = Path(__file__).parents[1] / os.environ.get("ARCHGRAD_DATA", "../shared/data") / "cifar10"


@pytest.mark.slow
@pytest.mark.skipif(not FOLDER.exists(), reason=f"CIFAR-10 is not at {FOLDER}; set ARCHGRAD_DATA")
def test_a_short_search_and_training_learn_something():
    train, test = ag.data.load(FOLDER).limited(800, 400, seed=0)
    assert train.shape == (3, 32, 32)
    space = ag.spaces.ConvCellSpace(channels=4, layers=3, num_classes=10, in_channels=3)
    result = ag.search(space, train=train, method=ag.methods.darts(order=1), epochs=2, batch_size=32)
    network = space.network(result.genotype, channels=8, layers=3, auxiliary=True)
    score = ag.train(network, train=train, test=test, recipe=ag.recipes.cifar10(epochs=8, batch_size=32))
    assert score.accuracy > 0.2  # chance is 0.1
