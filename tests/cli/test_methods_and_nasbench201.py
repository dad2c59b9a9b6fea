"""The commands around the table of methods: `methods`, `cite`, `search | train nasbench201`, costs, reduced spaces."""

import json

import pytest

from archgrad.cli import main
from archgrad.methods import METHODS
from archgrad.spaces.nasbench201 import all_genotypes, arch_string

SEARCH = [
    "--limit-train",
    "24",
    "--limit-test",
    "10",
    "--epochs",
    "1",
    "--batch-size",
    "4",
    "--device",
    "cpu",
    "--quiet",
]
PLAIN = ["--augmentation.crop-padding", "0", "--augmentation.no-flip"]
TINY = ["--channels", "4", "--layers", "3", "--nodes", "2"]
CELL = "|nor_conv_3x3~0|+|skip_connect~0|none~1|+|none~0|none~1|skip_connect~2|"


@pytest.fixture
def table(tmp_path):
    """A table in which an architecture's accuracy is its place."""
    path = tmp_path / "table.csv"
    rows = [
        f"{place},{arch_string(genotype)},{place / 200:.4f},1.0,1" for place, genotype in enumerate(all_genotypes())
    ]
    path.write_text("\n".join(["index,arch,c10_test_200,flops_m_c10,params_c10", *rows]))
    return path


def test_methods_lists_every_row(capsys):
    main(["methods"])
    said = capsys.readouterr().out
    assert all(name in said for name in METHODS)


def test_cite_prints_bibtex(capsys, refused):
    main(["cite", "gdas", "nasbench201"])
    said = capsys.readouterr().out
    assert "{dong2019searching," in said
    assert "{dong2020nasbench201," in said
    assert "did you mean 'gdas'" in refused("cite", "gdass")


def test_nasbench201_from_search_to_evaluation(tmp_path, table, capsys):
    found, trained = tmp_path / "found", tmp_path / "trained"
    small = ["--channels", "4", "--cells", "1"]
    main(["search", "nasbench201", "--out", str(found), "--table", str(table), *small, *SEARCH, *PLAIN])
    said = capsys.readouterr().out
    assert "rank in the table" in said
    assert " of 15,625" in said
    assert (found / "report.html").is_file()
    assert json.loads((found / "genotype.json").read_text())["space"] == "nasbench201"
    train = ["--genotype", str(found), "--limit-train", "24", "--limit-test", "10", "--device", "cpu", "--quiet"]
    recipe = ["digits", "--epochs", "1", "--batch-size", "8"]
    main(["train", "nasbench201", "--out", str(trained), *small, *train, *recipe])
    main(["evaluate", str(trained)])
    assert "test accuracy" in capsys.readouterr().out


def test_a_string_is_a_genotype(tmp_path, capsys):
    main(["show", CELL, "--out", str(tmp_path / "cell.png")])
    assert "nor_conv_3x3(0)" in capsys.readouterr().out
    assert (tmp_path / "cell.png").stat().st_size > 1000


def test_costs_are_kept_and_told(tmp_path, capsys, refused):
    out = tmp_path / "run"
    costs = ["--cost", "parameters", "--cost-target", "20000", "--cost-channels", "8", "--cost-layers", "4"]
    main(["search", "--out", str(out), "--method", "darts-first-order", *TINY, *costs, *SEARCH, *PLAIN])
    assert "parameters" in capsys.readouterr().out
    kept = json.loads((out / "costs.json").read_text())
    main(["search", "--resume", str(out)])
    assert json.loads((out / "costs.json").read_text()) == kept
    base = ["search", "--out", str(tmp_path / "other"), *TINY, *SEARCH, *PLAIN]
    assert "did you mean 'parameters'" in refused(*base, "--cost", "parameter", "--cost-target", "20000")
    assert "cost_target: must be above 0" in refused(*base, "--cost", "latency", "--cost-target", "-1")
    assert "cost: goes with cost_target" in refused(*base, "--cost-target", "1")


def test_reduced_spaces_have_their_own_candidates(tmp_path, refused):
    out = tmp_path / "run"
    small = ["--channels", "4", "--layers", "3", "--reduced", "s4", *SEARCH, *PLAIN]
    main(["search", "--out", str(out), "--method", "darts-first-order", *small])
    cells = json.loads((out / "genotype.json").read_text())["cells"]
    names = {operation for cell in cells.values() for node in cell["nodes"] for operation, _ in node}
    assert names <= {"noise", "sep_conv_3x3"}
    base = ["search", "--out", str(tmp_path / "other"), *SEARCH]
    assert "Allowed: S1, S2, S3, S4" in refused(*base, "--reduced", "s5")
    assert "candidates: s2 has its own" in refused(*base, "--reduced", "s2", "--candidates", "skip_connect")


def test_a_method_that_does_not_fit_is_refused_before_the_search(tmp_path, refused):
    words = [
        "search",
        "--out",
        str(tmp_path / "run"),
        "--method",
        "pc-darts",
        "--channels",
        "6",
        "--layers",
        "3",
        *SEARCH,
    ]
    assert "partial_channels: must divide the channels, 6" in refused(*words, *PLAIN)
