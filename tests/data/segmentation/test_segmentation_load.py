import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from archgrad.data.segmentation import load
from archgrad.data.segmentation.camvid import CAMVID_CLASSES, CAMVID_IGNORE, CAMVID_PALETTE
from archgrad.data.segmentation.folder import segmentation_folder
from archgrad.data.segmentation.legend import read_legend
from archgrad.data.segmentation.load import load_segmentation
from archgrad.data.segmentation.scenes import scenes

ROOT = Path(__file__).parents[3]
CAMVID = ROOT / os.environ.get("ARCHGRAD_DATA", "../shared/data") / "camvid"
MASKS = ("masks", "labels", "annotations", "annot")


def fill(images: Path, masks: Path, seeds: Sequence[int] = range(4), *, size=(6, 4), classes=3, label=None):
    """Save random images and masks; `label` is put into each mask's first pixel."""
    images.mkdir(parents=True, exist_ok=True)
    masks.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        generator = np.random.default_rng(seed)
        mask = generator.integers(0, classes, size, dtype=np.uint8)
        if label is not None:
            mask[0, 0] = label
        Image.fromarray(generator.integers(0, 256, (*size, 3), dtype=np.uint8)).save(images / f"{seed:02}.png")
        Image.fromarray(mask).save(masks / f"{seed:02}.png")
    return images, masks


def segnet(root, parts=("train", "test"), **options):
    for part in parts:
        fill(root / part, root / f"{part}annot", **options)
    return root


def same(one, other):
    return (
        torch.equal(one.images, other.images)
        and torch.equal(one.masks, other.masks)
        and (one.classes, one.ignore, one.palette) == (other.classes, other.ignore, other.palette)
    )


@pytest.mark.parametrize("masks", MASKS)
@pytest.mark.parametrize("layout", ["{part}/{kind}", "{kind}/{part}"])
def test_pairs_of_folders_are_taken_as_they_are(tmp_path, layout, masks):
    pairs = {}
    for part, seeds in (("train", range(4)), ("test", range(4, 6))):
        names = [layout.format(part=part, kind=kind) for kind in ("images", masks)]
        pairs[part] = fill(tmp_path / names[0], tmp_path / names[1], seeds)
    loaded = load_segmentation(str(tmp_path))
    assert same(loaded.train, segmentation_folder(*pairs["train"]))
    assert same(loaded.test, segmentation_folder(*pairs["test"]))


@pytest.mark.parametrize("masks", MASKS)
def test_a_single_pair_is_split(tmp_path, masks):
    whole = segmentation_folder(*fill(tmp_path / "images", tmp_path / masks, range(10)))
    train, test = load_segmentation(tmp_path, test_fraction=0.3)
    assert (len(train), len(test)) == (7, 3)
    everything = torch.cat([train.images, test.images]).flatten(1).tolist()
    assert sorted(everything) == sorted(whole.images.flatten(1).tolist())
    assert same(load_segmentation(tmp_path, test_fraction=0.3).test, test)
    assert not all(same(load_segmentation(tmp_path, test_fraction=0.3, seed=seed).test, test) for seed in range(1, 4))


def test_segnets_layout_leaves_the_validation_images_out(tmp_path):
    segnet(tmp_path, parts=("train", "val", "test"), label=255)
    train, test = load_segmentation(tmp_path)
    assert (len(train), len(test)) == (4, 4)
    assert (train.classes, train.ignore, train.palette) == (("0", "1", "2"), 255, ())


@pytest.mark.parametrize("part", ["train", "test"])
def test_camvid_is_known_by_its_void(tmp_path, part):
    segnet(tmp_path, classes=10)
    fill(tmp_path / part, tmp_path / f"{part}annot", [9], label=11)
    for ignore in (None, 11):
        for data in load_segmentation(tmp_path, ignore=ignore):
            assert (data.classes, data.palette, data.ignore) == (CAMVID_CLASSES, CAMVID_PALETTE, CAMVID_IGNORE)


