"""The callback that keeps a run folder: configuration, metrics, genotypes, checkpoints, and the way back to them."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archgrad.genotype import Genotype
from archgrad.identity import flat
from archgrad.loop import Callback, Loop, Record
from archgrad.runs.checkpoint import read_checkpoint, write_checkpoint
from archgrad.runs.environment import environment
from archgrad.runs.folder import RunFolder, write_json

CHECKPOINT_SECONDS = 300.0
"""The time between checkpoints within an epoch, unless asked for otherwise."""


class Recorder(Callback):
    """Keeps the folder of a run, and resumes from it.

    `configuration` (ready for JSON) is stored. A checkpoint of another configuration is refused, and so is one of a run
    with another space, method, setting, seed or other data. A checkpoint is
    written after each epoch, whenever the last is `checkpoint_seconds` old, and on Ctrl-C.

        recorder = Recorder("runs/first", configuration={"seed": 0})
        archgrad.search(space, train=data, callbacks=[recorder])

    With `resume` the run goes on from the folder's checkpoint, or from its beginning if it has none yet. A `genotype`
    that is known from the start is kept too; the configuration is written before it, as it is what makes a run folder.

    Raises:
        ValueError: the folder holds a run already (or, with `resume`, none), or its checkpoint is broken or of another
            configuration.
        OSError: the folder cannot be written to.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        configuration: Mapping[str, Any],
        genotype: Genotype | None = None,
        resume: bool = False,
        checkpoint_seconds: float = CHECKPOINT_SECONDS,
    ) -> None:
        self.folder = RunFolder(path, resume=resume)
        self.configuration = dict(configuration)
        self.genotype = genotype
        self.resume = resume
        self.checkpoint_seconds = checkpoint_seconds
        self._written = time.monotonic()

    def on_start(self, loop: Loop) -> None:
        if self.resume and self.folder.checkpoint_path.exists():
            saved = read_checkpoint(self.folder.checkpoint_path, identity=self._identity(loop))
            loop.state.load_state_dict(saved)
        else:
            write_json(self.folder.configuration_path, self.configuration)
        write_json(self.folder.path / "environment.json", environment())
        if self.genotype is not None:
            self.folder.write_genotype(self.genotype)
        self.folder.write_metrics(loop.state.progress.history)
        self._written = time.monotonic()

    def on_step(self, loop: Loop, info: Mapping[str, float]) -> None:
        # At the end of an epoch its record is not filed yet; `on_epoch` follows and writes.
        due = time.monotonic() - self._written > self.checkpoint_seconds
        if due and loop.state.progress.step % loop.steps_per_epoch:
            self._checkpoint(loop)

    def on_epoch(self, loop: Loop, record: Record) -> None:
        if loop.genotype is not None:
            self.folder.write_genotype(loop.genotype(), record["epoch"])
        self.folder.write_metrics(loop.state.progress.history)
        self._checkpoint(loop)

    def on_interrupt(self, loop: Loop) -> None:
        self._checkpoint(loop)

    def on_end(self, loop: Loop) -> None:
        if loop.genotype is not None:
            self.folder.write_genotype(loop.genotype())

    def _checkpoint(self, loop: Loop) -> None:
        write_checkpoint(self.folder.checkpoint_path, loop.state.state_dict(), identity=self._identity(loop))
        self._written = time.monotonic()

    def _identity(self, loop: Loop) -> dict[str, Any]:
        """What a checkpoint belongs to: the user's configuration, and what the run itself says it was asked for."""
        asked = flat({"configuration": self.configuration, "purpose": loop.purpose, **loop.identity})
        # Readers of data in other processes change no batch.
        return {name: value for name, value in asked.items() if not name.endswith(".workers")}
