"""Without its packages archgrad.jax says what to install."""

import importlib
import importlib.util
import sys

import pytest


@pytest.fixture
def unfindable(monkeypatch):
    """As on a machine without these packages; the modules that are loaded already come back afterwards."""
    find_spec = importlib.util.find_spec

    def without(*missing):
        hidden = [name for name in sys.modules if name == "archgrad.jax" or name.startswith("archgrad.jax.")]
        for name in hidden:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setattr(
            importlib.util,
            "find_spec",
            lambda name, package=None: None if name in missing else find_spec(name, package),
        )

    return without


@pytest.mark.parametrize("missing", [("jax",), ("flax",), ("optax",), ("orbax",), ("jax", "flax", "optax", "orbax")])
def test_what_is_missing_is_named_with_the_command_that_installs_it(unfindable, missing):
    import archgrad

    module = archgrad.jax
    unfindable(*missing)
    try:
        with pytest.raises(ImportError, match=rf"\({', '.join(missing)} is missing\): pip install .*'archgrad\[jax\]'"):
            importlib.import_module("archgrad.jax")
    finally:
        archgrad.jax = module
