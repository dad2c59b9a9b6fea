import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from archgrad.data import image_folder, image_zip

ROOT = Path(__file__).parents[2]
CIFAR10 = ROOT / os.environ.get("ARCHGRAD_DATA", "../shared/data") / "cifar10"


def picture(value, shape=(6, 4, 3)):
    return np.random.default_rng(value).integers(0, 256, shape, dtype=np.uint8)


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def zipped(folder, path, prefix=""):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, prefix + str(file.relative_to(folder)))
    return path


def test_classes_are_folders_and_files_are_sorted(tmp_path):
    for number, (label, name) in enumerate([("dog", "b.png"), ("dog", "a.PNG"), ("cat", "x.bmp"), ("cat", "y.tif")]):
        save(tmp_path / label / name, picture(number))
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    (tmp_path / "cat" / ".hidden.png").write_text("no image")
    (tmp_path / ".cache").mkdir()
    data = image_folder(tmp_path)
    assert data.classes == ("cat", "dog")
    assert data.labels.tolist() == [0, 0, 1, 1]
    expected = np.stack([picture(number) for number in (2, 3, 1, 0)]).transpose(0, 3, 1, 2)
    assert np.array_equal(data.images.numpy(), expected)


def test_numbers_order_the_images_across_classes(tmp_path):
    for number, label in ((10, "cat"), (9, "dog"), (2, "cat")):
        save(tmp_path / label / f"{number}.png", picture(number))
    data = image_folder(tmp_path)
    assert data.labels.tolist() == [0, 1, 0]
    assert np.array_equal(data.images[1].numpy(), picture(9).transpose(2, 0, 1))
    assert image_folder(tmp_path, limit_per_class=1).labels.tolist() == [0, 1]


@pytest.mark.parametrize("prefix", ["", "train/", "deep/er/"])
def test_a_zip_reads_as_the_folder_does(tmp_path, prefix):
    for number, label in ((0, "cat"), (1, "dog"), (2, "cat")):
        save(tmp_path / "data" / label / f"{number}.webp", picture(number), lossless=True)
    archive = zipped(tmp_path / "data", tmp_path / "data.zip", prefix)
    folder = image_folder(tmp_path / "data")
    data = image_zip(archive)
    assert torch.equal(data.images, folder.images)
    assert torch.equal(data.labels, folder.labels)
    assert data.classes == folder.classes


def test_sizes_and_modes(tmp_path):
    save(tmp_path / "a" / "1.png", np.full((6, 4), 7, np.uint8))
    save(tmp_path / "a" / "2.png", np.full((5, 5, 3), 7, np.uint8))
    assert image_folder(tmp_path, size=3).shape == (3, 3, 3)
    resized = image_folder(tmp_path, size=(2, 7), mode="L")
    assert resized.shape == (1, 2, 7)
    assert resized.images.unique().tolist() == [7]
    assert image_folder(tmp_path, size=3, mode="RGBA").images[:, 3].unique().tolist() == [255]
    with pytest.raises(
        ValueError, match=r"image_size: .*1.png is 6×4 and .*2.png is 5×5 \(height×width\); give one size"
    ):
        image_folder(tmp_path)


def test_palettes_and_their_transparency(tmp_path):
    indexed = Image.fromarray(picture(0)).quantize(4)
    indexed.info["transparency"] = bytes([0, 255, 255, 255])
    (tmp_path / "a").mkdir()
    indexed.save(tmp_path / "a" / "1.png")
    expected = np.asarray(Image.open(tmp_path / "a" / "1.png").convert("RGBA").convert("RGB"))
    assert np.array_equal(image_folder(tmp_path).images[0].numpy(), expected.transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "RBG"}, "mode: 'RBG' is unknown; did you mean"),
        ({"size": 0}, "size: must be at least 1"),
        ({"size": (4, 0)}, "size: must be at least 1"),
        ({"limit_per_class": 0}, "limit_per_class: must be at least 1"),
    ],
)
def test_impossible_arguments(tmp_path, arguments, message):
    save(tmp_path / "a" / "1.png", picture(0))
    with pytest.raises(ValueError, match=message):
        image_folder(tmp_path, **arguments)


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_images_that_cannot_be_read_are_named(tmp_path, kind):
    def read():
        return image_folder(root) if kind == "folder" else image_zip(zipped(root, tmp_path / "data.zip"))

    root = tmp_path / "data"
    whole = save(root / "a" / "1.png", picture(0, (40, 40, 3))).read_bytes()
    bad = root / "a" / "2.png"
    for content in (b"", b"no image", whole[:-600], whole[:60] + bytes(60) + whole[120:]):
        bad.write_bytes(content)
        with pytest.raises(ValueError, match=r"2.png: cannot be read as an image"):
            read()
    Image.fromarray(np.full((6, 4), 4000, np.uint16)).save(bad)
    with pytest.raises(ValueError, match=r"2.png: .*more than 8 bits per channel"):
        read()
    bad.unlink()
    (root / "b").mkdir()
    (root / "b" / "readme.md").write_text("empty")
    with pytest.raises(ValueError, match=r"class folder 'b' has no images \(.png"):
        read()


def test_folders_and_archives_without_classes(tmp_path):
    with pytest.raises(ValueError, match="has no class folders"):
        image_folder(tmp_path)
    for reader in (image_folder, image_zip):
        with pytest.raises(FileNotFoundError, match="missing"):
            reader(tmp_path / "missing")
    (tmp_path / "data.zip").write_bytes(b"no zip")
    with pytest.raises(ValueError, match=r"data.zip: is no zip archive"):
        image_zip(tmp_path / "data.zip")
    save(tmp_path / "data" / "flat.png", picture(0))
    with pytest.raises(ValueError, match="has no class folders"):
        image_zip(zipped(tmp_path / "data", tmp_path / "data.zip"))
    for part in ("train", "test"):
        save(tmp_path / "two" / part / "a" / "1.png", picture(0))
    with pytest.raises(ValueError, match="has classes in several folders, 'test' and 'train'"):
        image_zip(zipped(tmp_path / "two", tmp_path / "data.zip"))


@pytest.mark.skipif(not CIFAR10.is_dir(), reason=f"no CIFAR-10 in {CIFAR10}; set ARCHGRAD_DATA")
def test_the_real_cifar10():
    data = image_zip(CIFAR10 / "test.zip", limit_per_class=20)
    assert data.shape == (3, 32, 32)
    assert data.classes[:3] == ("airplane", "automobile", "bird")
    assert data.labels.bincount().tolist() == [20] * 10
    assert data.labels[:10].tolist() == [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]  # the original order begins so
    assert 100 < data.images.float().mean().item() < 140
