"""CIFAR-10 from its official archives: the folder of Python pickles or the folder of binary records.

A pickle is a program. The one that is run here can reach a few stand-ins for NumPy's array machinery and nothing else:
no code of NumPy or of any other module is called on behalf of the file.
"""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from archgrad.data.images import ImageData, from_arrays

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST = "test_batch"
PIXELS = 3 * 32 * 32
RECORD = 1 + PIXELS

Records: TypeAlias = tuple[np.ndarray, np.ndarray]
"""Pixels [N, 3072] uint8, channels first, and labels [N]."""


def cifar10(folder: str | Path) -> tuple[ImageData, ImageData]:
    """Read CIFAR-10 (Krizhevsky 2009) as its authors distribute it.

    Arguments:
        folder: holds `data_batch_1` … `data_batch_5` and `test_batch` (Python version) or the same names with `.bin`
            (binary version), or one of the folders `cifar-10-batches-py` and `cifar-10-batches-bin`.

    Returns:
        Training and test data, uint8 [N, 3, 32, 32], in the original order.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is damaged, shorter than its siblings, or a pickle that asks for more than arrays.
    """
    root, suffix = _find(Path(folder))
    read = _read_binary if suffix else _read_pickle
    parts: dict[str, Records] = {}
    for name in (*TRAIN, TEST):
        path = root / (name + suffix)
        if not path.is_file():
            raise FileNotFoundError(f"folder: {path} is missing; CIFAR-10 has {TRAIN[0]} … {TRAIN[-1]} and {TEST}.")
        parts[name] = read(path)
        found, expected = len(parts[name][1]), len(parts[TRAIN[0]][1])
        if found != expected:  # the official files have 10,000 records each
            raise ValueError(f"{path}: has {found} records, {TRAIN[0] + suffix} has {expected}; one is truncated.")
    return _assemble([parts[name] for name in TRAIN]), _assemble([parts[TEST]])


def has_cifar10(folder: Path) -> bool:
    """Whether `folder` holds any file of the official archives."""
    return _located(folder) is not None


def _find(folder: Path) -> tuple[Path, str]:
    found = _located(folder)
    if found is None:
        raise FileNotFoundError(f"folder: {folder} holds neither {TRAIN[0]} nor {TRAIN[0]}.bin.")
    return found


def _located(folder: Path) -> tuple[Path, str] | None:
    for suffix, inner in (("", "cifar-10-batches-py"), (".bin", "cifar-10-batches-bin")):
        for root in (folder, folder / inner):
            if any((root / (name + suffix)).is_file() for name in (*TRAIN, TEST)):
                return root, suffix
    return None


def _assemble(parts: list[Records]) -> ImageData:
    pixels = np.concatenate([part[0] for part in parts]).reshape(-1, 3, 32, 32)
    return from_arrays(pixels, np.concatenate([part[1] for part in parts]), classes=CIFAR10_CLASSES, layout="NCHW")


def _read_binary(path: Path) -> Records:
    content = np.fromfile(path, dtype=np.uint8)
    if content.size == 0 or content.size % RECORD:
        raise ValueError(f"{path}: has {content.size} bytes, which is no positive multiple of {RECORD} (one record).")
    records = content.reshape(-1, RECORD)
    labels = records[:, 0]
    _check_labels(path, labels)
    return records[:, 1:], labels


def _read_pickle(path: Path) -> Records:
    try:
        with path.open("rb") as file:
            content = _ArraysOnly(file, encoding="bytes").load()
    except _RefusedError as error:
        raise ValueError(f"{path}: refused to load {error} from the pickle; only arrays and plain values.") from None
    except Exception as error:  # damaged pickles raise nearly everything
        raise ValueError(f"{path}: is no pickle or is truncated ({type(error).__name__}: {error}).") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: must be a pickled dictionary, got {type(content).__name__}.")
    entries = {key.decode("latin1") if isinstance(key, bytes) else key: value for key, value in content.items()}
    pixels, labels = (_plain(entries.get(key)) for key in ("data", "labels"))
    if pixels.dtype != np.uint8 or pixels.ndim != 2 or pixels.shape[1] != PIXELS:
        raise ValueError(f"{path}: 'data' must be uint8 [N, {PIXELS}], got {pixels.dtype} {list(pixels.shape)}.")
    if labels.dtype.kind not in "iu" or labels.shape != (len(pixels),):
        raise ValueError(
            f"{path}: 'labels' must be {len(pixels)} whole numbers, got {labels.dtype} {list(labels.shape)}."
        )
    _check_labels(path, labels)
    return pixels, labels


