"""Options that several commands share, and how a command finds its run folder."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro

from archgrad import methods
from archgrad.cli.configuration import from_plain, to_plain
from archgrad.data import Loaded, load
from archgrad.experiment import Surroundings
from archgrad.genotype import CONV_CELL, PUBLISHED, RECURRENT_CELL, TRELLIS, Genotype, published
from archgrad.identity import flat
from archgrad.runs import CHECKPOINT_SECONDS, read_json, refuse_taken
from archgrad.spaces import ConvCellSpace
from archgrad.spaces.conv.network import check_genotype
from archgrad.spaces.recurrent.network import recurrent_cell
from archgrad.spaces.trellis.network import check_trellis_genotype

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

    def space(self, data: Loaded) -> ConvCellSpace:
        """The space for these data."""
        chosen = {field.name: getattr(self, field.name) for field in fields(self)}
        return ConvCellSpace(num_classes=data.train.num_classes, in_channels=data.train.shape[0], **chosen)


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
    return (name if group in ("data", "space", "settings", "run", "text", "size") and name else key).replace("_", "-")


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
    """Read a genotype: a published one by name, a JSON file, or a run folder.

    With a `space`, the published ones of that space go by their name without its ending too: DARTS_V2 is
    DARTS_V2_RECURRENT where recurrent cells are meant.

    Raises:
        ValueError: there is neither such a name nor such a file, or the file is no genotype.
    """
    known = PUBLISHED if space is None else published(space)
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
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return genotype
