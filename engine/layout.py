"""Layout: the tables behind a program while they are laid out, and the world they become."""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from engine.distribution import zipf
from engine.kernel import tables
from engine.kernel.tables import NOBODY
from engine.kernel.world import World

SPARE_REASONS = 16  # why requests fail as only faults know that are injected into a run
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
    "limits",
    "breakers",
    "processors",
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

    @property
    def hands(self) -> int:
        """How many instances a pool stands for: workers that share one line share one pool."""
        return self.instances // len(self.pools) if self.pools else 0


@dataclass(frozen=True)
class Watch:
    """How the servers of a group are watched: nginx's passive checks and Envoy's ejection."""

    max_fails: int
    fail_timeout_seconds: float
    in_a_row: int
    ejection_seconds: float
    ejected_max: float

    def write(self, peers: np.ndarray) -> None:
        """Write the rules of so many servers into their rows."""
        peers["max_fails"] = self.max_fails if len(peers) > 1 else 0
        peers["timeout"], peers["row_max"] = self.fail_timeout_seconds, self.in_a_row
        peers["rest"], peers["most"] = self.ejection_seconds, self.ejected_max


class Layout:
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
        self.laid: dict[int, int] = {}  # first pool of a block -> how many were laid out
        self.watches: dict[int, tuple[Watch, int]] = {}  # first server -> rule, how many
        self.panics: dict[int, float] = {}  # group -> the share below which all are picked
        self._meters = 0
        self._legs_max = 1
        self._publishes = 0

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
        reasons_count += SPARE_REASONS
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
            visits=np.zeros(len(self._steps) + 1, np.int64),
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
            peers=self._peers(),
            choices=self._table("choices", tables.Choice),
            chances=np.array(self._chances or [1.0]),
            keyspaces=self._table("keyspaces", tables.Keyspace),
            popularity=popularity,
            guides=guides,
            lookups=joined(self._lookups, np.int32),
            stores=self._table("stores", tables.Store),
            entries=entries,
            residents=np.full(max(1, self._sizes["residents"]), NOBODY, np.int32),
            victims=self._victims(),
            ledgers=self._table("ledgers", tables.Ledger),
            marks=np.full(max(1, self._sizes["marks"]), -1e18),
            retries=self._table("retries", tables.Retry),
            lanes=self._table("lanes", tables.Lane),
            limits=self._table("limits", tables.Limit),
            breakers=self._table("breakers", tables.Breaker),
            processors=self._table("processors", tables.Processor),
            channels=self._table("channels", tables.Channel),
            partitions=self._table("partitions", tables.Partition),
            messages=chained(np.zeros(messages, tables.Message)),
            disturbances=np.zeros(1, tables.Disturbance),
            targets=np.zeros(1, np.int32),
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

    def _peers(self) -> np.ndarray:
        """Return what is known of every pool's health."""
        peers = np.zeros(max(1, len(self._rows["pools"])), tables.Peer)
        for first, (rule, count) in self.watches.items():
            watched = peers[first : first + count]
            rule.write(watched)
            watched["checked"] = watched["accessed"] = watched["until"] = -1e18
        return peers

    def _victims(self) -> np.ndarray:
        """Return the eviction pools, empty."""
        victims = np.zeros(max(1, self._sizes["victims"]), tables.Victim)
        victims["key"] = NOBODY
        return victims

    def _step_table(self) -> np.ndarray:
        """Return the steps; behind them one more, at which those fail who are made to."""
        rows: list[dict[str, float]] = [*self._steps, {"op": tables.Op.FAIL}]
        steps = np.zeros(len(rows), tables.Step)
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
            values = [step.get(name, defaults[name]) for step in rows]
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
