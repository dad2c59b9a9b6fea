"""Weights go over and come back bit for bit, or not at all."""

import jax
import numpy as np
import pytest
import torch
from flax import nnx
from torch import nn

from archgrad.genotype import Cell, Edge, Genotype
from archgrad.jax.conversion import from_torch, to_torch
from archgrad.jax.layers import Linear
from archgrad.jax.network import ConvNetwork
from archgrad.jax.supernet import ConvSupernet
from archgrad.mixing import Mixing
from archgrad.spaces import ConvCellSpace
from archgrad.spaces import ConvNetwork as TorchConvNetwork

SPACE = ConvCellSpace(
    channels=4,
    layers=3,
    num_classes=3,
    nodes=2,
    candidates=("none", "skip_connect", "sep_conv_3x3", "conv_7x1_1x7"),
    choices={"normal": {(0, 2): ("skip_connect",)}},
    mixing=Mixing(partial_channels=2, edge_normalisation=True, auxiliary_skip=0.5),
)

EDGES = ((Edge("dil_conv_5x5", 0), Edge("skip_connect", 1)),)
GENOTYPE = Genotype("conv_cell", tuple(Cell(name, EDGES, (2,)) for name in ("normal", "reduce")))
SIZE = {"channels": 4, "layers": 3, "num_classes": 3}


def supernets(seed, **changes):
    space = ConvCellSpace(**({field: getattr(SPACE, field) for field in SPACE.__dataclass_fields__} | changes))
    return ConvSupernet(space, rngs=nnx.Rngs(seed)), space.supernet()


def networks(seed, genotype=GENOTYPE, auxiliary=False, **changes):
    size = {**SIZE, **changes}
    ours = ConvNetwork(genotype, **size, rngs=nnx.Rngs(seed))
    return ours, TorchConvNetwork(genotype, **size, auxiliary=auxiliary)


def kept(module):
    """All numbers of a module of either kind, by name."""
    if isinstance(module, nn.Module):
        return {name: tensor.numpy().copy() for name, tensor in module.state_dict().items()}
    return {path: np.asarray(leaf[...]) for path, leaf in nnx.to_flat_state(nnx.state(module))}


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name], err_msg=str(name))
        assert values.dtype == second[name].dtype


@pytest.fixture(scope="module", params=[supernets, networks], ids=["supernet", "network"])
def made(request):
    """A Flax module and two PyTorch ones: all numbers are different, running averages included."""
    (ours, twin), (_, other) = request.param(0), request.param(1)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in twin.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.randn(tensor.shape, generator=generator))
    return ours, twin, other


def test_from_pytorch_and_back_is_the_identity(made):
    ours, twin, other = made
    before = kept(twin)
    assert from_torch(twin, ours) is ours
    assert to_torch(ours, other) is other
    assert_same(kept(twin), before)
    assert_same(kept(other), before)


def test_to_pytorch_and_back_is_the_identity(made):
    ours, twin, other = made
    from_torch(twin, ours)
    before, graph = kept(ours), nnx.split(ours)[0]
    to_torch(ours, other)
    nnx.update(ours, jax.tree.map(np.zeros_like, nnx.state(ours)))
    from_torch(other, ours)
    assert_same(kept(ours), before)
    assert nnx.split(ours)[0] == graph


def test_every_number_has_a_place_of_its_own():
    """PyTorch's [K·out, in, height, width] is edge-major, ours [K, height, width, in, out]."""
    ours, twin = supernets(0)
    bundle = twin.cells[1].interior.bundles[1].operations["sep_conv_3x3"]
    to_torch(ours, twin)
    stacked = ours.cells[1].interior.bundles[1].operations["sep_conv_3x3"]
    depthwise, pointwise = (stacked.body.layers[place].kernel[...] for place in (0, 1))
    copies, channels = pointwise.shape[0], pointwise.shape[-1]
    assert copies == 2
    for edge, out in np.ndindex(copies, channels):
        row = edge * channels + out
        np.testing.assert_array_equal(bundle.body[1].weight[row, :, 0, 0].detach(), pointwise[edge, 0, 0, :, out])
        np.testing.assert_array_equal(bundle.body[0].weight[row, 0].detach(), depthwise[edge, :, :, 0, out])


def test_precision_is_that_of_the_source():
    ours, twin = Linear(3, 2, rngs=nnx.Rngs(0)), nn.Linear(3, 2).double()
    with jax.enable_x64(True):
        ours = from_torch(twin, ours)
        np.testing.assert_array_equal(ours.kernel[...], twin.weight.detach().numpy().T)
        assert ours.kernel[...].dtype == np.float64
        assert_same(kept(to_torch(ours, nn.Linear(3, 2).double())), kept(twin))


@pytest.mark.parametrize(
    ("make", "changes", "name"),
    [
        (supernets, {"num_classes": 4}, r"classifier\.(bias|weight)"),
        (supernets, {"choices": {}}, r"cells\.0\.interior\.bundles\.0\.operations\.(conv_7x1|sep_conv)"),
        (supernets, {"mixing": Mixing(partial_channels=2)}, r"cells\.1\.interior\.auxiliary\.0"),
        (networks, {"auxiliary": True}, r"auxiliary\..*an auxiliary head is PyTorch's alone"),
        (
            networks,
            {
                "genotype": Genotype(
                    "conv_cell", tuple(Cell(kind, EDGES[:1] * 2, (2,)) for kind in ("normal", "reduce"))
                )
            },
            r"cells\.0\.nodes\.1\.0",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_modules_that_do_not_match_are_refused_and_left_alone(make, changes, name):
    ours, other = make(0)[0], make(1, **changes)[1]
    before, before_other = kept(ours), kept(other)
    with pytest.raises(ValueError, match=name):
        to_torch(ours, other)
    with pytest.raises(ValueError, match=name):
        from_torch(other, ours)
    assert_same(kept(ours), before)
    assert_same(kept(other), before_other)


def test_sides_are_not_mixed_up():
    ours, theirs = nnx.Linear(2, 2, rngs=nnx.Rngs(0)), torch.nn.Linear(2, 2)
    with pytest.raises(ValueError, match="source: must be a module of Flax, got Linear; the first argument is read"):
        to_torch(theirs, ours)
    with pytest.raises(ValueError, match="source: must be a module of PyTorch, got Linear"):
        from_torch(ours, theirs)
    with pytest.raises(ValueError, match="target: must be a module of PyTorch, got Linear"):
        to_torch(ours, ours)
