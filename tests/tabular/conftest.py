"""A made-up table with the header of the real one, and the real one where it lies at hand."""

import csv
import io
import os
from itertools import product
from pathlib import Path

import numpy as np
import pytest

OPERATIONS = ("avg_pool_3x3", "nor_conv_3x3", "none", "skip_connect", "nor_conv_1x1")
ACCURACIES = (
    *("c10_test_200", "c100_test_200", "in16_test_200"),
    *("c10_val_12", "c10_test_12", "c100_val_12", "c100_test_12", "in16_val_12", "in16_test_12"),
)
HEADER = ("index", "arch", *ACCURACIES, "flops_m_c10", "params_c10")
DATA = Path(__file__).parents[2] / os.environ.get("ARCHGRAD_DATA", "../shared/data") / "nasbench201"


def architectures():
    form = "|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|"
    return [form.format(*operations) for operations in product(OPERATIONS, repeat=6)]


@pytest.fixture(scope="session")
def rows():
    """All 15,625 rows: accuracies by column are whole numbers from 10 to 90, so that there are ties."""
    generator = np.random.default_rng(0)
    values = generator.integers(10, 91, (15_625, len(ACCURACIES)))
    return [
        {
            "index": place,
            "arch": text,
            **{name: float(value) for name, value in zip(ACCURACIES, values[place], strict=True)},
            "flops_m_c10": f"{place / 1000 + 7.5:.5f}",
            "params_c10": 70_000 + place,
        }
        for place, text in enumerate(architectures())
    ]


@pytest.fixture(scope="session")
def as_csv():
    """Write rows as the text of a CSV file."""

    def write(rows, header=HEADER):
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, header, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()

    return write


@pytest.fixture(scope="session")
def folder(rows, as_csv, tmp_path_factory):
    """A folder with the table and the latencies on two devices: those of row i are i and i / 2 ms."""
    path = tmp_path_factory.mktemp("nasbench201")
    (path / "nasbench201.csv").write_text(as_csv(rows))
    order = np.arange(15_625, dtype=np.float32)
    np.savez(path / "nasbench201_latency_ms.npz", desktop=order, telephone=order / 2)
    return path


@pytest.fixture(scope="session")
def table(folder):
    from archgrad.tabular import NASBench201Table

    return NASBench201Table.load(folder)


@pytest.fixture(scope="session")
def real_table():
    if not (DATA / "nasbench201.csv.xz").exists():
        pytest.skip(f"NAS-Bench-201's table is not at {DATA}; set ARCHGRAD_DATA")
    from archgrad.tabular import NASBench201Table

    return NASBench201Table.load(DATA)
