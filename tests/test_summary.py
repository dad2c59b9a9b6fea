"""Reports hold what the run folder holds."""

import math
from types import SimpleNamespace

import pytest

from archgrad.arch import LogitGroup
from archgrad.genotype import DARTS_V1, DARTS_V2_RECURRENT
from archgrad.report import Table
from archgrad.runs import RunFolder, write_json
from archgrad.summary import (
    ComparisonRow,
    LanguageRow,
    report_comparison,
    report_language_comparison,
    report_language_training,
    report_search,
)

EDGES = LogitGroup.dense("edges", inputs=1, nodes=3, candidates=("none", "tanh", "relu", "sigmoid", "identity"))


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


def language_history():
    mixture = {"edges": [[0.2] * 5] * len(EDGES.edges)}
    return [{"epoch": 1, "train_loss": math.log(93.1), "validation_loss": math.log(101.2), "mixture": mixture}]


def language_score(**changes):
    test, validation = (
        SimpleNamespace(loss=math.log(perplexity), perplexity=perplexity, bits_per_token=math.log2(perplexity))
        for perplexity in (64.0, 70.5)
    )
    contents = {"test": test, "validation": validation, "parameters": 1234567, "seconds": 12.25}
    return SimpleNamespace(**{**contents, "history": language_history(), **changes})


def test_a_search_report_of_a_recurrent_cell_has_perplexities(folder):
    report_search(folder, [EDGES], language_history(), genotype=DARTS_V2_RECURRENT, quantities=("loss", "perplexity"))
    page = (folder.path / "report.html").read_text()
    for words in ("train perplexity", "93.1", "validation perplexity", "101.2", "s<sub>0</sub>"):
        assert words in page
    assert "test perplexity" not in page
    for caption in ("Loss and perplexity of the search", "Mixture weights of the recurrent cell, by edge"):
        assert f"<figcaption>{caption}</figcaption>" in page
    names = {path.name for path in (folder.path / "pictures").iterdir()}
    assert names == {"cell_recurrent.png", "curves.png", "mixture_edges.png"}


def test_a_search_report_without_perplexity_makes_none_up(folder):
    report_search(folder, [EDGES], language_history(), genotype=DARTS_V2_RECURRENT)
    assert "perplexity" not in (folder.path / "report.html").read_text()


def test_a_report_of_a_language_model_has_its_numbers_and_a_sample(folder):
    tables = [Table("Longest words", ("word", "letters"), [("antidisestablishment", 20)])]
    report_language_training(
        folder, language_score(), genotype=DARTS_V2_RECURRENT, sample="the <unk> of\nthe company", tables=tables
    )
    page = (folder.path / "report.html").read_text()
    numbers = {
        "test perplexity": "64.00",
        "validation perplexity": "70.50",
        "test bits per token": "6.000",
        "validation bits per token": "6.140",
        "parameters": "1,234,567",
        "seconds": "12.2",
    }
    for name, value in numbers.items():
        assert f"<dt>{name}</dt><dd>{value}</dd>" in page
    for words in ("the &lt;unk&gt; of\nthe company", "Longest words", "antidisestablishment", "sigmoid(0)"):
        assert words in page
    assert page.count("data:image/png;base64,") == 2  # the cell and the curves


def test_a_report_of_an_lstm_has_no_cell(folder):
    report_language_training(folder, language_score(test=None), genotype=None)
    page = (folder.path / "report.html").read_text()
    assert "test perplexity" not in page
    assert "70.50" in page
    assert "<h2>Architecture</h2>" not in page
    assert "<h2>Sample</h2>" not in page
    assert {path.name for path in (folder.path / "pictures").iterdir()} == {"curves.png"}


def test_a_comparison_of_language_models_has_a_row_for_each_network(folder):
    found, first, second, lstm = (
        LanguageRow(name, genotype, perplexity, perplexity + 3.0, parameters=10, seconds=1.0)
        for name, genotype, perplexity in (
            ("found", DARTS_V2_RECURRENT, 60.125),
            ("random_1", DARTS_V2_RECURRENT, 66.25),
            ("random_2", DARTS_V2_RECURRENT, 68.75),
            ("LSTM", None, 62.5),
        )
    )
    report_language_comparison(
        folder,
        found,
        [first, second],
        others=[lstm],
        table=[("best", "60.1"), ("report", "somewhere")],
        groups=[EDGES],
        history=language_history(),
    )
    page = (folder.path / "report.html").read_text()
    for name, test, validation in (("random_2", "68.75", "71.75"), ("LSTM", "62.50", "65.50")):
        assert f"<td>{name}</td><td>{test}</td><td>{validation}</td>" in page
    assert "<dd>60.1</dd>" in page
    assert "somewhere" not in page
    names = {path.name for path in (folder.path / "pictures").iterdir()}
    assert names == {"cell_recurrent.png", "comparison.png", "curves.png", "mixture_edges.png"}
    with pytest.raises(ValueError, match=r"found: 'LSTM' has no genotype; allowed are networks of a found cell"):
        report_language_comparison(folder, lstm, [], table=[], groups=[EDGES], history=language_history())
