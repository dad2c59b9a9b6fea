"""What shows whether a search goes well: how decided its edges are, its skips, how steady its hypergradient is, and
what decoding loses.

All values are plain and finite, ready for the record of an epoch; what is not defined is absent, or None in a list.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from archgrad.arch import SKIP, LogitGroup, Mixture
from archgrad.genotype import Genotype


def entropies(mixture: Mixture, groups: Sequence[LogitGroup]) -> dict[str, list[float | None]]:
    """H_e = −Σ_o q_eo ln q_eo of every edge, in nats, with q_eo = p_eo / Σ_o p_eo over the candidates that it has.

    0 says that one candidate has all the weight, ln n that all n have the same. A softmax has q = p already; the rows
    of independent sigmoids are normalised first, so that sizes of the weights do not count, only how they are spread.

    Args:
        mixture: p by group, [edges, candidates], in an ensemble [members, edges, candidates].
        groups: say which candidates an edge has; `none` counts like the others.

    Returns:
        A list for each group with a number for each edge, in an ensemble the mean over the members that have one. It is
        None where the weights of an edge are not finite, negative, or all zero.

    >>> group = LogitGroup.dense("cell", inputs=2, nodes=1, candidates=("none", "skip_connect"))
    >>> entropies({"cell": torch.tensor([[0.5, 0.5], [1.0, 0.0]])}, [group])
    {'cell': [0.6931471805599453, 0.0]}
    """
    return {group.name: _entropies_of(mixture[group.name], group) for group in groups}


def _entropies_of(weights: Tensor, group: LogitGroup) -> list[float | None]:
    weights = weights.detach().cpu().double().reshape(-1, *group.shape)
    weights = torch.where(group.mask_tensor(), weights, 0.0)
    totals = weights.sum(dim=-1, keepdim=True)
    known = ((weights >= 0).all(dim=-1) & (totals.squeeze(-1) > 0) & totals.squeeze(-1).isfinite()).double()
    shares = torch.where(known.bool()[..., None], weights / totals, 1.0)
    entropy = torch.special.entr(shares).sum(dim=-1).sum(dim=0)
    counts = known.sum(dim=0)
    return [value / count if count else None for value, count in zip(entropy.tolist(), counts.tolist(), strict=True)]


def skips(genotype: Genotype) -> dict[str, int]:
    """The number of skip connections in each cell, by its name.

    Reference: arXiv:1909.06035 (DARTS+), criterion 1, which ends a search once a normal cell has two or more.

    >>> from archgrad.genotype import DARTS_V2
    >>> skips(DARTS_V2)
    {'normal': 2, 'reduce': 3}
    """
    return {cell.name: cell.operations.count(SKIP) for cell in genotype.cells}


def cosine(before: Mapping[str, Tensor] | None, now: Mapping[str, Tensor]) -> float | None:
    """cos(g, g') = ⟨g, g'⟩ / (‖g‖ · ‖g'‖) of two hypergradients, each all of its groups as one vector.

    Near 1 successive steps agree, near 0 they have nothing to do with each other, below 0 they undo each other.

    Args:
        before: g by group, [edges, candidates], in an ensemble [members, edges, candidates]; None if there is none.
        now: g' likewise.

    Returns:
        The cosine, in an ensemble the mean over the members that have one. None where `before` is None or has other
        groups or shapes, as after a change of stage, and where no member has two gradients that are finite and not 0.

    >>> cosine({"cell": torch.tensor([[3.0, 0.0]])}, {"cell": torch.tensor([[3.0, 4.0]])})
    0.6
    """
    if before is None or {n: g.shape for n, g in before.items()} != {n: g.shape for n, g in now.items()}:
        return None
    first, second = (
        torch.cat([gradient.detach().reshape(_members(gradient), -1) for gradient in gradients], dim=1).cpu().double()
        for gradients in ([before[name] for name in now], now.values())
    )
    norms = torch.linalg.vector_norm(first, dim=1) * torch.linalg.vector_norm(second, dim=1)
    values = ((first * second).sum(dim=1) / norms).tolist()  # NaN where a gradient is zero
    known = [value for value in values if math.isfinite(value)]
    return max(-1.0, min(1.0, sum(known) / len(known))) if known else None


def _members(tensor: Tensor) -> int:
    return math.prod(tensor.shape[:-2])


def gap(evaluate: Callable[[Mixture], Mapping[str, float]], mixture: Mixture, decoded: Mixture) -> dict[str, float]:
    """What decoding changes before any retraining: the supernet under the decoded weights, minus under the mixture.

        gap_loss = L(w, p̂) − L(w, p),   gap_accuracy = A(w, p̂) − A(w, p)

    A mixture that means what it decodes to has a small gap; a loss that leaps up says that the supernet lives on
    candidates which decoding throws away. arXiv:1911.12126 (FairDARTS) calls it the discretization discrepancy.

    Args:
        evaluate: returns "loss" and, where the task has one, "accuracy" of the supernet under a mixture; both calls
            have to be on the same batches.
        mixture: p.
        decoded: p̂, the one-hot weights of the decoded genotype.

    Returns:
        `gap_loss` and `gap_accuracy`; one that `evaluate` does not tell, or that is not finite, is absent.

    >>> supernet = lambda mixture: {"loss": float(mixture["cell"].square().sum())}
    >>> gap(supernet, {"cell": torch.tensor([[0.5, 0.5]])}, {"cell": torch.tensor([[1.0, 0.0]])})
    {'gap_loss': 0.5}
    """
    mixed, one_hot = evaluate(mixture), evaluate(decoded)
    differences = {
        f"gap_{name}": one_hot[name] - mixed[name] for name in ("loss", "accuracy") if name in mixed and name in one_hot
    }
    return {name: value for name, value in differences.items() if math.isfinite(value)}
