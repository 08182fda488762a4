"""Backends: embedded parts, or the real Redis and PostgreSQL that somebody has.

`REDIS_URL` and `DATABASE_URL` say where they are, as elsewhere (12factor.net/backing-services).
On a server the microscope touches nothing but keys and a schema of its own, refuses to begin
where something foreign has their name, and drops them at its end.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.microscope.clock import redis_of
from engine.microscope.keys import Server
from engine.microscope.postgres import Postgres
from engine.microscope.sql import Base, SqliteBase

if TYPE_CHECKING:
    from engine.microscope.clock import Clock


@dataclass(frozen=True, slots=True)
class Backends:
    """Where the stores are; "" is embedded."""

    redis_url: str = ""
    database_url: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Backends:
        """Return what `REDIS_URL` and `DATABASE_URL` say."""
        known = os.environ if environment is None else environment
        return cls(known.get("REDIS_URL", "").strip(), known.get("DATABASE_URL", "").strip())

    @property
    def embedded(self) -> bool:
        """Whether nothing but this process is needed."""
        return not self.redis_url and not self.database_url

    def open(self) -> Stores:
        """Open them; raises PlaceError in one line if one of them cannot be used."""
        return Stores(self)


EMBEDDED = Backends()


class Stores:
    """The stores of one microscope, until they are closed."""

    def __init__(self, backends: Backends) -> None:
        token = secrets.token_hex(8)
        self.redis = Server(backends.redis_url, token) if backends.redis_url else None
        try:
            self.database = (
                Postgres(backends.database_url, token) if backends.database_url else None
            )
        except BaseException:
            if self.redis:
                self.redis.close()
            raise
        self.redis_name = self.redis.name if self.redis else "Redis, embedded"
        self.database_name = self.database.name if self.database else "SQLite"

    def keys(self, name: str, clock: Clock) -> Any:
        """Return an empty Redis whose keys expire by a clock."""
        return self.redis.room(name, clock) if self.redis else redis_of(clock)

    def base(self, name: str) -> Base:
        """Return empty tables for a primary, a replica, …; a name is given once."""
        return self.database.base(name) if self.database else SqliteBase()

    def batch(self) -> AbstractContextManager[None]:
        """Make many tables at once."""
        return self.database.batch() if self.database else contextlib.nullcontext()

    def clear(self) -> None:
        """Empty all: the microscope begins anew."""
        if self.redis:
            self.redis.clear()
        if self.database:
            self.database.clear()

    def close(self) -> None:
        """Drop all that was made; to close twice is to close once."""
        if self.redis:
            self.redis.close()
        if self.database:
            self.database.close()
        self.redis = self.database = None
