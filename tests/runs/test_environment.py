"""The environment is JSON and names what a result may depend on."""

import json
import os

import torch

from archgrad.runs import environment


def test_environment_names_versions_and_machine():
    found = json.loads(json.dumps(environment()))
    assert found["packages"]["torch"] == torch.__version__
    assert found["cores"] == os.cpu_count()
    assert found["threads"] == torch.get_num_threads()
    assert found["processor"]


def test_no_git_is_no_error(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert environment()["git_commit"] is None
