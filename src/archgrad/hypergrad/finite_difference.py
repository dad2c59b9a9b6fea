"""Eq. 7 as the paper estimates it: the product with the mixed second derivative by central differences."""

from dataclasses import dataclass

from archgrad.arch import Logits
from archgrad.checks import above
from archgrad.hypergrad.problem import InnerStep, Losses, Weights, detached, gradients, joint_gradients, norm


@dataclass(frozen=True)
class FiniteDifference:
    """∇_α L_val(w', α) − ξ (∇_α L_train(w⁺, α) − ∇_α L_train(w⁻, α)) / 2ε, with w^± = w ± ε·v.

    v = ∇_{w'} L_val(w', α) and ε = `scale` / ‖v‖₂ over all weights concatenated. w^± are copies: adding and subtracting
    in place would leave w changed by rounding.

    Reference: arXiv:1806.09055, Eq. 8 and its footnote (`scale` 0.01). Widely copied ports multiply by 2ε instead of
    dividing, which switches the term off.

    Raises:
        ValueError: `scale` is not above 0.
    """

    scale: float = 0.01

    def __post_init__(self) -> None:
        above("scale", self.scale, 0)

    def __call__(self, losses: Losses, weights: Weights, logits: Logits, *, inner: InnerStep) -> Logits:
        alpha = detached(logits, requires_grad=True)
        w = detached(weights, requires_grad=True)
        of_train = gradients(losses.train(w, detached(logits)), w)

        unrolled = detached(inner(detached(w), of_train), requires_grad=True)
        v, direct = joint_gradients(losses.validation(unrolled, alpha), unrolled, alpha)
        v = inner.clipped(v)

        length = norm(v)
        if length == 0:
            return direct  # the validation loss does not depend on w', so that the product is zero
        epsilon = self.scale / length
        above_w, below_w = ({name: w[name].detach() + sign * epsilon * v[name] for name in w} for sign in (1, -1))
        of_above = gradients(losses.train(above_w, alpha), alpha)
        of_below = gradients(losses.train(below_w, alpha), alpha)
        return {
            name: direct[name] - inner.learning_rate * (of_above[name] - of_below[name]) / (2 * epsilon)
            for name in alpha
        }
