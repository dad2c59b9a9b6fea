"""What a search space offers: a table of logits, the engine that evaluates it, and the way back to a network."""

from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from torch import nn

from archgrad.arch import LogitGroup, Mixture
from archgrad.genotype import Edge, Genotype
from archgrad.mixing import Mixing

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

    @property
    def in_channels(self) -> int: ...


@runtime_checkable
class Mixable(Protocol):
    """A space whose edges can mix their candidates in other ways than Eq. 2 as it stands."""

    @property
    def mixing(self) -> Mixing: ...

    def mixed(self, mixing: Mixing) -> Space:
        """The same space with this mixing; a ValueError where it does not fit."""
        ...

    def check_decoder(self, decoder: Decoder) -> None:
        """Raise a ValueError unless the rule decodes edges of cells."""
        ...


@runtime_checkable
class Narrowable(Protocol):
    """A space of cells whose edges can lose candidates, and whose supernet can grow.

    Its supernets have `adopt(other)`, which copies the weights that both have, and `operations()`, the weights of each
    candidate (`spaces.conv.operations`).
    """

    @property
    def layers(self) -> int: ...

    def narrowed(self, choices: Mapping[str, tuple[tuple[str, ...], ...]], *, layers: int | None = None) -> Space:
        """The space in which each row of a group keeps these candidates only, and which has so many cells."""
        ...


@runtime_checkable
class Encodable(Protocol):
    """A space in which a genotype is a mixture: that of hard choices."""

    def encode(self, genotype: Genotype) -> Mixture:
        """One-hot weights on the CPU: 1 for a kept candidate; for an edge not kept, 1 on `none`, or all 0."""
        ...


@runtime_checkable
class Progressing(Protocol):
    """A supernet of cells, parts of which follow the progress of the search, from 0 to 1.

    `cell_groups` names the group of each cell, in order. A mixture may have a leading dimension of a group's cells.
    """

    progress: float
    cell_groups: tuple[str, ...]
