"""Searches per minute: many seeds at once with `jax.vmap`, against as many runs in turn.

    python benchmarks/jax_seeds.py

The space, data and method are those of the example in docs/jax.md. Both compile once; figures are with and without.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from archgrad.data import Augmentation, load
from archgrad.jax import SearchState, arrays, init_search, search_epoch
from archgrad.spaces import ConvCellSpace

CANDIDATES = ("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3")
BATCH = 64


def timed(function: Callable[[], Any]) -> float:
    """Seconds until the results are there."""
    started = time.perf_counter()
    jax.block_until_ready(function())
    return time.perf_counter() - started


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--method", default="darts-first-order")
    options = parser.parse_args(arguments)
    train_set, _ = load("digits")
    images, labels = arrays(train_set, Augmentation(crop_padding=0, flip=False).fitted(train_set))
    half = len(images) // 2
    train, validation = (images[:half], labels[:half]), (images[half:], labels[half:])
    space = ConvCellSpace(channels=8, layers=3, nodes=options.nodes, candidates=CANDIDATES, in_channels=1)

    def init(seed: Any) -> SearchState:
        return init_search(
            space, steps_per_epoch=half // BATCH, method=options.method, epochs=options.epochs, seed=seed
        )

    def epoch(state: SearchState) -> SearchState:
        return search_epoch(state, train, validation, batch_size=BATCH)[0]

    def search(state: SearchState, step: Callable[[SearchState], SearchState]) -> SearchState:
        for _ in range(options.epochs):
            state = step(state)
        return state

    epochs_at_once = jax.jit(jax.vmap(epoch))
    starts = [init(seed) for seed in range(options.seeds)]
    together = jax.vmap(init)(jnp.arange(options.seeds))
    print(f"{options.seeds} seeds, {options.epochs} epochs of {half // BATCH} steps, {options.method}")
    for name, compile_it, run in (
        ("in turn", lambda: epoch(starts[0]), lambda: [search(state, epoch) for state in starts]),
        ("at once", lambda: epochs_at_once(together), lambda: search(together, epochs_at_once)),
    ):
        compiling, running = timed(compile_it), timed(run)
        rate, whole = (60 * options.seeds / seconds for seconds in (running, compiling + running))
        print(
            f"{name}: first epoch {compiling:.1f} s, searches {running:.1f} s, "
            f"{rate:.1f} searches per minute, {whole:.1f} with the compilation",
            flush=True,
        )


if __name__ == "__main__":
    main()
