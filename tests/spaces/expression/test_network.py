"""The decoded graph in torch against its NumPy twin; a plain module, to export and to differentiate."""

import io

import numpy as np
import pytest
import torch

from archgrad.genotype import Cell, Edge, Genotype
from archgrad.ops.symbolic import PRIMITIVES, Primitive
from archgrad.spaces.expression import ExpressionNetwork, Graph


def genotype(*nodes, outputs, inputs=2):
    cells = (Cell("expression", tuple(tuple(Edge(*edge) for edge in node) for node in nodes), outputs, inputs),)
    return Genotype("expression", cells)


EVERYTHING = genotype(
    [("powered", 0), ("powered", 1)],
    [("linear_sin", 2), ("softplus", 0), ("constant", 0), ("sin", 2)],
    [("powered", 0), ("multiply", 3), ("divide", 2), ("add", 1), ("power", 0), ("powered", 2)],
    outputs=(2, 3, 4),
)
OWN = Primitive("own", lambda x: x + 1, lambda x: x + 1)


def loaded(network, seed=0):
    values = np.random.default_rng(seed).uniform(0.5, 1.5, network.coefficients.numel())
    network = network.double()
    network.load_coefficients(torch.from_numpy(values))
    return network, values


def table(rows=6, columns=2):
    return torch.rand(rows, columns, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 0.5


@pytest.mark.parametrize("offset", [True, False])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_values_and_gradients_are_those_of_the_graph(offset, sign):
    network, values = loaded(ExpressionNetwork(EVERYTHING, offset=offset))
    inputs = table() * torch.tensor([1.0, sign])
    value, jacobian = Graph(EVERYTHING.cells[0], offset=offset).evaluate(values[None], inputs.numpy().T)
    np.testing.assert_allclose(network(inputs).detach().numpy(), value[0])
    for row in range(len(inputs)):
        (gradient,) = torch.autograd.grad(network(inputs)[row], network.coefficients)
        np.testing.assert_allclose(gradient.numpy(), jacobian[0, :, row], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", [name for name in PRIMITIVES if name != "none"])
def test_every_primitive(name):
    single = genotype([(name, 0)], outputs=(1,), inputs=1)
    network, values = loaded(ExpressionNetwork(single))
    inputs = 0.5 * table(columns=1)
    np.testing.assert_allclose(
        network(inputs).detach().numpy(), Graph(single.cells[0]).predict(values, inputs.numpy().T)
    )


@pytest.mark.parametrize("link", ["sigmoid", "deviance"])
def test_the_link(link):
    plain, _ = loaded(ExpressionNetwork(EVERYTHING))
    linked, _ = loaded(ExpressionNetwork(EVERYTHING, link=link))
    torch.testing.assert_close(linked(table()), torch.sigmoid(plain(table())))


def test_columns_of_a_wider_table():
    network, _ = loaded(ExpressionNetwork(EVERYTHING, columns=(3, 1)))
    plain, _ = loaded(ExpressionNetwork(EVERYTHING))
    wide = table(columns=4)
    assert torch.equal(network(wide), plain(wide[:, [3, 1]]))


def test_primitives_of_ones_own():
    single = genotype([("own", 0)], outputs=(1,), inputs=1)
    network = ExpressionNetwork(single, primitives={"own": OWN})
    assert network(torch.tensor([[2.0]])).item() == 2 + 1 + 1
    with pytest.raises(ValueError, match="operation 'own' is no primitive"):
        ExpressionNetwork(single)


def test_it_is_exported_saved_and_trained():
    network, _ = loaded(ExpressionNetwork(EVERYTHING))
    program = torch.export.export(network, (table(),))
    torch.testing.assert_close(program.module()(table()), network(table()))
    file = io.BytesIO()
    torch.save(network, file)
    file.seek(0)
    assert torch.equal(torch.load(file, weights_only=False)(table()), network(table()))
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
    before = network(table()).square().mean()
    before.backward()
    optimizer.step()
    assert network(table()).square().mean() < before


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"link: 'logit' is unknown; .*Allowed: identity, sigmoid, deviance"):
        ExpressionNetwork(EVERYTHING, link="logit")
    with pytest.raises(ValueError, match=r"columns: the graph reads 2, got 3"):
        ExpressionNetwork(EVERYTHING, columns=(0, 1, 2))
