"""The Dirichlet relaxation: whose samples they are, how they are differentiated, and its distance to the anchor."""

import pytest
import torch
from torch.distributions import Dirichlet as Reference
from torch.distributions import kl_divergence
from torch.nn.functional import elu

from archgrad.arch import LogitGroup
from archgrad.relax import Dirichlet, DirichletDistance, Relaxed, Sampled, is_one_hot
from archgrad.relax.dirichlet import concentration

MASK = torch.tensor([[True, True, False, True], [True, True, True, True], [False, True, True, False]])
LOGITS = torch.tensor([[-1.0, 0.5, 3.0, 2.0], [0.0, -0.3, 0.2, 1.5], [5.0, 0.1, -2.0, 0.0]], dtype=torch.float64)
DRAWS = 20000

CELL = LogitGroup.dense("a", inputs=1, nodes=2, candidates=("none", "x", "y"), choices={(0, 1): ("none", "y")})
GROUPS = (CELL, LogitGroup.dense("b", inputs=1, nodes=1, candidates=("x", "y")), CELL.node_weights())


def many(logits=LOGITS, mask=MASK, seed=0):
    return Dirichlet().at(seed)(logits.expand(DRAWS, *logits.shape), mask)


def allowed(tensor):
    """The concentration of each row, of what the mask allows."""
    return [row[mask] for row, mask in zip(tensor, MASK, strict=True)]


def test_the_concentration_is_that_of_the_public_code():
    logits = torch.linspace(-4, 4, 17, dtype=torch.float64, requires_grad=True)
    (found,) = torch.autograd.grad(concentration(logits).sum(), logits)
    (expected,) = torch.autograd.grad(elu(logits).sum(), logits)
    torch.testing.assert_close(concentration(logits), elu(logits) + 1)
    torch.testing.assert_close(found, expected)
    assert concentration(torch.tensor(-50.0)) > 0  # where elu + 1 rounds to 0


def test_moments():
    """E p = β / β₀ and E p² = β (β + 1) / (β₀ (β₀ + 1)), within five standard errors."""
    samples, mean = many(), Dirichlet()(LOGITS, MASK)
    beta = (elu(LOGITS) + 1) * MASK
    total = beta.sum(dim=1, keepdim=True)
    torch.testing.assert_close(mean, beta / total)
    second = beta * (beta + 1) / (total * (total + 1))
    assert (samples.mean(dim=0) - mean).abs().max() < 5 * 0.5 / DRAWS**0.5
    assert (samples.square().mean(dim=0) - second).abs().max() < 5 * 0.5 / DRAWS**0.5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_samples_are_mixtures(dtype):
    samples = many(LOGITS.to(dtype))
    assert samples.dtype == dtype
    torch.testing.assert_close(samples.sum(dim=-1), torch.ones(DRAWS, 3, dtype=dtype))
    assert (samples[:, ~MASK] == 0).all()
    torch.testing.assert_close(samples, many().to(dtype))  # the precision does not change the noise


def test_the_gradient_is_that_of_the_implicit_reparameterisation(monkeypatch):
    """`Dirichlet.rsample` of torch, given our samples: the same gradient by β, row by row."""
    slope = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    logits = LOGITS.clone().requires_grad_()
    sample = Dirichlet().at(7)(logits, MASK)
    (found,) = torch.autograd.grad((sample.sin() * slope).sum(), logits)
    assert (found[~MASK] == 0).all()
    for row, drawn in enumerate(allowed(sample.detach())):
        monkeypatch.setattr(torch, "_sample_dirichlet", lambda beta, drawn=drawn: drawn)
        alpha = LOGITS[row][MASK[row]].requires_grad_()
        reference = Reference(elu(alpha) + 1).rsample()
        (expected,) = torch.autograd.grad((reference.sin() * slope[row][MASK[row]]).sum(), alpha)
        torch.testing.assert_close(found[row][MASK[row]], expected, rtol=1e-9, atol=1e-12)


