"""What comparisons over seeds share: a demo for each seed in a process of its own, two at a time, and the scores."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from archgrad.runs import read_json

JOBS = 2


def run(kind: str, seed: int, out: Path, options: list[str]) -> Path:
    """Carry out `archgrad demo <kind>` in a process of its own; the networks are too small for more than a thread."""
    path = out / f"seed_{seed}"
    command = [sys.executable, "-m", "archgrad", "demo", kind, "--seed", str(seed), "--out", str(path), "--quiet"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
    with (out / f"seed_{seed}.log").open("w") as log:
        subprocess.run([*command, *options], env=environment, stdout=log, stderr=subprocess.STDOUT, check=True)
    return path


def scores(path: Path, measure: str) -> dict[str, float]:
    """A measure of each network of a comparison, from its evaluation."""
    return {score.parent.name: read_json(score)[measure] for score in sorted(path.glob("*/score.json"))}


def spread(values: list[float], form: str) -> str:
    """Mean ± standard deviation."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):{form}} ± {deviation:{form}}"


def compare(kind: str, measure: str, *, header: str, row: Callable[[dict[str, float]], str], description: str) -> None:
    """Run all seeds that the command line asks for and print a row of a table for each."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs") / kind)
    arguments, options = parser.parse_known_args()
    arguments.out.mkdir(parents=True)
    started = time.perf_counter()
    with ThreadPoolExecutor(JOBS) as pool:
        paths = list(pool.map(lambda seed: run(kind, seed, arguments.out, options), arguments.seeds))
    print(header)
    for seed, path in zip(arguments.seeds, paths, strict=True):
        print(f"| {seed} | {row(scores(path, measure))} |")
    print(json.dumps({"seconds": round(time.perf_counter() - started, 1), "options": options}))
