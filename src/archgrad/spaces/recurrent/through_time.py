"""The relaxed cell with its gradient written out: back-propagation through time without a graph of small operations.

Of a time step only the states s and the products [c, h] are kept; activations are computed again on the way back. With
g_p = Σ_f p_pf f(h_p) − m_p s_p and m_p = Σ_{f≠none} p_pf, a node is u = Σ_p (m_p s_p + σ(c_p) g_p), s = BN(u), and

    ∂g_p = ∂u σ(c_p)                      ∂c_p = ∂u g_p σ(c_p) (1 − σ(c_p))
    ∂h_p = ∂g_p Σ_f p_pf f'(h_p)          ∂s_p = m_p (∂u − ∂g_p) + m · [∂c_p, ∂h_p] W_iᵀ
    ∂p_pf = ⟨∂g_p, f(h_p)⟩ + ⟨∂u − ∂g_p, s_p⟩
    ∂u = (∂s − mean ∂s − s · mean(∂s · s)) / √(variance + ε)

for the normalisation over the batch. What nobody asked for is not computed: weights in an architecture step, mixtures
in a weight step. The result can be differentiated once; `cell.bundled` has higher derivatives.
"""

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from archgrad.ops.dropout import masked
from archgrad.ops.recurrent import ACTIVATIONS, tanh
from archgrad.spaces.recurrent.cell import EPSILON, Sequence, first_edges

RECOMPILATIONS = 64


def through_time(sequence: Sequence) -> Float[Tensor, "time batch size"]:
    """Evaluate the cell, `cell.bundled` in other words, with a gradient that is written out."""
    return _ThroughTime.apply(*sequence, Kernels(combine, combine_backward))


def compiled(sequence: Sequence) -> Float[Tensor, "time batch size"]:
    """The same with `torch.compile` for what lies between the matrix products, where a compiler starts."""
    return _ThroughTime.apply(*sequence, compiled_kernels(sequence.projected.device))


class Kernels(NamedTuple):
    """What is computed of a node between the matrix products: `combine` and `combine_backward`, or equals of theirs."""

    combine: Callable[..., Tensor]
    combine_backward: Callable[..., tuple[Tensor, Tensor, Tensor | None]]


@cache
def compiled_kernels(device: torch.device) -> Kernels:
    """Compile for any sizes, and try it on a small one; where no compiler starts, warn and return what is plain."""
    plain = Kernels(combine, combine_backward)
    # Nodes with one and with two predecessors, with and without ∂p, … are compiled each; eight are not enough.
    torch._dynamo.config.recompile_limit = max(RECOMPILATIONS, torch._dynamo.config.recompile_limit)
    kernels = Kernels(
        torch.compile(combine, fullgraph=True, dynamic=True),
        torch.compile(combine_backward, fullgraph=True, dynamic=True),
    )
    product, states = torch.zeros(2, 3, 8, device=device), torch.zeros(2, 3, 4, device=device)
    shares = torch.zeros(2, 1, device=device)
    try:
        kernels.combine(product, states, shares, ("relu",))
        kernels.combine_backward(states[0], product, states, shares, names=("relu",), of_shares=True)
    except Exception as error:  # whatever a compiler fails with, the search can do without it
        reason = str(error).strip().splitlines()[:1]
        warnings.warn(f"engine: torch.compile does not start here ({reason}); going on without it.", stacklevel=2)
        return plain
    return kernels


def normalise_into(states: Tensor, total: Tensor) -> Tensor:
    """Write BN(total) [batch, size] into `states`, and return 1 / √(variance + ε) [size]."""
    # Two sums: PyTorch's var_mean over the first dimension takes six times as long on CPUs.
    torch.sub(total, total.mean(dim=0), out=states)
    scale = states.square().mean(dim=0).add_(EPSILON).rsqrt_()
    states.mul_(scale)
    return scale


