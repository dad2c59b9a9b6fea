import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from archgrad.data import cifar10, digits, from_npz, image_folder, load

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (12, 6, 6, 3), dtype=np.uint8)
LABELS = np.arange(12) % 3


def save_folder(root, labels=LABELS, size=6):
    for index, label in enumerate(labels):
        folder = root / f"class{label}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(IMAGES[index][:size, :size]).save(folder / f"{index}.png")
    return root


def save_zip(path, labels=LABELS):
    root = save_folder(path.parent / f"{path.stem}_files", labels)
    with zipfile.ZipFile(path, "w") as archive:
        for file in root.rglob("*.png"):
            archive.write(file, file.relative_to(root))
    return path


def same(one, other):
    return torch.equal(one.images, other.images) and torch.equal(one.labels, other.labels)


def test_digits_by_name():
    train, test = load("digits", seed=2, test_fraction=0.3)
    expected_train, expected_test = digits(seed=2, test_fraction=0.3)
    assert same(train, expected_train)
    assert same(test, expected_test)
    assert load("digits", image_size=12).test.shape == (1, 12, 12)


def test_single_sources_are_split_by_class(tmp_path):
    np.savez(tmp_path / "data.npz", images=IMAGES, labels=LABELS)
    save_folder(tmp_path / "folder")
    save_zip(tmp_path / "data.zip")
    for source in ("data.npz", "folder", "data.zip"):
        path = tmp_path / source
        loaded = load(str(path), test_fraction=0.25)
        assert loaded.train.labels.bincount().tolist() == [3, 3, 3]
        assert loaded.test.labels.bincount().tolist() == [1, 1, 1]
        assert same(load(path, test_fraction=0.25).test, loaded.test)
        others = [load(path, test_fraction=0.25, seed=seed).test for seed in range(1, 5)]
        assert not all(same(other, loaded.test) for other in others)
        assert load(path, image_size=4).train.shape == (3, 4, 4)
    whole = from_npz(tmp_path / "data.npz").images.double().sum()
    loaded = load(str(tmp_path / "data.npz"))
    assert loaded.train.images.double().sum() + loaded.test.images.double().sum() == whole


def test_pairs_are_taken_as_they_are(tmp_path):
    for part, labels in (("train", LABELS), ("test", LABELS[::-1])):
        save_folder(tmp_path / "folders" / part, labels)
        (tmp_path / "zips").mkdir(exist_ok=True)
        save_zip(tmp_path / "zips" / f"{part}.zip", labels)
        (tmp_path / "arrays").mkdir(exist_ok=True)
        np.savez(tmp_path / "arrays" / f"{part}.npz", images=IMAGES, labels=labels)
    for source in ("folders", "zips", "arrays"):
        train, test = load(str(tmp_path / source))
        assert train.labels.tolist() == LABELS.tolist()
        assert test.labels.tolist() == LABELS[::-1].tolist()
        assert same(train, image_folder(tmp_path / "folders" / "train"))


def test_cifar10_is_recognised(tmp_path):
    record = np.concatenate([[3], np.full(3072, 9)]).astype(np.uint8)
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for name in [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]:
        rows = np.stack([record] * 10)
        rows[:, 0] = np.arange(10)
        (folder / f"{name}.bin").write_bytes(rows.tobytes())
    for source in (tmp_path, folder):
        assert same(load(str(source)).train, cifar10(source)[0])
        assert load(str(source), image_size=8).test.shape == (3, 8, 8)


def test_unknown_sources(tmp_path):
    with pytest.raises(ValueError, match=r"data: 'digit' is unknown; did you mean 'digits'.* the path of a folder"):
        load("digit")
    with pytest.raises(ValueError, match="holds neither CIFAR-10, nor train and test data"):
        load(str(tmp_path))
    (tmp_path / "data.csv").write_text("1,2")
    with pytest.raises(ValueError, match=r"data.csv is a .csv file; allowed are .npz, .zip and folders"):
        load(str(tmp_path / "data.csv"))


@pytest.mark.parametrize("name", ["train.npz", "test.zip", "train"])
def test_half_a_pair(tmp_path, name):
    (tmp_path / name).mkdir()
    missing = name.replace("train", "x").replace("test", "train").replace("x", "test")
    with pytest.raises(FileNotFoundError, match=f"has {name} but no {missing}"):
        load(str(tmp_path))


def test_parts_that_do_not_belong_together(tmp_path):
    save_folder(tmp_path / "train")
    save_folder(tmp_path / "test", size=5)
    with pytest.raises(ValueError, match=r"shape \[3, 6, 6\] and test images of \[3, 5, 5\]; image_size resizes both"):
        load(str(tmp_path))
    assert load(str(tmp_path), image_size=5).train.shape == (3, 5, 5)
    save_folder(tmp_path / "test" / ".", [7])
    with pytest.raises(ValueError, match="differ in their classes: class7"):
        load(str(tmp_path), image_size=5)


def test_classes_without_training_data(tmp_path):
    np.savez(tmp_path / "train.npz", images=IMAGES, labels=LABELS * 2)
    np.savez(tmp_path / "test.npz", images=IMAGES, labels=LABELS)
    with pytest.raises(ValueError, match="has no training data of the classes 1, 3"):
        load(str(tmp_path))


def test_a_class_too_small_to_split(tmp_path):
    save_folder(tmp_path, [0, 0, 1])
    with pytest.raises(ValueError, match="class 'class1' has a single example"):
        load(str(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_size": 0}, "image_size: must be at least 1, got 0"),
        ({"test_fraction": 1.0}, "test_fraction: must lie strictly between 0 and 1, got 1"),
    ],
)
def test_impossible_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        load("digits", **arguments)
