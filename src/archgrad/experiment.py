"""Whole jobs that leave a run folder behind: a search, a training, and both with their baseline and a report."""

import statistics
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from archgrad.baselines import random_genotypes_of_size
from archgrad.bilevel import SearchResult
from archgrad.costs import CostPenalty, CostTable
from archgrad.data import Loaded
from archgrad.devices import drawn_from
from archgrad.genotype import Genotype
from archgrad.image_search import search
from archgrad.methods import Method, stage_space
from archgrad.recipes import Recipe
from archgrad.runs import CHECKPOINT_SECONDS, Recorder, RunFolder, environment, progress, save_network, write_json
from archgrad.seeding import derive
from archgrad.settings import SearchSettings
from archgrad.spaces import ConvCellSpace
from archgrad.spaces.space import ImageSpace
from archgrad.summary import ComparisonRow, report_comparison, report_search, report_training
from archgrad.training import Score, train


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What surrounds a job: where it writes, what it is shown as, where it runs.

    `configuration` is stored with the run, and its checkpoint belongs to it. With `resume` the job goes on where its
    folder's checkpoint ends.
    """

    path: Path
    configuration: Mapping[str, Any]
    seed: int = 0
    device: str = "auto"
    quiet: bool = False
    resume: bool = False
    checkpoint_seconds: float = CHECKPOINT_SECONDS

    def part(self, name: str, seed: int) -> "Surroundings":
        """Those of a part of the job, in a folder of its own below, which is resumed once it has a configuration."""
        path = self.path / name
        configuration = {**self.configuration, "part": name}
        begun = (path / "config.json").is_file()
        return replace(self, path=path, configuration=configuration, seed=seed, resume=self.resume and begun)

    def opened(self) -> RunFolder:
        """The folder of a job of several parts, with its configuration written."""
        folder = RunFolder(self.path, resume=self.resume)
        write_json(folder.configuration_path, dict(self.configuration))
        write_json(folder.path / "environment.json", environment())
        return folder

    def initialisation(self) -> AbstractContextManager[None]:
        """Weights that are made in here follow from the seed, and torch's own generator stays as it was."""
        return drawn_from(derive(self.seed, "network weights"))

    def recorder(self, genotype: Genotype | None = None) -> Recorder:
        """The callback that keeps the job's folder, with the genotype that it is about."""
        return Recorder(
            self.path,
            configuration=self.configuration,
            genotype=genotype,
            resume=self.resume,
            checkpoint_seconds=self.checkpoint_seconds,
        )


COST_TABLE = "costs.json"
"""The file in a run folder that keeps the table of a cost-aware search."""


def cost_tables(method: Method) -> list[CostTable]:
    """The tables of a method's cost penalties."""
    return [penalty.table for penalty in method.penalties if isinstance(penalty, CostPenalty)]


def recorded_search(
    space: ImageSpace, data: Loaded, surroundings: Surroundings, *, method: Method, settings: SearchSettings
) -> SearchResult:
    """Search on the training data, half and half, and leave genotypes, metrics, pictures and a report in the folder."""
    recorder = surroundings.recorder()
    for table in cost_tables(method):  # a measured one is part of what the search was asked for
        table.save(recorder.folder.path / COST_TABLE)
    result = search(
        space,
        train=data.train,
        method=method,
        settings=settings,
        seed=surroundings.seed,
        callbacks=[recorder, progress("search", quiet=surroundings.quiet)],
        device=surroundings.device,
    )
    recorder.folder.write_genotype(result.genotype)  # which a selection or a stopping rule may have found
    report_search(
        recorder.folder,
        stage_space(method, space, 0, {}).groups,  # those of the first stage, before any candidate was dropped
        result.history,
        genotype=result.genotype,
        stopped_at=result.stopped_at,
    )
    return result


