import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from archgrad.data import ImageData, as_images, from_arrays


def grey(labels, classes=("a", "b", "c"), dtype=torch.uint8):
    labels = torch.tensor(labels)
    return ImageData(torch.arange(len(labels) * 4).view(-1, 1, 2, 2).to(dtype), labels, classes)


def test_properties_and_subset_in_the_given_order():
    data = grey([0, 1, 2, 1])
    assert (len(data), data.shape, data.num_classes) == (4, (1, 2, 2), 3)
    picked = data.subset([3, 0])
    assert picked.labels.tolist() == [1, 0]
    assert picked.images[:, 0, 0, 0].tolist() == [12, 0]
    assert picked.classes == data.classes
    assert torch.equal(data.subset(data.labels == 1).images, data.subset([1, 3]).images)
    assert torch.equal(data.subset(np.array([2])).labels, torch.tensor([2]))


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (torch.zeros(0, 1, 2, 2), torch.zeros(0).long(), "images: must be a non-empty tensor"),
        (torch.zeros(2, 2, 2), torch.zeros(2).long(), r"images: must be a non-empty tensor .* \[2, 2, 2\]"),
        (
            torch.zeros(2, 1, 2, 2).double(),
            torch.zeros(2).long(),
            "images: must be uint8 or float32, got torch.float64",
        ),
        (torch.zeros(2, 1, 2, 2), torch.zeros(3).long(), "labels: must be one per image, got 3 for 2"),
        (torch.zeros(2, 1, 2, 2), torch.zeros(2), "labels: must be one int64 per image, got torch.float32"),
        (torch.zeros(2, 1, 2, 2), torch.tensor([0, 7]), r"0 … 2 \(3 classes\), got 7 at index 1"),
        (torch.zeros(2, 1, 2, 2), torch.tensor([-1, 0]), "got -1 at index 0"),
    ],
)
def test_constructor_names_what_is_wrong(images, labels, message):
    with pytest.raises(ValueError, match=message):
        ImageData(images, labels, ("a", "b", "c"))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("where", [3, 1500])
def test_first_image_that_is_not_finite_is_named(value, where):
    images = torch.zeros(2000, 1, 1, 2)
    images[where, 0, 0, 1] = value
    images[-1] = value
    with pytest.raises(ValueError, match=f"image {where} has NaN or infinity"):
        ImageData(images, torch.zeros(2000).long(), ("a",))


def test_empty_subset_is_refused():
    with pytest.raises(ValueError, match="indices: must not be empty"):
        grey([0, 1]).subset([])


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.sampled_from([1, 3, 4]), st.integers(5, 9), st.integers(5, 9), st.booleans())
def test_layouts_describe_the_same_images(examples, channels, height, width, as_tensor):
    nchw = np.random.default_rng(0).integers(0, 256, (examples, channels, height, width), dtype=np.uint8)
    wrap = torch.from_numpy if as_tensor else np.asarray
    labels = np.zeros(examples, int)
    for layout, array in (("NCHW", nchw), ("NHWC", np.ascontiguousarray(np.moveaxis(nchw, 1, 3)))):
        for said in (layout, "auto"):
            data = from_arrays(wrap(array), labels, layout=said)
            assert torch.equal(data.images, torch.from_numpy(nchw))
            assert data.images.is_contiguous()


def test_ambiguous_axes_are_channels_last_for_numpy_and_first_for_torch():
    array = np.arange(2 * 3 * 5 * 3, dtype=np.uint8).reshape(2, 3, 5, 3)
    assert from_arrays(array, [0, 0]).shape == (3, 3, 5)
    assert torch.equal(from_arrays(array, [0, 0]).images, torch.from_numpy(array).permute(0, 3, 1, 2))
    assert torch.equal(from_arrays(torch.from_numpy(array), [0, 0]).images, torch.from_numpy(array))


def test_three_axes_are_grey():
    assert from_arrays(np.zeros((2, 4, 5), np.uint8), [0, 1]).shape == (1, 4, 5)


def test_any_number_of_channels_where_the_layout_is_said():
    assert from_arrays(np.zeros((2, 4, 5, 7), np.uint8), [0, 1], layout="NHWC").shape == (7, 4, 5)


@pytest.mark.parametrize("dtype", [np.int64, np.uint16, np.int16, ">i4"])
def test_whole_numbers_that_fit_become_uint8(dtype):
    data = from_arrays(np.array([[[0, 255]]], dtype=dtype), [0])
    assert data.images.dtype == torch.uint8
    assert data.images.flatten().tolist() == [0, 255]


@pytest.mark.parametrize("dtype", [np.float64, np.float16, ">f8"])
def test_floats_are_taken_as_they_are(dtype):
    data = from_arrays(np.array([[[-2.5, 300.0]]], dtype=dtype), [0])
    assert data.images.dtype == torch.float32
    assert data.images.flatten().tolist() == [-2.5, 300.0]


def test_read_only_and_reversed_arrays_are_copied():
    array = np.arange(8, dtype=np.uint8).reshape(2, 2, 2)[::-1]
    array.flags.writeable = False
    assert from_arrays(array, [0, 0]).images[0].flatten().tolist() == [4, 5, 6, 7]


