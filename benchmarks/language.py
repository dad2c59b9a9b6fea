"""The comparison of `archgrad demo recurrent` over seeds: found cells, random cells and LSTMs, side by side.

    python benchmarks/language.py --seeds 0 1 2 --out runs/language [options of `archgrad demo recurrent`]

Two seeds at a time with one thread each; the networks are too small for more.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from archgrad.runs import read_json

JOBS = 2


def run(seed: int, out: Path, options: list[str]) -> Path:
    """Carry one comparison out in a process of its own."""
    path = out / f"seed_{seed}"
    command = [
        sys.executable,
        "-m",
        "archgrad",
        "demo",
        "recurrent",
        "--seed",
        str(seed),
        "--out",
        str(path),
        "--quiet",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
    with (out / f"seed_{seed}.log").open("w") as log:
        subprocess.run([*command, *options], env=environment, stdout=log, stderr=subprocess.STDOUT, check=True)
    return path


def perplexities(path: Path) -> dict[str, float]:
    """The test perplexity of each network of a comparison, from its evaluation."""
    scores = sorted(path.glob("*/score.json"))
    return {score.parent.name: read_json(score)["test_perplexity"] for score in scores}


def main() -> None:
    """Run all seeds and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/language"))
    arguments, options = parser.parse_known_args()
    arguments.out.mkdir(parents=True)
    started = time.perf_counter()
    with ThreadPoolExecutor(JOBS) as pool:
        paths = list(pool.map(lambda seed: run(seed, arguments.out, options), arguments.seeds))
    print("| seed | found | random, mean ± std | random, best | LSTM |\n|---|---|---|---|---|")
    for seed, path in zip(arguments.seeds, paths, strict=True):
        scores = perplexities(path)
        random = [score for name, score in scores.items() if name.startswith("random")]
        spread = statistics.stdev(random) if len(random) > 1 else 0.0
        print(
            f"| {seed} | {scores['found']:.2f} | {statistics.mean(random):.2f} ± {spread:.2f} "
            f"| {min(random):.2f} | {scores['LSTM']:.2f} |"
        )
    print(json.dumps({"seconds": round(time.perf_counter() - started, 1), "options": options}))


if __name__ == "__main__":
    main()
