"""SmoothDARTS: the weights learn at perturbed logits, so that the loss is smooth around them (arXiv:2002.05283).

The lower level of Eq. 4 becomes w*(α) = argmin_w E_δ L_train(w, α + δ) with δ uniform in the box ‖δ‖_∞ ≤ ε, or
argmin_w max_δ L_train(w, α + δ) over the same box. Steps of the logits see α itself.

Differs: we perturb the logits. The public code adds δ to the mixture p = softmax(α) and then clips and normalises the
rows so that they stay distributions; a box around logits needs neither, and fits every relaxation. The same ε is a
weaker perturbation here, since a step of δ in the logits moves a softmax by at most δ / 2.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeAlias, runtime_checkable

import torch
from torch import Tensor

from archgrad.arch import Logits
from archgrad.checks import above, at_least, whole, within
from archgrad.seeding import generator

LossOfLogits: TypeAlias = Callable[[Logits], Tensor]
"""α -> the training loss on the batch that the function was made for, a scalar."""


@runtime_checkable
class Perturbation(Protocol):
    """The logits at which a step of the weights is taken."""

    def __call__(
        self, logits: Logits, loss: LossOfLogits, *, masks: dict[str, Tensor], progress: float, seed: int
    ) -> Logits: ...


@dataclass(frozen=True, kw_only=True)
class RandomPerturbation:
    """α + δ with δ uniform in [−ε, ε], ε = `initial` + (`final` − `initial`) · progress: SDARTS-RS.

    `progress` runs from 0 in the first epoch to 1 in the last. `seed` gives δ, on all devices the same. Logits that
    `masks` [edges, candidates] has as False, and groups without a mask, stay as they are; `loss` is not asked.

    Reference: arXiv:2002.05283, section 3. Differs: see the module; the public code divides by the number of epochs, so
    that the last epoch has not quite `final`.

    >>> import torch
    >>> logits, masks = {"cell": torch.zeros(1, 3)}, {"cell": torch.tensor([[True, True, False]])}
    >>> noisy = RandomPerturbation(initial=0.1)(logits, lambda _: torch.zeros(()), masks=masks, progress=0.0, seed=0)
    >>> noisy["cell"].abs().le(0.1).tolist(), float(noisy["cell"][0, 2])
    ([[True, True, True]], 0.0)

    Raises:
        ValueError: `initial` is negative, or `final` below it; when called, `progress` lies outside [0, 1].
    """

    initial: float = 0.03
    final: float = 0.3

    citation: ClassVar[str] = "2002.05283"

    def __post_init__(self) -> None:
        _check_radii(self.initial, self.final)

    def __call__(
        self, logits: Logits, loss: LossOfLogits, *, masks: dict[str, Tensor], progress: float, seed: int
    ) -> Logits:
        return _uniform(logits, _radius(self.initial, self.final, progress), masks, seed)


@dataclass(frozen=True, kw_only=True)
class AdversarialPerturbation:
    """α + δ with δ ≈ argmax_{‖δ‖_∞ ≤ ε} L_train(w, α + δ), by projected gradient ascent: SDARTS-ADV.

        δ_0 uniform in the box,   δ_{t+1} = clip(δ_t + η · sign(∇_α L_train(w, α + δ_t)), −ε, ε),   t < `steps`

    η = `step_size` · ε / `steps`: with 2 a walk may cross the whole box. Without `random_start` δ_0 is zero. If the
    loss at the end is below that at α, or not finite, δ is zero, as in the public code: what comes back is never better
    than α. ε, masks and `seed` are those of `RandomPerturbation`. One call takes `steps` gradients and two losses.

    Reference: arXiv:2002.05283, section 3, with the 7 steps, η and the random start of the public code. Differs: see
    the module; that code attacks with running statistics in batch normalisation, our supernets have those of the batch.

    >>> import torch
    >>> logits, masks = {"cell": torch.zeros(1, 2)}, {"cell": torch.tensor([[True, True]])}
    >>> rising = lambda logits: logits["cell"][0, 0] - logits["cell"][0, 1]
    >>> AdversarialPerturbation(initial=0.5, final=0.5)(logits, rising, masks=masks, progress=0.0, seed=0)
    {'cell': tensor([[ 0.5000, -0.5000]])}

    Raises:
        ValueError: `initial` is negative, `final` below it, `steps` below 1, or `step_size` not above 0; when called,
            `progress` lies outside [0, 1].
    """

    initial: float = 0.03
    final: float = 0.3
    steps: int = 7
    step_size: float = 2.0
    random_start: bool = True

    citation: ClassVar[str] = "2002.05283"

    def __post_init__(self) -> None:
        _check_radii(self.initial, self.final)
        whole("steps", self.steps, 1)
        above("step_size", self.step_size, 0)

    def __call__(
        self, logits: Logits, loss: LossOfLogits, *, masks: dict[str, Tensor], progress: float, seed: int
    ) -> Logits:
        radius = _radius(self.initial, self.final, progress)
        centre = {name: tensor.detach() for name, tensor in logits.items()}
        if radius == 0:
            return centre
        current = _uniform(centre, radius, masks, seed) if self.random_start else centre
        for _ in range(self.steps):
            current = self._climb(current, centre, loss, masks=masks, radius=radius)
        with torch.no_grad():
            harder = bool(loss(current) >= loss(centre))  # false where one of them is no number
        return current if harder else centre

    def _climb(
        self, logits: Logits, centre: Logits, loss: LossOfLogits, *, masks: Mapping[str, Tensor], radius: float
    ) -> Logits:
        """One step along the sign of the gradient, projected onto the box around `centre`."""
        leaves = {name: tensor.detach().requires_grad_() for name, tensor in logits.items()}
        with torch.enable_grad():
            slopes = torch.autograd.grad(loss(leaves), list(leaves.values()), materialize_grads=True)
        step = self.step_size * radius / self.steps
        climbed = {}
        for (name, leaf), slope in zip(leaves.items(), slopes, strict=True):
            moved = (leaf.detach() + step * slope.sign()).clamp(centre[name] - radius, centre[name] + radius)
            climbed[name] = torch.where(masks[name], moved, centre[name]) if name in masks else centre[name]
        return climbed


def _check_radii(initial: float, final: float) -> None:
    at_least("initial", initial, 0)
    at_least("final", final, initial)


def _radius(initial: float, final: float, progress: float) -> float:
    within("progress", progress, (0.0, 1.0))
    return initial + (final - initial) * progress


def _uniform(logits: Logits, radius: float, masks: Mapping[str, Tensor], seed: int) -> Logits:
    """α + δ, δ uniform in [−radius, radius] where the mask is True."""
    noisy = {}
    for name, tensor in logits.items():
        centre = tensor.detach()
        if name not in masks:
            noisy[name] = centre
            continue
        unit = torch.rand(centre.shape, generator=generator(seed, "perturbation", name), dtype=centre.dtype)
        moved = (centre + radius * (2 * unit - 1).to(centre.device)).clamp(centre - radius, centre + radius)
        noisy[name] = torch.where(masks[name], moved, centre)
    return noisy