def recorded_training(
    space: ImageSpace,
    genotype: Genotype,
    data: Loaded,
    surroundings: Surroundings,
    *,
    recipe: Recipe,
    size: Mapping[str, Any],
    title: str = "train",
) -> Score:
    """Train the network of a genotype from scratch and leave it, its metrics and a report in the folder.

    `size` are the arguments of `space.network` beside the genotype.
    """
    ends: dict[str, Any] = {"num_classes": space.num_classes, "in_channels": space.in_channels}
    if isinstance(space, ConvCellSpace):
        ends["stem"] = space.stem
    with surroundings.initialisation():
        network = space.network(genotype, **size)
    recorder = surroundings.recorder(genotype)
    score = train(
        network,
        train=data.train,
        test=data.test,
        recipe=recipe,
        seed=surroundings.seed,
        callbacks=[recorder, progress(title, quiet=surroundings.quiet)],
        device=surroundings.device,
    )
    save_network(
        recorder.folder,
        score.network,  # pyright: ignore[reportArgumentType]  the network made above, or the average of its weights
        genotype,
        size={**ends, **size},
        augmentation=score.augmentation,
        classes=data.train.classes,
    )
    report_training(recorder.folder, score, genotype=genotype)
    return score


@dataclass(frozen=True)
class Comparison:
    """A found network beside random ones of its size: one row each, the found one first."""

    rows: list[ComparisonRow]
    search_seconds: float
    report: Path

    @property
    def found(self) -> ComparisonRow:
        """The network of the genotype that the search found."""
        return self.rows[0]

    @property
    def random_accuracies(self) -> list[float]:
        """The test accuracies of the random cells."""
        return [row.accuracy for row in self.rows[1:]]

    def table(self) -> list[tuple[str, str]]:
        """The result as pairs of name and value."""
        accuracies = self.random_accuracies
        spread = statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0
        seconds = [row.seconds for row in self.rows]
        return [
            ("test accuracy of the found network", f"{self.found.accuracy:.2%}"),
            (f"random cells ({len(accuracies)}), mean ± std", f"{statistics.mean(accuracies):.2%} ± {spread:.2%}"),
            ("random cells, best", f"{max(accuracies):.2%}"),
            ("parameters of the found network", f"{self.found.parameters:,}"),
            (
                "parameters of the random cells",
                f"{min(row.parameters for row in self.rows[1:]):,} to {max(row.parameters for row in self.rows[1:]):,}",
            ),
            ("search seconds", f"{self.search_seconds:.1f}"),
            ("train seconds (found; random, mean)", f"{seconds[0]:.1f}; {statistics.mean(seconds[1:]):.1f}"),
            ("report", str(self.report)),
        ]


def compare_with_random(
    space: ConvCellSpace,
    data: Loaded,
    surroundings: Surroundings,
    *,
    method: Method,
    settings: SearchSettings,
    recipe: Recipe,
    channels: int,
    layers: int,
    random_cells: int = 5,
) -> Comparison:
    """Search, decode, train the found network and `random_cells` random ones of its size by the same recipe; report.

    Every network has its own initialisation and order of the data, derived from the seed. A resumed job goes on with
    the part that it was in.
    """
    folder, part = surroundings.opened(), surroundings.part
    result = recorded_search(space, data, part("search", surroundings.seed), method=method, settings=settings)
    folder.write_genotype(result.genotype)
    rivals = random_genotypes_of_size(
        space, random_cells, like=result.genotype, channels=channels, layers=layers, seed=surroundings.seed
    )
    rows = []
    for index, genotype in enumerate([result.genotype, *rivals]):
        name = f"random_{index}" if index else "found"
        score = recorded_training(
            space,
            genotype,
            data,
            part(name, derive(surroundings.seed, "training", index) % 2**31),
            recipe=recipe,
            size={"channels": channels, "layers": layers},
            title=name,
        )
        assert score.accuracy is not None
        rows.append(ComparisonRow(name, genotype, score.accuracy, parameters=score.parameters, seconds=score.seconds))
    comparison = Comparison(rows, result.seconds, folder.path / "report.html")
    report_comparison(
        folder,
        rows,
        comparison.table(),
        groups=stage_space(method, space, 0, {}).groups,
        history=result.history,
        stopped_at=result.stopped_at,
    )
    return comparison
