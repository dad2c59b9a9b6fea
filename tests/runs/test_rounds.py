"""What the user sees of a search for an equation."""

import io
from types import SimpleNamespace

from rich.console import Console

from archgrad.runs.rounds import RoundLines, RoundStatus, rounds


class Law(str):
    complexity = 3


class Progress(SimpleNamespace):
    """Counts how often the best law was asked for, which costs time."""

    asked = 0

    @property
    def best(self):
        Progress.asked += 1
        return self.law and Law(self.law)


LAWS = [(1.0, None), (0.5, "2*x [red]"), (0.5, "2*x [red]"), (0.25, "y" * 300)]


def play(monitor):
    with monitor:
        for number, (loss, law) in enumerate(LAWS, start=1):
            losses = [loss for loss, _ in LAWS[:number]]
            monitor(Progress(seconds=1.5, round=number, candidates=1000 * number, stage="laws", law=law, losses=losses))


def test_a_pipe_gets_plain_lines_and_a_terminal_one_that_changes():
    terminal = Console(file=io.StringIO(), force_terminal=True)
    assert isinstance(rounds("equation", console=Console(file=io.StringIO())), RoundLines)
    assert isinstance(rounds("equation", console=terminal), RoundStatus)
    assert isinstance(rounds("equation", quiet=True, console=terminal), RoundLines)


def test_plain_lines_say_what_is_new():
    output = io.StringIO()
    Progress.asked = 0
    play(rounds("equation", console=Console(file=output)))
    assert output.getvalue().splitlines() == [
        "equation: round 1 · 1.5 s · 1,000 candidates · laws · held-out loss 1",
        "equation: round 2 · 1.5 s · 2,000 candidates · laws · held-out loss 0.5 · complexity 3 · 2*x [red]",
        f"equation: round 4 · 1.5 s · 4,000 candidates · laws · held-out loss 0.25 · complexity 3 · {'y' * 99}…",
    ]
    assert Progress.asked == 3


def test_plain_lines_do_not_stay_silent_for_long():
    output = io.StringIO()
    play(RoundLines("equation", Console(file=output), silence=0.0))
    assert len(output.getvalue().splitlines()) == len(LAWS)


def test_better_equations_stay_on_a_terminal():
    output = io.StringIO()
    play(rounds("equation", console=Console(file=output, force_terminal=True, width=120)))
    shown = output.getvalue()
    assert shown.count("2*x [red]") == 1
    assert "\x1b[?25h" in shown  # the cursor is back
