"""A report as a document: sections of words, facts, tables and pictures, in no format yet."""

from __future__ import annotations

from typing import NamedTuple

from engine.charts import Picture


class Words(NamedTuple):
    """A paragraph; all of it is text, nothing in it is markup."""

    text: str


class Fact(NamedTuple):
    """One figure that stands out."""

    label: str
    value: str
    note: str = ""


class Facts(NamedTuple):
    """Figures side by side."""

    facts: tuple[Fact, ...]


class Table(NamedTuple):
    """A table; columns named in `numbers` are set to the right."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    numbers: frozenset[int] = frozenset()  # places of columns


class Code(NamedTuple):
    """What is to be typed or copied."""

    text: str


class Items(NamedTuple):
    """A list of sentences."""

    texts: tuple[str, ...]


Block = Words | Facts | Table | Code | Items | Picture


class Section(NamedTuple):
    """A heading and what stands below it."""

    title: str
    blocks: tuple[Block, ...]

    @property
    def anchor(self) -> str:
        """Its name in a link: letters, digits and hyphens."""
        plain = "".join(c if c.isascii() and c.isalnum() else " " for c in self.title.lower())
        return "-".join(plain.split())


class Document(NamedTuple):
    """A whole report."""

    title: str
    subtitle: str
    author: str
    sections: tuple[Section, ...]

    def pictures(self) -> list[Picture]:
        """Return every picture in it, in order."""
        blocks = (block for section in self.sections for block in section.blocks)
        return [block for block in blocks if isinstance(block, Picture)]


def numeric(columns: tuple[str, ...], *words: str) -> frozenset[int]:
    """Return the places of all columns but those named."""
    return frozenset(place for place, name in enumerate(columns) if name not in words)
