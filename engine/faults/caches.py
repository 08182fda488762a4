"""Faults of the cache: it is flushed, its nodes are down, its commands are slow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from engine.component import ControlPlane, knob
from engine.faults.fault import Fault, Lasting
from engine.faults.words import counted, named, numbered
from engine.program import WORKING

if TYPE_CHECKING:
    from engine.scenario import Scenario

READ, SESSIONS = "cache.read", "cache.sessions"


def unused(scenario: Scenario) -> str:
    """Return why nothing can be done to the cache, or nothing."""
    if scenario.uses("lookup") or scenario.cache.buffered(scenario):
        return ""
    return "no journey uses the cache; add a step do: lookup"


class CacheFlush(Fault):
    """The cache is emptied, as FLUSHALL does: every look-up is a miss until it is full again."""

    do: Literal["cache_flush"] = "cache_flush"
    title = "Flush the cache"
    layer = "cache"

    def refuse(self, scenario: Scenario) -> str:
        """Something is kept in the cache."""
        return super().refuse(scenario) or unused(scenario)

    def act(self, run: ControlPlane) -> Iterator[tuple[str, str]]:
        """Forget all that was cached."""
        gone = run.scenario.cache.flush(run)
        yield READ, f"the cache is emptied: {counted(gone, 'entry', 'entries')} gone"


class OfNodes(Lasting):
    """A fault of the cache's nodes: one of them, or several."""

    layer = "cache"

    node: int = knob(1, "Node", low=1, high=128, step=1, slider_high=16, help="The first.")
    nodes: int = knob(1, "Nodes", low=1, high=128, step=1, slider_high=16, help="How many.")

    def refuse(self, scenario: Scenario) -> str:
        """Something is kept in the cache, and it has these nodes."""
        line = super().refuse(scenario) or unused(scenario)
        count = scenario.cache.nodes
        if line:
            return line
        if self.node > count:
            return f"node is {self.node}, but the cache has {count}; use at most {count}"
        if self.node + self.nodes - 1 > count:
            left = count - self.node + 1
            return f"nodes is {self.nodes}, but there are {left} from {self.node} on; use {left}"
        return ""

    @property
    def indices(self) -> list[int]:
        """Which nodes, counted from 0."""
        return list(range(self.node - 1, self.node - 1 + self.nodes))


class CacheDown(OfNodes):
    """Nodes of the cache are down: their commands are refused, and they come back empty.

    Callers fail, or go to the database, as cache.bypass says.
    """

    do: Literal["cache_down"] = "cache_down"
    title = "Cache node down"
    state = "down"

    hangs: bool = knob(
        False, "It hangs", help="Commands wait instead of being refused; nothing is lost."
    )

    def targets(self, scenario: Scenario) -> Iterator[str]:
        """Each node."""
        for index in self.indices:
            yield f"cache node {index + 1}"

    def act(self, run: ControlPlane) -> Iterator[tuple[str, str]]:
        """Refuse commands, or let them wait."""
        cache, who = run.scenario.cache, numbered("cache node", self.indices)
        gone = [cache.node_down(run, node, hangs=self.hangs) for node in self.indices]
        yield READ, f"{who} {'hung' if self.hangs else 'down, and all on it is lost'}"
        for each in gone:
            run.scenario.cache.node_back(run, each)
        yield READ, f"{who} up again"


class SessionsDown(Lasting):
    """The store of sessions is down: nobody is known, and all have to sign in again afterwards."""

    do: Literal["sessions_down"] = "sessions_down"
    title = "Session store down"
    layer = "cache"
    state = "down"

    hangs: bool = knob(
        False, "It hangs", help="Calls wait instead of being refused; nothing is lost."
    )

    def refuse(self, scenario: Scenario) -> str:
        """Sessions are kept in a store."""
        line = super().refuse(scenario)
        if line or scenario.application.keeps_sessions("store"):
            return line
        return "there is no session store; set application.sessions.kind to store"

    def targets(self, scenario: Scenario) -> Iterator[str]:
        """The store."""
        yield "session store"

    def act(self, run: ControlPlane) -> Iterator[tuple[str, str]]:
        """Refuse commands, or let them wait."""
        gone = run.scenario.application.sessions.store_down(run, hangs=self.hangs)
        yield SESSIONS, f"the session store {'hangs' if self.hangs else 'is down'}"
        run.scenario.application.sessions.store_back(run, gone)
        yield SESSIONS, "the session store is up again"


class SlowCache(OfNodes):
    """Commands are slow: KEYS on a big node, swapping, a fork for a snapshot."""

    do: Literal["slow_cache"] = "slow_cache"
    title = "Slow commands"

    factor: float = knob(
        50.0,
        "Slower",
        unit="×",
        low=1,
        high=100_000,
        step=5,
        slider_high=200,
        help="How many times as long the single thread takes for a command.",
    )
    extra_ms: float = knob(
        0.0,
        "More for each",
        unit="ms",
        low=0,
        high=60_000,
        step=1,
        slider_high=100,
        help="On top of that.",
    )

    def act(self, run: ControlPlane) -> Iterator[tuple[str, str]]:
        """Stretch every command."""
        program = run.plane.program
        rows = program.rows(layer="cache", kind=WORKING)
        pools = run.scenario.cache.node_pools(run)
        if self.nodes < run.scenario.cache.nodes:
            one = run.scenario.cache.node_pools
            pools = [pool for node in self.indices for pool in one(run, node)]
        handle = run.plane.disturb(
            rows, factor=self.factor, extra_seconds=self.extra_ms / 1e3, servers=pools
        )
        who = named("cache node", self.indices)
        more = f" and {self.extra_ms:g} ms" if self.extra_ms else ""
        yield READ, f"commands on {who} take {self.factor:g} times as long{more}"
        run.plane.calm(handle)
        yield READ, f"commands on {who} are as fast as before"
