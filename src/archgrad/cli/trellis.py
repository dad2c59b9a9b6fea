"""The commands for dense prediction, `archgrad search | train | demo trellis`, and what `evaluate` says of a run."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from archgrad import methods, recipes
from archgrad.cli.options import (
    Flat,
    MethodName,
    RunOptions,
    prepared,
    read_genotype,
    recipe_choice,
    show_table,
    stored_options,
)
from archgrad.data.segmentation import IGNORE, DenseAugmentation, LoadedSegmentation, load_segmentation
from archgrad.genotype import TRELLIS
from archgrad.recipes import DenseRecipe
from archgrad.report import check_picture, draw_predictions, fallback_palette, save_figure
from archgrad.runs import SavedSegmentationNetwork
from archgrad.segmentation import Confusion, evaluate, predict
from archgrad.segmentation_experiment import (
    NetworkSize,
    compare_paths,
    recorded_segmentation_search,
    recorded_segmentation_training,
)
from archgrad.settings import SegmentationSearchSettings
from archgrad.spaces import TrellisSpace
from archgrad.spaces.trellis.plan import FIRST_STRIDE

if TYPE_CHECKING:
    DenseRecipeChoice = DenseRecipe
else:
    DenseRecipeChoice = recipe_choice(recipes.DENSE_RECIPES)


@dataclass(frozen=True, kw_only=True)
class SceneOptions:
    """Which images and masks; the number of classes follows from them."""

    data: str = "scenes"  # scenes (generated), or a folder of images and masks, see docs/data.md
    image_size: tuple[int, int] | None = None  # resize images and masks to this height and width
    ignore: int | None = None  # label of pixels without a class; by default 255, or 11 for CamVid's folders
    limit_train: int | None = None  # use the first so many training images only
    limit_test: int | None = None  # use the first so many test images only

    def load(self, seed: int) -> LoadedSegmentation:
        """Read training and test data."""
        return load_segmentation(
            self.data,
            image_size=self.image_size,
            seed=seed,
            ignore=self.ignore,
            limit_train=self.limit_train,
            limit_test=self.limit_test,
        )


@dataclass(frozen=True, kw_only=True)
class TrellisOptions:
    """The search space; the defaults are for small images on a CPU, 12 layers of 8 filters and 5 blocks the paper's."""

    layers: int = 6  # layers of the trellis
    filters: int = 4  # channels of a block at stride 4 in the search, doubled with each level
    blocks: int = 3  # states of a cell beside its inputs
    levels: int = TrellisSpace.levels  # strides: 4, 8, 16, 32, …
    edges_per_block: int = TrellisSpace.edges_per_block  # incoming edges that a block keeps
    candidates: tuple[str, ...] = TrellisSpace.candidates  # operations to choose from
    reading: str = TrellisSpace.reading  # of Eq. 6: mixed_inputs, or cell_per_edge (to the letter, twice the cost)
    checkpointing: bool = TrellisSpace.checkpointing  # keep the inputs of cells alone and evaluate each twice

    def space(self, data: LoadedSegmentation) -> TrellisSpace:
        """The space for these data."""
        chosen = {field.name: getattr(self, field.name) for field in fields(self)}
        return TrellisSpace(num_classes=data.train.num_classes, in_channels=data.train.shape[0], **chosen)


def small_search() -> SegmentationSearchSettings:
    """Settings for small images and minutes on a CPU."""
    return SegmentationSearchSettings(
        epochs=16,
        warmup_epochs=5,
        batch_size=8,
        learning_rate=0.1,
        logits_learning_rate=2e-2,
        augmentation=DenseAugmentation(scale=(1.0, 1.0)),
    )


def small_network() -> NetworkSize:
    """A network for small images and minutes on a CPU."""
    return NetworkSize(filters=6, stem_channels=12, head_channels=32, low_level_channels=12)


def announced(data: LoadedSegmentation) -> LoadedSegmentation:
    """The data, once its size and classes are told."""
    _, height, width = data.train.shape
    print(
        f"data: {len(data.train):,} training and {len(data.test):,} test images of {height}×{width}; "
        f"{data.train.num_classes} classes: {', '.join(data.train.classes)}"
    )
    return data


@dataclass(frozen=True, kw_only=True)
class SearchTrellis:
    """Search a cell and its path through the strides for dense prediction: decode both, keep all in a run folder."""

    method: MethodName = "darts-first-order"
    data: Annotated[SceneOptions, Flat] = field(default_factory=SceneOptions)
    space: Annotated[TrellisOptions, Flat] = field(default_factory=TrellisOptions)
    settings: Annotated[SegmentationSearchSettings, Flat] = field(default_factory=small_search)
    run: Annotated[RunOptions, Flat] = field(default_factory=RunOptions)

    def __call__(self) -> None:
        command, surroundings = prepared(self, "search trellis")
        data = announced(command.data.load(command.run.seed))
        result = recorded_segmentation_search(
            command.space.space(data),
            data.train,
            surroundings,
            method=methods.by_name(command.method),
            settings=command.settings,
        )
        print(result.genotype)
        print(f"strides: {' '.join(str(FIRST_STRIDE * 2**level) for level in result.genotype.path)}")
        show_table([("search seconds", f"{result.seconds:.1f}"), ("report", str(surroundings.path / "report.html"))])


