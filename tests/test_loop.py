"""When things happen in a run: steps, epochs, stops and interruptions, with a state that only counts."""

import os
import signal
import threading
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgrad.loop import Callback, Loop, Progress, deferred_interruption, out_of_patience, run


@dataclass
class Counter:
    progress: Progress = field(default_factory=Progress)

    def state_dict(self):
        return {}

    def load_state_dict(self, saved):
        raise NotImplementedError


class Log(Callback):
    def __init__(self):
        self.events = []

    def on_step(self, loop, info):
        self.events.append(info["value"])

    def on_epoch(self, loop, record):
        self.events.append(record)

    def on_interrupt(self, loop):
        self.events.append("interrupt")

    def on_end(self, loop):
        self.events.append("end")

    def on_exit(self, loop):
        self.events.append("exit")


def start(state, *, epochs=2, stop=lambda history: False, callbacks=(), advance=None):
    """Run epochs of two steps whose metric is the step's number."""

    def step():
        state.progress.step += 1
        metrics = {"value": float(state.progress.step)}
        state.progress.add(metrics, 1)
        return metrics

    run(
        Loop("test", state, epochs, 2),
        advance or step,
        describe_epoch=lambda: {"described": True},
        should_stop=stop,
        callbacks=callbacks,
    )
    return state.progress


def timeless(record):
    return {name: value for name, value in record.items() if name != "seconds"} if isinstance(record, dict) else record


def test_order_of_events_and_records():
    log = Log()
    start(Counter(), callbacks=[log])
    first = {"epoch": 1, "step": 2, "described": True, "value": 1.5}
    second = {"epoch": 2, "step": 4, "described": True, "value": 3.5}
    assert [timeless(event) for event in log.events] == [1.0, 2.0, first, 3.0, 4.0, second, "end", "exit"]


def test_goes_on_from_the_step_of_the_state():
    state = Counter(Progress(step=1, sums={"value": 1.0}, counts={"value": 1}))
    progress = start(state)
    assert [timeless(record)["value"] for record in progress.history] == [1.5, 3.5]


def test_a_finished_run_takes_no_step():
    log = Log()
    progress = start(Counter(Progress(step=4)), callbacks=[log])
    assert progress.step == 4
    assert log.events == ["end", "exit"]


def test_stops_between_epochs_only():
    asked = []
    progress = start(Counter(), epochs=5, stop=lambda history: asked.append(len(history)) or len(history) == 2)
    assert progress.step == 4
    assert asked == [0, 1, 2]


@pytest.mark.parametrize("event", ["on_step", "on_epoch"])
def test_a_callback_can_end_the_run_after_the_running_epoch(event):
    class Enough(Log):
        pass

    def stop(self, loop, *others):
        getattr(Log, event)(self, loop, *others)
        if loop.state.progress.step >= 3:
            loop.stop()

    setattr(Enough, event, stop)
    log = Enough()
    progress = start(Counter(), epochs=5, callbacks=[log])
    assert progress.step == 4
    assert [timeless(record)["epoch"] for record in progress.history] == [1, 2]
    assert log.events[-2:] == ["end", "exit"]


def test_a_run_that_is_stopped_at_its_start_takes_no_step():
    state, loop_of = Counter(), []

    class Never(Callback):
        def on_exit(self, loop):
            loop_of.append(loop)

    loop = Loop("test", state, 2, 2)
    loop.stop()
    run(loop, dict, describe_epoch=dict, should_stop=lambda history: False, callbacks=[Never()])
    assert (state.progress.step, loop_of) == (0, [loop])


def test_exit_comes_after_an_error_too():
    log = Log()

    def fail():
        raise FloatingPointError

    with pytest.raises(FloatingPointError):
        start(Counter(), callbacks=[log], advance=fail)
    assert log.events == ["exit"]


def test_interruption_is_held_back_until_the_step_is_whole():
    log = Log()
    state = Counter()

    def step():
        os.kill(os.getpid(), signal.SIGINT)
        state.progress.step += 1
        return {"value": 0.0}

    with pytest.raises(KeyboardInterrupt):
        start(state, callbacks=[log], advance=step)
    assert log.events == [0.0, "interrupt", "exit"]


def test_other_threads_leave_signals_alone():
    handler, seen = signal.getsignal(signal.SIGINT), []

    def work():
        with deferred_interruption() as interruption:
            seen.append((interruption.requested, signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, handler)]


def test_means_are_weighted_by_examples():
    progress = Progress()
    progress.add({"loss": 1.0}, 3)
    progress.add({"loss": 3.0, "late": 2.0}, 1)
    assert progress.means() == {"loss": 1.5, "late": 2.0}
    assert progress.close_epoch({"epoch": 1}) == {"epoch": 1, "loss": 1.5, "late": 2.0}
    assert progress.means() == {}
    assert progress.history == [{"epoch": 1, "loss": 1.5, "late": 2.0}]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 5), max_size=8), st.integers(0, 3))
def test_patience(values, patience):
    """The first of the lowest values lies `patience` epochs back or more; epochs without the metric do not count."""
    history = [{"other": 0.0}, *({"loss": float(value)} for value in values)]
    newer = len(values) - 1 - values.index(min(values)) if values else 0
    assert out_of_patience(history, metric="loss", patience=patience) == (patience > 0 and newer >= patience)
