"""The Gumbel softmax: whose samples they are, and that equal keys are equal noise."""

import pytest
import torch

from archgrad.relax import Gumbel, Sampled, Softmax

LOGITS = torch.tensor([[0.0, 1.0, -1.0, 0.5], [2.0, 0.0, 0.0, 0.0]])
MASK = torch.tensor([[True, True, True, False], [True, True, True, True]])


def many(relaxation, seed=0, draws=4000):
    return relaxation.at(seed)(LOGITS.expand(draws, 2, 4), MASK)


def test_the_largest_weight_is_a_draw_from_the_softmax():
    """The Gumbel-max trick (arXiv:1611.01144, Eq. 1), at any temperature."""
    expected = Softmax()(LOGITS, MASK)
    for temperature in (0.3, 3.0):
        chosen = many(Gumbel(temperature)).argmax(dim=-1)
        found = torch.nn.functional.one_hot(chosen, 4).float().mean(dim=0)
        assert (found - expected).abs().max() < 4 * 0.5 / 4000**0.5


@pytest.mark.parametrize("hard", [False, True])
def test_samples_are_mixtures(hard):
    mixture = many(Gumbel(hard=hard))
    torch.testing.assert_close(mixture.sum(dim=-1), torch.ones(4000, 2))
    assert (mixture[..., 0, 3] == 0).all()


def test_equal_seeds_are_equal_noise_and_others_are_not():
    first, second, other = (many(Gumbel(), seed, draws=3) for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.allclose(first, other)
    assert not torch.allclose(first[0], first[1])  # members have noise of their own


def test_the_noise_does_not_depend_on_the_logits():
    sample = Gumbel().at(3)
    ratio = (sample(LOGITS + 1.0, MASK) / sample(LOGITS, MASK))[MASK]
    torch.testing.assert_close(ratio, torch.ones_like(ratio))


def test_hard_samples_are_one_hot_with_the_gradient_of_soft_ones():
    found = {}
    for hard in (False, True):
        logits = LOGITS.clone().requires_grad_()
        mixture = Gumbel(0.7, hard=hard).at(5)(logits, MASK)
        (gradient,) = torch.autograd.grad((mixture * torch.arange(4.0)).sum(), logits)
        found[hard] = mixture.detach(), gradient
    torch.testing.assert_close(found[True][1], found[False][1])
    assert set(found[True][0].unique().tolist()) == {0.0, 1.0}
    assert torch.equal(found[True][0].argmax(dim=1), found[False][0].argmax(dim=1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("temperature", [0.01, 0.3, 10.0])
def test_hard_samples_are_exactly_zero_and_one(temperature, dtype):
    """No rounding: candidates of weight 0 can be left out."""
    sample = Gumbel(temperature, hard=True).at(0)(LOGITS.to(dtype).expand(500, 2, 4), MASK)
    assert (sample == 0).sum() == 500 * 2 * 3
    assert (sample == 1).sum() == 500 * 2


def test_one_hot_follows_from_hard():
    assert [Gumbel(hard=hard).one_hot for hard in (False, True)] == [False, True]
    assert [Gumbel(hard=hard).at(0).one_hot for hard in (False, True)] == [False, True]


def test_without_a_seed_there_is_no_noise():
    assert torch.equal(Gumbel(0.5)(LOGITS, MASK), Softmax(0.5)(LOGITS, MASK))


def test_lower_temperatures_decide():
    assert many(Gumbel(0.1)).max(dim=-1).values.mean() > many(Gumbel(1.0)).max(dim=-1).values.mean() + 0.1


def test_only_relaxations_with_noise_are_sampled():
    assert isinstance(Gumbel(), Sampled)
    assert not isinstance(Softmax(), Sampled)


def test_the_temperature_must_be_positive():
    with pytest.raises(ValueError, match=r"temperature: must be above 0, got 0"):
        Gumbel(0)
