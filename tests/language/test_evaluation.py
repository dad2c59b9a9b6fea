"""Perplexity: closed forms, and what it may depend on."""

import math

import pytest
import torch

from archgrad.language import Perplexity, evaluate
from archgrad.spaces.recurrent.lstm import LSTMNetwork


def text(length, *, vocabulary=7, seed=1):
    return torch.randint(vocabulary, (length,), generator=torch.Generator().manual_seed(seed))


def lstm():
    torch.manual_seed(0)
    network = LSTMNetwork(vocabulary_size=7, hidden_size=3)
    for parameter in network.parameters():
        torch.nn.init.uniform_(parameter, -1.0, 1.0)
    return network


def test_uniform_scores_have_the_perplexity_of_the_vocabulary(memoryless):
    found = evaluate(memoryless(torch.ones(8, 8)), text(101, vocabulary=8), batch_size=1, device="cpu")
    assert found.tokens == 100
    assert found.perplexity == pytest.approx(8, rel=1e-6)
    assert found.bits_per_token == pytest.approx(3, rel=1e-6)
    assert found.loss == pytest.approx(math.log(8), rel=1e-6)


def test_a_unigram_model_at_its_own_frequencies_has_the_entropy_of_the_text(memoryless):
    """The loss at p = n / N is the entropy −Σ p ln p of the tokens that are predicted."""
    tokens = text(200, vocabulary=4)
    share = tokens[1:].bincount(minlength=4) / 199
    found = evaluate(memoryless(share.log().expand(4, 4).contiguous()), tokens, batch_size=1, device="cpu")
    assert found.loss == pytest.approx(-(share * share.log()).sum().item(), rel=1e-5)


def test_a_table_is_averaged_over_the_pairs_of_the_text(memoryless):
    """With several rows a text counts all pairs but those across the cuts, and leaves out what is left over."""
    table = torch.randn(5, 5, generator=torch.Generator().manual_seed(0))
    tokens = text(32, vocabulary=5)
    losses = -table.log_softmax(dim=1)[tokens[:-1], tokens[1:]]
    counted = torch.cat([losses[0:9], losses[10:19], losses[20:29]])
    found = evaluate(memoryless(table), tokens, batch_size=3, sequence_length=4, device="cpu")
    assert found.tokens == len(counted)
    assert found.loss == pytest.approx(counted.mean().item(), rel=1e-5)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_the_state_is_carried_on_so_that_the_length_does_not_matter(batch_size):
    network, tokens = lstm(), text(90)
    found = [
        evaluate(network, tokens, batch_size=batch_size, sequence_length=length, device="cpu")
        for length in (1, 7, 35, 1000)
    ]
    assert {result.tokens for result in found} == {90 // batch_size * batch_size - batch_size}
    for result in found:
        assert result.loss == pytest.approx(found[0].loss, rel=1e-5)


def test_more_rows_are_more_beginnings():
    assert evaluate(lstm(), text(90), batch_size=9, device="cpu") != evaluate(lstm(), text(90), device="cpu")


def test_the_mode_comes_back_and_nothing_is_learnt(memoryless):
    network = memoryless(torch.zeros(7, 7))
    for training in (True, False):
        network.train(training)
        evaluate(network, text(50), device="cpu")
        assert network.training is training
    assert not any(network.modes)
    assert network.table.grad is None


def test_a_loss_beyond_floats_is_infinite():
    assert Perplexity(loss=1e4, tokens=1).perplexity == math.inf
    assert Perplexity(loss=0.0, tokens=1).perplexity == 1.0
    assert math.isnan(Perplexity(loss=math.nan, tokens=1).perplexity)


def test_what_does_not_fit_is_named(memoryless):
    network = memoryless(torch.zeros(5, 5))
    with pytest.raises(
        ValueError, match=r"tokens: has token 6, but vocabulary_size of the network is 5; allowed: 0 to 4"
    ):
        evaluate(network, text(50), device="cpu")
    with pytest.raises(ValueError, match=r"tokens: 9 are shorter than one batch"):
        evaluate(network, text(9, vocabulary=5), device="cpu")
    with pytest.raises(
        ValueError, match=r"network: must be a language model, with an attribute vocabulary_size; got Lin"
    ):
        evaluate(torch.nn.Linear(2, 2), text(50), device="cpu")
