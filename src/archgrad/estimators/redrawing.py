"""What can be done with a fitted estimator without a new search: other coefficients, another architecture, and back."""

from typing import Any

import numpy as np
import sympy

from archgrad.discovery.candidates import Candidate, Parts, fit_candidate
from archgrad.discovery.discover import Writer, split
from archgrad.discovery.equation import Columns, Equation
from archgrad.discovery.gradient import GradientSearch, searched_mixture
from archgrad.discovery.problem import Problem
from archgrad.discovery.refit import refit
from archgrad.discovery.snap import snap
from archgrad.discovery.tasks import DECODED
from archgrad.seeding import derive
from archgrad.spaces.expression.laws import EXPRESSION


def refit_chosen(estimator: Any, problems: list[Problem]) -> Any:
    """Fit the coefficients of the chosen equations; their exponents and zeros stay what they are."""
    _exchange(estimator, problems, estimator._all_chosen())
    return estimator


def return_to_best(estimator: Any, problems: list[Problem]) -> Any:
    """Fit the coefficients of the equations that `fit` chose first."""
    _exchange(estimator, problems, estimator.first_)
    return estimator


def draw_architecture(estimator: Any, problems: list[Problem]) -> Any:
    """Draw every edge's operation from the mixture of a gradient search, and fit what comes of it.

    The search is carried out at the first call, on the data of that call; what is drawn depends on the seed and on how
    many were drawn before.
    """
    estimator.draws_ += 1
    drawn = []
    for output, (problem, equation) in enumerate(zip(problems, estimator._all_chosen(), strict=True)):
        drawn.append(_drawn(estimator, problem, equation, output))
    estimator._set(estimator._fronts(), drawn)
    return estimator


def known_candidates(estimator: Any) -> dict[tuple[int, Columns], list[Candidate]]:
    """The equations of a fitted estimator as candidates, by output and columns, for a warm start."""
    known: dict[tuple[int, Columns], list[Candidate]] = {}
    for output, front in zip(estimator.targets_.outputs, estimator._fronts(), strict=True):
        for equation in front:
            key = (output, Columns(equation.columns, equation.names))
            known.setdefault(key, []).append(_candidate(equation))
    return known


def _candidate(equation: Equation) -> Candidate:
    """An equation to be fitted again; its losses are unknown until then."""
    return Candidate(
        cell=equation.genotype[EXPRESSION],
        offset=equation.offset,
        coefficients=np.array(equation.coefficients),
        loss=np.inf,
        validation_loss=np.inf,
        size=equation.complexity,
        stage="known",
    )


def _exchange(estimator: Any, problems: list[Problem], equations: list[Equation]) -> None:
    fitted = [_refitted(estimator, problem, equation) for problem, equation in zip(problems, equations, strict=True)]
    estimator._set(estimator._fronts(), fitted)


def _refitted(estimator: Any, problem: Problem, equation: Equation) -> Equation:
    graph = equation.graph
    coefficients = np.array(equation.coefficients)
    structure: dict[int, Any] = {place: number for place, number in equation.exact.items() if number == 0}
    structure |= {
        int(place): sympy.sympify(equation.exact.get(int(place), coefficients[place])) for place in graph.exponents()
    }
    fixed = np.zeros((1, graph.size), dtype=bool)
    fixed[0, list(structure)] = True
    iterations = estimator.param_updates_for_sampled_model
    parts = split(problem, estimator.plan_)
    fit = refit(graph, parts.train, coefficients[None], iterations=iterations, fixed=fixed, solve_outputs=False)
    law = snap(graph, parts.train, fit.coefficients[0], exact=structure)
    return _writer(estimator, problem, parts, equation).judged(law)


def _writer(estimator: Any, problem: Problem, parts: Parts, like: Equation) -> Writer:
    return Writer(problem, parts, Columns(like.columns, like.names), estimator.plan_)


def _drawn(estimator: Any, problem: Problem, like: Equation, output: int) -> Equation:
    plan = estimator.plan_
    parts = split(problem, plan)
    if not hasattr(estimator, "mixtures_"):
        estimator.mixtures_ = {}
    layout = plan.layouts[0]
    if output not in estimator.mixtures_:
        scales = tuple(float(size) for size in np.abs(problem.inputs).mean(axis=1).clip(1e-300, 1e300))
        space = plan.space(len(problem.inputs), layout, scales=scales, restarts=plan.restarts)
        search = GradientSearch(space, seed=derive(plan.seed, "mixture", output))
        estimator.mixtures_[output] = searched_mixture(search, parts, plan)
    space = plan.space(len(problem.inputs), layout)
    for attempt in range(20):
        generator = np.random.default_rng(derive(plan.seed, "draw", output, estimator.draws_, attempt))
        genotype = space.sampled_genotype(estimator.mixtures_[output], generator)
        found = fit_candidate(
            genotype.cells[0], parts, generator, effort=DECODED, stage="sample", primitives=plan.custom
        )
        if found:
            writer = _writer(estimator, problem, parts, like)
            return writer.snapped(min(found, key=lambda candidate: candidate.loss))
    raise ValueError("sampling_strategy: 20 architectures were drawn, and none is defined on the data.")
