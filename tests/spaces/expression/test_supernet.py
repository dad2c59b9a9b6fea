"""The relaxed graph against the equations written out, and against the graphs that it decodes to."""

import math

import numpy as np
import pytest
import torch

from archgrad.arch import NONE
from archgrad.decode import argmax
from archgrad.relax import Softmax
from archgrad.spaces.expression import ExpressionSpace, Graph


def relaxed(space, logits):
    return Softmax()(logits, space.groups[0].mask_tensor())


def coefficients_of(space, supernet, nodes, member):
    """Those of a member in the layout of `Graph`, for edges by node of which some may have to go."""
    (group,) = space.groups
    alive = {}
    for target, edges in zip(space.targets, nodes, strict=True):
        kept = [edge for edge in edges if edge.source < space.columns or edge.source in alive]
        if kept:
            alive[target] = kept
    outputs = [state for state in space.outputs if state in alive]
    read = set(outputs)
    for target in reversed(alive):
        if target in read:
            read.update(edge.source for edge in alive[target])
    values = []
    for target in (target for target in alive if target in read):
        for edge in alive[target]:
            row, column = group.edges.index((edge.source, target)), group.candidates.index(edge.operation)
            values += supernet.coefficients[member, row, column, : space.known[edge.operation].size].tolist()
    layer = dict(zip(space.outputs, supernet.outputs[member].tolist(), strict=True))
    return np.array([*values, *(layer[state] for state in outputs), supernet.offset[member].item()]), outputs


