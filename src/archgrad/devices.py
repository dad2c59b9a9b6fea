"""Where the work runs, and in which precision: one code path for CPU and CUDA."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch

from archgrad.checks import one_of

PRECISIONS = ("float32", "bfloat16")


def resolve_device(device: str | torch.device) -> torch.device:
    """Turn "auto" into CUDA where there is one and the CPU elsewhere; any other device as named.

    Raises:
        ValueError: the device is unknown to torch or not available here.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device: {device!r} is unknown; allowed: auto, cpu, cuda, cuda:0, …") from error
    if resolved.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device: {str(device)!r} is not available on this machine; allowed here: auto, cpu.")
    return resolved


def preserved_randomness(device: torch.device) -> AbstractContextManager[None]:
    """Give torch's own generators, of the CPU and of `device`, back as they were when the context ends."""
    return torch.random.fork_rng([device] if device.type == "cuda" else [])


@contextmanager
def drawn_from(seed: int) -> Iterator[None]:
    """Weights that are made within the context follow from the seed, and torch's own generator stays as it was."""
    with preserved_randomness(torch.device("cpu")):  # where weights are drawn
        torch.default_generator.manual_seed(seed)
        yield


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Run matrix products and convolutions in bfloat16 where `precision` says so; weights stay in float32."""
    enabled = one_of("precision", precision, PRECISIONS) == "bfloat16"
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)
