"""Tables: whichever way they are written they hold the same numbers, and what is wrong in them is named."""

import re

import numpy as np
import pytest

from archgrad.data.columns import read_columns

PLAIN = "x,y\n1,2\n3,4.5\n"


@pytest.fixture
def write(tmp_path):
    def write(content: str | bytes, name: str = "data.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", "   "),
        PLAIN.replace("\n", "\r\n"),
        "\n x , y \n\n 1 , 2 \n,\n+3e0 ,\t4.5",
        '"x","y"\n"1","2"\n"3","4.5"',
        '"x"  "y"\n1 2\n  3\t4.5  ',
        b"\xef\xbb\xbf" + PLAIN.encode(),
    ],
)
def test_one_table_in_many_ways(write, content):
    data = read_columns(write(content))
    assert (data.names, data.target, len(data)) == (("x",), "y", 2)
    np.testing.assert_array_equal(data.inputs, [[1.0], [3.0]])
    np.testing.assert_array_equal(data.targets, [2.0, 4.5])


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("blood pressure,heart rate,y\n1,2,3", ("blood pressure", "heart rate")),
        ("price, in $;y;z\n1;2;3", ("price, in $", "y")),
        ('"x,1",$x_{2}$,y\n1,2,3', ("x,1", "$x_{2}$")),
        ('"two\nlines",b,y\n1,2,3', ("two lines", "b")),
        ('"say ""a""" b y\n1 2 3', ('say "a"', "b")),
        ("température,日本,y\n1,2,3", ("température", "日本")),
    ],
)
def test_names_are_kept(write, content, names):
    data = read_columns(write(content))
    assert data.names == names
    assert data.inputs.tolist() == [[1.0, 2.0]]


def test_target_and_columns_are_chosen_by_name(write):
    path = write("label,a,b,c\nfirst,1,2,3\nsecond,4,5,6")
    data = read_columns(path, target="b", columns=["c", "a"])
    assert (data.names, data.target) == (("c", "a"), "b")
    assert data.inputs.tolist() == [[3.0, 1.0], [6.0, 4.0]]
    assert data.targets.tolist() == [2.0, 5.0]
    assert read_columns(path, columns=["a", "b"]).target == "c"


def test_a_frame_is_an_array_with_names(write):
    data = read_columns(write("a,b,y\n1,2,3\n4,5,6"))
    frame = data.frame(np.array([False, True]))
    assert frame.columns == ["a", "b"]
    assert frame.shape == (1, 2)
    assert len(frame) == 1
    np.testing.assert_array_equal(np.asarray(frame), [[4.0, 5.0]])
    assert np.asarray(frame, dtype=np.float32).dtype == np.float32


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", ["is empty"]),
        (" \n\n", ["is empty"]),
        ("x,y\n", ["a header (x, y) but no rows"]),
        ("1,2\n3,4", ["needs a header", "1, 2"]),
        ("x,y\n1,2\n3,abc", ["row 2 (line 3)", "column 'y'", "'abc' is not a number"]),
        ("x;y\n1;2,5", ["row 1 (line 2)", "'2,5' is not a number", "with a point"]),
        ("x,y\n\n1,2\n,4", ["row 2 (line 4)", "column 'x'", "missing"]),
        ("x,y\n1,NA", ["row 1 (line 2)", "column 'y'", "missing ('NA')"]),
        ("x,y\n1,nan", ["row 1 (line 2)", "column 'y'", "missing ('nan')"]),
        ("x,y\n1,2\n-inf,3", ["row 2 (line 3)", "column 'x'", "'-inf' is not finite"]),
        ("x,y\n1,2,3\n4,5", ["row 1 (line 2)", "has 3 cells", "has 2", "1, 2, 3"]),
        ("x,y,x\n1,2,3", ["columns [1, 3]", "same name, 'x'"]),
        (",x,y\n0,1,2", ["column 1 has no name", "without an index"]),
        ("y\n1\n2", ["'y' only", "an input"]),
        ('x,y\n1,"2\n', ["cannot be read as a table"]),
        (b"x,y\n1,\xff", ["line 2 is no UTF-8", "0xff"]),
        (b"x,y\n1,\x00", ["line 2", "zero byte"]),
        ("x,y\n1,2".encode("utf-16"), ["UTF-16"]),
    ],
)
def test_what_is_wrong_is_named(write, content, said):
    path = write(content)
    with pytest.raises(ValueError, match=re.escape(str(path))) as raised:
        read_columns(path)
    for words in said:
        assert words in str(raised.value)


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"target": "wieght"}, "target: 'wieght' is unknown; did you mean 'weight'"),
        ({"columns": ["hight"]}, "columns: 'hight' is unknown; did you mean 'height'"),
        ({"columns": ["age", "age"]}, "columns: 'age' is listed 2 times"),
        ({"target": "age", "columns": ["age"]}, "columns: 'age' is the target"),
        ({"columns": ["height", "weight", "age"]}, "one must be the target"),
    ],
)
def test_choices_are_checked(write, choice, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        read_columns(write("height,weight,age\n1,2,3"), **choice)


def test_a_file_that_is_not_there_and_a_folder(tmp_path):
    with pytest.raises(ValueError, match="there is no such file"):
        read_columns(tmp_path / "nothing.csv")
    with pytest.raises(ValueError, match="is a folder"):
        read_columns(tmp_path)
