"""The databases: a primary for each shard and replicas that apply its log, on SQLite by default.

A replica has the rows as they were after every entry of the log, so that a query can be asked
as of the entry that it has applied by then.  How far that is, the scenario's lag says.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from engine.microscope.done import Done
from engine.microscope.names import PRODUCTS, title_of
from engine.microscope.sql import Base

COLUMNS = "id, name, version, views"
PRIMARY = "id BIGINT PRIMARY KEY, name TEXT, version BIGINT, views BIGINT"
REPLICA = "id BIGINT, name TEXT, version BIGINT, views BIGINT, lsn BIGINT, PRIMARY KEY (id, lsn)"
INSERT = "INSERT INTO {} VALUES (?, ?, ?, ?)"
INSERT_OLD = "INSERT INTO {} VALUES (?, ?, ?, ?, ?)"
SELECT = f"SELECT {COLUMNS} FROM {{}} WHERE id = ?"
AS_OF = f"SELECT {COLUMNS}, lsn FROM {{}} WHERE id = ? AND lsn <= ? ORDER BY lsn DESC LIMIT 1"
ALL_AS_OF = (
    f"SELECT {COLUMNS} FROM {{}} AS one WHERE lsn ="
    " (SELECT max(lsn) FROM {} AS other WHERE other.id = one.id AND other.lsn <= ?)"
)


@dataclass(frozen=True, slots=True)
class Change:
    """An entry of a primary's log."""

    lsn: int
    dataset: str
    key: int
    committed: float  # when it was acknowledged: from then on a read may miss it
    version: int
    views: int


def row_text(row: Sequence[Any] | None) -> str:
    """Return a row as a person reads it."""
    if row is None:
        return "no row"
    return f"{row[1]}, version {row[2]}" + (f", {row[3]} views" if row[3] else "")


class Shard:
    """A primary, its log, and its replicas."""

    def __init__(
        self,
        datasets: Sequence[str],
        replicas: int,
        open_base: Callable[[str], Base],
        inserted: Collection[str] = (),
    ) -> None:
        self.datasets, self.inserted = list(datasets), inserted
        self.primary = open_base("primary")
        self._make(self.primary, PRIMARY)
        self.replicas = [open_base(f"replica{number + 1}") for number in range(replicas)]
        for base in self.replicas:
            self._make(base, REPLICA)
        self.log: list[Change] = []
        self.unshipped: dict[tuple[str, int], tuple[int, int]] = {}
        self.seen: set[tuple[str, int]] = set()
        self.applied = [0] * replicas  # the latest entry that a query of each has met

    def _make(self, base: Base, columns: str) -> None:
        for name in self.datasets:
            base.create(name, columns)

    def seed(self, dataset: str, key: int, values: tuple[int, int] = (1, 0)) -> None:
        """Let a row be there that has always been there."""
        if (dataset, key) in self.seen:
            return
        self.seen.add((dataset, key))
        row = (key, title_of(dataset, key), *values)
        self.primary.run(INSERT, *row, table=dataset)
        for base in self.replicas:
            base.run(INSERT_OLD, *row, 0, table=dataset)

    # ------------------------------------------------------------ writing

    def update(self, dataset: str, key: int, views: int = 0) -> Done:
        """Write a row on the primary; `ship` sends it to the replicas."""
        if dataset in self.inserted and (dataset, key) not in self.seen:
            return self._insert(dataset, key)
        self.seed(dataset, key)
        change = "views = views + ?" if views else "version = version + ?"
        self.primary.run(f"UPDATE {{}} SET {change} WHERE id = ?", views or 1, key, table=dataset)
        (row,) = self.primary.run(SELECT, key, table=dataset)
        self.unshipped[dataset, key] = row[2], row[3]
        text = f"UPDATE {dataset} SET {change.replace('?', str(views or 1))} WHERE id = {key}"
        return Done(text, "UPDATE 1", (f"{dataset} {key}: {row_text(row)}",))

    def _insert(self, dataset: str, key: int) -> Done:
        """Write a row that was not there before."""
        self.seen.add((dataset, key))
        row = (key, title_of(dataset, key), 1, 0)
        self.primary.run(INSERT, *row, table=dataset)
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
            base.run(INSERT_OLD, *row, table=dataset)
        return change

    # ------------------------------------------------------------ reading

    def select(self, dataset: str, key: int) -> tuple[Any, Done]:
        """Read a row on the primary."""
        self.seed(dataset, key)
        row = _one(self.primary.run(SELECT, key, table=dataset))
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
        base = self.replicas[replica]
        row = _one(base.run(AS_OF, key, horizon, table=dataset))
        ((latest,),) = base.run("SELECT max(lsn) FROM {} WHERE id = ?", key, table=dataset)
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
        for name in self.datasets:
            rows = self.replicas[replica].run(ALL_AS_OF, horizon, table=name)
            self.primary.create(name, PRIMARY)
            self.primary.many(INSERT, rows, table=name)
            for base in self.replicas:
                base.run("DELETE FROM {} WHERE lsn > ?", horizon, table=name)
        del self.log[horizon:]
        self.seen = {
            (name, row["id"]) for name in self.datasets for row in self.rows(name, limit=None)
        }
        return lost

    def move(self, dataset: str, key: int, other: Shard) -> None:
        """Hand a row over to another shard, primary and replicas."""
        (row,) = self.primary.run(SELECT, key, table=dataset)
        other.primary.run(INSERT, *row, table=dataset)
        for base in other.replicas:
            base.run(INSERT_OLD, *row, 0, table=dataset)
        for base in (self.primary, *self.replicas):
            base.run("DELETE FROM {} WHERE id = ?", key, table=dataset)
        self.seen.discard((dataset, key))
        other.seen.add((dataset, key))

    # ------------------------------------------------------------ looking

    def rows(self, dataset: str, limit: int | None = 20) -> list[dict[str, Any]]:
        """Return rows that somebody has read or written, as the primary has them."""
        few = "" if limit is None else f" LIMIT {limit}"
        found = self.primary.run(f"SELECT {COLUMNS} FROM {{}} ORDER BY id{few}", table=dataset)
        return [dict(zip(COLUMNS.split(", "), row, strict=True)) for row in found]

    def behind(self, replica: int, horizon: int) -> list[Change]:
        """Return what a replica that has applied the log so far has not applied yet."""
        return [change for change in self.log if change.lsn > horizon]


class Index:
    """The search index: SQLite's FTS5, or PostgreSQL's tsvector."""

    def __init__(self, base: Base) -> None:
        self.base = base
        base.index("products", PRODUCTS)

    def find(self, words: str) -> Done:
        """Search by words."""
        terms = words.replace('"', " ").split()
        names = self.base.find("products", terms, 5) if terms else []
        text = f"SELECT name FROM search WHERE search MATCH '{words}'"
        return Done(text, json.dumps(names, ensure_ascii=False))


def _one(rows: Sequence[Any]) -> Any:
    """Return the row that was found, or None."""
    return rows[0] if rows else None
