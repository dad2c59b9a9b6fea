"""Sampling: the highest scores' chain, frequencies as the softmax has them, and nothing random but the seed."""

import math
from collections import Counter

import pytest
import torch

from archgrad.data.text import UNKNOWN, Vocabulary
from archgrad.language import sample
from archgrad.spaces.recurrent.lstm import LSTMNetwork

LETTERS = Vocabulary(("a", "b", "c", "\n", UNKNOWN), "character")
WORDS = Vocabulary(("the", "cat", "sat", "<eos>", UNKNOWN))


def lstm(seed=0):
    torch.manual_seed(seed)
    network = LSTMNetwork(vocabulary_size=5, hidden_size=4)
    for parameter in network.parameters():
        torch.nn.init.uniform_(parameter, -2.0, 2.0)
    return network


def test_greedy_is_the_chain_of_the_highest_scores():
    network = lstm()
    tokens = [LETTERS.index("\n"), *LETTERS.encode("ab").tolist()]
    for _ in range(12):  # all read again for every token
        scores = network.eval()(torch.tensor(tokens).view(-1, 1)).scores[-1, 0].clone()
        scores[LETTERS.index(UNKNOWN)] = -math.inf
        tokens.append(int(scores.argmax()))
    found = sample(network, LETTERS, length=12, prompt="ab", temperature=0, device="cpu")
    assert found == LETTERS.decode(tokens[1:])
    assert found == sample(network, LETTERS, length=12, prompt="ab", temperature=0, seed=5, device="cpu")


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("unknown", [True, False])
def test_frequencies_are_the_softmax_at_the_temperature(memoryless, temperature, unknown):
    scores = torch.tensor([0.0, 1.0, -0.5, 0.3, 0.8])
    expected = (scores[: 5 if unknown else 4] / temperature).softmax(dim=0)
    network, count = memoryless(scores.expand(5, 5).contiguous()), 4000
    drawn = sample(network, LETTERS, length=count, temperature=temperature, unknown=unknown, device="cpu")
    counts = Counter(drawn.replace(UNKNOWN, "?"))
    for token, share in zip("abc\n?", expected.tolist(), strict=False):
        error = math.sqrt(share * (1 - share) / count)
        assert abs(counts[token] / count - share) < 4 * error, token
    assert ("?" in counts) is unknown


def test_the_lowest_temperature_is_greedy():
    texts = {sample(lstm(), LETTERS, length=20, temperature=heat, device="cpu") for heat in (0, 1e-300)}
    assert len(texts) == 1


def test_the_seed_is_all_that_is_random():
    network = lstm()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = sample(network, LETTERS, length=50, device="cpu", seed=3)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(6)
    assert first == sample(network, LETTERS, length=50, device="cpu", seed=3)
    assert first != sample(network, LETTERS, length=50, device="cpu", seed=4)
    assert first.startswith(sample(network, LETTERS, length=20, device="cpu", seed=3))


def test_the_mode_comes_back_and_dropout_is_off(memoryless):
    network = memoryless(torch.zeros(5, 5))
    for training in (True, False):
        sample(network.train(training), LETTERS, length=3, device="cpu")
        assert network.training is training
    assert not any(network.modes)


def test_the_prompt_comes_first_and_does_not_end_its_line(memoryless):
    """After "the" comes "cat", after "cat" "sat", and after that the line ends."""
    table = torch.full((5, 5), -50.0)
    for last, following in ((0, 1), (1, 2), (2, 3), (3, 0), (4, 0)):
        table[last, following] = 50.0
    network = memoryless(table)
    assert sample(network, WORDS, length=4, prompt="the", device="cpu") == "the cat sat\nthe"
    assert sample(network, WORDS, length=1, prompt="sat\n", device="cpu") == "sat\nthe"
    assert sample(network, WORDS, length=3, device="cpu") == "the cat sat"
    assert sample(network, WORDS, length=0, prompt="sat", device="cpu") == "sat"


def test_what_does_not_fit_is_named(memoryless):
    network = memoryless(torch.zeros(5, 5))
    for changes, message in [
        (
            {"prompt": "the cut"},
            r"prompt: token: 'cut' is not among the 5 tokens of the vocabulary; did you mean 'cat'",
        ),
        ({"length": -1}, r"length: must be at least 0, got -1"),
        ({"temperature": -0.1}, r"temperature: must be at least 0, got -0\.1"),
    ]:
        with pytest.raises(ValueError, match=message):
            sample(network, WORDS, **{"length": 3, "device": "cpu", **changes})
    with pytest.raises(ValueError, match=r"vocabulary: has 5 tokens, but vocabulary_size of the network is 6"):
        sample(memoryless(torch.zeros(6, 6)), WORDS, length=1, device="cpu")
    with pytest.raises(ValueError, match=r"network: its scores are not finite"):
        sample(memoryless(torch.full((5, 5), math.nan)), WORDS, length=1, device="cpu")
