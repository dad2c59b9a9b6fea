"""The commands for text, end to end on tiny networks, and what they say of bad input."""

import re

import pytest

from archgrad.cli import main
from archgrad.genotype import DARTS_V1, DARTS_V1_RECURRENT
from archgrad.runs import read_json

TINY = ["--limit", "400", "--hidden-size", "6", "--device", "cpu", "--quiet"]
SEARCH = ["search", "recurrent", *TINY, "--nodes", "2", "--epochs", "1", "--batch-size", "4", "--learning-rate", "1"]
RECIPE = ["grammar", "--epochs", "1", "--batch-size", "4", "--evaluation-batch-size", "2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A search and a training on what it found."""
    path = tmp_path_factory.mktemp("text")
    main([*SEARCH, "--out", str(path / "search")])
    main(["train", "recurrent", *TINY, "--genotype", str(path / "search"), "--out", str(path / "model"), *RECIPE])
    return path


@pytest.fixture
def texts(tmp_path):
    """A folder of three texts of one's own."""
    for name, lines in (("train", 60), ("valid", 15), ("test", 15)):
        (tmp_path / f"{name}.txt").write_text("the dog sees a cat .\nthe cat sleeps .\n" * lines)
    return tmp_path


def test_a_search_leaves_cell_and_pictures(folder):
    run = folder / "search"
    for name in ("genotype.json", "report.html", "metrics.jsonl", "checkpoint.safetensors"):
        assert (run / name).is_file(), name
    assert {path.name for path in (run / "pictures").iterdir()} == {
        "cell_recurrent.png",
        "curves.png",
        "diagnostics.png",
        "mixture_recurrent.png",
    }
    assert read_json(run / "config.json")["command"] == "search recurrent"


def test_a_training_leaves_model_vocabulary_and_sample(folder):
    run = folder / "model"
    for name in ("network.safetensors", "network.json", "vocabulary.json", "score.json", "genotype.json"):
        assert (run / name).is_file(), name
    assert "Sample" in (run / "report.html").read_text()


def test_a_resumed_search_keeps_its_settings(folder, capsys, refused):
    main(["search", "recurrent", "--resume", str(folder / "search"), "--quiet"])
    assert "recurrent:" in capsys.readouterr().out
    said = refused("search", "recurrent", "--resume", str(folder / "search"), "--hidden-size", "7")
    assert "--hidden-size: 7 was given, but the run in" in said
    assert "'search recurrent' run, not a 'search' run" in refused("search", "--resume", str(folder / "search"))


def test_evaluation_agrees_with_the_training(folder, capsys):
    written = ["--sample", "12", "--prompt", "the dogs", "--temperature", "0.5"]
    main(["evaluate", str(folder / "model"), "--batch-size", "2", *written])
    out = capsys.readouterr().out
    expected = read_json(folder / "model" / "score.json")["test_perplexity"]
    assert float(re.search(r"test perplexity +([\d.]+)", out)[1]) == pytest.approx(expected, abs=0.006)
    assert "\nthe dogs" in out


def test_evaluation_of_another_text_maps_unseen_words(folder, texts, capsys):
    main(["evaluate", str(folder / "model"), "--data", str(texts), "--sample", "0", "--batch-size", "2"])
    out = capsys.readouterr().out
    assert re.search(r"<unk> \d+\.\d% of the training text", out)
    assert "test bits per token" in out


def test_the_baseline_and_published_cells_train(folder, capsys):
    for name in ("LSTM", "darts_v1"):
        main(["train", "recurrent", *TINY, "--genotype", name, "--out", str(folder / name), *RECIPE])
        assert "test perplexity" in capsys.readouterr().out
    main(["show", "DARTS_V1_RECURRENT", "--out", str(folder / "cell.png")])
    assert capsys.readouterr().out.strip() == str(DARTS_V1_RECURRENT)


def test_characters(texts, capsys):
    own = ["--text", str(texts), "--level", "character", "--out", str(texts / "run")]
    main(["train", "recurrent", *TINY, *own, "--genotype", "DARTS_V2", *RECIPE])
    main(["evaluate", str(texts / "run"), "--sample", "5", "--prompt", "the "])
    assert "\nthe" in capsys.readouterr().out


def test_help_leads_to_the_commands_for_text(capsys):
    for command in ("search", "train", "demo"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        assert f"archgrad {command} recurrent" in " ".join(capsys.readouterr().out.split())


def test_genotypes_of_other_spaces(tmp_path, refused):
    (tmp_path / "conv.json").write_text(DARTS_V1.to_json())
    (tmp_path / "cell.json").write_text(DARTS_V1_RECURRENT.to_json())
    said = refused("train", "recurrent", *TINY, "--genotype", str(tmp_path / "conv.json"), *RECIPE)
    assert "belongs to the space 'conv_cell', needed is one of 'recurrent_cell'" in said
    said = refused("train", "--genotype", str(tmp_path / "cell.json"), "--out", str(tmp_path / "x"), "digits")
    assert "recurrent_cell" in said
    said = refused("train", "recurrent", *TINY, "--genotype", "NASNET", *RECIPE)
    assert "NASNET is of the space 'conv_cell'; of 'recurrent_cell' there are ENAS_RECURRENT" in said


def test_a_word_that_the_vocabulary_lacks(folder, refused):
    said = refused("evaluate", str(folder / "model"), "--prompt", "the dogz", "--batch-size", "2")
    assert "prompt" in said
    assert "'dogz'" in said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"  \n \n", "train.txt"),
        ("ein gr\u00fcner Hund\n".encode("latin-1"), "line 1"),
        (b"a b\n\x00\x01\n", "train.txt"),
    ],
)
def test_texts_that_cannot_be_read(texts, refused, content, said):
    (texts / "train.txt").write_bytes(content)
    assert said in refused(*SEARCH, "--text", str(texts), "--out", str(texts / "run"))


def test_missing_texts(tmp_path, refused):
    assert "neither 'grammar' nor a file or folder" in refused(*SEARCH, "--text", str(tmp_path / "none"))
    (tmp_path / "train.txt").write_text("a b\n")
    assert "valid" in refused(*SEARCH, "--text", str(tmp_path))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--sequence-length", "0"], "sequence_length: must be at least 1, got 0"),
        (["--batch-size", "1"], "batch_size: must be at least 2, got 1"),
        (["--batch-size", "300"], "batch_size"),
        (["--vocabulary-size", "1"], "vocabulary_size: must be at least 3, got 1"),
        (["--candidates", "tanh", "gelu"], "candidates: 'gelu' is unknown"),
        (["--engine", "fast"], "engine: 'fast' is unknown"),
        (["--level", "syllable"], "level: 'syllable' is unknown"),
        (["--hidden-size", "2000000"], "lower batch_size"),
        (["--method", "darts"], "method: 'darts' is unknown"),
    ],
)
def test_bad_options(texts, refused, options, said):
    assert said in refused(*SEARCH, "--text", str(texts), "--out", str(texts / "run"), *options)


def test_bad_dropout(tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main([*SEARCH, "--out", str(tmp_path / "run"), "--dropout.hidden", "1"])
    assert caught.value.code == 2
    assert "dropout.hidden: must lie in [0, 1), got 1.0" in capsys.readouterr().err


def test_a_folder_without_a_model(folder, refused):
    assert "network.json is missing" in refused("evaluate", str(folder / "search"))
