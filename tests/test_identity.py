"""What a checkpoint belongs to: equal for equal requests in any process, different for different ones."""

import json

import pytest
import torch

import archgrad as ag
from archgrad.decode import top_k
from archgrad.identity import flat, identify
from archgrad.runs import CheckpointError

PLAIN = ag.data.Augmentation(crop_padding=0, flip=False)


def test_no_address_in_memory_is_part_of_an_identity():
    text = json.dumps(identify({"method": ag.methods.darts(), "object": object(), "class": dict, "rule": top_k}))
    assert "0x" not in text
    assert "archgrad.decode.top_k.top_k" in text


def test_equal_and_different_methods():
    assert identify(ag.methods.darts(order=2)) == identify(ag.methods.darts(order=2))
    assert identify(ag.methods.darts(order=2)) != identify(ag.methods.darts(order=1))
    assert identify(ag.methods.darts(temperature=2.0)) != identify(ag.methods.darts())


def test_flat_names_are_dotted():
    assert flat({"a": {"b": {"c": 1}, "d": [1]}, "e": None}) == {"a.b.c": 1, "a.d": [1], "e": None}


@pytest.fixture(scope="module")
def begun(tiny_space, tiny_data, tmp_path_factory):
    """A finished search in a run folder, and how to resume it with other arguments."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    usual = {"method": "darts-first-order", "epochs": 1, "batch_size": 4, "augmentation": PLAIN, "device": "cpu"}

    def search(*, resume=True, space=tiny_space, data=tiny_data, **changes):
        recorder = ag.runs.Recorder(folder, configuration={}, resume=resume)
        return ag.search(space, train=data, callbacks=[recorder], **{**usual, **changes})

    search(resume=False)
    return search


def test_the_same_search_is_resumed(begun):
    assert begun().history[-1]["epoch"] == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"batch_size": 6}, r"settings.batch_size \(4 there, 6 here\)"),
        ({"epochs": 2}, r"settings.epochs \(1 there, 2 here\)"),
        ({"method": "darts-second-order"}, r"method.hypergradient.type \('FirstOrder' there, 'Unrolled' here\)"),
        ({"seed": 3}, r"train.seed \(0 there, 3 here\)"),
        ({"space": ag.spaces.ConvCellSpace(channels=6, layers=3, num_classes=2, in_channels=1)}, r"space.channels"),
    ],
)
def test_another_search_is_refused_with_what_differs(begun, changes, said):
    with pytest.raises(CheckpointError, match=said):
        begun(**changes)


def test_other_data_is_refused(begun, tiny_data):
    other = ag.data.ImageData(tiny_data.images + 1, tiny_data.labels, tiny_data.classes)
    with pytest.raises(CheckpointError, match=r"train.data"):
        begun(data=other)


def test_data_of_other_labels_has_another_digest(tiny_data):
    from archgrad.data.images import digest

    flipped = ag.data.ImageData(tiny_data.images, 1 - tiny_data.labels, tiny_data.classes)
    assert digest(flipped) != digest(tiny_data)
    assert digest(torch.utils.data.TensorDataset(torch.zeros(3, 1))) == "TensorDataset of 3 items"
