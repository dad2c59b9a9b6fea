"""What an output type makes of the targets: problems with one output each, and predictions from their equations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from archgrad.checks import one_of
from archgrad.discovery.equation import Columns, Equation
from archgrad.discovery.problem import Problem

OUTPUT_TYPES = {
    "real": "numbers; the law is the prediction",
    "sigmoid": "numbers in [0, 1]; σ(law), by least squares",
    "probability": "probabilities in [0, 1]; σ(law), by deviance",
    "probability_sample": "outcomes 0 and 1; σ(law) is the probability of 1",
    "probability_distribution": "rows of probabilities that sum to one; softmax of one law for each",
    "class": "labels; the softmax of one law for each decides",
}
"""Output types and what their targets are."""

LINKS_OF = {"real": "identity", "sigmoid": "sigmoid", "probability": "deviance", "probability_sample": "deviance"}


@dataclass(frozen=True)
class Targets:
    """The targets of an estimator: `values` [rows, outputs], and for "class" the labels of the outputs.

    For distributions and classes, output c has the law g_c in softmax(g), where the law of the `reference`, the most
    frequent, is zero. Each g_c is found on its own from the shares y_c / (y_c + y_reference), which estimates the same
    model (Begg and Gray, Biometrika 71(1), 1984).
    """

    kind: str
    values: Float[np.ndarray, "rows outputs"]
    single: bool
    labels: np.ndarray | None = None
    reference: int | None = None

    @classmethod
    def of(cls, kind: str, targets: np.ndarray) -> "Targets":
        """Check the targets of an output type.

        Raises:
            ValueError: an unknown type, or targets that it cannot have.
        """
        one_of("output_type", kind, OUTPUT_TYPES)
        if kind == "class":
            if targets.ndim != 1:
                raise ValueError(f"y: output_type='class' needs one label a row, got the shape {targets.shape}.")
            labels, where = np.unique(targets, return_inverse=True)
            if len(labels) < 2:
                raise ValueError(f"y: output_type='class' needs at least two labels, got only {labels.tolist()}.")
            values = np.eye(len(labels))[where]
            return cls(kind, values, True, labels, int(values.sum(axis=0).argmax()))
        values = targets.reshape(len(targets), -1).astype(np.float64)
        if kind == "real":
            return cls(kind, values, targets.ndim == 1)
        if ((values < 0) | (values > 1)).any():
            raise ValueError(
                f"y: output_type={kind!r} needs values in [0, 1], got {values.min():g} to {values.max():g}."
            )
        if kind == "probability_sample" and not np.isin(values, (0.0, 1.0)).all():
            raise ValueError("y: output_type='probability_sample' needs outcomes 0 and 1, got other values.")
        if kind == "probability_distribution":
            if targets.ndim != 2 or not np.allclose(values.sum(axis=1), 1.0, atol=1e-6):
                raise ValueError("y: output_type='probability_distribution' needs rows that sum to 1.")
            return cls(kind, values, False, None, int(values.sum(axis=0).argmax()))
        return cls(kind, values, targets.ndim == 1)

    @property
    def outputs(self) -> list[int]:
        """The outputs that have a law of their own."""
        return [output for output in range(self.values.shape[1]) if output != self.reference]

    def problem(self, table: Float[np.ndarray, "rows columns"], weights: np.ndarray, output: int) -> Problem:
        """The problem of one output, in canonical order: equal data give equal problems, whatever the order of rows.

        Rows of weight zero are left out, and equal rows become one of their summed weight, so that a weight of two is
        the same as the row twice.
        """
        target = self.values[:, output]
        if self.reference is not None:
            both = target + self.values[:, self.reference]
            target, weights = target / np.where(both > 0, both, 1.0), weights * both
        kept = weights > 0
        rows = np.column_stack([table[kept], target[kept]])
        unique, where = np.unique(rows, axis=0, return_inverse=True)
        summed = np.bincount(where.ravel(), weights=weights[kept], minlength=len(unique))
        link = LINKS_OF.get(self.kind, "deviance")
        inputs = np.ascontiguousarray(unique[:, :-1].T)
        return Problem.of(inputs, np.ascontiguousarray(unique[:, -1]), summed, link=link)


def predictions(
    equations: Sequence[Equation], table: Float[np.ndarray, "rows columns"], like: Targets, constants: Sequence[float]
) -> Any:
    """Predict from one equation for each output that has a law; where one is not defined, its constant stands in."""
    columns = []
    for equation, constant in zip(equations, constants, strict=True):
        value = equation(table)
        columns.append(np.where(np.isfinite(value), value, constant))
    if like.reference is None:
        return columns[0] if like.single else np.column_stack(columns)
    shares = np.column_stack(columns).clip(1e-15, 1.0 - 1e-15) if columns else np.empty((len(table), 0))
    odds = np.insert(shares / (1.0 - shares), like.reference, 1.0, axis=1)
    return odds / odds.sum(axis=1, keepdims=True)


MOST_COLUMNS = 12
"""Laws are looked for in so many columns at most, those that tell most about the target."""


def useful_columns(problem: Problem, names: Sequence[str], *, seed: int) -> tuple[Problem, Columns]:
    """Leave out constant columns and, of many, those that tell least about the target (by mutual information)."""
    varying = np.flatnonzero((problem.inputs != problem.inputs[:, :1]).any(axis=1))
    if len(varying) > MOST_COLUMNS:
        from sklearn.feature_selection import mutual_info_regression

        told = mutual_info_regression(problem.inputs[varying].T, problem.targets, random_state=seed % 2**32)
        varying = np.sort(varying[np.argsort(-told, kind="stable")[:MOST_COLUMNS]])
    kept = [int(place) for place in varying] or [0]
    columns = Columns(tuple(kept), tuple(names[place] for place in kept))
    inputs = np.ascontiguousarray(problem.inputs[kept])
    return Problem(inputs, problem.targets, problem.weights, problem.link, problem.unit), columns
