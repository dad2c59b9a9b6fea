"""The derived network in Flax: cells of one operation per kept edge."""

from typing import cast

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float, Shaped

from archgrad.checks import whole
from archgrad.genotype import Cell, Genotype
from archgrad.jax.cells import CellInputs
from archgrad.jax.layers import Linear, draw, running_norm
from archgrad.jax.operations import Operation, convolutional_operation
from archgrad.jax.supernet import Stem, check_images
from archgrad.spaces.conv.network import plan_cells
from archgrad.spaces.conv.plan import CellPlan


class DerivedCell(nnx.Module):
    """A decoded cell: each node sums its operations, the output concatenates the states that the genotype lists."""

    def __init__(self, cell: Cell, plan: CellPlan) -> None:
        self.cell = cell
        self.adapt = CellInputs(plan, norm=running_norm)
        self.nodes = nnx.List(
            nnx.List(
                convolutional_operation(
                    edge.operation,
                    plan.channels,
                    plan.input_stride if edge.source < cell.inputs else 1,
                    norm=running_norm,
                    normalise_pooling=False,
                    rngs=None,
                )
                for edge in edges
            )
            for edges in cell.nodes
        )

    def __call__(self, before: Array, previous: Array) -> Array:
        states = self.adapt(before, previous)
        for operations, edges in zip(self.nodes, self.cell.nodes, strict=True):
            paths = [
                cast(Operation, operation)(states[edge.source])
                for operation, edge in zip(operations, edges, strict=True)
            ]
            states.append(sum(paths[1:], start=paths[0]))
        return jnp.concatenate([states[state] for state in self.cell.outputs], axis=-1)


class ConvNetwork(nnx.Module):
    """The network of a convolutional genotype: images [N, H, W, C] -> class scores [N, classes].

    The twin of `archgrad.spaces.ConvNetwork`, parameter for parameter (`archgrad.jax.to_torch`). As with any Flax
    module `train()` and `eval()` say whether normalisation is by the batch or by running averages. Differs: there is
    no auxiliary head and no path dropout; networks of a size that needs them are trained on the PyTorch side.

    >>> import jax
    >>> from archgrad.genotype import DARTS_V1
    >>> network = nnx.eval_shape(lambda: ConvNetwork(DARTS_V1, channels=36, layers=20, rngs=nnx.Rngs(0)))
    >>> sum(int(leaf.size) for leaf in jax.tree.leaves(nnx.state(network, nnx.Param)))
    3169414

    Raises:
        ValueError: as `archgrad.spaces.ConvNetwork`.
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
        rngs: nnx.Rngs,
    ) -> None:
        whole("num_classes", num_classes, 2)
        whole("in_channels", in_channels, 1)
        plans = plan_cells(genotype, channels, layers, stem=stem)
        self.in_channels = in_channels
        self.stem = Stem(stem, in_channels, channels, norm=running_norm)
        self.cells = nnx.List(DerivedCell(genotype[plan.kind], plan) for plan in plans)
        self.classifier = Linear(len(genotype[plans[-1].kind].outputs) * plans[-1].channels, num_classes, rngs=None)
        draw(self, rngs)

    def __call__(self, images: Shaped[Array, "batch height width channels"]) -> Float[Array, "batch classes"]:
        check_images(images, in_channels=self.in_channels, stem=self.stem.kind)
        before, previous = self.stem(images)
        for cell in self.cells:
            before, previous = previous, cell(before, previous)
        return self.classifier(previous.mean(axis=(1, 2)))
