"""Commands go to JSON and come back equal."""

import json
from pathlib import Path

import pytest

from archgrad.cli.commands import COMMANDS, Search, Train
from archgrad.cli.configuration import from_plain, to_plain
from archgrad.cli.options import DataOptions, RunOptions
from archgrad.recipes import cifar10
from archgrad.settings import SearchSettings


@pytest.mark.parametrize("name", ["search", "train", "demo", "bench"])
def test_defaults_survive_json(name):
    command = COMMANDS[name]()
    assert from_plain(COMMANDS[name], json.loads(json.dumps(to_plain(command)))) == command


def test_other_values_survive_json():
    command = Search(
        data=DataOptions(data="/a/b", limit_train=3),
        settings=SearchSettings(epochs=2, logits_betas=(0.1, 0.2)),
        run=RunOptions(out=Path("x"), seed=7),
    )
    assert from_plain(Search, json.loads(json.dumps(to_plain(command)))) == command
    trained = Train(recipe=cifar10(epochs=3))
    assert from_plain(Train, json.loads(json.dumps(to_plain(trained)))) == trained


@pytest.mark.parametrize("plain", [{"methode": "x"}, {"settings": 3}, {"settings": {"epoch": 3}}, []])
def test_what_does_not_fit_is_refused(plain):
    with pytest.raises((ValueError, TypeError)):
        from_plain(Search, plain)
