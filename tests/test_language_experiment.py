"""The comparison on text, tiny: every network leaves a folder, the report names them, a resumed job repeats nothing."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from archgrad import TextSearchSettings, methods, recipes
from archgrad.data.text import load_text
from archgrad.experiment import Surroundings
from archgrad.genotype import DARTS_V1_RECURRENT
from archgrad.language_experiment import compare_language_models, recorded_language_training
from archgrad.runs import RunFolder, load_language_model, read_json
from archgrad.spaces import RecurrentCellSpace


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    corpus = load_text("grammar", limit=600)
    space = RecurrentCellSpace(vocabulary_size=len(corpus.vocabulary), hidden_size=6, nodes=2)

    def compare(resume):
        return compare_language_models(
            space,
            corpus,
            Surroundings(path=path, configuration={"test": 1}, device="cpu", quiet=True, resume=resume),
            method=methods.darts(order=1),
            settings=TextSearchSettings(epochs=1, batch_size=4, learning_rate=1.0),
            recipe=recipes.grammar(epochs=1, batch_size=4),
            hidden_size=6,
            random_cells=2,
        )

    path = tmp_path_factory.mktemp("language") / "run"
    return path, compare(False), lambda: compare(True)


def test_every_network_leaves_a_folder(compared):
    path, comparison, _ = compared
    for row, name in ((comparison.found, "found"), (comparison.random[1], "random_2"), (comparison.lstm, "LSTM")):
        assert load_language_model(path / name).genotype == row.genotype
        assert read_json(path / name / "score.json")["test_perplexity"] == row.test_perplexity
        assert (path / name / "report.html").is_file()


def test_all_have_about_the_same_size(compared):
    _, comparison, _ = compared
    assert {row.parameters for row in comparison.random} == {comparison.found.parameters}
    assert comparison.lstm.parameters == pytest.approx(comparison.found.parameters, rel=0.1)


def test_the_report_names_them(compared):
    _, comparison, _ = compared
    page = Path(comparison.report).read_text()
    for word in ("LSTM", "random_2", "test perplexity", f"{comparison.found.test_perplexity:.2f}"):
        assert word in page
    table = dict(comparison.table())
    assert table["LSTM"] == f"{comparison.lstm.test_perplexity:.2f}"


def test_a_resumed_job_repeats_nothing(compared):
    _, comparison, resume = compared
    again = resume()
    assert again.found.test_perplexity == comparison.found.test_perplexity
    assert again.lstm.seconds == comparison.lstm.seconds


@pytest.mark.parametrize(("changes", "message"), [({"hidden_size": 0}, "hidden_size"), ({"random_cells": 0}, "count")])
def test_what_comes_after_the_search_is_checked_before_it(tmp_path, changes, message):
    with pytest.raises(ValueError, match=f"{message}: must be at least 1, got 0"):
        compare_language_models(
            RecurrentCellSpace(vocabulary_size=265, hidden_size=6, nodes=2),
            load_text("grammar", limit=600),
            Surroundings(path=tmp_path / "run", configuration={}, device="cpu", quiet=True),
            method=methods.darts(order=1),
            settings=TextSearchSettings(epochs=1, batch_size=4),
            recipe=recipes.grammar(epochs=1),
            **{"hidden_size": 6, "random_cells": 2, **changes},
        )
    assert not (tmp_path / "run").exists()


def test_a_job_goes_on_that_was_killed_when_a_part_had_a_folder_and_nothing_else(compared):
    path, comparison, resume = compared
    shutil.rmtree(path / "random_2")
    (path / "random_2").mkdir()
    assert resume().random[1].test_perplexity == comparison.random[1].test_perplexity


def test_a_training_goes_on_that_was_killed_when_it_wrote_its_genotype(tmp_path, monkeypatch):
    corpus = load_text("grammar", limit=600)
    surroundings = Surroundings(path=tmp_path / "run", configuration={"test": 2}, device="cpu", quiet=True)

    def train(surroundings):
        recipe = recipes.grammar(epochs=1, batch_size=4)
        return recorded_language_training(DARTS_V1_RECURRENT, corpus, surroundings, recipe=recipe, hidden_size=4)

    def killed(folder, genotype, epoch=None):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "write_genotype", killed)
        with pytest.raises(KeyboardInterrupt):
            train(surroundings)
    assert train(replace(surroundings, resume=True)).parameters > 0
    assert (tmp_path / "run" / "genotype.json").read_text() == DARTS_V1_RECURRENT.to_json()
