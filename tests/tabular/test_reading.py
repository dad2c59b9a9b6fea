"""A copy of the table is read from any of its forms; one that is missing, damaged or incomplete is refused by name."""

import lzma

import numpy as np
import pytest

from archgrad.tabular import NASBench201Table


def test_the_same_from_every_form(table, folder, tmp_path):
    text = (folder / "nasbench201.csv").read_bytes()
    (tmp_path / "nasbench201.csv.xz").write_bytes(lzma.compress(text, preset=0))
    (tmp_path / "mine.csv").write_bytes(text)
    best = table.optimum()
    for path in (folder / "nasbench201.csv", tmp_path, tmp_path / "mine.csv", str(tmp_path / "nasbench201.csv.xz")):
        assert NASBench201Table.load(path).optimum() == best


def test_latencies_beside_the_table_or_elsewhere(folder, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_bytes((folder / "nasbench201.csv").read_bytes())
    without = NASBench201Table.load(path)
    assert without.devices == ()
    with pytest.raises(ValueError, match=r"device: no latencies were read; nasbench201_latency_ms.npz must lie beside"):
        without.latency(without.genotype(0), "desktop")
    given = NASBench201Table.load(path, latency=folder / "nasbench201_latency_ms.npz")
    assert given.devices == ("desktop", "telephone")


def test_rows_in_another_order_and_missing_accuracies(table, rows, as_csv, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(as_csv(rows[::-1], header=["arch", "c10_test_12", "params_c10", "flops_m_c10"]))
    other = NASBench201Table.load(path)
    assert other.combinations == (("cifar10", "test", 12),)
    genotype = other.genotype(0)
    assert genotype == table.genotype(15_624)
    assert other.accuracy(genotype, epochs=12) == table.accuracy(genotype, epochs=12)
    with pytest.raises(ValueError, match=r"the table has no cifar10 test 200; it has cifar10 test 12\."):
        other.accuracy(genotype)


@pytest.mark.parametrize("name", ["", "table.csv"])
def test_a_missing_table_says_where_it_is_published(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=r"path: .*NATS-Bench, under the MIT licence: https://github.com/D-X-Y"):
        NASBench201Table.load(tmp_path / name)


def refuse(path, message):
    with pytest.raises(ValueError, match=message):
        NASBench201Table.load(path)


def test_damaged_tables(rows, as_csv, tmp_path):
    path = tmp_path / "table.csv"
    for text, message in (
        ("", r"table.csv: cannot be read as CSV"),
        ("arch\n", r"lacks params_c10, flops_m_c10; its columns are arch\."),
        ("arch,params_c10,flops_m_c10\n", r"lacks accuracies such as c10_test_200; its columns are arch, params"),
        (as_csv(rows) + "1,2\n", r"line 15627 has 2 entries, the header has 13"),
        (as_csv(rows[:-1]), r"has 15624 rows with 15624 different architectures; needed is each of the 15625 once"),
        (as_csv([*rows[:-1], rows[0]]), r"has 15625 rows with 15624 different architectures"),
        (as_csv([*rows[:-1], {**rows[0], "arch": "none"}]), r"'none' is no architecture of NAS-Bench-201"),
        (as_csv([*rows[:-1], {**rows[-1], "c10_test_12": ""}]), r"column c10_test_12 has an entry that is no number"),
        (as_csv([*rows[:-1], {**rows[-1], "params_c10": "nan"}]), r"column params_c10 has an entry that is not finite"),
    ):
        path.write_text(text)
        refuse(path, message)
    path.write_bytes(b"\xff\xfe\x00")
    refuse(path, r"table.csv: cannot be read as CSV")


def test_a_truncated_archive(folder, tmp_path):
    path = tmp_path / "nasbench201.csv.xz"
    path.write_bytes(lzma.compress((folder / "nasbench201.csv").read_bytes(), preset=0)[:-100])
    refuse(path, r"nasbench201.csv.xz: cannot be read as CSV .*an .xz file must be complete")


def test_damaged_latencies(folder, tmp_path):
    file = folder / "nasbench201.csv"
    with pytest.raises(FileNotFoundError, match=r"latency: .*other.npz is not there"):
        NASBench201Table.load(file, latency=tmp_path / "other.npz")
    path = tmp_path / "latency.npz"
    for save, message in (
        (
            lambda: path.write_bytes(b"PK\x03\x04 but no archive"),
            r"latency: .* is no .npz file with an array of numbers",
        ),
        (lambda: path.write_bytes(b"text"), r"latency: .* is no .npz file with an array of numbers"),
        (lambda: np.savez(path, desktop=np.zeros(3)), r"device desktop has shape \(3,\), the table has 15625 rows"),
        (lambda: np.savez(path, desktop=np.array(["a"] * 15_625)), r"latency: .* is no .npz file"),
    ):
        save()
        with pytest.raises(ValueError, match=message):
            NASBench201Table.load(file, latency=path)
