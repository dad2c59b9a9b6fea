"""The commands for NAS-Bench-201, `archgrad search | train nasbench201`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from archgrad import methods, recipes
from archgrad.cli.options import (
    DataOptions,
    Flat,
    MethodName,
    RunOptions,
    prepared,
    read_genotype,
    recipe_choice,
    show_score,
    show_table,
)
from archgrad.data import Loaded
from archgrad.experiment import recorded_search, recorded_training
from archgrad.genotype import NASBENCH201, Genotype
from archgrad.recipes import Recipe
from archgrad.settings import SearchSettings
from archgrad.spaces import NASBench201Space
from archgrad.spaces.nasbench201 import arch_string
from archgrad.tabular import NASBench201Table

if TYPE_CHECKING:
    RecipeChoice = Recipe
else:
    RecipeChoice = recipe_choice(recipes.RECIPES)


def _space(data: Loaded, *, channels: int, cells: int) -> NASBench201Space:
    return NASBench201Space(
        channels=channels, cells=cells, num_classes=data.train.num_classes, in_channels=data.train.shape[0]
    )


@dataclass(frozen=True, kw_only=True)
class SearchNASBench201:
    """Search in the space of NAS-Bench-201; with the user's copy of its table, say how good the found cell is."""

    method: MethodName = "darts-first-order"
    channels: int = NASBench201Space.channels  # channels of the first cells
    cells: int = NASBench201Space.cells  # cells between two residual blocks (5 in the benchmark)
    table: Path | None = None  # copy of the benchmark's table, see docs/methods.md: accuracy and rank of the cell
    data: Annotated[DataOptions, Flat] = field(default_factory=DataOptions)
    settings: Annotated[SearchSettings, Flat] = field(default_factory=SearchSettings)
    run: Annotated[RunOptions, Flat] = field(default_factory=RunOptions)

    def __call__(self) -> None:
        command, surroundings = prepared(self, "search nasbench201")
        table = None if command.table is None else NASBench201Table.load(command.table)  # before the search
        method = methods.by_name(command.method)
        data = command.data.load(command.run.seed)
        space = _space(data, channels=command.channels, cells=command.cells)
        result = recorded_search(space, data, surroundings, method=method, settings=command.settings)
        print(arch_string(result.genotype))
        rows = [("search seconds", f"{result.seconds:.1f}"), ("report", str(surroundings.path / "report.html"))]
        show_table([*(_standing(table, result.genotype) if table is not None else []), *rows])


def _standing(table: NASBench201Table, genotype: Genotype) -> list[tuple[str, str]]:
    """What the table says of a genotype."""
    return [
        ("CIFAR-10 test accuracy in the table", f"{table.accuracy(genotype):.2f} %"),
        ("rank in the table", f"{table.rank(genotype):,} of {len(table):,}"),
        ("best in the table", f"{table.optimum().accuracy:.2f} %"),
    ]


@dataclass(frozen=True, kw_only=True)
class TrainNASBench201:
    """Train the network of a NAS-Bench-201 cell from scratch. The recipe is named last and has options of its own."""

    genotype: str  # |nor_conv_3x3~0|+|…|+|…|, a JSON file, or the run folder of a search
    channels: int = NASBench201Space.channels  # channels of the first cells
    cells: int = NASBench201Space.cells  # cells between two residual blocks
    data: Annotated[DataOptions, Flat] = field(default_factory=DataOptions)
    run: Annotated[RunOptions, Flat] = field(default_factory=RunOptions)
    recipe: RecipeChoice = field(default_factory=recipes.digits)

    def __call__(self) -> None:
        command, surroundings = prepared(self, "train nasbench201")
        genotype = read_genotype(command.genotype, NASBENCH201)
        data = command.data.load(command.run.seed)
        score = recorded_training(
            _space(data, channels=command.channels, cells=command.cells),
            genotype,
            data,
            surroundings,
            recipe=command.recipe,
            size={"channels": command.channels, "cells": command.cells},
        )
        show_score(score, surroundings)
