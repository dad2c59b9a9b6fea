"""The commands: a dataclass each, whose fields are the options and whose `__call__` does the work."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from archgrad import methods, recipes
from archgrad.bench import (
    BenchmarkSettings,
    EquationBenchmarkSettings,
    MethodBenchmarkSettings,
    RecurrentBenchmarkSettings,
    TrellisBenchmarkSettings,
    run_benchmark,
    run_equation_benchmark,
    run_method_benchmark,
    run_recurrent_benchmark,
    run_trellis_benchmark,
)
from archgrad.cli.equation import Equation
from archgrad.cli.methods import Cite, Methods
from archgrad.cli.nasbench201 import SearchNASBench201, TrainNASBench201
from archgrad.cli.options import (
    CostOptions,
    DataOptions,
    Flat,
    MethodName,
    RunOptions,
    SpaceOptions,
    prepared,
    read_genotype,
    recipe_choice,
    show_score,
    show_table,
    stored_options,
)
from archgrad.cli.recurrent import DemoRecurrent, SearchRecurrent, TrainRecurrent, show_language_model
from archgrad.cli.trellis import DemoTrellis, SearchTrellis, TrainTrellis, show_segmentation_network
from archgrad.data import Augmentation
from archgrad.equations import EQUATIONS, draw_found
from archgrad.experiment import compare_with_random, cost_tables, recorded_search, recorded_training
from archgrad.genotype import CONV_CELL
from archgrad.recipes import Recipe
from archgrad.report import draw_genotype, save_figure
from archgrad.runs import (
    is_language_model,
    is_segmentation_network,
    load_language_model,
    load_network,
    load_segmentation_network,
)
from archgrad.settings import SearchSettings
from archgrad.training import evaluate

if TYPE_CHECKING:
    RecipeChoice = Recipe
else:
    RecipeChoice = recipe_choice(recipes.RECIPES)


@dataclass(frozen=True, kw_only=True)
class Search:
    """Search for convolutional cells: decode a genotype, keep everything in a run folder.

    `archgrad search nasbench201` searches that benchmark's cells, `archgrad search recurrent` recurrent cells on text,
    `archgrad search trellis` cell and path of dense prediction; they have options of their own.
    """

    method: MethodName = "darts-second-order"
    data: Annotated[DataOptions, Flat] = field(default_factory=DataOptions)
    space: Annotated[SpaceOptions, Flat] = field(default_factory=SpaceOptions)
    costs: Annotated[CostOptions, Flat] = field(default_factory=CostOptions)
    settings: Annotated[SearchSettings, Flat] = field(default_factory=SearchSettings)
    run: Annotated[RunOptions, Flat] = field(default_factory=RunOptions)

    def __call__(self) -> None:
        command, surroundings = prepared(self, "search")
        method = methods.by_name(command.method)
        data = command.data.load(command.run.seed)
        space = command.space.space(data)
        method = command.costs.applied(method, space, data, surroundings)
        result = recorded_search(space, data, surroundings, method=method, settings=command.settings)
        print(result.genotype)
        costs = [
            (table.name, f"{table.of(result.genotype):,.6g} {table.unit}".strip()) for table in cost_tables(method)
        ]
        seconds = ("search seconds", f"{result.seconds:.1f}")
        show_table([*costs, seconds, ("report", str(surroundings.path / "report.html"))])


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train the network of a genotype from scratch. The recipe is named last and has options of its own.

    `archgrad train nasbench201` trains that benchmark's cells, `archgrad train recurrent` language models,
    `archgrad train trellis` networks that label pixels; they have options of their own.
    """

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
        genotype = read_genotype(command.genotype, CONV_CELL)
        data = command.data.load(command.run.seed)
        space = SpaceOptions(stem=command.stem).space(data)
        score = recorded_training(
            space,
            genotype,
            data,
            surroundings,
            recipe=command.recipe,
            size={"channels": command.channels, "layers": command.layers, "auxiliary": command.auxiliary},
        )
        show_score(score, surroundings)


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Evaluate a trained network, on the test data that its training set aside or on others.

    A language model writes a continuation, too; a network that labels pixels draws predictions if a file is named.
    """

    network: tyro.conf.Positional[Path]  # run folder of a training
    data: str | None = None  # other images or another text, as in train; by default the training's own, split alike
    image_size: tuple[int, ...] | None = None  # resize the other images: height and width, or one number for both
    batch_size: int | None = None  # images per step (256, 4 with masks), or rows of a text (10; 1 loses no context)
    sample: int = 60  # tokens that a language model writes
    prompt: str = ""  # what it goes on from
    temperature: float = 1.0  # of its draws; 0 takes the likeliest token every time
    scales: tuple[float, ...] = (1.0,)  # sizes at which images are looked at, averaged, where pixels are labelled
    flip: bool = False  # look at mirrored images, too, where pixels are labelled
    window: tuple[int, int] | None = None  # height and width that such a network sees at a time; it slides
    pictures: Path | None = None  # where to draw predictions, a .png file, where pixels are labelled
    device: str = RunOptions.device  # auto, cpu, cuda, cuda:1, …

    def __call__(self) -> None:
        if is_language_model(self.network):
            show_language_model(
                self.network,
                load_language_model(self.network),
                text=self.data,
                batch_size=10 if self.batch_size is None else self.batch_size,
                length=self.sample,
                prompt=self.prompt,
                temperature=self.temperature,
                device=self.device,
            )
            return
        if is_segmentation_network(self.network):
            show_segmentation_network(
                self.network,
                load_segmentation_network(self.network),
                data=self.data,
                image_size=self._size(),
                batch_size=4 if self.batch_size is None else self.batch_size,
                scales=self.scales,
                flip=self.flip,
                window=self.window,
                pictures=self.pictures,
                device=self.device,
            )
            return
        saved = load_network(self.network)
        options, seed = stored_options(self.network, "data", DataOptions)
        if self.data is not None:
            size = self._size()
            if size is not None and size[0] != size[1]:
                raise ValueError(f"image_size: images with one label are made square, got {size[0]} and {size[1]}.")
            options = DataOptions(data=self.data, image_size=None if size is None else size[0])
        test = options.load(seed).test
        if test.classes != saved.classes:
            raise ValueError(f"data: has the classes {test.classes}, but the network was trained on {saved.classes}.")
        metrics = evaluate(
            saved.network,
            test,
            batch_size=256 if self.batch_size is None else self.batch_size,
            augmentation=saved.augmentation,
            device=self.device,
        )
        show_table(
            [
                ("test accuracy", f"{metrics['accuracy']:.2%}"),
                ("test loss", f"{metrics['loss']:.4f}"),
                ("test images", f"{len(test):,}"),
            ]
        )

    def _size(self) -> tuple[int, int] | None:
        if self.image_size is None:
            return None
        if len(self.image_size) not in (1, 2):
            raise ValueError(f"image_size: must be height and width, or one number for both, got {self.image_size}.")
        return self.image_size[0], self.image_size[-1]


@dataclass(frozen=True, kw_only=True)
class Show:
    """Print a genotype and draw its cells, or the graph of an equation."""

    genotype: tyro.conf.Positional[str]  # DARTS_V2, NASNET, DARTS_V2_RECURRENT, …, a JSON file, or a run folder
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
    `archgrad demo recurrent` does the same with language models, `archgrad demo trellis` with networks that label
    pixels; both have options of their own.
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


@dataclass(frozen=True, kw_only=True)
class BenchRecurrent:
    """Measure seconds per step and peak memory of the recurrent supernet against a plain loop and the bare products."""

    settings: Annotated[RecurrentBenchmarkSettings, Flat] = field(default_factory=RecurrentBenchmarkSettings)

    def __call__(self) -> None:
        run_recurrent_benchmark(self.settings)


@dataclass(frozen=True, kw_only=True)
class BenchTrellis:
    """Measure seconds per step and peak memory of both readings of the trellis, with and without checkpointing."""

    settings: Annotated[TrellisBenchmarkSettings, Flat] = field(default_factory=TrellisBenchmarkSettings)

    def __call__(self) -> None:
        run_trellis_benchmark(self.settings)


@dataclass(frozen=True, kw_only=True)
class BenchMethods:
    """Measure seconds per step and peak memory of every method, as ratios to first-order DARTS."""

    settings: Annotated[MethodBenchmarkSettings, Flat] = field(default_factory=MethodBenchmarkSettings)

    def __call__(self) -> None:
        run_method_benchmark(self.settings)


if TYPE_CHECKING:
    BenchChoice = BenchSteps | BenchMethods | BenchEquations | BenchRecurrent | BenchTrellis
else:
    BenchChoice = Annotated[
        Annotated[BenchSteps, tyro.conf.subcommand("steps")]
        | Annotated[BenchMethods, tyro.conf.subcommand("methods")]
        | Annotated[BenchEquations, tyro.conf.subcommand("equations")]
        | Annotated[BenchRecurrent, tyro.conf.subcommand("recurrent")]
        | Annotated[BenchTrellis, tyro.conf.subcommand("trellis")],
        Flat,
    ]


@tyro.conf.configure(tyro.conf.CascadeSubcommandArgs)  # the options of the default need no `steps` before them
@dataclass(frozen=True, kw_only=True)
class Bench:
    """Measure what a step costs (`steps`, `methods`, `recurrent`, `trellis`), or which laws are found (`equations`)."""

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
    "methods": Methods,
    "cite": Cite,
}
"""The commands by name."""

SPACE_COMMANDS = {
    "search nasbench201": SearchNASBench201,
    "train nasbench201": TrainNASBench201,
    "search recurrent": SearchRecurrent,
    "train recurrent": TrainRecurrent,
    "demo recurrent": DemoRecurrent,
    "search trellis": SearchTrellis,
    "train trellis": TrainTrellis,
    "demo trellis": DemoTrellis,
}
"""Commands for other spaces than convolutional cells, by both words."""
