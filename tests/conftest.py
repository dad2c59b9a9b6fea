"""All annotations of the library are checked while the tests run: shapes by jaxtyping, types by beartype."""

import copy
import os
import signal
import sys
import types

from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

# An int passes for a float, as PEP 484 has it; the hook wants the checker's name, hence the module.
_checker = types.ModuleType("archgrad_checker")
_checker.check = beartype(conf=BeartypeConf(is_pep484_tower=True))  # pyright: ignore[reportAttributeAccessIssue]
sys.modules["archgrad_checker"] = _checker
install_import_hook("archgrad", "archgrad_checker.check")

import pytest  # noqa: E402  after the hook, as everything that may import the library
import torch  # noqa: E402


@pytest.fixture(scope="session")
def tiny_space():
    """A space small enough for whole searches within a test: [5, 4] logits, two classes, grey images."""
    from archgrad.spaces import ConvCellSpace

    candidates = ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3")
    return ConvCellSpace(channels=4, layers=3, num_classes=2, in_channels=1, nodes=2, candidates=candidates)


@pytest.fixture(scope="session")
def tiny_data():
    """24 grey 8×8 images: noise, and a brighter upper half in class 1."""
    from archgrad.data import ImageData

    labels = torch.arange(24) % 2
    images = torch.randn(24, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    images[:, :, :4] += labels.view(-1, 1, 1, 1)
    return ImageData(images, labels, ("dark", "bright"))


@pytest.fixture(scope="session")
def stop_at():
    """A callback that presses Ctrl-C during a step, and saves the state when told that the step is whole."""
    from archgrad import Callback

    class Stop(Callback):
        def __init__(self, step):
            self.step = step
            self.saved = None

        def on_step(self, loop, info):
            if loop.state.progress.step == self.step:
                os.kill(os.getpid(), signal.SIGINT)

        def on_interrupt(self, loop):
            self.saved = copy.deepcopy(loop.state.state_dict())

    return Stop


@pytest.fixture(scope="session")
def load_from():
    """A callback that begins a run with a saved state."""
    from archgrad import Callback

    class Load(Callback):
        def __init__(self, saved):
            self.saved = saved

        def on_start(self, loop):
            loop.state.load_state_dict(self.saved)

    return Load
