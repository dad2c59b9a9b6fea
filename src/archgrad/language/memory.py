"""Will it fit? A rough count of the bytes that a step on text needs, before hours of work end in a killed process.

What grows without warning is the scores: time × batch × vocabulary numbers, three times over. A vocabulary of 33,000
tokens at the batch of the search on Penn Treebank takes ten times the memory of the weights and more.
"""

import os

import torch

from archgrad.checks import whole

BYTES = 4
"""Of a float32. With bfloat16 products the scores exist in both precisions, so that nothing is saved on them."""

GIBIBYTE = 2**30


def estimate_bytes(
    *,
    parameters: int,
    vocabulary_size: int,
    hidden_size: int,
    batch_size: int,
    sequence_length: int,
    copies: int = 4,
    states: int = 16,
) -> int:
    """About how many bytes the peak of a training step holds: 4 (`copies` P + 3 T B V + `states` T B H).

    P `parameters`: weights, gradient, and two more `copies` in a training (their running mean and the best so far).
    T `sequence_length`, B `batch_size`, V `vocabulary_size`: scores, log-softmax and the gradient of the scores.
    H `hidden_size`: `states` counts the vectors of that size that a cell keeps for each token until gradients have gone
    back; an LSTM keeps about 16, a cell of eight nodes about 50, a supernet some hundreds.

    It leaves out the text, the libraries (about 0.5 GiB) and the allocator's waste, so it is a lower bound more than an
    upper one.

    Raises:
        ValueError: a number that is not whole, or below 1 (0 for `parameters`, `copies`, `states`).

    >>> estimate_bytes(parameters=100, vocabulary_size=50, hidden_size=8, batch_size=2, sequence_length=5)
    12720
    """
    sizes = {
        "vocabulary_size": vocabulary_size,
        "hidden_size": hidden_size,
        "batch_size": batch_size,
        "sequence_length": sequence_length,
    }
    for name, value in sizes.items():
        whole(name, value, 1)
    for name, value in {"parameters": parameters, "copies": copies, "states": states}.items():
        whole(name, value, 0)
    tokens = sequence_length * batch_size
    return BYTES * (copies * parameters + tokens * (3 * vocabulary_size + states * hidden_size))


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


def require_memory(estimate: int, device: torch.device) -> None:
    """Raise a ValueError that says what to lower if `estimate` bytes are more than `device` has.

    Where it is unknown how much there is, nothing is raised.
    """
    available = available_bytes(device)
    if available is not None and estimate > available:
        raise ValueError(
            f"device: a step would take about {estimate / GIBIBYTE:.1f} GiB, but {str(device)!r} has "
            f"{available / GIBIBYTE:.1f} GiB; lower batch_size, sequence_length, the vocabulary_size of the corpus, or "
            f"the size of the network."
        )
