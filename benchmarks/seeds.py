"""`archgrad demo` on several seeds, one row each: does the search beat random cells, and by how much?

python benchmarks/seeds.py --seeds 0 1 2 [options of archgrad demo]
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from archgrad.cli import main as archgrad


def accuracies(folder: Path) -> list[float]:
    """The test accuracy of the found network and then those of the random cells."""
    networks = [folder / "found", *sorted(folder.glob("random_*"))]
    return [json.loads((path / "metrics.jsonl").read_text().splitlines()[-1])["test_accuracy"] for path in networks]


def main() -> None:
    """Run the demo on each seed and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=None)
    arguments, others = parser.parse_known_args()
    out = arguments.out or Path(tempfile.mkdtemp())
    rows = []
    for seed in arguments.seeds:
        folder = out / f"seed_{seed}"
        archgrad(["demo", "--seed", str(seed), "--out", str(folder), "--quiet", *others])
        found, *random_cells = accuracies(folder)
        rows.append((seed, found, statistics.mean(random_cells), statistics.stdev(random_cells), max(random_cells)))
    print("| seed | found | random, mean ± std | random, best |\n|---|---|---|---|")
    for seed, found, mean, spread, best in rows:
        print(f"| {seed} | {found:.2%} | {mean:.2%} ± {spread:.2%} | {best:.2%} |")
    print(f"\nrun folders: {out}")


if __name__ == "__main__":
    main()
