"""The run folder: made, refused, and read back."""

import pytest

from archgrad.genotype import DARTS_V1, Genotype
from archgrad.runs import RunFolder, read_json, write_json


def test_a_folder_with_files_is_refused_and_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="exists already"):
        RunFolder(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_an_empty_folder_and_a_missing_one_are_used(tmp_path):
    assert RunFolder(tmp_path).path == tmp_path
    assert RunFolder(tmp_path / "a" / "b").path.is_dir()


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="exists already"):
        RunFolder(tmp_path / "file")
    with pytest.raises(OSError, match="file"):
        RunFolder(tmp_path / "file" / "below")


def test_only_run_folders_are_resumed(tmp_path):
    with pytest.raises(ValueError, match="not a run folder"):
        RunFolder(tmp_path, resume=True)
    write_json(tmp_path / "config.json", {})
    assert RunFolder(tmp_path, resume=True).configuration_path.is_file()


def test_metrics_and_genotypes_are_read_back(tmp_path):
    folder = RunFolder(tmp_path)
    history = [{"epoch": 1, "train_loss": 0.1}, {"epoch": 2, "train_loss": 0.05}]
    folder.write_metrics(history)
    assert folder.read_metrics() == history
    folder.write_genotype(DARTS_V1, epoch=7)
    folder.write_genotype(DARTS_V1)
    for name in ("genotype.json", "genotypes/epoch_0007.json"):
        assert Genotype.from_json((tmp_path / name).read_text()) == DARTS_V1


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\x00", b""])
def test_broken_json_names_the_file(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"config\.json: not JSON"):
        read_json(tmp_path / "config.json")
