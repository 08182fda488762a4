"""The parts: every real thing behind a scenario, made fresh for one microscope."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from engine.kernel.tables import NOBODY, Keep, Op
from engine.microscope.backends import Stores
from engine.microscope.books import Ledger, deeds_of
from engine.microscope.broker import Broker
from engine.microscope.clock import Clock
from engine.microscope.database import Index, Shard
from engine.microscope.done import Done
from engine.microscope.keeping import Store
from engine.microscope.names import Names, key_name, one_of
from engine.microscope.sampling import Sampler
from engine.microscope.shelves import MemoryShelf, RedisShelf, Shelf, UniqueShelf
from engine.microscope.sql import Base
from engine.microscope.telemetry import Telemetry

if TYPE_CHECKING:
    from engine.microscope.scene import Scene, Token
    from engine.microscope.script import Script, Step

WORDS = {
    "edge.cdn": ("HTTP GET /", "x-cache: HIT", "x-cache: MISS"),
    "edge.dns": ("resolve for", "remembered", "not remembered"),
}


class Parts:
    """Caches, broker, databases, index and telemetry of one microscope."""

    def __init__(self, clock: Clock, script: Script, seed: int, behind: Stores) -> None:
        self.clock, self.script, self.behind = clock, script, behind
        self.names = Names()
        self.telemetry = Telemetry(seed)
        self.cache, self.queue = behind.keys("cache", clock), behind.keys("queue", clock)
        self.broker = Broker(self.queue)
        self.buffer = Buffer(self.cache)
        self.effects = Effects(behind.base("effects"))
        self.datasets = script.scenario.datasets
        self.stores: list[Store] = []
        self.ledgers: list[Ledger] = []
        data = script.scenario.data
        with behind.batch():
            self.shards = [self.shard(number) for number in range(data.shards)]
            self.index = Index(behind.base("search"))
        self.take_on(script)

    def take_on(self, script: Script) -> None:
        """Know the rows of a script."""
        self.script = script
        self.deeds = deeds_of(script.steps)
        self.keyed = {
            step.site: step.station.partition(".")[2]
            for step in script.steps
            if step.op == Op.GET and step.what in {"seen", "done"}
        }
        self.acting = _acting(script.steps)
        marked = {ledger.name: ledger for ledger in self.ledgers}
        count = len(script.world.ledgers)
        names = [script.ledgers_named.get(index, f"ledger {index}") for index in range(count)]
        self.ledgers = [marked.get(name) or Ledger(name) for name in names]
        kept = {store.name: store for store in self.stores}
        self.stores = [self._store(index) for index in range(len(script.world.stores))]
        for index, ttl_seconds in script.program.warm:
            self.stores[index].warm(ttl_seconds)
        for store in self.stores:
            if store.name in kept:
                store.take_over(kept[store.name])

    def shard(self, number: int) -> Shard:
        """Return a shard with its replicas, all of them empty.

        Of a dataset that nobody reads, every row that is written is new.
        """
        scenario = self.script.scenario
        read = {*scenario.datasets_of("read"), *scenario.datasets_of("lookup"),
                *scenario.datasets_of("count")}  # fmt: skip
        inserted = frozenset(self.datasets) - read

        def open_base(role: str) -> Base:
            return self.behind.base(f"shard{number + 1} {role}")

        return Shard(list(self.datasets), scenario.data.read_replicas, open_base, inserted)

    def _store(self, index: int) -> Store:
        row = self.script.world.stores[index]
        values = {
            name: row[name].item()
            for name in ("keys", "capacity", "ttl", "bounded", "personal", "sliding", "early")
        }
        name = self.script.stores_named.get(index, f"store {index}")
        if index in self.keyed:
            name = f"keys of {self.keyed[index]}"
        station = next(
            (s.name for s in self.script.program.stations.values() if index in s.stores), ""
        )
        sampler = None
        if values["bounded"] == Keep.SAMPLED:
            sampler = Sampler(row["sample"].item(), row["samples"].item())
        shelf = self._shelf(index, name, station)
        return Store(name, station, shelf=shelf, sampler=sampler, **values)

    def _shelf(self, index: int, name: str, station: str) -> Shelf:
        """Return where a store's things lie."""
        what, _, dataset = name.partition(" ")
        clock = self.clock
        if index in self.keyed:
            kind = self.keyed[index]
            return UniqueShelf(clock, lambda key: f"{kind}:request-{key}", self.effects.base)
        if what == "cache":
            return RedisShelf(clock, lambda key: key_name(dataset, key), self.cache)
        if what == "absent":
            return RedisShelf(clock, lambda key: f"absent:{key_name(dataset, key)}", self.cache)
        if what == "leases":
            return RedisShelf(clock, lambda key: f"lease:{key_name(dataset, key)}", self.cache)
        if station == "cache.sessions":
            return RedisShelf(clock, lambda key: f"session:user-{key}", self.cache)
        words = WORDS.get(station, ("look for", "found", "not found"))
        if station == "edge.dns":
            return MemoryShelf(clock, lambda key: f"resolver {key}", words)
        return MemoryShelf(clock, lambda key: f"{name.rpartition('.')[2]}/{key}", words)

    def acts(self, step: Step, token: Token, scene: Scene) -> bool:
        """Do what a worker's work does in the world; return whether it stands for itself.

        With idempotency keys it is one transaction with the key.
        """
        if step.row not in self.acting or token.channel == NOBODY:
            return False
        kind = step.station.partition(".")[2]
        done = self.effects.add(kind, token.request, scene.now)
        metric = self.telemetry.count(self.telemetry.messages, kind=kind, event="effect")
        text = f"{kind}: {done.changed[0].partition(': ')[2]}"
        scene.journal.say(scene, token, step, text, done, metric=metric)
        return step.op == Op.ACK

    # ------------------------------------------------------------ asking

    def register(self, name: str) -> int:
        """Return the register of a name, 0 if there is none."""
        return next((n for n, known in self.script.registers.items() if known == name), 0)

    def shard_of(self, dataset: str, key: int) -> int:
        """Return the shard that a row is on."""
        first = self.script.named.get(f"shards {dataset}")
        return 0 if first is None else int(self.script.world.lookups[first + key])

    def marked(self, step: Step) -> bool:
        """Return whether a write is followed by a mark in the ledger that replicas are behind."""
        return any(
            other.op == Op.MARK
            and other.node == step.node
            and self.ledgers[other.site].name.startswith("writes")
            for other in self.script.steps
        )

    def read(self, token: Token, row: Any) -> None:
        """Let a token have a row in hand."""
        token.carries["row"] = row

    def value_of(self, step: Step, token: Token) -> str:
        """Return what is kept under a key: the row, the hits of a search, who it is."""
        if step.station == "cache.sessions":
            return f"user {token.user}"
        if "found" in token.carries and step.operation.endswith("searches"):
            return str(token.carries["found"])
        row = token.carries.get("row")
        if row is None:
            return "1"
        return json.dumps({"name": row[1], "version": row[2]}, ensure_ascii=False)


