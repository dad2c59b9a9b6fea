"""The run folder: one place for all that a run leaves behind.

config.json           what was asked for, complete
environment.json      versions, processor, commit
metrics.jsonl         one line for each finished epoch
genotypes/            the genotype after each epoch of a search
genotype.json         the genotype in the end
checkpoint.safetensors
pictures/, report.html
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from archgrad.files import write_atomically
from archgrad.genotype import Genotype
from archgrad.loop import Record


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file atomically."""
    write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        ValueError: the file is not JSON.
        FileNotFoundError: there is no such file.
    """
    try:
        return json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not JSON ({error}).") from error


def refuse_taken(path: Path) -> None:
    """Raise a ValueError if a new run cannot be kept in `path`, because something is there."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ValueError(f"run folder: {path} exists already; choose another name, or resume it.")


class RunFolder:
    """A folder of a run, made when it is not there.

    Raises:
        ValueError: the folder holds files already and `resume` is false, or `resume` is true and it is no run folder.
        OSError: it cannot be written to.
    """

    def __init__(self, path: str | Path, *, resume: bool = False) -> None:
        self.path = Path(path).expanduser()
        if resume and not self.configuration_path.is_file():
            raise ValueError(f"resume: {self.path} is not a run folder, it has no {self.configuration_path.name}.")
        if not resume:
            refuse_taken(self.path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(error.errno, f"run folder: cannot be made: {error.strerror}", str(self.path)) from error
        for left in self.path.rglob("*.part"):
            left.unlink()  # by a process that was killed while it wrote
        probe = self.path / ".writable"
        write_atomically(probe, b"")  # an unwritable folder is told before any work starts
        probe.unlink()

    @property
    def configuration_path(self) -> Path:
        """Where the configuration lies."""
        return self.path / "config.json"

    @property
    def checkpoint_path(self) -> Path:
        """Where the checkpoint lies."""
        return self.path / "checkpoint.safetensors"

    @property
    def metrics_path(self) -> Path:
        """Where the metrics lie."""
        return self.path / "metrics.jsonl"

    def write_metrics(self, history: Sequence[Record]) -> None:
        """Write all lines of the metrics, atomically: after a resumption, what came after the checkpoint is gone."""
        write_atomically(self.metrics_path, "".join(json.dumps(record) + "\n" for record in history).encode())

    def read_metrics(self) -> list[Record]:
        """Read the records of all finished epochs."""
        return [json.loads(line) for line in self.metrics_path.read_text().splitlines()]

    def write_genotype(self, genotype: Genotype, epoch: int | None = None) -> None:
        """Write the genotype of an epoch, or without `epoch` the final one."""
        if epoch is None:
            path = self.path / "genotype.json"
        else:
            path = self.path / "genotypes" / f"epoch_{epoch:04d}.json"
            path.parent.mkdir(exist_ok=True)
        write_atomically(path, genotype.to_json().encode())
