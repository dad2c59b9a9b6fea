"""A trained network on disk gives the same scores as the one in memory."""

import pytest
import torch

from archgrad.data import Augmentation
from archgrad.genotype import DARTS_V1
from archgrad.runs import RunFolder, load_network, save_network
from archgrad.spaces import ConvNetwork

SIZE = {"channels": 4, "layers": 3, "num_classes": 3, "in_channels": 1, "stem": "cifar", "auxiliary": True}


@pytest.fixture
def saved(tmp_path):
    network = ConvNetwork(DARTS_V1, **SIZE).eval()
    augmentation = Augmentation(mean=(0.5,), std=(0.25,))
    folder = RunFolder(tmp_path)
    save_network(folder, network, DARTS_V1, size=SIZE, augmentation=augmentation, classes=("a", "b", "c"))
    return network, tmp_path


def test_network_and_normalisation_come_back(saved):
    network, path = saved
    loaded = load_network(path)
    images = torch.rand(2, 1, 8, 8)
    assert torch.equal(loaded.network(images), network(images))
    assert not loaded.network.training
    assert loaded.augmentation.mean == (0.5,)
    assert loaded.classes == ("a", "b", "c")
    assert loaded.genotype == DARTS_V1


def test_missing_and_broken_files_are_named(saved, tmp_path_factory):
    _, path = saved
    with pytest.raises(FileNotFoundError, match=r"network\.json is missing"):
        load_network(tmp_path_factory.mktemp("empty"))
    weights = path / "network.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ValueError, match="do not fit together"):
        load_network(path)
