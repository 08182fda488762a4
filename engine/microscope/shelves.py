"""Shelves: where what a store keeps really lies, in Redis, in memory, or under a unique index."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from engine.microscope.clock import Clock, live_until
from engine.microscope.done import Done, shown
from engine.microscope.sql import Base

Name = Callable[[int], str]


class Shelf(ABC):
    """Keys that live until a moment."""

    def __init__(self, clock: Clock, name: Name) -> None:
        self.clock, self.name = clock, name

    @abstractmethod
    def look(self, key: int) -> tuple[bool, Done]:
        """Return whether a key is there."""

    @abstractmethod
    def put(self, key: int, lives: float, value: str) -> Done:
        """Keep a key for so many seconds from now on."""

    @abstractmethod
    def drop(self, key: int) -> Done:
        """Forget a key."""

    def renew(self, key: int, lives: float) -> Done | None:
        """Give a key its whole time to live again."""
        return self.put(key, lives, "")

    def load(self, key: int, until: float) -> None:
        """Put a key that a warm store begins with in place, unseen."""
        self.put(key, until - self.clock.now, "warm")

    @abstractmethod
    def clear(self) -> None:
        """Forget all."""


class RedisShelf(Shelf):
    """Strings with an expiry in a Redis."""

    def __init__(self, clock: Clock, name: Name, redis: Any, *, verb: str = "SETEX") -> None:
        super().__init__(clock, name)
        self.redis, self.verb = redis, verb
        self.keys: set[str] = set()

    def look(self, key: int) -> tuple[bool, Done]:
        """GET."""
        name = self.name(key)
        value = self.redis.execute_command("GET", name)
        return value is not None, Done(f"GET {name}", shown(value))

    def put(self, key: int, lives: float, value: str) -> Done:
        """SETEX, or PSETEX where its time to live is no whole number of seconds."""
        name, until = self.name(key), self.clock.now + lives
        self.keys.add(name)
        if lives == math.inf:
            self.redis.execute_command("SET", name, value)
            return Done(f"SET {name} {shown(value, 40)!r}", "OK", (f"{name} stays",))
        whole = lives == math.floor(lives)
        verb, time = ("SETEX", int(lives)) if whole else ("PSETEX", max(1, math.ceil(lives * 1e3)))
        answer = self.redis.execute_command(verb, name, time, value)
        live_until(self.redis, name, until)
        return Done(f"{verb} {name} {time} {shown(value, 40)!r}", "OK" if answer else "nil",
                    (f"{name} lives {lives:g} s",))  # fmt: skip

    def drop(self, key: int) -> Done:
        """DEL."""
        name = self.name(key)
        count = self.redis.execute_command("DEL", name)
        self.keys.discard(name)
        return Done(f"DEL {name}", shown(count), (f"{name} is gone",) if count else ())

    def renew(self, key: int, lives: float) -> Done | None:
        """PEXPIRE: a sliding expiry."""
        name = self.name(key)
        answer = self.redis.execute_command("PEXPIRE", name, max(1, math.ceil(lives * 1e3)))
        live_until(self.redis, name, self.clock.now + lives)
        return Done(f"EXPIRE {name} {lives:g}", shown(answer), (f"{name} lives {lives:g} s",))

    def clear(self) -> None:
        """DEL of all that it has put there."""
        if self.keys:
            self.redis.execute_command("DEL", *sorted(self.keys))
        self.keys.clear()


class MemoryShelf(Shelf):
    """A cache that is no Redis: a browser's, a CDN's, a resolver's, a server's own memory."""

    def __init__(self, clock: Clock, name: Name, words: tuple[str, str, str]) -> None:
        super().__init__(clock, name)
        self.until: dict[int, float] = {}
        self.ask, self.hit, self.miss = words

    def look(self, key: int) -> tuple[bool, Done]:
        """Look."""
        hit = self.until.get(key, -math.inf) > self.clock.now
        return hit, Done(f"{self.ask} {self.name(key)}", self.hit if hit else self.miss)

    def put(self, key: int, lives: float, value: str) -> Done:
        """Keep."""
        self.until[key] = self.clock.now + lives
        return Done(f"keep {self.name(key)} for {lives:g} s", "",
                    (f"{self.name(key)} lives {lives:g} s",))  # fmt: skip

    def drop(self, key: int) -> Done:
        """Forget."""
        known = self.until.pop(key, None)
        gone = (f"{self.name(key)} is gone",) if known is not None else ()
        return Done(f"forget {self.name(key)}", "", gone)

    def load(self, key: int, until: float) -> None:
        """Keep until a moment."""
        self.until[key] = until

    def clear(self) -> None:
        """Forget all."""
        self.until.clear()


class UniqueShelf(Shelf):
    """Idempotency keys: rows whose primary key lets nobody do the same thing twice."""

    def __init__(self, clock: Clock, name: Name, base: Base) -> None:
        super().__init__(clock, name)
        self.base = base

    def look(self, key: int) -> tuple[bool, Done]:
        """Select the key."""
        name = self.name(key)
        rows = self.base.run("SELECT until FROM {} WHERE key = ?", name, table="done")
        hit = bool(rows) and rows[0][0] > self.clock.now
        return hit, Done(f"SELECT 1 FROM done WHERE key = '{name}'", "1" if hit else "no row")

    def put(self, key: int, lives: float, value: str) -> Done:
        """Insert the key."""
        name, until = self.name(key), self.clock.now + lives
        self.base.run(
            "INSERT INTO {} VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET until = excluded.until",
            name, until, table="done",
        )  # fmt: skip
        return Done(f"INSERT INTO done (key) VALUES ('{name}')", "INSERT 0 1", (f"key {name}",))

    def drop(self, key: int) -> Done:
        """Delete the key."""
        self.base.run("DELETE FROM {} WHERE key = ?", self.name(key), table="done")
        return Done(f"DELETE FROM done WHERE key = '{self.name(key)}'")

    def clear(self) -> None:
        """Delete all."""
        self.base.run("DELETE FROM {}", table="done")
