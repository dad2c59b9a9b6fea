"""What surrounds the cells, in the supernet and in the derived network alike: the stems and the inputs of a cell."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import relu

from archgrad.ops import Normalisation, Operation
from archgrad.ops.convolution import Convolution
from archgrad.ops.skip import factorized_reduction, pointwise_convolution
from archgrad.spaces.conv.plan import CellPlan


def _convolution(channels_in: int, channels_out: int, stride: int) -> Convolution:
    return Convolution(channels_in, channels_out, 3, stride=stride, padding=1)


class Stem(nn.Module):
    """Turn images into the two states that the first cell reads.

    `cifar`: one 3×3 convolution to 3C channels, its output is both states. `imagenet`: two stems of stride 4 and 2 in
    all, 3 → C/2 → C with stride 2 each, then C → C with stride 2; the states differ in size.
    """

    def __init__(self, kind: str, in_channels: int, channels: int, *, norm: Normalisation) -> None:
        super().__init__()
        if kind == "cifar":
            self.first = nn.Sequential(_convolution(in_channels, 3 * channels, 1), norm(3 * channels))
            self.second = None
        else:
            half = channels // 2
            self.first = nn.Sequential(
                _convolution(in_channels, half, 2),
                norm(half),
                nn.ReLU(),
                _convolution(half, channels, 2),
                norm(channels),
            )
            self.second = nn.Sequential(nn.ReLU(), _convolution(channels, channels, 2), norm(channels))

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> tuple[Float[Tensor, "batch width_0 height_0 width_0_"], Float[Tensor, "batch width_1 height_1 width_1_"]]:
        first = self.first(images)
        return first, first if self.second is None else self.second(first)


class CellInputs(nn.Module):
    """Bring the outputs of the two previous cells to the cell's channels and size, each after a ReLU."""

    def __init__(self, plan: CellPlan, *, norm: Normalisation) -> None:
        super().__init__()
        adapt = factorized_reduction if plan.halves_first else pointwise_convolution
        self.operations = nn.ModuleList(
            [
                adapt(plan.inputs[0], plan.channels, norm=norm),
                pointwise_convolution(plan.inputs[1], plan.channels, norm=norm),
            ]
        )

    def forward(
        self,
        before: Float[Tensor, "batch channels_0 height_0 width_0"],
        previous: Float[Tensor, "batch channels_1 height width"],
    ) -> list[Float[Tensor, "batch channels height width"]]:
        return [operation(relu(x)) for operation, x in zip(self.operations, (before, previous), strict=True)]


def apply_operation(operation: Operation, state: Tensor, rectified: Tensor) -> Tensor:
    """o(x), given the state x and ReLU(x) that all operations on that state share."""
    return operation(rectified if operation.rectified else state)
