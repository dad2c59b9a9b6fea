"""The derived network: cells of one operation per kept edge, an auxiliary head, path dropout. A plain `nn.Module`."""

from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from archgrad.checks import one_of, whole
from archgrad.genotype import CONV_CELL, Cell, Genotype
from archgrad.ops import CONV_CANDIDATES
from archgrad.spaces.conv.decoded import DecodedNodes
from archgrad.spaces.conv.plan import NORMAL, REDUCE, STEMS, CellPlan, reductions, stack
from archgrad.spaces.conv.stem import CellInputs, Stem


class DerivedCell(DecodedNodes):
    """A decoded cell: each node sums its operations, the output concatenates the states that the genotype lists."""

    def __init__(self, cell: Cell, plan: CellPlan) -> None:
        super().__init__(cell, plan.channels, input_stride=plan.input_stride)
        self.adapt = CellInputs(plan, norm=nn.BatchNorm2d)

    def forward(
        self,
        before: Float[Tensor, "batch channels_0 height_0 width_0"],
        previous: Float[Tensor, "batch channels_1 height width"],
        path_dropout: float,
    ) -> Float[Tensor, "batch channels new_height new_width"]:
        return torch.cat(self.outputs(self.adapt(before, previous), path_dropout), dim=1)


class AuxiliaryHead(nn.Module):
    """A second classifier at two thirds of the depth, for training only.

    ReLU, average pool 5 (stride 3, or 2 with the ImageNet stem), 1×1 to 128, BatchNorm, ReLU, 2×2 to 768, BatchNorm
    (not with the ImageNet stem), ReLU, linear. Reference: arXiv:1806.09055, appendix A.2, and the public code.

    Differs for other image sizes than theirs, where that code fails: maps too small for the pooling are averaged to
    2×2, and what is larger than one pixel at the end is averaged.
    """

    def __init__(self, channels: int, num_classes: int, *, stem: str) -> None:
        super().__init__()
        self.stride = 3 if stem == "cifar" else 2
        self.features = nn.Sequential(
            nn.Conv2d(channels, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
            nn.BatchNorm2d(768) if stem == "cifar" else nn.Identity(),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(768, num_classes)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        x = F.relu(x)
        # The convolution that follows needs two pixels in each direction.
        large = min(x.shape[-2:]) >= 5 + self.stride
        x = F.avg_pool2d(x, 5, stride=self.stride) if large else F.adaptive_avg_pool2d(x, 2)
        return self.classifier(self.features(x).mean(dim=(2, 3)))


class ConvNetwork(nn.Module):
    """The network of a convolutional genotype: forward(images) -> class scores [batch, classes].

    With `auxiliary` it returns (scores, auxiliary scores) in training mode, and scores alone in evaluation mode.
    `path_dropout` is an attribute in [0, 1) which a recipe raises during training.

    >>> from archgrad.genotype import DARTS_V1
    >>> network = ConvNetwork(DARTS_V1, channels=36, layers=20)
    >>> sum(parameter.numel() for parameter in network.parameters())
    3169414

    Raises:
        ValueError: the genotype is of another space, lacks a cell or names an unknown operation, or a size is too small
            or odd.
    """

    def __init__(
        self,
        genotype: Genotype,
        *,
        channels: int = 36,
        layers: int = 20,
        num_classes: int = 10,
        in_channels: int = 3,
        stem: str = "cifar",
        auxiliary: bool = False,
    ) -> None:
        super().__init__()
        whole("num_classes", num_classes, 2)
        whole("in_channels", in_channels, 1)
        plans = plan_cells(genotype, channels, layers, stem=stem)
        widths = [len(genotype[plan.kind].outputs) * plan.channels for plan in plans]
        self.path_dropout = 0.0
        self.auxiliary_layer = reductions(layers)[1]
        self.stem = Stem(stem, in_channels, channels, norm=nn.BatchNorm2d)
        self.cells = nn.ModuleList(DerivedCell(genotype[plan.kind], plan) for plan in plans)
        self.auxiliary = AuxiliaryHead(widths[self.auxiliary_layer], num_classes, stem=stem) if auxiliary else None
        self.classifier = nn.Linear(widths[-1], num_classes)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes"] | tuple[Float[Tensor, "batch classes"], Float[Tensor, "batch classes"]]:
        before, previous = self.stem(images)
        auxiliary = None
        for layer, cell in enumerate(self.cells):
            before, previous = previous, cell(before, previous, self.path_dropout)
            if layer == self.auxiliary_layer and self.auxiliary is not None and self.training:
                auxiliary = self.auxiliary(previous)
        scores = self.classifier(previous.mean(dim=(2, 3)))
        return scores if auxiliary is None else (scores, auxiliary)


def plan_cells(genotype: Genotype, channels: int, layers: int, *, stem: str) -> tuple[CellPlan, ...]:
    """How the cells of a genotype are stacked; a ValueError where genotype, stem or a size is not allowed."""
    check_genotype(genotype)
    whole("channels", channels, 2)
    if channels % 2:
        raise ValueError(f"channels: must be even for the factorised reductions, got {channels}.")
    whole("layers", layers, 3)
    outputs = {kind: len(genotype[kind].outputs) for kind in (NORMAL, REDUCE)}
    return stack(channels, layers, stem=one_of("stem", stem, STEMS), outputs=outputs)


def check_genotype(genotype: Genotype) -> None:
    """Raise a ValueError unless the genotype describes a normal and a reduction cell of known operations."""
    if not isinstance(genotype, Genotype):
        raise ValueError(f"genotype: must be a Genotype such as archgrad.genotype.DARTS_V2, got {genotype!r}.")
    if genotype.space != CONV_CELL:
        raise ValueError(f"genotype: belongs to the space {genotype.space!r}, this network needs {CONV_CELL!r}.")
    known = partial(one_of, allowed=CONV_CANDIDATES[1:])
    names = [cell.name for cell in genotype.cells]
    if sorted(names) != [NORMAL, REDUCE]:
        raise ValueError(f"genotype: needs the cells {NORMAL!r} and {REDUCE!r}, got {names}.")
    for cell in genotype.cells:
        if cell.inputs != 2:
            raise ValueError(f"genotype: cell {cell.name!r} has {cell.inputs} inputs, convolutional cells have 2.")
        for operation in cell.operations:
            known("genotype", operation)
