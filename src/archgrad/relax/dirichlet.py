"""Eq. 1 as a distribution to learn: the mixture of an edge is a sample from a Dirichlet distribution."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from archgrad.arch import operation_groups
from archgrad.checks import at_least
from archgrad.relax.penalties import Relaxed


@dataclass(frozen=True)
class Dirichlet:
    """p ~ Dir(β) for each edge, over the candidates that the mask allows, with β = elu(α) + 1; masked weights are 0.

    `at(seed)` is the sample of one step; called itself, it is the mean, p_o = β_o / Σ_o' β_o'.

    Samples are differentiated pathwise, by the implicit reparameterisation of a Beta distribution for each β_o:

        ∂p_j / ∂β_o = u_o (δ_jo − p_j),   u_o = −∂F/∂β_o / f / (1 − p_o) with F, f of Beta(β_o, Σ_o' β_o' − β_o) at p_o

    as in `torch.distributions.Dirichlet.rsample`, whose approximation of u is used (off by up to 0.2 % where we
    compared). They can be differentiated once; the mean as often as one likes.

    Reference: arXiv:2006.10355 (DrNAS), section 2; the elu is that of the public code. Differs: a pruned edge's sample
    is drawn from the Dirichlet distribution of what is left, where that code draws for all candidates and renormalises,
    which is the same distribution. That code decodes by softmax(α), which agrees on the order of an edge's candidates,
    and need not on the order of edges.

    >>> Dirichlet()(torch.tensor([[0.0, 2.0, 5.0]]), torch.tensor([[True, True, False]]))
    tensor([[0.2500, 0.7500, 0.0000]])
    """

    citation: ClassVar[str] = "2006.10355"

    def __call__(
        self, logits: Float[Tensor, "*ensemble edges candidates"], mask: Bool[Tensor, "edges candidates"]
    ) -> Float[Tensor, "*ensemble edges candidates"]:
        allowed = concentration(logits).masked_fill(~mask, 0.0)
        return allowed / allowed.sum(dim=-1, keepdim=True)

    def at(self, seed: int) -> "DirichletSample":
        """The relaxation with the noise of `seed`."""
        return DirichletSample(seed)


@dataclass(frozen=True)
class DirichletSample:
    """A Dirichlet relaxation whose noise follows from `seed`: equal logits get equal samples, however often.

    The numbers are those of a generator of its own; torch's stays as it is.
    """

    seed: int

    def __call__(
        self, logits: Float[Tensor, "*ensemble edges candidates"], mask: Bool[Tensor, "edges candidates"]
    ) -> Float[Tensor, "*ensemble edges candidates"]:
        generator = torch.Generator(logits.device).manual_seed(self.seed)
        beta = concentration(logits.double())
        sample = _Pathwise.apply(beta, _draw(beta.detach(), mask, generator), mask)
        assert isinstance(sample, Tensor)
        return sample.to(logits.dtype)


@dataclass(frozen=True, kw_only=True)
class DirichletDistance:
    """w · Σ_groups Σ_e KL(Dir(β_e) ‖ Dir(1)), over the candidates that an edge has, for each member; β = elu(α) + 1.

    With n candidates, β₀ = Σ_o β_o and the digamma function ψ, the divergence of an edge is

        ln Γ(β₀) − ln Γ(n) − Σ_o ln Γ(β_o) + Σ_o (β_o − 1) (ψ(β_o) − ψ(β₀))

    It keeps samples from becoming too sparse or too even. `weight` w is the public code's `reg_scale`, 0.001 there.

    Reference: arXiv:2006.10355 (DrNAS), section 2, the distance to the anchor β̂ = 1. The public code offers an L2
    distance of α to 0 instead, which is the weight decay of the logits.

    Raises:
        ValueError: `weight` is negative.
    """

    weight: float = 0.001

    citation: ClassVar[str] = "2006.10355"

    def __post_init__(self) -> None:
        at_least("weight", self.weight, 0)

    def __call__(self, relaxed: Relaxed) -> Tensor:
        groups = operation_groups(relaxed.groups)
        distances = []
        for group in groups:
            logits = relaxed.logits[group.name]
            distances.append(_divergence(concentration(logits), group.mask_tensor(logits.device)).sum())
        return self.weight * torch.stack(distances).sum()


def concentration(logits: Tensor) -> Tensor:
    """β = elu(α) + 1, that is exp(α) up to α = 0 and α + 1 above; written so that it does not round to 0.

    >>> concentration(torch.tensor([0.0, 2.0]))
    tensor([1., 3.])
    """
    return torch.where(logits > 0, logits + 1, logits.clamp(max=0).exp())


def _divergence(beta: Tensor, mask: Tensor) -> Tensor:
    """KL(Dir(β) ‖ Dir(1)) of each row."""
    total = beta.masked_fill(~mask, 0.0).sum(dim=-1, keepdim=True)
    ones = mask.to(beta.dtype).sum(dim=-1)
    terms = (beta - 1) * (beta.digamma() - total.digamma()) - beta.lgamma()
    return total.squeeze(-1).lgamma() - ones.lgamma() + terms.masked_fill(~mask, 0.0).sum(dim=-1)


def _draw(beta: Tensor, mask: Tensor, generator: torch.Generator) -> Tensor:
    """A sample of each row, from Gamma variables in logarithms: G_β = G_{β+1} · U^{1/β} does not underflow there."""
    gamma = torch.ops.aten._standard_gamma(beta + 1, generator=generator)
    exponential = torch.empty_like(beta).exponential_(generator=generator)  # −ln U
    return (gamma.log() - exponential / beta).masked_fill(~mask, float("-inf")).softmax(dim=-1)


class _Pathwise(Function):
    """(β, p, mask) -> p, a sample of Dir(β) over the mask, with the gradient ∂p / ∂β."""

    @staticmethod
    def forward(ctx: Any, beta: Tensor, sample: Tensor, mask: Tensor) -> Tensor:
        ctx.save_for_backward(beta, sample, mask)
        return sample.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *cotangents: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        beta, sample, mask = ctx.saved_tensors
        (gradient,) = cotangents
        total = beta.masked_fill(~mask, 0.0).sum(dim=-1, keepdim=True)
        along = gradient - (sample * gradient).sum(dim=-1, keepdim=True)
        # The only candidate of an edge has the weight 1 at any β, where u is 0 / 0.
        free = mask & (mask.sum(dim=-1, keepdim=True) > 1)
        info = torch.finfo(sample.dtype)
        inside = sample.clamp(info.tiny, 1 - info.eps)
        speed = torch.ops.aten._dirichlet_grad(inside, beta, total.expand_as(beta))
        return (speed * along).masked_fill(~free, 0.0), None, None
