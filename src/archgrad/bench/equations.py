"""`archgrad bench equations`: which known equations are found from points alone, by the protocol of SRBench.

The protocol is that of the ground-truth track of arXiv:2107.14351: 75 % of the points train, noise is added to their
targets alone, and an equation counts as found by accuracy where R² on the test points exceeds 0.999, and symbolically
where `symbolic.judge` says so. Each trial (problem, noise, seed) runs in a process that is killed when it overruns its
time; such a trial is not solved. A fit that ends at its own time limit is judged by what it returns.

The run folder holds config.json, environment.json, results.jsonl with one line for each trial that is done, in the
order of completion, and in the end table.md.
"""

import json
import math
import os
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import sympy
from jaxtyping import Float64
from rich.console import Console

from archgrad.bench.formulas import with_symbols
from archgrad.bench.problems import Problem, Targets, default_list, read_problems
from archgrad.bench.symbolic import judge, model_size
from archgrad.bench.table import TrialResult, markdown, one_line, problem_table, summary_table
from archgrad.bench.workers import run_tasks
from archgrad.checks import above, one_of, whole, within
from archgrad.files import write_atomically
from archgrad.runs import RunFolder, environment, read_json, write_json
from archgrad.seeding import derive

COMMAND = "bench equations"
STRATEGIES = ("full", "enumeration", "gradient", "random")
TRAINING_SHARE = 0.75
ACCURATE = 0.999
CHECK_SECONDS = 10.0
"""Time for the symbolic check of a model."""

GRACE_SECONDS = 30.0
"""Beyond the time limit, for a fit to notice it and for the check, before the process is killed."""

UNSTORED = ("out", "resume", "jobs")
"""Settings that a resumed run may change."""


@runtime_checkable
class Estimator(Protocol):
    """What is tested: a regressor whose model can be had as a sympy expression in the symbols x0, x1, …"""

    def fit(self, X: Any, y: Any) -> Any: ...
    def predict(self, X: Any) -> Any: ...
    def sympy(self) -> Any: ...


Split = tuple[
    Float64[np.ndarray, "training variables"],
    Float64[np.ndarray, " training"],
    Float64[np.ndarray, "testing variables"],
    Float64[np.ndarray, " testing"],
]
"""Points and targets that train, and those that test."""

MakeEstimator = Callable[[str, int, float], Estimator]
"""Makes an estimator of a strategy, a seed and a time limit in seconds."""


@dataclass(frozen=True, kw_only=True)
class EquationBenchmarkSettings:
    """Which equations are to be found, from what data, and how.

    Raises:
        ValueError: a value outside what is allowed, named in the message.
    """

    problems: Path = field(default_factory=default_list)  # list of problems, a CSV file as of AI Feynman or DSO
    names: tuple[str, ...] = ()  # use only the problems with these names, wildcards allowed; by default all
    limit: int | None = None  # use so many problems at most
    noise: tuple[float, ...] = (0.0,)  # standard deviations of the noise, relative to the targets' root mean square
    rows: int = 1000  # points of a problem, of which 75 % train
    trials: int = 1  # seeds of each problem: seed, seed + 1, …
    seed: int = 0  # everything random follows from it
    strategy: str = "full"  # full, enumeration, gradient, or random: graphs drawn from the gradient's spaces
    time_limit: float = 60.0  # seconds for a fit
    jobs: int = field(default_factory=lambda: os.cpu_count() or 1)  # processes at a time, of one thread each
    out: Path | None = None  # run folder to make; by default runs/bench-equations-<date>-<time>
    resume: Path | None = None  # go on with the run in this folder; all other settings are read from there

    def __post_init__(self) -> None:
        if self.limit is not None:
            whole("limit", self.limit, 1)
        if not self.noise or len(set(self.noise)) < len(self.noise):
            raise ValueError(f"noise: takes one number or several different ones, got {self.noise}.")
        for level in self.noise:
            within("noise", level, (0, 1))
        whole("rows", self.rows, 8)
        whole("trials", self.trials, 1)
        whole("seed", self.seed, 0)
        one_of("strategy", self.strategy, STRATEGIES)
        above("time_limit", self.time_limit, 0)
        whole("jobs", self.jobs, 1)


