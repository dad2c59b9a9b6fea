"""The job of finding an equation leaves behind all that was found, and what it was judged on."""

import json

import numpy as np
import pytest

from archgrad.data.columns import Columns
from archgrad.equations import SMALL, draw_found, recorded_equation, rows_set_aside
from archgrad.experiment import Surroundings
from archgrad.genotype import Genotype
from archgrad.runs import RunFolder

NAMES = ("a b", "c_{$")


@pytest.fixture
def data():
    inputs = np.random.default_rng(0).random((40, 2))
    return Columns(NAMES, inputs, "y in $", 2 * inputs[:, 0] + np.exp(5 * inputs[:, 1]))


def surroundings(tmp_path):
    return Surroundings(path=tmp_path / "run", configuration={"command": "equation"}, quiet=True)


def test_rows_are_set_aside_by_the_seed_alone():
    chosen = rows_set_aside(100, 0.25, seed=3)
    assert chosen.sum() == 25
    assert (chosen == rows_set_aside(100, 0.25, seed=3)).all()
    assert (chosen != rows_set_aside(100, 0.25, seed=4)).any()
    assert not rows_set_aside(100, 0.0, seed=3).any()
    assert not rows_set_aside(SMALL - 1, 0.25, seed=3).any()
    with pytest.raises(ValueError, match=r"test_fraction: must lie in \[0, 1\), got 1.5"):
        rows_set_aside(100, 1.5, seed=3)


def test_the_folder_holds_the_front_and_the_chosen_equation(data, fake_regressor, tmp_path, capsys):
    found = recorded_equation(fake_regressor(), data, surroundings(tmp_path), test_fraction=0.25)
    folder = tmp_path / "run"
    assert {path.name for path in folder.iterdir()} == {
        *("config.json", "environment.json", "equations.json", "genotype.json", "model.json", "pictures", "report.html")
    }
    pictures = {path.name for path in (folder / "pictures").iterdir()}
    assert pictures == {"law.png", "graph.png", "parity.png", "front.png", "losses.png"}
    content = json.loads((folder / "equations.json").read_text())
    assert (content["target"], content["chosen"], len(content["equations"])) == ("y in $", 2, 3)
    chosen = content["equations"][2]
    assert chosen["formula"] == str(found.law)
    assert chosen["columns"] == list(NAMES)
    assert chosen["r2"] == pytest.approx(1.0)
    assert Genotype.from_json((folder / "genotype.json").read_text()) == found.law.genotype
    assert json.dumps(chosen["genotype"]) == json.dumps(json.loads(found.law.genotype.to_json()))
    assert "equation: round 3" in capsys.readouterr().out


def test_scores_are_of_the_rows_set_aside(data, fake_regressor, tmp_path):
    found = recorded_equation(fake_regressor(), data, surroundings(tmp_path), test_fraction=0.5)
    assert found.test.sum() == 20
    rows = data.targets[found.test]
    constant = data.targets[~found.test].mean()
    expected = 1 - ((rows - constant) ** 2).sum() / ((rows - rows.mean()) ** 2).sum()
    assert found.score(0) == pytest.approx(expected)
    assert dict(found.key_numbers())["columns used"] == "2 of 2"
    assert dict(found.key_numbers())["candidates judged"] == "30"
    assert [row[0] for row in found.table().rows] == ["", "", "→"]


def test_a_small_table_is_used_whole(data, fake_regressor, tmp_path):
    small = Columns(data.names, data.inputs[:9], data.target, data.targets[:9])
    found = recorded_equation(fake_regressor(), small, surroundings(tmp_path), test_fraction=0.25)
    assert found.judged_on == "training"
    assert found.score(2) == pytest.approx(1.0)


def test_the_report_holds_law_front_pictures_and_settings(data, fake_regressor, tmp_path):
    found = recorded_equation(fake_regressor(), data, surroundings(tmp_path), test_fraction=0.25)
    page = (tmp_path / "run" / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 5
    for words in ("y in $ = ", str(found.law), found.law.latex, "R² (test)", "<h2>Fit</h2>", "<h2>Graph</h2>"):
        assert words.replace("&", "&amp;") in page
    assert "c<sub>k" not in page
    assert "Curves" not in page


def test_an_interrupted_search_keeps_the_best_equation(data, fake_regressor, tmp_path, monkeypatch):
    monkeypatch.setattr(fake_regressor, "interrupt", 2)
    with pytest.raises(KeyboardInterrupt, match=r"interrupted; the best equation so far, also in .*, is y in \$ = "):
        recorded_equation(fake_regressor(), data, surroundings(tmp_path), test_fraction=0.25)
    content = json.loads((tmp_path / "run" / "equations.json").read_text())
    assert len(content["equations"]) == 1
    assert content["equations"][0]["r2"] is None
    assert (tmp_path / "run" / "genotype.json").exists()


@pytest.mark.parametrize("existed", [False, True])
def test_what_the_estimator_refuses_leaves_nothing_behind(existed, data, fake_regressor, tmp_path, monkeypatch):
    def refuse(self, table, target):
        raise ValueError("darts_type: 'fare' is unknown")

    monkeypatch.setattr(fake_regressor, "fit", refuse)
    if existed:
        (tmp_path / "run").mkdir()
    with pytest.raises(ValueError, match="darts_type"):
        recorded_equation(fake_regressor(), data, surroundings(tmp_path), test_fraction=0.25)
    assert list(tmp_path.iterdir()) == ([tmp_path / "run"] if existed else [])
    assert not existed or not list((tmp_path / "run").iterdir())


def test_a_folder_with_files_is_refused_before_the_search(data, fake_regressor, tmp_path):
    RunFolder(tmp_path / "run").write_genotype(Genotype("expression", ()))
    with pytest.raises(ValueError, match="exists already"):
        recorded_equation(fake_regressor(), data, surroundings(tmp_path), test_fraction=0.25)


def test_a_run_is_drawn_with_its_names(data, fake_regressor, tmp_path):
    recorded_equation(fake_regressor(), data, surroundings(tmp_path), test_fraction=0.25)
    texts = [artist.get_text() for artist in draw_found(tmp_path / "run").axes[0].texts]
    assert {*NAMES, "y in $", "mult\n2·x", "linear_exp\n5·x"} <= set(texts)
    (tmp_path / "run" / "equations.json").write_text('{"equations": [], "chosen": 0}')
    with pytest.raises(ValueError, match=r"equations\.json: broken"):
        draw_found(tmp_path / "run")
