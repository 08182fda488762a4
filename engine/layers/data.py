"""Data: a primary, read replicas that lag behind, shards, and a search index."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from engine.component import Component, Inner, Layer, Line, Step, knob
from engine.distribution import Distribution, Lognormal, Time, Uniform
from engine.kernel.tables import Op, Policy
from engine.program import NETWORK, WAITING, Program

if TYPE_CHECKING:
    from engine.scenario import Scenario

SHARDS_MAX = 64
VIRTUAL_NODES = 160  # ketama's number of points a server


class Search(Component):
    """A search index, such as Elasticsearch."""

    slots: int = knob(
        32,
        "Search threads",
        low=1,
        high=10_000,
        step=1,
        slider_high=256,
        help="Queries it works on at once. Elasticsearch: 3 × cores / 2 + 1 a node.",
    )
    query_time: Time = knob(
        Distribution(lognormal=Lognormal(median=40, p99=180)),
        "Search time",
        unit="ms",
        help="What one query takes.",
    )


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
    sharding: Literal["hash", "range", "consistent_hash"] = knob(
        "hash", "Sharding", help="How a key finds its shard."
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
    search: Search = Search()

    def shard_of(self, keys: int) -> np.ndarray:
        """Return the shard of every key, by the way of sharding."""
        ranks = np.arange(keys)
        if self.sharding == "range":
            return ranks * self.shards // keys
        hashes = scattered(ranks)
        if self.sharding == "hash":
            return (hashes % np.uint64(self.shards)).astype(np.int64)
        points, owners = ring(self.shards)
        places = np.searchsorted(points, hashes >> np.uint64(32), side="left") % len(points)
        return owners[places]

    def choose_shard(self, program: Program, scenario: Scenario, dataset: str) -> int:
        """Emit which shard the token's key is on; return the register, 0 with one shard."""
        if self.shards == 1:
            return 0
        keys = scenario.datasets[dataset].keys
        name = f"shards {dataset}"
        if name not in program.named:
            program.named[name] = program.lookup(self.shard_of(keys))
        shard = program.register("shard")
        program.step(Op.LOOKUP, site=program.named[name], register=shard)
        return shard

    def write(
        self, program: Program, scenario: Scenario, dataset: str, what: str, mark: bool = True
    ) -> None:
        """Emit a write on the primary of the key's shard."""
        if not self.enabled:
            return
        station = program.station("data.primary", "Primary", "database", self.shards)
        with program.at(station, what):
            shard = self.choose_shard(program, scenario, dataset)
            self.query(program, what, self._primaries(program), shard, self.write_time)
            if mark and self.read_replicas and scenario.uses("read", dataset):
                keys = scenario.datasets[dataset].keys
                program.step(Op.MARK, site=program.ledger(f"writes {dataset}", keys))

    def read(self, program: Program, scenario: Scenario, dataset: str) -> None:
        """Emit a read on a replica of the key's shard; without replicas, on its primary."""
        if not self.enabled:
            return
        if not self.read_replicas:
            station = program.station("data.primary", "Primary", "database", self.shards)
            with program.at(station, f"read {dataset}"):
                shard = self.choose_shard(program, scenario, dataset)
                self.query(program, "read", self._primaries(program), shard, self.read_time)
            return
        station = program.station(
            "data.replicas", "Read replicas", "database", self.shards * self.read_replicas
        )
        with program.at(station, f"read {dataset}"):
            shard = self.choose_shard(program, scenario, dataset)
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
            self.query(program, "read", first, replica, self.read_time)
            if scenario.writes(dataset):
                keys = scenario.datasets[dataset].keys
                program.step(
                    Op.CHECK,
                    "lag",
                    site=program.ledger(f"writes {dataset}", keys),
                    dist=program.dist(self.lag),
                )

    def query(self, program: Program, what: str, site: int, by: int, time: Distribution) -> None:
        """Emit the way to a database, a connection held for a time, and the way back."""
        program.hold(f"{what} hop", self.hop, NETWORK)
        program.step(Op.SEIZE, kind=WAITING, site=site, by=by)
        program.hold(what, time)
        program.step(Op.RELEASE)

    def _primaries(self, program: Program) -> int:
        """Return the first primary's pool; one a shard follows."""
        if "primaries" not in program.named:
            station = program.stations["data.primary"]
            program.named["primaries"] = program.pools(
                station, self.shards, self.connections, -1, self.shards
            )
        return program.named["primaries"]

    def _replicas(self, program: Program) -> tuple[int, int]:
        """Return the first replica's pool and the first group; one group a shard follows."""
        if "replicas" not in program.named:
            station, count = program.stations["data.replicas"], self.read_replicas
            total = self.shards * count
            first = program.pools(station, total, self.connections, -1, total)
            groups = [
                program.group(Policy.ROUND_ROBIN, first + shard * count, count)
                for shard in range(self.shards)
            ]
            program.named["replicas"], program.named["replica groups"] = first, groups[0]
        return program.named["replicas"], program.named["replica groups"]

    def bill(self, scenario: Scenario) -> Iterator[Line]:
        """Databases and the search index by the hour."""
        price = scenario.prices.database_usd_per_hour
        if scenario.uses("read") or scenario.uses("write"):
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
        if scenario.uses("search"):
            yield Line(
                item="Search index",
                station="data.search",
                quantity=1,
                usd_per_hour_each=scenario.prices.search_usd_per_hour,
            )


