"""Will it fit? A rough count of the bytes that a step on text needs, before hours of work end in a killed process.

What grows without warning is the scores: time × batch × vocabulary numbers, three times over. A vocabulary of 33,000
tokens at the batch of the search on Penn Treebank takes ten times the memory of the weights and more.
"""

import torch

from archgrad import memory
from archgrad.checks import whole

BYTES = 4
"""Of a float32. With bfloat16 products the scores exist in both precisions, so that nothing is saved on them."""


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


def require_memory(estimate: int, device: torch.device) -> None:
    """Raise a ValueError that says what to lower if a step of `estimate` bytes does not fit on `device`."""
    memory.require_memory(
        estimate,
        device,
        lower="batch_size, sequence_length, the vocabulary_size of the corpus, or the size of the network",
    )
