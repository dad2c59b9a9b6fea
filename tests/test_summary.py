"""Reports hold what the run folder holds."""

import pytest

from archgrad.genotype import DARTS_V1
from archgrad.runs import RunFolder, write_json
from archgrad.summary import ComparisonRow, report_comparison, report_search


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path / "run")
    write_json(folder.configuration_path, {"seed": 17})
    write_json(folder.path / "environment.json", {"processor": "abacus"})
    return folder


def history(space):
    mixture = {group.name: [[1 / group.shape[1]] * group.shape[1]] * group.shape[0] for group in space.groups}
    return [{"epoch": 1, "train_loss": 1.0, "train_accuracy": 0.5, "mixture": mixture}]


def test_a_search_report_embeds_its_pictures_and_settings(folder, tiny_space):
    report_search(folder, tiny_space.groups, history(tiny_space), genotype=DARTS_V1)
    page = (folder.path / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 4  # the cells, the curves, a mixture for each group
    for words in ("abacus", "17", "sep_conv_3x3"):
        assert words in page
    names = {path.name for path in (folder.path / "pictures").iterdir()}
    assert {"cell_normal.png", "cell_reduce.png", "curves.png", "mixture_normal.png", "mixture_reduce.png"} == names


def test_a_comparison_report_has_a_row_for_each_network(folder, tiny_space):
    rows = [
        ComparisonRow(name, DARTS_V1, accuracy, parameters=10, seconds=1.0)
        for name, accuracy in (("found", 0.9), ("random_1", 0.8), ("random_2", 0.7))
    ]
    report_comparison(folder, rows, [("best", "90 %")], groups=tiny_space.groups, history=history(tiny_space))
    page = (folder.path / "report.html").read_text()
    for words in ("found", "random_1", "random_2", "80.00%", "90 %"):
        assert words in page
    assert (folder.path / "pictures" / "comparison.png").exists()
