"""Data: a primary, read replicas that lag behind, shards, and stores for other questions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from engine.component import ControlPlane, Figure, Inner, Layer, Line, knob
from engine.distribution import Distribution, Lognormal, Time, Uniform
from engine.hashing import scattered
from engine.kernel.tables import Op, Policy
from engine.layers.connections import ServerPool, query
from engine.layers.failover import Failover
from engine.layers.locks import Lock, Locks, guarded, versions
from engine.layers.replication import (
    Commit,
    Quorum,
    Standby,
    at_risk,
    check,
    committed,
    set_lag,
)
from engine.layers.rows import Read, Write
from engine.layers.sharding import VIRTUAL_NODES, Sharding, evenness, shards_of
from engine.layers.stores import KINDS, Document, Find, Graph, Query, Search, TimeSeries
from engine.layers.upkeep import Backup, Tiers
from engine.program import NETWORK, Program

if TYPE_CHECKING:
    from engine.assembly import Station
    from engine.measured import Measured
    from engine.scenario import Scenario

__all__ = ["Data", "Find", "Query", "Read", "Write", "scattered"]

SHARDS_MAX = 64


class Data(Layer):
    """Databases: where the truth is."""

    shards: int = knob(
        1,
        "Shards",
        low=1,
        high=SHARDS_MAX,
        step=1,
        main=True,
        slider_high=16,
        help="The data is split over this many primaries, each with replicas.",
    )
    sharding: Sharding = knob("hash", "Sharding", help="How a key finds its shard.")
    virtual_nodes: int = knob(
        VIRTUAL_NODES,
        "Virtual nodes",
        low=1,
        high=1000,
        step=10,
        help="Points of each shard on the ring of a consistent hash; ketama: 160. Few make"
        " shards of unequal size.",
    )
    directory_time: Time = knob(
        Distribution(constant=0.5),
        "Directory look-up",
        unit="ms",
        help="Asking the directory which shard a key is on.",
    )
    read_replicas: int = knob(
        2,
        "Read replicas",
        low=0,
        high=32,
        step=1,
        main=True,
        slider_high=12,
        help="Of each shard. Reads go to them; with none, to the primary.",
    )
    connections: int = knob(
        20,
        "Connection pool",
        low=1,
        high=10_000,
        step=1,
        slider_high=200,
        help="Queries each database works on at once; others wait for a connection.",
    )
    read_time: Time = knob(
        Distribution(lognormal=Lognormal(median=6, p99=40)),
        "Read time",
        unit="ms",
        help="What one read holds a connection for.",
    )
    write_time: Time = knob(
        Distribution(lognormal=Lognormal(median=9, p99=60)),
        "Write time",
        unit="ms",
        help="What one write holds a connection for, with its commit.",
    )
    lag: Time = knob(
        Distribution(uniform=Uniform(low=10, high=100)),
        "Replica lag",
        unit="ms",
        help="How far a replica is behind when it is read.",
    )
    hop: Time = knob(
        Distribution(constant=0.5),
        "Network hop",
        unit="ms",
        help="From a server to a database and back.",
    )
    reads: Literal["replica", "primary_after_write", "primary"] = knob(
        "replica",
        "Reads go to",
        help="primary_after_write: to the primary for a while after the row was written, so that"
        " nobody misses his own write.",
    )
    pin_seconds: float = knob(
        2.0,
        "Primary after a write for",
        unit="s",
        low=0,
        high=3600,
        step=0.5,
        slider_high=30,
        help="Rails: 2 s, for the session that wrote; here, for the row.",
    )
    commit: Commit = knob(
        "local",
        "A commit waits for",
        help="PostgreSQL's synchronous_commit: off, the primary's disk (local), a standby's memory"
        " (remote_write), its disk (on), its answers (remote_apply); or a quorum of equals.",
    )
    unflushed_time: Time = knob(
        Distribution(lognormal=Lognormal(median=3, p99=20)),
        "Write time, commit off",
        unit="ms",
        help="What one write holds a connection for if it does not wait for the disk.",
    )
    pool_timeout: bool = knob(
        False, "Time-out for a connection", help="Give up if the pool has none to give."
    )
    pool_timeout_ms: float = knob(
        30_000.0,
        "Wait for a connection",
        unit="ms",
        low=1,
        high=3_600_000,
        step=250,
        slider_high=60_000,
        help="HikariCP's connectionTimeout: 30 s.",
    )
    server_pool: ServerPool = ServerPool()
    failover: Failover = Failover()
    standby: Standby = Standby()
    quorum: Quorum = Quorum()
    locks: Locks = Locks()
    tiers: Tiers = Tiers()
    backup: Backup = Backup()
    search: Search = Search()
    document: Document = Document()
    timeseries: TimeSeries = TimeSeries()
    graph: Graph = Graph()

    def shard_of(self, keys: int, zipf: float = 0.0) -> np.ndarray:
        """Return the shard of every key, by the way of sharding."""
        return shards_of(keys, self.shards, self.sharding, self.virtual_nodes, zipf)

    def choose_shard(self, program: Program, scenario: Scenario, dataset: str) -> int:
        """Emit which shard the token's key is on; return the register, 0 with one shard."""
        if self.shards == 1:
            return 0
        data = scenario.datasets[dataset]
        name = f"shards {dataset}"
        if name not in program.named:
            program.named[name] = program.lookup(self.shard_of(data.keys, data.zipf))
        if self.sharding == "directory":
            program.hold("directory", self.directory_time, NETWORK)
        shard = program.register("shard")
        program.step(Op.LOOKUP, site=program.named[name], register=shard)
        return shard

    # ------------------------------------------------------------ writing

    def write(
        self,
        program: Program,
        scenario: Scenario,
        dataset: str,
        what: str,
        mark: bool = True,
        lock: Lock = "none",
    ) -> None:
        """Emit a write on the primary of the key's shard, or on a quorum."""
        if not self.enabled:
            return
        if self.commit == "quorum":
            self.quorum.write(program, scenario, dataset, what, mark)
            return
        station = program.station("data.primary", "Primary", "database", self.shards)
        with program.at(station, what):
            program.about[program.node] = dataset
            shard = self.choose_shard(program, scenario, dataset)
            place = self._primaries(program), shard
            commit = functools.partial(self._commit, program, scenario, dataset)
            if lock == "optimistic":
                self.locks.optimistic(program, scenario, dataset, what, place, commit)
            elif lock == "pessimistic":
                self.locks.pessimistic(program, scenario, dataset, what, place, commit)
            else:
                self.query(
                    program, what, place, functools.partial(self.work, program, what, commit)
                )
                committed(program)
            if self.failover.on and self.read_replicas:
                self._replicas(program)  # one of them may have to take over
                self.failover.acknowledge(program, scenario, dataset)
            if mark and self.read_replicas and scenario.uses("read", dataset):
                keys = scenario.datasets[dataset].keys
                program.step(Op.MARK, site=program.ledger(f"writes {dataset}", keys))

    def work(self, program: Program, what: str, commit: Inner) -> None:
        """Emit what a write does while it holds its connection."""
        program.hold(what, self.unflushed_time if self.commit == "off" else self.write_time)
        commit()

    def _commit(self, program: Program, scenario: Scenario, dataset: str) -> None:
        """Emit what happens when the work of a write is done and its connection still held."""
        if guarded(scenario, dataset):
            program.step(Op.MARK, site=versions(program, scenario, dataset))
        self.standby.wait(program, scenario)

    # ------------------------------------------------------------ reading

    def read(
        self,
        program: Program,
        scenario: Scenario,
        dataset: str,
        scatter: bool = False,
        archive: bool = False,
    ) -> None:
        """Emit a read: of a cold row from the archive, of any other from where reads go."""
        if not self.enabled:
            return
        if archive and self.tiers.on:
            self.tiers.archive(program, self, dataset)
            return
        rows: list[int] = []

        def cold() -> None:
            self.tiers.archive(program, self, dataset)
            rows.append(program.step(Op.GO))

        if self.tiers.on and not scatter:
            program.chance("is cold", self.tiers.cold_share, cold)
        if self.commit == "quorum":
            self.quorum.read(program, scenario, dataset)
        elif not self.read_replicas or self.reads == "primary":
            self._read_primary(program, scenario, dataset, scatter)
        elif self.reads == "primary_after_write" and scenario.writes(dataset) and not scatter:
            self._read_pinned(program, scenario, dataset)
        else:
            self._read_replica(program, scenario, dataset, scatter)
        for row in rows:
            program.patch(row, jump=program.here)

    def _read_pinned(self, program: Program, scenario: Scenario, dataset: str) -> None:
        """Emit a read of the primary if the row was written just now, else of a replica."""
        ledger = program.ledger(f"writes {dataset}", scenario.datasets[dataset].keys)
        recent = program.step(Op.RECENT, site=ledger, number=self.pin_seconds)
        self._read_primary(program, scenario, dataset)
        row = program.step(Op.GO)
        program.patch(recent, jump=program.here)
        self._read_replica(program, scenario, dataset)
        program.patch(row, jump=program.here)

    def _read_primary(
        self, program: Program, scenario: Scenario, dataset: str, scatter: bool = False
    ) -> None:
        """Emit a read on the primary of the key's shard, or on all primaries."""
        station = program.station("data.primary", "Primary", "database", self.shards)
        with program.at(station, f"read {dataset}"):
            first = self._primaries(program)

            def one(shard: int) -> None:
                self._select(program, first, shard)

            self._on_shards(program, scenario, dataset, scatter, one)

    def _read_replica(
        self, program: Program, scenario: Scenario, dataset: str, scatter: bool = False
    ) -> None:
        """Emit a read on a replica of the key's shard, or on one of every shard."""
        station = self._replica_station(program)
        with program.at(station, f"read {dataset}"):
            self._on_shards(
                program, scenario, dataset, scatter, functools.partial(self._one_replica, program)
            )
            if not scatter or self.shards == 1:
                check(program, scenario, dataset, self.standby.fresh(self))

    def _one_replica(self, program: Program, shard: int) -> None:
        """Emit a read on the next replica of a shard."""
        first, groups = self._replicas(program)
        replica = program.register("replica")
        program.step(
            Op.ROUTE,
            "replica",
            site=groups,
            by=shard,
            register=replica,
            jump=first,
            reason=program.reason("no replica"),
        )
        self._select(program, first, replica)

    def _on_shards(
        self,
        program: Program,
        scenario: Scenario,
        dataset: str,
        scatter: bool,
        one: Callable[[int], None],
    ) -> None:
        """Emit something on the key's shard, or a leg on every shard: the slowest decides."""
        if scatter and self.shards > 1:
            shard = program.register("shard")
            legs = [functools.partial(one, shard)]
            program.together(legs, repeat=self.shards, number_in=shard)
        else:
            one(self.choose_shard(program, scenario, dataset))

    def _select(self, program: Program, site: int, by: int) -> None:
        """Emit one read; how old the row is decides how long it takes."""
        work = functools.partial(self.tiers.hold, program, self.read_time)
        self.query(program, "read", (site, by), work)

    # ------------------------------------------------------------ connections

    def query(self, program: Program, what: str, place: tuple[int, int], work: Inner) -> None:
        """Emit the way to a database, work while a connection to it is held, and the way back."""
        query(program, self, what, place, work)

    def _primaries(self, program: Program) -> int:
        """Return the first primary's pool; one a shard follows."""
        if "primaries" not in program.named:
            station = program.stations["data.primary"]
            first = program.pools(station, self.shards, self.connections, -1, self.shards)
            program.named["primaries"] = first
            self.backup.lay_out(program, self, "primary", first, 1)
        return program.named["primaries"]

    def _replica_station(self, program: Program) -> Station:
        """Return the place where reads go."""
        count = self.shards * self.read_replicas
        return program.station("data.replicas", "Read replicas", "database", count)

    def _replicas(self, program: Program) -> tuple[int, int]:
        """Return the first replica's pool and the first group; one group a shard follows."""
        if "replicas" not in program.named:
            station, count = self._replica_station(program), self.read_replicas
            total = self.shards * count
            first = program.pools(station, total, self.connections, -1, total)
            groups = [
                program.group(Policy.ROUND_ROBIN, first + shard * count, count)
                for shard in range(self.shards)
            ]
            program.named["replicas"], program.named["replica groups"] = first, groups[0]
            self.backup.lay_out(program, self, "replica", first, count)
        return program.named["replicas"], program.named["replica groups"]

    # ------------------------------------------------------------ over time, and afterwards

    def tend(self, run: ControlPlane) -> Iterator[Generator[Any, Any, Any]]:
        """Take backups, lose a standby, and promote a replica where a primary is dead."""
        if self.enabled and self.backup.on:
            yield self.backup.run(run)
        if self.enabled and self.standby.stalls(self):
            yield self.standby.lose(run)
        if self.enabled:
            yield from self.failover.tend(run)

    def adopted(self, run: ControlPlane) -> None:
        """Keep the replicas' lag what the run has made of it."""
        set_lag(run)

    def figures(self, result: Measured) -> Iterator[Figure]:
        """What is at risk, what was in conflict, and what another shard would move."""
        if not self.enabled:
            return
        yield from at_risk(result, self)
        yield from self.failover.figures(result)
        yield from self.locks.figures(result)
        yield from self.server_pool.figures(result)
        if self.shards > 1:
            yield from evenness(result.scenario)

    def bill(self, scenario: Scenario) -> Iterator[Line]:
        """Databases and the stores beside them by the hour."""
        price = scenario.prices.database_usd_per_hour
        if scenario.uses("read") or scenario.uses("write"):
            if self.commit == "quorum":
                yield Line(
                    item="Quorum replicas",
                    station="data.quorum",
                    quantity=self.shards * self.quorum.n,
                    usd_per_hour_each=price,
                )
            else:
                yield from self._bill_databases(price)
        if scenario.uses("search"):
            yield Line(
                item="Search index",
                station="data.search",
                quantity=1,
                usd_per_hour_each=scenario.prices.search_usd_per_hour,
            )
        for kind in sorted(
            {step.store for _, _, step in scenario.walk() if isinstance(step, Query)}
        ):
            yield Line(
                item=KINDS[kind], station=f"data.{kind}", quantity=1, usd_per_hour_each=price
            )

    def _bill_databases(self, price: float) -> Iterator[Line]:
        """Primaries and their replicas."""
        yield Line(
            item="Primary databases",
            station="data.primary",
            quantity=self.shards,
            usd_per_hour_each=price,
        )
        if self.read_replicas:
            yield Line(
                item="Read replicas",
                station="data.replicas",
                usd_per_hour_each=price,
                quantity=self.shards * self.read_replicas,
            )
