from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from archgrad.data.segmentation.folder import find_pairs, segmentation_folder

SIZE = (6, 4)


def picture(seed=0, size=SIZE, channels=3):
    return np.random.default_rng(seed).integers(0, 256, (*size, channels), dtype=np.uint8)


def labels(seed=0, size=SIZE, classes=3):
    return np.random.default_rng(seed).integers(0, classes, size, dtype=np.uint8)


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(path, **options)
    return path


def folders(root, names=("a", "b"), size=SIZE, image=".png", mask=".png"):
    for seed, name in enumerate(names):
        save(root / "images" / (name + image), picture(seed, size))
        save(root / "masks" / (name + mask), labels(seed, size))
    return root / "images", root / "masks"


def read(root, **options):
    return segmentation_folder(root / "images", root / "masks", **options)


def test_pairs_are_read_in_the_order_of_the_names(tmp_path):
    images, masks = folders(tmp_path, names=("b", "c", "a"))
    (images / "notes.txt").write_text("no image")
    (masks / ".hidden.png").write_text("no mask")
    data = segmentation_folder(str(images), masks)
    assert data.classes == ("0", "1", "2")
    assert (data.ignore, data.palette) == (255, ())
    for place, seed in enumerate((2, 0, 1)):
        assert np.array_equal(data.images[place].permute(1, 2, 0).numpy(), picture(seed))
        assert np.array_equal(data.masks[place].numpy(), labels(seed))


@pytest.mark.parametrize("ending", ["", "_mask", "_label", "_labelIds", "_gt", "-seg", "_L_MASK"])
def test_endings_of_the_masks_names(tmp_path, ending):
    names = ("a_L", "b_L") if ending == "_L_MASK" else ("a", "b")
    folders(tmp_path, names=names, image=".JPG", mask=f"{ending.removeprefix('_L')}.png")
    assert np.array_equal(read(tmp_path).masks[1].numpy(), labels(1))


def test_an_image_whose_own_name_ends_so(tmp_path):
    folders(tmp_path, names=("a", "a_mask"))
    assert np.array_equal(read(tmp_path).masks[1].numpy(), labels(1))


def test_images_and_masks_are_resized_as_data_in_memory_is(tmp_path):
    images, masks = folders(tmp_path)
    whole = segmentation_folder(images, masks)
    for size in ((3, 2), (9, 7), SIZE):
        resized, expected = segmentation_folder(images, masks, size=size), whole.resized(size)
        assert torch.equal(resized.images, expected.images)
        assert torch.equal(resized.masks, expected.masks)


def test_sizes_that_differ(tmp_path):
    folders(tmp_path, names=("a",))
    save(tmp_path / "images" / "b.png", picture(1, (5, 5)))
    save(tmp_path / "masks" / "b.png", labels(1, (5, 5)))
    with pytest.raises(ValueError, match=r"image_size: .*a.png is 6×4 and .*b.png is 5×5 \(height×width\); give one"):
        read(tmp_path)
    assert read(tmp_path, size=(4, 3)).shape == (3, 4, 3)


def test_a_mask_of_another_size_than_its_image(tmp_path):
    folders(tmp_path)
    save(tmp_path / "masks" / "b.png", labels(0, (4, 6)))
    for size in (None, (3, 3)):
        with pytest.raises(ValueError, match=r"masks/b.png: is 4×6, but its image b.png is 6×4 \(height×width\)"):
            read(tmp_path, size=size)


@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("L", 1), ("RGBA", 4)])
def test_modes_of_images(tmp_path, mode, channels):
    folders(tmp_path)
    save(tmp_path / "images" / "a.png", np.full(SIZE, 7, np.uint8))
    data = read(tmp_path, mode=mode)
    assert data.shape == (channels, *SIZE)
    assert data.images[0, 0].unique().tolist() == [7]


