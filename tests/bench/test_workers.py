"""Processes that crash, raise or hang cost their own task only."""

import multiprocessing
import os

import pytest

from archgrad.bench.workers import ONE_THREAD, run_tasks


def test_each_task_has_its_own_outcome():
    before, running = dict(os.environ), set(multiprocessing.active_children())
    hang, crash = "__import__('time').sleep(600)", "__import__('os')._exit(3)"
    tasks = ["6*7", "1/0", hang, crash, "__import__('torch').get_num_threads()", "__import__('os').getpid()"]
    found = {outcome.task: outcome for outcome in run_tasks(eval, tasks, jobs=2, seconds=3)}
    assert set(found) == set(tasks)
    assert found["6*7"].value == 42
    assert found["1/0"].error == "ZeroDivisionError: division by zero"
    assert (found[hang].killed, found[hang].error) == (True, "killed after 3 seconds")
    assert found[hang].seconds >= 3
    assert (found[crash].killed, found[crash].error) == (False, "the process ended with code 3")
    assert found[tasks[4]].value == 1
    assert found[tasks[5]].value != os.getpid()
    assert dict(os.environ) == before
    assert set(multiprocessing.active_children()) <= running


def test_a_process_is_used_again_and_ends_with_the_iterator():
    running = set(multiprocessing.active_children())
    outcomes = run_tasks(eval, ["__import__('os').getpid()"] * 3, jobs=1, seconds=60)
    assert next(outcomes).value == next(outcomes).value
    outcomes.close()
    assert set(multiprocessing.active_children()) <= running


def test_a_process_that_cannot_start_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "vanishing_module.py").write_text("def work(task):\n    return task\n")
    monkeypatch.syspath_prepend(tmp_path)
    from vanishing_module import work  # pyright: ignore[reportMissingImports]

    (tmp_path / "vanishing_module.py").unlink()
    with pytest.raises(RuntimeError, match="did not start"):
        list(run_tasks(work, [1], jobs=1, seconds=60))


@pytest.mark.parametrize("change", [{"jobs": 0}, {"seconds": 0}])
def test_limits_are_checked_before_anything_starts(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        run_tasks(eval, [], **{"jobs": 1, "seconds": 1, **change})


def test_no_tasks_start_no_process():
    assert list(run_tasks(eval, [], jobs=4, seconds=1)) == []
    assert ONE_THREAD["OMP_NUM_THREADS"] == "1"
