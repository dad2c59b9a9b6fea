"""Options that several commands share, and how a command finds its run folder."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro

from archgrad import costs, methods
from archgrad.checks import above, one_of
from archgrad.cli.configuration import from_plain, to_plain
from archgrad.data import Loaded, load
from archgrad.experiment import COST_TABLE, Surroundings
from archgrad.genotype import CONV_CELL, NASBENCH201, PUBLISHED, RECURRENT_CELL, TRELLIS, Genotype
from archgrad.identity import flat
from archgrad.methods import Method
from archgrad.runs import CHECKPOINT_SECONDS, read_json, refuse_taken
from archgrad.spaces import ConvCellSpace, reduced_space
from archgrad.spaces.conv.network import check_genotype
from archgrad.spaces.nasbench201 import parse
from archgrad.spaces.nasbench201.strings import check_genotype as check_nasbench201_genotype
from archgrad.spaces.recurrent.network import recurrent_cell
from archgrad.spaces.trellis.network import check_trellis_genotype
from archgrad.training import Score

Options = TypeVar("Options")

Flat = tyro.conf.arg(name="")  # a group of options whose names get no prefix
MethodName = Annotated[str, tyro.conf.arg(help=f"one of {', '.join(methods.METHODS)}")]


def recipe_choice(makers: Mapping[str, Callable[[], Any]]) -> Any:
    """The type of an option that is one of several recipes, named last, each with options of its own."""
    defaults = {name: make() for name, make in makers.items()}
    described = {name: (make.__doc__ or "").splitlines()[0] for name, make in makers.items()}
    return Annotated[tyro.extras.subcommand_type_from_defaults(defaults, described, prefix_names=False), Flat]


def show_table(rows: list[tuple[str, str]]) -> None:
    """Print pairs of name and value."""
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {value}")


def show_score(score: Score, surroundings: Surroundings) -> None:
    """Print what a training of a classifier came to."""
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
class DataOptions:
    """Which images; their number of channels and classes, and the size of the network's ends, follow from them."""

    data: str = "digits"  # digits, or a path: CIFAR-10's folder, train/test folders of class folders, .npz, .zip
    image_size: int | None = None  # resize images to this height and width
    limit_train: int | None = None  # use so many training images only, stratified
    limit_test: int | None = None  # use so many test images only, stratified

    def load(self, seed: int) -> Loaded:
        """Read training and test data."""
        return load(self.data, image_size=self.image_size, seed=seed).limited(
            self.limit_train, self.limit_test, seed=seed
        )


@dataclass(frozen=True, kw_only=True)
class SpaceOptions:
    """The convolutional search space."""

    channels: int = ConvCellSpace.channels  # channels of the first cells in the search
    layers: int = ConvCellSpace.layers  # cells in the search
    nodes: int = ConvCellSpace.nodes  # intermediate states of a cell
    edges_per_node: int = ConvCellSpace.edges_per_node  # incoming edges that a node keeps
    candidates: tuple[str, ...] = ConvCellSpace.candidates  # operations to choose from
    stem: str = ConvCellSpace.stem  # cifar, or imagenet (divides the size by 8 before the first cell)
    reduced: str | None = None  # S1, S2, S3 or S4: a reduced space of Robust DARTS, which has its own candidates

    def space(self, data: Loaded) -> ConvCellSpace:
        """The space for these data."""
        chosen = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "reduced"}
        ends = {"num_classes": data.train.num_classes, "in_channels": data.train.shape[0]}
        if self.reduced is None:
            return ConvCellSpace(**ends, **chosen)
        candidates = chosen.pop("candidates")
        if candidates != ConvCellSpace.candidates:
            raise ValueError(f"candidates: {self.reduced} has its own, got {candidates}; leave one option out.")
        return reduced_space(self.reduced, **ends, **chosen)


@dataclass(frozen=True, kw_only=True)
class CostOptions:
    """What the found network may cost: a penalty on its expected cost, see docs/methods.md."""

    cost: str | None = None  # parameters, multiply_adds, or latency (measured on this device)
    cost_target: float | None = None  # parameters, multiply-adds or ms that the penalty asks for
    cost_weight: float = 1.0  # weight of the penalty, by how many times the target the cost is beyond it
    cost_channels: int | None = None  # channels of the network that is going to be trained, by default the search's
    cost_layers: int | None = None  # its number of cells, by default the search's

    def applied(self, method: Method, space: ConvCellSpace, data: Loaded, surroundings: Surroundings) -> Method:
        """The method with the penalty, if one is asked for; a resumed run keeps its table, measured or counted."""
        if self.cost is None and self.cost_target is None:
            return method
        if self.cost is None or self.cost_target is None:
            raise ValueError(f"cost: goes with cost_target, got cost {self.cost!r} and cost_target {self.cost_target}.")
        above("cost_target", self.cost_target, 0)  # before anything is measured
        kept = surroundings.path / COST_TABLE
        stored = surroundings.resume and kept.is_file()
        image_size = max(data.train.shape[1:])
        table = costs.CostTable.load(kept) if stored else self._table(space, image_size, surroundings.device)
        penalty = costs.CostPenalty(table=table, target=self.cost_target, weight=self.cost_weight)
        return replace(method, penalties=(*method.penalties, penalty))

    def _table(self, space: ConvCellSpace, image_size: int, device: str) -> costs.CostTable:
        size = {
            "channels": space.channels if self.cost_channels is None else self.cost_channels,
            "layers": space.layers if self.cost_layers is None else self.cost_layers,
        }
        match one_of("cost", str(self.cost), ("parameters", "multiply_adds", "latency")):
            case "parameters":
                return costs.parameters(space, **size)
            case "multiply_adds":
                return costs.multiply_adds(space, image_size, **size)
            case _:
                return costs.latency(space, image_size, device=device, channels=size["channels"], layers=size["layers"])


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Where a run is kept and how it is shown."""

    out: Path | None = None  # run folder to make; by default runs/<command>-<date>-<time>
    resume: Path | None = None  # go on with the run in this folder; all other settings are read from there
    seed: int = 0  # everything random follows from it
    device: str = "auto"  # auto, cpu, cuda, cuda:1, …
    quiet: bool = False  # plain lines instead of a progress bar
    checkpoint_seconds: float = CHECKPOINT_SECONDS  # time between checkpoints within an epoch


UNSTORED = ("out", "resume", "device", "quiet", "checkpoint_seconds")
"""Run options that a resumed run may change: they do not influence what is computed, save for the device's rounding."""


