"""The commands: a dataclass each, whose fields are the options and whose `__call__` does the work."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from archgrad import methods, recipes
from archgrad.bench import BenchmarkSettings, EquationBenchmarkSettings, run_benchmark, run_equation_benchmark
from archgrad.cli.equation import Equation
from archgrad.cli.options import DataOptions, RunOptions, SpaceOptions, prepared, read_genotype, stored_data
from archgrad.data import Augmentation
from archgrad.equations import EQUATIONS, draw_found
from archgrad.experiment import compare_with_random, recorded_search, recorded_training
from archgrad.recipes import Recipe
from archgrad.report import draw_genotype, save_figure
from archgrad.runs import load_network
from archgrad.settings import SearchSettings
from archgrad.training import evaluate

Flat = tyro.conf.arg(name="")  # a group of options whose names get no prefix
MethodName = Annotated[str, tyro.conf.arg(help=f"one of {', '.join(methods.METHODS)}")]

if TYPE_CHECKING:
    RecipeChoice = Recipe
else:
    RecipeChoice = Annotated[
        tyro.extras.subcommand_type_from_defaults(
            {name: make() for name, make in recipes.RECIPES.items()},
            {name: make.__doc__.splitlines()[0] for name, make in recipes.RECIPES.items()},
            prefix_names=False,
        ),
        Flat,
    ]


def show_table(rows: list[tuple[str, str]]) -> None:
    """Print pairs of name and value."""
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {value}")


@dataclass(frozen=True, kw_only=True)
class Search:
    """Search for convolutional cells: decode a genotype, keep everything in a run folder."""

    method: MethodName = "darts-second-order"
    data: Annotated[DataOptions, Flat] = field(default_factory=DataOptions)
    space: Annotated[SpaceOptions, Flat] = field(default_factory=SpaceOptions)
    settings: Annotated[SearchSettings, Flat] = field(default_factory=SearchSettings)
    run: Annotated[RunOptions, Flat] = field(default_factory=RunOptions)

    def __call__(self) -> None:
        command, surroundings = prepared(self, "search")
        method = methods.by_name(command.method)
        data = command.data.load(command.run.seed)
        space = command.space.space(data)
        result = recorded_search(space, data, surroundings, method=method, settings=command.settings)
        print(result.genotype)
        show_table([("search seconds", f"{result.seconds:.1f}"), ("report", str(surroundings.path / "report.html"))])


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train the network of a genotype from scratch. The recipe is named last and has options of its own."""

    genotype: str = "DARTS_V2"  # DARTS_V1, DARTS_V2, NASNET, AMOEBANET, a JSON file, or the run folder of a search
    channels: int = 36  # channels of the first cells
    layers: int = 20  # number of cells
    stem: str = SpaceOptions.stem  # cifar, or imagenet (divides the size by 8 before the first cell)
    auxiliary: bool = False  # add a second classifier at two thirds of the depth, in training only
    data: Annotated[DataOptions, Flat] = field(default_factory=DataOptions)
    run: Annotated[RunOptions, Flat] = field(default_factory=RunOptions)
    recipe: RecipeChoice = field(default_factory=recipes.digits)

    def __call__(self) -> None:
        command, surroundings = prepared(self, "train")
        genotype = read_genotype(command.genotype)
        data = command.data.load(command.run.seed)
        space = SpaceOptions(stem=command.stem).space(data)
        score = recorded_training(
            space,
            genotype,
            data,
            surroundings,
            recipe=command.recipe,
            channels=command.channels,
            layers=command.layers,
            auxiliary=command.auxiliary,
        )
        show_table(
            [
                ("test accuracy", f"{score.accuracy:.2%}"),
                ("test loss", f"{score.loss:.4f}"),
                ("parameters", f"{score.parameters:,}"),
                ("train seconds", f"{score.seconds:.1f}"),
                ("report", str(surroundings.path / "report.html")),
            ]
        )


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Evaluate a trained network, on the test images that its training set aside or on others."""

    network: tyro.conf.Positional[Path]  # run folder of a training
    data: str | None = None  # other data, digits or a path as in train; by default the training's own, split alike
    image_size: int | None = None  # resize the other data to this height and width
    batch_size: int = 256  # images per step; the result does not depend on it
    device: str = RunOptions.device  # auto, cpu, cuda, cuda:1, …

    def __call__(self) -> None:
        saved = load_network(self.network)
        options, seed = stored_data(self.network)
        if self.data is not None:
            options = DataOptions(data=self.data, image_size=self.image_size)
        test = options.load(seed).test
        if test.classes != saved.classes:
            raise ValueError(f"data: has the classes {test.classes}, but the network was trained on {saved.classes}.")
        metrics = evaluate(
            saved.network, test, batch_size=self.batch_size, augmentation=saved.augmentation, device=self.device
        )
        show_table(
            [
                ("test accuracy", f"{metrics['accuracy']:.2%}"),
                ("test loss", f"{metrics['loss']:.4f}"),
                ("test images", f"{len(test):,}"),
            ]
        )


@dataclass(frozen=True, kw_only=True)
class Show:
    """Print a genotype and draw its cells, or the graph of an equation."""

    genotype: tyro.conf.Positional[str]  # DARTS_V1, DARTS_V2, NASNET, AMOEBANET, a JSON file, or a run folder
    out: Path | None = None  # picture to write, .png or .svg; without it the genotype is printed only
    json: bool = False  # print JSON instead of text

    def __call__(self) -> None:
        genotype = read_genotype(self.genotype)
        if self.out is not None:
            equations = Path(self.genotype).expanduser() / EQUATIONS
            figure = draw_found(equations.parent) if equations.is_file() else draw_genotype(genotype)
            save_figure(figure, self.out)
        print(genotype.to_json() if self.json else genotype)


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Search, decode, train from scratch, compare with random cells of the same size and budget, and report.

    The defaults run on scikit-learn's digits in a few minutes on two cores; other data take other settings.
    """

    method: MethodName = "darts-second-order"
    random_cells: int = 5  # random cells to compare with
    train_channels: int = 16  # channels of the networks that are trained
    train_layers: int = 5  # cells of the networks that are trained
    data: Annotated[DataOptions, Flat] = field(default_factory=DataOptions)
    space: Annotated[SpaceOptions, Flat] = field(default_factory=lambda: SpaceOptions(channels=8, layers=5))
    search: SearchSettings = field(
        default_factory=lambda: SearchSettings(
            epochs=10, logits_learning_rate=1e-2, augmentation=Augmentation(crop_padding=1, flip=False)
        )
    )
    recipe: Recipe = field(default_factory=recipes.digits)
    run: Annotated[RunOptions, Flat] = field(default_factory=RunOptions)

    def __call__(self) -> None:
        command, surroundings = prepared(self, "demo")
        method = methods.by_name(command.method)
        data = command.data.load(command.run.seed)
        comparison = compare_with_random(
            command.space.space(data),
            data,
            surroundings,
            method=method,
            settings=command.search,
            recipe=command.recipe,
            channels=command.train_channels,
            layers=command.train_layers,
            random_cells=command.random_cells,
        )
        show_table(comparison.table())


