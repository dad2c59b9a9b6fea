"""Learning rates by epoch or step, as pure functions, so that nothing about a schedule has to be saved."""

import math


def cosine(initial: float, final: float, *, epoch: int, epochs: int) -> float:
    """η(t) = final + (initial − final) (1 + cos(π t / T)) / 2 at epoch t = 0 … T − 1 (arXiv:1608.03983, Eq. 5).

    >>> [round(cosine(0.1, 0.0, epoch=epoch, epochs=4), 4) for epoch in range(4)]
    [0.1, 0.0854, 0.05, 0.0146]
    """
    return final + (initial - final) * (1 + math.cos(math.pi * epoch / epochs)) / 2


def exponential(initial: float, decay: float, *, epoch: int) -> float:
    """η(t) = initial · decay^t."""
    return initial * decay**epoch


def poly(initial: float, power: float, *, step: int, steps: int) -> float:
    """η(t) = initial · (1 − t / T)^power at step t = 0 … T − 1 (arXiv:1606.00915, section 4.1.1).

    >>> [round(poly(0.05, 0.9, step=step, steps=4), 4) for step in range(4)]
    [0.05, 0.0386, 0.0268, 0.0144]
    """
    return initial * (1 - step / steps) ** power


def warmed_up(rate: float, *, epoch: int, warmup_epochs: int) -> float:
    """Raise the rate linearly over the first epochs: rate · (t + 1) / warmup_epochs, then the rate itself.

    Both may be counted in steps as well.
    """
    return rate * min(1.0, (epoch + 1) / warmup_epochs) if warmup_epochs else rate
