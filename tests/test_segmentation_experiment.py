"""The comparison of paths, tiny: every network leaves a folder, and a resumed job repeats nothing."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from archgrad import SegmentationSearchSettings, methods, recipes
from archgrad.data.segmentation import DenseAugmentation, LoadedSegmentation, scenes
from archgrad.experiment import Surroundings
from archgrad.genotype import AUTO_DEEPLAB
from archgrad.runs import RunFolder, load_segmentation_network, read_json
from archgrad.segmentation_experiment import NetworkSize, baselines, compare_paths
from archgrad.spaces import TrellisSpace
from archgrad.spaces.trellis import PATHS
from archgrad.spaces.trellis.plan import check_path

SIZE = NetworkSize(filters=1, stem_channels=2, head_channels=2, low_level_channels=2)


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    data = LoadedSegmentation(*scenes(train=4, test=2, size=(32, 40)))
    space = TrellisSpace(layers=2, filters=1, blocks=1, levels=2, num_classes=data.train.num_classes)

    def compare(resume):
        return compare_paths(
            space,
            data,
            Surroundings(path=path, configuration={"test": 1}, device="cpu", quiet=True, resume=resume),
            method=methods.darts(order=1),
            settings=SegmentationSearchSettings(
                epochs=1, warmup_epochs=0, augmentation=DenseAugmentation(scale=(1.0, 1.0))
            ),
            recipe=recipes.scenes(epochs=1, batch_size=2),
            size=SIZE,
            random_paths=1,
        )

    path = tmp_path_factory.mktemp("dense") / "run"
    return path, compare(False), lambda: compare(True)


def test_every_network_leaves_a_folder(compared):
    path, comparison, _ = compared
    assert [row.name for row in comparison.rows] == ["found", *PATHS, "random_1"]
    for row in comparison.rows:
        assert load_segmentation_network(path / row.name).genotype == row.genotype
        assert read_json(path / row.name / "score.json")["mean_iou"] == row.confusion.mean_iou
        assert (path / row.name / "report.html").is_file()


def test_all_have_the_found_cell(compared):
    _, comparison, _ = compared
    assert {row.genotype.cells for row in comparison.rows} == {comparison.rows[0].genotype.cells}


def test_the_report_names_them(compared):
    _, comparison, _ = compared
    page = Path(comparison.report).read_text()
    for word in ("stacked_hourglass", "random_1", "mean IoU", f"{comparison.rows[0].confusion.mean_iou:.2%}"):
        assert word in page


def test_a_resumed_job_repeats_nothing(compared):
    path, comparison, resume = compared
    shutil.rmtree(path / "random_1")  # as if it had been stopped before its last network
    (path / "found" / "report.html").unlink()
    before = {row.name: row.confusion.mean_iou for row in comparison.rows}
    written = (path / "search" / "checkpoint.safetensors").stat().st_mtime_ns
    assert {row.name: row.confusion.mean_iou for row in resume().rows} == before
    assert (path / "search" / "checkpoint.safetensors").stat().st_mtime_ns == written
    assert RunFolder(path, resume=True).path == path


def test_baselines_are_known_and_random_paths():
    space = TrellisSpace()
    found = baselines(space, AUTO_DEEPLAB, random_paths=3, seed=0)
    assert {name: found[name].path for name in PATHS} == PATHS
    random = [found[f"random_{index}"].path for index in (1, 2, 3)]
    assert len(set(random)) == 3
    for path in random:
        check_path(path, levels=4)
    assert baselines(space, AUTO_DEEPLAB, random_paths=3, seed=0) == found
    assert baselines(space, AUTO_DEEPLAB, random_paths=3, seed=1) != found
    smaller = baselines(replace(space, layers=5, levels=3), AUTO_DEEPLAB, random_paths=1, seed=0)
    assert {len(genotype.path) for genotype in smaller.values()} == {5}
    with pytest.raises(ValueError, match="random_paths: must be at least 1, got 0"):
        baselines(space, AUTO_DEEPLAB, random_paths=0, seed=0)


def test_sizes_are_checked():
    with pytest.raises(ValueError, match="head_channels: must be at least 1, got 0"):
        NetworkSize(head_channels=0)
