"""Seconds to the first step and seconds per step of a supernet in JAX, against the PyTorch engine in the same run.

    python benchmarks/jax_steps.py

Both take the same steps of the same space on the same batch, a process each, one after the other. The third column has
XLA's own grouped convolutions in place of `archgrad.jax.depthwise`. Afterwards the depthwise convolution by itself.
"""

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

KINDS = ("PyTorch", "JAX", "JAX, grouped convolutions")


def measure(kind: str, options: argparse.Namespace, method: str) -> tuple[float, float]:
    """Seconds from a made state to the end of the first step, and the median of those after it."""
    step = torch_step(options, method) if kind == KINDS[0] else jax_step(options, method, grouped=kind == KINDS[2])
    started = time.perf_counter()
    step()
    first = time.perf_counter() - started
    times = []
    for _ in range(options.steps):
        started = time.perf_counter()
        step()
        times.append(time.perf_counter() - started)
    return first, statistics.median(times)


def space_of(options: argparse.Namespace) -> Any:
    """The space that both sides search."""
    from archgrad.spaces import ConvCellSpace

    return ConvCellSpace(channels=options.channels, layers=options.layers, nodes=options.nodes)


def torch_step(options: argparse.Namespace, method: str) -> Callable[[], object]:
    """A step of the PyTorch driver."""
    import torch

    from archgrad import Searcher

    searcher = Searcher(space_of(options), steps_per_epoch=100, method=method, device="cpu")
    state = searcher.init(0)
    images = torch.randn(options.batch, 3, options.size, options.size).contiguous(memory_format=torch.channels_last)
    batch = images, torch.arange(options.batch) % 10
    return lambda: searcher.step(state, batch, batch)


def jax_step(options: argparse.Namespace, method: str, *, grouped: bool) -> Callable[[], object]:
    """A compiled step; with `grouped` depthwise convolutions are lowered as on other devices."""
    import jax
    import jax.numpy as jnp
    from jax.interpreters import mlir

    from archgrad.jax import depthwise, init_search, search_step

    if grouped:
        for primitive, lowered in (
            (depthwise._convolution, depthwise._convolve),
            (depthwise._correlation, depthwise._correlate),
        ):
            mlir.register_lowering(primitive, mlir.lower_fun(lowered, multiple_results=False), platform="cpu")
    state = [init_search(space_of(options), steps_per_epoch=100, method=method)]
    images = jax.random.normal(jax.random.key(0), (options.batch, options.size, options.size, 3))
    batch = images, jnp.arange(options.batch) % 10

    def step() -> None:
        state[0], _ = jax.block_until_ready(search_step(state[0], batch, batch))

    return step


def convolutions(size: int) -> list[tuple[str, float, float]]:
    """The depthwise convolution alone: (what, seconds here, seconds of XLA's grouped one)."""
    import jax

    from archgrad.jax import depthwise

    x = jax.random.normal(jax.random.key(0), (32, 16, 16, 40))
    kernel = jax.random.normal(jax.random.key(1), (size, size, 1, 40))
    rows = []
    functions = (depthwise.depthwise_convolution, lambda *a: depthwise._convolve(*a, stride=1, dilation=1))
    for what, derive in (
        ("forward", lambda f: f),
        ("both gradients", lambda f: jax.grad(lambda *a: (f(*a) ** 2).sum(), argnums=(0, 1))),
    ):
        compiled = [jax.jit(derive(function)) for function in functions]
        rows.append((f"{size}×{size}, {what}", *(_seconds(function, x, kernel) for function in compiled)))
    return rows


def _seconds(function: Callable[..., Any], *arguments: Any) -> float:
    import jax

    times = []
    for _ in range(12):
        started = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        times.append(time.perf_counter() - started)
    return statistics.median(times[2:])


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--size", type=int, default=16)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--methods", nargs="+", default=["darts-first-order", "darts-second-order"])
    options = parser.parse_args(arguments)
    print(f"C={options.channels}, L={options.layers}, {options.nodes} nodes, all candidates, batch {options.batch}")
    spawn = multiprocessing.get_context("spawn")
    for method in options.methods:
        base = None
        for kind in KINDS:
            with spawn.Pool(1) as pool:
                first, step = pool.apply(measure, (kind, options, method))
            base = step if base is None else base
            print(
                f"{method:<20} {kind:<26} first {first:7.1f} s   step {step:7.3f} s   {step / base:5.2f}×", flush=True
            )
    for size in (3, 5):
        for what, ours, grouped in convolutions(size):
            print(
                f"depthwise {what:<22} {1e3 * ours:7.2f} ms   grouped {1e3 * grouped:7.2f} ms   {ours / grouped:5.2f}×"
            )


if __name__ == "__main__":
    main()
