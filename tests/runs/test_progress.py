"""What the user sees of a run."""

import io

from rich.console import Console

from archgrad.genotype import DARTS_V2
from archgrad.loop import Loop, Progress
from archgrad.runs.progress import PlainLines, ProgressBar, progress


class State:
    def __init__(self):
        self.progress = Progress()

    def state_dict(self):
        return {}

    def load_state_dict(self, saved): ...


def play(callback):
    """Two epochs of one step, as the loop tells them."""
    loop = Loop("search", State(), 2, 1, genotype=lambda: DARTS_V2)
    callback.on_start(loop)
    for epoch in (1, 2):
        loop.state.progress.step += 1
        callback.on_step(loop, {"train_loss": 1.5})
        callback.on_epoch(loop, {"epoch": epoch, "train_loss": 1.5, "train_accuracy": 0.25})
    callback.on_end(loop)
    callback.on_exit(loop)


def test_a_pipe_gets_plain_lines_and_a_terminal_a_bar():
    assert isinstance(progress("search", console=Console(file=io.StringIO())), PlainLines)
    terminal = Console(file=io.StringIO(), force_terminal=True)
    assert isinstance(progress("search", console=terminal), ProgressBar)
    assert isinstance(progress("search", quiet=True, console=terminal), PlainLines)


def test_plain_lines_hold_losses_accuracies_and_the_strongest_operations():
    output = io.StringIO()
    play(PlainLines("search", Console(file=output)))
    text = output.getvalue()
    assert "search: 2 epochs of 1 steps" in text
    assert "epoch 2/2 · loss 1.500 train · accuracy 25.0 % train" in text
    assert "normal: 5 sep_conv_3x3, 2 skip_connect, 1 dil_conv_3x3" in text
    assert "\x1b" not in text


def test_the_bar_counts_steps_and_stops():
    output = io.StringIO()
    bar = ProgressBar("search", Console(file=output, force_terminal=True, width=120))
    play(bar)
    assert "2/2" in output.getvalue()
    assert "sep_conv_3x3" in output.getvalue()
    assert bar.bar.finished
