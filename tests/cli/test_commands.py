"""Every command from the outside: what it prints, what it leaves behind, and how it refuses."""

import json
import re

import pytest

from archgrad.cli import main
from archgrad.cli.commands import COMMANDS
from archgrad.genotype import DARTS_V1, DARTS_V2, Genotype

TINY_SPACE = [
    "--channels",
    "4",
    "--layers",
    "3",
    "--nodes",
    "2",
    "--candidates",
    "none",
    "skip_connect",
    "max_pool_3x3",
]


def refused(capsys, *arguments: str) -> str:
    """Run a command that must fail; return what it said."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    return capsys.readouterr().err


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "search"
    main(["search", "--limit-train", "60", *TINY_SPACE, "--batch-size", "15", "--epochs", "2", "--out", str(folder)])
    return folder


@pytest.fixture(scope="module")
def trained(searched, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "train"
    sizes = ["--limit-train", "60", "--limit-test", "30", "--channels", "4", "--layers", "3"]
    main(
        [
            "train",
            "--genotype",
            str(searched),
            *sizes,
            "--out",
            str(folder),
            "digits",
            "--epochs",
            "2",
            "--batch-size",
            "30",
        ]
    )
    return folder


def test_search_leaves_a_whole_run_folder(searched):
    expected = [
        "config.json",
        "environment.json",
        "metrics.jsonl",
        "genotype.json",
        "checkpoint.safetensors",
        "report.html",
    ]
    for name in expected:
        assert (searched / name).stat().st_size > 0, name
    pictures = {path.name for path in (searched / "pictures").iterdir()}
    assert pictures == {
        f"{n}.png" for n in ("cell_normal", "cell_reduce", "curves", "diagnostics", "mixture_normal", "mixture_reduce")
    }
    assert len(list((searched / "genotypes").iterdir())) == 2
    genotype = Genotype.from_json((searched / "genotype.json").read_text())
    assert set(genotype["normal"].operations) <= {"skip_connect", "max_pool_3x3"}
    assert json.loads((searched / "config.json").read_text())["settings"]["epochs"] == 2
    assert "torch" in json.loads((searched / "environment.json").read_text())["packages"]


def test_a_run_folder_that_exists_and_a_changed_setting_are_refused(searched, capsys):
    assert "exists already" in refused(capsys, "search", "--out", str(searched))
    assert "--epochs: 9 was given" in refused(capsys, "search", "--resume", str(searched), "--epochs", "9")
    assert "holds a 'search' run" in refused(capsys, "train", "--resume", str(searched))


def test_evaluate_repeats_the_accuracy_of_the_training(trained, capsys):
    last = json.loads((trained / "metrics.jsonl").read_text().splitlines()[-1])
    main(["evaluate", str(trained)])
    output = capsys.readouterr().out
    assert f"{last['test_accuracy']:.2%}" in output
    assert f"{last['test_loss']:.4f}" in output
    main(["evaluate", str(trained), "--data", "digits", "--batch-size", "7"])
    assert "test images    359" in capsys.readouterr().out


def test_train_resumes_a_finished_run(trained, capsys):
    before = (trained / "network.safetensors").read_bytes()
    main(["train", "--resume", str(trained)])
    assert (trained / "network.safetensors").read_bytes() == before
    assert "test accuracy" in capsys.readouterr().out


def test_show_prints_and_draws(capsys, tmp_path, searched):
    main(["show", "darts_v2"])
    assert capsys.readouterr().out.strip() == str(DARTS_V2)
    main(["show", "DARTS_V1", "--json", "--out", str(tmp_path / "cells.png")])
    assert Genotype.from_json(capsys.readouterr().out) == DARTS_V1
    assert (tmp_path / "cells.png").read_bytes().startswith(b"\x89PNG")
    main(["show", str(searched)])
    assert "normal:" in capsys.readouterr().out


def test_demo_compares_with_random_cells(capsys, tmp_path):
    options = [
        "--limit-train",
        "60",
        "--limit-test",
        "30",
        "--random-cells",
        "2",
        "--train-channels",
        "4",
        "--train-layers",
        "3",
    ]
    steps = ["--search.epochs", "1", "--search.batch-size", "15", "--recipe.epochs", "1", "--recipe.batch-size", "30"]
    main(["demo", *options, *TINY_SPACE, *steps, "--method", "darts-first-order", "--out", str(tmp_path / "demo")])
    output = capsys.readouterr().out
    for line in ("test accuracy of the found network", "random cells (2), mean ± std", "search seconds", "report"):
        assert line in output
    page = (tmp_path / "demo" / "report.html").read_text()
    assert "random_2" in page
    assert {path.name for path in (tmp_path / "demo").iterdir()} >= {"search", "found", "random_1", "random_2"}
    main(["demo", "--resume", str(tmp_path / "demo")])
    resumed = capsys.readouterr().out
    assert (
        output.split("test accuracy of")[1].split("search")[0]
        == resumed.split("test accuracy of")[1].split("search")[0]
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_help_describes_every_option(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    text = re.sub("[│╭╰╮╯─]", " ", capsys.readouterr().out)
    options = re.split(r"\n\s*(?=--[a-z])", text.split("subcommands")[0])[1:]
    for option in options:
        described = re.sub(r"--\S+|\(default:.*?\)|[^a-z ,.;:]+", " ", option, flags=re.DOTALL)
        assert len(described.split()) >= 2, option


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["search", "--candidates", "sep_conv_3"], ["candidates", "sep_conv_3x3"]),
        (["search", "--method", "dart-first-order"], ["method", "darts-first-order"]),
        (["search", "--channels", "5"], ["channels", "even", "5"]),
        (["search", "--layers", "2"], ["layers", "at least 3"]),
        (["search", "--data", "digit"], ["data", "digits"]),
        (["search", "--image-size", "7"], ["7×7", "8×8"]),
        (["search", "--batch-size", "4000"], ["batch_size", "4000"]),
        (["search", "--resume", "/nowhere"], ["resume", "/nowhere"]),
        (["search", "--device", "tpu9"], ["device", "tpu9"]),
        (["search", "--epochs", "0"], ["epochs", "at least 1"]),
        (["train", "--genotype", "DARTS_V3"], ["genotype", "DARTS_V3", "DARTS_V2"]),
        (["evaluate", "/nowhere"], ["/nowhere", "no trained network"]),
        (["show", "DARTS_V1", "--out", "cells.gif"], [".png", ".gif"]),
    ],
)
def test_bad_input_is_refused_in_one_line_before_any_work(arguments, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = refused(capsys, *arguments)
    assert "Traceback" not in message
    for words in said:
        assert words in message
    assert not list(tmp_path.rglob("*.safetensors"))
