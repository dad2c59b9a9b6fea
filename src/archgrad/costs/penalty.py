"""Pressure towards architectures that cost no more than a target, with any method."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from archgrad.arch import LogitGroup
from archgrad.checks import above, at_least, one_of
from archgrad.costs.table import CostTable
from archgrad.relax.penalties import Relaxed

FORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "hinge": lambda ratio: (ratio - 1).clamp_min(0),
    "linear": lambda ratio: ratio - 1,
    "log": torch.log,
}
"""The penalty of r = E / target by form, for a weight of 1."""


@dataclass(frozen=True, kw_only=True)
class CostPenalty:
    """w · f(E / target), with E the expected cost under the mixture (`CostTable.expected`), for each member.

    `form` says what f(r) is:

    - "hinge": max(0, r − 1). Nothing below the target, so that `weight` may be large: among the architectures that
      keep the target the validation loss alone decides.
    - "linear": r − 1, the term λ · E[latency] of arXiv:1812.00332, section 3.3, with λ = w / target. It goes on pushing
      below the target, which only scales it; the balance is struck by `weight`.
    - "log": ln r, each per cent saved counts the same. arXiv:1812.03443, section 3.2, multiplies the loss,
      CE · α ln(LAT)^β. A penalty is added, and cannot see CE; the gradient is in the direction of theirs where
      w = CE · β / ln(LAT), with CE the validation loss and β = 0.6 there.

    With a softmax E is a mean over genotypes, so that it may meet the target while the decoded genotype, its mode, does
    not yet; the two come together as the mixture becomes decided. Compare `table.of(result.genotype)` with the target.

    The penalty goes with any method:

        dataclasses.replace(method, penalties=(*method.penalties, CostPenalty(table=table, target=3e6, weight=1.0)))

    Raises:
        ValueError: the target is below the smallest cost that the space can reach (the message names that and the
            largest), the weight is negative, or the form is unknown.
    """

    table: CostTable
    target: float
    weight: float
    form: str = "hinge"

    def __post_init__(self) -> None:
        one_of("form", self.form, FORMS)
        at_least("weight", self.weight, 0)
        low, high = self.table.bounds
        try:
            above("target", self.target, 0)
            at_least("target", self.target, low)
        except ValueError as error:
            raise ValueError(
                f"target: networks of this space have from {low:,.10g} to {high:,.10g} {self._unit}; "
                f"allowed is {low:,.10g} and above, and not 0, got {self.target!r}."
            ) from error

    @property
    def citation(self) -> str:
        """The arXiv id of where the form comes from."""
        return "1812.03443" if self.form == "log" else "1812.00332"

    @property
    def _unit(self) -> str:
        return f"{self.table.unit} of {self.table.name}" if self.table.unit else self.table.name

    def check(self, groups: Sequence[LogitGroup]) -> None:
        """Raise a ValueError unless the table belongs to a space with these groups, before a search starts."""
        self.table.check(groups)

    def __call__(self, relaxed: Relaxed) -> Tensor:
        ratio = self.table.expected(relaxed.mixture, relaxed.groups) / self.target
        return self.weight * FORMS[self.form](ratio).sum()