class Read(Step):
    """Read a row of a dataset."""

    do: Literal["read"] = "read"
    dataset: str

    def names(self) -> list[tuple[str, str]]:
        """The dataset."""
        return [("dataset", self.dataset)]

    def emit(self, program: Program, scenario: Scenario, inner: Inner) -> None:
        """Emit the read."""
        scenario.draw_key(program, self.dataset)
        scenario.data.read(program, scenario, self.dataset)


class Write(Step):
    """Write a row of a dataset; the cached copy goes by the cache's policy: usually out."""

    do: Literal["write"] = "write"
    dataset: str
    invalidate: bool = Field(default=True, description="Take the key out of the read cache.")

    def names(self) -> list[tuple[str, str]]:
        """The dataset."""
        return [("dataset", self.dataset)]

    def emit(self, program: Program, scenario: Scenario, inner: Inner) -> None:
        """Emit the write, and what becomes of the cached copy."""

        def database() -> None:
            scenario.data.write(program, scenario, self.dataset, "write")

        scenario.draw_key(program, self.dataset)
        scenario.cache.write(program, scenario, self.dataset, database, self.invalidate)


class Find(Step):
    """Ask the search index."""

    do: Literal["search"] = "search"

    def emit(self, program: Program, scenario: Scenario, inner: Inner) -> None:
        """Emit the query."""
        data = scenario.data
        if not data.enabled:
            return
        station = program.station("data.search", "Search index", "database")
        with program.at(station, "query"):
            if not station.pools:
                program.pool(station, data.search.slots)
            data.query(program, "search", station.pools[0], 0, data.search.query_time)


def scattered(keys: np.ndarray) -> np.ndarray:
    """Return SplitMix64's finaliser of every key: a hash that spreads neighbours."""
    z = keys.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def ring(shards: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the points of a consistent-hash ring, sorted, and the shard each belongs to.

    D. Karger et al., "Consistent Hashing and Random Trees", STOC 1997.
    """
    points = [
        (
            int.from_bytes(
                hashlib.md5(f"{shard}-{point}".encode(), usedforsecurity=False).digest()[:4],
                "little",
            ),
            shard,
        )
        for shard in range(shards)
        for point in range(VIRTUAL_NODES)
    ]
    points.sort()
    places, owners = zip(*points, strict=True)
    return np.array(places, np.uint64), np.array(owners, np.int64)