def test_what_is_not_camvid(tmp_path):
    segnet(tmp_path / "more", classes=12, label=12)
    assert load_segmentation(tmp_path / "more").train.num_classes == 13
    segnet(tmp_path / "both", classes=12, label=255)
    assert load_segmentation(tmp_path / "both").train.num_classes == 12
    segnet(tmp_path / "same", classes=12, label=11)
    assert load_segmentation(tmp_path / "same", ignore=255).train.num_classes == 12
    (tmp_path / "same" / "classes.txt").write_text("\n".join("abcdefghijkl"))
    assert load_segmentation(tmp_path / "same").train.classes == tuple("abcdefghijkl")
    (tmp_path / "same" / "classes.txt").write_text("\n".join("abcdefghijk"))
    data = load_segmentation(tmp_path / "same").train
    assert (data.classes, data.ignore) == (tuple("abcdefghijk"), 11)
    for part in ("train", "test"):
        fill(tmp_path / "other" / part / "images", tmp_path / "other" / part / "masks", classes=12, label=11)
    data = load_segmentation(tmp_path / "other").train
    assert (data.num_classes, data.ignore) == (12, 255)


def test_camvid_has_a_colour_for_every_class():
    assert len(CAMVID_CLASSES) == len(CAMVID_PALETTE) == len(set(CAMVID_PALETTE)) == CAMVID_IGNORE


@pytest.mark.parametrize("separator", [",", "\t", ", ", ",\t"])
@pytest.mark.parametrize("between", [",", " ", "\t", ", "])
def test_classes_and_colours_from_a_file(tmp_path, separator, between):
    fill(tmp_path / "images", tmp_path / "masks")
    colours = ((0, 128, 255), (1, 2, 3), (9, 8, 7))
    lines = [
        name + separator + between.join(map(str, colour))
        for name, colour in zip(("road", "traffic light", "ciel bleuté"), colours, strict=True)
    ]
    (tmp_path / "classes.txt").write_text("\n".join([*lines, ""]), encoding="utf-8")
    for data in load_segmentation(tmp_path):
        assert data.classes == ("road", "traffic light", "ciel bleuté")
        assert data.palette == colours


def test_classes_without_colours_or_pixels(tmp_path):
    fill(tmp_path / "images", tmp_path / "masks")
    (tmp_path / "classes.txt").write_text("road\r\nsky\r\ntree\r\nrare\r\n")
    data = load_segmentation(tmp_path).train
    assert (data.classes, data.palette) == (("road", "sky", "tree", "rare"), ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "classes.txt: has 0 classes; allowed are 1 to 256"),
        ("\n".join(map(str, range(257))), "has 257 classes"),
        ("a\nb\n\na", "line 4 has the class 'a' again, after line 1"),
        ("a\n,1,2,3", "line 2 has no name before the first comma or tab, got ',1,2,3'"),
        ("a,1,2,3\nb", "has colours for 1 of 2 classes; give all or none"),
        ("a,1,2", "line 1: a colour is red, green and blue in 0 … 255, got '1 2'"),
        ("a,1,2,256", "got '1 2 256'"),
        ("a,1,2,-3", "got '1 2 -3'"),
        ("a\tred", "got 'red'"),
        (b"\xff\xfe\x00", "is no UTF-8 text"),
    ],
)
def test_files_of_classes_that_are_none(tmp_path, text, message):
    path = tmp_path / "classes.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=message):
        read_legend(path)


def test_labels_that_no_class_has(tmp_path):
    segnet(tmp_path)
    fill(tmp_path / "test", tmp_path / "testannot", [7], label=5)
    with pytest.raises(ValueError, match=r"testannot/07.png: has the label 5; allowed are 0 … 2 \(3 classes\)"):
        load_segmentation(tmp_path)
    assert load_segmentation(tmp_path, ignore=5).test.ignore == 5
    (tmp_path / "classes.txt").write_text("a\nb")
    with pytest.raises(ValueError, match=r"trainannot/00.png: has the label 2; allowed are 0 … 1 \(2 classes\)"):
        load_segmentation(tmp_path)


def test_sizes(tmp_path):
    segnet(tmp_path, parts=("train",), size=(6, 4))
    segnet(tmp_path, parts=("test",), size=(4, 6))
    with pytest.raises(ValueError, match=r"training images of shape \[3, 6, 4\] and test images of \[3, 4, 6\]"):
        load_segmentation(tmp_path)
    train, test = load_segmentation(tmp_path, image_size=(3, 5))
    assert train.shape == test.shape == (3, 3, 5)
    assert train.masks.shape == (4, 3, 5)


@pytest.mark.parametrize("missing", ["train", "trainannot", "test", "testannot"])
def test_segnets_layout_without_one_folder(tmp_path, missing):
    segnet(tmp_path)
    (tmp_path / missing).rename(tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError, match=f"source: .* has .* but no {missing}\\."):
        load_segmentation(tmp_path)


