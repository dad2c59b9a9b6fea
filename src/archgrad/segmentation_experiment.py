"""Whole jobs of dense prediction that leave a run folder behind: search, training, and both beside other paths."""

import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from archgrad.bilevel import SearchResult
from archgrad.checks import whole
from archgrad.data.segmentation import LoadedSegmentation, SegmentationData
from archgrad.devices import resolve_device
from archgrad.experiment import Surroundings
from archgrad.genotype import Genotype
from archgrad.memory import GIBIBYTE, require_memory
from archgrad.methods import Method
from archgrad.recipes import DenseRecipe
from archgrad.runs import progress, save_segmentation_network, write_json
from archgrad.seeding import derive
from archgrad.segmentation import SegmentationScore, plan_search, predict, train, training_bytes
from archgrad.segmentation.memory import LOWER, require_room
from archgrad.segmentation_summary import (
    SHOWN,
    SegmentationRow,
    report_segmentation_comparison,
    report_segmentation_search,
    report_segmentation_training,
)
from archgrad.settings import SegmentationSearchSettings
from archgrad.spaces import TrellisSpace
from archgrad.spaces.trellis.plan import PATHS, resampled


@dataclass(frozen=True, kw_only=True)
class NetworkSize:
    """How large a derived network is; the defaults are Auto-DeepLab-S."""

    filters: int = 20  # channels of a block at stride 4, doubled with each level
    stem_channels: int = 64  # channels at stride 2; twice as many at stride 4
    head_channels: int = 256  # filters of each branch of the pyramid, and of the decoder
    low_level_channels: int = 48  # what the features of stride 4 are projected to in the decoder

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            whole(name, value, 1)


def recorded_segmentation_search(
    space: TrellisSpace,
    data: SegmentationData,
    surroundings: Surroundings,
    *,
    method: Method,
    settings: SegmentationSearchSettings,
) -> SearchResult:
    """Search cell and path, and leave genotypes, metrics, pictures and a report in the folder."""
    planned = plan_search(
        space, data=data, method=method, settings=settings, seed=surroundings.seed, device=surroundings.device
    )
    _announce("search", planned.estimated_bytes, settings)
    recorder = surroundings.recorder()
    result = planned.run(callbacks=[recorder, progress("search", quiet=surroundings.quiet)])
    paths = [{"path": list(path.states), "probability": path.probability} for path in space.paths(result.mixture, 10)]
    write_json(recorder.folder.path / "paths.json", paths)
    recorder.folder.write_genotype(result.genotype)  # which a stopping rule may have found
    report_segmentation_search(recorder.folder, space, result.history, genotype=result.genotype)
    return result


def recorded_segmentation_training(
    space: TrellisSpace,
    genotype: Genotype,
    data: LoadedSegmentation,
    surroundings: Surroundings,
    *,
    recipe: DenseRecipe,
    size: NetworkSize,
    title: str = "train",
) -> SegmentationScore:
    """Train the network of a genotype from scratch; leave it, its metrics, predictions and a report in the folder."""
    device = resolve_device(surroundings.device)
    require_room(lambda: space.network(genotype, **asdict(size)), device)
    with surroundings.initialisation():
        network = space.network(genotype, **asdict(size))
    crop = recipe.augmentation.crop or (data.train.shape[1], data.train.shape[2])
    estimate = training_bytes(network, recipe=recipe, channels=space.in_channels, size=crop, device=device)
    _announce(title, estimate, recipe)
    require_memory(estimate, device, lower=LOWER)
    recorder = surroundings.recorder(genotype)
    score = train(
        network,
        data=data.train,
        test=data.test,
        recipe=recipe,
        seed=surroundings.seed,
        callbacks=[recorder, progress(title, quiet=surroundings.quiet)],
        device=surroundings.device,
    )
    assert score.confusion is not None
    labels = {"classes": data.train.classes, "palette": data.train.palette, "ignore": data.train.ignore}
    built = {**asdict(size), "num_classes": space.num_classes, "in_channels": space.in_channels}
    save_segmentation_network(
        recorder.folder,
        score.network,  # pyright: ignore[reportArgumentType]  the network made above, or the average of its weights
        genotype,
        size=built,
        augmentation=score.augmentation,
        labels=labels,
    )
    write_json(recorder.folder.path / "score.json", {**score.confusion.as_dict(), "parameters": score.parameters})
    predictions = predict(
        score.network, data.test.images[:SHOWN], augmentation=score.augmentation, device=surroundings.device
    )
    report_segmentation_training(recorder.folder, score, genotype=genotype, test=data.test, predictions=predictions)
    return score


