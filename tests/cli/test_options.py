"""What commands share: the run folder's name, the stored command of a resumed run, genotypes by name or path."""

import re
from pathlib import Path

import pytest

from archgrad.cli.commands import Search
from archgrad.cli.configuration import to_plain
from archgrad.cli.options import DataOptions, RunOptions, SpaceOptions, prepared, read_genotype
from archgrad.genotype import DARTS_V2, NASNET
from archgrad.runs import write_json
from archgrad.settings import SearchSettings


def test_a_run_is_named_after_its_command_and_the_time():
    _, surroundings = prepared(Search(), "search")
    assert re.fullmatch(r"runs/search-\d{8}-\d{6}", str(surroundings.path))
    _, surroundings = prepared(Search(run=RunOptions(out=Path("here"))), "search")
    assert str(surroundings.path) == "here"


def test_what_does_not_change_the_result_is_not_part_of_the_configuration():
    _, first = prepared(Search(run=RunOptions(out=Path("a"), quiet=True, checkpoint_seconds=1)), "search")
    _, second = prepared(Search(run=RunOptions(out=Path("b"))), "search")
    assert first.configuration == second.configuration
    _, third = prepared(Search(run=RunOptions(seed=1)), "search")
    assert third.configuration != first.configuration


def test_a_resumed_run_has_its_own_settings_and_refuses_others(tmp_path):
    stored = Search(settings=SearchSettings(epochs=7), data=DataOptions(limit_train=40))
    write_json(tmp_path / "config.json", {"command": "search", **to_plain(stored)})
    command, surroundings = prepared(Search(run=RunOptions(resume=tmp_path)), "search")
    assert command.settings.epochs == 7
    assert command.data.limit_train == 40
    assert surroundings.resume
    assert surroundings.path == tmp_path
    same = Search(settings=SearchSettings(epochs=7), run=RunOptions(resume=tmp_path))
    assert prepared(same, "search")[0] == command
    other = Search(settings=SearchSettings(epochs=8), run=RunOptions(resume=tmp_path))
    with pytest.raises(ValueError, match=r"epochs: 8 was given, but the run .* has 7"):
        prepared(other, "search")


def test_the_space_takes_channels_and_classes_from_the_data():
    space = SpaceOptions(layers=3).space(DataOptions().load(0))
    assert (space.in_channels, space.num_classes, space.layers) == (1, 10, 3)


def test_limits_are_stratified():
    train, test = DataOptions(limit_train=50, limit_test=20).load(0)
    assert train.labels.bincount().tolist() == [5] * 10
    assert test.labels.bincount().tolist() == [2] * 10
    with pytest.raises(ValueError, match="limit_train: must be at least 10, got 3"):
        DataOptions(limit_train=3).load(0)


def test_genotypes_by_name_file_and_folder(tmp_path):
    assert read_genotype("nasnet") == NASNET
    (tmp_path / "genotype.json").write_text(DARTS_V2.to_json())
    assert read_genotype(str(tmp_path)) == DARTS_V2
    assert read_genotype(str(tmp_path / "genotype.json")) == DARTS_V2
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(ValueError, match="not JSON"):
        read_genotype(str(tmp_path / "broken.json"))
