"""The dominant eigenvalue of ∇²_α L by Lanczos' method, against a dense Hessian of a small supernet, in float64.

    python benchmarks/eigenvalue.py

C=4, 3 cells of 4 nodes without `none`, 196 logits, 4 images of 8×8. Prints the relative error by the number of Hessian
products, and what a product costs in first-order gradients.
"""

import time

import torch
from torch import Tensor
from torch.func import functional_call

from archgrad.arch import Logits
from archgrad.hypergrad import dense_hessian, dominant_eigenvalue
from archgrad.ops import DARTS_CANDIDATES
from archgrad.relax import Softmax
from archgrad.spaces import ConvCellSpace


def main() -> None:
    """Print the table."""
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    space = ConvCellSpace(channels=4, layers=3, in_channels=1, candidates=DARTS_CANDIDATES[1:])
    supernet = space.supernet().double()
    weights = {name: weight.detach() for name, weight in supernet.named_parameters()}
    masks = {group.name: group.mask_tensor() for group in space.groups}
    images, labels = torch.randn(4, 1, 8, 8), torch.arange(4)

    def loss(logits: Logits) -> Tensor:
        mixture = {name: Softmax()(alpha, masks[name]) for name, alpha in logits.items()}
        return torch.nn.functional.cross_entropy(functional_call(supernet, weights, (images, mixture)), labels)

    logits = {group.name: torch.randn(group.shape) for group in space.groups}
    started = time.perf_counter()
    dense = dense_hessian(loss, logits)
    exact = float(torch.linalg.eigvalsh(dense)[-1])
    print(
        f"{len(dense)} logits, dense Hessian in {time.perf_counter() - started:.1f} s, largest eigenvalue {exact:.12g}"
    )
    print("| products | eigenvalue | relative error | seconds |\n|---|---|---|---|")
    for iterations in (2, 5, 10, 15, 20, 30):
        started = time.perf_counter()
        found = dominant_eigenvalue(loss, logits, iterations=iterations, seed=0)
        seconds = time.perf_counter() - started
        print(f"| {iterations} | {found:.12g} | {abs(found / exact - 1):.1e} | {seconds:.2f} |")


if __name__ == "__main__":
    main()
