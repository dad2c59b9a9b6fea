"""A search that is restored goes on bit for bit, without a new compilation; what is not its own is refused."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from archgrad.jax import member, replicate, restore, save, search_epoch
from archgrad.jax.search import _epoch

SEARCH = {"method": "snas", "steps_per_epoch": 2}  # with noise, so that the key counts


def equal(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for left, right in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        if jnp.issubdtype(left.dtype, jax.dtypes.prng_key):
            left, right = jax.random.key_data(left), jax.random.key_data(right)
        if not (left.dtype == right.dtype and np.array_equal(left, right)):
            return False
    return True


@pytest.fixture(scope="module")
def go_on(examples):
    """Takes an epoch of two steps."""
    inputs, targets = examples

    def epoch(state):
        return search_epoch(state, (inputs[:16], targets[:16]), (inputs[16:], targets[16:]), batch_size=4)[0]

    return epoch


@pytest.fixture(scope="module")
def run(start_chain, go_on, tmp_path_factory):
    """A search of three epochs, saved after each: (folder, states)."""
    folder = tmp_path_factory.mktemp("checkpoints")
    states = [go_on(start_chain(**SEARCH))]
    save(folder, states[0], keep=3)
    for _ in range(2):
        states.append(go_on(states[-1]))
        save(folder, states[-1], keep=3)
    return folder, states


def test_a_restored_search_goes_on_as_if_it_had_never_stopped(run, start_chain, go_on):
    """From another seed's initial state: weights, logits, both optimisers, key and step are those that were saved."""
    folder, states = run
    fresh = start_chain(seed=9, **SEARCH)
    compiled = _epoch._cache_size()
    found = restore(folder, fresh, step=2)
    assert equal(found, states[0])
    for expected in states[1:]:
        found = go_on(found)
        assert equal(found, expected)
    assert _epoch._cache_size() == compiled
    assert not equal(go_on(fresh), states[0])  # what the seed decides had to be restored


def test_the_latest_step_is_restored_unless_one_is_given(run, start_chain):
    folder, states = run
    assert equal(restore(str(folder), start_chain(**SEARCH)), states[2])
    assert equal(restore(folder, start_chain(**SEARCH), step=4), states[1])


def test_the_latest_states_are_kept(run, start_chain, tmp_path):
    for state in run[1]:
        save(tmp_path / "new" / "folder", state)
    with pytest.raises(ValueError, match=r"has no state of step 2; it has \[4, 6\]"):
        restore(tmp_path / "new" / "folder", start_chain(**SEARCH), step=2)


def test_searches_side_by_side_and_on_every_device_come_back_as_they_were(run, start_chain, tmp_path):
    states = run[1]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states[:2])
    save(tmp_path / "stacked", stacked)
    fresh = start_chain(seed=5, **SEARCH)
    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), fresh, fresh)
    found = restore(tmp_path / "stacked", both)
    assert equal(found, stacked)
    assert equal(member(found, 1), states[1])
    with pytest.raises(ValueError, match="the saved one has searches = '2 at once', this one 'one'"):
        restore(tmp_path / "stacked", fresh)

    save(tmp_path / "replicated", replicate(states[0]))
    for start in (fresh, replicate(fresh)):
        found = restore(tmp_path / "replicated", start)
        assert equal(found, states[0])
        for leaf, wanted in zip(jax.tree.leaves(found), jax.tree.leaves(start), strict=True):
            assert leaf.sharding.is_equivalent_to(wanted.sharding, leaf.ndim)
            assert leaf.committed == wanted.committed


def test_a_save_that_was_not_finished_does_not_count(run, start_chain, tmp_path):
    """A process that is killed leaves a folder under a temporary name."""
    states = run[1]
    save(tmp_path, states[0])
    save(tmp_path, states[1])
    (whole,) = (path for path in tmp_path.iterdir() if path.name == "4")
    whole.rename(tmp_path / "4.orbax-checkpoint-tmp-0")
    assert equal(restore(tmp_path, start_chain(**SEARCH)), states[0])
    save(tmp_path, states[1])
    assert equal(restore(tmp_path, start_chain(**SEARCH)), states[1])


