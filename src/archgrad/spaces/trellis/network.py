"""The derived network of dense prediction: a cell along a path of strides, between stem and decoder. A plain module."""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import relu

from archgrad.checks import one_of, whole
from archgrad.genotype import TRELLIS, Cell, Genotype
from archgrad.ops import CONV_CANDIDATES, Operation
from archgrad.ops.convolution import Convolution
from archgrad.ops.resize import halved, resize
from archgrad.ops.skip import pointwise_convolution
from archgrad.spaces.conv.decoded import DecodedNodes
from archgrad.spaces.trellis.head import Decoder
from archgrad.spaces.trellis.plan import FIRST_STRIDE, check_path

LOW_LEVEL_LAYERS = 2
"""Of the stem and so many layers, the last output at stride 4 goes to the decoder."""


class DerivedTrellisCell(DecodedNodes):
    """One layer of the path: H^{l−1} and H^{l−2} brought to its size and channels, then the decoded cell.

    `levels` are those of H^{l−1} and of the layer itself: on the way up the state is enlarged before the cell, on the
    way down the operations on the cell's inputs have stride 2.
    """

    def __init__(self, cell: Cell, channels: int, *, inputs: tuple[int, int], levels: tuple[int, int]) -> None:
        coming, going = levels
        super().__init__(cell, channels, input_stride=2 if going > coming else 1)
        self.level = min(coming, going)  # at which the inputs meet
        self.previous = pointwise_convolution(inputs[0], channels, norm=nn.BatchNorm2d)
        self.before = pointwise_convolution(inputs[1], channels, norm=nn.BatchNorm2d) if inputs[1] != channels else None

    def forward(
        self,
        previous: Float[Tensor, "batch channels_0 height_0 width_0"],
        before: Float[Tensor, "batch channels_1 height_1 width_1"],
        size: tuple[int, int],
        path_dropout: float,
    ) -> Float[Tensor, "batch channels new_height new_width"]:
        meeting = halved(size, 2 + self.level)
        # The 1×1 convolution comes before the enlargement, where there are fewer pixels.
        first = resize(self.previous(relu(previous)), meeting)
        second = resize(before, meeting)
        if self.before is not None:
            second = self.before(relu(second))
        return torch.cat(self.outputs([first, second], path_dropout), dim=1)


class DerivedStem(nn.Module):
    """3×3 convolutions with stride 2, 1 and 2: H^{−1} of `channels` at stride 2, H^0 of twice as many at stride 4."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            _convolution(in_channels, channels, 2), nn.ReLU(), _convolution(channels, channels, 1)
        )
        self.second = nn.Sequential(nn.ReLU(), _convolution(channels, 2 * channels, 2))

    def forward(self, images: Float[Tensor, "batch channels height width"]) -> tuple[Tensor, Tensor]:
        half = self.first(images)
        return half, self.second(half)


def _convolution(channels_in: int, channels: int, stride: int) -> Operation:
    convolution = Convolution(channels_in, channels, 3, stride=stride, padding=1)
    return Operation(convolution, nn.BatchNorm2d(channels), rectified=False)


class TrellisNetwork(nn.Module):
    """The network of a genotype with a path: forward(images [N, C, H, W]) -> class scores [N, classes, H, W].

    A layer at level i has `filters` · 2^i channels in each block. The defaults are those of Auto-DeepLab-S; M and L
    have 32 and 48 filters. `path_dropout` is an attribute in [0, 1) which a recipe raises during training;
    `smallest_side` is the height and width below which no pixel is left at the path's largest stride.

    The decoder reads, beside the last layer, the output at stride 4 of layer 2, or of the nearest layer before it that
    lies there: the authors' network has one path, for which that is layer 2.

    Reference: arXiv:1901.02985, section 5.2, and the authors' released network.

    >>> from archgrad.genotype import AUTO_DEEPLAB
    >>> network = TrellisNetwork(AUTO_DEEPLAB, filters=20, num_classes=19)
    >>> sum(parameter.numel() for parameter in network.parameters())
    10147427

    Raises:
        ValueError: the genotype is of another space, has an unknown operation or a path that leaves the trellis, or a
            size is below 1.
    """

    def __init__(
        self,
        genotype: Genotype,
        *,
        filters: int = 20,
        num_classes: int = 19,
        in_channels: int = 3,
        stem_channels: int = 64,
        head_channels: int = 256,
        low_level_channels: int = 48,
    ) -> None:
        super().__init__()
        cell = check_trellis_genotype(genotype)
        sizes = {"filters": filters, "in_channels": in_channels, "stem_channels": stem_channels}
        sizes |= {"head_channels": head_channels, "low_level_channels": low_level_channels}
        for name, value in sizes.items():
            whole(name, value, 1)
        whole("num_classes", num_classes, 2)
        self.path_dropout = 0.0
        self.smallest_side = FIRST_STRIDE * 2 ** max(genotype.path)
        self.stem = DerivedStem(in_channels, stem_channels)
        widths = [
            stem_channels,
            2 * stem_channels,
            *(len(cell.outputs) * filters * 2**level for level in genotype.path),
        ]
        levels = (0, *genotype.path)
        self.cells = nn.ModuleList(
            DerivedTrellisCell(
                cell,
                filters * 2**going,
                inputs=(widths[layer + 1], widths[layer]),
                levels=(coming, going),
            )
            for layer, (coming, going) in enumerate(zip(levels, genotype.path, strict=False))
        )
        self.low_level = max(layer for layer in range(min(LOW_LEVEL_LAYERS, len(self.cells)) + 1) if not levels[layer])
        self.decoder = Decoder(
            widths[-1],
            widths[self.low_level + 1],
            num_classes=num_classes,
            channels=head_channels,
            projected=low_level_channels,
        )
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes height width"]:
        size = images.shape[-2], images.shape[-1]
        before, previous = self.stem(images)
        low = previous
        for layer, cell in enumerate(self.cells, start=1):
            before, previous = previous, cell(previous, before, size, self.path_dropout)
            low = previous if layer == self.low_level else low
        return resize(self.decoder(relu(previous), relu(low)), size)


def check_trellis_genotype(genotype: Genotype) -> Cell:
    """Return the cell of a genotype that describes one of known operations, and a path within a trellis.

    Raises:
        ValueError: it does not; the message says what is wrong.
    """
    if not isinstance(genotype, Genotype):
        raise ValueError(f"genotype: must be a Genotype such as archgrad.genotype.AUTO_DEEPLAB, got {genotype!r}.")
    if genotype.space != TRELLIS:
        raise ValueError(f"genotype: belongs to the space {genotype.space!r}, this network needs {TRELLIS!r}.")
    if len(genotype.cells) != 1 or genotype.cells[0].inputs != 2:
        found = [(cell.name, cell.inputs) for cell in genotype.cells]
        raise ValueError(f"genotype: needs one cell with 2 inputs, got (name, inputs) {found}.")
    known = partial(one_of, "genotype", allowed=CONV_CANDIDATES[1:])
    for operation in genotype.cells[0].operations:
        known(operation)
    check_path(genotype.path)
    return genotype.cells[0]