def _plain(value: Any) -> np.ndarray:
    try:
        return value.array() if isinstance(value, _Array) else np.asarray(value)
    except (ValueError, TypeError):  # a ragged list, or parts that are no array
        return np.asarray(None)


def _check_labels(path: Path, labels: np.ndarray) -> None:
    outside = np.flatnonzero((labels < 0) | (labels >= len(CIFAR10_CLASSES)))
    if outside.size:
        raise ValueError(f"{path}: label {labels[outside[0]]} of record {outside[0]} is none of 0 … 9.")


class _RefusedError(Exception):
    """A pickle named a global that is not on the list."""


class _DType:
    """Stand-in for numpy.dtype: remembers its name."""

    def __init__(self, name: Any = None, *_: Any) -> None:
        self.name = name.decode("latin1") if isinstance(name, bytes) else name

    def __setstate__(self, state: Any) -> None:
        """Byte order and flags say nothing about single bytes; NumPy's own reader would trust them."""


class _Array:
    """Stand-in for numpy.ndarray: shape, type and bytes, made an array only after checks."""

    def __init__(self, *_: Any) -> None:
        self.parts: tuple[Any, ...] = ()

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, content = state
        self.parts = (shape, dtype, "F" if fortran else "C", content)

    # class methods, since a pickle may set attributes of a function that it is handed

    @classmethod
    def reconstruct(cls, *_: Any) -> "_Array":
        """What numpy.core.multiarray._reconstruct does: an empty array, whose state follows."""
        return cls()

    @classmethod
    def frombuffer(cls, content: Any, dtype: Any, shape: Any, order: Any) -> "_Array":
        """What numpy.core.numeric._frombuffer does: an array in one call, as protocol 5 writes it."""
        array = cls()
        array.parts = (shape, dtype, order, content)
        return array

    def array(self) -> np.ndarray:
        """The array, or an object array where it is none of whole numbers; ValueError where bytes are missing."""
        shape, dtype, order, content = self.parts
        kinds = {"u1": np.uint8, "|u1": np.uint8, "i8": np.int64, "<i8": np.int64, "i4": np.int32, "<i4": np.int32}
        if not isinstance(dtype, _DType) or dtype.name not in kinds:
            return np.asarray(None)
        return np.frombuffer(content, np.dtype(kinds[dtype.name]).newbyteorder("<")).reshape(shape, order=order)


class _Latin1:
    """Stand-in for the codecs: how Python 3 writes bytes in old protocols, and no other."""

    @classmethod
    def encode(cls, text: str, encoding: str) -> bytes:
        if encoding != "latin1":
            raise _RefusedError(f"the codec {encoding!r}")
        return text.encode("latin1")


class _ArraysOnly(pickle.Unpickler):
    """An unpickler for plain values and arrays."""

    def find_class(self, module_name: str, global_name: str, /) -> Callable[..., Any]:
        module = module_name.replace("numpy._core", "numpy.core")  # NumPy 2 renamed it
        allowed = {
            ("numpy.core.multiarray", "_reconstruct"): _Array.reconstruct,
            ("numpy.core.numeric", "_frombuffer"): _Array.frombuffer,
            ("numpy", "ndarray"): _Array,
            ("numpy", "dtype"): _DType,
            ("_codecs", "encode"): _Latin1.encode,
        }
        if (module, global_name) not in allowed:
            raise _RefusedError(f"{module_name}.{global_name}")
        return allowed[module, global_name]
