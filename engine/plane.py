"""The data plane as the control plane sees it: advance it, read it, change it."""

from collections.abc import Callable, Sequence

import numpy as np

from engine.kernel.loop import (
    add_users,
    launch,
    make_due,
    open_source,
    run_until,
    serve_channel,
    serve_line,
)
from engine.kernel.sample import FIRST_COUNT
from engine.kernel.share import set_speed
from engine.kernel.store import ABSENT
from engine.kernel.tables import NOBODY, VICTIMS, Keep, Sample
from engine.kernel.watch import eject
from engine.kernel.world import World
from engine.layers.data import scattered
from engine.layout import chained
from engine.program import Program

TOKENS_MAX = 1 << 22  # requests in flight; beyond it the run stops with a clear word
BY_TOKEN = ("tokens", "registers", "holds", "scopes", "spent", "leaves")
# What a change may touch while a run goes on: parameters, never state.
PARAMETERS = {
    "steps": ("number", "dist"),
    "dists": ("family", "first", "count", "a", "b", "c"),
    "pools": ("slots", "room", "weight", "ceiling", "backup"),
    "groups": ("policy", "count", "draws"),
    "peers": ("max_fails", "timeout", "row_max", "rest", "most"),
    "stores": ("capacity", "ttl", "sliding", "sample", "samples", "early", "fancy"),
    "retries": ("attempts", "cancels", "jitter", "keeps", "rest", "cap"),
    "limits": ("rate", "burst", "window"),
    "breakers": ("failures", "probes", "rest"),
    "processors": ("cores",),
    "channels": ("workers", "again", "attempts", "room", "retention"),
    "partitions": ("worker",),
}

# What a change may not touch: state is laid out by it.
LAYOUT = {
    "keyspaces": ("first", "count", "guides"),
    "choices": ("first", "count"),
    "stores": ("first", "keys", "bounded", "personal", "residents", "victims"),
    "ledgers": ("first",),
    "groups": ("first", "watched"),
    "pools": ("meter",),
    "retries": ("budget",),
    "processors": ("pool",),
    "channels": ("first", "partitions", "start", "meter"),
    "sources": ("users", "journeys", "starts", "arrive"),
}
SHARED = ("lookups", "popularity", "starts")


class TooManyInFlightError(Exception):
    """More requests are in the system at once than the simulator holds."""