@dataclass(frozen=True)
class Trial:
    """One problem at one level of noise with one seed."""

    problem: Problem
    noise: float
    seed: int

    @property
    def key(self) -> tuple[str, float, int]:
        """What tells it from the others of a run."""
        return self.problem.name, self.noise, self.seed

    def data(self, rows: int) -> Split:
        """Points and targets that train, the targets with noise, then those that test, without.

        Points and the direction of the noise depend on the problem and the seed, not on its level. A problem with a
        distribution of its own for the test points takes these from it.
        """
        generator = np.random.default_rng(derive(self.seed, COMMAND, self.problem.name))
        if self.problem.testing is None:
            points = generator.permutation(self.problem.sample(generator, rows))
            training, testing = np.split(points, [round(TRAINING_SHARE * len(points))])
        else:
            training = self.problem.sample(generator, round(TRAINING_SHARE * rows))
            testing = self.problem.sample(generator, rows - round(TRAINING_SHARE * rows), testing=True)
        targets = self.problem.evaluate(training)
        root_mean_square = math.sqrt(np.mean(np.square(targets)))
        noisy = targets + self.noise * root_mean_square * generator.standard_normal(len(targets))
        return training, noisy, testing, self.problem.evaluate(testing)


def darts_regressor(strategy: str, seed: int, time_limit: float) -> Estimator:
    """The estimator of this library."""
    from archgrad.estimators import DARTSRegressor  # here, because only the processes of the trials need it

    return DARTSRegressor(random_state=seed, time_limit=time_limit, strategy=strategy, rounds=None, n_jobs=1)


def solve(trial: Trial, settings: EquationBenchmarkSettings, make_estimator: MakeEstimator) -> TrialResult:
    """Fit one trial and judge the model, in this process.

    Raises:
        Exception: whatever the estimator raises.
    """
    training, noisy, testing, targets = trial.data(settings.rows)
    started = time.perf_counter()
    estimator = make_estimator(settings.strategy, trial.seed, settings.time_limit)
    estimator.fit(training, noisy)
    seconds = time.perf_counter() - started
    r2 = coefficient_of_determination(targets, np.asarray(estimator.predict(testing), dtype=np.float64).reshape(-1))
    symbols = {f"x{place}": sympy.Symbol(name) for place, name in enumerate(trial.problem.variables)}
    model = with_symbols(sympy.sympify(estimator.sympy()), symbols)
    verdict = judge(trial.problem.expression, model, trial.problem.ranges, seconds=CHECK_SECONDS)
    return TrialResult(
        *trial.key,
        strategy=settings.strategy,
        symbolic=verdict.solved,
        evidence=verdict.evidence,
        accurate=r2 is not None and r2 > ACCURATE,
        r2=r2,
        size=model_size(model),
        seconds=seconds,
        law=str(model),
    )


def coefficient_of_determination(targets: Targets, predicted: Targets) -> float | None:
    """R² of a prediction, None where it is not finite."""
    with np.errstate(all="ignore"):
        rest = np.sum(np.square(targets - predicted))
        r2 = float(1 - rest / np.sum(np.square(targets - np.mean(targets))))
    return r2 if math.isfinite(r2) else None


