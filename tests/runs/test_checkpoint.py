"""Checkpoints: what goes in comes out, and what is broken or foreign is refused with its reason."""

import os
import resource
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from archgrad.runs import CheckpointError, read_checkpoint, write_checkpoint

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3) | st.integers(0, 9), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=25, deadline=None)
@given(content=st.dictionaries(st.text(max_size=3), PLAIN, max_size=4))
def test_plain_values_come_back_with_their_types(content, tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoint") / "checkpoint.safetensors"
    write_checkpoint(path, content, identity={})
    read = read_checkpoint(path)
    assert read == content
    assert repr(read) == repr(content)  # 1 and 1.0 and True are equal, but not the same


def test_tensors_come_back_bit_for_bit_also_when_they_share_memory(tmp_path):
    base = torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last)
    content = {
        "state": {0: {"momentum": base, "view": base[0]}, 1: {"step": torch.tensor(3.0)}},
        "int": torch.arange(3),
    }
    write_checkpoint(tmp_path / "c", content, identity={})
    read = read_checkpoint(tmp_path / "c")
    assert torch.equal(read["state"][0]["momentum"], base)
    assert torch.equal(read["state"][0]["view"], base[0])
    assert torch.equal(read["int"], torch.arange(3))


@pytest.mark.parametrize("kept", [0, 3, 8, 40, -1])
def test_a_truncated_checkpoint_is_refused(tmp_path, kept):
    path = tmp_path / "c"
    write_checkpoint(path, {"a": torch.ones(10)}, identity={})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match="truncated"):
        read_checkpoint(path)


def test_a_checkpoint_of_another_configuration_names_what_differs(tmp_path):
    write_checkpoint(tmp_path / "c", {}, identity={"seed": 0, "layers": (1, 2)})
    assert read_checkpoint(tmp_path / "c", identity={"seed": 0, "layers": [1, 2]}) == {}
    with pytest.raises(CheckpointError, match=r"differs in seed \(0 there, 1 here\)"):
        read_checkpoint(tmp_path / "c", identity={"seed": 1, "layers": [1, 2]})


def test_files_of_others_and_of_the_future_are_refused(tmp_path):
    save_file({"a": torch.ones(1)}, tmp_path / "other")
    with pytest.raises(CheckpointError, match="not a checkpoint of archgrad"):
        read_checkpoint(tmp_path / "other")
    future = {"format": "archgrad.checkpoint", "version": "99"}
    save_file({"a": torch.ones(1)}, tmp_path / "future", metadata=future)
    with pytest.raises(CheckpointError, match="newer archgrad"):
        read_checkpoint(tmp_path / "future")
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        read_checkpoint(tmp_path / "absent")


def test_values_that_cannot_be_stored_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(TypeError, match="cannot store a set"):
        write_checkpoint(tmp_path / "c", {"a": {1}}, identity={})
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_previous_checkpoint(tmp_path):
    """A limit on the size of files stands in for a full disk: the write fails halfway through."""
    path = tmp_path / "c"
    write_checkpoint(path, {"a": torch.zeros(8)}, identity={})
    code = (
        "import torch; from pathlib import Path; from archgrad.runs import write_checkpoint\n"
        f"write_checkpoint(Path({str(path)!r}), {{'a': torch.ones(100_000)}}, identity={{}})"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)),
        check=False,
    )
    assert ended.returncode != 0
    assert "OSError" in ended.stderr
    assert torch.equal(read_checkpoint(path)["a"], torch.zeros(8))
    assert [file.name for file in tmp_path.iterdir()] == ["c"]
