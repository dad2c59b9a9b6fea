"""The derived language model against its equations, and what dropout and carried states do."""

import pytest
import torch

from archgrad.genotype import DARTS_V2_RECURRENT, RECURRENT_CELL, Cell, Edge, Genotype
from archgrad.ops.dropout import NO_DROPOUT, Dropout, keep_mask, locked_dropout, row_dropout
from archgrad.spaces import RecurrentCellSpace, RecurrentNetwork

FUNCTIONS = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid, "identity": lambda value: value}


@pytest.fixture
def network():
    torch.manual_seed(0)
    return RecurrentNetwork(DARTS_V2_RECURRENT, vocabulary_size=11, hidden_size=6).double().eval()


def by_hand(network, genotype, tokens, hidden):
    """The equations, state by state."""
    width = network.embedding.shape[1]
    outputs = []
    for row in tokens:
        gate, candidate = (torch.cat([network.embedding[row], hidden], dim=1) @ network.initial).chunk(2, dim=1)
        states = [hidden + gate.sigmoid() * (candidate.tanh() - hidden)]
        for weight, ((activation, source),) in zip(network.weights, genotype.cells[0].nodes, strict=True):
            gate, candidate = (states[source] @ weight).chunk(2, dim=1)
            value = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid, "identity": lambda x: x}[
                activation
            ](candidate)
            states.append(states[source] + gate.sigmoid() * (value - states[source]))
        hidden = sum(states[state] for state in genotype.cells[0].outputs) / len(genotype.cells[0].outputs)
        outputs.append(hidden)
    assert width == network.hidden_size
    return torch.stack(outputs) @ network.embedding.T + network.bias, hidden


def test_the_equations(network):
    tokens = torch.randint(11, (5, 3), generator=torch.Generator().manual_seed(1))
    hidden = torch.randn(3, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        network.bias.normal_()
        scores, last = by_hand(network, DARTS_V2_RECURRENT, tokens, hidden)
        output = network(tokens, hidden)
    torch.testing.assert_close(output.scores, scores, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(output.hidden, last, rtol=1e-12, atol=1e-12)
    assert torch.equal(output.outputs[-1], output.hidden)


def test_a_carried_state_makes_two_halves_one_whole(network):
    tokens = torch.randint(11, (8, 3), generator=torch.Generator().manual_seed(1))
    first = network(tokens[:3])
    second = network(tokens[3:], first.hidden)
    torch.testing.assert_close(torch.cat([first.scores, second.scores]), network(tokens).scores, rtol=1e-12, atol=1e-12)


def test_a_supernet_with_one_choice_per_edge_is_the_network_but_for_normalisation(network, monkeypatch):
    """With the normalisation taken out, a mixture that is certain computes what the derived network computes."""
    from archgrad.spaces.recurrent import cell

    monkeypatch.setattr(cell, "normalise", lambda states: states)
    space = RecurrentCellSpace(vocabulary_size=11, hidden_size=6, engine="bundled", dropout=NO_DROPOUT)
    supernet = space.supernet().double()
    (group,) = space.groups
    mixture = torch.zeros(group.shape, dtype=torch.float64)
    for node, ((activation, source),) in enumerate(DARTS_V2_RECURRENT.cells[0].nodes, start=1):
        mixture[group.edges.index((source, node)), group.candidates.index(activation)] = 1.0
    with torch.no_grad():
        supernet.embedding.copy_(network.embedding)
        supernet.bias.copy_(network.bias)
        supernet.initial.copy_(network.initial)
        supernet.weights.copy_(torch.stack(list(network.weights)))
        tokens = torch.randint(11, (5, 3), generator=torch.Generator().manual_seed(1))
        found = supernet((tokens, None), {"recurrent": mixture})
    torch.testing.assert_close(found.scores, network(tokens).scores, rtol=1e-12, atol=1e-12)


def test_each_dropout_changes_training_and_none_changes_evaluation(network):
    tokens = torch.randint(11, (5, 3), generator=torch.Generator().manual_seed(1))
    plain = network(tokens).scores
    for name in ("output", "hidden", "cell_input", "embedding", "rows"):
        network.dropout = Dropout(**{**vars(NO_DROPOUT), name: 0.5})
        torch.manual_seed(0)
        assert not torch.allclose(network.train()(tokens).scores, plain), name
        assert torch.equal(network.eval()(tokens).scores, plain), name


def test_masks_are_locked_over_time_and_keep_the_mean():
    torch.manual_seed(0)
    dropped = locked_dropout(torch.ones(7, 50, 40), 0.25, training=True)
    assert torch.equal(dropped[0].expand(7, -1, -1), dropped)
    assert dropped.unique().tolist() == [0.0, pytest.approx(4 / 3)]
    assert dropped[0].mean() == pytest.approx(1.0, abs=0.05)
    rows = row_dropout(torch.ones(1000, 3), 0.5, training=True)
    assert torch.equal(rows[:, :1].expand(-1, 3), rows)
    assert (rows[:, 0] == 0).float().mean() == pytest.approx(0.5, abs=0.06)
    assert keep_mask(torch.ones(1), (3, 2), 0.5).shape == (3, 2)


def test_exports(network):
    tokens = torch.randint(11, (4, 2))
    program = torch.export.export(network.float(), (tokens,))
    torch.testing.assert_close(program.module()(tokens).scores, network(tokens).scores)


def test_one_node():
    genotype = Genotype(RECURRENT_CELL, (Cell("recurrent", ((Edge("relu", 0),),), (1,), inputs=1),))
    network = RecurrentNetwork(genotype, vocabulary_size=5, hidden_size=4).double()
    tokens = torch.randint(5, (3, 2))
    expected, _ = by_hand(network, genotype, tokens, torch.zeros(2, 4, dtype=torch.float64))
    torch.testing.assert_close(network(tokens).scores, expected, rtol=1e-12, atol=1e-12)


def test_products_in_bfloat16_leave_the_states_their_digits():
    network = RecurrentNetwork(DARTS_V2_RECURRENT, vocabulary_size=11, hidden_size=6)
    tokens = torch.randint(11, (5, 3), generator=torch.Generator().manual_seed(1))
    expected = network(tokens)
    with torch.autocast("cpu", torch.bfloat16):
        found = network(tokens)
        again = network(tokens, found.hidden)
    for output in (found, again):
        assert {output.hidden.dtype, output.outputs.dtype} == {torch.float32}
        assert output.scores.dtype == torch.bfloat16
    torch.testing.assert_close(found.hidden, expected.hidden, rtol=0.05, atol=1e-3)
