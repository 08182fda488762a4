"""Cache nodes that fail: what their commands come to, what is lost, and how they are warmed up.

A node that is dead refuses; one that hangs lets its clients wait.  When it is back it is empty,
as Redis without persistence is.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.component import Component, ControlPlane, Figure, Inner, knob
from engine.distribution import Distribution
from engine.kernel.tables import Op
from engine.program import Program

if TYPE_CHECKING:
    from engine.assembly import Station
    from engine.scenario import Scenario

CACHE_DOWN = "cache down"
SESSIONS_DOWN = "session store down"
READ, BUFFER, SESSIONS = "cache.read", "cache.buffer", "cache.sessions"
TICK_SECONDS = 0.1  # of a warm-up: its fetches leave in batches


def reason_of(program: Program, station: Station) -> int:
    """Return why a command fails while its node does not answer."""
    return program.reason(SESSIONS_DOWN if station.name == SESSIONS else CACHE_DOWN)


class Bypass(Component):
    """Goes past a cache node that does not answer: to the database, as if it had missed.

    Without it a request whose node is down fails, as Spring's default error handler lets it.
    """

    on: bool = knob(
        False,
        "Go past a dead cache",
        help="Look-ups go on to the database, and nothing is deleted or set meanwhile. Else they"
        " fail at once.",
    )
    timeout_ms: float = knob(
        2000.0,
        "Cache time-out",
        unit="ms",
        low=1,
        high=600_000,
        step=50,
        slider_high=5000,
        help="How long a command waits for a node that hangs; one that is dead refuses at once."
        " Jedis: 2 s to connect and to read.",
    )

    def emit(self, program: Program, command: Inner) -> list[int]:
        """Emit a command; return the rows to patch with where those go on who had no answer."""
        if not self.on:
            command()
            return []
        away: list[int] = []

        def give_up() -> None:
            away.append(program.step(Op.GO))

        patience = Distribution(constant=self.timeout_ms)
        program.attempt(command, timeout=patience, cancels=True, otherwise=give_up, what="command")
        return away


class WarmUp(Component):
    """Fetches the most popular keys before they are asked for, after the cache has lost them."""

    keys_per_second: float = knob(
        0.0,
        "Warm-up rate",
        unit="1/s",
        low=0,
        high=1_000_000,
        step=100,
        slider_high=10_000,
        help="After a flush, a crash or a node's return: so many keys a second are read from the"
        " database, the most popular first, until the cache is full; 0: none.",
    )

    def lay_out(self, program: Program, scenario: Scenario, dataset: str) -> None:
        """Lay out the way of one fetch, outside of any journey."""
        if self.keys_per_second and _errand(dataset) not in program.named:
            program.named[_errand(dataset)] = -1
            program.later(lambda: self._emit(program, scenario, dataset))

    def _emit(self, program: Program, scenario: Scenario, dataset: str) -> None:
        cache, journey = scenario.cache, program.journey
        program.named[_errand(dataset)] = program.begin("warm-up")
        station = cache.station(program)

        def fetch() -> None:
            scenario.data.read(program, scenario, dataset)
            cache.choose_node(program, dataset, scenario.datasets[dataset].keys)
            cache.command(program, station, "warm-up")
            program.step(Op.PUT, "warm-up", site=program.named[f"cache {dataset}"])

        with program.at(station, "warm-up", background=True):
            program.attempt(fetch, otherwise=lambda: None, what="warm-up")
            program.step(Op.LEAVE)
        program.journey = journey

    def run(self, run: ControlPlane) -> Generator[Any, Any, Any]:
        """Fetch all that fits, the most popular first, of each dataset its part of the rate."""
        rooms = {
            dataset: min(
                run.scenario.datasets[dataset].keys,
                run.scenario.room_for(dataset, "lookup", run.scenario.cache.capacity),
            )
            for dataset in run.scenario.datasets_of("lookup")
        }
        total, done, begun = sum(rooms.values()), 0, float(run.env.now)
        number = run.memory["cache.warm-up"] = run.memory.get("cache.warm-up", 0) + 1
        text = f"fetches the {total:,} most popular keys, {self.keys_per_second:g} a second"
        run.note("warm_up", READ, text)
        while done < total:
            if run.memory["cache.warm-up"] != number:
                return  # it was emptied again: another has begun
            due = min(total, int((run.env.now - begun + TICK_SECONDS) * self.keys_per_second))
            for dataset, room in rooms.items():
                first = room * done // total
                count = room * due // total - first
                if count:
                    run.plane.launch(_errand(dataset), count, first)
            done = due
            yield run.env.timeout(TICK_SECONDS)
        run.note("warm_up", READ, f"all {total:,} keys have been asked for")


def _errand(dataset: str) -> str:
    return f"warm-up {dataset}"


# ---------------------------------------------------------------- what can break


def goes_on(program: Program, rows: list[int]) -> None:
    """Let those who went past a node that does not answer go on at the next step."""
    for row in rows:
        program.patch(row, jump=program.here)
    if rows:
        program.forget_key()


@dataclass(frozen=True)
class Gone:
    """Nodes that do not answer; to be handed in when they do again."""

    nodes: tuple[int, ...]
    stations: tuple[str, ...]
    pools: tuple[int, ...]
    hangs: bool


def pools_of(run: ControlPlane, stations: tuple[str, ...], node: int | None = None) -> list[int]:
    """Return the pools of all nodes, or of one, that the stations of these names stand on."""
    known = run.plane.program.stations
    pools = [known[name].pools for name in stations if name in known]
    return [pool for row in pools for pool in (row if node is None else row[node : node + 1])]


def down(
    run: ControlPlane, stations: tuple[str, ...], node: int | None = None, *, hangs: bool = False
) -> Gone:
    """Kill a node, from 0 on, or all, or let them hang; a dead one loses all that it held.

    Dead: whoever comes is refused.  It hangs: they wait for it.
    """
    nodes = tuple(range(run.scenario.cache.nodes)) if node is None else (node,)
    pools = pools_of(run, stations, node)
    run.plane.shut(pools, refuses=not hangs)
    if not hangs:
        run.plane.crash(pools, SESSIONS_DOWN if stations == (SESSIONS,) else CACHE_DOWN)
        forget(run, stations, nodes)
    return Gone(nodes, stations, tuple(pools), hangs)


def back(run: ControlPlane, gone: Gone) -> None:
    """Let nodes come back: those that were dead are empty."""
    if not gone.hangs:
        forget(run, gone.stations, gone.nodes)  # what was set by those who went past it
    run.plane.reopen(gone.pools)


def forget(run: ControlPlane, stations: tuple[str, ...], nodes: tuple[int, ...]) -> int:
    """Let nodes lose all that they hold; return how many entries that were.

    What a write buffer held is lost: an event says how much.
    """
    gone = sum(
        _entries_lost(run, name, store, nodes)
        for name in stations
        if name in run.plane.program.stations
        for store in run.plane.program.stations[name].stores
    )
    if BUFFER in stations:
        for dataset in run.scenario.cache.buffered(run.scenario):
            _writes_lost(run, dataset, nodes)
    return gone


def _entries_lost(run: ControlPlane, station: str, store: int, nodes: tuple[int, ...]) -> int:
    """Let nodes lose what they hold of one store; return how many entries that were.

    Of some nodes of several, the entries expire: they make room when it is wanted.
    """
    plane = run.plane
    if len(nodes) == run.scenario.cache.nodes:
        return int(plane.empty(store))
    row, named = plane.world.stores[store], plane.program.named
    names = {named[f"{kind} {data}"]: data for kind in ("cache", "absent")
             for data in run.scenario.datasets if f"{kind} {data}" in named}  # fmt: skip
    keys = _keys_on(run, "sessions" if station == SESSIONS else names[store], nodes)
    entries = plane.world.entries[int(row["first"]) + keys]
    held = int((entries["until"] > run.env.now).sum())
    plane.world.entries["until"][int(row["first"]) + keys] = 0.0
    return held


def _writes_lost(run: ControlPlane, dataset: str, nodes: tuple[int, ...]) -> None:
    """Let nodes lose what they have buffered of a dataset."""
    plane = run.plane
    if f"buffer {dataset}" not in plane.program.named:
        return
    ledger = plane.world.ledgers[plane.program.named[f"buffer {dataset}"]]
    writes, keys = int(ledger["marks"]), int(ledger["distinct"])
    if len(nodes) == run.scenario.cache.nodes:
        plane.open_ledger(f"buffer {dataset}")
    elif keys:
        mine = int(ledger["first"]) + _keys_on(run, dataset, nodes)
        mine = mine[plane.world.marks[mine] >= ledger["opened"]]
        plane.world.marks[mine] = -1e18
        # Each key has been written as often as any other, as far as is known.
        writes, keys = round(writes * len(mine) / keys), len(mine)
        ledger["marks"] -= writes
        ledger["distinct"] -= keys
    if writes:
        run.tally("cache.writes lost", writes)
        text = f"lost {writes:,} writes of {dataset} under {keys:,} keys, not yet flushed"
        run.note("loss", BUFFER, text)


def _keys_on(run: ControlPlane, name: str, nodes: tuple[int, ...]) -> np.ndarray:
    """Return the keys of a dataset, or the users with sessions, that some nodes hold."""
    scenario, plane = run.scenario, run.plane
    count = scenario.client.users if name == "sessions" else scenario.datasets[name].keys
    first = plane.program.named[f"cache nodes {name}"]
    return np.flatnonzero(np.isin(plane.world.lookups[first : first + count], nodes))


def lost_figure(lost: float) -> Iterator[Figure]:
    """What a write-behind buffer has lost for good."""
    if lost:
        yield Figure(
            name="Buffered writes lost",
            station=BUFFER,
            value=lost,
            unit="writes",
            help="Accepted, but not yet flushed to the database when the cache crashed.",
        )
