"""What a search space offers: a table of logits, the engine that evaluates it, and the way back to a network."""

from collections.abc import Callable
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from torch import nn

from archgrad.arch import LogitGroup, Mixture
from archgrad.genotype import Edge, Genotype

Decoder: TypeAlias = Callable[..., tuple[tuple[Edge, ...], ...]]
"""A rule of `archgrad.decode`: (mixture [edges, candidates], group, keep) -> the edges kept, node by node."""


@runtime_checkable
class Space(Protocol):
    """The contract between a search space and the driver.

    `groups` gives the logits their shapes. `ensemble` is () or (members,): so many searches side by side, which the
    driver keeps apart; logits are [*ensemble, edges, candidates] and all parameters of the supernet [*ensemble, …].
    `supernet()` makes the module whose `forward(inputs, mixture)` evaluates the relaxed architecture; its parameters
    are w and never contain α. `decode` turns a mixture into a genotype and `network` a genotype into a plain module.
    `check_data` raises a ValueError where inputs do not fit the space.
    """

    @property
    def name(self) -> str: ...

    @property
    def ensemble(self) -> tuple[int, ...]: ...

    @property
    def groups(self) -> tuple[LogitGroup, ...]: ...

    def supernet(self) -> nn.Module: ...

    def decode(self, mixture: Mixture, decoder: Decoder) -> Genotype: ...

    def network(self, genotype: Genotype) -> nn.Module: ...

    def check_data(self, shape: tuple[int, ...], num_classes: int | None) -> None: ...

    def random_genotype(self, generator: np.random.Generator) -> Genotype: ...


@runtime_checkable
class ImageSpace(Space, Protocol):
    """A space whose networks classify images."""

    @property
    def num_classes(self) -> int: ...
