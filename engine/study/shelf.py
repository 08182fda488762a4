"""The shelf: figures of runs that were played before, in a file of SQLite.

A run is a pure function of scenario, seed and engine, so what was played once need not be played
again: a sweep that was cut short goes on, a repeated one is there at once.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import pathlib
import sqlite3
import tempfile
import threading
from collections.abc import Mapping, Sequence

from engine.study.figures import Outcome, Task

ROWS_MAX = 200_000  # some 2 kB each; beyond them the oldest go
ASKED_AT_ONCE = 500  # SQLite takes 999 parameters in a statement of old
SCHEMA = """
create table if not exists outcomes (
    key text primary key, figures text not null, problem text not null
) without rowid;
create table if not exists ages (number integer primary key, key text not null);
"""


@functools.cache
def engine_digest() -> str:
    """Return a short digest of all of the engine's sources: another engine, other figures."""
    root, seen = pathlib.Path(__file__).parents[1], hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        if "study" not in path.relative_to(root).parts:
            seen.update(path.read_bytes())
    return seen.hexdigest()[:16]


def key_of(task: Task) -> str:
    """Return what a task's figures are kept under."""
    said = f"{engine_digest()}\n{task.seed}\n{task.scenario}"
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def usual_place() -> pathlib.Path:
    """Return the file that runs are kept in: `STRATA_RUNS`, or one in the user's data folder."""
    said = os.environ.get("STRATA_RUNS")
    if said:
        return pathlib.Path(said)
    home = os.environ.get("XDG_DATA_HOME") or pathlib.Path.home() / ".local" / "share"
    return pathlib.Path(home) / "strata" / "runs.sqlite"


class Shelf:
    """Kept figures; safe to use from several threads, and by several processes at once."""

    def __init__(self, path: pathlib.Path | None = None) -> None:
        """Open, or make, the file at `path`; one in memory where no folder can be written."""
        self._lock = threading.Lock()
        self._base = _opened(path or usual_place())

    def get(self, tasks: Sequence[Task]) -> dict[int, Outcome]:
        """Return the outcomes that are kept, by the task's place."""
        keys: dict[str, list[int]] = {}
        for index, task in enumerate(tasks):
            keys.setdefault(key_of(task), []).append(index)
        found, names = {}, list(keys)
        with self._lock:
            for first in range(0, len(names), ASKED_AT_ONCE):
                part = names[first : first + ASKED_AT_ONCE]
                marks = ",".join("?" * len(part))
                rows = self._base.execute(
                    f"select key, figures, problem from outcomes where key in ({marks})",  # noqa: S608 (question marks)
                    part,
                )
                for key, figures, problem in rows:
                    outcome = Outcome(_numbers(json.loads(figures)), problem)
                    found.update(dict.fromkeys(keys[key], outcome))
        return found

    def put(self, task: Task, outcome: Outcome) -> None:
        """Keep an outcome."""
        figures = json.dumps({k: None if v != v else v for k, v in outcome.figures.items()})  # noqa: PLR0124 (NaN)
        key = key_of(task)
        with self._lock, self._base:
            done = self._base.execute(
                "insert or ignore into outcomes values (?, ?, ?)", (key, figures, outcome.problem)
            )
            if done.rowcount == 0:
                return
            number = self._base.execute("insert into ages (key) values (?)", (key,)).lastrowid
            if number and number % 1000 == 0:
                old = "select key from ages where number <= ?"
                limit = (number - ROWS_MAX,)
                self._base.execute(f"delete from outcomes where key in ({old})", limit)  # noqa: S608 (a constant)
                self._base.execute("delete from ages where number <= ?", limit)

    def __len__(self) -> int:
        """Return how many runs are kept."""
        with self._lock:
            return int(self._base.execute("select count(*) from outcomes").fetchone()[0])

    def clear(self) -> None:
        """Forget every run."""
        with self._lock, self._base:
            self._base.execute("delete from outcomes")
            self._base.execute("delete from ages")

    def close(self) -> None:
        """Close the file."""
        self._base.close()


def _opened(path: pathlib.Path) -> sqlite3.Connection:
    """Return a connection to the file, or to one beside it that can be written, or to memory."""
    for place in (path, pathlib.Path(tempfile.gettempdir()) / "strata" / path.name):
        with contextlib.suppress(OSError, sqlite3.Error):
            place.parent.mkdir(parents=True, exist_ok=True)
            return _made(str(place))
    return _made(":memory:")


def _made(place: str) -> sqlite3.Connection:
    base = sqlite3.connect(place, timeout=10.0, check_same_thread=False)
    base.execute("pragma journal_mode = wal")
    base.execute("pragma synchronous = normal")
    base.executescript(SCHEMA)
    return base


def _numbers(said: Mapping[str, float | None]) -> dict[str, float]:
    """Return figures with NaN for what had no value."""
    return {name: float("nan") if value is None else value for name, value in said.items()}
