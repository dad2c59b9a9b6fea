"""The example in the README runs as it stands, on smaller networks and fewer images."""

import re
from pathlib import Path

import numpy as np
import pytest

import archgrad as ag

README = Path(__file__).parents[1] / "README.md"


def test_the_example_runs(capsys, monkeypatch):
    example, _ = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert len([line for line in example.splitlines() if line.strip()]) <= 15
    smaller = example
    for given, small in (("channels=8, layers=5", "channels=4, layers=3"), ("channels=16", "channels=4")):
        assert given in smaller
        smaller = smaller.replace(given, small)
    smaller = re.sub(r"epochs=\d", "epochs=1", smaller)
    whole = ag.data.load
    monkeypatch.setattr(ag.data, "load", lambda source: whole(source).limited(200, 50, seed=0))
    exec(compile(smaller, str(README), "exec"), {})
    assert re.search(r"\d+\.\d% with [\d,]+ parameters", capsys.readouterr().out)


def test_the_example_of_laws_in_data_runs(capsys):
    _, example = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    table = np.linspace(1, 2, 40)[:, None]
    exec(compile(example, str(README), "exec"), {"X": table, "y": 3 * table[:, 0] ** 2})
    assert "3*x0**2 3 x_{0}^{2}" in capsys.readouterr().out


def test_the_example_of_recurrent_cells_runs(capsys, monkeypatch):
    page = README.parent / "docs" / "recurrent.md"
    (example,) = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
    smaller = re.sub(r"epochs=\d+", "epochs=1", example).replace("hidden_size=64", "hidden_size=8, nodes=2")
    whole = ag.data.text.load_text
    monkeypatch.setattr(ag.data.text, "load_text", lambda source: whole(source, limit=4000))
    exec(compile(smaller.replace("batch_size=64", "batch_size=8"), str(page), "exec"), {})
    assert capsys.readouterr().out.splitlines()[1].startswith("the dogs")


def test_the_examples_of_methods_run(capsys):
    page = README.parent / "docs" / "methods.md"
    composed, costs = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
    exec(compile(composed, str(page), "exec"), {})
    assert "papers to cite" in capsys.readouterr().out
    exec(compile(costs, str(page), "exec"), {})
    assert re.search(r"[\d,]+ parameters", capsys.readouterr().out)


def test_the_example_of_a_space_of_ones_own_runs_and_is_short(capsys):
    page = README.parent / "docs" / "spaces.md"
    (example,) = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
    exec(compile(example, str(page), "exec"), {"__name__": "example"})
    assert "layers:" in capsys.readouterr().out
    lines = example.splitlines()
    start, end = (
        next(place for place, line in enumerate(lines) if line.startswith(word)) for word in ("KERNELS", "train_")
    )
    assert end - start < 60


def test_the_example_of_dense_prediction_runs(capsys):
    page = README.parent / "docs" / "trellis.md"
    (example,) = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
    exec(compile(example.replace("limit_train=24", "limit_train=8"), str(page), "exec"), {})
    said = capsys.readouterr().out
    assert "path: " in said
    assert "'road': " in said


def _examples_of_jax():
    page = README.parent / "docs" / "jax.md"
    return page, re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)


def test_the_short_examples_of_jax_run(capsys):
    pytest.importorskip("jax")
    page, (_, own, conversion, _) = _examples_of_jax()
    quicker = own.replace("steps_per_epoch=1", "steps_per_epoch=1, method='darts-first-order'")
    exec(compile(quicker, str(page), "exec"), {"__name__": "example"})
    assert "layers:" in capsys.readouterr().out
    exec(compile(conversion, str(page), "exec"), {})
    assert "torch.Size([2, 10])" in capsys.readouterr().out


@pytest.mark.slow
def test_the_long_examples_of_jax_run(capsys, monkeypatch, tmp_path):
    pytest.importorskip("jax")
    monkeypatch.chdir(tmp_path)
    page, (digits, _, _, seeds) = _examples_of_jax()
    exec(compile(seeds, str(page), "exec"), {})
    assert "(4,) normal:" in capsys.readouterr().out
    exec(compile(digits, str(page), "exec"), {})
    found = re.findall(r"(JAX|PyTorch): +(\d+\.\d)%", capsys.readouterr().out)
    assert [side for side, _ in found] == ["JAX", "PyTorch"]
    assert min(float(accuracy) for _, accuracy in found) > 95


def test_every_linked_file_is_there():
    text = README.read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if not link.startswith("http")]
    assert len(links) > 10
    for link in links:
        assert (README.parent / link).exists(), link
