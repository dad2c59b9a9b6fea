"""Networks that label pixels survive the disk, with all that is needed to use them."""

import json

import pytest
import torch

from archgrad.data.segmentation import DenseAugmentation
from archgrad.genotype import AUTO_DEEPLAB
from archgrad.runs import (
    RunFolder,
    is_segmentation_network,
    load_network,
    load_segmentation_network,
    save_segmentation_network,
)
from archgrad.spaces import TrellisNetwork

SIZE = {
    "filters": 1,
    "num_classes": 2,
    "in_channels": 1,
    "stem_channels": 2,
    "head_channels": 2,
    "low_level_channels": 2,
}
LABELS = {"classes": ("road", "sky"), "palette": ((1, 2, 3), (4, 5, 6)), "ignore": 7}


@pytest.fixture
def saved(tmp_path):
    network = TrellisNetwork(AUTO_DEEPLAB, **SIZE)
    network(torch.randn(2, 1, 32, 32))  # running statistics of their own
    augmentation = DenseAugmentation(crop=(32, 32), mean=(0.25,), std=(0.5,))
    folder = RunFolder(tmp_path / "run")
    save_segmentation_network(folder, network, AUTO_DEEPLAB, size=SIZE, augmentation=augmentation, labels=LABELS)
    return folder.path, network.eval()


def test_what_was_saved_comes_back(saved):
    path, network = saved
    found = load_segmentation_network(path)
    images = torch.randn(1, 1, 40, 33)
    assert torch.equal(found.network(images), network(images))
    assert found.genotype == AUTO_DEEPLAB
    assert (found.classes, found.palette, found.ignore) == tuple(LABELS.values())
    assert (found.augmentation.mean, found.augmentation.std, found.augmentation.crop) == ((0.25,), (0.5,), None)


def test_a_run_tells_what_it_holds(saved, tmp_path):
    path, _ = saved
    assert is_segmentation_network(path)
    assert not is_segmentation_network(tmp_path)
    with pytest.raises(ValueError, match="belongs to the space 'trellis'"):
        load_network(path)


def test_broken_folders_are_named(saved):
    path, _ = saved
    description = json.loads((path / "network.json").read_text())
    (path / "network.json").write_text(json.dumps({**description, "size": {**SIZE, "filters": 2}}))
    with pytest.raises(ValueError, match=r"run: network\.json and network\.safetensors do not fit together"):
        load_segmentation_network(path)
    (path / "network.safetensors").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"holds no trained segmentation network, network\.safetensors is missing"
    ):
        load_segmentation_network(path)
