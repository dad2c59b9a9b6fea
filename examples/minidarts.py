"""DARTS of second order in one file: a cell for handwritten digits, found by gradient descent. arXiv:1806.09055.

  Mixed          (2)  ō(x) = Σ_o p_o · o(x),  p = softmax(α)                            paper: Eq. 2
  Cell           (3)  x_j = Σ_{i<j} ō_ij(x_i)                                           paper: Eq. 1
  search         (4)  min_α L_val(w*(α), α)  s.t.  w*(α) = argmin_w L_train(w, α)       paper: Eq. 3, 4, Algorithm 1
  hypergradient  (5)  w' = w − ξ ∇_w L_train(w, α)                                      paper: Eq. 6
                 (6)  ∇_α L_val(w', α) − ξ ∇²_{α,w} L_train(w, α) · ∇_{w'} L_val(w', α) paper: Eq. 7
                 (7)  the product in (6), exactly; the paper takes central differences  paper: Eq. 8
  decode         (9)  the 2 strongest edges of a node, each with its strongest operation, `none` left out; section 2.4

Smaller than the paper's: two copies of one cell, stride 1 and a max pool between them, 3 nodes, no 5×5, 1×1 convolution
at the exit of a cell, not at the next one's entries; BatchNorm alike in search and training; no momentum in (5).

Measured, torch 2.13 on one core: 17 s in all; the search's training loss goes from 2.31 to 1.39, the test accuracy is
95.0 % beside a random cell's 93.6 %. Seeds 0 to 9: 93.3 ± 3.2 % beside 92.0 ± 3.7 % (mean ± standard deviation), higher
for 9 of 10, with step counts chosen by looking at these seeds: it shows the algorithm and says little about a cell.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.func import functional_call

NODES = (2, 3, 4)  # x_0 and x_1 are the outputs of the two previous cells
CHANNELS, BATCH, TRAINING = 4, 32, 1438  # the other 359 images are for the test
norm = partial(nn.BatchNorm2d, CHANNELS, affine=False)  # no scale, which could undo p


def convolution(dilation: int = 1) -> nn.Module:
    depthwise = nn.Conv2d(CHANNELS, CHANNELS, 3, 1, dilation, dilation, groups=CHANNELS, bias=False)
    return nn.Sequential(nn.ReLU(), depthwise, nn.Conv2d(CHANNELS, CHANNELS, 1, bias=False), norm())


OPERATIONS: dict[str, Callable[[], nn.Module]] = {
    "skip_connect": nn.Identity,
    "max_pool_3x3": lambda: nn.Sequential(nn.MaxPool2d(3, 1, 1), norm()),
    "avg_pool_3x3": lambda: nn.Sequential(nn.AvgPool2d(3, 1, 1, count_include_pad=False), norm()),
    "sep_conv_3x3": lambda: nn.Sequential(convolution(), convolution()),
    "dil_conv_3x3": lambda: convolution(dilation=2),
}
NAMES = ("none", *OPERATIONS)  # `none` is zero: it adds nothing to a node, but takes its share of p
Edges = dict[tuple[int, int], tuple[str, ...]]  # (i, j): the operations from x_i to x_j, a single one once decoded
SUPERNET: Edges = {(i, j): tuple(OPERATIONS) for j in NODES for i in range(j)}
Loss = Callable[[dict[str, Tensor], Tensor], Tensor]  # L(w, α)


class Mixed(nn.ModuleDict):
    def forward(self, x: Tensor, p: Tensor) -> Tensor:
        return torch.stack([p[NAMES.index(name)] * o(x) for name, o in self.items()]).sum(0)


class Cell(nn.Module):
    def __init__(self, edges: Edges) -> None:
        super().__init__()
        self.edges = tuple(edges)
        self.mixed = nn.ModuleList(Mixed({name: OPERATIONS[name]() for name in names}) for names in edges.values())
        self.exit = nn.Sequential(nn.ReLU(), nn.Conv2d(CHANNELS * len(NODES), CHANNELS, 1, bias=False), norm())

    def forward(self, x0: Tensor, x1: Tensor, p: Tensor) -> Tensor:
        x = [x0, x1]
        for node in NODES:
            entering = [o(x[i], p_ij) for (i, j), o, p_ij in zip(self.edges, self.mixed, p, strict=True) if j == node]
            x.append(torch.stack(entering).sum(0))
        return self.exit(torch.cat(x[2:], dim=1))


class Network(nn.Module):
    def __init__(self, edges: Edges) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, CHANNELS, 3, padding=1, bias=False), norm())
        self.first, self.second, self.classifier = Cell(edges), Cell(edges), nn.Linear(CHANNELS, 10)

    def forward(self, images: Tensor, p: Tensor) -> Tensor:
        stem = self.stem(images)
        first = self.first(stem, stem, p)
        second = self.second(F.max_pool2d(stem, 2), F.max_pool2d(first, 2), p)
        return self.classifier(second.mean(dim=(2, 3)))


def hypergradient(train: Loss, validation: Loss, w: dict[str, Tensor], alpha: Tensor, xi: float) -> Tensor:
    slopes = torch.autograd.grad(train(w, alpha), list(w.values()), create_graph=True)
    stepped = {name: (w[name] - xi * slope).detach().requires_grad_() for name, slope in zip(w, slopes, strict=True)}
    direct, *v = torch.autograd.grad(validation(stepped, alpha), [alpha, *stepped.values()])
    (product,) = torch.autograd.grad(slopes, alpha, grad_outputs=v)  # ∇²_{α,w} L_train · v = ∇_α ⟨∇_w L_train, v⟩
    return direct - xi * product


def search(images: Tensor, labels: Tensor, steps: int, xi: float = 0.05) -> tuple[Tensor, list[float]]:
    supernet, alpha, losses = Network(SUPERNET), torch.zeros(len(SUPERNET), len(NAMES), requires_grad=True), []
    w: dict[str, Tensor] = dict(supernet.named_parameters())
    weight_step = torch.optim.SGD(w.values(), lr=xi, momentum=0.9, weight_decay=3e-4)
    logit_step = torch.optim.Adam([alpha], lr=0.03, betas=(0.5, 0.999), weight_decay=1e-3)

    def loss(half: Tensor) -> Loss:
        rows = half[torch.randperm(len(half))[:BATCH]]
        return lambda w, α: F.cross_entropy(functional_call(supernet, w, (images[rows], α.softmax(-1))), labels[rows])

    for _ in range(steps):
        train, validation = map(loss, torch.arange(len(images)).chunk(2))  # w learns on one half, α on the other
        alpha.grad = hypergradient(train, validation, w, alpha, xi)
        logit_step.step()
        weight_step.zero_grad()
        losses.append(train(w, alpha.detach()))
        losses[-1].backward()
        weight_step.step()
    return alpha.detach(), [loss.item() for loss in losses]


def decode(alpha: Tensor) -> Edges:
    p = alpha.softmax(-1)[:, 1:]  # without `none`
    ranked = sorted(zip(p.amax(-1).tolist(), p.argmax(-1).tolist(), SUPERNET, strict=True), key=lambda row: -row[0])
    kept = [row for node in NODES for row in [row for row in ranked if row[2][1] == node][:2]]
    return {edge: (NAMES[1 + best],) for _, best, edge in kept}


def evaluate(edges: Edges, images: Tensor, labels: Tensor, steps: int) -> float:
    network, p = Network(edges), torch.ones(len(edges), len(NAMES))
    optimizer = torch.optim.SGD(network.parameters(), momentum=0.9, weight_decay=3e-4)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - step / steps)
        rows = torch.randperm(TRAINING)[:BATCH]
        optimizer.zero_grad()
        F.cross_entropy(network(images[rows], p), labels[rows]).backward()
        optimizer.step()
    return (network.eval()(images[TRAINING:], p).argmax(-1) == labels[TRAINING:]).float().mean().item()


def main(steps: int = 50, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    pixels, digits = (torch.tensor(array) for array in load_digits(return_X_y=True))
    order = torch.randperm(len(digits))
    images, labels = pixels[order].float().view(-1, 1, 8, 8) / 16, digits[order]
    alpha, losses = search(images[:TRAINING], labels[:TRAINING], steps)
    print(f"search: {steps} steps, training loss {losses[0]:.2f} to {losses[-1]:.2f}")
    result: dict = {"losses": losses}
    for name, logits in (("darts", alpha), ("random", torch.randn_like(alpha))):
        edges = decode(logits)
        result[name] = edges, evaluate(edges, images, labels, 8 * steps)
        print(f"{name:6} {result[name][1]:.1%}", *(f"{i}→{j} {name}" for (i, j), (name,) in edges.items()))
    return result


if __name__ == "__main__":
    torch.set_num_threads(1)  # images this small: more threads take longer
    main()