def run_equation_benchmark(
    settings: EquationBenchmarkSettings, make_estimator: MakeEstimator = darts_regressor
) -> list[TrialResult]:
    """Run all trials that the folder does not hold yet, and print and write the tables; returns all results.

    Ctrl-C leaves a folder that `resume` goes on with.

    Args:
        settings: what is asked for.
        make_estimator: of a module that can be imported, because the processes of the trials call it.

    Raises:
        ValueError: the list of problems cannot be read, the folder exists already, or a resumed run has other settings.
    """
    console = Console(highlight=False)
    settings = _stored(settings) if settings.resume is not None else settings
    trials = _trials(settings)
    path = settings.resume or settings.out or Path("runs") / f"bench-equations-{time.strftime('%Y%m%d-%H%M%S')}"
    folder = RunFolder(path, resume=settings.resume is not None)
    console.print(f"run folder: {folder.path}", markup=False)
    if settings.resume is None:
        write_json(folder.configuration_path, {"command": COMMAND, "settings": _plain(settings)})
    write_json(folder.path / "environment.json", environment())
    results_path = folder.path / "results.jsonl"
    done = {result.key: result for result in _read_results(results_path)}
    pending = [trial for trial in trials if trial.key not in done]
    work = partial(solve, settings=settings, make_estimator=make_estimator)
    limit = settings.time_limit + GRACE_SECONDS
    with closing(run_tasks(work, pending, jobs=settings.jobs, seconds=limit)) as outcomes:
        for outcome in outcomes:
            result = outcome.value or TrialResult(
                *outcome.task.key,
                strategy=settings.strategy,
                seconds=outcome.seconds,
                timed_out=outcome.killed,
                error=outcome.error,
            )
            _append(results_path, result)
            done[result.key] = result
            console.print(f"{len(done)}/{len(trials)} {one_line(result)}", markup=False, soft_wrap=True)
    results = [done[trial.key] for trial in trials]
    write_atomically(folder.path / "table.md", markdown(results).encode())
    console.print(problem_table(results))
    console.print(summary_table(results))
    console.print(f"tables: {folder.path / 'table.md'}", markup=False)
    return results


def _trials(settings: EquationBenchmarkSettings) -> list[Trial]:
    """All trials, the levels of noise and the seeds of a problem side by side."""
    problems = read_problems(settings.problems.expanduser(), settings.names, limit=settings.limit)
    seeds = range(settings.seed, settings.seed + settings.trials)
    return [Trial(problem, noise, seed) for problem in problems for noise in settings.noise for seed in seeds]


def _plain(settings: EquationBenchmarkSettings) -> dict[str, Any]:
    """The settings that a resumed run keeps, as JSON gives them back."""
    kept = {name: value for name, value in asdict(settings).items() if name not in UNSTORED}
    return json.loads(json.dumps(kept, default=str))


def _stored(settings: EquationBenchmarkSettings) -> EquationBenchmarkSettings:
    """The settings that began the run in `settings.resume`; what is given beside it must agree with them."""
    assert settings.resume is not None
    path = settings.resume.expanduser() / "config.json"
    if not path.is_file():
        raise ValueError(f"resume: {settings.resume} is not a run folder, it has no config.json.")
    configuration = read_json(path)
    if not isinstance(configuration, Mapping) or configuration.get("command") != COMMAND:
        raise ValueError(f"resume: {settings.resume} holds no {COMMAND!r} run.")
    stored, given, default = configuration["settings"], _plain(settings), _plain(EquationBenchmarkSettings())
    if set(stored) != set(given):
        raise ValueError(f"resume: the run in {settings.resume} was made by another version, with other settings.")
    for name, value in given.items():
        if value not in (default[name], stored[name]):
            raise ValueError(
                f"--{name.replace('_', '-')}: {value} was given, but the run in {settings.resume} has {stored[name]}; "
                "a resumed run keeps its settings."
            )
    tuples = {name: tuple(value) for name, value in stored.items() if isinstance(value, list)}
    return replace(settings, **{**stored, **tuples, "problems": Path(stored["problems"])})


def _read_results(path: Path) -> list[TrialResult]:
    """The results of a folder; what a process left half written at the end is cut off.

    Raises:
        ValueError: a line is no result.
    """
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8")
    whole_lines = text[: text.rfind("\n") + 1]
    if whole_lines != text:
        write_atomically(path, whole_lines.encode())
    try:
        return [TrialResult(**json.loads(line)) for line in whole_lines.splitlines()]
    except (TypeError, ValueError) as error:
        raise ValueError(f"resume: {path} holds a line that is no result ({error}).") from error


def _append(path: Path, result: TrialResult) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(result), ensure_ascii=False) + "\n")
