"""The baseline: torch's own cell with the masks of the shell, as many parameters as asked for."""

import pytest
import torch

from archgrad.ops import dropout as dropout_module
from archgrad.ops.dropout import Dropout
from archgrad.spaces.recurrent import lstm
from archgrad.spaces.recurrent.lstm import LSTMNetwork, hidden_size_for, lstm_of_size

NONE = {"output": 0.0, "hidden": 0.0, "cell_input": 0.0, "embedding": 0.0}
VOCABULARY, SIZE = 7, 3


def network(**dropout):
    torch.manual_seed(0)
    made = LSTMNetwork(vocabulary_size=VOCABULARY, hidden_size=SIZE, dropout=Dropout(**{**NONE, **dropout}))
    for parameter in made.parameters():  # larger than they start, so that nothing is nearly linear
        torch.nn.init.uniform_(parameter, -1.0, 1.0)
    return made.double()


def text(*, time=5, batch=2, seed=1):
    return torch.randint(VOCABULARY, (time, batch), generator=torch.Generator().manual_seed(seed))


def close(first, second):
    for one, other in zip(first, second, strict=True):
        torch.testing.assert_close(one, other)


def test_a_step_against_the_equations_written_out():
    model, tokens = network(), text(time=1)
    hidden = torch.randn(2, 2, SIZE, dtype=torch.float64)
    before, cell = hidden
    weights = model.lstm.weight_ih_l0, model.lstm.weight_hh_l0
    bias = model.lstm.bias_ih_l0 + model.lstm.bias_hh_l0
    gates = model.embedding[tokens[0]] @ weights[0].T + before @ weights[1].T + bias
    enter, keep, candidate, leave = gates.split(SIZE, dim=1)
    cell = keep.sigmoid() * cell + enter.sigmoid() * candidate.tanh()
    after = leave.sigmoid() * cell.tanh()
    output = model(tokens, hidden)
    torch.testing.assert_close(output.outputs[0], after)
    torch.testing.assert_close(output.hidden, torch.stack([after, cell]))
    torch.testing.assert_close(output.scores[0], after @ model.embedding.T + model.bias)


@pytest.mark.parametrize("hidden", [None, torch.randn(2, 2, SIZE, dtype=torch.float64)])
def test_step_by_step_is_all_at_once(monkeypatch, hidden):
    """With a mask of ones the path of the training gives the numbers and gradients of torch's LSTM."""
    monkeypatch.setattr(lstm, "keep_mask", lambda like, shape, probability: torch.ones(shape, dtype=like.dtype))
    model, tokens = network(hidden=0.5), text()
    stepped, fused = model.train()(tokens, hidden), model.eval()(tokens, hidden)
    close(stepped, fused)
    gradients = [torch.autograd.grad(output.scores.square().sum(), model.parameters()) for output in (stepped, fused)]
    close(*gradients)


def test_a_text_in_two_parts_is_the_text():
    model, tokens = network().eval(), text(time=6)
    whole, first = model(tokens), model(tokens[:2])
    second = model(tokens[2:], first.hidden)
    torch.testing.assert_close(torch.cat([first.scores, second.scores]), whole.scores)
    torch.testing.assert_close(second.hidden, whole.hidden)


def masks(monkeypatch):
    """Every mask that is drawn, in order, with the shape and probability asked for."""
    drawn, plain = [], dropout_module.keep_mask

    def noted(like, shape, probability):
        drawn.append((shape, probability, plain(like, shape, probability)))
        return drawn[-1][2]

    for module in (dropout_module, lstm):
        monkeypatch.setattr(module, "keep_mask", noted)
    return drawn


def test_one_mask_a_sequence_wherever_the_states_are_multiplied(monkeypatch):
    drawn = masks(monkeypatch)
    model, tokens = network(hidden=0.5).train(), text()
    output = model(tokens)
    [(shape, probability, mask)] = drawn
    assert (shape, probability) == ((2, SIZE), 0.5)
    cell = torch.nn.LSTMCell(SIZE, SIZE, dtype=torch.float64)
    with torch.no_grad():
        for mine, theirs in zip(cell.parameters(), model.lstm.parameters(), strict=True):
            mine.copy_(theirs)
    state = torch.zeros(2, 2, SIZE, dtype=torch.float64).unbind()
    for step, row in enumerate(tokens):
        state = cell(model.embedding[row], (state[0] * mask, state[1]))
        torch.testing.assert_close(output.outputs[step], state[0])
    torch.testing.assert_close(output.hidden, torch.stack(state))


def test_every_place_of_the_dropout_has_its_own_mask(monkeypatch):
    drawn = masks(monkeypatch)
    model = network(rows=0.1, embedding=0.2, cell_input=0.3, hidden=0.4, output=0.5).train()
    model(text())
    assert [(shape, probability) for shape, probability, _ in drawn] == [
        ((VOCABULARY, 1), 0.1),
        ((2, SIZE), 0.2),
        ((2, SIZE), 0.3),
        ((2, SIZE), 0.4),
        ((2, SIZE), 0.5),
    ]
    drawn.clear()
    model.eval()(text())
    assert drawn == []


def test_weights_start_within_the_range_and_the_decoder_bias_at_zero():
    model = LSTMNetwork(vocabulary_size=50, hidden_size=20)
    assert model.decoder is None
    assert not model.bias.any()
    for name, parameter in model.named_parameters():
        if name != "bias":
            assert 0.035 < parameter.abs().max() <= 0.04, name


@pytest.mark.parametrize(("vocabulary", "size"), [(2, 1), (7, 3), (50, 16)])
def test_number_of_parameters(vocabulary, size):
    model = LSTMNetwork(vocabulary_size=vocabulary, hidden_size=size)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == vocabulary * size + vocabulary + 8 * size**2 + 8 * size
    assert hidden_size_for(count, vocabulary_size=vocabulary) == size


def test_the_nearest_size_among_all():
    counts = [30 * size + 30 + 8 * size**2 + 8 * size for size in range(1, 40)]
    for wanted in range(counts[0], counts[-2], 37):
        distances = [abs(count - wanted) for count in counts]
        size = hidden_size_for(wanted, vocabulary_size=30)
        assert distances[size - 1] == min(distances)
        model = lstm_of_size(wanted, vocabulary_size=30, dropout=Dropout(hidden=0.1))
        assert (model.hidden_size, model.dropout.hidden) == (size, 0.1)


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match=r"parameters: must be at least 36, got 35"):
        hidden_size_for(35, vocabulary_size=10)
    with pytest.raises(ValueError, match=r"vocabulary_size: must be at least 2, got 1"):
        hidden_size_for(1000, vocabulary_size=1)
    with pytest.raises(ValueError, match=r"hidden_size: must be at least 1, got 0"):
        LSTMNetwork(vocabulary_size=10, hidden_size=0)


def test_bfloat16_products_keep_the_states_in_float32():
    model = LSTMNetwork(vocabulary_size=7, hidden_size=3, dropout=Dropout(**{**NONE, "hidden": 0.5}))
    for mode in (True, False):
        with torch.autocast("cpu", torch.bfloat16):
            output = model.train(mode)(text())
        assert (output.hidden.dtype, output.outputs.dtype) == (torch.float32, torch.float32), mode
