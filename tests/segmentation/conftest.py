"""Images of 8×12 pixels whose classes are colours, so that a single convolution can learn them."""

import pytest
import torch


@pytest.fixture(scope="session")
def tiny_segmentation():
    """Makes data sets of so many images: three classes in blocks of 4×4 pixels, noise, an eighth without a class."""
    from archgrad.data.segmentation.labelled import SegmentationData

    def make(count, *, seed=0, size=(8, 12)):
        draws = torch.Generator().manual_seed(seed)
        height, width = size
        blocks = torch.randint(3, (count, -(-height // 4), -(-width // 4)), generator=draws)
        labels = blocks.repeat_interleave(4, dim=1).repeat_interleave(4, dim=2)[:, :height, :width]
        noise = torch.randint(-60, 61, (count, 3, *size), generator=draws)
        colours = 128 + 80 * (torch.nn.functional.one_hot(labels, 3) - 0.5).permute(0, 3, 1, 2)
        images = (colours + noise).clamp(0, 255).to(torch.uint8)
        unknown = torch.rand(labels.shape, generator=draws) < 1 / 8
        return SegmentationData(images, labels.masked_fill(unknown, 255).to(torch.uint8), ("red", "green", "blue"))

    return make


@pytest.fixture(scope="session")
def tiny_network():
    """Makes a network of two convolutions between which paths are dropped: images [N, 3, H, W] to 3 scores a pixel."""
    from archgrad.spaces.path_dropout import drop_path

    class Tiny(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.path_dropout = 0.0
            self.first = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1, bias=False), torch.nn.BatchNorm2d(4))
            self.second = torch.nn.Conv2d(4, 3, 3, padding=1)

        def forward(self, images):
            features = self.first(images).relu()
            if self.training and self.path_dropout:
                features = drop_path(features, self.path_dropout)
            return self.second(features)

    def make(seed=0):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return Tiny()

    return make
