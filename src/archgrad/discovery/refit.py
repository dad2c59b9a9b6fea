"""Refit: the coefficients of a decoded graph by Levenberg-Marquardt, from many starts at once, in float64.

One step solves (JᵀJ + λ diag JᵀJ) δ = Jᵀr for every start and keeps it where the loss falls (Marquardt, SIAM J. 11(2),
1963). Starts that fall behind are given up in turns. What wins is polished by SciPy's MINPACK.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import least_squares

from archgrad.discovery.problem import Problem
from archgrad.spaces.expression.graph import Graph

HALVINGS = {6: 0.5, 14: 0.5, 26: 0.6}
"""After so many iterations, which share of the starts goes on."""

EXACT = 1e-22
"""A loss, relative to that of the constant, below which rounding is all that is left."""


class Fit(NamedTuple):
    """Coefficient vectors and their losses, relative to that of the best constant (1 − R²)."""

    coefficients: Float[np.ndarray, "batch size"]
    losses: Float[np.ndarray, "batch"]


def refit(
    graph: Graph,
    problem: Problem,
    starts: Float[np.ndarray, "batch size"],
    *,
    iterations: int = 60,
    fixed: Bool[np.ndarray, "batch size"] | None = None,
    solve_outputs: bool = True,
) -> Fit:
    """Fit the coefficients from each start, giving up the worse ones on the way; best first.

    Those that are `fixed` keep their value. With `solve_outputs` the output layer starts at its optimum given the rest.
    Starts at which the graph is not defined on the data come last, with an infinite loss.
    """
    free = np.ones(starts.shape) if fixed is None else 1.0 - fixed
    theta = starts.copy()
    if solve_outputs:
        solve_output_layer(graph, problem, theta, free=free)
    fit = descend(graph, problem, theta, free=free, iterations=iterations, halvings=HALVINGS)
    order = np.argsort(fit.losses, kind="stable")
    return Fit(fit.coefficients[order], fit.losses[order])


def descend(
    graph: Graph,
    problem: Problem,
    theta: Float[np.ndarray, "batch size"],
    *,
    free: Float[np.ndarray, "batch size"],
    iterations: int,
    halvings: Mapping[int, float],
) -> Fit:
    """Levenberg-Marquardt from each row of `theta`, moving what is `free` (1, else 0), in the order given.

    After iteration i only the share `halvings[i]` of lowest loss goes on; with an empty mapping all do.
    """
    loss, residual, jacobian = problem.residuals(graph, theta)
    damping = np.full(len(theta), 1e-2)
    for iteration in range(iterations):
        with np.errstate(all="ignore"):
            step = _step(residual, jacobian * free[:, :, None], damping)
        candidate = theta - step * free
        new_loss, new_residual, new_jacobian = problem.residuals(graph, candidate)
        better = new_loss < loss
        theta = np.where(better[:, None], candidate, theta)
        residual = np.where(better[:, None], new_residual, residual)
        jacobian = np.where(better[:, None, None], new_jacobian, jacobian)
        loss = np.where(better, new_loss, loss)
        damping = np.clip(np.where(better, damping / 4, damping * 5), 1e-14, 1e14)
        if (loss < EXACT).all() or (halvings and loss.min(initial=np.inf) < EXACT) or damping.min() > 1e9:
            break
        if iteration in halvings and len(theta) > 4:
            kept = np.argsort(loss, kind="stable")[: max(4, int(len(theta) * halvings[iteration]))]
            theta, residual, jacobian, loss = theta[kept], residual[kept], jacobian[kept], loss[kept]
            damping, free = damping[kept], free[kept]
    return Fit(theta, loss)


def _step(residual: np.ndarray, jacobian: np.ndarray, damping: np.ndarray) -> np.ndarray:
    """δ of every start; zero where the equations are not finite."""
    normal = jacobian @ jacobian.transpose(0, 2, 1)
    gradient = (jacobian @ residual[:, :, None])[:, :, 0]
    diagonal = np.einsum("bii->bi", normal)
    usable: Any = np.isfinite(normal).all(axis=(1, 2)) & np.isfinite(gradient).all(axis=1)
    scale = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    scale[~usable] = 1.0
    normal = normal / (scale[:, :, None] * scale[:, None, :])
    normal[~usable] = 0.0
    places = np.arange(normal.shape[1])
    normal[:, places, places] += damping[:, None] + 1e-14 + (diagonal <= 0) + ~usable[:, None]
    step = np.linalg.solve(normal, np.where(usable[:, None], gradient / scale, 0.0)[:, :, None])[:, :, 0]
    return step / scale


def solve_output_layer(graph: Graph, problem: Problem, theta: np.ndarray, *, free: np.ndarray) -> None:
    """Set c_j and c₀ of every start to their least-squares values, in place; those that are not free stay."""
    columns = np.arange(graph.outputs[0], graph.size)
    movable = free[:, columns]
    theta[:, columns] *= 1.0 - movable
    value, jacobian = graph.evaluate(theta, problem.inputs)
    with np.errstate(all="ignore"):
        basis = jacobian[:, columns] * movable[:, :, None] * problem.root_weights
        wanted = (problem.working_response - value) * problem.root_weights
    usable: Any = np.isfinite(basis).all(axis=(1, 2)) & np.isfinite(wanted).all(axis=1)
    basis, wanted = np.where(usable[:, None, None], basis, 0.0), np.where(usable[:, None], wanted, 0.0)
    with np.errstate(all="ignore"):
        size = np.sqrt((basis**2).sum(axis=2, keepdims=True))
    basis = basis / np.where(size > 0, size, 1.0)
    normal = basis @ basis.transpose(0, 2, 1)
    normal[:, range(len(columns)), range(len(columns))] += 1e-12 + (size[:, :, 0] == 0)
    solved = np.linalg.solve(normal, (basis @ wanted[:, :, None]))[:, :, 0] / np.where(size > 0, size, 1.0)[:, :, 0]
    theta[:, columns] += solved * movable


def polish(
    graph: Graph, problem: Problem, coefficients: Float[np.ndarray, "size"], *, fixed: Sequence[bool] | None = None
) -> tuple[np.ndarray, float]:
    """Refine one coefficient vector with SciPy's Levenberg-Marquardt; never returns a worse one."""
    free = np.ones(graph.size, dtype=bool) if fixed is None else ~np.asarray(fixed)
    loss = float(problem.residuals(graph, coefficients[None])[0][0])
    if not free.any() or problem.rows < free.sum():
        return coefficients, loss

    def full(values: np.ndarray) -> np.ndarray:
        theta = coefficients.copy()
        theta[free] = values
        return theta[None]

    def residual(values: np.ndarray) -> np.ndarray:
        found = problem.residuals(graph, full(values))[1][0]
        return np.where(np.isfinite(found), found, 1e150)

    def jacobian(values: np.ndarray) -> np.ndarray:
        found = problem.residuals(graph, full(values))[2][0][free].T
        return np.where(np.isfinite(found), found, 0.0)

    with np.errstate(all="ignore"):
        solved = least_squares(
            residual,
            coefficients[free],
            jacobian,  # pyright: ignore[reportArgumentType]  the stubs know strings only
            method="lm",
            x_scale="jac",
            xtol=1e-15,
            ftol=1e-15,
            gtol=1e-15,
        )
    theta = full(solved.x)
    new_loss = float(problem.residuals(graph, theta)[0][0])
    return (theta[0], new_loss) if new_loss < loss else (coefficients, loss)