@pytest.mark.parametrize("layout", ["{part}/{kind}", "{kind}/{part}", "{kind}"])
@pytest.mark.parametrize("missing", ["images", "masks"])
def test_half_a_pair_of_folders(tmp_path, layout, missing):
    for part in ("train", "test"):
        for kind in ("images", "masks"):
            (tmp_path / layout.format(part=part, kind=kind)).mkdir(parents=True, exist_ok=True)
    gone = layout.format(part="test", kind=missing)
    (tmp_path / gone).rmdir()
    with pytest.raises(FileNotFoundError, match=f"has .* but no {gone}"):
        load_segmentation(tmp_path)


def test_two_folders_of_masks(tmp_path):
    fill(tmp_path / "images", tmp_path / "labels")
    (tmp_path / "masks").mkdir()
    with pytest.raises(ValueError, match="has masks and labels; one folder of masks is allowed"):
        load_segmentation(tmp_path)


def test_unknown_sources(tmp_path):
    with pytest.raises(ValueError, match=r"data: 'scene' is unknown; did you mean 'scenes'.* the path of a folder"):
        load_segmentation("scene")
    with pytest.raises(ValueError, match="holds neither train and trainannot, nor train/images and train/masks, nor"):
        load_segmentation(tmp_path)
    (tmp_path / "data.zip").write_bytes(b"")
    with pytest.raises(ValueError, match=r"data.zip is a file; it must be a folder"):
        load_segmentation(tmp_path / "data.zip")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": (0, 4)}, "image_size: must be at least 1, got 0"),
        ({"test_fraction": 1.0}, "test_fraction: must lie strictly between 0 and 1, got 1.0"),
        ({"limit_train": 0}, "limit_train: must be at least 1, got 0"),
        ({"ignore": 300}, r"ignore: must lie in \[0, 255\], got 300"),
    ],
)
def test_impossible_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        load_segmentation("scenes", **options)


def test_scenes_by_name():
    loaded = load_segmentation(image_size=(32, 40), limit_train=2, limit_test=1)
    for data, expected in zip(loaded, scenes(train=2, test=1, size=(32, 40)), strict=True):
        assert same(data, expected)
    again = load_segmentation("scenes", image_size=(32, 40), limit_train=1, limit_test=1, seed=1, ignore=1)
    assert not torch.equal(again.test.images, loaded.test.images)
    assert (again.train.ignore, again.test.ignore) == (1, 1)


def test_scenes_are_drawn_in_a_size_and_a_number_of_their_own(monkeypatch):
    asked = []

    def draw(**options):
        asked.append(options)
        return scenes(train=1, test=1, size=(32, 40))

    monkeypatch.setattr(load, "scenes", draw)
    load_segmentation("scenes")
    load_segmentation("scenes", seed=3, image_size=(48, 64), limit_train=9, limit_test=900)
    assert asked == [
        {"train": 400, "test": 100, "seed": 0},
        {"train": 9, "test": 100, "seed": 3, "size": (48, 64)},
    ]


def test_limits_keep_the_first(tmp_path):
    segnet(tmp_path)
    loaded = load_segmentation(tmp_path)
    for train, test in (loaded.limited(2, None), load_segmentation(tmp_path, limit_train=2)):
        assert same(train, loaded.train.subset([0, 1]))
        assert same(test, loaded.test)
    with pytest.raises(ValueError, match="limit_test: must be at least 1, got 0"):
        loaded.limited(None, 0)


@pytest.mark.skipif(not CAMVID.is_dir(), reason=f"no CamVid in {CAMVID}; set ARCHGRAD_DATA")
def test_the_real_camvid(tmp_path):
    for part, count in (("train", 6), ("test", 3)):
        for folder in (part, f"{part}annot"):
            (tmp_path / folder).mkdir()
            for file in sorted((CAMVID / folder).iterdir())[:count]:
                (tmp_path / folder / file.name).symlink_to(file)
    train, test = load_segmentation(tmp_path)
    assert (len(train), len(test), train.shape) == (6, 3, (3, 180, 240))
    assert (train.classes, train.ignore) == (CAMVID_CLASSES, 11)
    shares = train.masks.flatten().bincount(minlength=12) / train.masks.numel()
    road, void = CAMVID_CLASSES.index("Road"), 11
    assert 0.1 < shares[road] < 0.6
    assert 0 < shares[void] < 0.2
    top, bottom = train.masks.chunk(2, dim=1)
    assert (bottom == road).sum() > 10 * (top == road).sum()  # the camera looks ahead, the road lies below
    sky = train.images.movedim(1, -1)[train.masks == 0].float().mean()
    assert sky > train.images.float().mean()
