"""Will it fit? What a step needs beside what there is, before hours of work end in a killed process."""

import os
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

GIBIBYTE = 2**30

ALLOCATION = {"cpu": 1.33}
"""What a device's allocator takes for tensors of many sizes that come and go, over what they hold; elsewhere 1.

Measured with glibc's on trellis searches: 1.28 to 1.39. MALLOC_MMAP_THRESHOLD_=131072 makes it 1.02, at half the speed.
"""


def available_bytes(device: torch.device) -> int | None:
    """How many bytes `device` could give this process; None where that is unknown.

    A GPU: what is free, and what PyTorch holds without using it. The CPU: all of the machine's memory, whoever uses it
    now, because caches give way; a container's own limit is not seen.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type != "cpu":
        return None
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # systems without sysconf, or without these names
        return None


def require_memory(estimate: int, device: torch.device, *, lower: str) -> None:
    """Raise a ValueError that says what to `lower` if `estimate` bytes are more than `device` has.

    Where it is unknown how much there is, nothing is raised.
    """
    available = available_bytes(device)
    if available is not None and estimate > available:
        raise ValueError(
            f"device: a step would take about {estimate / GIBIBYTE:.1f} GiB, but {str(device)!r} has "
            f"{available / GIBIBYTE:.1f} GiB; lower {lower}."
        )


class LiveTensors(TorchDispatchMode):
    """Within the context, counts the bytes of the tensors that operations make, as long as somebody holds them.

    `trace` has the sum after each operation, `peak` the largest one. Tensors that were there before are not counted,
    and neither is what kernels take for themselves and give back.

    >>> with LiveTensors() as live:
    ...     x = torch.zeros(1000)
    ...     y = (x + 1).sum()
    >>> live.peak, live.current  # x, x + 1 and the sum; then x and the sum
    (8004, 4004)
    """

    def __init__(self) -> None:
        super().__init__()
        self.current = 0
        self.trace: list[int] = []
        self._known: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                self._note(tensor)
        self.trace.append(self.current)
        return made

    @property
    def peak(self) -> int:
        """The largest sum after an operation; 0 without any."""
        return max(self.trace, default=0)

    def _note(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self._known:
            self._known[key] = storage.nbytes()
            self.current += storage.nbytes()
            weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self.current -= self._known.pop(key)


def extrapolated_peak(
    step: Callable[[int], object], *, sides: tuple[int, int], pixels: int, overhead: float = 1.0
) -> int:
    """The peak of live tensors, in bytes, of a step on a batch of `pixels` pixels in all, from two small steps.

    `step(side)` does a step on two images of `side` × `side`, with about the same operations. What is live
    after each operation is a constant, such as gradients of the weights, and a part that grows with the pixels. Both
    follow from the two steps, operation by operation, because the peak lies elsewhere in small steps, where weights
    outweigh images. The growing part is multiplied by `overhead`: see `ALLOCATION`.
    """
    traces = []
    for side in sides:
        with LiveTensors() as live:
            step(side)
        traces.append(np.array(live.trace, dtype=np.float64))
    if len(traces[0]) != len(traces[1]):  # where a few small operations differ, the same share of a step is compared
        places = np.linspace(0, len(traces[1]) - 1, len(traces[0]))
        traces[1] = np.interp(places, np.arange(len(traces[1])), traces[1])
    small, large = (2 * side**2 for side in sides)
    slopes = (traces[1] - traces[0]) / (large - small)
    constants = traces[0] - slopes * small
    return round(float((constants + overhead * slopes * pixels).max()))
