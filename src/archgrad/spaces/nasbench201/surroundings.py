"""What surrounds the cells, in the supernet and in the derived network alike: stem, residual blocks, head."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import relu

from archgrad.ops import Normalisation
from archgrad.ops.convolution import Convolution


def make_stem(in_channels: int, channels: int, *, norm: Normalisation) -> nn.Sequential:
    """Make the stem: a 3×3 convolution and a normalisation."""
    return nn.Sequential(Convolution(in_channels, channels, 3, padding=1), norm(channels))


class ResidualBlock(nn.Module):
    """Halve the size by a basic residual block: r(x) + f(f(x)), f = ReLU, 3×3 convolution, normalisation.

    The first convolution has stride 2; r is an average pooling over 2×2 and a 1×1 convolution without normalisation.

    Reference: arXiv:2001.00326, section 2.1, and the authors' code for the order within. Differs on odd sizes only,
    where that code fails: the last row and column are pooled alone.
    """

    def __init__(self, channels_in: int, channels: int, *, norm: Normalisation) -> None:
        super().__init__()
        self.residual = nn.Sequential(nn.AvgPool2d(2, stride=2, ceil_mode=True), Convolution(channels_in, channels, 1))
        self.body = nn.Sequential(
            nn.ReLU(),
            Convolution(channels_in, channels, 3, stride=2, padding=1),
            norm(channels),
            nn.ReLU(),
            Convolution(channels, channels, 3, padding=1),
            norm(channels),
        )

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch new_channels half_height half_width"]:
        return self.residual(x) + self.body(x)


class Head(nn.Module):
    """Normalisation, ReLU, mean over all pixels, linear classifier: a map -> class scores."""

    def __init__(self, channels: int, num_classes: int, *, norm: Normalisation) -> None:
        super().__init__()
        self.norm = norm(channels)
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        return self.classifier(relu(self.norm(x)).mean(dim=(2, 3)))
