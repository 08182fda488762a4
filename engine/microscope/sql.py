"""Tables: what a primary, a replica or a list of effects asks of its database.

Statements are written once, with `?` for a value and `{}` for the table; SQLite and PostgreSQL
(postgres.py) each put them in their own words.
"""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

Row = tuple[Any, ...]


class Base(ABC):
    """Tables of one owner; those of another, on the same server, it never sees."""

    @abstractmethod
    def create(self, table: str, columns: str) -> None:
        """Make a table, empty, in place of an older one of this name."""

    @abstractmethod
    def run(self, statement: str, *values: object, table: str) -> list[Row]:
        """Run a statement; return its rows, none if it is no question."""

    @abstractmethod
    def many(self, statement: str, rows: Iterable[Sequence[object]], table: str) -> None:
        """Run a statement once for each row of values."""

    @abstractmethod
    def index(self, table: str, names: Sequence[str]) -> None:
        """Make a full-text index over some names."""

    @abstractmethod
    def find(self, table: str, words: Sequence[str], limit: int) -> list[str]:
        """Return the names in which all words occur, the best first."""


class SqliteBase(Base):
    """SQLite, in memory."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)

    @staticmethod
    def _told(statement: str, table: str) -> str:
        return statement.replace("{}", quoted(table))

    def create(self, table: str, columns: str) -> None:
        """CREATE TABLE."""
        self.connection.execute(self._told("DROP TABLE IF EXISTS {}", table))
        self.connection.execute(self._told(f"CREATE TABLE {{}} ({columns})", table))

    def run(self, statement: str, *values: object, table: str) -> list[Row]:
        """Run it."""
        return self.connection.execute(self._told(statement, table), values).fetchall()

    def many(self, statement: str, rows: Iterable[Sequence[object]], table: str) -> None:
        """Run it for each row."""
        self.connection.executemany(self._told(statement, table), rows)

    def index(self, table: str, names: Sequence[str]) -> None:
        """Use FTS5."""
        name = quoted(table)
        self.connection.execute(f"CREATE VIRTUAL TABLE {name} USING fts5(name)")
        self.connection.executemany(
            f"INSERT INTO {name} (rowid, name) VALUES (?, ?)", enumerate(names)
        )

    def find(self, table: str, words: Sequence[str], limit: int) -> list[str]:
        """MATCH, by bm25."""
        name = quoted(table)
        found = self.connection.execute(
            f"SELECT name FROM {name} WHERE {name} MATCH ? ORDER BY rank LIMIT ?",
            (" ".join(f'"{word}"' for word in words), limit),
        )
        return [str(each) for (each,) in found]


def quoted(name: str) -> str:
    """Return a name as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'
