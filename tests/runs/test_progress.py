"""What the user sees of a run."""

import io

from rich.console import Console

from archgrad.genotype import DARTS_V2, DARTS_V2_RECURRENT
from archgrad.loop import Loop, Progress
from archgrad.runs.progress import PlainLines, ProgressBar, progress, strongest, summarise


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


def test_perplexities_are_shown_where_they_are_and_not_made_up():
    losses = {"train_loss": 4.5, "validation_loss": 4.75}
    assert summarise(losses) == "loss 4.500 train, 4.750 validation"
    assert summarise({**losses, "train_perplexity": 93.13, "validation_perplexity": 101.2}) == (
        "loss 4.500 train, 4.750 validation · perplexity 93.1 train, 101.2 validation"
    )
    assert summarise({"validation_perplexity": float("inf")}) == "perplexity inf validation"


def test_the_strongest_activations_of_a_recurrent_cell():
    assert strongest(DARTS_V2_RECURRENT) == "recurrent: 3 relu, 2 sigmoid, 2 tanh, 1 identity"
