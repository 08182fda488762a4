"""The databases: SQLite in memory, a primary for each shard and replicas that apply its log.

A replica has the rows as they were after every entry of the log, so that a query can be asked
as of the entry that it has applied by then.  How far that is, the scenario's lag says.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from engine.microscope.done import Done
from engine.microscope.names import PRODUCTS, title_of

COLUMNS = "id, name, version, views"


@dataclass(frozen=True, slots=True)
class Change:
    """An entry of a primary's log."""

    lsn: int
    dataset: str
    key: int
    committed: float  # when it was acknowledged: from then on a read may miss it
    version: int
    views: int


def quoted(name: str) -> str:
    """Return a data set's name as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


def row_text(row: Sequence[Any] | None) -> str:
    """Return a row as a person reads it."""
    if row is None:
        return "no row"
    return f"{row[1]}, version {row[2]}" + (f", {row[3]} views" if row[3] else "")


class Shard:
    """A primary, its log, and its replicas."""

    def __init__(
        self, datasets: Sequence[str], replicas: int, inserted: Collection[str] = ()
    ) -> None:
        self.datasets, self.inserted = list(datasets), inserted
        self.primary = self._tables()
        self.replicas = [self._replica() for _ in range(replicas)]
        self.log: list[Change] = []
        self.unshipped: dict[tuple[str, int], tuple[int, int]] = {}
        self.seen: set[tuple[str, int]] = set()
        self.applied = [0] * replicas  # the latest entry that a query of each has met

    def _tables(self) -> sqlite3.Connection:
        base = _open()
        for name in self.datasets:
            base.execute(
                f"CREATE TABLE {quoted(name)} (id INTEGER PRIMARY KEY, name TEXT,"
                " version INTEGER, views INTEGER)"
            )
        return base

    def _replica(self) -> sqlite3.Connection:
        base = _open()
        for name in self.datasets:
            base.execute(
                f"CREATE TABLE {quoted(name)} (id INTEGER, name TEXT, version INTEGER,"
                " views INTEGER, lsn INTEGER, PRIMARY KEY (id, lsn))"
            )
        return base

    def seed(self, dataset: str, key: int, values: tuple[int, int] = (1, 0)) -> None:
        """Let a row be there that has always been there."""
        if (dataset, key) in self.seen:
            return
        self.seen.add((dataset, key))
        row = (key, title_of(dataset, key), *values)
        self.primary.execute(f"INSERT INTO {quoted(dataset)} VALUES (?, ?, ?, ?)", row)
        for base in self.replicas:
            base.execute(f"INSERT INTO {quoted(dataset)} VALUES (?, ?, ?, ?, 0)", row)

    # ------------------------------------------------------------ writing

    def update(self, dataset: str, key: int, views: int = 0) -> Done:
        """Write a row on the primary; `ship` sends it to the replicas."""
        if dataset in self.inserted and (dataset, key) not in self.seen:
            return self._insert(dataset, key)
        self.seed(dataset, key)
        name = quoted(dataset)
        change = "views = views + ?" if views else "version = version + ?"
        self.primary.execute(f"UPDATE {name} SET {change} WHERE id = ?", (views or 1, key))
        row = self.primary.execute(
            f"SELECT {COLUMNS} FROM {name} WHERE id = ?",
            (key,),
        ).fetchone()
        self.unshipped[dataset, key] = row[2], row[3]
        text = f"UPDATE {dataset} SET {change.replace('?', str(views or 1))} WHERE id = {key}"
        return Done(text, "UPDATE 1", (f"{dataset} {key}: {row_text(row)}",))

    def _insert(self, dataset: str, key: int) -> Done:
        """Write a row that was not there before."""
        self.seen.add((dataset, key))
        row = (key, title_of(dataset, key), 1, 0)
        self.primary.execute(f"INSERT INTO {quoted(dataset)} VALUES (?, ?, ?, ?)", row)
        self.unshipped[dataset, key] = 1, 0
        text = f"INSERT INTO {dataset} (id) VALUES ({key})"
        return Done(text, "INSERT 0 1", (f"{dataset} {key}: {row_text(row)}",))

    def ship(self, dataset: str, key: int, now: float) -> Change | None:
        """Put a write that was acknowledged into the log, and send that to the replicas."""
        values = self.unshipped.pop((dataset, key), None)
        if values is None:
            return None
        change = Change(len(self.log) + 1, dataset, key, now, *values)
        self.log.append(change)
        row = (key, title_of(dataset, key), *values, change.lsn)
        for base in self.replicas:
            base.execute(f"INSERT INTO {quoted(dataset)} VALUES (?, ?, ?, ?, ?)", row)
        return change

    # ------------------------------------------------------------ reading

    def select(self, dataset: str, key: int) -> tuple[Any, Done]:
        """Read a row on the primary."""
        self.seed(dataset, key)
        row = self.primary.execute(
            f"SELECT {COLUMNS} FROM {quoted(dataset)} WHERE id = ?",
            (key,),
        ).fetchone()
        return row, Done(f"SELECT * FROM {dataset}@primary WHERE id = {key}", row_text(row))

    def horizon(self, now: float, lag: float) -> int:
        """Return the last entry of the log that a replica so far behind has applied."""
        for change in reversed(self.log):
            if not now - change.committed < lag:
                return change.lsn
        return 0

    def select_replica(
        self, replica: int, dataset: str, key: int, horizon: int
    ) -> tuple[Any, bool, Done]:
        """Read a row on a replica that has applied the log so far, and tell if that is stale."""
        self.seed(dataset, key)
        self.applied[replica] = max(self.applied[replica], horizon)
        name = quoted(dataset)
        sql = (
            f"SELECT {COLUMNS}, lsn FROM {name} WHERE id = ? AND lsn <= ? ORDER BY lsn DESC LIMIT 1"
        )
        row = self.replicas[replica].execute(sql, (key, horizon)).fetchone()
        (latest,) = (
            self.replicas[replica]
            .execute(
                f"SELECT max(lsn) FROM {name} WHERE id = ?",
                (key,),
            )
            .fetchone()
        )
        stale = latest is not None and (row is None or latest > row[4])
        text = f"SELECT * FROM {dataset}@replica{replica + 1} WHERE id = {key}"
        answer = row_text(row) + (", stale" if stale else "")
        return row, stale, Done(text, answer)

    # ------------------------------------------------------------ promotion and moving

    def promote(self, replica: int, horizon: int) -> list[Change]:
        """Make a replica that has applied the log so far the primary; return what is lost.

        The old primary becomes a replica: what the new one does not have it throws away.
        """
        lost = [change for change in self.log if change.lsn > horizon]
        primary = self._tables()
        for name in map(quoted, self.datasets):
            rows = self.replicas[replica].execute(
                f"SELECT {COLUMNS}, max(lsn) FROM {name} WHERE lsn <= ? GROUP BY id",
                (horizon,),
            )
            primary.executemany(
                f"INSERT INTO {name} VALUES (?, ?, ?, ?)",
                [row[:4] for row in rows],
            )
            for base in self.replicas:
                base.execute(f"DELETE FROM {name} WHERE lsn > ?", (horizon,))
        self.primary = primary
        del self.log[horizon:]
        self.seen = {
            (name, row["id"]) for name in self.datasets for row in self.rows(name, limit=-1)
        }
        return lost

    def move(self, dataset: str, key: int, other: Shard) -> None:
        """Hand a row over to another shard, primary and replicas."""
        name = quoted(dataset)
        row = self.primary.execute(
            f"SELECT {COLUMNS} FROM {name} WHERE id = ?",
            (key,),
        ).fetchone()
        other.primary.execute(f"INSERT INTO {name} VALUES (?, ?, ?, ?)", row)
        for base in other.replicas:
            base.execute(f"INSERT INTO {name} VALUES (?, ?, ?, ?, 0)", row)
        for base in (self.primary, *self.replicas):
            base.execute(f"DELETE FROM {name} WHERE id = ?", (key,))
        self.seen.discard((dataset, key))
        other.seen.add((dataset, key))

    # ------------------------------------------------------------ looking

    def rows(self, dataset: str, limit: int = 20) -> list[dict[str, Any]]:
        """Return rows that somebody has read or written, as the primary has them."""
        found = self.primary.execute(
            f"SELECT {COLUMNS} FROM {quoted(dataset)} ORDER BY id LIMIT ?",
            (limit,),
        ).fetchall()
        return [dict(zip(COLUMNS.split(", "), row, strict=True)) for row in found]

    def behind(self, replica: int, horizon: int) -> list[Change]:
        """Return what a replica that has applied the log so far has not applied yet."""
        return [change for change in self.log if change.lsn > horizon]


class Index:
    """The search index: SQLite's FTS5."""

    def __init__(self) -> None:
        self.base = _open()
        self.base.execute("CREATE VIRTUAL TABLE products USING fts5(name)")
        self.base.executemany(
            "INSERT INTO products (rowid, name) VALUES (?, ?)", enumerate(PRODUCTS)
        )

    def find(self, words: str) -> Done:
        """Search by words."""
        terms = " ".join(f'"{word}"' for word in words.replace('"', " ").split())
        sql = "SELECT name FROM products WHERE products MATCH ? ORDER BY rank LIMIT 5"
        names = [name for (name,) in self.base.execute(sql, (terms,))] if terms else []
        text = f"SELECT name FROM search WHERE search MATCH '{words}'"
        return Done(text, json.dumps(names, ensure_ascii=False))


def _open() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
