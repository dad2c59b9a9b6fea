"""Problems of equation discovery: known formulas, where their points lie, and the lists that hold them."""

import csv
import json
import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import sympy
from jaxtyping import Float64
from scipy.special import digamma

from archgrad.bench.formulas import parse_formula
from archgrad.checks import one_of

ROUNDS = 100
"""How often points are drawn again where a target is not finite."""

_MESH_LIMIT = 2**31  # points of a mesh that can still be numbered; beyond it the axes are drawn independently

Points = Float64[np.ndarray, "rows variables"]
Targets = Float64[np.ndarray, " rows"]


@dataclass(frozen=True)
class Axis:
    """Where one variable lies: anywhere in [low, high], uniformly, or on a grid of equidistant values.

    Raises:
        ValueError: the range is empty or not finite, or the grid has no two points.
    """

    low: float
    high: float
    points: int | None = None  # of the grid; None is uniform

    def __post_init__(self) -> None:
        if not -math.inf < self.low < self.high < math.inf:
            raise ValueError(f"range: must be finite and rise, got [{self.low}, {self.high}].")
        if self.points is not None and self.points < 2:
            raise ValueError(f"range: a grid needs at least two points, got {self.points}.")

    @classmethod
    def grid(cls, low: float, high: float, step: float) -> "Axis":
        """The values low, low + step, … up to high.

        A step that is no narrower than the range is the number of points, as the lists of deep symbolic optimization
        (github.com/dso-org/deep-symbolic-optimization) write `[-1, 1, 20]`; their code takes the number only where the
        step is wider, and so makes two points of `[-10, 10, 20]`.
        """
        if not step > 0:
            raise ValueError(f"range: the step of a grid must be above 0, got {step}.")
        if step >= high - low:
            return cls(low, high, round(step))
        steps = math.floor((high - low) / step + 1e-9)  # 2 / 0.1 may lie below 20
        return cls(low, low + steps * step, steps + 1)

    def values(self) -> Float64[np.ndarray, " points"]:
        """All values of the grid."""
        assert self.points is not None
        return np.linspace(self.low, self.high, self.points)

    def draw(self, generator: np.random.Generator, rows: int) -> Float64[np.ndarray, " rows"]:
        """Draw values, of a grid with repetition."""
        if self.points is None:
            return generator.uniform(self.low, self.high, rows)
        return generator.choice(self.values(), rows)


@dataclass(frozen=True)
class Problem:
    """A known equation and the distribution of its points; test points may have another one."""

    name: str
    variables: tuple[str, ...]
    expression: sympy.Expr
    training: tuple[Axis, ...]
    testing: tuple[Axis, ...] | None = None

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """The range of each variable over training and test points."""
        axes = zip(self.training, self.testing or self.training, strict=True)
        return {
            name: (min(first.low, second.low), max(first.high, second.high))
            for name, (first, second) in zip(self.variables, axes, strict=True)
        }

    def evaluate(self, points: Points) -> Targets:
        """The target at each point, not a number where it is not real."""
        return target_function(self)(points)

    def sample(self, generator: np.random.Generator, rows: int, *, testing: bool = False) -> Points:
        """Draw points at which the target is finite, from the distribution of the training or of the test points.

        Where every variable has a grid, each point of their mesh comes at most once, so that there may be fewer.

        Raises:
            ValueError: the target is finite almost nowhere.
        """
        axes = self.testing if testing and self.testing is not None else self.training
        evaluate = target_function(self)
        size = math.prod(axis.points or _MESH_LIMIT for axis in axes)
        if size < _MESH_LIMIT:
            chosen = generator.choice(size, min(size, ROUNDS * rows), replace=False)
            indices = np.unravel_index(chosen, [axis.points or 0 for axis in axes])
            mesh = np.column_stack([axis.values()[index] for axis, index in zip(axes, indices, strict=True)])
            kept = mesh[np.isfinite(evaluate(mesh))][:rows]
            wanted = min(2, rows)
        else:
            kept, wanted = np.empty((0, len(axes))), rows
            for _ in range(ROUNDS):
                drawn = np.column_stack([axis.draw(generator, rows) for axis in axes])
                kept = np.concatenate([kept, drawn[np.isfinite(evaluate(drawn))]])[:rows]
                if len(kept) == rows:
                    break
        if len(kept) < wanted:
            raise ValueError(
                f"problem {self.name}: {self.expression} is finite at {len(kept)} of {ROUNDS * rows} points only."
            )
        return kept