def prepared(command: Any, name: str) -> tuple[Any, Surroundings]:
    """Return the command to carry out, which is the stored one when a run is resumed, and its surroundings.

    Raises:
        ValueError: a resumed run is asked for settings that differ from its own.
    """
    run: RunOptions = command.run
    path = run.out or Path("runs") / f"{name.replace(' ', '-')}-{time.strftime('%Y%m%d-%H%M%S')}"
    if run.resume is not None:
        path = run.resume
        command = _stored(command, name)
        if not name.startswith("demo") and not (path / "checkpoint.safetensors").is_file():
            print(f"{path}: there is no checkpoint yet, starting from the beginning")
    else:
        refuse_taken(path.expanduser())  # before any data is read
    print(f"run folder: {path}")
    plain = to_plain(command)
    configuration = {"command": name, **plain, "run": {k: v for k, v in plain["run"].items() if k not in UNSTORED}}
    surroundings = Surroundings(
        path=path,
        configuration=configuration,
        seed=command.run.seed,
        device=run.device,
        quiet=run.quiet,
        resume=run.resume is not None,
        checkpoint_seconds=run.checkpoint_seconds,
    )
    return command, surroundings


def _stored(command: Any, name: str) -> Any:
    """The command that began the run in `command.run.resume`; settings given beside it must agree with it."""
    folder = command.run.resume
    try:
        stored = read_json(folder / "config.json")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ValueError(f"resume: {folder} is not a run folder, it has no config.json.") from error
    kind = stored.pop("command", None)
    if kind != name:
        raise ValueError(f"resume: {folder} holds a {kind!r} run, not a {name!r} run.")
    resumed = from_plain(type(command), stored)
    given, default, kept = flat(to_plain(command)), flat(to_plain(type(command)())), flat(to_plain(resumed))
    for key, value in given.items():
        if key.split(".")[-1] not in UNSTORED and value != default.get(key) and value != kept.get(key):
            raise ValueError(
                f"--{_option(key)}: {value} was given, but the run in {folder} has {kept.get(key)}; "
                "a resumed run keeps its settings."
            )
    return resumed


def _option(key: str) -> str:
    """What an option is called on the command line: groups without a prefix leave none."""
    group, _, name = key.partition(".")
    flat = group in ("data", "space", "costs", "settings", "run", "text", "size")
    return (name if flat and name else key).replace("_", "-")


def stored_options(folder: Path, name: str, kind: type[Options]) -> tuple[Options, int]:
    """A group of a run's options, data or text, and the seed: with another one, a test could hold training data.

    Raises:
        ValueError: the folder's configuration does not say.
    """
    stored = read_json(folder / "config.json")
    try:
        return from_plain(kind, stored[name]), int(stored["run"]["seed"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{folder}: config.json does not say which {name} the run was given ({error!r}).") from error


def read_genotype(source: str, space: str | None = None) -> Genotype:
    """Read a genotype: a published one by name, a NAS-Bench-201 string, a JSON file, or a run folder.

    With a `space`, the published ones of that space go by their name without its ending too: DARTS_V2 is
    DARTS_V2_RECURRENT where recurrent cells are meant.

    Raises:
        ValueError: there is neither such a name nor such a file, or the file is no genotype.
    """
    if source.startswith("|"):
        return parse(source)
    known = PUBLISHED if space is None else {name: g for name, g in PUBLISHED.items() if g.space == space}
    for name in (source.upper(), f"{source.upper()}_RECURRENT"):
        if name in known:
            return known[name]
    if source.upper() in PUBLISHED:
        other = PUBLISHED[source.upper()].space
        raise ValueError(f"genotype: {source} is of the space {other!r}; of {space!r} there are {', '.join(known)}.")
    path = Path(source).expanduser()
    if path.is_dir() and (path / "config.json").is_file() and not (path / "genotype.json").is_file():
        raise ValueError(f"genotype: the run in {path} has no genotype yet; it is written when a search ends.")
    path = path / "genotype.json" if path.is_dir() else path
    if not path.is_file():
        raise ValueError(
            f"genotype: {source!r} is no published genotype ({', '.join(known)}), no genotype file, "
            "and no run folder with a genotype.json."
        )
    try:
        genotype = Genotype.from_json(path.read_text(errors="replace"))
        if genotype.space == CONV_CELL:
            check_genotype(genotype)
        if RECURRENT_CELL in (genotype.space, space):
            recurrent_cell(genotype)
        if TRELLIS in (genotype.space, space):
            check_trellis_genotype(genotype)
        if NASBENCH201 in (genotype.space, space):
            check_nasbench201_genotype(genotype)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return genotype
