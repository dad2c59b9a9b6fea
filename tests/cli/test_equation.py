"""`archgrad equation` from the outside: what it prints, what it leaves behind, how it refuses."""

import json
import re

import numpy as np
import pytest

from archgrad.cli import INTERRUPTED, main


@pytest.fixture
def table(tmp_path):
    inputs = np.random.default_rng(0).random((40, 3)).round(6)
    rows = np.column_stack([inputs, 2 * inputs[:, 0] + np.exp(5 * inputs[:, 1])])
    lines = [";".join(map(repr, row.tolist())) for row in rows]
    path = tmp_path / "data.csv"
    path.write_text("\n".join(["blood pressure ($);x_{2}^$;noise;the target", *lines]))
    return path


@pytest.fixture
def fake(fake_regressor, monkeypatch):
    monkeypatch.setattr("archgrad.cli.equation.DARTSRegressor", fake_regressor)
    return fake_regressor


def refused(capsys, *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["equation", *arguments])
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_the_law_is_found_shown_and_kept(table, fake, tmp_path, capsys):
    out = tmp_path / "run"
    columns = ["--columns", "blood pressure ($)", "x_{2}^$"]
    main(["equation", str(table), "--target", "the target", *columns, "--out", str(out), "--seed", "3"])
    output = capsys.readouterr().out
    assert "equation: round 3" in output
    assert re.search(r"→ +7 +\d\S* +\d\S* +1  2.0\*blood pressure", output)
    assert re.search(r"equation +the target = 2.0\*blood pressure \(\$\)", output)
    assert re.search(r"R² \(test rows\) +1\n", output)
    assert f"report  {out / 'report.html'}" in output
    assert re.search(r"LaTeX +2.0 ", output)
    configuration = json.loads((out / "config.json").read_text())
    assert configuration["command"] == "equation"
    assert configuration["run"] == {"seed": 3}
    assert configuration["estimator"]["time_limit"] is None
    assert json.loads((out / "equations.json").read_text())["columns"] == columns[1:]
    main(["show", str(out), "--out", str(tmp_path / "graph.png")])
    assert "linear_exp(1)" in capsys.readouterr().out
    assert (tmp_path / "graph.png").read_bytes().startswith(b"\x89PNG")


def test_options_reach_the_estimator(table, fake, tmp_path, monkeypatch):
    given = {}
    monkeypatch.setattr(
        fake, "__init__", lambda self, **parameters: vars(self).update(parameters=given) or given.update(parameters)
    )
    main(["equation", str(table), "--out", str(tmp_path / "run"), "--time-limit", "5", "--seed", "7"])
    assert given["time_limit"] == 5.0
    assert given["random_state"] == 7


def test_a_tiny_table_is_used_whole(table, fake, tmp_path, capsys):
    table.write_text("\n".join(table.read_text().splitlines()[:12]))
    main(["equation", str(table), "--out", str(tmp_path / "run")])
    output = capsys.readouterr().out
    assert "has 11 rows only; none is set aside" in output
    assert "R² (training rows)" in output


def test_ctrl_c_tells_the_best_equation_so_far(table, fake, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(fake, "interrupt", 2)
    with pytest.raises(SystemExit) as ended:
        main(["equation", str(table), "--out", str(tmp_path / "run")])
    assert ended.value.code == INTERRUPTED
    message = capsys.readouterr().err
    assert "the best equation so far" in message
    assert "--resume" not in message


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--target", "the targt"], ["target", "'the targt'", "did you mean 'the target'"]),
        (["--columns", "nois"], ["columns", "'nois'", "did you mean 'noise'"]),
        (["--test-fraction", "1"], ["test_fraction", "[0, 1)", "1"]),
        (["--resume", "runs/x"], ["--resume"]),
    ],
)
def test_bad_input_is_refused_before_any_work(arguments, said, table, fake, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = refused(capsys, str(table), *arguments)
    assert "Traceback" not in message
    for words in said:
        assert words in message
    assert not (tmp_path / "runs").exists()


def test_a_broken_table_is_refused_with_row_and_column(table, fake, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table.write_text(table.read_text().replace("\n0.", "\nx", 1))
    message = refused(capsys, str(table))
    assert re.search(r"data\.csv: row 1 \(line 2\), column 'blood pressure \(\$\)': 'x\d+' is not a number", message)
    assert "there is no such file" in refused(capsys, "nothing.csv")
