import pytest
import torch

from archgrad.devices import autocast, resolve_device


def test_devices():
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device(torch.device("cpu")) == torch.device("cpu")
    assert resolve_device("auto").type in ("cpu", "cuda")
    with pytest.raises(ValueError, match=r"device: 'abacus' is unknown; allowed: auto, cpu, cuda, cuda:0"):
        resolve_device("abacus")


def test_a_device_that_is_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"device: 'cuda:1' is not available on this machine; allowed here: auto, cpu"):
        resolve_device("cuda:1")
    assert resolve_device("auto") == torch.device("cpu")


def test_precision_of_matrix_products():
    x = torch.ones(2, 2)
    for precision, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        with autocast(torch.device("cpu"), precision):
            assert (x @ x).dtype == dtype
    with pytest.raises(ValueError, match=r"precision: 'float16' is unknown"):
        autocast(torch.device("cpu"), "float16")
