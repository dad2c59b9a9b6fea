"""Progressive search: stretches of the epochs between which the supernet changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from archgrad.arch import LogitGroup
from archgrad.checks import above, share, whole

Choices: TypeAlias = dict[str, tuple[tuple[str, ...], ...]]
"""By group, the candidates that stay on each edge; empty: all."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stretch of a search; None leaves what the space or the method's mixing has.

    `share` is its part of the epochs; the shares of all stages sum to 1. `added_layers` cells come to those of the
    space. `keep` operations stay on every edge, the strongest by the mixture at the end of the stage before.
    `partial_channels` and `skip_dropout` are those of `archgrad.mixing`. With `fresh_logits` the logits are drawn anew.

    Weights of what both stages have are carried over, and the learning rate of the weights starts its cosine again.

    Reference: arXiv:1904.12760 (P-DARTS), section 3.2; arXiv:2006.10355 (DrNAS), section 3.3.

    Raises:
        ValueError: a value outside what is allowed, named in the message.
    """

    share: float
    added_layers: int = 0
    keep: int | None = None
    partial_channels: int | None = None
    skip_dropout: float | None = None
    fresh_logits: bool = False

    def __post_init__(self) -> None:
        above("stages.share", self.share, 0)
        whole("stages.added_layers", self.added_layers, 0)
        for name in ("keep", "partial_channels"):
            if getattr(self, name) is not None:
                whole(f"stages.{name}", getattr(self, name), 1)
        if self.skip_dropout is not None:
            share("stages.skip_dropout", self.skip_dropout)


def check_stages(stages: Sequence[Stage]) -> None:
    """Raise a ValueError unless the shares sum to 1 and what stages keep shrinks, from the second one on."""
    total = sum(stage.share for stage in stages)
    if stages and abs(total - 1) > 1e-9:
        raise ValueError(f"stages: their shares must sum to 1, got {[stage.share for stage in stages]}, sum {total:g}.")
    if stages and stages[0].keep is not None:
        raise ValueError(
            f"stages[0].keep: {stages[0].keep} operations cannot be chosen before there is a mixture; give keep to a "
            "later stage, or narrow the space by its choices."
        )
    kept = None
    for place, stage in enumerate(stages):
        if stage.keep is not None and kept is not None and stage.keep > kept:
            raise ValueError(
                f"stages[{place}].keep: must be at most {kept}, what the stage before keeps, got {stage.keep}."
            )
        kept = kept if stage.keep is None else stage.keep


@dataclass(frozen=True)
class Moment:
    """Where in a search an epoch lies: which stage, the epoch within it, and the stage's epochs."""

    stage: int
    epoch: int
    epochs: int

    @property
    def progress(self) -> float:
        """From 0 in the stage's first epoch to 1 in its last."""
        return self.epoch / max(1, self.epochs - 1)


def starts(stages: Sequence[Stage], epochs: int) -> tuple[int, ...]:
    """The first epoch of each stage, by rounding the shares' sums.

    >>> starts((Stage(share=1 / 3), Stage(share=1 / 3), Stage(share=1 / 3)), 10)
    (0, 3, 7)

    Raises:
        ValueError: a stage would have no epoch.
    """
    first = tuple(round(epochs * sum(stage.share for stage in stages[:place])) for place in range(len(stages)))
    if any(after <= before for before, after in zip(first, (*first[1:], epochs), strict=True)):
        raise ValueError(f"epochs: {epochs} are too few for {len(stages)} stages; the nearest is {len(stages)}.")
    return first


def moment(stages: Sequence[Stage], *, epoch: int, epochs: int) -> Moment:
    """Where an epoch lies; without stages, in the one stage that is the whole search.

    >>> moment((Stage(share=0.5), Stage(share=0.5)), epoch=6, epochs=8)
    Moment(stage=1, epoch=2, epochs=4)
    """
    if not stages:
        return Moment(0, epoch, epochs)
    first = (*starts(stages, epochs), epochs)
    stage = next(place for place in reversed(range(len(stages))) if first[place] <= epoch)
    return Moment(stage, epoch - first[stage], first[stage + 1] - first[stage])


def strongest(weights: np.ndarray, group: LogitGroup, keep: int) -> tuple[tuple[str, ...], ...]:
    """The `keep` candidates of the largest mixture weights on each edge, in the group's order.

    One that decoding may choose stays on every edge that has one, even if `none` outweighs all; the earlier candidate
    wins ties.

    >>> group = LogitGroup.dense("cell", inputs=1, nodes=1, candidates=("none", "max_pool_3x3", "skip_connect"))
    >>> strongest(np.array([[0.6, 0.1, 0.3]]), group, 1)
    (('skip_connect',),)
    """
    kept = []
    for row, choices in enumerate(group.choices):
        columns = [group.candidates.index(name) for name in choices]
        ranked = sorted(columns, key=lambda column: -weights[row, column])
        decodable = [column for column in ranked if group.decodable[row, column]]
        first = decodable[:1]
        chosen = {*first, *[column for column in ranked if column not in first][: keep - len(first)]}
        kept.append(tuple(name for name in choices if group.candidates.index(name) in chosen))
    return tuple(kept)