def _acting(steps: list[Step]) -> frozenset[int]:
    """Return the rows before which a worker's work has its effect.

    With idempotency keys, where the key is kept; where doubles are only counted, where they
    are; else before the acknowledgement.
    """
    found: set[int] = set()
    skips = {step.station for step in steps if step.op == Op.GET and step.what == "seen"}
    counts = {step.station for step in steps if step.op == Op.GET and step.what == "done"}
    for step in steps:
        kept = step.op == Op.PUT and step.what == "keep" and step.station in skips
        counted = step.op == Op.GET and step.what == "done" and step.station not in skips
        neither = step.station not in counts and step.operation == "process"
        if kept or counted or (step.op == Op.ACK and neither):
            found.add(step.row)
    return frozenset(found)


class Buffer:
    """The write-behind buffer: a hash of counts in Redis, written to the database in batches."""

    def __init__(self, redis: Any) -> None:
        self.redis = redis
        self.batches: dict[int, list[tuple[int, int]]] = {}  # errand -> rows and counts

    def name(self, dataset: str) -> str:
        """Return the key of a dataset's hash."""
        return f"buffer:{dataset}"

    def add(self, dataset: str, key: int) -> Done:
        """HINCRBY."""
        name, field = self.name(dataset), key_name(dataset, key)
        count = self.redis.execute_command("HINCRBY", name, key, 1)
        return Done(f"HINCRBY {name} {field} 1", str(count), (f"{field}: {count} not flushed",))

    def held(self, dataset: str) -> dict[int, int]:
        """Return what is not flushed yet: counts by key."""
        found = self.redis.execute_command("HGETALL", self.name(dataset))
        if not isinstance(found, dict):  # as the wire has it
            found = dict(zip(found[::2], found[1::2], strict=True))
        return {int(key): int(count) for key, count in found.items()}

    def take(self, dataset: str) -> tuple[list[tuple[int, int]], Done]:
        """Take all that was counted out of the hash."""
        rows = sorted(self.held(dataset).items())
        self.redis.execute_command("DEL", self.name(dataset))
        name = self.name(dataset)
        return rows, Done(f"HGETALL {name}; DEL {name}", f"{len(rows)} {one_of(dataset)} keys")

    def write(self, errand: int, dataset: str, parts: Parts) -> Done:
        """Write a batch to the primaries of its rows."""
        rows = self.batches.pop(errand, [])
        changed: list[str] = []
        for key, count in rows:
            shard = parts.shards[parts.shard_of(dataset, key)]
            changed += shard.update(dataset, key, views=count).changed
            shard.ship(dataset, key, parts.clock.now)
        text = f"UPDATE {dataset} SET views = views + ? WHERE id = ?  -- {len(rows)} rows"
        return Done(text, f"UPDATE {len(rows)}", tuple(changed))


class Effects:
    """What workers have done in the world: charges, reservations, e-mails; each a row."""

    def __init__(self, base: Base) -> None:
        self.base = base
        base.create("effects", "number BIGINT, kind TEXT, request BIGINT, time DOUBLE PRECISION")
        base.create("done", "key TEXT PRIMARY KEY, until DOUBLE PRECISION")
        self.number = 0

    def add(self, kind: str, request: int, now: float) -> Done:
        """Do it: once more."""
        self.number += 1
        self.base.run(
            "INSERT INTO {} VALUES (?, ?, ?, ?)", self.number, kind, request, now, table="effects"
        )
        times = self.count(kind, request)
        text = f"INSERT INTO {kind} (request) VALUES ({request})"
        often = f"done {times} times" if times > 1 else "done"
        return Done(text, "INSERT 0 1", (f"{kind} of request {request}: {often}",))

    def count(self, kind: str, request: int) -> int:
        """Return how often something was done for a request."""
        statement = "SELECT count(*) FROM {} WHERE kind = ? AND request = ?"
        ((count,),) = self.base.run(statement, kind, request, table="effects")
        return int(count)

    def all(self) -> list[dict[str, Any]]:
        """Return all that was done."""
        statement = "SELECT kind, request, time FROM {} ORDER BY number"
        return [
            {"kind": kind, "request": request, "time": time}
            for kind, request, time in self.base.run(statement, table="effects")
        ]
