"""The relaxed recurrent cell over a whole sequence, as its equations stand and with the edges into a node bundled.

    [c0, h0] = x W0x + (h·m) W0h           s0 = BN(h + σ(c0) (tanh(h0) − h))
    [c, h]_pi = (s_p·m) W_i                s_i = BN(Σ_{p<i} Σ_{f≠none} p_pif (s_p + σ(c_pi) (f(h_pi) − s_p)))
    h_t = mean of s_1 … s_N

W_i is shared by all edges into node i, and m is a dropout mask, one for the whole sequence. BN normalises with the mean
and variance of the batch, has no parameters and no memory.

Reference: arXiv:1806.09055, section 3.1.2 and appendix A.1.2; the gate as in arXiv:1607.03474.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from archgrad.ops.dropout import masked
from archgrad.ops.recurrent import ACTIVATIONS

EPSILON = 1e-5
"""What is added to the variance of a batch, as in `torch.nn.BatchNorm1d`."""


class Sequence(NamedTuple):
    """What a relaxed cell computes with.

    `projected` x·W0x [time, batch, 2·size]; `hidden` h before the first token [batch, size]; `mask` m [batch, size] or
    None; `recurrent` W0h [size, 2·size]; `weights` W_1 … W_N [nodes, size, 2·size]; `shares` p without the column of
    `none` [edges, activations], rows by node, then predecessor; `activations` the names of the columns.
    """

    projected: Tensor
    hidden: Tensor
    mask: Tensor | None
    recurrent: Tensor
    weights: Tensor
    shares: Tensor
    activations: tuple[str, ...]


Engine: TypeAlias = Callable[[Sequence], Tensor]
"""Sequence -> the cell's outputs h_t [time, batch, size]."""


def normalise(states: Float[Tensor, "batch size"]) -> Float[Tensor, "batch size"]:
    """(s − mean) / √(variance + ε) over the batch; the variance is the biased one."""
    variance, mean = torch.var_mean(states, dim=0, correction=0)
    return (states - mean) * (variance + EPSILON).rsqrt()


def initial_state(projected: Tensor, hidden: Tensor, sequence: Sequence) -> Tensor:
    """s0 before its normalisation."""
    read = masked(hidden, sequence.mask)
    gate, candidate = torch.addmm(projected, read, sequence.recurrent).chunk(2, dim=-1)
    return hidden + gate.sigmoid() * (candidate.tanh() - hidden)


def first_edges(nodes: int) -> list[int]:
    """The row of the first edge into each node 1 … N.

    >>> first_edges(4)
    [0, 1, 3, 6]
    """
    return [node * (node + 1) // 2 for node in range(nodes)]


def per_edge(sequence: Sequence) -> Float[Tensor, "time batch size"]:
    """Evaluate every edge, activation and time step in turn: the equations to the letter, for tests and benchmarks."""
    hidden, outputs = sequence.hidden, []
    for projected in sequence.projected:
        states = [normalise(initial_state(projected, hidden, sequence))]
        for node, weight in enumerate(sequence.weights):
            total = torch.zeros_like(hidden)
            for source, state in enumerate(states):
                gate, candidate = (masked(state, sequence.mask) @ weight).chunk(2, dim=-1)
                for column, name in enumerate(sequence.activations):
                    share = sequence.shares[first_edges(len(sequence.weights))[node] + source, column]
                    value = ACTIVATIONS[name].function(candidate)
                    total = total + share * (state + gate.sigmoid() * (value - state))
            states.append(normalise(total))
        hidden = torch.stack(states[1:]).mean(dim=0)
        outputs.append(hidden)
    return torch.stack(outputs)


def bundled(sequence: Sequence) -> Float[Tensor, "time batch size"]:
    """Evaluate per node one product and one expression for all its edges; can be differentiated any number of times."""
    hidden, outputs = sequence.hidden, []
    nodes = len(sequence.weights)
    for projected in sequence.projected:
        states = normalise(initial_state(projected, hidden, sequence)).unsqueeze(0)
        for node, first in enumerate(first_edges(nodes)):
            shares = sequence.shares[first : first + node + 1]
            gate, candidate = (masked(states, sequence.mask) @ sequence.weights[node]).chunk(2, dim=-1)
            mixed = mixed_activation(candidate, shares, sequence.activations)
            kept = shares.sum(dim=1).view(-1, 1, 1) * states
            total = (kept + gate.sigmoid() * (mixed - kept)).sum(dim=0)
            states = torch.cat([states, normalise(total).unsqueeze(0)])
        hidden = states[1:].mean(dim=0)
        outputs.append(hidden)
    return torch.stack(outputs)


def mixed_activation(
    candidate: Float[Tensor, "edges batch size"], shares: Float[Tensor, "edges activations"], names: tuple[str, ...]
) -> Float[Tensor, "edges batch size"]:
    """Σ_f p_f f(h) for all edges into a node."""
    weighted = (
        share.view(-1, 1, 1) * ACTIVATIONS[name].function(candidate)
        for share, name in zip(shares.unbind(dim=1), names, strict=True)
    )
    return sum(weighted, torch.zeros_like(candidate))
