"""Imports run downward only, and importing the library loads no plotting and no command line."""

import ast
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src"
LEVELS = (
    {
        "checks",
        "arch",
        "genotype",
        "seeding",
        "schedule",
        "autodiff",
        "devices",
        "files",
        "identity",
        "mixing",
        "stages",
    },
    {"relax", "ops", "hypergrad", "decode", "data", "stability"},
    {"spaces", "tasks"},
    {
        "settings",
        "methods",
        "selection",
        "citations",
        "recipes",
        "loop",
        "optimization",
        "state",
        "memory",
        "diagnostics",
        "costs",
    },
    {"supernet_loss", "weight_step", "measuring", "probe", "bilevel", "image_search", "training"},
    {"baselines", "tabular", "discovery", "language", "segmentation", "jax"},
    {"runs", "report", "estimators"},
    {
        "experiment",
        "equations",
        "language_experiment",
        "segmentation_experiment",
        "segmentation_summary",
        "summary",
        "demo",
        "bench",
        "cli",
        "__main__",
    },
)
STRANGERS = LEVELS[1]


def level(name):
    return next(number for number, names in enumerate(LEVELS) if name in names)


def imports(path):
    """The modules of the library that a file imports by name, wherever in the file the statement stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "archgrad")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            if node.module == "archgrad":
                yield from (f"archgrad.{alias.name}" for alias in node.names)
            elif node.module.split(".")[0] == "archgrad":
                yield node.module


def all_imports():
    for path in sorted((SOURCE / "archgrad").rglob("*.py")):
        parts = path.relative_to(SOURCE / "archgrad").with_suffix("").parts
        if parts == ("__init__",):
            continue
        for name in imports(path):
            if not name.split(".")[1].startswith("__"):
                yield path.relative_to(SOURCE), parts[0], name.split(".")[1]


def test_every_module_has_a_level():
    names = {path.stem for path in (SOURCE / "archgrad").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert {name for name in names if not name.startswith("__") and name != "py"} <= set().union(*LEVELS)


def test_imports_run_downward():
    upward = [
        f"{path} imports {imported}" for path, importer, imported in all_imports() if level(importer) < level(imported)
    ]
    assert upward == []


def test_packages_of_the_equations_do_not_know_each_other():
    known = [
        f"{path} imports {imported}"
        for path, importer, imported in all_imports()
        if {importer, imported} <= STRANGERS and importer != imported
    ]
    assert known == []


def test_report_does_not_know_runs():
    assert not [path for path, importer, imported in all_imports() if (importer, imported) == ("report", "runs")]


def test_importing_the_library_is_light_and_leaves_no_state():
    code = """
import sys
import numpy, torch
states = torch.get_rng_state(), numpy.random.get_state()[1], torch.get_default_dtype(), torch.get_num_threads()
import archgrad
assert torch.equal(torch.get_rng_state(), states[0]) and (numpy.random.get_state()[1] == states[1]).all()
assert (torch.get_default_dtype(), torch.get_num_threads()) == states[2:]
loaded = {"matplotlib", "tyro", "jax", "flax", "optax", "archgrad.jax"} & set(sys.modules)
assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
