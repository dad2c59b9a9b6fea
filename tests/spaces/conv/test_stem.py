import torch
import torch.nn.functional as F
from torch import nn

from archgrad.ops import BatchStatisticsNorm, Operation
from archgrad.spaces.conv.plan import CellPlan
from archgrad.spaces.conv.stem import CellInputs, Stem, apply_operation


def test_small_images_pass_one_convolution():
    stem = Stem("cifar", 3, 8, norm=BatchStatisticsNorm)
    images = torch.randn(2, 3, 9, 8)
    first, second = stem(images)
    (weight,) = stem.parameters()
    assert second is first
    expected = F.batch_norm(F.conv2d(images, weight, padding=1), None, None, training=True)
    torch.testing.assert_close(first, expected, rtol=1e-4, atol=1e-5)
    assert first.shape == (2, 24, 9, 8)


def test_large_images_pass_three_with_stride_two():
    """conv, norm, ReLU, conv, norm; then ReLU, conv, norm: the second state comes from the first."""
    stem = Stem("imagenet", 3, 8, norm=BatchStatisticsNorm)
    images = torch.randn(2, 3, 33, 32)

    def layer(x, weight):
        return F.batch_norm(F.conv2d(x, weight, stride=2, padding=1), None, None, training=True)

    entry, middle, last = stem.parameters()
    assert (entry.shape, middle.shape, last.shape) == ((4, 3, 3, 3), (8, 4, 3, 3), (8, 8, 3, 3))
    first, second = stem(images)
    torch.testing.assert_close(first, layer(F.relu(layer(images, entry)), middle), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(second, layer(F.relu(first), last), rtol=1e-4, atol=1e-5)
    assert (first.shape, second.shape) == ((2, 8, 9, 8), (2, 8, 5, 4))


def test_stem_of_a_supernet_is_affine_and_the_rest_is_not(tiny_space):
    supernet = tiny_space.supernet()
    affine = [name for name, module in supernet.named_modules() if getattr(module, "weight", None) is not None]
    norms = [name for name in affine if isinstance(supernet.get_submodule(name), BatchStatisticsNorm)]
    assert norms == ["stem.first.1"]


def test_inputs_come_to_the_cells_channels_and_size():
    before, previous = torch.randn(2, 6, 8, 8), torch.randn(2, 10, 4, 4)
    plan = CellPlan("normal", 4, (6, 10), halves_first=True)
    adapted = CellInputs(plan, norm=BatchStatisticsNorm)(before, previous)
    assert [state.shape for state in adapted] == [(2, 4, 4, 4)] * 2
    plain = CellPlan("normal", 4, (10, 10), halves_first=False)
    assert CellInputs(plain, norm=BatchStatisticsNorm)(previous, previous)[0].shape == (2, 4, 4, 4)


def test_operations_get_what_they_want():
    x = torch.randn(2, 3, 4, 4)
    for rectified, expected in ((True, x.relu()), (False, x)):
        operation = Operation(nn.Identity(), nn.Identity(), rectified=rectified)
        assert torch.equal(apply_operation(operation, x, x.relu()), expected)
