"""Candidates × steps per second: a search of many restarts in one tensor, against a loop of searches of one.

    OMP_NUM_THREADS=1 python benchmarks/ensemble.py

Both are steps of the same driver in the same run, in turns: an update of the logits and one of the weights each.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch

from archgrad import Searcher, SearchSettings
from archgrad.data.tables import TableStream
from archgrad.methods import by_name
from archgrad.spaces.expression import ExpressionSpace
from archgrad.tasks import Regression

PRIMITIVES = ("none", "add", "subtract", "mult", "linear", "linear_logistic", "linear_relu", "linear_exp")


def stepper(restarts: int, *, columns: int, nodes: int, rows: int) -> Callable[[], object]:
    """A function that takes one step of a search with so many restarts."""
    scale = torch.randn(rows, columns, generator=torch.Generator().manual_seed(0))
    target = scale[:, 0] + torch.exp(0.5 * scale[:, -1])
    space = ExpressionSpace(columns=columns, nodes=nodes, primitives=PRIMITIVES, restarts=restarts)
    settings = SearchSettings(epochs=1_000_000, batch_size=rows)
    method, task = by_name("darts-first-order"), Regression()
    searcher = Searcher(space, steps_per_epoch=1, method=method, settings=settings, task=task, device="cpu")
    state = searcher.init(seed=0)
    batch = next(TableStream(scale, target, batch_size=rows, seed=0, purpose="benchmark").batches())
    return lambda: searcher.step(state, batch, batch)


def seconds(step: Callable[[], object], steps: int) -> float:
    """The time of one step, on average."""
    started = time.perf_counter()
    for _ in range(steps):
        step()
    return (time.perf_counter() - started) / steps


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--restarts", type=int, nargs="+", default=[64, 256, 512])
    parser.add_argument("--columns", type=int, default=3)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args(arguments)
    sizes = [1, *options.restarts]
    shape = {"columns": options.columns, "nodes": options.nodes, "rows": options.rows}
    steps = {restarts: stepper(restarts, **shape) for restarts in sizes}
    for step in steps.values():
        seconds(step, 3)
    times = {restarts: [] for restarts in sizes}
    for _ in range(options.rounds):
        for restarts, step in steps.items():
            times[restarts].append(seconds(step, options.steps))
    threads = torch.get_num_threads()
    print(f"{shape}, {len(PRIMITIVES)} primitives, {threads} threads, medians of {options.rounds} rounds")
    print(f"{'restarts':>8} {'ms per step':>12} {'candidates × steps / s':>24} {'against a loop':>15}")
    alone = 1 / statistics.median(times[1])
    for restarts in sizes:
        rate = restarts / statistics.median(times[restarts])
        print(f"{restarts:>8} {1e3 * restarts / rate:>12.2f} {rate:>24,.0f} {rate / alone:>14.1f}×")


if __name__ == "__main__":
    main()
