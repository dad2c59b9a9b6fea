"""The picture of a search under way is rewritten whole after every round."""

from types import SimpleNamespace

import pytest

from archgrad.report import PlotMonitor


def progress(number, losses, best=None):
    return SimpleNamespace(seconds=1.5, round=number, candidates=10 * number, stage="fit", best=best, losses=losses)


def test_every_round_rewrites_the_picture(tmp_path):
    path = tmp_path / "losses.png"
    monitor = PlotMonitor(path)
    monitor(progress(1, [1.0]))
    first = path.read_bytes()
    monitor(progress(2, [1.0, 0.0], "2.5*price $_{"))
    assert first.startswith(b"\x89PNG")
    assert path.read_bytes() != first
    assert list(tmp_path.iterdir()) == [path]


def test_pictures_can_be_spaced_in_time(tmp_path):
    monitor = PlotMonitor(tmp_path / "losses.svg", every=1000.0)
    monitor(progress(1, [1.0]))
    first = monitor.path.read_bytes()
    monitor(progress(2, [1.0, 0.5]))
    assert monitor.path.read_bytes() == first


def test_what_cannot_be_written_is_refused_before_the_search(tmp_path):
    with pytest.raises(ValueError, match=r"path: '\.gif' is unknown"):
        PlotMonitor(tmp_path / "losses.gif")
    with pytest.raises(ValueError, match=r"path: the folder of .* does not exist"):
        PlotMonitor(tmp_path / "nowhere" / "losses.png")
    with pytest.raises(ValueError, match="every: must be at least 0"):
        PlotMonitor(tmp_path / "losses.png", every=-1.0)