def normalise_backward(gradient: Tensor, states: Tensor, scale: Tensor) -> Tensor:
    """∂u from ∂s, s [batch, size] and 1 / √(variance + ε) [size]."""
    correlation = (gradient * states).mean(dim=0)
    return torch.addcmul(gradient - gradient.mean(dim=0), states, correlation, value=-1.0).mul_(scale)


def mixed(product: Tensor, shares: Tensor, names: tuple[str, ...]) -> tuple[Tensor, list[Tensor]]:
    """Σ_f p_f f(h) [edges, batch, size] of the products' second half, and the f(h) themselves."""
    candidate = product[..., product.shape[-1] // 2 :]
    values = [(tanh if name == "tanh" else ACTIVATIONS[name].function)(candidate) for name in names]
    total = values[0] * shares[:, 0].view(-1, 1, 1)
    for column, value in enumerate(values[1:], start=1):
        total.addcmul_(value, shares[:, column].view(-1, 1, 1))
    return total, values


def combine(product: Tensor, states: Tensor, shares: Tensor, names: tuple[str, ...]) -> Tensor:
    """u [batch, size] of a node from [c, h] [edges, batch, 2·size] and its predecessors [edges, batch, size]."""
    kept = shares.sum(dim=1)
    total, _ = mixed(product, shares, names)
    total.addcmul_(states, kept.view(-1, 1, 1), value=-1.0)
    total.mul_(product[..., : states.shape[-1]].sigmoid())
    return torch.addmv(total.sum(dim=0).flatten(), states.flatten(1).T, kept).view_as(states[0])


def combine_backward(
    gradient: Tensor, product: Tensor, states: Tensor, shares: Tensor, *, names: tuple[str, ...], of_shares: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """From ∂u: [∂c, ∂h] [edges, batch, 2·size], the direct part of ∂s [edges, batch, size], and ∂p or None."""
    size = states.shape[-1]
    kept = shares.sum(dim=1).view(-1, 1, 1)
    gate = product[..., :size].sigmoid()
    difference, values = mixed(product, shares, names)
    difference.addcmul_(states, kept, value=-1.0)  # g
    of_mixed = gate * gradient  # ∂g
    of_kept = gradient - of_mixed
    of_shares_found = None
    if of_shares:
        direct = torch.linalg.vecdot(of_kept.flatten(1), states.flatten(1))
        each = [torch.linalg.vecdot(of_mixed.flatten(1), value.flatten(1)) for value in values]
        of_shares_found = torch.stack(each, dim=1) + direct.unsqueeze(1)
    slope = ACTIVATIONS[names[0]].derivative(values[0]).mul_(shares[:, 0].view(-1, 1, 1))
    for column, (name, value) in enumerate(zip(names[1:], values[1:], strict=True), start=1):
        slope.addcmul_(ACTIVATIONS[name].derivative(value), shares[:, column].view(-1, 1, 1))
    of_product = torch.empty_like(product)
    # ∂c = ∂g · g · (1 − σ(c)), since ∂g = ∂u · σ(c).
    difference.mul_(of_mixed)
    of_product[..., :size] = difference.addcmul_(difference, gate, value=-1.0)
    of_product[..., size:] = slope.mul_(of_mixed)
    return of_product, of_kept.mul_(kept), of_shares_found


class _ThroughTime(torch.autograd.Function):
    """The cell over a sequence as one operation."""

    @staticmethod
    def forward(
        context: Any,
        projected: Tensor,
        hidden: Tensor,
        mask: Tensor | None,
        recurrent: Tensor,
        weights: Tensor,
        shares: Tensor,
        names: tuple[str, ...],
        kernels: Kernels,
    ) -> Tensor:
        time, (batch, size), nodes = len(projected), hidden.shape, len(weights)
        outputs = torch.empty_like(projected[..., :size], memory_format=torch.contiguous_format)
        states = hidden.new_empty(time, nodes + 1, batch, size)
        scales = hidden.new_empty(time, nodes + 1, size)
        initial = torch.empty_like(projected, memory_format=torch.contiguous_format)
        products = [hidden.new_empty(time, node + 1, batch, 2 * size) for node in range(nodes)]
        read_states = states[0] if mask is None else torch.empty_like(states[0])
        edges = first_edges(nodes)
        previous = hidden
        for step in range(time):
            read_states = states[step] if mask is None else read_states
            torch.addmm(projected[step], masked(previous, mask), recurrent, out=initial[step])
            gate, candidate = initial[step, :, :size].sigmoid(), initial[step, :, size:].tanh()
            scales[step, 0] = normalise_into(states[step, 0], torch.lerp(previous, candidate, gate))
            for node in range(nodes):
                if mask is not None:
                    torch.mul(states[step, node], mask, out=read_states[node])
                read = read_states[: node + 1].view(-1, size)
                torch.mm(read, weights[node], out=products[node][step].view(-1, 2 * size))
                rows = shares[edges[node] : edges[node] + node + 1]
                total = kernels.combine(products[node][step], states[step, : node + 1], rows, names)
                scales[step, node + 1] = normalise_into(states[step, node + 1], total)
            previous = torch.mean(states[step, 1:], dim=0, out=outputs[step])
        context.save_for_backward(hidden, mask, recurrent, weights, shares, outputs, states, scales, initial, *products)
        context.names, context.kernels = names, kernels
        return outputs

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        hidden, mask, recurrent, weights, shares, outputs, states, scales, initial, *products = context.saved_tensors
        wanted = dict(zip(Sequence._fields, context.needs_input_grad, strict=False))
        time, nodes, size, edges = len(outputs), len(weights), hidden.shape[1], first_edges(len(weights))
        of_projected = torch.empty_like(initial)
        of_recurrent = torch.zeros_like(recurrent) if wanted["recurrent"] else None
        of_weights = torch.zeros_like(weights) if wanted["weights"] else None
        of_shares = torch.zeros_like(shares) if wanted["shares"] else None
        of_hidden = torch.zeros_like(hidden)
        for step in reversed(range(time)):
            of_states = (of_hidden.add_(gradient[step]) / nodes).expand(nodes + 1, -1, -1).contiguous()
            of_states[0] = 0.0
            read_states = masked(states[step], mask)
            for node in reversed(range(nodes)):
                total = normalise_backward(of_states[node + 1], states[step, node + 1], scales[step, node + 1])
                first, last = edges[node], edges[node] + node + 1
                of_product, direct, of_rows = context.kernels.combine_backward(
                    total,
                    products[node][step],
                    states[step, : node + 1],
                    shares[first:last],
                    names=context.names,
                    of_shares=of_shares is not None,
                )
                of_product = of_product.view(-1, 2 * size)
                of_read = torch.mm(of_product, weights[node].T).view(direct.shape)
                before = of_states[: node + 1].add_(direct)
                before.add_(of_read) if mask is None else before.addcmul_(of_read, mask)
                if of_weights is not None:
                    of_weights[node].addmm_(read_states[: node + 1].view(-1, size).T, of_product)
                if of_shares is not None:
                    of_shares[first:last] += of_rows
            total = normalise_backward(of_states[0], states[step, 0], scales[step, 0])
            previous = outputs[step - 1] if step else hidden
            gate, candidate = initial[step, :, :size].sigmoid(), initial[step, :, size:].tanh()
            of_candidate = total * gate
            torch.mul(of_candidate * (candidate - previous), 1.0 - gate, out=of_projected[step, :, :size])
            torch.mul(of_candidate, 1.0 - candidate.square(), out=of_projected[step, :, size:])
            of_read = of_projected[step] @ recurrent.T
            of_hidden = total - of_candidate
            of_hidden.add_(of_read) if mask is None else of_hidden.addcmul_(of_read, mask)
            if of_recurrent is not None:
                of_recurrent.addmm_(masked(previous, mask).T, of_projected[step])
        return (
            of_projected if wanted["projected"] else None,
            of_hidden if wanted["hidden"] else None,
            None,  # the mask
            of_recurrent,
            of_weights,
            of_shares,
            None,  # names
            None,  # kernels
        )
