"""Cache: what is read often is kept near; what is written often is written later."""

from __future__ import annotations

import functools
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, Literal

from engine.assembly import Station
from engine.component import ControlPlane, Figure, Inner, Layer, Line, knob
from engine.distribution import Distribution, Time, Uniform
from engine.kernel.tables import Op
from engine.layers.buffer import WriteBuffer
from engine.layers.cachenodes import (
    BUFFER,
    READ,
    SESSIONS,
    Bypass,
    Gone,
    WarmUp,
    back,
    down,
    forget,
    goes_on,
    lost_figure,
    pools_of,
    reason_of,
)
from engine.layers.hashslots import nodes_of
from engine.layers.near import NearCache
from engine.program import NETWORK, WAITING, Program

if TYPE_CHECKING:
    from engine.measured import Measured
    from engine.scenario import Scenario

PolicyName = Literal["lru", "fifo", "random", "redis_lru", "redis_lfu", "static"]


class Cache(Layer):
    """A Redis-like cache: read cache (cache-aside) and write-behind buffer.

    Each node does one command after the other, on one thread, as Redis does.
    """

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
        help="Entries it can hold, all nodes together; when full, one goes by the policy.",
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
    policy: PolicyName = knob(
        "lru",
        "Eviction",
        help="Who goes when it is full. lru: the least recently used, exactly. redis_lru and"
        " redis_lfu: the worst of a sample, as Redis's allkeys-lru and allkeys-lfu. static: the"
        " most popular stay for good, which perfect LFU comes to.",
    )
    samples: int = knob(
        5,
        "Samples",
        low=1,
        high=64,
        step=1,
        slider_high=16,
        help="redis_lru, redis_lfu: keys looked at for each eviction. Redis: maxmemory-samples 5.",
    )
    sliding: bool = knob(
        False, "Sliding expiry", help="A hit renews the TTL, so that what is in use stays."
    )
    ttl_jitter: float = knob(
        0.0,
        "TTL jitter",
        low=0,
        high=1,
        step=0.05,
        slider_high=0.5,
        help="TTLs are spread by this share up and down, so that what was stored together does"
        " not expire together.",
    )
    nodes: int = knob(
        1,
        "Cache nodes",
        low=1,
        high=128,
        step=1,
        slider_high=16,
        help="Nodes of a cluster. Keys go to them by hash slot, as in Redis Cluster; one key has"
        " one node, however hot it is.",
    )
    slow_share: float = knob(
        0.0,
        "Slow commands",
        low=0,
        high=1,
        step=0.001,
        slider_high=0.02,
        help="Share of commands such as KEYS or a big HGETALL, which stop everyone behind them.",
    )
    slow_time: Time = knob(
        Distribution(constant=40),
        "Slow command time",
        unit="ms",
        help="What a slow one takes on top. KEYS on a million keys: about 40 ms (Redis's manual).",
    )
    stampede: Literal["none", "single_flight", "xfetch", "lease"] = knob(
        "none",
        "Stampede cure",
        help="What keeps equal misses from all fetching. single_flight: one fetches, the others"
        " wait for it. xfetch: a request now and then fetches before the entry expires. lease:"
        " the cache lets one fetch, the others ask again a moment later (memcached).",
    )
    xfetch_beta: float = knob(
        1.0,
        "XFetch beta",
        low=0,
        high=10,
        step=0.1,
        help="Above 1: earlier. Vattani et al., 'Optimal Probabilistic Cache Stampede"
        " Prevention', VLDB 2015: 1.",
    )
    recompute_ms: float = knob(
        50.0,
        "XFetch delta",
        unit="ms",
        low=0,
        high=600_000,
        step=10,
        slider_high=1000,
        help="How long a fetch is taken to last; XFetch begins so many times beta early.",
    )
    flight_seconds: float = knob(
        10.0,
        "Flight wait",
        unit="s",
        low=0.001,
        high=3600,
        step=1,
        slider_high=60,
        help="single_flight: who has waited so long for another's fetch fetches too.",
    )
    lease_seconds: float = knob(
        10.0,
        "Lease",
        unit="s",
        low=0.001,
        high=3600,
        step=1,
        slider_high=60,
        help="How long one may take to fetch before another is let. Facebook's memcached: once"
        " in 10 s a key (Nishtala et al., NSDI 2013).",
    )
    lease_wait_ms: float = knob(
        20.0,
        "Lease wait",
        unit="ms",
        low=1,
        high=60_000,
        step=5,
        slider_high=200,
        help="What those without the lease wait before they ask again.",
    )
    negative: bool = knob(
        False,
        "Negative caching",
        help="Remember also what does not exist. Else each look-up of it goes to the database.",
    )
    negative_ttl_seconds: float = knob(
        60.0,
        "Negative TTL",
        unit="s",
        low=0,
        high=86_400,
        step=10,
        slider_high=300,
        help="How long it is remembered that something does not exist.",
    )
    write_policy: Literal["invalidate", "through", "around", "behind"] = knob(
        "invalidate",
        "On a write",
        help="invalidate: database, then delete the copy (cache-aside). through: database, then"
        " set it. around: leave the old copy until it expires. behind: set it now, and the"
        " database at the next flush; a crash loses what is not flushed.",
    )
    flush_at_seconds: float | None = knob(
        None,
        "Crash at",
        unit="s",
        low=0,
        high=86_400,
        step=5,
        slider_high=300,
        help="When the cache restarts empty, as without persistence; unflushed writes are lost.",
    )
    bypass: Bypass = Bypass()
    warm_up: WarmUp = WarmUp()
    near: NearCache = NearCache()
    buffer: WriteBuffer = WriteBuffer()

    def ask(self, program: Program, station: Station, what: str, wait: bool = True) -> list[int]:
        """Emit one command; return the rows of those who go past a node that does not answer.

        They are to be patched with where to go on without an answer; empty if all have failed.
        """
        command = functools.partial(self.command, program, station, what, wait)
        return self.bypass.emit(program, command)

    def command(self, program: Program, station: Station, what: str, wait: bool = True) -> None:
        """Emit one command: there and back, and its turn on the single thread of its key's node.

        A command whose answer nobody waits for goes out behind the one before it (pipelining).
        """
        if not station.pools:
            program.pools(station, self.nodes, 1, -1, self.nodes)
        if wait:
            program.hold(f"{what} hop", self.hop, NETWORK)
        node = program.register("cache node") if self.nodes > 1 else 0
        program.step(
            Op.SEIZE,
            kind=WAITING,
            site=station.pools[0],
            by=node,
            reason=reason_of(program, station),
        )
        program.hold(what, self.command_time)
        program.chance(
            f"{what} is slow", self.slow_share, lambda: program.hold(f"{what} slow", self.slow_time)
        )
        program.step(Op.RELEASE)

    def choose_node(self, program: Program, name: str, keys: int) -> None:
        """Emit which node the token's key is on; with one node there is nothing to choose."""
        if self.nodes == 1:
            return
        table = f"cache nodes {name}"
        if table not in program.named:
            program.named[table] = program.lookup(nodes_of(name, keys, self.nodes))
        program.step(Op.LOOKUP, site=program.named[table], register=program.register("cache node"))

    def station(self, program: Program) -> Station:
        """Return the place where reads are cached."""
        return program.station("cache.read", "Read cache", "store", self.nodes)

    def store_of(self, program: Program, scenario: Scenario, dataset: str) -> tuple[Station, int]:
        """Return the cache's station and the store of a dataset, and emit which node to ask.

        Capacity is shared out by the number of keys of the datasets that are cached.
        """
        station, name = self.station(program), f"cache {dataset}"
        keys = scenario.datasets[dataset].keys
        self.agree_on_crash(program)
        if name not in program.named:
            share = scenario.room_for(dataset, "lookup", self.capacity)
            program.named[name] = program.store(
                station, keys, share, self._life(), self.warm, **self._keeping()
            )
            self.warm_up.lay_out(program, scenario, dataset)
        self.choose_node(program, dataset, keys)
        return station, program.named[name]

    def agree_on_crash(self, program: Program) -> None:
        """Make programs with another plan differ: the crash is set going at the start."""
        if self.flush_at_seconds is not None:
            program.named[f"cache crash at {self.flush_at_seconds}"] = 0

    def _life(self) -> Distribution:
        """Return how long an entry lives."""
        life = self.ttl_seconds * 1e3
        if not self.ttl_jitter:
            return Distribution(constant=life)
        low, high = life * (1 - self.ttl_jitter), life * (1 + self.ttl_jitter)
        return Distribution(uniform=Uniform(low=low, high=high))

    def _keeping(self) -> dict[str, Any]:
        """Return how a store keeps its entries."""
        early = self.xfetch_beta * self.recompute_ms if self.stampede == "xfetch" else 0.0
        return {
            "policy": self.policy,
            "samples": self.samples,
            "sliding": self.sliding,
            "early_ms": early,
        }

    @property
    def draws_on_hits(self) -> bool:
        """Return whether a hit draws random numbers, and so needs a name to draw them under."""
        return self.stampede == "xfetch" or self.policy == "redis_lfu" or self.sliding

    # ------------------------------------------------------------ writes

    def write(
        self,
        program: Program,
        scenario: Scenario,
        dataset: str,
        database: Inner,
        invalidate: bool = True,
    ) -> None:
        """Emit a write of the token's key: the database, and what becomes of the cached copy.

        `invalidate` says whether the step wants the copy gone, under the policy of that name.
        """
        if not self.enabled:
            database()
            return
        cached = dataset in scenario.datasets_of("lookup")
        if self.write_policy == "behind":
            if cached:
                self._set(program, scenario, dataset)
            self.buffer.remember(program, scenario, dataset, "write", wait=not cached)
            return
        database()
        if not cached:
            return
        if self.write_policy == "through":
            self._set(program, scenario, dataset)
        elif self.write_policy == "invalidate" and invalidate:
            station, store = self.store_of(program, scenario, dataset)
            with program.at(station, "delete"):
                past = self.ask(program, station, "del")
                program.step(Op.DROP, site=store)
                goes_on(program, past)

    def _set(self, program: Program, scenario: Scenario, dataset: str) -> None:
        """Emit that the cached copy is overwritten."""
        station, store = self.store_of(program, scenario, dataset)
        with program.at(station, "set"):
            past = self.ask(program, station, "overwrite")
            program.step(Op.PUT, "overwrite", site=store)
            goes_on(program, past)

    # ------------------------------------------------------------ over time

    def buffered(self, scenario: Scenario) -> list[str]:
        """Return the datasets whose writes go through the buffer."""
        names = set(scenario.datasets_of("count"))
        if self.write_policy == "behind":
            names |= set(scenario.datasets_of("write"))
        return sorted(names)

    def tend(self, run: ControlPlane) -> Iterator[Generator[Any, Any, Any]]:
        """Flush the write buffer of each dataset that is counted; crash if that is to happen."""
        if self.enabled:
            for dataset in self.buffered(run.scenario):
                yield self.buffer.flush(run, dataset)
            if self.flush_at_seconds is not None:
                yield self._crash(run, self.flush_at_seconds)

    def _crash(self, run: ControlPlane, at: float) -> Generator[Any, Any, Any]:
        """Let the cache restart at a time."""
        yield run.env.timeout(at)
        self.crash(run)

    # ------------------------------------------------------------ what can break

    def crash(self, run: ControlPlane) -> None:
        """Restart all nodes, empty: what was cached and what was not flushed is gone."""
        gone = forget(run, (READ, BUFFER, SESSIONS), tuple(range(self.nodes)))
        if gone:
            run.note("crash", READ, f"restarted empty: {gone:,} entries are gone")
        self._warm_anew(run)

    def flush(self, run: ControlPlane) -> int:
        """Forget all that was cached, as FLUSHALL does; return how many entries that were."""
        gone = forget(run, (READ,), tuple(range(self.nodes)))
        self._warm_anew(run)
        return gone

    def node_pools(self, run: ControlPlane, node: int | None = None) -> list[int]:
        """Return the pools of a cache node, from 0 on, or of all."""
        return pools_of(run, (READ, BUFFER), node)

    def node_down(self, run: ControlPlane, node: int | None = None, *, hangs: bool = False) -> Gone:
        """Kill a node, from 0 on, or all, or let it hang; `node_back` ends that.

        A dead one refuses ("cache down") and has lost what it held, also what was not flushed.
        """
        return down(run, (READ, BUFFER), node, hangs=hangs)

    def node_back(self, run: ControlPlane, gone: Gone) -> None:
        """Let nodes come back, empty if they were dead, and warm them up."""
        back(run, gone)
        if not gone.hangs and gone.stations != (SESSIONS,):
            self._warm_anew(run)

    def _warm_anew(self, run: ControlPlane) -> None:
        """Begin to fetch what is asked for most."""
        if self.warm_up.keys_per_second and run.scenario.uses("lookup"):
            run.env.process(self.warm_up.run(run))

    def figures(self, result: Measured) -> Iterator[Figure]:
        """What a write-behind buffer has lost."""
        yield from lost_figure(result.tallied("cache.writes lost"))

    def bill(self, scenario: Scenario) -> Iterator[Line]:
        """Cache nodes by the hour; sessions have a node of their own."""
        price = scenario.prices.cache_usd_per_hour
        if scenario.uses("lookup") or self.buffered(scenario):
            yield Line(
                item="Cache node" if self.nodes == 1 else "Cache nodes",
                station="cache.read",
                quantity=self.nodes,
                usd_per_hour_each=price,
            )
        if scenario.application.keeps_sessions("store"):
            yield Line(
                item="Session store",
                station="cache.sessions",
                quantity=self.nodes,
                usd_per_hour_each=price,
            )
