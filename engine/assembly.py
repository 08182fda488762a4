"""Assembly: the tables behind a program, row by row, and the world that they become."""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.distribution import Distribution, zipf
from engine.kernel import tables
from engine.kernel.tables import NOBODY, Policy
from engine.kernel.world import World

TABLES = (
    "dists",
    "pools",
    "groups",
    "choices",
    "keyspaces",
    "stores",
    "ledgers",
    "retries",
    "lanes",
    "channels",
    "partitions",
    "sources",
)


@functools.cache
def label_hash(label: str) -> int:
    """Return the 64 bits that stand for a label in the kernel, the same everywhere."""
    return int.from_bytes(hashlib.blake2b(label.encode(), digest_size=8).digest(), "little")


@dataclass
class Station:
    """A place on the map: what a component is called and where its numbers are kept."""

    name: str
    title: str
    layer: str
    kind: str
    instances: int = 1
    meter: int = NOBODY
    pools: list[int] = field(default_factory=list)  # of each instance that is on
    stores: list[int] = field(default_factory=list)
    channel: int = NOBODY
    cpus: list[int] = field(default_factory=list)  # of each instance, where they are pools


class Assembly:
    """Tables under construction."""

    def __init__(self) -> None:
        self.stations: dict[str, Station] = {}
        self.named: dict[str, int] = {}  # places that others ask for by name
        self.warm: list[tuple[int, float]] = []  # (store, time to live) to begin filled
        self._steps: list[dict[str, float]] = []
        self._rows: dict[str, list[tuple[float, ...]]] = {name: [] for name in TABLES}
        self._samples: list[float] = []
        self._chances: list[float] = []
        self._popular: list[tuple[int, float]] = []
        self._lookups: list[np.ndarray] = []
        self._sizes: Counter[str] = Counter()
        self._starts: list[int] = []
        self._known: dict[object, int] = {}
        self._meters = 0
        self._legs_max = 1
        self._publishes = 0

    def dist(self, time: Distribution, scale: float = 1.0) -> int:
        """Add a distribution; equal ones stand apart, so that one can change on its own."""
        (family, count, a, b, c), samples = time.row(scale)
        first = len(self._samples)
        self._samples.extend(samples)
        return self._add("dists", (family, first, count, a, b, c))

    def dists(self, times: Sequence[tuple[Distribution, float]]) -> int:
        """Return the first row of distributions that stand together, for a register to choose."""
        first = len(self._rows["dists"])
        for time, scale in times:
            (shape, count, a, b, c), samples = time.row(scale)
            assert not samples, "empirical distributions stand alone"
            self._add("dists", (shape, 0, count, a, b, c))
        return first

    def pool(self, station: Station, slots: int, room: int = NOBODY) -> int:
        """Add a pool of equal slots with room for so many to wait; NOBODY: no limit."""
        return self.pools(station, 1, slots, room, 1)

    def pools(
        self,
        station: Station,
        laid: int,
        slots: int,
        room: int,
        on: int,
        weights: Sequence[int] = (1,),
        meter: int | None = None,
    ) -> int:
        """Lay out pools side by side, the first `on` of them in use; return the first."""
        gauge = station.meter if meter is None else meter
        first = len(self._rows["pools"])
        for index in range(laid):
            weight = weights[index % len(weights)]
            self._add(
                "pools",
                (
                    slots,
                    0,
                    0,
                    room,
                    NOBODY,
                    NOBODY,
                    gauge,
                    1,
                    0.0,
                    0.0,
                    0.0,
                    0,
                    0,
                    weight,
                    weight,
                    0,
                ),
            )
        station.pools.extend(range(first, first + on))
        return first

    def meter(self) -> int:
        """Add a meter that belongs to no station, for what only some want to know."""
        self._meters += 1
        return self._meters - 1

    def group(self, policy: Policy, first: int, count: int, draws: int = 2) -> int:
        """Add a group of `count` pools from `first` on, to pick from."""
        return self._add("groups", (policy, first, count, draws, 0))

    def shared_group(self, name: str, policy: Policy, first: int, count: int, draws: int) -> int:
        """Return the group of this name, made on first use."""
        known = ("group", name)
        if known not in self._known:
            self._known[known] = self.group(policy, first, count, draws)
        return self._known[known]

    def choice(self, weights: Sequence[float]) -> int:
        """Add a choice by weight."""
        self._chances.extend(np.cumsum(weights) / np.sum(weights))
        return self._add("choices", (len(self._chances) - len(weights), len(weights)))

    def keyspace(self, keys: int, exponent: float) -> int:
        """Add a space of keys with Zipf popularity."""
        known = ("keyspace", keys, exponent)
        if known not in self._known:
            guides = keys if exponent > 0 else 0  # all alike need no table
            first = self._sizes["popularity"]
            self._known[known] = self._add("keyspaces", (first, keys, first, guides))
            if guides:
                self._popular.append((keys, exponent))
                self._sizes["popularity"] += keys
        return self._known[known]

    def lookup(self, table: np.ndarray) -> int:
        """Add a table by key; return its first row."""
        return self._extend("lookups", self._lookups, table.astype(np.int32))

    def store(
        self, station: Station, keys: int, capacity: int, ttl: Distribution, warm: bool = False
    ) -> int:
        """Add a store of at most `capacity` of `keys` keys; a warm one begins filled."""
        index = self._add(
            "stores",
            (
                self._sizes["entries"],
                keys,
                min(capacity, keys),
                0,
                NOBODY,
                NOBODY,
                station.meter,
                self.dist(ttl),
                int(capacity < keys),
                0,
                0,
                0,
                0,
                0,
            ),
        )
        self._sizes["entries"] += keys
        station.stores.append(index)
        if warm and ttl.mean_ms > 0:
            self.warm.append((index, ttl.mean_ms / 1e3))
        return index

    def ledger(self, name: str, keys: int) -> int:
        """Return the ledger of this name, made on first use."""
        if name not in self.named:
            self.named[name] = self._add("ledgers", (self._sizes["marks"], 0, 0, 0, 0, 0.0))
            self._sizes["marks"] += keys
        return self.named[name]

    def retry(
        self,
        attempts: int = 1,
        base: float = 0.0,
        cap: float = 0.0,
        jitter: int = 0,
        cancels: bool = False,
        otherwise: int = NOBODY,
    ) -> int:
        """Add a rule for trying again; times in seconds."""
        return self._add("retries", (attempts, int(cancels), jitter, otherwise, 0, base, cap))

    def lane(self) -> int:
        """Add a lane for timers of one length."""
        return self._add("lanes", (NOBODY, NOBODY, NOBODY, np.inf))

    def channel(
        self,
        station: Station,
        workers: list[int],
        owners: Sequence[int],
        attempts: int,
        again: Distribution,
        room: int = NOBODY,
    ) -> int:
        """Add a channel whose partition p is served by `workers[owners[p]]`."""
        first = len(self._rows["partitions"])
        for owner in owners:
            self._add("partitions", (NOBODY, NOBODY, 0, workers[owner]))
        row = (
            first,
            len(owners),
            len(workers),
            0,
            self.dist(again),
            station.meter,
            attempts,
            room,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0.0,
            0.0,
        )
        station.channel = self._add("channels", row)
        return station.channel

    def start_channel(self, channel: int, row: int) -> None:
        """Say where the messages of a channel begin."""
        old = self._rows["channels"][channel]
        self._rows["channels"][channel] = (*old[:3], row, *old[4:])

    def source(
        self,
        label: str,
        weights: Sequence[float],
        starts: Sequence[int],
        rate: float,
        gap: Distribution,
        think: Distribution,
        users: int,
        arrive: int,
    ) -> int:
        """Add a source of requests; a rate below 0 makes it closed, with `users` users."""
        choice = self.choice(weights)
        first = len(self._starts)
        self._starts.extend(starts)
        return self._add(
            "sources",
            (
                users,
                choice,
                first,
                self.dist(gap),
                self.dist(think),
                arrive,
                0,
                rate,
                0.0,
                0.0,
                label_hash(label),
                NOBODY,
            ),
        )

    def legs(self, starts: Sequence[int], repeat: int) -> int:
        """Add the starts of a fork's legs; return where they stand."""
        self._legs_max = max(self._legs_max, len(starts) * repeat)
        self._starts.extend(starts)
        return len(self._starts) - len(starts)

    def _add(self, table: str, row: tuple[float, ...]) -> int:
        self._rows[table].append(row)
        return len(self._rows[table]) - 1

    def _extend(self, name: str, parts: list[np.ndarray], part: np.ndarray) -> int:
        first = self._sizes[name]
        parts.append(part)
        self._sizes[name] += len(part)
        return first

    # ------------------------------------------------------------ the whole

    @property
    def channels(self) -> list[tuple[float, ...]]:
        """The rows of all channels."""
        return self._rows["channels"]

    @property
    def reserve(self) -> int:
        """How many tokens one event may need at most."""
        return self._legs_max + self._publishes + 8

    def assemble(
        self, seed: int, journeys_count: int, reasons_count: int, tokens: int, messages: int
    ) -> World:
        """Return the arrays of a run that has not begun."""
        journeys = journeys_count
        places = tables.STRATA + reasons_count + 1
        traces = np.zeros((journeys, places), tables.Trace)
        traces["request"] = NOBODY
        entries = np.zeros(max(1, self._sizes["entries"]), tables.Entry)
        entries["before"] = entries["behind"] = -2
        popularity, guides = popularities(tuple(self._popular))
        clock = np.zeros(1, tables.Clock)
        clock["seed"] = np.uint64(label_hash(f"seed {seed}"))
        clock["spare"], clock["spare_messages"] = tokens, messages
        return World(
            clock=clock,
            steps=self._step_table(),
            visits=np.zeros(max(1, len(self._steps)), np.int64),
            dists=self._table("dists", tables.Dist),
            samples=np.array(self._samples or [0.0]),
            due=np.zeros(tokens + 256),
            order=np.zeros(tokens + 256, np.int64),
            who=np.zeros(tokens + 256, np.int64),
            tokens=chained(np.zeros(tokens, tables.Token)),
            registers=np.zeros((tokens, tables.REGISTERS), np.int32),
            holds=np.zeros((tokens, tables.HOLDS), tables.Hold),
            scopes=np.zeros((tokens, tables.SCOPES), tables.Scope),
            spent=np.zeros((tokens, tables.ACCOUNTS), np.float32),
            leaves=np.zeros((tokens, tables.LEAVES), tables.Leaf),
            pools=self._table("pools", tables.Pool),
            groups=self._table("groups", tables.Group),
            choices=self._table("choices", tables.Choice),
            chances=np.array(self._chances or [1.0]),
            keyspaces=self._table("keyspaces", tables.Keyspace),
            popularity=popularity,
            guides=guides,
            lookups=joined(self._lookups, np.int32),
            stores=self._table("stores", tables.Store),
            entries=entries,
            ledgers=self._table("ledgers", tables.Ledger),
            marks=np.full(max(1, self._sizes["marks"]), -1e18),
            retries=self._table("retries", tables.Retry),
            lanes=self._table("lanes", tables.Lane),
            channels=self._table("channels", tables.Channel),
            partitions=self._table("partitions", tables.Partition),
            messages=chained(np.zeros(messages, tables.Message)),
            sources=self._table("sources", tables.Source),
            starts=np.array(self._starts or [0], np.int64),
            journeys=np.zeros(journeys, tables.Journey),
            reasons=np.zeros((journeys, reasons_count + 1), np.int64),
            latency=np.zeros((journeys, tables.BINS), np.int64),
            window=np.zeros(tables.BINS, np.int64),
            shares=np.zeros((journeys, tables.STRATA, tables.ACCOUNTS)),
            meters=np.zeros(max(1, self._meters), tables.Meter),
            waits=np.zeros((max(1, self._meters), tables.BINS), np.int64),
            stays=np.zeros((max(1, self._meters), tables.BINS), np.int64),
            traces=traces,
            trace_leaves=np.zeros(
                (journeys * places, tables.LEAVES + tables.BACKGROUND), tables.Leaf
            ),
            kept=np.full(tables.KEPT_INDEX, NOBODY, np.int64),
        )

    def _step_table(self) -> np.ndarray:
        steps = np.zeros(len(self._steps), tables.Step)
        defaults = {
            "op": 0,
            "site": 0,
            "by": 0,
            "jump": 0,
            "dist": 0,
            "account": 0,
            "reason": 0,
            "register": 0,
            "number": 0.0,
            "label": 0,
        }
        names = tables.Step.names
        assert names is not None
        for name in names:
            values = [step.get(name, defaults[name]) for step in self._steps]
            steps[name] = np.array(values, np.uint64 if name == "label" else None)
        return steps

    def _table(self, name: str, dtype: np.dtype) -> np.ndarray:
        rows = self._rows[name]
        return np.array(rows, dtype)


def chained(rows: np.ndarray, first: int = 0) -> np.ndarray:
    """Chain free rows through `behind`, from index `first` on."""
    rows["behind"] = np.arange(first + 1, first + len(rows) + 1)
    rows["behind"][-1:] = NOBODY
    if "order" in (rows.dtype.names or ()):
        rows["order"] = NOBODY
    return rows


@functools.lru_cache(maxsize=16)
def popularities(spaces: tuple[tuple[int, float], ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the popularity tables of several keyspaces end to end; runs share them."""
    parts = [zipf(keys, exponent) for keys, exponent in spaces]
    tables_of = joined([p for p, _ in parts], np.float64), joined([g for _, g in parts], np.int32)
    for table in tables_of:
        table.flags.writeable = False
    return tables_of


def joined(parts: list[np.ndarray], dtype: type) -> np.ndarray:
    """Return arrays end to end; never an empty one."""
    return np.concatenate(parts) if parts else np.zeros(1, dtype)
