"""What a mixture costs beside the validation loss: pressure towards decided and towards short architectures.

A penalty is a callable (relaxed) -> one number: the sum over the members of an ensemble, which do not see each other.
It is added to the validation loss when the logits are updated.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple, TypeAlias

import torch
from torch import Tensor

from archgrad.arch import NONE, LogitGroup, Logits, Mixture, operation_groups
from archgrad.checks import at_least


class Relaxed(NamedTuple):
    """What a penalty may look at: α, p, the groups, and the progress of the search from 0 to 1."""

    logits: Logits
    mixture: Mixture
    groups: tuple[LogitGroup, ...]
    progress: float = 0.0


Penalty: TypeAlias = Callable[[Relaxed], Tensor]


@dataclass(frozen=True, kw_only=True)
class ZeroOneLoss:
    """−w / N · Σ (p − ½)² over the N candidates of all edges of all groups, for each member: sigmoids go to 0 or 1.

    Reference: arXiv:1911.12126 (FairDARTS), Eq. 8; `weight` w is its w_{0−1}.

    Raises:
        ValueError: `weight` is negative.
    """

    weight: float = 1.0

    citation: ClassVar[str] = "1911.12126"

    def __post_init__(self) -> None:
        at_least("weight", self.weight, 0)

    def __call__(self, relaxed: Relaxed) -> Tensor:
        mixture = relaxed.mixture
        groups = operation_groups(relaxed.groups)
        masks = [group.mask_tensor(mixture[group.name].device) for group in groups]
        squares = [(mixture[group.name] - 0.5).square() * mask for group, mask in zip(groups, masks, strict=True)]
        count = sum(int(mask.sum()) for mask in masks)
        return torch.stack([tensor.sum() for tensor in squares]).sum() * (-self.weight / count)


@dataclass(frozen=True, kw_only=True)
class Parsimony:
    """Σ_e Σ_o p_eo · (b + w · c_o) over edges and candidates, for each member; `none` costs nothing.

    `base` b weighs on every operation, `weight` w on each in proportion to its cost c_o, which `costs` has by name
    (absent: 0): AutoRA's arch_weight_decay_base and arch_weight_decay_df, with c_o the number of coefficients.

    Raises:
        ValueError: `weight` or `base` is negative.
    """

    weight: float
    base: float = 0.0
    costs: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        at_least("weight", self.weight, 0)
        at_least("base", self.base, 0)

    def __call__(self, relaxed: Relaxed) -> Tensor:
        mixture = relaxed.mixture
        groups = operation_groups(relaxed.groups)
        totals = [(mixture[group.name] @ self._prices(group).to(mixture[group.name])).sum() for group in groups]
        return torch.stack(totals).sum()

    def _prices(self, group: LogitGroup) -> Tensor:
        prices = [self.base + self.weight * self.costs.get(candidate, 0.0) for candidate in group.candidates]
        return torch.tensor([0.0 if n == NONE else price for n, price in zip(group.candidates, prices, strict=True)])
