"""Faults of the cache: it is flushed, its nodes are down, its commands are slow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from engine.component import ControlPlane, knob
from engine.faults.fault import Fault, Lasting
from engine.faults.words import counted, numbered
from engine.program import WORKING

if TYPE_CHECKING:
    from engine.assembly import Station
    from engine.scenario import Scenario

NEAR = "cache.near"  # in the servers' memory


def unused(scenario: Scenario) -> str:
    """Return why nothing can be done to the cache, or nothing."""
    if scenario.uses("lookup") or scenario.cache.buffered(scenario):
        return ""
    if scenario.application.keeps_sessions("store"):
        return ""
    return "no journey uses the cache; add a step do: lookup"


def stations(run: ControlPlane) -> list[Station]:
    """Return the places of the cache that are nodes of their own."""
    found = run.plane.program.stations.values()
    return [place for place in found if place.layer == "cache" and place.name != NEAR]


class CacheFlush(Fault):
    """The cache is emptied, as FLUSHALL does: every look-up is a miss until it is full again."""

    do: Literal["cache_flush"] = "cache_flush"
    title = "Flush the cache"
    layer = "cache"

    def refuse(self, scenario: Scenario) -> str:
        """Something is kept in the cache."""
        return super().refuse(scenario) or unused(scenario)

    def act(self, run: ControlPlane) -> Iterator[tuple[str, str]]:
        """Empty every store; what is not flushed to the database is lost."""
        yield "cache.read", f"the cache is emptied: {emptied(run)}"


def emptied(run: ControlPlane) -> str:
    """Empty the cache and its write buffer; return what is gone, in words."""
    gone = sum(run.plane.empty(store) for place in stations(run) for store in place.stores)
    text = f"{counted(gone, 'entry', 'entries')} gone"
    for dataset in run.scenario.cache.buffered(run.scenario):
        if run.plane.has(f"buffer {dataset}"):
            writes, _ = run.plane.open_ledger(f"buffer {dataset}")
            if writes:
                text += f", and {counted(writes, 'write')} of {dataset} not yet in the database"
    return text


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
    """Nodes of the cache are down: their commands are refused, and they come back empty."""

    do: Literal["cache_down"] = "cache_down"
    title = "Cache node down"
    state = "down"

    def targets(self, scenario: Scenario) -> Iterator[str]:
        """Each node."""
        for index in self.indices:
            yield f"cache node {index + 1}"

    def act(self, run: ControlPlane) -> Iterator[tuple[str, str]]:
        """Refuse commands; a cache of one node has lost all when it is back."""
        pools = [
            place.pools[0] + index
            for place in stations(run)
            if place.pools
            for index in self.indices
        ]
        who = numbered("cache node", self.indices)
        run.plane.shut(pools, refuses=True)
        run.plane.crash(pools, "cache down")
        lost = ""
        if self.nodes == run.scenario.cache.nodes:
            lost = f": {emptied(run)}"
        yield "cache.read", f"{who} down{lost}"
        run.plane.reopen(pools)
        yield "cache.read", f"{who} up again"


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
        places = [place.name for place in stations(run)]
        rows = [row for name in places for row in run.plane.program.rows(name, WORKING)]
        some = None if self.nodes == run.scenario.cache.nodes else self.indices
        handle = run.plane.disturb(
            rows, factor=self.factor, extra_seconds=self.extra_ms / 1e3, servers=some
        )
        more = f" and {self.extra_ms:g} ms" if self.extra_ms else ""
        yield "cache.read", f"commands take {self.factor:g} times as long{more}"
        run.plane.calm(handle)
        yield "cache.read", "commands are as fast as before"
