"""Eq. 8 written out, both readings, and what checkpointing must not change."""

import pytest
import torch
import torch.nn.functional as F

from archgrad.hypergrad import FiniteDifference, InnerStep, Losses, Unrolled
from archgrad.spaces.trellis.plan import Node

READINGS = ["mixed_inputs", "cell_per_edge"]
MOVES = ("halve", "keep", "double")


@pytest.fixture
def images():
    return torch.randn(3, 2, 21, 34, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def made(space, engine="bundled"):
    torch.manual_seed(0)
    return space.supernet(engine=engine).double()


def normalise(x, scale=1.0):
    return scale * F.batch_norm(x, None, None, training=True)


def enlarge(x, size):
    return F.interpolate(x, size, mode="bilinear", align_corners=True)


def written_out(space, supernet, images, mixture):
    """Eq. 8 with loops, one edge after the other; cells and convolutions are the supernet's own."""
    first, second = supernet.stem.layers
    states = {(-1, -1): F.relu(first[1](first[0](images)))}
    states[0, 0] = F.relu(second[1](second[0](states[-1, -1])))
    height, width = images.shape[2:]
    strides = {level: 4 * 2**level for level in range(space.levels)}
    sizes = {level: (-(-height // stride), -(-width // stride)) for level, stride in strides.items()}
    modules = dict(zip(space.trellis.nodes, supernet.nodes, strict=True))
    rows = {node: row for row, node in enumerate(space.trellis.sources)}
    for layer in range(1, space.layers + 1):
        for level in range(min(layer, space.levels - 1) + 1):
            module = modules[layer, level]
            terms = []
            sources = [source for source in (level - 1, level, level + 1) if (layer - 1, source) in states]
            for place, source in enumerate(sources):
                beta = mixture["trellis"][rows[layer - 1, source], level - source + 1]
                kernel = module.arrivals[place].convolution.weight
                x = states[layer - 1, source]
                if source == level - 1:
                    brought = F.conv2d(x, kernel, stride=2, padding=1)
                else:  # upsampling first, as the paper says it
                    brought = F.conv2d(enlarge(x, sizes[level]), kernel)
                terms.append((beta, normalise(brought)))
            lowest = min(level, max(layer - 2, -1))
            before = states[layer - 2, lowest][:, :, :: 2 ** (level - lowest), :: 2 ** (level - lowest)]
            if space.reading == "mixed_inputs":
                second_input = normalise(F.conv2d(before, module.before.convolution.weight))
                cell = module.cell([sum(beta * x for beta, x in terms), second_input], mixture["cell"])
                states[layer, level] = F.relu(torch.cat(cell, dim=1))
            else:
                total = 0
                for (beta, x), adapt, inner in zip(terms, module.before, module.cells, strict=True):
                    second_input = normalise(F.conv2d(before, adapt.convolution.weight))
                    total = total + beta * torch.cat(inner([x, second_input], mixture["cell"]), dim=1)
                states[layer, level] = F.relu(total)
    scores = 0
    for level, head in enumerate(supernet.heads):
        x = states[space.layers, level]
        rate = 24 // 2**level
        one, atrous, pooled = (branch.weight for branch in head.branches)
        branches = [
            F.relu(normalise(F.conv2d(x, one))),
            F.relu(normalise(F.conv2d(x, atrous, padding=rate, dilation=rate))),
            F.relu(normalise(F.conv2d(x.mean(dim=(2, 3), keepdim=True), pooled))).expand(-1, -1, *x.shape[2:]),
        ]
        kernel = torch.cat([classify.weight for classify in head.classifiers], dim=1)
        scores = scores + enlarge(
            F.conv2d(torch.cat(branches, dim=1), kernel, head.classifiers[0].bias), images.shape[2:]
        )
    return scores


@pytest.mark.parametrize("engine", ["bundled", "per_edge"])
@pytest.mark.parametrize("reading", READINGS)
def test_the_equation_written_out(tiny, random_logits, relax, images, reading, engine):
    space = tiny(reading=reading)
    supernet = made(space, engine)
    mixture = relax(space, random_logits(space))
    torch.testing.assert_close(supernet(images, mixture), written_out(space, supernet, images, mixture))


@pytest.mark.parametrize("levels", [1, 2, 4, 5])
@pytest.mark.parametrize("reading", READINGS)
def test_any_number_of_strides_and_any_size(tiny, random_logits, relax, reading, levels):
    space = tiny(levels=levels, layers=4, blocks=1, reading=reading)
    supernet = made(space)
    for size in ((64, 64), (65, 71)):
        x = torch.randn(2, 2, *size, dtype=torch.float64)
        assert supernet(x, relax(space, random_logits(space))).shape == (2, 3, *size)


def test_sizes_at_321():
    from archgrad.ops.resize import halved

    assert [halved((321, 321), 2 + level)[0] for level in range(4)] == [81, 41, 21, 11]


def test_the_readings_agree_where_each_node_has_one_edge(tiny, random_logits, relax, images):
    """With one stride β is 1, and a mixture of one input is that input."""
    spaces = [tiny(levels=1, reading=reading) for reading in READINGS]
    mixed, per_edge = map(made, spaces)
    renamed = {
        name.replace(".cell.", ".cells.0.").replace(".before.", ".before.0."): weight
        for name, weight in mixed.state_dict().items()
    }
    per_edge.load_state_dict(renamed)
    mixture = relax(spaces[0], random_logits(spaces[0]))
    torch.testing.assert_close(mixed(images, mixture), per_edge(images, mixture))


@pytest.mark.parametrize("reading", READINGS)
def test_an_edge_of_weight_zero_carries_nothing(tiny, random_logits, relax, images, reading):
    """No gradient comes back through an edge whose β is 0."""
    space = tiny(reading=reading)
    supernet = made(space)
    mixture = {name: weights.detach() for name, weights in relax(space, random_logits(space)).items()}
    (arrival,) = [found for found in space.trellis.arrivals(Node(3, 2)) if found.source == Node(2, 1)]
    mixture["trellis"][arrival.row, MOVES.index(arrival.move)] = 0.0
    supernet(images, mixture).square().sum().backward()
    place = space.trellis.arrivals(Node(3, 2)).index(arrival)
    module = dict(zip(space.trellis.nodes, supernet.nodes, strict=True))[Node(3, 2)]
    gradients = [edge.convolution.weight.grad for edge in module.arrivals]
    assert not gradients[place].any()
    assert all(gradient.any() for other, gradient in enumerate(gradients) if other != place)


@pytest.mark.parametrize("reading", READINGS)
def test_checkpointing_changes_no_number(tiny, random_logits, relax, images, reading):
    found = []
    for checkpointing in (False, True):
        space = tiny(reading=reading, checkpointing=checkpointing)
        supernet, logits = made(space), random_logits(space)
        scores = supernet(images, relax(space, logits))
        scores.square().mean().backward()
        found.append([scores, *(x.grad for x in [*supernet.parameters(), *logits.values()])])
    for plain, again in zip(*found, strict=True):
        torch.testing.assert_close(again, plain, rtol=0, atol=0)


@pytest.mark.parametrize("hypergradient", [Unrolled(), FiniteDifference()])
def test_checkpointing_sees_the_weights_of_the_inner_step(tiny, random_logits, relax, images, hypergradient):
    """The second evaluation comes when the caller's weights are no longer the module's: they must be those of then."""
    found = []
    for checkpointing in (False, True):
        space = tiny(checkpointing=checkpointing)
        supernet, logits = made(space), random_logits(space)
        weights = dict(supernet.named_parameters())

        def loss(weights, logits, sign, space=space, supernet=supernet):
            scores = torch.func.functional_call(supernet, weights, (images, relax(space, logits)))
            return (sign * scores[:, 0]).square().mean() + sign * scores[:, 1].mean()

        losses = Losses(lambda w, a, f=loss: f(w, a, 1.0), lambda w, a, f=loss: f(w, a, -1.0))
        inner = InnerStep(learning_rate=0.1, momentum=0.9, weight_decay=1e-3)
        gradient = hypergradient(losses, weights, logits, inner=inner)
        found.append([gradient[name] for name in sorted(gradient)])
    for plain, again in zip(*found, strict=True):
        torch.testing.assert_close(again, plain, rtol=1e-9, atol=1e-12)


def test_no_forward_pass_leaves_a_trace(tiny, random_logits, relax, images):
    space = tiny(checkpointing=True)
    supernet = made(space)
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    assert set(before) == {name for name, _ in supernet.named_parameters()}
    mixture = relax(space, random_logits(space))
    assert torch.equal(supernet.train()(images, mixture), supernet.eval()(images, mixture))
    assert all(torch.equal(tensor, before[name]) for name, tensor in supernet.state_dict().items())