@pytest.mark.parametrize(
    ("images", "layout", "message"),
    [
        (np.zeros((2, 5, 6, 7), np.uint8), "auto", "no axis of 1, 3 or 4 channels; say layout"),
        (np.zeros((2, 5), np.uint8), "auto", "images: must have 3 or 4 axes"),
        (np.zeros((2, 5, 5), np.uint8), "NHWC", "layout: NHWC needs 4 axes"),
        (np.zeros((2, 5, 5), np.uint8), "NWHC", "layout: 'NWHC' is unknown; did you mean"),
        (np.full((2, 5, 5), 256), "auto", "images: whole numbers must lie in 0 … 255, got 256 … 256"),
        (np.full((2, 5, 5), -1), "auto", "got -1 … -1"),
        (np.full((2, 5, 5), "x"), "auto", "images: must be numbers"),
        (np.zeros((2, 5, 5), bool), "auto", "images: must be numbers, got dtype bool"),
        (torch.zeros(2, 5, 5).bool(), "auto", "images: must be uint8 or floats, got torch.bool"),
        (np.zeros((2, 5, 5), complex), "auto", "images: must be numbers"),
        (np.full((2, 5, 5), 1e300), "auto", "image 0 has NaN or infinity"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_images_that_are_no_pixels(images, layout, message):
    with pytest.raises(ValueError, match=message):
        from_arrays(images, [0, 1], layout=layout)


@pytest.mark.parametrize("labels", [[0, 2, 1], np.array([0, 2, 1], np.uint8), torch.tensor([0.0, 2.0, 1.0])])
def test_labels_of_any_whole_number_dtype(labels):
    data = from_arrays(np.zeros((3, 4, 4), np.uint8), labels)
    assert data.labels.tolist() == [0, 2, 1]
    assert data.classes == ("0", "1", "2")


@pytest.mark.parametrize("kind", [list, np.array, lambda labels: np.array(labels, dtype=object)])
def test_strings_are_encoded_by_sorted_classes(kind):
    data = from_arrays(np.zeros((3, 4, 4), np.uint8), kind(["dog", "ant", "dog"]))
    assert data.classes == ("ant", "dog")
    assert data.labels.tolist() == [1, 0, 1]


def test_strings_are_encoded_by_given_classes():
    data = from_arrays(np.zeros((2, 4, 4), np.uint8), ["dog", "ant"], classes=["dog", "cat", "ant"])
    assert data.labels.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        ([0.0, 1.5], None, "labels: must be whole numbers, got 1.5 at index 1"),
        ([float("nan"), 1.0], None, "got nan at index 0"),
        ([[0], [1]], None, r"labels: must be a non-empty vector .* \[2, 1\]"),
        ([0, 3], ["a", "b"], "got 3 at index 1"),
        (["a", "x"], ["a", "b"], "labels: 'x' at index 1 is none of the classes a, b"),
        ([0, 1, 1], None, "got 3 for 2 images"),
        ([0, -1], None, "got -1 at index 1"),
        ([None, "a"], None, "labels: must be whole numbers or strings, got dtype object"),
    ],
)
def test_labels_that_are_no_classes(labels, classes, message):
    with pytest.raises(ValueError, match=message):
        from_arrays(np.zeros((2, 4, 4), np.uint8), labels, classes=classes)


def test_resizing_keeps_constants_and_the_dtype():
    data = from_arrays(np.full((3, 6, 8, 3), 77, np.uint8), [0, 0, 0])
    assert data.resized((9, 5)).shape == (3, 9, 5)
    assert data.resized(4).images.unique().tolist() == [77]
    assert data.resized(4).images.dtype == torch.uint8
    assert data.resized((6, 8)) is data
    with pytest.raises(ValueError, match="size: must be at least 1"):
        data.resized(0)


def test_halving_the_size_of_a_ramp_keeps_its_mean():
    ramp = torch.linspace(-1, 1, 16).expand(1, 1, 16, 16)
    data = ImageData(ramp.contiguous(), torch.tensor([0]), ("a",))
    assert data.resized(8).images.mean().item() == pytest.approx(0, abs=1e-6)


class Endless(IterableDataset):
    def __iter__(self):
        return iter(())


class Lengthless(Dataset):
    def __getitem__(self, index):
        return index


def test_as_images_passes_through_what_can_be_trained_on():
    data = grey([0, 1])
    tensors = TensorDataset(torch.zeros(2, 1, 2, 2), torch.zeros(2))
    assert as_images(data) is data
    assert as_images(tensors) is tensors
    for pair in ((data.images, data.labels), [data.images.numpy(), [0, 1]]):
        converted = as_images(pair)
        assert isinstance(converted, ImageData)
        assert torch.equal(converted.labels, data.labels)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Endless(), "Endless is an IterableDataset, which can be neither permuted nor resumed; allowed: ImageData"),
        (Lengthless(), "Lengthless has no length"),
        (TensorDataset(torch.zeros(0, 1, 2, 2), torch.zeros(0)), "data: TensorDataset is empty"),
        ("cifar10", "got str; allowed: ImageData"),
        ([1, 2, 3], "got list of 3"),
        (None, "got NoneType"),
    ],
)
def test_as_images_names_what_is_allowed(data, message):
    with pytest.raises(ValueError, match=message):
        as_images(data)
