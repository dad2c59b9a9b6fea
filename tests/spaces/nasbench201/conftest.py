"""A space of NAS-Bench-201 that is small enough for every test, and architectures of its table."""

import pytest


@pytest.fixture(scope="session")
def small():
    """One cell a stage, 4, 8 and 16 channels, three classes of grey images."""
    from archgrad.spaces.nasbench201 import NASBench201Space

    return NASBench201Space(channels=4, cells=1, num_classes=3, in_channels=1)


@pytest.fixture(scope="session")
def mixed_cell():
    """A cell with each of the five operations, one of them twice."""
    from archgrad.spaces.nasbench201 import parse

    return parse(
        "|nor_conv_3x3~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|skip_connect~0|none~1|nor_conv_3x3~2|",
    )
