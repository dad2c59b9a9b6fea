"""The derived network: the benchmark's own, cell by cell. A plain `nn.Module`."""

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import relu

from archgrad.arch import NONE
from archgrad.checks import whole
from archgrad.genotype import Cell, Genotype
from archgrad.ops import Operation, convolutional_operation
from archgrad.spaces.conv.stem import apply_operation
from archgrad.spaces.nasbench201.plan import stack
from archgrad.spaces.nasbench201.strings import CELL, check_genotype
from archgrad.spaces.nasbench201.surroundings import Head, ResidualBlock, make_stem


class Zeros(nn.Module):
    """The operation `none`: zeros of the input's shape."""

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        return torch.zeros_like(x)


class DerivedCell(nn.Module):
    """A decoded cell of `channels` channels: each node sums its operations, the last one is the output.

    `nodes[i][k]` is the operation of the edge `cell.nodes[i][k]`.
    """

    def __init__(self, cell: Cell, channels: int) -> None:
        super().__init__()
        self.cell = cell
        self.nodes = nn.ModuleList(
            nn.ModuleList(_operation(edge.operation, channels) for edge in edges) for edges in cell.nodes
        )

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        states, rectified = [x], []
        for operations, edges in zip(self.nodes, self.cell.nodes, strict=True):
            rectified.append(relu(states[-1]))
            terms = [
                _apply(operation, states[source], rectified[source])
                for operation, (_, source) in zip(cast(nn.ModuleList, operations), edges, strict=True)
            ]
            states.append(sum(terms[1:], start=terms[0]))
        return states[-1]


def _operation(name: str, channels: int) -> nn.Module:
    if name == NONE:
        return Zeros()
    return convolutional_operation(name, channels, 1, norm=nn.BatchNorm2d, normalise_pooling=False)


def _apply(operation: nn.Module, state: Tensor, rectified: Tensor) -> Tensor:
    return apply_operation(operation, state, rectified) if isinstance(operation, Operation) else operation(state)


class NASBench201Network(nn.Module):
    """The network of a genotype: forward(images) -> class scores [batch, classes].

    With the defaults it is the benchmark's network for CIFAR-10, of the size that its table lists; CIFAR-100 has 100
    classes, ImageNet16-120 120. Weights are initialised as PyTorch does, as in the authors' training code.

    Reference: arXiv:2001.00326, section 2.1.

    >>> from archgrad.spaces.nasbench201 import parse
    >>> genotype = parse((2, 2, 0, 2, 2, 2))  # 3×3 convolutions, and an identity from the input to the output
    >>> sum(parameter.numel() for parameter in NASBench201Network(genotype).parameters())
    1288506

    Raises:
        ValueError: the genotype is of another space or not complete, or a size is below 1 (classes: 2).
    """

    def __init__(
        self,
        genotype: Genotype,
        *,
        channels: int = 16,
        cells: int = 5,
        num_classes: int = 10,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        check_genotype(genotype)
        check_size(channels, cells, num_classes=num_classes, in_channels=in_channels)
        blocks = stack(channels, cells)
        self.stem = make_stem(in_channels, channels, norm=nn.BatchNorm2d)
        self.cells = nn.Sequential(
            *(
                ResidualBlock(block.channels_in, block.channels, norm=nn.BatchNorm2d)
                if block.halves
                else DerivedCell(genotype[CELL], block.channels)
                for block in blocks
            )
        )
        self.head = Head(blocks[-1].channels, num_classes, norm=nn.BatchNorm2d)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        return self.head(self.cells(self.stem(images)))


def check_size(channels: int, cells: int, *, num_classes: int, in_channels: int) -> None:
    """Raise a ValueError unless the sizes are whole numbers of at least 1, classes at least 2."""
    whole("channels", channels, 1)
    whole("cells", cells, 1)
    whole("num_classes", num_classes, 2)
    whole("in_channels", in_channels, 1)
