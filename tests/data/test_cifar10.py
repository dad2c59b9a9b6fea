import collections
import os
import pickle

import numpy as np
import pytest
import torch

from archgrad.data import CIFAR10_CLASSES, cifar10

NAMES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]


def records(name, count=4):
    rng = np.random.default_rng(NAMES.index(name))
    return rng.integers(0, 256, (count, 3072), dtype=np.uint8), rng.integers(0, 10, count)


def python_two(data, labels):
    """What Python 2 wrote, opcode by opcode: byte strings, and NumPy's module names of the time."""
    minus_one = b"J" + b"\xff" * 4
    dtype = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNN" + minus_one * 2 + b"K\x00tb"
    empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    shape = b"K" + bytes([len(data)]) + b"M\x00\x0c\x86"
    content = b"T" + data.nbytes.to_bytes(4, "little") + data.tobytes()
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    array = empty + b"(K\x01" + shape + dtype + b"\x89" + content + b"tb"
    return b"\x80\x02}(U\x04data" + array + b"U\x06labels" + numbers + b"u."


def write(folder, form, count=4):
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        data, labels = records(name, count)
        if form == "binary":
            rows = np.concatenate([labels[:, None].astype(np.uint8), data], 1)
            (folder / f"{name}.bin").write_bytes(rows.tobytes())
        else:
            (folder / name).write_bytes(pickle.dumps({"data": data, "labels": labels.tolist()}, protocol=form))


@pytest.mark.parametrize("form", ["binary", 2, 4, 5])
@pytest.mark.parametrize("nested", [False, True])
def test_both_archives_hold_the_same_images(tmp_path, form, nested):
    inner = "cifar-10-batches-bin" if form == "binary" else "cifar-10-batches-py"
    write(tmp_path / inner if nested else tmp_path, form)
    train, test = cifar10(tmp_path)
    expected = [records(name) for name in NAMES]
    assert np.array_equal(
        train.images.numpy(), np.concatenate([data for data, _ in expected[:5]]).reshape(-1, 3, 32, 32)
    )
    assert train.labels.tolist() == [int(label) for _, labels in expected[:5] for label in labels]
    assert np.array_equal(test.images.numpy().reshape(-1, 3072), expected[5][0])
    assert test.labels.tolist() == expected[5][1].tolist()
    assert train.classes == test.classes == CIFAR10_CLASSES


def test_pickles_of_python_2(tmp_path):
    write(tmp_path, 2)
    data, labels = records("data_batch_1")
    (tmp_path / "data_batch_1").write_bytes(python_two(data, labels))
    train = cifar10(tmp_path)[0].subset(range(4))
    assert np.array_equal(train.images.numpy().reshape(-1, 3072), data)
    assert train.labels.tolist() == labels.tolist()


class Command:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("content", "refused"),
    [
        (Command(os.mkdir, "pwned"), r"(posix|nt)\.mkdir"),
        (Command(eval, "1"), r"(builtins|__builtin__)\.eval"),
        ({"data": collections.OrderedDict()}, r"collections\.OrderedDict"),
        ({"data": torch.zeros(2)}, "torch"),
        ({"data": np.float64(1)}, "numpy.*scalar"),
    ],
)
@pytest.mark.parametrize("protocol", [2, 4])
def test_pickles_that_ask_for_more_than_arrays(tmp_path, monkeypatch, content, refused, protocol):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, 2)
    (tmp_path / "data_batch_3").write_bytes(pickle.dumps(content, protocol=protocol))
    with pytest.raises(ValueError, match=f"data_batch_3: refused to load {refused}"):
        cifar10(tmp_path)
    assert not (tmp_path / "pwned").exists()


def test_other_codecs_are_refused(tmp_path):
    write(tmp_path, 2)
    content = b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x04\x00\x00\x00zlib\x86R."
    (tmp_path / "data_batch_1").write_bytes(content)
    with pytest.raises(ValueError, match="refused to load the codec 'zlib'"):
        cifar10(tmp_path)