def _announce(title: str, estimate: int, chosen: SegmentationSearchSettings | DenseRecipe) -> None:
    print(f"{title}: needs about {estimate / GIBIBYTE:.2f} GiB at batch {chosen.batch_size}", flush=True)


@dataclass(frozen=True)
class PathComparison:
    """A found network beside known and random paths with the same cell: one row each, the found one first."""

    rows: list[SegmentationRow]
    search_seconds: float
    report: Path

    @property
    def random(self) -> list[SegmentationRow]:
        """The networks of random paths."""
        return [row for row in self.rows if row.name.startswith("random")]

    def table(self) -> list[tuple[str, str]]:
        """The result as pairs of name and value."""
        found, *others = self.rows
        random = [row.confusion.mean_iou for row in self.random]
        known = [row for row in others if row not in self.random]
        spread = statistics.stdev(random) if len(random) > 1 else 0.0
        return [
            ("mean IoU of the found network", f"{found.confusion.mean_iou:.2%}"),
            (f"random paths ({len(random)}), mean ± std", f"{statistics.mean(random):.2%} ± {spread:.2%}"),
            ("random paths, best", f"{max(random):.2%}"),
            *((f"path of {row.name}", f"{row.confusion.mean_iou:.2%}") for row in known),
            ("pixel accuracy of the found network", f"{found.confusion.accuracy:.2%}"),
            ("parameters of the found network", f"{found.parameters:,}"),
            (
                "parameters of the others",
                f"{min(row.parameters for row in others):,} to {max(row.parameters for row in others):,}",
            ),
            ("search seconds", f"{self.search_seconds:.1f}"),
            ("train seconds (found; others, mean)", self._seconds()),
            ("report", str(self.report)),
        ]

    def _seconds(self) -> str:
        found, *others = (row.seconds for row in self.rows)
        return f"{found:.1f}; {statistics.mean(others):.1f}"


def baselines(space: TrellisSpace, genotype: Genotype, *, random_paths: int, seed: int) -> Mapping[str, Genotype]:
    """The genotype's cell on the known paths, brought to the space's layers and strides, and on random paths.

    Reference: arXiv:1901.02985, Figure 2.

    Raises:
        ValueError: fewer than one random path.
    """
    whole("random_paths", random_paths, 1)
    drawn = np.random.default_rng(derive(seed, "random paths"))
    known = {name: resampled(path, layers=space.layers, levels=space.levels) for name, path in PATHS.items()}
    random = {f"random_{index}": space.trellis.random_path(drawn) for index in range(1, random_paths + 1)}
    return {name: replace(genotype, path=path) for name, path in {**known, **random}.items()}


def compare_paths(
    space: TrellisSpace,
    data: LoadedSegmentation,
    surroundings: Surroundings,
    *,
    method: Method,
    settings: SegmentationSearchSettings,
    recipe: DenseRecipe,
    size: NetworkSize,
    random_paths: int = 3,
) -> PathComparison:
    """Search, decode, and train by one recipe: the found network, and its cell on known and on random paths; report.

    Every network has its own initialisation and order of the data, derived from the seed. A resumed job goes on with
    the part that it was in.
    """
    whole("random_paths", random_paths, 1)  # now, and not when the search is done
    folder, part = surroundings.opened(), surroundings.part
    result = recorded_segmentation_search(
        space, data.train, part("search", surroundings.seed), method=method, settings=settings
    )
    folder.write_genotype(result.genotype)
    others = baselines(space, result.genotype, random_paths=random_paths, seed=surroundings.seed)
    rows = []
    for index, (name, genotype) in enumerate({"found": result.genotype, **others}.items()):
        own = part(name, derive(surroundings.seed, "training", index) % 2**31)
        score = recorded_segmentation_training(space, genotype, data, own, recipe=recipe, size=size, title=name)
        assert score.confusion is not None
        rows.append(
            SegmentationRow(name, genotype, score.confusion, parameters=score.parameters, seconds=score.seconds)
        )
    comparison = PathComparison(rows, result.seconds, folder.path / "report.html")
    report_segmentation_comparison(folder, rows, comparison.table(), space=space, history=result.history)
    return comparison
