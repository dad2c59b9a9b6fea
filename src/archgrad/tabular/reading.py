"""Reading a copy of NAS-Bench-201's table: CSV, also compressed, and latencies beside it."""

import csv
import lzma
import zipfile
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from archgrad.ops import NASBENCH201_CANDIDATES

TABLE_NAMES = ("nasbench201.csv.xz", "nasbench201.csv")
"""What the table is called in a folder."""

LATENCY_NAME = "nasbench201_latency_ms.npz"
"""What the file of latencies is called beside the table."""

DATASETS = {"cifar10": "c10", "cifar100": "c100", "ImageNet16-120": "in16"}
SPLITS = {"test": "test", "validation": "val"}

ARCHITECTURE, PARAMETERS, MULTIPLY_ADDS = "arch", "params_c10", "flops_m_c10"

WHERE = (
    "NAS-Bench-201's results are published as NATS-Bench, under the MIT licence: https://github.com/D-X-Y/NATS-Bench; "
    "write them as the table that archgrad.tabular.NASBench201Table describes. Nothing is downloaded here."
)


class Combination(NamedTuple):
    """What an accuracy is of: the data set, the part of it, and the epochs of training."""

    dataset: str
    split: str
    epochs: int


class Content(NamedTuple):
    """A table: architecture strings, and columns [15,625] in their order."""

    architectures: tuple[str, ...]
    accuracies: dict[Combination, np.ndarray]
    parameters: np.ndarray
    multiply_adds: np.ndarray


def find_table(path: Path) -> Path:
    """The file of the table, which is `path` or lies in it.

    Raises:
        FileNotFoundError: there is none; the message says where it is published.
    """
    if path.is_dir():
        for name in TABLE_NAMES:
            if (path / name).is_file():
                return path / name
        raise FileNotFoundError(f"path: {path} has no {' or '.join(TABLE_NAMES)}. {WHERE}")
    if not path.is_file():
        raise FileNotFoundError(f"path: {path} is not there. {WHERE}")
    return path


def read_table(path: Path) -> Content:
    """Read a table and check that it has each of the 15,625 architectures once.

    Raises:
        ValueError: the file is no table, lacks a column or an architecture, or has a value that is no number.
    """
    header, rows = _rows(path)
    columns = {name: place for place, name in enumerate(header)}
    accuracies = {combination: name for combination, name in _accuracy_columns().items() if name in columns}
    missing = [name for name in (ARCHITECTURE, PARAMETERS, MULTIPLY_ADDS) if name not in columns]
    if missing or not accuracies:
        wanted = missing or [f"accuracies such as {next(iter(_accuracy_columns().values()))}"]
        raise ValueError(f"{path}: lacks {', '.join(wanted)}; its columns are {', '.join(header)}.")
    architectures = tuple(row[columns[ARCHITECTURE]] for row in rows)
    _check_complete(path, architectures)

    def numbers(name: str) -> np.ndarray:
        try:
            values = np.array([float(row[columns[name]]) for row in rows])
        except ValueError as error:
            raise ValueError(f"{path}: column {name} has an entry that is no number ({error}).") from None
        if not np.isfinite(values).all():
            raise ValueError(f"{path}: column {name} has an entry that is not finite.")
        return values

    return Content(
        architectures,
        {combination: numbers(name) for combination, name in accuracies.items()},
        numbers(PARAMETERS),
        numbers(MULTIPLY_ADDS),
    )


def read_latencies(path: Path, count: int) -> dict[str, np.ndarray]:
    """Read latencies in ms by device, in the order of the table, which has `count` rows.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: the file is no archive of arrays of numbers, or one has another length.
    """
    if not path.is_file():
        raise FileNotFoundError(f"latency: {path} is not there.")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            latencies = {name: np.asarray(archive[name], dtype=np.float64) for name in archive.files}
    except (ValueError, TypeError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"latency: {path} is no .npz file with an array of numbers for each device ({error})."
        ) from None
    for name, values in latencies.items():
        if values.shape != (count,):
            raise ValueError(f"latency: {path}: device {name} has shape {values.shape}, the table has {count} rows.")
    return latencies


def column(accuracies: Mapping[Combination, np.ndarray], combination: Combination) -> np.ndarray:
    """The accuracies of a combination.

    Raises:
        ValueError: the table does not have it; the message says what it has.
    """
    if combination in accuracies:
        return accuracies[combination]
    there = ", ".join(f"{dataset} {split} {epochs}" for dataset, split, epochs in accuracies)
    raise ValueError(f"dataset, split, epochs: the table has no {' '.join(map(str, combination))}; it has {there}.")


def _accuracy_columns() -> dict[Combination, str]:
    """The names of all columns of accuracies that a table may have."""
    return {
        Combination(dataset, split, epochs): f"{short}_{SPLITS[split]}_{epochs}"
        for epochs in (200, 12)
        for dataset, short in DATASETS.items()
        for split in SPLITS
    }


def _rows(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with (lzma.open if path.suffix == ".xz" else open)(path, "rt", encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
    except (ValueError, UnicodeDecodeError, lzma.LZMAError, EOFError, csv.Error) as error:
        raise ValueError(f"{path}: cannot be read as CSV ({error}); an .xz file must be complete.") from None
    for line, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise ValueError(f"{path}: line {line} has {len(row)} entries, the header has {len(header)}.")
    return header, rows


def _check_complete(path: Path, architectures: tuple[str, ...]) -> None:
    form = "|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|"
    expected = {form.format(*operations) for operations in product(NASBENCH201_CANDIDATES, repeat=6)}
    unknown = next((text for text in architectures if text not in expected), None)
    if unknown is not None:
        raise ValueError(f"{path}: {unknown!r} is no architecture of NAS-Bench-201.")
    if len(architectures) != len(expected) or len(set(architectures)) != len(expected):
        raise ValueError(
            f"{path}: has {len(architectures)} rows with {len(set(architectures))} different architectures; "
            f"needed is each of the {len(expected)} once, since ranks are among all."
        )
