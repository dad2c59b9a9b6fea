"""Rules that end a search before it collapses, by the records of its epochs, and say which epoch's cell to take."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

from archgrad.checks import above, whole


@runtime_checkable
class Stopping(Protocol):
    """A rule that is asked after every epoch; `needs` are the entries of the records that it reads.

    It returns the index of the record whose mixture is decoded, or None as long as the search should go on.
    """

    needs: ClassVar[tuple[str, ...]]

    def __call__(self, history: Sequence[Mapping[str, Any]]) -> int | None: ...


@dataclass(frozen=True, kw_only=True)
class EigenvalueGrowth:
    """Stop when λ̄(i − k) / λ̄(i) < `ratio`, and take the cell of epoch i − k.

    λ(i) is the dominant eigenvalue of ∇²_α L_val after epoch i, λ̄(i) its mean over the `window` epochs around i, and
    k = `lag`. The newest i is `window` // 2 epochs back. Epochs without the eigenvalue, such as those of the warm-up,
    are left out: window and lag count measurements. A mean that is not above 0 stops nothing.

    Reference: arXiv:1909.09656 (Robust DARTS), section 4.3. The public code measures every second epoch, lags
    4 measurements, has 1 / 1.3 for 0.75, and takes no cell from before epoch 10.

    >>> history = [{"eigenvalue": value} for value in (0.1, 0.1, 0.1, 0.2)]
    >>> rule = EigenvalueGrowth(window=1, lag=2)
    >>> rule(history[:3]), rule(history)
    (None, 1)

    Raises:
        ValueError: `window` is not odd or below 1, `lag` below 1, or `ratio` outside (0, 1].
    """

    window: int = 5
    lag: int = 5
    ratio: float = 0.75

    citation: ClassVar[str] = "1909.09656"
    needs: ClassVar[tuple[str, ...]] = ("eigenvalue",)

    def __post_init__(self) -> None:
        whole("window", self.window, 1)
        if self.window % 2 == 0:
            raise ValueError(
                f"window: must be odd, as many epochs before as after, got {self.window}; "
                f"the nearest are {self.window - 1} and {self.window + 1}."
            )
        whole("lag", self.lag, 1)
        above("ratio", self.ratio, 0)
        if self.ratio > 1:
            raise ValueError(f"ratio: must be at most 1, since growth is what stops, got {self.ratio}.")

    def __call__(self, history: Sequence[Mapping[str, Any]]) -> int | None:
        measured = [
            (index, record["eigenvalue"])
            for index, record in enumerate(history)
            if record.get("eigenvalue") is not None and math.isfinite(record["eigenvalue"])
        ]
        start = len(measured) - self.window - self.lag
        if start < 0:
            return None
        values = [value for _, value in measured]
        before = sum(values[start : start + self.window]) / self.window
        now = sum(values[-self.window :]) / self.window
        return measured[start + self.window // 2][0] if now > 0 and before < self.ratio * now else None


@dataclass(frozen=True, kw_only=True)
class SkipCount:
    """Stop after the first epoch whose decoded cell has `limit` or more skip connections, and take that cell.

    `group` is the cell that is counted, by default the first one: DARTS' normal cell. Epochs without `skips` are passed
    over.

    Reference: arXiv:1909.06035 (DARTS+), criterion 1; in its algorithm the loop breaks, and the cell is that of the
    logits then. Since logits start out near zero, the first cells of a search are random, and may have as many: give
    the weights a warm-up.

    >>> SkipCount()([{"skips": {"normal": 1, "reduce": 5}}, {"skips": {"normal": 2, "reduce": 5}}])
    1

    Raises:
        ValueError: `limit` is below 1; when called, the records have no such group.
    """

    limit: int = 2
    group: str | None = None

    citation: ClassVar[str] = "1909.06035"
    needs: ClassVar[tuple[str, ...]] = ("skips",)

    def __post_init__(self) -> None:
        whole("limit", self.limit, 1)

    def __call__(self, history: Sequence[Mapping[str, Any]]) -> int | None:
        if not history or "skips" not in history[-1]:
            return None
        skips = history[-1]["skips"]
        count = _of_group(skips, next(iter(skips)) if self.group is None else self.group)
        return len(history) - 1 if count >= self.limit else None


@dataclass(frozen=True, kw_only=True)
class StableRanking:
    """Stop when the operations that learn have had one order on every edge for `epochs` epochs, and take the last cell.

    `columns` are those candidates' places in the mixture of `group`; a softmax has the order of the logits. Epochs
    before the logits first move, those of a warm-up, are not counted.

    Reference: arXiv:1909.06035 (DARTS+), criterion 1*, which stands for criterion 1 and is meant to stop nearby.

    >>> rows = [[[0.5, 0.3, 0.2]], [[0.2, 0.5, 0.3]], [[0.1, 0.6, 0.3]]]
    >>> history = [{"mixture": {"normal": row}} for row in rows]
    >>> StableRanking(columns=(0, 2), epochs=2)(history), StableRanking(columns=(1, 2), epochs=3)(history)
    (2, 2)

    Raises:
        ValueError: `columns` has fewer than two different places, or `epochs` is below 2; when called, the records have
            no such group.
    """

    columns: tuple[int, ...]
    epochs: int = 10
    group: str = "normal"

    citation: ClassVar[str] = "1909.06035"
    needs: ClassVar[tuple[str, ...]] = ("mixture",)

    def __post_init__(self) -> None:
        if len(set(self.columns)) < max(2, len(self.columns)):
            raise ValueError(f"columns: must be two or more different places, got {self.columns}.")
        for column in self.columns:
            whole("columns", column, 0)
        whole("epochs", self.epochs, 2)

    def __call__(self, history: Sequence[Mapping[str, Any]]) -> int | None:
        mixtures = [_of_group(record["mixture"], self.group) for record in history if "mixture" in record]
        resting = next((at for at, rows in enumerate(mixtures) if rows != mixtures[0]), len(mixtures))
        counted = mixtures[max(0, resting - 1) :][-self.epochs :]
        if len(counted) < self.epochs:
            return None
        first, *others = ([self._order(row) for row in rows] for rows in counted)
        return len(history) - 1 if all(order == first for order in others) else None

    def _order(self, row: Sequence[float]) -> list[int]:
        return sorted(self.columns, key=lambda column: -row[column])


def _of_group(values: Mapping[str, Any], group: str) -> Any:
    if group not in values:
        raise ValueError(f"group: {group!r} is not in the records; allowed are {', '.join(values)}.")
    return values[group]
