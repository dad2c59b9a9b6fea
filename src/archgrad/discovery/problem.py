"""The data of a discovery, scaled, and the residuals that its output type asks for."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float

from archgrad.spaces.expression.graph import Graph

Residual: TypeAlias = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""(η, y) -> r and ∂r/∂η, where η is the value of the expression and Σ r² the loss."""


def difference(predicted: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """r = η − y."""
    return predicted - target, np.ones_like(predicted)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + e^{−x}) without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def sigmoid_difference(predicted: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """r = σ(η) − y."""
    probability = sigmoid(predicted)
    return probability - target, probability * (1.0 - probability)


def deviance(predicted: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """r = ±√(2 KL(y ‖ σ(η))), the deviance residual, so that ½ Σ r² is the cross-entropy up to a constant.

    Reference: McCullagh and Nelder, Generalized Linear Models, 1989, section 2.4.3.
    """
    probability = sigmoid(predicted)
    entropy = -_xlogx(target) - _xlogx(1.0 - target)
    cross = np.logaddexp(0.0, predicted) - target * predicted
    root = np.sqrt(np.maximum(2.0 * (cross - entropy), 0.0))
    error = probability - target
    slope = np.where(root > 1e-7, np.abs(error) / np.maximum(root, 1e-7), np.sqrt(probability * (1.0 - probability)))
    return np.sign(error) * root, slope


def _xlogx(x: np.ndarray) -> np.ndarray:
    return x * np.log(np.where(x > 0, x, 1.0))


class Link(NamedTuple):
    """How an expression meets the targets: residuals, the prediction made from η, and η that would explain y."""

    residual: Residual
    predict: Callable[[np.ndarray], np.ndarray]
    working: Callable[[np.ndarray], np.ndarray]


def _logit(target: np.ndarray) -> np.ndarray:
    inside = np.clip(target, 0.02, 0.98)
    return np.log(inside / (1.0 - inside))


def _same(values: np.ndarray) -> np.ndarray:
    return values


LINKS = {
    "identity": Link(difference, _same, _same),
    "sigmoid": Link(sigmoid_difference, sigmoid, _logit),
    "deviance": Link(deviance, sigmoid, _logit),
}
"""Ways from the value of an expression to the target."""


@dataclass(frozen=True)
class Problem:
    """Inputs [columns, rows], targets [rows] and weights [rows] of one output, as `link` joins them.

    Losses are mean squares of the weighted residuals divided by `unit`, which `of` makes those of the best constant:
    1 − loss is R² or, for probabilities, the share of the deviance that is explained. No loss depends on the scale of
    the targets, also where their squares are beyond what a float holds.
    """

    inputs: Float[np.ndarray, "columns rows"]
    targets: Float[np.ndarray, "rows"]
    weights: Float[np.ndarray, "rows"]
    link: str = "identity"
    unit: float = 1.0

    @classmethod
    def of(
        cls,
        inputs: Float[np.ndarray, "columns rows"],
        targets: Float[np.ndarray, "rows"],
        weights: Float[np.ndarray, "rows"],
        *,
        link: str = "identity",
    ) -> "Problem":
        """The problem whose unit is the root mean square residual of the best constant."""
        plain = cls(inputs, targets, weights, link)
        mean = plain.constant
        residual, _ = LINKS[link].residual(np.full(len(targets), mean), targets)
        residual = residual * plain.root_weights
        largest = float(np.abs(residual).max(initial=0.0))
        unit = largest * float(np.sqrt(np.mean((residual / largest) ** 2))) if largest > 0 else 1.0
        return cls(inputs, targets, weights, link, unit)

    @property
    def rows(self) -> int:
        """The number of observations."""
        return self.inputs.shape[1]

    @property
    def square(self) -> float:
        """What turns a relative loss into a mean square in units of y²; 1 where that is beyond what a float holds."""
        square = self.unit * self.unit
        return square if 0 < square < float("inf") else 1.0

    @property
    def constant(self) -> float:
        """η of the best constant: the mean, through the inverse of the link."""
        shares = self.weights / self.weights.sum()
        mean = float(shares @ self.targets)
        if self.link == "identity":
            return mean
        inside = min(max(mean, 1e-6), 1.0 - 1e-6)
        return float(np.log(inside / (1.0 - inside)))

    @cached_property
    def root_weights(self) -> np.ndarray:
        """√w, of mean square 1."""
        return np.sqrt(self.weights / self.weights.mean())

    @cached_property
    def working_response(self) -> np.ndarray:
        """What the expression would have to be."""
        return LINKS[self.link].working(self.targets)

    def subset(self, rows: np.ndarray) -> "Problem":
        """The same problem on some of its rows, with losses in the same unit."""
        inputs = np.ascontiguousarray(self.inputs[:, rows])
        return Problem(inputs, self.targets[rows], self.weights[rows], self.link, self.unit)

    def losses(self, graph: Graph, coefficients: Float[np.ndarray, "batch size"]) -> Float[np.ndarray, "batch"]:
        """Relative loss [batch]; infinite where the graph is not defined."""
        return self.residuals(graph, coefficients)[0]

    def residuals(
        self, graph: Graph, coefficients: Float[np.ndarray, "batch size"]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Relative loss [batch], residuals [batch, rows] and their Jacobian [batch, size, rows]."""
        value, jacobian = graph.evaluate(coefficients, self.inputs)
        with np.errstate(all="ignore"):
            residual, slope = LINKS[self.link].residual(value, self.targets)
            residual = residual * (self.root_weights / self.unit)
            jacobian *= (slope * (self.root_weights / self.unit))[:, None]
            loss = (residual**2).mean(axis=1)
        return np.where(np.isfinite(loss), loss, np.inf), residual, jacobian
