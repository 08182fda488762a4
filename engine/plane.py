"""The data plane as the control plane sees it: advance it, read it, change it."""

import math
from collections.abc import Sequence

import numpy as np

from engine.assembly import Station
from engine.disturbances import Disturbance, Disturbances
from engine.gates import Gates
from engine.kernel.crash import crash
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
from engine.kernel.tables import HOLDS, NOBODY, VICTIMS, Keep, Sample, State
from engine.kernel.watch import eject
from engine.kernel.world import World
from engine.layers.data import scattered
from engine.layers.servers import Servers
from engine.layout import SPARE_REASONS
from engine.parameters import PARAMETERS, laid_out_alike
from engine.program import Program
from engine.room import TOKENS_MAX, Room, TooManyInFlightError
from engine.scale import Scale

__all__ = ["TOKENS_MAX", "Plane", "TooManyInFlightError"]


class Plane(Room):
    """One run of a program: its arrays, and exact access to them at any instant."""

    def __init__(self, program: Program, seed: int) -> None:
        super().__init__(program, program.world(seed))
        self.gates = Gates(self.world)
        self.sizes = Scale(self)
        self.disturbances = Disturbances(self.world, program)
        self._speeds: dict[int, dict[str, float]] = {}  # of each processor: who says what
        self._out: dict[int, set[str]] = {}  # of each pool: why balancers leave it alone
        self._owners = self.world.partitions["worker"].copy()  # what the program says
        self.assigned: dict[int, list[int]] = {}  # channel -> pools that its partitions go to
        self._own_reasons = len(program.reasons)
        self._surge = 1.0
        self._rates: dict[int, float] = {}  # source -> its rate without a surge
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
        """Change the rate of an open source; the rest of the gap at hand is stretched.

        While there is a surge, the rate is so many times as high.
        """
        row = self.world.sources[source]
        self._rates[source] = per_second
        per_second *= self._surge
        if row["rate"] == per_second:
            return
        done = (self.now - row["since"]) * max(0.0, row["rate"])
        row["left"] = max(0.0, row["left"] - done)
        row["since"], row["rate"] = self.now, per_second
        self._room_on_agenda()
        self._call(make_due, source)

    def surge(self, factor: float) -> None:
        """Let so many times as many requests come as are asked for, from now on; 1.0 ends it.

        Closed sources have no rate: nothing changes for them.
        """
        if factor < 0:
            raise ValueError(f"a surge of {factor} makes no sense; use 0 or more")
        self._surge = factor
        for source, row in enumerate(self.world.sources):
            if row["rate"] >= 0:
                self.set_rate(self._rates.get(source, float(row["rate"])), source)

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

    def launch(self, name: str, count: int, first: int = 0) -> None:
        """Let `count` errands of the control plane's own walk from a named step on.

        Their keys are numbers from `first` on.
        """
        self._need(count)
        for index in range(first, first + count):
            self._call(launch, self.program.named[name], index, 0)

    def set_speed(self, processor: int, speed: float, by: str = "") -> None:
        """Let a processor go on at another speed; 0 is a standstill from which it goes on later.

        Several may have a say, each under a name: their speeds are multiplied.
        """
        speeds = self._speeds.setdefault(processor, {})
        speeds[by] = float(speed)
        self._room_on_agenda(1)
        self._call(set_speed, processor, math.prod(speeds.values()))

    def assign(self, channel: int, owners: Sequence[int]) -> None:
        """Give a channel's partitions to its workers, by number; NOBODY's messages wait."""
        workers = self._crew(channel).pools
        pools = [NOBODY if owner == NOBODY else workers[owner] for owner in owners]
        self.assigned[channel] = pools
        self._hand_over(channel)
        self.serve(channel)

    def serve(self, channel: int) -> None:
        """Let a channel's idle workers take what waits."""
        row, before = self.world.channels[channel], NOBODY
        while row["waiting"] and row["waiting"] != before:
            before = int(row["waiting"])
            self._need(int(row["partitions"]))
            self._call(serve_channel, channel)

    def partitions_of(self, channel: int) -> int:
        """Return how many partitions a channel has."""
        return int(self.world.channels["partitions"][channel])

    def deals(self, channel: int) -> bool:
        """Return whether a channel deals its messages out to workers in turn."""
        return bool(self.world.channels["prefetch"][channel])

    # ------------------------------------------------------------ faults

    def crash(
        self, pools: Sequence[int], reason: str = "connection reset", *, redelivers: bool = True
    ) -> int:
        """Fail everyone who holds a slot of these pools or stands in their lines, now.

        Their connections are reset: each is unwound to the innermost try that was opened before
        the slot was taken, for the tries within a dead server die with it, and fails there for
        this reason.  What they were at elsewhere goes on.  A worker's message goes back to the
        head of its partition; where it was hidden for a time (`keeps`), when that is over.  With
        `redelivers` off it has failed as any other: who acknowledges on receipt loses it.

        The pools go on giving slots unless they are shut: shut them before.  Returns how many
        have failed.
        """
        code = self.reason(reason)
        who, floors = struck(self.world, pools)
        self._need_for_crash(len(who))
        self._call(crash, who, floors, code, redelivers)
        for channel in range(len(self.program.channels)):
            self.serve(channel)
        return len(who)

    def shut(self, pools: Sequence[int], *, refuses: bool, reason: str = "") -> None:
        """Give no slot of these pools any more; who holds one keeps it.

        `refuses`: who comes is refused at once, as by a dead process, for this reason ("": the
        one that the program gives for a full line); else they wait, as for a hung one, as long
        as there is room.  Shut twice, a pool wants to be reopened twice.
        """
        code = self.reason(reason) if reason else 0
        self.gates.shut(pools, refuses=refuses, reason=code)

    def reopen(self, pools: Sequence[int], *, refuses: bool | None = None) -> None:
        """Take back one `shut` of each pool, the latest (of that kind); let in who waits.

        Raises ValueError if a pool is not shut.
        """
        opened = self.gates.reopen(pools, refuses=refuses)
        self._let_in(opened)

    def answers(self, pool: int) -> bool:
        """Return whether a server answers a health check: it is not shut, nor stands still."""
        if self.gates.is_shut(pool):
            return False
        for place in self.program.laid_out.values():
            if not isinstance(place, Servers) or not place.shared:
                continue
            server = pool - place.first
            if 0 <= server < place.laid:
                return bool(self.world.processors["speed"][place.cpus + server] > 0.0)
        return True

    def disturb(
        self,
        rows: Sequence[int],
        *,
        factor: float = 1.0,
        extra_seconds: float = 0.0,
        loss: float = 0.0,
        reason: str = "",
        servers: Sequence[int] | None = None,
        always: bool = False,
        resend_seconds: float = 0.0,
    ) -> int:
        """Let steps (`Program.rows`) take `factor` times as long and so much longer, or fail.

        After that time they fail with probability `loss`; with `resend_seconds` they are sent again
        after that time, then after twice as long and so on, as TCP does it (RFC 6298).  With
        `servers`, only requests (and messages) that hold a slot of one of these pools are
        disturbed.  The draws stay the same draws.  Factors of several disturbances of a row are
        multiplied, extra seconds added, and each loses what the others have left; with `always`, a
        request that is lost once is lost at every visit.  A look-up or a publish takes no time of
        its own, so `factor` means nothing there.  Returns a handle for `calm`.
        """
        code = self.reason(reason) if reason else 0
        where = None if servers is None else tuple(servers)
        what = Disturbance(
            tuple(rows),
            factor,
            extra_seconds,
            loss,
            code,
            where,
            always=always,
            resend_seconds=resend_seconds,
        )
        return self.disturbances.add(what)

    def bypass(self, stores: Sequence[int], *, register: str = "", value: int = 0) -> int:
        """Let look-ups in these stores find nothing, and let nobody store or forget a key.

        What a store holds stays (`empty` it if its memory is gone).  Such a look-up counts as a
        get and as bypassed: gets = hits + misses + bypassed.  With `register`, only tokens whose
        register of that name has this value: the keys of one node of a cluster.  Returns a
        handle for `calm`.
        """
        by, rows_of = self.program.register(register) if register else 0, self.disturbances.rows_of
        passed = [
            Disturbance(rows_of(store), store=store, register=by, value=value) for store in stores
        ]
        return self.disturbances.add(*passed)

    def calm(self, handle: int) -> None:
        """End a disturbance, or a bypass; KeyError if it has ended before."""
        self.disturbances.remove(handle)

    def reason(self, text: str) -> int:
        """Return the code of a reason for failure; a run has room for a few of its own."""
        reasons = self.program.reasons
        if text in reasons:
            return reasons[text]
        if len(reasons) == self._own_reasons + SPARE_REASONS:
            return len(reasons)  # the last one stands for what else there is
        return self.program.reason(text)

    # ------------------------------------------------------------ counts

    def scale(self, name: str, count: int) -> None:
        """Let a service, or a kind of worker, have `count` servers from now on.

        Servers that go finish what they have in hand; their partitions go to the others at once.
        It stands over the program's count until a change says another.  Raises KeyError for an
        unknown name and ValueError for a count that is not 1 to `scale_max`.
        """
        self.sizes.set(name, count)

    def scale_max(self, name: str) -> int:
        """Return how many servers a service, or workers a kind, can have in this run."""
        return self.sizes.most(name)

    def scaled(self, name: str) -> int:
        """Return how many servers a service has now, or workers a kind."""
        return self.sizes.station(name).instances

    def server_seconds(self, name: str) -> float:
        """Return the time integral of `scaled` since the start: what is paid for."""
        return self.sizes.seconds(name)

    def mark_up(self, pool: int, up: bool, by: str = "") -> None:
        """Let balancers pick a server, or not; what it has in hand it finishes.

        Several may have a say, each under a name: it is picked when nobody has marked it down.
        Below a group's panic threshold (`Program.panic`) all its servers are picked.
        """
        reasons = self._out.setdefault(pool, set())
        if up:
            reasons.discard(by)
        else:
            reasons.add(by)
        self._settle_up(pool)

    def is_up(self, pool: int) -> bool:
        """Return whether nobody has marked a server down, panic or not."""
        return not self._out.get(pool)

    def _settle_up(self, pool: int) -> None:
        """Write whether a server is picked, and what that means for those it stands among."""
        up = self.world.pools["up"]
        up[pool] = int(self.is_up(pool))
        for group, share in self.program.panics.items():
            first, count = (int(self.world.groups[name][group]) for name in ("first", "count"))
            if first <= pool < first + count:
                well = [self.is_up(other) for other in range(first, first + count)]
                panic = sum(well) < share * count
                up[first : first + count] = [panic or each for each in well]

    def _crew(self, channel: int) -> Station:
        """Return the station of a channel's workers."""
        stations = self.program.stations.values()
        return next(station for station in stations if station.channel == channel)

    def _hand_over(self, channel: int) -> None:
        """Write who a channel's partitions were given to."""
        first, owners = int(self.world.channels["first"][channel]), self.assigned[channel]
        self.world.partitions["worker"][first : first + len(owners)] = owners

    def _let_in(self, pools: Sequence[int]) -> None:
        """Let who waits for these pools in, and workers take messages."""
        for pool in pools:
            row = self.world.pools[pool]
            self._need(max(0, min(int(row["waiting"]), int(row["slots"] - row["busy"]))))
            self._call(serve_line, pool)
        for channel in range(len(self.program.channels)):
            self.serve(channel)

    # ------------------------------------------------------------ state

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
        if not laid_out_alike(self.world, fresh):
            return False
        for name, fields in PARAMETERS.items():
            for field in fields:
                getattr(self.world, name)[field] = getattr(fresh, name)[field]
        self.world.replace("samples", fresh.samples)
        self.world.replace("chances", fresh.chances)
        own = list(self.program.reasons)[self._own_reasons :]
        self.program = program
        self._keep_what_stands_over(fresh, own)
        self._let_in([int(index) for index in np.flatnonzero(self.world.pools["waiting"])])
        return True

    def _keep_what_stands_over(self, fresh: World, reasons: list[str]) -> None:
        """Lay over new parameters what was decided in the run: faults, counts, owners."""
        for reason in reasons:
            self.program.reason(reason)
        self.gates.take_over(fresh)
        self.disturbances.program = self.program
        for channel in list(self.assigned):
            row = self.world.channels[channel]
            places = slice(int(row["first"]), int(row["first"] + row["partitions"]))
            if np.array_equal(self._owners[places], fresh.partitions["worker"][places]):
                self._hand_over(channel)
            else:
                del self.assigned[channel]
        self._owners = fresh.partitions["worker"].copy()
        self.sizes.take_over()
        for pool in self._out:
            self._settle_up(pool)

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


def struck(world: World, pools: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return who holds a slot of some pools or waits for one, and how many holds each keeps.

    The oldest come first; but of messages last, so that these get to the head of their partitions.
    """
    tokens = world.tokens
    used = np.flatnonzero(tokens["state"] != State.FREE)
    held = tokens["holds"][used]
    inside = np.isin(world.holds["pool"][used], pools) & (np.arange(HOLDS) < held[:, None])
    floors = np.where(inside.any(axis=1), inside.argmax(axis=1), held).astype(np.int64)
    waits = (tokens["state"][used] == State.QUEUED) & np.isin(tokens["queue"][used], pools)
    computing = np.flatnonzero(tokens["state"][used] == State.SHARING)
    steps = world.steps[tokens["step"][used[computing]] - 1]
    index = steps["site"] + world.registers[used[computing], steps["by"]]
    waits[computing] = np.isin(world.processors["pool"][index], pools)
    chosen = np.flatnonzero(inside.any(axis=1) | waits)
    born, channel = tokens["born"][used[chosen]], tokens["channel"][used[chosen]]
    chosen = chosen[np.argsort(np.where(channel == NOBODY, born, -born), kind="stable")]
    return used[chosen], floors[chosen]
