"""What all supernets of relaxed cells have: the progress of the search, and their operations one by one."""

from collections.abc import Iterator

from torch import nn

from archgrad.arch import OperationKey, Slice
from archgrad.spaces.conv.mixed import Interior
from archgrad.spaces.conv.operations import adopt, operations_of


class SupernetOfCells(nn.Module):
    """A supernet whose `cells` are relaxed cells, and perhaps blocks between them; `cell_groups` names their groups."""

    cells: nn.ModuleList
    cell_groups: tuple[str, ...]

    @property
    def progress(self) -> float:
        """How far the search is, from 0 to 1."""
        return next(self._interiors()).progress

    @progress.setter
    def progress(self, value: float) -> None:
        for interior in self._interiors():
            interior.progress = value

    def operations(self) -> dict[OperationKey, tuple[Slice, ...]]:
        """Which rows (dimension 0) of which parameters belong to a candidate of an edge of a cell."""
        return operations_of(self)

    def adopt(self, other: nn.Module) -> None:
        """Copy the weights of another supernet of this kind, those that both have."""
        adopt(self, other)

    def _interiors(self) -> Iterator[Interior]:
        return (module for module in self.cells.modules() if isinstance(module, Interior))