SEARCHING = """
import sys
from conftest import ChainSpace, ChainSupernet
from archgrad.jax import init_search, save, search_epoch
import numpy as np

asked = dict(steps_per_epoch=2, epochs=1000, method="snas", supernet=ChainSupernet, logits_learning_rate=0.1)
state = init_search(ChainSpace(), **asked)
images = np.load(sys.argv[1])
inputs, targets = images["inputs"], images["targets"]
while True:
    state, _ = search_epoch(state, (inputs[:16], targets[:16]), (inputs[16:], targets[16:]), batch_size=4)
    save(sys.argv[2], state)
"""


def test_a_killed_search_goes_on_from_a_state_of_the_uninterrupted_one(start_chain, go_on, examples, tmp_path):
    """A real process, killed while it searches and saves: what is restored is bit for bit what was reached in time."""
    folder = tmp_path / "killed"
    np.savez(tmp_path / "examples.npz", inputs=examples[0], targets=examples[1])
    process = subprocess.Popen(
        [sys.executable, "-c", SEARCHING, str(tmp_path / "examples.npz"), str(folder)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 120
    while not (folder / "6").exists() or not any("tmp" in path.name for path in folder.iterdir()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate()

    asked = {"method": "snas", "epochs": 1000}
    found = restore(folder, start_chain(seed=9, **asked))
    expected = start_chain(**asked)
    assert 6 <= found.step <= 100
    while expected.step < found.step:
        expected = go_on(expected)
    assert equal(found, expected)
    assert equal(go_on(found), go_on(expected))


def test_steps_ascend(run):
    folder, states = run
    with pytest.raises(ValueError, match=r"folder: .* has a state of step 6 already, this one is of step 4"):
        save(folder, states[1])
    with pytest.raises(ValueError, match="keep: must be at least 1, got 0"):
        save(folder, states[1], keep=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 4}, r"the saved one has settings\.epochs = 3, this one 4"),
        ({"method": "fair-darts"}, r"the saved one has method\.\w+ = '.*', this one '.*'"),
        ({"steps_per_epoch": 3}, "the saved one has steps_per_epoch = 2, this one 3"),
    ],
)
def test_another_search_is_refused(run, start_chain, changes, message):
    with pytest.raises(ValueError, match=message):
        restore(run[0], start_chain(**SEARCH | changes))


def test_another_space_is_refused(run, start_chain):
    @dataclass(frozen=True)
    class Other:
        groups: tuple

    state = start_chain(**SEARCH)
    other = replace(state, problem=replace(state.problem, space=Other(state.problem.groups)))
    with pytest.raises(ValueError, match=r"the saved one has space\."):
        restore(run[0], other)


def test_folders_without_a_state_are_refused(start_chain, tmp_path):
    state = start_chain(**SEARCH)
    with pytest.raises(ValueError, match=r"folder: .*nowhere is not there"):
        restore(tmp_path / "nowhere", state)
    assert not (tmp_path / "nowhere").exists()
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"folder: .*file is a file"):
        restore(tmp_path / "file", state)
    (tmp_path / "file").unlink()
    with pytest.raises(ValueError, match=r"has no state; it has \[\]"):
        restore(tmp_path, state)


def test_a_folder_belongs_to_one_search(run, start_chain):
    folder, _ = run
    later = jnp.asarray(8, jnp.int32)
    with pytest.raises(ValueError, match="the saved one has key = "):
        save(folder, replace(start_chain(seed=9, **SEARCH), step=later))
    with pytest.raises(ValueError, match=r"the saved one has settings\.epochs = 3, this one 4"):
        save(folder, replace(start_chain(epochs=4, **SEARCH), step=later))


def test_other_optimisers_are_refused_by_what_they_keep(run, start_chain):
    with pytest.raises(ValueError, match=r"the saved one has arrays\..*trace.*, this one nothing of that name"):
        restore(run[0], start_chain(weight_optimizer=optax.sgd(0.1), **SEARCH))


def test_a_file_and_what_save_did_not_write_are_refused(run, start_chain, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"folder: .*file is a file"):
        save(tmp_path / "file", run[1][0])
    (tmp_path / "folder" / "3").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"folder: step 3 in .* is damaged, or was not written by `save`"):
        restore(tmp_path / "folder", start_chain(**SEARCH))
