"""A real process, killed for real at several moments, and resumed: the result is that of an uninterrupted run."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from archgrad.runs import CheckpointError, read_checkpoint

OPTIONS = [
    "search",
    "--limit-train",
    "100",
    "--channels",
    "4",
    "--layers",
    "3",
    "--nodes",
    "2",
    "--candidates",
    "none",
    "skip_connect",
    "avg_pool_3x3",
    "--batch-size",
    "10",
    "--epochs",
    "4",
    "--warmup-epochs",
    "1",
    "--checkpoint-seconds",
    "0",
    "--device",
    "cpu",
    "--quiet",
]


def start(*arguments: str, options=OPTIONS) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
    return subprocess.Popen(
        [sys.executable, "-m", "archgrad", *options, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> tuple[int, str]:
    output, errors = process.communicate(timeout=120)
    return process.returncode, output + errors


def stop_when(process: subprocess.Popen, condition, number=signal.SIGKILL) -> None:
    """Send a signal as soon as the condition holds; the process must still be running."""
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(number)


def metrics(folder: Path) -> list[dict]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [{name: value for name, value in json.loads(line).items() if name != "seconds"} for line in lines]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    code, output = finish(start("--out", str(folder)))
    assert code == 0, output
    return folder


def same_tensors(first: object, second: object) -> bool:
    if isinstance(first, torch.Tensor):
        return isinstance(second, torch.Tensor) and torch.equal(first, second)
    if isinstance(first, dict):
        assert isinstance(second, dict)
        return first.keys() == second.keys() and all(
            same_tensors(first[k], second[k]) for k in first if k != "progress"
        )
    return first == second


def test_killed_at_several_moments_and_resumed_equals_uninterrupted(uninterrupted, tmp_path):
    folder = tmp_path / "killed"
    checkpoint = folder / "checkpoint.safetensors"

    def changes(times: int):
        """True once the checkpoint has been replaced so often: `stop_when` polls much faster than a step takes."""
        seen: list[int] = []

        def condition() -> bool:
            stamp = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
            if not seen or stamp != seen[-1]:
                seen.append(stamp)
            return len(seen) > times

        return condition

    process = start("--out", str(folder))
    stop_when(process, (folder / "config.json").exists)  # before the first checkpoint
    process.communicate()
    for times in (2, 6, 5):
        process = start("--resume", str(folder), options=["search", "--checkpoint-seconds", "0", "--quiet"])
        stop_when(process, changes(times))
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    code, output = finish(start("--resume", str(folder), options=["search", "--quiet"]))
    assert code == 0, output
    assert "resumed at step" in output

    assert metrics(folder) == metrics(uninterrupted)
    assert (folder / "genotype.json").read_text() == (uninterrupted / "genotype.json").read_text()
    assert sorted(path.name for path in folder.glob("genotypes/*")) == [f"epoch_{n:04d}.json" for n in (1, 2, 3, 4)]
    assert same_tensors(
        read_checkpoint(folder / "checkpoint.safetensors"), read_checkpoint(uninterrupted / "checkpoint.safetensors")
    )

    assert not list(folder.rglob("*.part"))


def test_ctrl_c_writes_a_checkpoint_and_exits_with_130(uninterrupted, tmp_path):
    folder = tmp_path / "interrupted"
    process = start("--out", str(folder), options=[*OPTIONS, "--checkpoint-seconds", "1000"])
    stop_when(process, (folder / "genotypes").exists, signal.SIGINT)
    code, output = finish(process)
    assert code == 130, output
    assert "--resume" in output
    assert (folder / "checkpoint.safetensors").exists()
    code, output = finish(start("--resume", str(folder), options=["search"]))
    assert code == 0, output
    assert metrics(folder) == metrics(uninterrupted)


def test_a_finished_run_resumes_to_the_same_end(uninterrupted):
    before = metrics(uninterrupted)
    code, output = finish(start("--resume", str(uninterrupted), options=["search"]))
    assert code == 0, output
    assert metrics(uninterrupted) == before


def test_a_checkpoint_of_another_configuration_is_refused(uninterrupted):
    with pytest.raises(CheckpointError, match="differs in"):
        read_checkpoint(uninterrupted / "checkpoint.safetensors", identity={"command": "search"})
