"""The whole job: its table says what its rows say, and it goes on where it stopped."""

import pytest

from archgrad import methods, recipes
from archgrad.data import Augmentation, Loaded
from archgrad.experiment import Comparison, Surroundings, compare_with_random
from archgrad.genotype import DARTS_V1
from archgrad.settings import SearchSettings
from archgrad.summary import ComparisonRow

PLAIN = Augmentation(crop_padding=0, flip=False)


def row(name, accuracy, parameters=1000, seconds=2.0):
    return ComparisonRow(name, DARTS_V1, accuracy, parameters=parameters, seconds=seconds)


def test_table_states_mean_deviation_and_best(tmp_path):
    rows = [row("found", 0.9), row("random_1", 0.5, 900, 1.0), row("random_2", 0.7, 1100, 3.0)]
    table = dict(Comparison(rows, 12.34, tmp_path / "report.html").table())
    assert table["test accuracy of the found network"] == "90.00%"
    assert table["random cells (2), mean ± std"] == "60.00% ± 14.14%"
    assert table["random cells, best"] == "70.00%"
    assert table["parameters of the random cells"] == "900 to 1,100"
    assert table["search seconds"] == "12.3"
    assert table["train seconds (found; random, mean)"] == "2.0; 2.0"


@pytest.fixture(scope="module")
def job(tiny_space, tiny_data):
    def run(path, *, resume=False):
        return compare_with_random(
            tiny_space,
            Loaded(tiny_data, tiny_data),
            Surroundings(path=path, configuration={"seed": 0}, quiet=True, resume=resume, device="cpu"),
            method=methods.darts(order=1),
            settings=SearchSettings(epochs=1, batch_size=4, augmentation=PLAIN),
            recipe=recipes.digits(epochs=1, batch_size=8),
            channels=4,
            layers=3,
            random_cells=1,
        )

    return run


def test_a_job_without_its_last_part_is_completed_to_the_same_result(job, tmp_path):
    whole = job(tmp_path / "job")
    last = tmp_path / "job" / "random_1"
    for path in sorted(last.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    last.rmdir()
    resumed = job(tmp_path / "job", resume=True)
    assert [(row.name, row.accuracy, row.genotype) for row in resumed.rows] == [
        (row.name, row.accuracy, row.genotype) for row in whole.rows
    ]
    assert resumed.search_seconds == whole.search_seconds
    with pytest.raises(ValueError, match="exists already"):
        job(tmp_path / "job")