class Plane:
    """One run of a program: its arrays, and exact access to them at any instant."""

    def __init__(self, program: Program, seed: int) -> None:
        self.program = program
        self.world = program.world(seed)
        for store, ttl_seconds in program.warm:
            self._fill(store, ttl_seconds)
        source = self.world.sources[0]
        if source["rate"] < 0:
            self._add_users(0, int(source["users"]))
        else:
            self._call(open_source, 0)

    @property
    def now(self) -> float:
        """Simulated seconds since the start."""
        return float(self.world.clock["now"][0])

    def advance(self, until: float) -> None:
        """Play every event due by `until`, seconds; a pause changes nothing."""
        while not self._call(run_until, until, self.program.reserve):
            self._make_room()

    def set_rate(self, per_second: float, source: int = 0) -> None:
        """Change the rate of an open source; the rest of the gap at hand is stretched."""
        row = self.world.sources[source]
        if row["rate"] == per_second:
            return
        done = (self.now - row["since"]) * max(0.0, row["rate"])
        row["left"] = max(0.0, row["left"] - done)
        row["since"], row["rate"] = self.now, per_second
        self._room_on_agenda()
        self._call(make_due, source)

    def has(self, name: str) -> bool:
        """Return whether the program has a place of this name."""
        return name in self.program.named

    def open_ledger(self, name: str) -> tuple[int, int]:
        """Return (writes, distinct keys) of a ledger since it was last opened, and open it."""
        ledger = self.world.ledgers[self.program.named[name]]
        seen = int(ledger["marks"]), int(ledger["distinct"])
        ledger["marks"] = ledger["distinct"] = 0
        ledger["opened"] = self.now
        return seen

    def launch(self, name: str, count: int) -> None:
        """Let `count` errands of the control plane's own walk from a named step on."""
        self._need(count)
        for index in range(count):
            self._call(launch, self.program.named[name], index, 0)

    def set_speed(self, processor: int, speed: float) -> None:
        """Let a processor go on at another speed; 0 is a standstill from which it goes on later."""
        self._room_on_agenda(1)
        self._call(set_speed, processor, float(speed))

    def assign(self, channel: int, owners: Sequence[int]) -> None:
        """Give a channel's partitions to its workers, by number; NOBODY's messages wait."""
        row = self.world.channels[channel]
        first = int(row["first"])
        stations = self.program.stations.values()
        workers = next(station.pools for station in stations if station.channel == channel)
        pools = [NOBODY if owner == NOBODY else workers[owner] for owner in owners]
        self.world.partitions["worker"][first : first + len(owners)] = pools
        self._need(len(owners))
        self._call(serve_channel, channel)

    def mark_up(self, pool: int, up: bool) -> None:
        """Let balancers pick a server, or not; what it has in hand it finishes.

        Reasons are counted: a server that two have marked down is up when both mark it up.
        """
        self.world.pools["up"][pool] += 1 if up else -1

    def eject(self, pool: int, first: int, count: int) -> None:
        """Eject a server, one of `count` from `first` on, unless too many are."""
        self._call(eject, pool, first, count)

    def empty(self, store: int) -> int:
        """Forget every key of a store, as FLUSHALL does; return how many there were."""
        row = self.world.stores[store]
        first, keys = int(row["first"]), int(row["keys"])
        entries = self.world.entries[first : first + keys]
        entries["until"] = 0.0
        entries["before"] = entries["behind"] = ABSENT
        held = int(row["count"])
        row["count"], row["head"], row["tail"] = 0, NOBODY, NOBODY
        if row["bounded"] == Keep.SAMPLED:
            victims = int(row["victims"])
            self.world.victims["key"][victims : victims + VICTIMS] = NOBODY
        return held

    def adopt(self, program: Program) -> bool:
        """Take over the parameters of a program of the same shape; False if it has another."""
        if not self.program.same_shape(program):
            return False
        fresh = program.world(0)
        if not self._laid_out_as(fresh):
            return False
        for name, fields in PARAMETERS.items():
            for field in fields:
                getattr(self.world, name)[field] = getattr(fresh, name)[field]
        self.world.replace("samples", fresh.samples)
        self.world.replace("chances", fresh.chances)
        self.program = program
        for index in np.flatnonzero(self.world.pools["waiting"]):
            self._need(1)
            self._call(serve_line, int(index))
        for channel in range(len(program.channels)):
            self._need(len(self.world.partitions))
            self._call(serve_channel, channel)
        return True

    def _laid_out_as(self, fresh: World) -> bool:
        """Return whether two worlds have the same places in the same tables."""
        return (
            all(np.array_equal(getattr(self.world, n), getattr(fresh, n)) for n in SHARED)
            and all(len(getattr(self.world, n)) == len(getattr(fresh, n)) for n in PARAMETERS)
            and (self.world.sources["rate"] < 0).tolist() == (fresh.sources["rate"] < 0).tolist()
            and all(
                np.array_equal(getattr(self.world, name)[field], getattr(fresh, name)[field])
                for name, fields in LAYOUT.items()
                for field in fields
            )
        )

    def _call(self, function: Callable[..., object], *arguments: object) -> object:
        # Wrapping 64-bit products are what a generator is made of; interpreted, numpy warns.
        with np.errstate(over="ignore"):
            return function(*arguments, self.world)

    def _fill(self, index: int, ttl_seconds: float) -> None:
        """Fill a store with its most popular keys, their remaining lives spread evenly."""
        store = self.world.stores[index]
        count = int(store["capacity"])
        if not count:
            return
        first = int(store["first"])
        entries = self.world.entries[first : first + count]
        spread = scattered(np.arange(count)).astype(float) / 2.0**64
        entries["until"] = ttl_seconds * spread
        if store["bounded"] == Keep.STATIC:
            entries["until"] = np.inf
        if store["bounded"] == Keep.SAMPLED:
            self._fill_sampled(store, entries)
            return
        entries["before"] = np.arange(-1, count - 1)
        entries["behind"] = np.arange(1, count + 1)
        entries["behind"][-1] = NOBODY
        store["count"], store["head"], store["tail"] = count, 0, count - 1

    def _fill_sampled(self, store: np.void, entries: np.ndarray) -> None:
        """Put a store's most popular keys among the residents of one that samples."""
        count, first = len(entries), int(store["residents"])
        self.world.residents[first : first + count] = np.arange(count)
        entries["before"] = np.arange(count)
        entries["behind"] = FIRST_COUNT if store["sample"] == Sample.LFU else 0
        store["count"] = count

    def _add_users(self, source: int, count: int) -> None:
        self._need(count)
        self._call(add_users, source, 0, count)

    def _need(self, count: int) -> None:
        while self.world.clock["spare"][0] < count + self.program.reserve:
            self._make_room(tokens=True)
        self._room_on_agenda(count)

    def _make_room(self, tokens: bool = False) -> None:
        """Double the tables of tokens or messages, whichever is short."""
        world, clock = self.world, self.world.clock[0]
        if not tokens and clock["pending"] + self.program.reserve > len(world.due):
            self._room_on_agenda()
        elif tokens or clock["spare"] < self.program.reserve:
            size = len(world.tokens)
            if size >= TOKENS_MAX:
                raise TooManyInFlightError
            for name in BY_TOKEN:
                world.replace(name, grown(getattr(world, name), 2 * size))
            chained(world.tokens[size:], size)
            world.tokens["behind"][-1] = clock["free"]
            clock["free"] = np.int32(size)
            clock["spare"] += size
        else:
            size = len(world.messages)
            world.replace("messages", grown(world.messages, 2 * size))
            chained(world.messages[size:], size)
            world.messages["behind"][-1] = clock["free_message"]
            clock["free_message"] = size
            clock["spare_messages"] += size

    def _room_on_agenda(self, count: int = 0) -> None:
        """Make the agenda hold `count` more: besides an event a token it has stale ones."""
        world = self.world
        while world.clock["pending"][0] + count + self.program.reserve > len(world.due):
            for name in ("due", "order", "who"):
                table = getattr(world, name)
                world.replace(name, grown(table, 2 * len(table)))


def grown(table: np.ndarray, size: int) -> np.ndarray:
    """Return a table with the same rows and room for more."""
    new = np.zeros((size, *table.shape[1:]), table.dtype)
    new[: len(table)] = table
    return new
