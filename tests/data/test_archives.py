import numpy as np
import pytest
import torch

from archgrad.data import from_npz, npz_pair

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 5, 5, 3), dtype=np.uint8)


def test_images_labels_and_classes_come_back(tmp_path):
    np.savez(tmp_path / "plain.npz", images=IMAGES, labels=np.array([0, 1, 2, 0, 1, 2]))
    plain = from_npz(tmp_path / "plain.npz")
    assert torch.equal(plain.images, torch.from_numpy(IMAGES).permute(0, 3, 1, 2))
    assert plain.classes == ("0", "1", "2")
    np.savez_compressed(tmp_path / "named.npz", images=IMAGES[..., 0], labels=[0, 1, 0, 1, 0, 1], classes=["x", "y"])
    named = from_npz(str(tmp_path / "named.npz"))
    assert named.shape == (1, 5, 5)
    assert named.classes == ("x", "y")


def test_a_pair_without_classes_gets_those_of_the_union(tmp_path):
    for labels, test_labels, classes in (
        ([0, 1, 2, 0, 1, 2], [0, 0, 0, 0, 1, 1], ("0", "1", "2")),
        (["a", "c"] * 3, ["a", "b"] * 3, ("a", "b", "c")),
    ):
        np.savez(tmp_path / "train.npz", images=IMAGES, labels=labels)
        np.savez(tmp_path / "test.npz", images=IMAGES, labels=test_labels)
        train, test = npz_pair(tmp_path)
        assert train.classes == test.classes == classes
        assert [classes[label] for label in test.labels] == list(map(str, test_labels))


def test_a_pair_shares_the_classes_of_one(tmp_path):
    np.savez(tmp_path / "train.npz", images=IMAGES, labels=[0, 1] * 3, classes=["x", "y"])
    np.savez(tmp_path / "test.npz", images=IMAGES, labels=[0, 0] * 3)
    assert npz_pair(tmp_path)[1].classes == ("x", "y")


def test_files_that_are_no_labelled_images(tmp_path):
    path = tmp_path / "data.npz"
    with pytest.raises(FileNotFoundError, match=r"data.npz is missing"):
        from_npz(path)
    np.savez(path, images=IMAGES)
    with pytest.raises(ValueError, match=r"data.npz: has no array 'labels'; it has images"):
        from_npz(path)
    np.savez(path, images=IMAGES, labels=np.array([{}] * 6))
    with pytest.raises(ValueError, match=r"data.npz: cannot read 'labels' .*allow_pickle"):
        from_npz(path)
    np.savez(path, images=IMAGES, labels=[0, 1])
    with pytest.raises(ValueError, match=r"data.npz: labels: must be one per image, got 2 for 6"):
        from_npz(path)
    np.savez(path, images=IMAGES, labels=[0, 1] * 3)
    content = path.read_bytes()
    for damaged in (b"", b"no archive", content[:-30]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"data.npz: is no NumPy archive"):
            from_npz(path)
    path.write_bytes(content[:200] + bytes(8) + content[208:])
    with pytest.raises(ValueError, match=r"data.npz: cannot read 'images'"):
        from_npz(path)
    with path.open("wb") as file:
        np.save(file, IMAGES)
    with pytest.raises(ValueError, match=r"data.npz: holds a single array"):
        from_npz(path)
