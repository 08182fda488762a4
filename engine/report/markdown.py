"""A report as Markdown (CommonMark with GitHub's tables), its pictures as SVG files beside it."""

from __future__ import annotations

from collections.abc import Iterator

from engine.charts import Picture
from engine.report.document import Block, Code, Document, Facts, Items, Table, Words
from engine.words import plain


def to_markdown(document: Document, name: str = "report") -> dict[str, bytes]:
    """Return a document as files: `name`.md and pictures in the folder `name`_files."""
    folder = f"{name}_files"
    text = "\n\n".join(part for part in _parts(document, folder) if part)
    found = {f"{name}.md": f"{text}\n".encode()}
    for picture in document.pictures():
        found[f"{folder}/{picture.name}.svg"] = picture.svg.encode()
    return found


def _parts(document: Document, folder: str) -> Iterator[str]:
    yield f"# {_line(document.title)}"
    yield f"*{_line(document.subtitle)}*"
    yield _line(document.author)
    for section in document.sections:
        yield f"## {_line(section.title)}"
        for block in section.blocks:
            yield _block(block, folder)


def _block(block: Block, folder: str) -> str:
    if isinstance(block, Words):
        return _line(block.text)
    if isinstance(block, Items):
        return "\n".join(f"- {_line(text)}" for text in block.texts)
    if isinstance(block, Code):
        # Indented code has no end that a text could forge.
        return "\n".join(f"    {line}" for line in block.text.splitlines())
    if isinstance(block, Picture):
        image = f"![{_line(block.title)}]({folder}/{block.name}.svg)"
        return f"{image}\n\n*{_line(block.caption)}*"
    if isinstance(block, Facts):
        rows = tuple((fact.label, fact.value, fact.note) for fact in block.facts)
        return _table(Table(("Figure", "Value", ""), rows))
    return _table(block)


def _table(table: Table) -> str:
    marks = ["--:" if place in table.numbers else ":--" for place in range(len(table.columns))]
    rows = [table.columns, *table.rows]
    said = ["| " + " | ".join(_line(cell) for cell in row) + " |" for row in rows]
    said.insert(1, "|" + "|".join(marks) + "|")
    caption = f"\n\n*{_line(table.caption)}*" if table.caption else ""
    return "\n".join(said) + caption


def _line(text: str) -> str:
    """Return text as one line that Markdown leaves as it is."""
    return plain(text.replace("\n", " ").replace("\r", " "))
