"""All annotations of the library are checked while the tests run: shapes by jaxtyping, types by beartype."""

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