@pytest.mark.parametrize("seed", range(3))
def test_the_equations_to_the_letter(space, example, reference, seed):
    """Outputs and gradients, of the logits too."""
    supernet, logits, inputs = example(space, seed)
    logits.requires_grad_()
    weights = relaxed(space, logits)
    tensors = [logits, *supernet.parameters()]
    found, expected = supernet(inputs, {"edges": weights}), reference(space, supernet, weights, inputs)
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)
    pairs = [torch.autograd.grad(outputs.tanh().sum(), tensors, retain_graph=True) for outputs in (found, expected)]
    for one, other in zip(*pairs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("seed", range(8))
def test_with_one_hot_mixtures_it_is_the_decoded_graph(space, example, one_hot, seed):
    supernet, _, inputs = example(space, seed)
    weights = one_hot(space, seed)
    outputs = supernet(inputs, {"edges": weights}).detach().numpy()
    (group,) = space.groups
    for member, genotype in enumerate(space.decode_members({"edges": weights})):
        nodes = argmax(weights[member].numpy(), group)
        coefficients, outputs_left = coefficients_of(space, supernet, nodes, member)
        if not outputs_left:  # the genotype falls back to an edge
            np.testing.assert_allclose(outputs[member], supernet.offset[member].item())
            continue
        expected = Graph(genotype.cells[0]).predict(coefficients, inputs.numpy().T)
        np.testing.assert_allclose(outputs[member], expected, rtol=1e-8, atol=1e-8)


def test_members_do_not_see_each_other(space, example):
    """Each is what a supernet of one member is with its weights, and so are its gradients."""
    supernet, logits, inputs = example(space)
    weights = relaxed(space, logits).requires_grad_()
    together = supernet(inputs, {"edges": weights})
    tensors = [weights, *supernet.parameters()]
    gradients = torch.autograd.grad(together.square().sum(), tensors)
    arguments = {name: getattr(space, name) for name in ("columns", "nodes", "primitives", "layout")}
    sizes = {name: getattr(space, name) for name in ("terms", "factors", "functions")}
    alone = ExpressionSpace(**arguments, **sizes, restarts=1).supernet().double()
    for member in range(space.restarts):
        alone.load_state_dict({name: tensor[[member]] for name, tensor in supernet.state_dict().items()})
        own = weights.detach()[[member]].requires_grad_()
        outputs = alone(inputs, {"edges": own})
        torch.testing.assert_close(outputs[0], together[member], rtol=1e-12, atol=1e-12)
        found = torch.autograd.grad(outputs.square().sum(), [own, *alone.parameters()])
        for one, whole in zip(found, gradients, strict=True):
            torch.testing.assert_close(one[0], whole[member], rtol=1e-9, atol=1e-12)


WILD = ("none", "ln", "linear_ln", "sqrt", "linear_sqrt", "reciprocal", "linear_exp", "exp", "arcsin", "linear_arcsin")


@pytest.mark.parametrize("more", [("cube", "linear_softplus"), ("multiply", "divide", "power", "powered")])
def test_the_edge_of_a_domain_spoils_nothing(more):
    """Zeros, negative and huge numbers: outputs are finite, and so are all gradients, also second ones."""
    space = ExpressionSpace(columns=2, nodes=3, primitives=(*WILD, *more), restarts=16)
    torch.manual_seed(0)
    supernet = space.supernet()
    inputs = torch.tensor([[0.0, -1.0], [-2.0, 0.0], [0.0, 0.0], [1.0, -1.0], [1e6, -1e6], [1e-30, 3.0]])
    logits = torch.randn(16, *space.groups[0].shape, requires_grad=True)
    outputs = supernet(inputs, {"edges": logits.softmax(dim=-1)})
    assert outputs.isfinite().all()
    tensors = [logits, *supernet.parameters()]
    first = torch.autograd.grad(outputs.tanh().sum(), tensors, create_graph=True)
    assert all(gradient.isfinite().all() for gradient in first)
    second = torch.autograd.grad(first[0].tanh().sum(), tensors, materialize_grads=True)
    assert all(not gradient.isnan().any() for gradient in second)


def test_numbers_as_large_as_there_are_keep_to_their_member():
    """Members that read only the tame column go on as if the other one were not there."""
    space = ExpressionSpace(columns=2, nodes=2, primitives=(*WILD, "linear"), restarts=4)
    supernet = space.supernet()
    (group,) = space.groups
    weights = torch.randn(4, *group.shape, generator=torch.Generator().manual_seed(0)).softmax(dim=-1)
    wild = [row for row, (source, _) in enumerate(group.edges) if source == 0]
    weights[:2, wild] = torch.nn.functional.one_hot(torch.tensor(0), len(group.candidates)).float()
    weights.requires_grad_()
    inputs = torch.tensor([[1e30, 0.5], [-1e30, 0.6], [1e30, 0.2]])
    tensors = [weights, *supernet.parameters()]
    found = []
    for table in (inputs, inputs.clamp(-1.0, 1.0)):
        outputs = supernet(table, {"edges": weights})
        gradients = torch.autograd.grad(outputs[:2].square().sum() + outputs[2:].nan_to_num().sum(), tensors)
        found.append((outputs[:2], *(gradient[:2] for gradient in gradients[1:])))
    for one, other in zip(*found, strict=True):
        assert one.isfinite().all()
        torch.testing.assert_close(one, other)


def test_initial_coefficients():
    """a ~ N(0, 1) over the column's scale where it multiplies one, b ~ N(0, ¼), c_j ~ N(0, 1 / outputs), c₀ = 0."""
    names = ("none", "linear", "powered", "constant")
    space = ExpressionSpace(columns=2, nodes=2, primitives=names, restarts=4000, scales=(10.0, 0.1))
    torch.manual_seed(0)
    supernet = space.supernet()
    slopes, shifts = supernet.coefficients.std(dim=0).unbind(-1)
    expected = torch.ones(5, 4)
    expected[[0, 2], 1], expected[[1, 3], 1] = 0.1, 10.0
    torch.testing.assert_close(slopes, expected, rtol=0.06, atol=0)
    torch.testing.assert_close(shifts, torch.full((5, 4), 0.5), rtol=0.06, atol=0)
    torch.testing.assert_close(supernet.outputs.std(dim=0), torch.full((2,), 0.5**0.5), rtol=0.06, atol=0)
    assert not supernet.offset.any()


def test_all_parameters_have_the_ensembles_dimension_and_there_is_no_buffer(space):
    supernet = space.supernet()
    assert all(len(parameter) == space.restarts for parameter in supernet.parameters())
    assert not list(supernet.buffers())
    (group,) = space.groups
    assert supernet.coefficients.shape == (space.restarts, *group.shape, 2)


def test_a_node_of_nothing_is_nothing_and_so_is_what_reads_it():
    """cos(0) would be 1: an edge from an empty node counts as none."""
    space = ExpressionSpace(columns=1, nodes=2, primitives=(NONE, "cos"))
    supernet = space.supernet()
    nothing = torch.tensor([[1.0, 0.0]] * 2 + [[0.0, 1.0]])[None]
    assert not supernet(torch.ones(3, 1), {"edges": nothing}).any()
    half = torch.tensor([[0.5, 0.5], [1.0, 0.0], [0.0, 1.0]])[None]
    expected = supernet.outputs[0, 0] * 0.5 * math.cos(1) + supernet.outputs[0, 1] * 0.5 * math.cos(0.5 * math.cos(1))
    torch.testing.assert_close(supernet(torch.ones(3, 1), {"edges": half}), expected.expand(1, 3))
