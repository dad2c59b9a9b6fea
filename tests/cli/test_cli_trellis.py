"""The commands for dense prediction, end to end on tiny networks and images, and what they say of bad input."""

import numpy as np
import pytest
import torch
from PIL import Image

from archgrad.cli import main
from archgrad.genotype import AUTO_DEEPLAB
from archgrad.runs import load_segmentation_network, read_json

QUIET = ["--device", "cpu", "--quiet"]
SPACE = ["--layers", "2", "--filters", "1", "--blocks", "1", "--levels", "2"]
SEARCH = ["search", "trellis", *QUIET, *SPACE, "--epochs", "2", "--warmup-epochs", "1", "--batch-size", "2"]
SIZE = ["--filters", "1", "--stem-channels", "2", "--head-channels", "2", "--low-level-channels", "2"]
RECIPE = ["scenes", "--epochs", "1", "--batch-size", "2"]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A folder of training and test images, whose brightness tells the class, with masks and names of the classes."""
    path = tmp_path_factory.mktemp("images")
    generator = np.random.default_rng(0)
    for part, count in (("train", 6), ("test", 3)):
        for kind in ("images", "masks"):
            (path / part / kind).mkdir(parents=True)
        for number in range(count):
            mask = generator.integers(0, 2, (4, 5), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
            Image.fromarray(np.repeat(200 * mask[..., None], 3, 2)).save(path / part / "images" / f"{number}.png")
            Image.fromarray(mask).save(path / part / "masks" / f"{number}.png")
    (path / "classes.txt").write_text("dark\nbright\n")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory, images):
    """A search and a training on what it found."""
    path = tmp_path_factory.mktemp("dense")
    data = ["--data", str(images)]
    main([*SEARCH, *data, "--out", str(path / "search")])
    train = ["train", "trellis", *QUIET, *data, *SIZE, "--genotype", str(path / "search")]
    main([*train, "--out", str(path / "network"), *RECIPE])
    return path


def test_a_search_leaves_cell_path_and_pictures(folder):
    run = folder / "search"
    for name in ("genotype.json", "paths.json", "report.html", "metrics.jsonl", "checkpoint.safetensors"):
        assert (run / name).is_file(), name
    pictures = {path.stem for path in (run / "pictures").iterdir()}
    assert pictures == {"cell_cell", "trellis", "curves", "diagnostics", "mixture_cell", "mixture_trellis"}
    paths = read_json(run / "paths.json")
    assert paths[0]["path"] == read_json(run / "genotype.json")["path"]
    assert sum(path["probability"] for path in paths) == pytest.approx(1.0)


def test_a_training_leaves_network_score_and_pictures(folder):
    run = folder / "network"
    for name in ("network.safetensors", "network.json", "score.json", "genotype.json", "report.html"):
        assert (run / name).is_file(), name
    pictures = {path.stem for path in (run / "pictures").iterdir()}
    assert pictures == {"cell_cell", "predictions", "classes", "curves"}
    saved = load_segmentation_network(run)
    assert saved.classes == ("dark", "bright")
    assert saved.network(torch.zeros(1, 3, 32, 40)).shape == (1, 2, 32, 40)


def test_the_memory_is_told_before_work(images, tmp_path, capsys):
    main([*SEARCH, "--data", str(images), "--out", str(tmp_path / "run")])
    assert "search: needs about 0." in capsys.readouterr().out


def test_evaluation_on_its_own_and_on_other_images(folder, images, tmp_path, capsys):
    main(["evaluate", str(folder / "network"), "--device", "cpu"])
    own = capsys.readouterr().out
    assert f"mean IoU        {read_json(folder / 'network' / 'score.json')['mean_iou']:.2%}" in own
    assert "IoU of bright" in own
    options = ["--scales", "0.75", "1.25", "--flip", "--window", "24", "24"]
    picture = tmp_path / "predictions.png"
    data = ["--data", str(images), "--image-size", "48", "40", "--pictures", str(picture)]
    main(["evaluate", str(folder / "network"), "--device", "cpu", *options, *data])
    assert "test images     3" in capsys.readouterr().out
    with Image.open(picture) as drawn:
        assert drawn.size[0] > 100


def test_a_resumed_search_keeps_its_settings(folder, capsys, refused):
    main(["search", "trellis", "--resume", str(folder / "search"), "--quiet"])
    assert "path:" in capsys.readouterr().out
    said = refused("search", "trellis", "--resume", str(folder / "search"), "--layers", "3")
    assert "--layers: 3 was given, but the run in" in said
    assert "'search trellis' run, not a 'search' run" in refused("search", "--resume", str(folder / "search"))


def test_show_draws_cell_and_path(tmp_path, capsys):
    main(["show", "AUTO_DEEPLAB", "--out", str(tmp_path / "network.png")])
    assert capsys.readouterr().out.strip() == str(AUTO_DEEPLAB)
    assert (tmp_path / "network.png").is_file()


def test_demo_compares_paths(images, tmp_path, capsys):
    command = ["demo", "trellis", *QUIET, *SPACE, "--data", str(images), "--random-paths", "2"]
    search = ["--search.epochs", "1", "--search.warmup-epochs", "0", "--search.batch-size", "2"]
    network = [f"--network.{option.removeprefix('--')}" if "--" in option else option for option in SIZE]
    recipe = ["--recipe.epochs", "1", "--recipe.batch-size", "2"]
    main([*command, *search, *network, *recipe, "--out", str(tmp_path / "run")])
    said = capsys.readouterr().out
    for name in ("mean IoU of the found network", "random paths (2)", "path of conv_deconv", "path of deeplabv3"):
        assert name in said
    folders = {path.parent.name for path in (tmp_path / "run").glob("*/score.json")}
    assert folders == {"found", "random_1", "random_2", "deeplabv3", "conv_deconv", "stacked_hourglass"}
    assert "stacked_hourglass" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--layers", "0"], "layers: must be at least 1, got 0"),
        (["--levels", "5", "--layers", "5"], "is too small for stride 64"),
        (["--reading", "mixed"], "reading: 'mixed' is unknown"),
        (["--candidates", "none", "conv"], "candidates: 'conv' is unknown"),
        (["--batch-size", "7"], "batch_size: 7 is more than the 3 images"),
        (["--method", "darts"], "method: 'darts' is unknown"),
        (["--data", "nowhere"], "nowhere"),
        (["--ignore", "0", "--image-size", "8", "8", "--augmentation.crop", "8", "8", "--levels", "3"], "is too small"),
    ],
)
def test_bad_options(images, tmp_path, refused, options, said):
    assert said in refused(*SEARCH, "--data", str(images), "--out", str(tmp_path / "run"), *options)


@pytest.mark.parametrize("genotype", ["DARTS_V2", "nowhere.json"])
def test_genotypes_of_other_spaces(tmp_path, refused, genotype):
    said = refused("train", "trellis", *QUIET, "--genotype", genotype, "--out", str(tmp_path / "run"))
    assert "AUTO_DEEPLAB" in said
    assert genotype in said


def test_the_genotype_of_a_convolutional_search_is_refused(tmp_path, refused):
    from archgrad.genotype import DARTS_V2

    (tmp_path / "cell.json").write_text(DARTS_V2.to_json())
    said = refused("train", "trellis", *QUIET, "--genotype", str(tmp_path / "cell.json"))
    assert "belongs to the space 'conv_cell', this network needs 'trellis'" in said


def test_other_classes_are_refused(folder, images, tmp_path, refused):
    import shutil

    shutil.copytree(images, tmp_path / "other")
    (tmp_path / "other" / "classes.txt").write_text("night\nday\n")
    said = refused("evaluate", str(folder / "network"), "--data", str(tmp_path / "other"))
    assert "has the classes ('night', 'day'), but the network was trained on ('dark', 'bright')" in said


def test_what_is_told_before_any_work(folder, images, tmp_path, refused):
    search = [*SEARCH, "--data", str(images)]
    assert f"{folder / 'search'} exists already" in refused(*search, "--out", str(folder / "search"))
    assert "lower batch_size, the crop" in refused(*search, "--filters", "300000", "--out", str(tmp_path / "a"))
    said = refused("evaluate", str(folder / "network"), "--pictures", str(tmp_path / "none" / "drawn.png"))
    assert "pictures: there is no folder" in said
    assert "pictures: '.txt' is unknown" in refused("evaluate", str(folder / "network"), "--pictures", "drawn.txt")


def test_paths_in_files_are_checked(images, tmp_path, refused):
    written = AUTO_DEEPLAB.to_json()
    train = ["train", "trellis", *QUIET, "--data", str(images), "--genotype", str(tmp_path / "path.json")]
    for broken, message in (
        ('"0 0 0"', "path must be a list of whole numbers, the level of each layer, got '0 0 0'"),
        ("[0, 0.5]", "path must be a list of whole numbers"),
        ("[0, 2]", "path: 0 2 leaves the trellis: layer 2 lies at level 2"),
    ):
        start = written.index('"path": ') + len('"path": ')
        (tmp_path / "path.json").write_text(f"{written[:start]}{broken}}}")
        said = refused(*train)
        assert message in said
        assert "path.json: " in said


def test_a_path_deeper_than_the_images(images, tmp_path, refused):
    deep = AUTO_DEEPLAB.to_json().replace(AUTO_DEEPLAB.to_json()[AUTO_DEEPLAB.to_json().index('"path"') :], "")
    (tmp_path / "deep.json").write_text(f'{deep}"path": [1, 2, 3, 4]}}')
    said = refused("train", "trellis", *QUIET, *SIZE, "--data", str(images), "--genotype", str(tmp_path / "deep.json"))
    assert "images of 32×40 are too small for the network's path, whose largest stride is 64" in said


def test_memory_that_runs_out_is_one_line(images, refused, monkeypatch):
    def fail(*arguments, **options):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] you tried to allocate 9 bytes. Error code 12\nmore")

    monkeypatch.setattr("archgrad.cli.trellis.load_segmentation", fail)
    assert "not enough memory; lower the batch size" in refused(*SEARCH, "--data", str(images))