def target_function(problem: Problem) -> Callable[[Points], Targets]:
    """A problem's target as a function of points in float64."""
    symbols = [sympy.Symbol(name) for name in problem.variables]
    modules: Any = [{"harmonic": lambda n: digamma(n + 1) + np.euler_gamma}, "numpy"]
    function = sympy.lambdify(symbols, problem.expression, modules, dummify=True)

    def evaluate(points: Points) -> Targets:
        with np.errstate(all="ignore"):
            values = np.asarray(function(*points.T))
            real = np.where(np.isreal(values), np.real(values), np.nan).astype(np.float64)
            return np.broadcast_to(real, len(points)).copy()

    return evaluate


def default_list() -> Path:
    """The Feynman laws under the folder that the environment variable ARCHGRAD_DATA names."""
    return Path(os.environ.get("ARCHGRAD_DATA", "../shared/data")) / "equations" / "feynman.csv"


def read_problems(path: Path, names: Sequence[str] = (), *, limit: int | None = None) -> list[Problem]:
    """Read a list of problems; the header says in which of two forms it is written.

    - name, output, formula, variables: AI Feynman's laws (arXiv:1905.11481), the variables as JSON
      `[[name, low, high], …]`, uniform.
    - name, variables, expression, train_spec, test_spec: the problems of deep symbolic optimization, the variables
      x1, x2, … by their number, the specifications as JSON `{"all": {"U": [low, high, …]}}`, uniform, or
      `{"x1": {"E": [low, high, step]}, …}`, a grid. How many points such a list would draw is not taken from it.

    Args:
        names: keep the problems with these names only, wildcards as in file names allowed.
        limit: keep so many at most.

    Raises:
        ValueError: there is no such file, it has neither form, a row cannot be read, or a name is in no row.
    """
    if not path.is_file():
        raise ValueError(
            f"problems: there is no file {path}; name a list, or set ARCHGRAD_DATA to the folder of the data sets."
        )
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        read = _reader(path, reader.fieldnames or ())
        problems = []
        for row in reader:
            try:
                problems.append(read(row))
            except (ValueError, TypeError, KeyError, IndexError) as error:
                raise ValueError(f"problems: {path}, line {reader.line_num}, {row.get('name')}: {error}") from error
    kept = _named(problems, names)[:limit]
    if not kept:
        raise ValueError(f"problems: {path} holds no problem.")
    return kept


def _reader(path: Path, header: Iterable[str]) -> Callable[[dict[str, str]], Problem]:
    """The form of a list."""
    for columns, read in ((("name", "formula", "variables"), _law), (("name", "expression", "train_spec"), _specified)):
        if set(columns) <= set(header):
            return read
    raise ValueError(
        f"problems: {path} has the columns {', '.join(header)}; either name, formula and variables are needed, "
        "or name, variables, expression, train_spec and test_spec."
    )


def _law(row: dict[str, str]) -> Problem:
    """A row of AI Feynman's laws."""
    variables = json.loads(row["variables"])
    names = tuple(str(name) for name, _, _ in variables)
    axes = tuple(Axis(float(low), float(high)) for _, low, high in variables)
    return Problem(row["name"], names, parse_formula(row["formula"], names), axes)


def _specified(row: dict[str, str]) -> Problem:
    """A row of the problems of deep symbolic optimization."""
    names = tuple(f"x{number}" for number in range(1, int(row["variables"]) + 1))
    axes = partial(_axes, names=names)
    training = axes(row["train_spec"])
    testing = None if row["test_spec"] in ("None", "") else axes(row["test_spec"])
    return Problem(row["name"], names, parse_formula(row["expression"], names), training, testing)


def _axes(specification: str, names: Sequence[str]) -> tuple[Axis, ...]:
    """The axes of all variables."""
    plain = json.loads(specification)
    if "all" not in plain and not set(names) <= set(plain):
        raise ValueError(f"{specification}: has neither 'all' nor each of {', '.join(names)}.")
    return tuple(_axis(plain.get("all") or plain[name]) for name in names)


def _axis(plain: dict[str, Sequence[float]]) -> Axis:
    ((kind, (low, high, third)),) = plain.items()
    if one_of("kind of range", kind, ("U", "E")) == "E":
        return Axis.grid(float(low), float(high), float(third))
    return Axis(float(low), float(high))


def _named(problems: list[Problem], patterns: Sequence[str]) -> list[Problem]:
    """The problems whose name fits one of the patterns, all without patterns."""
    known = [problem.name for problem in problems]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in known):
            one_of("names", pattern, known)
    return [p for p in problems if not patterns or any(fnmatchcase(p.name, pattern) for pattern in patterns)]
