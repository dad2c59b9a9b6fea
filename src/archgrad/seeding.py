"""Randomness as a function of a key: what is random is derived from (seed, purpose, counters), never from hidden state.

A search that is stopped anywhere and resumed draws the same numbers as one that was not, because the counters are part
of its saved state and the generators are made anew from them.
"""

import hashlib

import torch


def derive(seed: int, *key: int | str) -> int:
    """Mix a seed and a key into a 63-bit seed; different keys give independent streams on every platform.

    >>> derive(0, "permutation", 3) == derive(0, "permutation", 3)
    True
    >>> derive(0, "permutation", 3) == derive(0, "permutation", 4)
    False
    """
    digest = hashlib.blake2b(repr((seed, *key)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(seed: int, *key: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """Make the generator of a key on `device`."""
    return torch.Generator(device).manual_seed(derive(seed, *key))