@pytest.mark.parametrize("kind", ["palette", "transparent", "bits", "sixteen", "tiff32"])
def test_masks_are_read_as_numbers(tmp_path, kind):
    folders(tmp_path)
    indices = labels(5, classes=2)
    indexed = Image.fromarray(indices)
    path = tmp_path / "masks" / "a.png"
    if kind in ("palette", "transparent"):
        indexed = Image.fromarray(indices, mode="L")
        indexed.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200])
        assert indexed.mode == "P"
        save(path, indexed, **({"transparency": 0} if kind == "transparent" else {}))
    elif kind == "bits":
        save(path, Image.fromarray(indices.astype(bool)))
    elif kind == "sixteen":
        save(path, indices.astype(np.uint16))
    else:
        path.unlink()
        save(path.with_suffix(".tif"), indices.astype(np.int32))
    assert np.array_equal(read(tmp_path).masks[0].numpy(), indices)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (picture(), r"masks/a.png: is in Pillow's mode RGB, but a mask has one number per pixel .*; write the index"),
        (
            np.stack([labels()] * 3, -1),
            r"is in Pillow's mode RGB, .*; its three channels are equal, so that saving",
        ),
        (np.stack([labels()] * 4, -1), r"is in Pillow's mode RGBA, .*; its three channels are equal"),
        (np.stack([labels()] * 2, -1), r"is in Pillow's mode LA, but a mask has one number per pixel"),
        (np.full(SIZE, 300, np.uint16), r"masks/a.png: has the label 300; labels must lie in 0 … 255"),
    ],
)
def test_masks_that_are_no_indices(tmp_path, mask, message):
    folders(tmp_path)
    save(tmp_path / "masks" / "a.png", mask)
    with pytest.raises(ValueError, match=message):
        read(tmp_path)


def test_negative_labels(tmp_path):
    folders(tmp_path)
    (tmp_path / "masks" / "a.png").unlink()
    save(tmp_path / "masks" / "a.tif", np.full(SIZE, -1, np.int32))
    with pytest.raises(ValueError, match=r"a.tif: has the label -1; labels must lie in 0 … 255"):
        read(tmp_path)


def test_labels_that_are_no_class(tmp_path):
    folders(tmp_path)
    with pytest.raises(ValueError, match=r"a.png: has the label 2; allowed are 0 … 1 \(2 classes\) and the ign"):
        read(tmp_path, classes=["road", "sky"])
    assert read(tmp_path, classes=["road", "sky"], ignore=2).ignore == 2
    lost = np.zeros((9, 9), np.uint8)
    lost[0, 0] = 77  # between the pixels that a smaller mask reads
    save(tmp_path / "masks" / "b.png", lost)
    save(tmp_path / "images" / "b.png", picture(0, (9, 9)))
    with pytest.raises(ValueError, match=r"b.png: has the label 77"):
        read(tmp_path, classes=["road", "sky", "tree"], size=(3, 3))


def test_classes_are_numbered_up_to_the_largest_label_but_the_ignored(tmp_path):
    folders(tmp_path)
    mask = labels()
    mask[0, 0] = 6
    save(tmp_path / "masks" / "b.png", mask)
    assert read(tmp_path).num_classes == 7
    assert read(tmp_path, ignore=6).num_classes == 3
    assert read(tmp_path, ignore=0).num_classes == 7


def test_masks_of_a_single_class_need_its_name(tmp_path):
    folders(tmp_path, names=("a",))
    binary = np.zeros(SIZE, np.uint8)
    binary[0] = 255
    save(tmp_path / "masks" / "a.png", binary)
    with pytest.raises(ValueError, match="masks has the label 0 alone beside the ignored 255; classes are numbered"):
        read(tmp_path)
    assert read(tmp_path, classes=["road"]).num_classes == 1
    save(tmp_path / "masks" / "a.png", np.full(SIZE, 255, np.uint8))
    with pytest.raises(ValueError, match="masks has nothing beside the ignored 255"):
        read(tmp_path)


