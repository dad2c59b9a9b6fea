"""What there is, what is refused, and the count of live tensors."""

import os

import pytest
import torch

from archgrad import memory
from archgrad.memory import LiveTensors, available_bytes, extrapolated_peak, require_memory


def test_the_machine_has_its_pages():
    assert available_bytes(torch.device("cpu")) == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert available_bytes(torch.device("meta")) is None


def test_where_nothing_is_known_nothing_is_refused(monkeypatch):
    def unknown(name):
        raise ValueError(name)

    monkeypatch.setattr(memory.os, "sysconf", unknown)
    assert available_bytes(torch.device("cpu")) is None
    require_memory(2**80, torch.device("cpu"), lower="everything")


def test_what_cannot_fit_is_refused_with_what_to_lower(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda device: 2**31)
    require_memory(2**31, torch.device("cpu"), lower="batch_size")
    message = r"device: a step would take about 3\.0 GiB, but 'cpu' has 2\.0 GiB; lower batch_size\."
    with pytest.raises(ValueError, match=message):
        require_memory(3 * 2**30, torch.device("cpu"), lower="batch_size")


def test_what_the_graph_holds_counts_until_it_is_gone():
    weight = torch.ones(100, requires_grad=True)
    with LiveTensors() as live:
        squared = (weight * 2).square()  # 2w, which the square keeps for its gradient, and the square itself
        held = live.current
        squared.sum().backward()
        del squared
        after = live.current
    assert held == 800
    assert after == 400  # the gradient
    assert live.peak >= 1200


def test_views_are_no_tensors_of_their_own():
    with LiveTensors() as live:
        x = torch.zeros(10)
        parts = [x[:5], x.view(2, 5), x.reshape(5, 2)]
    assert live.current == live.peak == 40
    assert len(parts) == 3


def test_each_operation_is_linear_in_the_pixels():
    """A constant, an image, its double and the sum: extrapolation is exact."""

    def step(side):
        constant, images = torch.zeros(1000), torch.zeros(2, 1, side, side)
        return constant, images * 2 + 1

    pixels = 2 * 100 * 100
    found = extrapolated_peak(step, sides=(4, 8), pixels=pixels)
    with LiveTensors() as live:
        step(100)
    assert found == live.peak == 4 * (3 * pixels + 1000)
    assert extrapolated_peak(step, sides=(4, 8), pixels=pixels, overhead=2.0) == 4 * (6 * pixels + 1000)


def test_the_peak_may_lie_elsewhere_in_a_large_step():
    """A constant that comes and goes outweighs small images, and not large ones."""

    def step(side):
        torch.zeros(1000)
        return torch.zeros(2, side, side)

    assert extrapolated_peak(step, sides=(2, 4), pixels=8) == 4000
    assert extrapolated_peak(step, sides=(2, 4), pixels=2000) == 8000


def test_a_few_operations_may_differ():
    """Here a view more in the larger step, while the image is live."""

    def step(side):
        images = [torch.zeros(2, side, side)]
        for _ in range(20 + side // 8):
            images.append(images[0][:1])

    assert extrapolated_peak(step, sides=(4, 8), pixels=1000) == pytest.approx(4000, rel=0.01)
