"""A real PostgreSQL behind the microscope: one schema of its own, dropped at the end.

Everything lies in a schema `strata_microscope_…` with a comment that says whose it is; nothing
else of the database is read or written.  Commits do not wait for the disk here
(`synchronous_commit = off`): what lives as long as a look needs no log on disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import errors, sql
from psycopg.abc import PQGen

from engine.microscope.place import (
    DAY_SECONDS,
    MARK,
    PREFIX,
    WAIT_SECONDS,
    PlaceError,
    told,
    without_password,
)
from engine.microscope.sql import Base, Row

SETTINGS = (
    f"statement_timeout = {WAIT_SECONDS * 1000}",
    f"lock_timeout = {WAIT_SECONDS * 1000}",
    "synchronous_commit = off",
    "client_min_messages = warning",
)
NAME_MAX = 63  # bytes of an identifier: PostgreSQL cuts the rest off


class _Connection(psycopg.Connection[Row]):
    """A connection that does not wait for ever for a server that hangs."""

    def wait(self, gen: PQGen[Any], interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for an answer, at most a few seconds."""
        return super().wait(gen, interval, WAIT_SECONDS + 1 if timeout is None else timeout)


class Postgres:
    """One session's schema on a server."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.schema = f"{PREFIX}_{token}"
        self.where = f"DATABASE_URL {without_password(url)}"
        self.connection = self._connect()
        self.opened = False
        try:
            with self._spoken():
                self._look_around()
                self._make()
        except BaseException:
            self.close()
            raise
        version = self.connection.info.server_version // 10000
        self.name = f"PostgreSQL {version} at {without_password(url).partition('://')[2]}"

    # ------------------------------------------------------------ opening

    def _connect(self) -> _Connection:
        try:
            kind = urlsplit(self.url).scheme
        except ValueError:
            kind = ""
        if kind not in {"postgres", "postgresql"}:
            raise PlaceError(
                f"{self.where}: a PostgreSQL is named postgresql://user@host:5432/database"
                f"{self.way_out}"
            )
        try:
            connection = _Connection.connect(
                self.url, connect_timeout=WAIT_SECONDS, autocommit=True, application_name="strata"
            )
            for setting in SETTINGS:
                connection.execute(f"SET {setting}")
        except (psycopg.Error, TimeoutError, OSError, ValueError) as error:
            raise PlaceError(f"{self.where}: {_why(error)}{self.way_out}") from None
        return connection

    way_out = "; put it right, or unset DATABASE_URL for the embedded SQLite"

    @contextlib.contextmanager
    def _spoken(self) -> Iterator[None]:
        """Say in one line what a server that fails does."""
        try:
            yield
        except errors.InsufficientPrivilege:
            line = "its user may not make a schema there: GRANT CREATE ON DATABASE … TO …"
            raise PlaceError(f"{self.where}: {line}{self.way_out}") from None
        except (psycopg.Error, TimeoutError, OSError) as error:
            raise PlaceError(f"{self.where}: {_why(error)}{self.way_out}") from None

    def _look_around(self) -> None:
        """Drop what a session left that has died, and refuse where there is something foreign."""
        found = self.connection.execute(
            "SELECT nspname, coalesce(obj_description(oid, 'pg_namespace'), '')"
            " FROM pg_namespace WHERE nspname = %s OR starts_with(nspname, %s)",
            (PREFIX, f"{PREFIX}_"),
        ).fetchall()
        for name, comment in found:
            mark, _, since = comment.rpartition(" ")
            if mark != MARK or not since.isdecimal():
                raise PlaceError(
                    f"{self.where}: there is a schema {name} that the microscope has not made;"
                    f" rename it, or give the microscope a database of its own"
                )
            if time.time() - int(since) > DAY_SECONDS:
                self._drop(name)

    def _make(self) -> None:
        with self.connection.transaction():
            name, comment = sql.Identifier(self.schema), f"{MARK} {int(time.time())}"
            self.connection.execute(sql.SQL("CREATE SCHEMA {}").format(name))
            self.connection.execute(
                sql.SQL("COMMENT ON SCHEMA {} IS {}").format(name, sql.Literal(comment))
            )
        self.opened = True

    def _drop(self, schema: str) -> None:
        self.connection.execute(
            sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema))
        )

    # ------------------------------------------------------------ using

    def base(self, name: str) -> PostgresBase:
        """Return the tables of one owner: a primary, a replica."""
        return PostgresBase(self, name)

    @contextlib.contextmanager
    def batch(self) -> Iterator[None]:
        """Make many tables at once."""
        with self._spoken(), self.connection.transaction():
            yield

    def send(self, statement: str, values: Sequence[object]) -> list[Row]:
        """Run a statement; raises PlaceError in one line if the server does not."""
        with self._spoken():
            answer = self.connection.execute(statement, values)
            return list(answer.fetchall()) if answer.description else []

    def clear(self) -> None:
        """Drop all tables, and begin with an empty schema."""
        with self._spoken():
            with self.connection.transaction():
                self._drop(self.schema)
            self._make()

    def close(self) -> None:
        """Drop the schema; a server that is gone is swept by the next session."""
        with contextlib.suppress(psycopg.Error, TimeoutError, OSError):
            if self.opened:
                self._drop(self.schema)
        with contextlib.suppress(psycopg.Error, TimeoutError, OSError):
            self.connection.close()


class PostgresBase(Base):
    """Tables of one owner in the schema of a session."""

    def __init__(self, server: Postgres, owner: str) -> None:
        self.server, self.owner = server, owner

    def _named(self, table: str) -> str:
        """Return a table's identifier, cut where PostgreSQL would cut two names to one."""
        name = f"{self.owner} {table}"
        if len(name.encode()) > NAME_MAX:
            digest = hashlib.sha256(name.encode()).hexdigest()[:16]
            name = name.encode()[: NAME_MAX - 17].decode(errors="ignore") + " " + digest
        return sql.Identifier(self.server.schema, name).as_string(self.server.connection)

    def _told(self, statement: str, table: str) -> str:
        return statement.replace("?", "%s").replace("{}", self._named(table).replace("%", "%%"))

    def create(self, table: str, columns: str) -> None:
        """CREATE TABLE."""
        self.run("DROP TABLE IF EXISTS {}", table=table)
        self.run(f"CREATE UNLOGGED TABLE {{}} ({columns})", table=table)

    def run(self, statement: str, *values: object, table: str) -> list[Row]:
        """Run it."""
        return self.server.send(self._told(statement, table), values)

    def many(self, statement: str, rows: Iterable[Sequence[object]], table: str) -> None:
        """Run it for each row."""
        for row in rows:
            self.run(statement, *row, table=table)

    def index(self, table: str, names: Sequence[str]) -> None:
        """Make a GIN index over words, as they are."""
        self.create(table, "id BIGINT PRIMARY KEY, name TEXT, words TSVECTOR")
        statement = "INSERT INTO {} VALUES (?, ?, to_tsvector('simple', ?))"
        self.many(statement, ((number, name, name) for number, name in enumerate(names)), table)
        self.run("CREATE INDEX ON {} USING gin (words)", table=table)

    def find(self, table: str, words: Sequence[str], limit: int) -> list[str]:
        """@@, the shorter names first."""
        found = self.run(
            "SELECT name FROM {}, plainto_tsquery('simple', ?) AS asked WHERE words @@ asked"
            " ORDER BY ts_rank(words, asked, 2) DESC, id LIMIT ?",
            " ".join(words), limit, table=table,
        )  # fmt: skip
        return [str(name) for (name,) in found]


def _why(error: Exception) -> str:
    """Return why a server cannot be used, in a few words."""
    text = str(error).lower()
    if isinstance(error, TimeoutError) or "timeout" in text:
        return f"nothing there answers as PostgreSQL does within {WAIT_SECONDS} s"
    if "negotiation" in text or "authentication request" in text:
        return "what answers there is no PostgreSQL"
    if "refused" in text:
        return "nobody listens there"
    if "server closed the connection" in text or "connection is closed" in text:
        return "it has hung up"
    return told(error)
