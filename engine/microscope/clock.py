"""The clock of one microscope: SimPy's, and a Redis that lives by it.

Two microscopes in one process, in two browser sessions say, have each their own: nothing here
touches the time of the process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from heapq import heappush
from typing import Any

import fakeredis
import simpy
from fakeredis._core._database import Database
from simpy.events import NORMAL, URGENT

AFTER_ALL = 2  # the control plane comes after all that is due at an instant


class Clock(simpy.Environment):
    """SimPy's environment, with the kernel's way to say when: a moment, not a delay.

    `now + (due - now)` is not always `due`; a bit of difference would swap two requests.
    """

    def at(self, due: float, event: simpy.Event, priority: int = NORMAL) -> None:
        """Let an event happen at a moment, behind all that was put there before it."""
        event._ok, event._value = True, None  # noqa: SLF001  (as SimPy's own Timeout does)
        self._queue: list[Any]
        heappush(self._queue, (due, priority, next(self._eid), event))

    def call(self, due: float, act: Callable[[], None], priority: int = NORMAL) -> None:
        """Let something be done at a moment."""
        event = simpy.Event(self)
        assert event.callbacks is not None
        event.callbacks.append(lambda _: act())
        self.at(due, event, priority)

    def breath(self) -> simpy.Event:
        """Return an event that comes now, before anything else of this instant.

        A request that takes it between two steps can be looked at there; nobody overtakes it.
        """
        event = simpy.Event(self)
        self.at(self._now, event, URGENT)
        return event

    def play(self, until: float) -> None:
        """Play all that is due by a moment, which is then now."""
        while self.peek() <= until:
            self.step()
        self._now = max(self._now, until)


class _Keys(Database):
    """A database of fakeredis whose time is read off a clock whenever it asks.

    A key's life ends at the very instant, as in the kernel; Redis lets it live through that
    millisecond.  fakeredis writes the time of the process before each command: to no effect.
    """

    def __init__(self, lock: threading.Lock, clock: Clock) -> None:
        self.clock = clock
        super().__init__(lock)

    @property
    def time(self) -> float:
        """Simulated seconds."""
        return float(self.clock.now)

    @time.setter
    def time(self, value: float) -> None:
        """Take no other time."""

    def expired(self, item: Any) -> bool:
        """Return whether an item's time has come."""
        return item.expireat is not None and item.expireat <= self.time

    def _remove_expired(self) -> None:
        for key in [key for key, item in self._dict.items() if self.expired(item)]:
            del self._dict[key]


class _Bases(dict[int, Database]):
    """The numbered databases of a server, made on first use."""

    def __init__(self, lock: threading.Lock, clock: Clock) -> None:
        super().__init__()
        self.lock, self.clock = lock, clock

    def __missing__(self, number: int) -> Database:
        self[number] = _Keys(self.lock, self.clock)
        return self[number]


def redis_of(clock: Clock) -> fakeredis.FakeRedis:
    """Return a Redis of its own, in memory, whose keys expire by a clock."""
    server = fakeredis.FakeServer()
    server.dbs = _Bases(server.lock, clock)
    return fakeredis.FakeRedis(server=server, decode_responses=True)


def live_until(redis: Any, key: str, until: float) -> None:
    """Let a key live to the exact moment; commands know milliseconds."""
    if hasattr(redis, "live_until"):
        redis.live_until(key, until)
        return
    server = getattr(redis.connection_pool, "connection_kwargs", {}).get("server")
    if server is None:
        return
    base = server.dbs[0]
    item = base._dict.get(key.encode())  # noqa: SLF001  (the one place that says a finer time)
    if item is not None:
        item.expireat = until
        base.schedule_expiry(key.encode(), until)