def test_the_gradient_has_the_right_mean():
    """∂/∂α of E Σ c p² in closed form, within five standard errors and the 0.2 % that the speeds are off by."""
    prices = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
    logits = LOGITS.clone().requires_grad_()
    beta = (elu(logits) + 1) * MASK
    total = beta.sum(dim=1, keepdim=True)
    (expected,) = torch.autograd.grad((prices * beta * (beta + 1) / (total * (total + 1))).sum(), logits)

    spread = LOGITS.repeat(DRAWS, 1, 1).requires_grad_()
    (each,) = torch.autograd.grad((prices * Dirichlet().at(0)(spread, MASK).square()).sum(), spread)
    error = (each.mean(dim=0) - expected).abs()
    assert (error <= 5 * each.std(dim=0) / DRAWS**0.5 + 0.002 * expected.abs()).all()


def test_tiny_concentrations_choose_one_candidate():
    """Where Gamma variables underflow: as β goes to 0, p is one-hot, at o with probability β_o / β₀."""
    logits = torch.tensor([[-20.0, -21.0, -20.5]])
    samples = many(logits, torch.ones(1, 3, dtype=torch.bool))
    torch.testing.assert_close(samples.amax(dim=-1), torch.ones(DRAWS, 1))
    found = (samples > 0.5).float().mean(dim=0)
    assert (found - logits.softmax(dim=-1)).abs().max() < 5 * 0.5 / DRAWS**0.5


def test_gradients_are_finite_at_the_ends():
    mask = torch.tensor([[True, False, False], [True, True, False]])
    for scale in (-60.0, -5.0, 0.0, 200.0):
        logits = torch.full((50, 2, 3), scale).requires_grad_()
        sample = Dirichlet().at(0)(logits, mask)
        (gradient,) = torch.autograd.grad(sample.square().sum(), logits)
        assert gradient.isfinite().all()
        assert (sample[:, 0, 0] == 1).all()  # the only candidate of its edge
        assert (gradient[:, 0] == 0).all()


def test_the_mean_can_be_differentiated_twice():
    logits = (LOGITS + 0.05).requires_grad_()  # away from 0, where elu's second derivative jumps
    assert torch.autograd.gradgradcheck(lambda alpha: Dirichlet()(alpha, MASK).square(), (logits,))


def test_equal_seeds_are_equal_noise_and_leave_no_trace():
    before = torch.random.get_rng_state()
    first, second, other = many(seed=1), many(seed=1), many(seed=2)
    assert torch.equal(first, second)
    assert not torch.allclose(first, other)
    assert not torch.allclose(first[0], first[1])  # members have noise of their own
    assert torch.equal(before, torch.random.get_rng_state())
    assert isinstance(Dirichlet(), Sampled)
    assert not is_one_hot(Dirichlet())


def relaxed(*ensemble):
    generator = torch.Generator().manual_seed(0)
    logits = {
        group.name: torch.randn(*ensemble, *group.shape, generator=generator, dtype=torch.float64) for group in GROUPS
    }
    return Relaxed(logits, {}, GROUPS)


def test_the_distance_is_the_divergence_of_what_edges_have():
    given, expected = relaxed(), 0.0
    for group in GROUPS[:2]:  # weights of edges (role "edges") are left alone
        for row, mask in zip(given.logits[group.name], group.mask_tensor(), strict=True):
            beta = elu(row[mask]) + 1
            expected += float(kl_divergence(Reference(beta), Reference(torch.ones_like(beta))))
    assert float(DirichletDistance(weight=3.0)(given)) == pytest.approx(3 * expected)


def test_the_distance_is_zero_at_the_anchor_and_pulls_back_to_it():
    at_anchor = Relaxed({name: torch.zeros_like(tensor) for name, tensor in relaxed().logits.items()}, {}, GROUPS)
    assert DirichletDistance(weight=1.0)(at_anchor).abs() < 1e-12
    logits = {name: tensor.fill_(0.5).requires_grad_() for name, tensor in relaxed().logits.items()}
    DirichletDistance(weight=1.0)(Relaxed(logits, {}, GROUPS)).backward()
    for group in GROUPS[:2]:
        mask, gradient = group.mask_tensor(), logits[group.name].grad
        assert (gradient[mask] > 0).all()
        assert (gradient[~mask] == 0).all()


def test_distances_of_members_add_up():
    given = relaxed(3)
    alone = [
        DirichletDistance()(given._replace(logits={name: logits[member] for name, logits in given.logits.items()}))
        for member in range(3)
    ]
    torch.testing.assert_close(DirichletDistance()(given), sum(alone))


def test_the_weight_must_not_be_negative():
    with pytest.raises(ValueError, match=r"weight: must be at least 0, got -1.0"):
        DirichletDistance(weight=-1.0)
