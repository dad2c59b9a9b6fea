"""Costs that are counted, exactly: parameters, and multiply-adds of a forward pass of one image."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from archgrad.costs.derived import candidates_of, groups_of, make_table, meta_images, on_meta, placed, saturated
from archgrad.costs.table import CostTable
from archgrad.spaces.space import ImageSpace


def parameters(space: ImageSpace, **size: int) -> CostTable:
    """The parameters of a space's networks; `size` as in `space.network`, such as channels=36, layers=20.

    The auxiliary head is not counted: it is dropped after training.

    >>> from archgrad.genotype import DARTS_V1
    >>> from archgrad.spaces import ConvCellSpace
    >>> parameters(ConvCellSpace(), channels=36, layers=20).of(DARTS_V1)
    3169414.0

    Raises:
        ValueError: the size does not fit the space, or the space is not made of cells whose costs add up.
    """

    def count(network: nn.Module) -> dict[nn.Module, int]:
        return {
            module: sum(parameter.numel() for parameter in module.parameters(recurse=False))
            for module in network.modules()
        }

    return _counted(space, count, name="parameters", size=size)


def multiply_adds(space: ImageSpace, image_size: int, **size: int) -> CostTable:
    """The multiply-adds with which a space's networks classify one image; `size` as in `space.network`.

    Counted are convolutions, outputs · (inputs of each), and linear layers, where a bias counts as one more input:
    the convention of NAS-Bench-201's table and of the "FLOPs" of most papers on architectures. What normalisation,
    pooling and sums do is left out. `torch.utils.flop_counter` counts multiplications and additions apart, twice as
    many, and no bias. The auxiliary head is not counted.

    Raises:
        ValueError: the images or the size do not fit the space, or the space is not made of cells whose costs add up.
    """
    images = meta_images(space, image_size)
    return _counted(
        space,
        lambda network: multiply_adds_by_module(network, images),
        name="multiply-adds",
        size=size,
        conditions={"image_size": image_size},
    )


def multiply_adds_by_module(network: nn.Module, images: Tensor) -> dict[nn.Module, int]:
    """The multiply-adds per image of each convolution and linear layer in a forward pass, on any device."""
    counts: dict[nn.Module, int] = {}

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d | nn.Linear)
        per_output = module.weight[0].numel() + (module.bias is not None)
        counts[module] = counts.get(module, 0) + output.numel() // len(output) * per_output

    layers = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    handles = [layer.register_forward_hook(note) for layer in layers]
    try:
        with torch.no_grad():
            network(images)
    finally:
        for handle in handles:
            handle.remove()
    return counts


def _counted(
    space: ImageSpace,
    count: Callable[[nn.Module], dict[nn.Module, int]],
    *,
    name: str,
    size: Mapping[str, int],
    conditions: Mapping[str, int] | None = None,
) -> CostTable:
    """The table of what `count` finds in each module by itself: one network for each candidate, with all edges."""
    costs: dict[tuple[str, int, str], float] = {}
    fixed = 0
    for candidate in candidates_of(space):
        network = on_meta(space, saturated(space, candidate), size)
        counts = count(network)
        fixed = sum(counts.values())
        for group, row, operation, module in placed(network, groups_of(space)):
            own = sum(counts.get(part, 0) for part in module.modules())
            fixed -= own
            if operation == candidate:
                costs[group, row, candidate] = costs.get((group, row, candidate), 0) + own
    return make_table(space, costs, name=name, fixed=float(fixed), conditions={**size, **(conditions or {})})