@dataclass(frozen=True, kw_only=True)
class TrainTrellis:
    """Train the network of a cell and path from scratch. The recipe is named last and has options of its own."""

    genotype: str = "AUTO_DEEPLAB"  # AUTO_DEEPLAB, a JSON file, or the run folder of a search
    data: Annotated[SceneOptions, Flat] = field(default_factory=SceneOptions)
    size: Annotated[NetworkSize, Flat] = field(default_factory=NetworkSize)
    run: Annotated[RunOptions, Flat] = field(default_factory=RunOptions)
    recipe: DenseRecipeChoice = field(default_factory=recipes.scenes)

    def __call__(self) -> None:
        command, surroundings = prepared(self, "train trellis")
        genotype = read_genotype(command.genotype, TRELLIS)
        data = announced(command.data.load(command.run.seed))
        score = recorded_segmentation_training(
            TrellisOptions().space(data),
            genotype,
            data,
            surroundings,
            recipe=command.recipe,
            size=command.size,
        )
        assert score.confusion is not None
        show_table(
            [
                *measures(score.confusion),
                ("parameters", f"{score.parameters:,}"),
                ("train seconds", f"{score.seconds:.1f}"),
                ("report", str(surroundings.path / "report.html")),
            ]
        )


@dataclass(frozen=True, kw_only=True)
class DemoTrellis:
    """Search cell and path, train, compare with known and random paths of the same cell and budget, and report."""

    method: MethodName = "darts-first-order"
    random_paths: int = 3  # random paths to compare with
    data: Annotated[SceneOptions, Flat] = field(
        default_factory=lambda: SceneOptions(image_size=(64, 96), limit_train=240, limit_test=80)
    )
    space: Annotated[TrellisOptions, Flat] = field(default_factory=TrellisOptions)
    search: SegmentationSearchSettings = field(default_factory=small_search)
    network: NetworkSize = field(default_factory=small_network)
    recipe: DenseRecipe = field(default_factory=recipes.scenes)
    run: Annotated[RunOptions, Flat] = field(default_factory=RunOptions)

    def __call__(self) -> None:
        command, surroundings = prepared(self, "demo trellis")
        data = announced(command.data.load(command.run.seed))
        comparison = compare_paths(
            command.space.space(data),
            data,
            surroundings,
            method=methods.by_name(command.method),
            settings=command.search,
            recipe=command.recipe,
            size=command.network,
            random_paths=command.random_paths,
        )
        show_table(comparison.table())


def measures(confusion: Confusion) -> list[tuple[str, str]]:
    """How well pixels are labelled, as pairs of name and value: over all classes, then each."""
    by_class = confusion.as_dict()["iou"]
    return [
        ("mean IoU", f"{confusion.mean_iou:.2%}"),
        ("pixel accuracy", f"{confusion.accuracy:.2%}"),
        *((f"IoU of {name}", "–" if iou is None else f"{iou:.2%}") for name, iou in by_class.items()),
    ]


def show_segmentation_network(
    folder: Path,
    saved: SavedSegmentationNetwork,
    *,
    data: str | None,
    image_size: tuple[int, int] | None,
    batch_size: int,
    scales: tuple[float, ...],
    flip: bool,
    window: tuple[int, int] | None,
    pictures: Path | None,
    device: str,
) -> None:
    """Evaluate a trained network on its test images or others, and draw predictions if a file is named."""
    if pictures is not None:
        check_picture("pictures", pictures)  # now, and not when all is evaluated
    options, seed = stored_options(folder, "data", SceneOptions)
    if data is not None:
        own = None if saved.ignore == IGNORE else saved.ignore  # by default the other data's usual label
        options = SceneOptions(data=data, image_size=image_size, ignore=own)
    test = options.load(seed).test
    if test.classes != saved.classes:
        raise ValueError(f"data: has the classes {test.classes}, but the network was trained on {saved.classes}.")
    views = {"scales": scales, "flip": flip, "window": window}
    found = evaluate(
        saved.network, test, augmentation=saved.augmentation, batch_size=batch_size, device=device, **views
    )
    show_table([*measures(found), ("test images", f"{len(test):,}")])
    if pictures is not None:
        shown = test.limited(8)
        labels = predict(saved.network, shown.images, augmentation=saved.augmentation, device=device, **views)
        figure = draw_predictions(
            shown.images,
            shown.masks,
            labels,
            classes=test.classes,
            palette=test.palette or fallback_palette(test.num_classes),
            ignore=test.ignore,
            errors=True,
        )
        save_figure(figure, pictures)
