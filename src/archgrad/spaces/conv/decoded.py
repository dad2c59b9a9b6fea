"""The interior of a decoded cell: each node sums the operations that the genotype gives it."""

import torch.nn.functional as F
from torch import Tensor, nn

from archgrad.genotype import Cell
from archgrad.ops import convolutional_operation
from archgrad.spaces.conv.stem import apply_operation
from archgrad.spaces.path_dropout import drop_path


class DecodedNodes(nn.Module):
    """The nodes of a cell of `channels` channels; edges that leave the cell's inputs have `input_stride`."""

    def __init__(self, cell: Cell, channels: int, *, input_stride: int) -> None:
        super().__init__()
        self.cell = cell
        self.nodes = nn.ModuleList(
            nn.ModuleList(
                convolutional_operation(
                    edge.operation,
                    channels,
                    input_stride if edge.source < cell.inputs else 1,
                    norm=nn.BatchNorm2d,
                    normalise_pooling=False,
                )
                for edge in edges
            )
            for edges in cell.nodes
        )

    def outputs(self, inputs: list[Tensor], path_dropout: float) -> list[Tensor]:
        """The states that the genotype lists as outputs, in training with paths dropped."""
        states = list(inputs)
        rectified: dict[int, Tensor] = {}
        for operations, edges in zip(self.nodes, self.cell.nodes, strict=True):
            total = None
            for operation, (_, source) in zip(operations, edges, strict=True):  # pyright: ignore[reportArgumentType]
                if source not in rectified:
                    rectified[source] = F.relu(states[source])
                path = apply_operation(operation, states[source], rectified[source])
                if self.training and path_dropout > 0 and not operation.identity:
                    path = drop_path(path, path_dropout)
                total = path if total is None else total + path
            assert total is not None
            states.append(total)
        return [states[state] for state in self.cell.outputs]