def test_images_without_a_labelled_pixel(tmp_path):
    folders(tmp_path)
    save(tmp_path / "masks" / "b.png", np.full(SIZE, 255, np.uint8))
    with pytest.raises(ValueError, match=r"masks/b.png: has no pixel with a class at 6×4, only the ignored 255"):
        read(tmp_path)


@pytest.mark.parametrize("folder", ["images", "masks"])
def test_files_without_a_partner(tmp_path, folder):
    folders(tmp_path, names=("a", "b", "c"))
    other = "masks" if folder == "images" else "images"
    what = "mask" if folder == "images" else "image"
    for name in ("b", "c"):
        (tmp_path / other / f"{name}.png").unlink()
    with pytest.raises(
        ValueError, match=rf"{folder}: .*{folder}/b.png has no {what} in .*{other}; 2 of 3 {folder} have"
    ):
        read(tmp_path)


def test_files_with_two_partners(tmp_path):
    images, masks = folders(tmp_path)
    extra = save(masks / "b_mask.png", labels())
    with pytest.raises(ValueError, match=r"masks: .*b.png and b_mask.png go by one name"):
        read(tmp_path)
    extra.unlink()
    save(images / "b.bmp", picture())
    with pytest.raises(ValueError, match=r"images: .*b.bmp and b.png go by one name"):
        read(tmp_path)


@pytest.mark.parametrize("folder", ["images", "masks"])
@pytest.mark.parametrize("content", [b"", b"no image", "truncated", "damaged"])
def test_files_that_cannot_be_read(tmp_path, folder, content):
    for name in ("images", "masks"):
        noise = picture(0, (40, 40)) if name == "images" else labels(0, (40, 40), 250)
        path = save(tmp_path / name / "a.png", noise)
        if name == folder:
            whole = path.read_bytes()
            cut = {"truncated": whole[:-600], "damaged": whole[:60] + bytes(60) + whole[120:]}
            path.write_bytes(cut.get(content, content))
    with pytest.raises(ValueError, match=rf"{folder}/a.png: cannot be read as an image"):
        read(tmp_path)


def test_folders_that_are_missing_or_empty(tmp_path):
    images, masks = folders(tmp_path)
    missing, empty = tmp_path / "missing", tmp_path / "empty"
    empty.mkdir()
    (empty / "notes.txt").write_text("no image")
    for arguments, name in (((missing, masks), "images"), ((images, missing), "masks")):
        with pytest.raises(FileNotFoundError, match=f"{name}: .*missing is no folder"):
            segmentation_folder(*arguments)
    for arguments, name in (((empty, masks), "images"), ((images, empty), "masks")):
        with pytest.raises(ValueError, match=rf"{name}: .*empty has no image files \(.png"):
            segmentation_folder(*arguments)


def test_masks_in_a_lossy_format(tmp_path):
    folders(tmp_path, mask=".jpg")
    with pytest.raises(ValueError, match=r"a.jpg: is a JPEG, which does not keep labels; save masks as PNG"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "RBG"}, "mode: 'RBG' is unknown; did you mean"),
        ({"size": (4, 0)}, "size: must be at least 1, got 0"),
        ({"ignore": 256}, r"ignore: must lie in \[0, 255\], got 256"),
        ({"palette": ((0, 0, 0),)}, "palette: must have a colour for each of the 3 classes, got 1"),
    ],
)
def test_impossible_arguments(tmp_path, options, message):
    folders(tmp_path)
    with pytest.raises(ValueError, match=message):
        read(tmp_path, **options)


def test_pairs_name_their_files(tmp_path):
    images, masks = folders(tmp_path, mask="_gt.png")
    assert find_pairs(images, masks) == [(images / f"{name}.png", masks / f"{name}_gt.png") for name in "ab"]
    assert all(isinstance(path, Path) for pair in find_pairs(images, masks) for path in pair)