@pytest.mark.parametrize("suffix", ["", ".bin"])
@pytest.mark.parametrize("name", ["data_batch_4", "test_batch", "data_batch_1"])
def test_a_missing_file_is_named(tmp_path, suffix, name):
    write(tmp_path, "binary" if suffix else 2)
    (tmp_path / (name + suffix)).unlink()
    with pytest.raises(FileNotFoundError, match=f"{name}{suffix} is missing"):
        cifar10(tmp_path)


def test_an_empty_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds neither data_batch_1 nor data_batch_1\.bin"):
        cifar10(tmp_path)


@pytest.mark.parametrize("cut", [1, 3000])
def test_truncated_files_are_named(tmp_path, cut):
    for form, suffix, message in (("binary", ".bin", "no positive multiple of 3073"), (2, "", "is truncated")):
        write(tmp_path / suffix, form)
        path = tmp_path / suffix / f"data_batch_2{suffix}"
        path.write_bytes(path.read_bytes()[:-cut])
        with pytest.raises(ValueError, match=f"data_batch_2{suffix}: .*{message}"):
            cifar10(tmp_path / suffix)
        path.unlink()
        for name in NAMES:
            (path.parent / (name + suffix)).unlink(missing_ok=True)


@pytest.mark.parametrize("form", ["binary", 2])
def test_files_cut_at_a_record_are_found_by_their_siblings(tmp_path, form):
    write(tmp_path, form, count=3)
    (tmp_path / "spare").mkdir()
    write(tmp_path / "spare", form, count=2)
    name = "test_batch.bin" if form == "binary" else "test_batch"
    (tmp_path / "spare" / name).replace(tmp_path / name)
    with pytest.raises(ValueError, match=f"{name}: has 2 records, data_batch_1.* has 3; one is truncated"):
        cifar10(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "must be a pickled dictionary, got list"),
        ({"labels": [1]}, "'data' must be uint8"),
        ({"data": np.zeros((1, 3072)), "labels": [1]}, "'data' must be uint8"),
        (
            {"data": np.zeros((1, 3000), np.uint8), "labels": [1]},
            r"'data' must be uint8 \[N, 3072\], got uint8 \[1, 3000\]",
        ),
        ({"data": np.zeros((1, 3072), np.uint8)}, "'labels' must be 1 whole numbers"),
        ({"data": np.zeros((1, 3072), np.uint8), "labels": [1, 2]}, "'labels' must be 1 whole numbers, got int64"),
        ({"data": np.zeros((1, 3072), np.uint8), "labels": [[1], [1, 2]]}, "'labels' must be 1 whole numbers"),
        ({"data": np.zeros((1, 3072), np.uint8), "labels": [10]}, "label 10 of record 0 is none of 0 … 9"),
    ],
)
def test_pickles_with_other_content(tmp_path, content, message):
    write(tmp_path, 2)
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps(content, protocol=4))
    with pytest.raises(ValueError, match=f"data_batch_1: {message}"):
        cifar10(tmp_path)


def test_a_binary_label_outside(tmp_path):
    write(tmp_path, "binary")
    path = tmp_path / "data_batch_5.bin"
    content = bytearray(path.read_bytes())
    content[3073] = 77
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"data_batch_5.bin: label 77 of record 1 is none of 0 … 9"):
        cifar10(tmp_path)


def test_labels_may_be_an_array(tmp_path):
    write(tmp_path, 2)
    data, labels = records("data_batch_1")
    for protocol in (2, 5):
        (tmp_path / "data_batch_1").write_bytes(pickle.dumps({"data": data, "labels": labels}, protocol=protocol))
        assert cifar10(tmp_path)[0].labels[:4].tolist() == labels.tolist()


def test_fortran_order(tmp_path):
    write(tmp_path, 2)
    data, labels = records("data_batch_1")
    for protocol in (2, 5):
        stored = {"data": np.asfortranarray(data), "labels": labels.tolist()}
        (tmp_path / "data_batch_1").write_bytes(pickle.dumps(stored, protocol=protocol))
        assert np.array_equal(cifar10(tmp_path)[0].images[:4].numpy().reshape(-1, 3072), data)
