"""The report of a run: one HTML file that carries its pictures, asks nothing of the network and runs no script."""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

from archgrad.files import write_atomically
from archgrad.genotype import NASBENCH201, RECURRENT_CELL, TRELLIS, Genotype
from archgrad.report.cells import draw_genotype
from archgrad.report.figures import Picture
from archgrad.report.trellis import draw_trellis, levels_for
from archgrad.spaces.expression.laws import EXPRESSION
from archgrad.spaces.trellis.plan import FIRST_STRIDE

PIXELS_PER_INCH = 96
"""The size of CSS pixels, which decides how large a picture appears."""

STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --soft: #59636e; --paper: #ffffff; --card: #f6f8fa; --line: #d9dee3;
  --accent: #0072b2; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --soft: #9aa5b1; --paper: #14171a; --card: #1e2328;
  --line: #343b43; --accent: #6cb8e6; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 2.5rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { margin: 0 0 1.5rem; font-size: 1.9rem; line-height: 1.2; overflow-wrap: anywhere; }
h2 { margin: 2.75rem 0 .8rem; padding-top: 1rem; border-top: 1px solid var(--line); font-size: 1.2rem; }
p { max-width: 42rem; }
.key { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .8rem; margin: 0; }
.key div { padding: .8rem 1rem; background: var(--card); border: 1px solid var(--line); border-radius: .6rem; }
.key dt { color: var(--soft); font-size: .82rem; }
.key dd { margin: .1rem 0 0; font-size: 1.3rem; font-weight: 600; font-variant-numeric: tabular-nums;
  overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: .4rem; }
th, td { padding: .4rem 1.2rem .4rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top;
  white-space: nowrap; }
thead th { border-bottom-width: 2px; font-weight: 600; }
.settings th { font-weight: 400; color: var(--soft); }
.settings td { white-space: normal; overflow-wrap: anywhere; min-width: 12rem; }
td.number, th.number { text-align: right; }
figure { margin: 0 0 1.6rem; }
figcaption { margin-top: .5rem; color: var(--soft); font-size: .92rem; }
.picture { overflow-x: auto; padding: .6rem; background: #ffffff; border: 1px solid var(--line); border-radius: .6rem; }
.picture img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
pre { overflow-x: auto; margin: 0; padding: .9rem 1rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .6rem; font: .86rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
pre.wrap { white-space: pre-wrap; overflow-wrap: anywhere; }
details { margin: 1rem 0; }
summary { cursor: pointer; color: var(--accent); margin-bottom: .6rem; }
.note { color: var(--soft); font-size: .92rem; }
@media print { body { max-width: none; padding: 0; font-size: 10pt; } figure, .key div, tr { break-inside: avoid; }
  h2 { break-after: avoid; } .scroll, .picture, pre { overflow: visible; } .picture img { min-width: 0 !important; }
  pre { white-space: pre-wrap; } th, td { white-space: normal; } }
"""


@dataclass(frozen=True)
class Table:
    """A table of a report: `rows` [rows, columns] under `header` [columns].

    Raises:
        ValueError: a row is not as long as the header.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.header):
                raise ValueError(f"rows: {list(row)} of table {self.title!r} must have {len(self.header)} columns.")


@dataclass(frozen=True)
class Section:
    """A part of a report under its title: pictures, then pairs of name and text."""

    title: str
    pictures: Sequence[Picture] = ()
    texts: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Report:
    """What a report says.

    `summary` holds the key numbers as (name, value), `pictures` stand under `pictures_title`; `sections` come first,
    `details` after those pictures. The page draws the `genotype` itself, unless it is given a `drawing`, and prints it
    as text. `configuration` and `environment` may nest.
    """

    title: str
    summary: Sequence[tuple[str, str]]
    tables: Sequence[Table]
    pictures: Sequence[Picture]
    genotype: Genotype | None
    configuration: Mapping[str, Any]
    environment: Mapping[str, Any]
    sections: Sequence[Section] = ()
    drawing: Picture | None = None
    pictures_title: str = "Curves"
    details: Sequence[Section] = ()


def write_report(path: Path, report: Report) -> None:
    """Write a report as one self-contained HTML file, atomically."""
    write_atomically(path, _page(report).encode("utf-8", errors="replace"))


def _page(report: Report) -> str:
    sections = [
        _key(report.summary),
        *(_section(section.title, _parts(section)) for section in report.sections),
        _section(_heading(report.genotype), _genotype(report.genotype, report.drawing)),
        _section(report.pictures_title, map(_figure, report.pictures)),
        *(_section(section.title, _parts(section)) for section in report.details),
        *(_section(table.title, [_table(table)]) for table in report.tables),
        _section(
            "Settings", [_settings("Configuration", report.configuration), _settings("Environment", report.environment)]
        ),
    ]
    title = escape(report.title)
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}</title>",
            f"<style>{STYLE}</style>",
            "</head>",
            "<body>",
            "<main>",
            f"<h1>{title}</h1>",
            *filter(None, sections),
            "</main>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _section(title: str, parts: Iterable[str]) -> str:
    """The parts under a heading, or nothing if there are none."""
    content = "\n".join(filter(None, parts))
    return f"<section>\n<h2>{escape(title)}</h2>\n{content}\n</section>" if content else ""


def _key(summary: Sequence[tuple[str, str]]) -> str:
    rows = [f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in summary]
    return "\n".join(['<dl class="key">', *rows, "</dl>"]) if rows else ""


