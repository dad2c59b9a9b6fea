"""How cells and residual blocks are stacked: the one table from which supernet and derived network are both built."""

from dataclasses import dataclass

STAGES = 3
"""Stretches of cells of equal size; a residual block that halves the size stands between two of them."""


@dataclass(frozen=True)
class Block:
    """One module of the stack: a cell, or a residual block that `halves` the size and changes the channels."""

    channels_in: int
    channels: int
    halves: bool


def stack(channels: int, cells: int) -> tuple[Block, ...]:
    """Plan three stages of `cells` cells with C, 2C and 4C channels, and a residual block between two stages.

    Reference: arXiv:2001.00326, section 2.1, Figure 1.

    >>> [(block.channels, block.halves) for block in stack(16, 1)]
    [(16, False), (32, True), (32, False), (64, True), (64, False)]
    """
    blocks = [Block(channels, channels, halves=False)] * cells
    for _ in range(STAGES - 1):
        blocks.append(Block(channels, 2 * channels, halves=True))
        channels = 2 * channels
        blocks += [Block(channels, channels, halves=False)] * cells
    return tuple(blocks)
