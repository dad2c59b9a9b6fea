"""The relaxed language model: engines agree through embedding and decoder, masks, and higher derivatives."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from archgrad.autodiff import mixed_derivatives
from archgrad.ops.dropout import Dropout
from archgrad.spaces import RecurrentCellSpace

SPACE = RecurrentCellSpace(vocabulary_size=11, hidden_size=6, nodes=3)
TOKENS = torch.randint(11, (5, 4), generator=torch.Generator().manual_seed(1))


def evaluate(engine, seed=0, **changes):
    """Loss and gradients by weights and mixture in training mode, with masks drawn from a seed."""
    torch.manual_seed(0)
    supernet = replace(SPACE, engine=engine, **changes).supernet().double()
    mixture = torch.full((6, 5), 0.2, dtype=torch.float64, requires_grad=True)
    torch.manual_seed(seed)
    output = supernet((TOKENS, None), {"recurrent": mixture})
    loss = F.cross_entropy(output.scores.flatten(0, 1), TOKENS.flatten())
    return loss, *torch.autograd.grad(loss, [*supernet.parameters(), mixture])


@pytest.mark.parametrize("engine", ["bundled", "through_time"])
def test_engines_agree(engine):
    for found, expected in zip(evaluate(engine), evaluate("per_edge"), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_masks_follow_from_torchs_generator():
    assert evaluate("through_time")[0] == evaluate("through_time")[0]
    assert evaluate("through_time", seed=1)[0] != evaluate("through_time")[0]


@pytest.mark.parametrize("name", ["output", "hidden", "cell_input", "embedding", "rows"])
def test_each_dropout_matters(name):
    base = Dropout()
    changed = replace(base, **{name: 0.5})
    assert evaluate("through_time", dropout=changed)[0] != evaluate("through_time", dropout=base)[0]


def test_second_derivatives_are_there_where_an_estimator_asks_for_them():
    supernet = SPACE.supernet().double()
    mixture = torch.full((6, 5), 0.2, dtype=torch.float64, requires_grad=True)
    with mixed_derivatives():
        loss = supernet((TOKENS, None), {"recurrent": mixture}).scores.square().mean()
    (of_weights,) = torch.autograd.grad(loss, supernet.weights, create_graph=True)
    (product,) = torch.autograd.grad(of_weights.sum(), mixture)
    assert product[:, 1:].abs().min() > 0
    assert torch.equal(product[:, 0], torch.zeros(6, dtype=torch.float64))  # `none` has a column and no part


def test_no_buffers_and_no_trace():
    supernet = SPACE.supernet()
    assert list(supernet.buffers()) == []
    names = {name for name, _ in supernet.named_parameters()}
    assert names == {"embedding", "bias", "initial", "weights"}


def test_bfloat16_goes_another_way():
    supernet = SPACE.supernet()
    mixture = {"recurrent": torch.full((6, 5), 0.2)}
    torch.manual_seed(0)
    whole = supernet((TOKENS, None), mixture).scores
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        half = supernet((TOKENS, None), mixture).scores
    assert not torch.equal(whole, half.float())
    torch.testing.assert_close(half.float(), whole, rtol=0.1, atol=0.02)
