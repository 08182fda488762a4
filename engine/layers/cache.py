"""Cache: what is read often is kept near; what is written often is written later."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, Literal

from engine.assembly import Station
from engine.component import Component, ControlPlane, Inner, Layer, Line, Step, knob
from engine.distribution import Distribution, Time
from engine.kernel.tables import Op
from engine.program import NETWORK, WAITING, Program

if TYPE_CHECKING:
    from engine.component import AnyStep
    from engine.scenario import Scenario


class WriteBuffer(Component):
    """A write-behind buffer: counts in memory now, in the database at the next flush.

    What has not been flushed when the cache crashes is lost.
    """

    flush_seconds: float = knob(
        5.0,
        "Flush every",
        unit="s",
        low=0.1,
        high=3600,
        step=1,
        help="How often the buffer is written to the database.",
    )
    batch: int = knob(
        500,
        "Rows a write",
        low=1,
        high=100_000,
        step=100,
        help="Keys that one database write takes.",
    )


class Cache(Layer):
    """A Redis-like cache: read cache (cache-aside) and write-behind buffer."""

    ttl_seconds: float = knob(
        300.0,
        "Cache TTL",
        unit="s",
        low=0,
        high=604_800,
        step=10,
        main=True,
        slider_high=900,
        help="How long an entry may be served before it is fetched anew.",
    )
    capacity: int = knob(
        20_000,
        "Cache size",
        unit="entries",
        low=0,
        high=10_000_000,
        step=500,
        main=True,
        slider_high=50_000,
        help="Entries it can hold; when full, the least recently used goes.",
    )
    warm: bool = knob(False, "Warm cache", help="Begin with the most popular entries in place.")
    hop: Time = knob(
        Distribution(constant=0.3),
        "Network hop",
        unit="ms",
        help="From a server to the cache and back, within one zone.",
    )
    command_time: Time = knob(
        Distribution(exponential=0.02),
        "Command time",
        unit="ms",
        help="What the single thread takes for one command. Redis: about"
        " 100,000 commands a second on one core with round trips.",
    )
    buffer: WriteBuffer = WriteBuffer()

    def ask(self, program: Program, station: Station, what: str, wait: bool = True) -> None:
        """Emit one command: there and back, and its turn on the single thread.

        A command whose answer nobody waits for goes out behind the one before it (pipelining).
        """
        if not station.pools:
            program.pool(station, 1)
        if wait:
            program.hold(f"{what} hop", self.hop, NETWORK)
        program.step(Op.SEIZE, kind=WAITING, site=station.pools[0])
        program.hold(what, self.command_time)
        program.step(Op.RELEASE)

    def store_of(self, program: Program, scenario: Scenario, dataset: str) -> tuple[Station, int]:
        """Return the cache's station and the store of a dataset, made on first use.

        Capacity is shared out by the number of keys of the datasets that are cached.
        """
        station = program.station("cache.read", "Read cache", "store")
        name = f"cache {dataset}"
        if name not in program.named:
            keys = scenario.datasets[dataset].keys
            share = scenario.room_for(dataset, "lookup", self.capacity)
            program.named[name] = program.store(
                station, keys, share, Distribution(constant=self.ttl_seconds * 1e3), self.warm
            )
        return station, program.named[name]

    def tend(self, run: ControlPlane) -> Iterator[Generator[Any, Any, Any]]:
        """Flush the write buffer of each dataset that is counted."""
        if self.enabled:
            for dataset in run.scenario.datasets_of("count"):
                yield self._flush(run, dataset)

    def _flush(self, run: ControlPlane, dataset: str) -> Generator[Any, Any, Any]:
        while True:
            yield run.env.timeout(run.scenario.cache.buffer.flush_seconds)
            writes, keys = run.plane.open_ledger(f"buffer {dataset}")
            if not keys:
                continue
            batches = -(-keys // run.scenario.cache.buffer.batch)
            run.plane.launch(f"flush {dataset}", batches)
            text = f"wrote {writes:,} counted {dataset} under {keys:,} keys as {batches} batches"
            run.note("flush", "cache.buffer", text)

    def bill(self, scenario: Scenario) -> Iterator[Line]:
        """One cache node."""
        if scenario.uses("lookup") or scenario.uses("count"):
            yield Line(
                item="Cache node",
                station="cache.read",
                quantity=1,
                usd_per_hour_each=scenario.prices.cache_usd_per_hour,
            )


class Lookup(Step):
    """Read through the cache: a hit is the answer, a miss does the steps within and keeps it."""

    do: Literal["lookup"] = "lookup"
    dataset: str
    then: tuple[AnyStep, ...] = ()

    def names(self) -> list[tuple[str, str]]:
        """The dataset."""
        return [("dataset", self.dataset)]

    def emit(self, program: Program, scenario: Scenario, inner: Inner) -> None:
        """Emit GET, and behind a miss the steps within and SETEX (cache-aside)."""
        cache = scenario.cache
        scenario.draw_key(program, self.dataset)
        if not cache.enabled:
            inner()
            return
        station, store = cache.store_of(program, scenario, self.dataset)
        with program.at(station, f"get {self.dataset}"):
            cache.ask(program, station, "get")
            hit = program.step(Op.GET, site=store)
            inner()
            scenario.draw_key(program, self.dataset)
            program.hold("set", cache.hop, NETWORK)
            program.step(Op.PUT, "keep", site=store)
            program.patch(hit, jump=program.here)
            program.forget_key()


class Count(Step):
    """Count something, such as a view, in the write-behind buffer."""

    do: Literal["count"] = "count"
    dataset: str

    def names(self) -> list[tuple[str, str]]:
        """The dataset."""
        return [("dataset", self.dataset)]

    def emit(self, program: Program, scenario: Scenario, inner: Inner) -> None:
        """Emit INCR into the buffer; without a cache, a write to the database."""
        cache = scenario.cache
        scenario.draw_key(program, self.dataset)
        if not cache.enabled:
            scenario.data.write(program, scenario, self.dataset, "count")
            return
        station = program.station("cache.buffer", "Write buffer", "store")
        with program.at(station, "count"):
            cache.ask(program, station, "incr", wait=False)
            ledger = program.ledger(f"buffer {self.dataset}", scenario.datasets[self.dataset].keys)
            program.step(Op.MARK, site=ledger)
        name = f"flush {self.dataset}"
        if name not in program.named:
            program.named[name] = -1
            program.later(lambda: self._emit_flush(program, scenario))

    def _emit_flush(self, program: Program, scenario: Scenario) -> None:
        """Emit what one batch of a flush does: a write, outside of any journey."""
        program.named[f"flush {self.dataset}"] = program.here
        with program.at(program.stations["cache.buffer"], "flush", background=True):
            scenario.data.write(program, scenario, self.dataset, "flush", mark=False)
            program.step(Op.LEAVE)
