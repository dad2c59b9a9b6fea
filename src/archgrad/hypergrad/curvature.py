"""The curvature of a loss by α: products with ∇²_α L, its largest eigenvalue, and the matrix for small spaces."""

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from archgrad.arch import Logits
from archgrad.autodiff import mixed_derivatives
from archgrad.checks import whole
from archgrad.hypergrad.problem import detached, gradients
from archgrad.seeding import generator

LogitLoss: TypeAlias = Callable[[Logits], Tensor]
"""α -> a scalar, on a batch and weights w that stay as they are (best detached, so that no graph of w is recorded)."""


def hessian_product(loss: LogitLoss, logits: Logits, direction: Logits) -> Logits:
    """∇²_α L · v with v the `direction`, exact: ∇_α ⟨∇_α L, v⟩ by automatic differentiation.

    >>> loss = lambda logits: (logits["cell"] ** 3).sum()
    >>> hessian_product(loss, {"cell": torch.tensor([[1.0, 2.0]])}, {"cell": torch.tensor([[1.0, 1.0]])})
    {'cell': tensor([[ 6., 12.]])}

    Raises:
        ValueError: `direction` has other groups or shapes than `logits`.
    """
    shapes, given = ({name: tuple(t.shape) for name, t in tensors.items()} for tensors in (logits, direction))
    if shapes != given:
        raise ValueError(f"direction: must have the logits' groups and shapes, {shapes}, got {given}.")
    product = _Product(loss, logits)
    return product.split(product(torch.cat([direction[name].flatten() for name in logits])))


def dominant_eigenvalue(loss: LogitLoss, logits: Logits, *, iterations: int = 20, seed: int = 0) -> float:
    """The largest eigenvalue of ∇²_α L over the logits of all groups, by the method of Lanczos.

    From a random unit vector q₁ (of `seed`) and with T the tridiagonal matrix of

        b_j·q_{j+1} = ∇²_α L · q_j − a_j·q_j − b_{j−1}·q_{j−1},   a_j = q_jᵀ ∇²_α L q_j

    the largest eigenvalue of T is returned. All q are orthogonalised against each other, twice, in float64. It is a
    lower bound that grows with `iterations`, the number of Hessian products, and is exact once they are as many as the
    Hessian has different eigenvalues, where the method stops by itself. NaN where a product is not finite: a diagnostic
    ends no search. One evaluation of the loss serves all. Masked logits and shifts of a softmax's rows have the
    eigenvalue 0, which is what comes back where the loss curves downwards only.

    Reference: arXiv:1909.09656 (Robust DARTS), section 4, λ^α_max of ∇²_α L_val. Largest means the algebraic value, as
    in its public code, which takes the maximum of all eigenvalues of the dense matrix. Differs: that code adds the
    logits' weight decay to the diagonal, a constant shift; add it to the loss where it is wanted.

    >>> loss = lambda logits: logits["cell"][0, 0] ** 2 - 4.0 * logits["cell"][0, 1] ** 2
    >>> round(dominant_eigenvalue(loss, {"cell": torch.zeros(1, 2)}), 5)
    2.0

    Raises:
        ValueError: `iterations` is below 1 or no whole number.
    """
    whole("iterations", iterations, 1)
    product = _Product(loss, logits)
    vector = torch.randn(product.size, dtype=torch.float64, generator=generator(seed, "lanczos")).to(product.device)
    basis = (vector / vector.norm()).unsqueeze(0)  # q by rows
    diagonal: list[Tensor] = []
    beside: list[Tensor] = []
    while True:
        image = product(basis[-1])
        if not image.isfinite().all():
            return math.nan
        diagonal.append(basis[-1] @ image)
        scale = image.norm()
        for _ in range(2):  # once leaves what rounding put back
            image = image - (image @ basis.T) @ basis
        length = image.norm()
        # What is left of an image within the space spanned so far is the rounding of the products.
        exhausted = length <= 10 * product.size * product.precision * scale
        if exhausted or len(diagonal) == min(iterations, product.size):
            break
        beside.append(length)
        basis = torch.cat([basis, (image / length).unsqueeze(0)])
    matrix = torch.stack(diagonal).diag()
    if beside:
        matrix = matrix + torch.stack(beside).diag(1) + torch.stack(beside).diag(-1)
    return float(torch.linalg.eigvalsh(matrix)[-1])


def dense_hessian(loss: LogitLoss, logits: Logits) -> Float[Tensor, "logits logits"]:
    """∇²_α L as a matrix over the logits of all groups, flattened and concatenated in their order; for small spaces.

    >>> dense_hessian(lambda logits: logits["cell"].prod(), {"cell": torch.tensor([[1.0, 2.0]])})
    tensor([[0., 1.],
            [1., 0.]])
    """
    product = _Product(loss, logits)
    unit = torch.eye(product.size, dtype=product.dtype, device=product.device)
    return torch.stack([product(row) for row in unit])


class _Product:
    """v -> ∇²_α L · v on flat vectors, from the graph of one evaluation.

    What `mixed_derivatives` leaves out are second derivatives by (w, w), and w is held fixed here.
    """

    def __init__(self, loss: LogitLoss, logits: Logits) -> None:
        alpha = detached(logits, requires_grad=True)
        self._alpha = alpha
        with mixed_derivatives():
            value = loss(alpha)
        self._gradient = torch.cat([part.flatten() for part in gradients(value, alpha, create_graph=True).values()])
        self.size = self._gradient.numel()
        self.dtype = self._gradient.dtype
        self.device = self._gradient.device
        self.precision = torch.finfo(self.dtype).eps

    def __call__(self, vector: Tensor) -> Tensor:
        """The product in the vector's type; zeros where the gradient is constant."""
        if not self._gradient.requires_grad:
            return torch.zeros_like(vector)
        found = torch.autograd.grad(
            self._gradient,
            list(self._alpha.values()),
            grad_outputs=vector.to(self.dtype),
            retain_graph=True,
            materialize_grads=True,
        )
        return torch.cat([tensor.flatten() for tensor in found]).to(vector.dtype)

    def split(self, vector: Tensor) -> Logits:
        """A flat vector by group."""
        parts = vector.split([tensor.numel() for tensor in self._alpha.values()])
        return {name: part.view_as(tensor) for part, (name, tensor) in zip(parts, self._alpha.items(), strict=True)}