def _parts(section: Section) -> Iterable[str]:
    yield from map(_figure, section.pictures)
    for name, text in section.texts:
        yield f'<p class="note">{escape(name)}</p>\n<pre class="wrap" tabindex="0">{escape(text)}</pre>'


def _heading(genotype: Genotype | None) -> str:
    return "Graph" if genotype is not None and genotype.space == EXPRESSION else "Architecture"


def _genotype(genotype: Genotype | None, drawing: Picture | None) -> list[str]:
    if genotype is None:
        return []
    drawings = _drawings(genotype) if drawing is None else [drawing]
    return [
        *map(_figure, drawings),
        f'<pre tabindex="0">{escape(str(genotype))}</pre>',
        f'<p class="note">{_states(genotype)}</p>',
        f'<details><summary>Genotype as JSON</summary><pre tabindex="0">{escape(genotype.to_json())}</pre></details>',
    ]


def _drawings(genotype: Genotype) -> list[Picture]:
    """The cells and the path, as far as there are any; the text says also of a genotype without them what it is."""
    drawings = []
    if genotype.cells:
        cells = "cell" if genotype.space in (NASBENCH201, RECURRENT_CELL, TRELLIS) else "cells"
        drawn = draw_genotype(replace(genotype, path=()))
        drawings.append(Picture(f"The {cells} of the {genotype.space} genotype", drawn))
    if genotype.path:
        drawn = draw_trellis(genotype.path, levels=levels_for(genotype.path))
        drawings.append(Picture(f"The path of the {genotype.space} genotype: the stride of each layer", drawn))
    return drawings


def _states(genotype: Genotype) -> str:
    """What the numbers in a genotype's text mean."""
    if genotype.space == EXPRESSION:
        return (
            "States are counted from the columns of the data on, from 0, and then the nodes. Edges called powered, "
            "multiply, divide and power multiply, divide or raise what their node has so far; all others are added."
        )
    if genotype.space == RECURRENT_CELL:
        return (
            "State 0 is s<sub>0</sub>, made of the input x<sub>t</sub> and the output before, h<sub>t−1</sub>. Each "
            "further state is an activation of the earlier state in brackets; the output h<sub>t</sub> is the mean of "
            "the states that are listed last."
        )
    if genotype.space == TRELLIS:
        return (
            "States are counted from the inputs on: 0 is H<sup>l−1</sup>, the output of the layer before, and 1 is "
            "H<sup>l−2</sup>, that of the layer before it; the states listed last make the output H<sup>l</sup>. "
            f"The path lists the level of each layer's stride: {_strides(genotype.path)}."
        )
    if genotype.space == NASBENCH201:
        return (
            "State 0 is the input, and the last state is the output. Each further state is the sum of its edges; one "
            "with none adds nothing and is left out of the drawing."
        )
    return (
        "States are counted from the inputs on: 0 and 1 are c<sub>k−2</sub> and c<sub>k−1</sub>, the outputs of the "
        "two cells before."
    )


def _strides(path: Sequence[int]) -> str:
    strides = [f"{level} is stride {FIRST_STRIDE * 2**level}" for level in range(levels_for(path))]
    return f"{', '.join(strides[:-1])} and {strides[-1]}"


def _figure(picture: Picture) -> str:
    """A picture on a white card, called by the first sentence of its caption, which may have more.

    Where it does not fit, it shrinks to a legible size and then scrolls.
    """
    content = base64.b64encode(picture.png).decode("ascii")
    width, height = (round(float(inches) * PIXELS_PER_INCH) for inches in picture.figure.get_size_inches())
    text, name = escape(picture.caption), picture.caption.partition(". ")[0]
    image = (
        f'<img alt="{escape(name)}" width="{width}" height="{height}" style="min-width: {round(0.55 * width)}px" '
        f'src="data:image/png;base64,{content}">'
    )
    return f"<figure>{_scroll('picture', name, image)}<figcaption>{text}</figcaption></figure>"


def _scroll(kind: str, label: str, content: str) -> str:
    """A box that scrolls by itself, also by keyboard, where its content is wider than the page."""
    return f'<div class="{kind}" tabindex="0" role="region" aria-label="{escape(label)}">{content}</div>'


def _table(table: Table) -> str:
    numeric = [all(isinstance(row[column], int | float) for row in table.rows) for column in range(len(table.header))]
    numeric = [bool(table.rows) and flag for flag in numeric]
    head = "".join(_cell("th", name, number=flag) for name, flag in zip(table.header, numeric, strict=True))
    body = "\n".join(
        f"<tr>{''.join(_cell('td', value, number=flag) for value, flag in zip(row, numeric, strict=True))}</tr>"
        for row in table.rows
    )
    content = f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
    return _scroll("scroll", table.title, content)


def _cell(tag: str, value: object, *, number: bool) -> str:
    scope = ' scope="col"' if tag == "th" else ""
    kind = ' class="number"' if number else ""
    return f"<{tag}{scope}{kind}>{escape(str(value))}</{tag}>"


def _settings(title: str, settings: Mapping[str, Any]) -> str:
    rows = "\n".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(text)}</td></tr>' for name, text in _flatten(settings)
    )
    if not rows:
        return ""
    content = f'<table class="settings"><tbody>\n{rows}\n</tbody></table>'
    return f"<details><summary>{escape(title)}</summary>\n{_scroll('scroll', title, content)}</details>"


def _flatten(settings: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    """The settings with dotted names, in order."""
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{name}.")
        else:
            yield name, value if isinstance(value, str) else _write(value)


def _write(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return str(value)