@dataclass(frozen=True, kw_only=True)
class BenchSteps:
    """Measure seconds per step and peak memory of the supernet against the plain per-edge evaluation."""

    settings: Annotated[BenchmarkSettings, Flat] = field(default_factory=BenchmarkSettings)

    def __call__(self) -> None:
        run_benchmark(self.settings)


@dataclass(frozen=True, kw_only=True)
class BenchEquations:
    """Count which known equations are found from points alone, by SRBench's protocol, with their time and size."""

    settings: Annotated[EquationBenchmarkSettings, Flat] = field(default_factory=EquationBenchmarkSettings)

    def __call__(self) -> None:
        run_equation_benchmark(self.settings)


if TYPE_CHECKING:
    BenchChoice = BenchSteps | BenchEquations
else:
    BenchChoice = Annotated[
        Annotated[BenchSteps, tyro.conf.subcommand("steps")]
        | Annotated[BenchEquations, tyro.conf.subcommand("equations")],
        Flat,
    ]


@tyro.conf.configure(tyro.conf.CascadeSubcommandArgs)  # the options of the default need no `steps` before them
@dataclass(frozen=True, kw_only=True)
class Bench:
    """Measure the cost of the supernet's steps, or with `equations` which known equations are found."""

    what: BenchChoice = field(default_factory=BenchSteps)

    def __call__(self) -> None:
        self.what()


COMMANDS = {
    "search": Search,
    "train": Train,
    "evaluate": Evaluate,
    "show": Show,
    "demo": Demo,
    "equation": Equation,
    "bench": Bench,
}
