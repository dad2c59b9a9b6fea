"""All methods on NAS-Bench-201 with real CIFAR-10 images, scored by the benchmark's table: honest figures.

A reduced macro that two cores can bear (C=8, one cell between two residual blocks), 1,000 images for the weights and
1,000 for the logits, resized to 16×16, batch 50; every method gets the same images, epochs and settings. The found
cell's test accuracy after 200 epochs and its rank among all 15,625 are read from the table; beside them stand random
search and regularised evolution, which see the table's validation accuracy after 12 epochs.

    python benchmarks/nasbench201.py [--methods NAME …] [--seeds 0 1 2] [--epochs 5] [--out runs/nasbench201]

What is there already in the output folder is not computed again; the table (`table.md`) and two pictures come there.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import archgrad as ag
from archgrad.baselines import by_table, random_search, regularised_evolution
from archgrad.methods import METHODS, Method, drnas, implicit_darts, p_darts
from archgrad.report import save_figure
from archgrad.report.methods import draw_method_table, draw_regret
from archgrad.spaces.nasbench201 import arch_string, parse
from archgrad.tabular.statistics import genotypes_of

IMAGES = 2000
BUDGET = 100
ADAPTED = {  # rows whose published sizes are those of DARTS' space, and one whose default takes too long here
    "implicit-darts": implicit_darts(iterations=3),
    "p-darts": p_darts(added_layers=(0, 0, 0), keep=(5, 4, 3)),
    "drnas-progressive": drnas(progressive=True, keep=3),
}


def main() -> None:
    """Search what is missing, two at a time, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS), metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("runs/nasbench201"))
    options = parser.parse_args()
    shared = Path(os.environ.get("ARCHGRAD_DATA", "../shared/data"))
    for folder in (shared / "cifar10", shared / "nasbench201"):
        if not folder.exists():
            sys.exit(f"{folder} is not there: set ARCHGRAD_DATA to the folder that holds cifar10/ and nasbench201/.")
    options.out.mkdir(parents=True, exist_ok=True)
    images = _images(shared / "cifar10", options.out / "images.npz")
    wanted = [(name, seed) for seed in options.seeds for name in options.methods]
    jobs = [(name, seed, options.epochs, str(images), str(options.out)) for name, seed in wanted]
    missing = [job for job in jobs if not _path(options.out, job[0], job[1]).exists()]
    with multiprocessing.get_context("spawn").Pool(2, maxtasksperchild=1) as pool:
        for name, seed, seconds in pool.imap_unordered(_search, missing):
            print(f"{name}, seed {seed}: {seconds:.0f} s", flush=True)
    _summarise(wanted, ag.tabular.NASBench201Table.load(shared / "nasbench201"), options.seeds, options.out)


def _images(source: Path, cache: Path) -> Path:
    """The images of all searches, read once: stratified, always the same."""
    if not cache.exists():
        train = ag.data.load(source, image_size=16, seed=0).limited(IMAGES, 10, seed=0).train
        np.savez(cache, images=train.images.numpy(), labels=train.labels.numpy())
    return cache


def _path(folder: Path, name: str, seed: int) -> Path:
    return folder / f"{name}-{seed}.json"


def _method(name: str) -> Method:
    return ADAPTED.get(name, METHODS[name])


def _search(job: tuple[str, int, int, str, str]) -> tuple[str, int, float]:
    """Search by one method with one seed, and write what was found."""
    name, seed, epochs, images, folder = job
    torch.set_num_threads(1)
    arrays = np.load(images)
    data = ag.data.ImageData(
        torch.from_numpy(arrays["images"]), torch.from_numpy(arrays["labels"]), tuple(map(str, range(10)))
    )
    space = ag.spaces.NASBench201Space(channels=8, cells=1)
    started = time.perf_counter()
    method = _method(name)
    result = ag.search(
        space,
        train=data,
        method=method,
        epochs=epochs,
        batch_size=50,
        logits_learning_rate=1e-2,
        seed=seed,
        device="cpu",
    )
    seconds = time.perf_counter() - started
    decoded = [arch_string(genotype) for genotype in genotypes_of(space, result.history, method.decoder)]
    found: dict[str, Any] = {"arch": arch_string(result.genotype), "epochs": decoded, "seconds": seconds}
    _path(Path(folder), name, seed).write_text(json.dumps(found))
    return name, seed, seconds


def _summarise(wanted: list[tuple[str, int]], table: Any, seeds: list[int], out: Path) -> None:
    """Write the table and the pictures."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, seed in wanted:
        found.setdefault(name, []).append(json.loads(_path(out, name, seed).read_text()))
    lines = ["| method | test accuracy by seed | mean ± std | rank by seed |", "|---|---|---|---|"]
    accuracies, regrets = {}, {}
    for name, runs in found.items():
        genotypes = [parse(run["arch"]) for run in runs]
        accuracies[name] = [table.accuracy(genotype) for genotype in genotypes]
        lines.append(_row(name, accuracies[name], [table.rank(genotype) for genotype in genotypes]))
        regrets[name] = [table.regret([parse(text) for text in run["epochs"]], of="current") for run in runs]
    for name, baseline in (("random search", random_search), ("regularised evolution", regularised_evolution)):
        space, evaluate = ag.spaces.NASBench201Space(), by_table(table)
        best = [baseline(space, evaluate, budget=BUDGET, seed=seed).best for seed in seeds]
        label = f"{name}, {BUDGET} evaluations"
        accuracies[label] = [table.accuracy(genotype) for genotype in best]
        lines.append(_row(label, accuracies[label], [table.rank(genotype) for genotype in best]))
    everything = table.random_distribution()
    lines += [
        "",
        f"One random cell: mean {everything.mean():.2f}, quartiles "
        f"{' / '.join(f'{value:.2f}' for value in np.percentile(everything, [25, 50, 75]))}, "
        f"best {everything.max():.2f}. Best of {BUDGET} by validation accuracy after 12 epochs, expected: "
        f"{table.expected_best(BUDGET, chosen_by=('validation', 12)):.2f}.",
    ]
    text = "\n".join(lines)
    (out / "table.md").write_text(text + "\n")
    save_figure(draw_method_table(accuracies, everything), out / "methods.png")
    save_figure(draw_regret(regrets, against="epochs"), out / "regret.png")
    print(text)


def _row(name: str, accuracies: list[float], ranks: list[int]) -> str:
    spread = statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0
    each = " / ".join(f"{value:.2f}" for value in accuracies)
    places = " / ".join(f"{rank:,}" for rank in ranks)
    return f"| {name} | {each} | {statistics.mean(accuracies):.2f} ± {spread:.2f} | {places} |"


if __name__ == "__main__":
    main()
