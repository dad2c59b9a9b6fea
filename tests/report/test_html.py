"""The page: self-contained, escaped, written whole."""

import base64
import os
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from archgrad.genotype import AUTO_DEEPLAB, DARTS_V2, DARTS_V2_RECURRENT, Cell, Edge, Genotype
from archgrad.report import Picture, Report, Section, Table, draw_history, write_report

HOSTILE = "<script>alert('&\"')</script>"
VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Collects tags, attributes and text, and checks that every tag is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def find(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


def report(**changes: object) -> Report:
    contents: dict[str, object] = {
        "title": "A run",
        "summary": [("test accuracy", "97.3 %")],
        "tables": [Table("Random cells", ("seed", "note"), [(0, "first"), (1, "second")])],
        "pictures": [Picture("Losses & accuracies", draw_history([{"epoch": 1, "train_loss": 1.0}]))],
        "genotype": DARTS_V2,
        "configuration": {"method": "darts", "search": {"epochs": 50, "betas": (0.5, 0.999)}, "device": None},
        "environment": {"python": "3.11", "path": Path("somewhere")},
    }
    return Report(**(contents | changes))


def read(tmp_path: Path, page: Report) -> tuple[str, Page]:
    path = tmp_path / "report.html"
    write_report(path, page)
    text = path.read_text(encoding="utf-8")
    return text, Page(text)


def test_page_holds_everything(tmp_path: Path) -> None:
    text, page = read(tmp_path, report())
    words = "".join(page.words)
    assert text.startswith("<!DOCTYPE html>")
    assert page.find("html") == [{"lang": "en"}]
    assert any(meta.get("name") == "viewport" for meta in page.find("meta"))
    for part in ("A run", "97.3 %", "Random cells", "second", "Losses & accuracies", str(DARTS_V2), DARTS_V2.to_json()):
        assert part in words
    for part in ("search.epochs", "[0.5, 0.999]", "null", "somewhere"):
        assert part in words
    assert words.count("A run") == 2  # once in the head, once as heading
    assert len(page.find("details")) == 3


def test_page_is_self_contained(tmp_path: Path) -> None:
    text, page = read(tmp_path, report())
    assert not page.find("script")
    assert not page.find("link")
    assert "http" not in text
    assert "@import" not in text
    assert "url(" not in text
    assert all("href" not in attributes for _, attributes in page.tags)
    for attributes in page.find("img"):
        kind, _, picture = str(attributes["src"]).partition(",")
        assert kind == "data:image/png;base64"
        assert base64.b64decode(picture, validate=True).startswith(b"\x89PNG")


def test_pictures_have_texts(tmp_path: Path) -> None:
    _, page = read(tmp_path, report())
    assert [attributes["alt"] for attributes in page.find("img")] == [
        "The cells of the conv_cell genotype",
        "Losses & accuracies",
    ]


def test_hostile_names_are_escaped(tmp_path: Path) -> None:
    genotype = Genotype(HOSTILE, (Cell(HOSTILE, ((Edge(HOSTILE, 0),),), (2,)),))
    text, page = read(
        tmp_path,
        report(
            title=HOSTILE,
            summary=[(HOSTILE, HOSTILE)],
            tables=[Table(HOSTILE, (HOSTILE,), [(HOSTILE,)])],
            pictures=[Picture(HOSTILE, Figure())],
            genotype=genotype,
            configuration={HOSTILE: {HOSTILE: HOSTILE}},
            environment={HOSTILE: [HOSTILE]},
        ),
    )
    assert "<script" not in text
    assert not page.find("script")
    assert "".join(page.words).count(HOSTILE) > 10
    assert page.find("img")[1]["alt"] == HOSTILE


def test_a_picture_is_drawn_once(tmp_path: Path) -> None:
    picture = Picture("Curve", Figure())
    drawn = picture.png
    picture.figure.suptitle("later")
    text, _ = read(tmp_path, report(pictures=[picture], genotype=None))
    assert base64.b64encode(drawn).decode() in text
    assert Picture("Curve", picture.figure).png != drawn


def test_sections_without_content_are_left_out(tmp_path: Path) -> None:
    _, page = read(
        tmp_path, report(summary=[], tables=[], pictures=[], genotype=None, configuration={}, environment={})
    )
    assert not page.find("section")
    assert not page.find("dl")


def test_genotype_without_cells_is_written_only(tmp_path: Path) -> None:
    text, page = read(tmp_path, report(genotype=Genotype("trellis", ()), pictures=[]))
    assert not page.find("img")
    assert "&quot;trellis&quot;" in text


def test_columns_of_numbers_are_aligned(tmp_path: Path) -> None:
    table = Table("t", ("name", "value"), [("a", 1), ("b", 2.5)])
    _, page = read(tmp_path, report(tables=[table], genotype=None, configuration={}, environment={}))
    assert [cell.get("class") for cell in page.find("td")] == [None, "number", None, "number"]


def test_table_rows_fit_the_header() -> None:
    with pytest.raises(ValueError, match=r"\[1\] of table 't' must have 2 columns"):
        Table("t", ("a", "b"), [(1,)])


def test_equal_reports_are_equal_files(tmp_path: Path) -> None:
    first, _ = read(tmp_path, report())
    second, _ = read(tmp_path, report())
    assert first == second


def test_failure_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    path.write_text("old", encoding="utf-8")

    def fail(source: Path, target: Path) -> None:
        assert Path(source).parent == Path(target).parent == tmp_path
        assert Path(source).read_bytes().endswith(b"</html>\n")
        raise OSError("no")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no"):
        write_report(path, report())
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_sections_come_first_and_are_escaped(tmp_path: Path) -> None:
    section = Section("The law", [Picture(HOSTILE, Figure())], [("As text", f"y = {HOSTILE}")])
    text, page = read(tmp_path, report(sections=[section], pictures_title="Fit"))
    assert not page.find("script")
    assert text.index("<h2>The law</h2>") < text.index("<h2>Architecture</h2>") < text.index("<h2>Fit</h2>")
    assert f"y = {HOSTILE}" in "".join(page.words)
    assert page.find("img")[0]["alt"] == HOSTILE
    assert "<h2>Curves</h2>" not in text


def test_an_expression_has_notes_of_its_own_and_may_bring_its_drawing(tmp_path: Path) -> None:
    genotype = Genotype("expression", (Cell("expression", ((Edge("powered", 0),),), (1,), inputs=1),))
    text, page = read(tmp_path, report(genotype=genotype, pictures=[], drawing=Picture("The graph", Figure())))
    assert "<h2>Graph</h2>" in text
    assert "columns of the data" in "".join(page.words)
    assert "c<sub>" not in text
    assert [attributes["alt"] for attributes in page.find("img")] == ["The graph"]
    _, page = read(tmp_path, report(genotype=genotype, pictures=[]))
    assert [attributes["alt"] for attributes in page.find("img")] == ["The cells of the expression genotype"]


def test_a_recurrent_cell_has_notes_of_its_own(tmp_path: Path) -> None:
    text, page = read(tmp_path, report(genotype=DARTS_V2_RECURRENT, pictures=[]))
    words = "".join(page.words)
    assert "<h2>Architecture</h2>" in text
    assert "c<sub>" not in text
    for part in ("State 0 is s0", "the output before, ht−1", "ht is the mean", str(DARTS_V2_RECURRENT)):
        assert part in words
    assert [attributes["alt"] for attributes in page.find("img")] == ["The cell of the recurrent_cell genotype"]


def test_a_trellis_shows_its_cell_and_its_path_and_says_what_numbers_mean(tmp_path: Path) -> None:
    text, page = read(tmp_path, report(genotype=AUTO_DEEPLAB, pictures=[]))
    words = "".join(page.words)
    assert "<h2>Architecture</h2>" in text
    assert "c<sub>" not in text
    for part in (
        "0 is Hl−1",
        "1 is Hl−2",
        "make the output Hl",
        "0 is stride 4, 1 is stride 8, 2 is stride 16 and 3 is",
    ):
        assert part in words
    assert str(AUTO_DEEPLAB) in words
    assert [attributes["alt"] for attributes in page.find("img")] == [
        "The cell of the trellis genotype",
        "The path of the trellis genotype: the stride of each layer",
    ]
    _, page = read(tmp_path, report(genotype=AUTO_DEEPLAB, pictures=[], drawing=Picture("Mine", Figure())))
    assert [attributes["alt"] for attributes in page.find("img")] == ["Mine"]
    _, page = read(tmp_path, report(genotype=replace(AUTO_DEEPLAB, cells=()), pictures=[]))
    assert len(page.find("img")) == 1
