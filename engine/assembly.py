"""Assembly: the nouns of the data plane, each added to the tables with a word of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.distribution import Distribution
from engine.errors import ScenarioError
from engine.kernel.tables import NOBODY, VICTIMS, WATCHED, Keep, Policy, Sample
from engine.layout import Layout, Station, Watch, label_hash

__all__ = ["KEEPS", "Assembly", "Station", "label_hash"]

# How a store that is full makes room: which keys it keeps, and how it samples.
KEEPS: dict[str, tuple[Keep, Sample]] = {
    "lru": (Keep.RECENT, Sample.RANDOM),
    "fifo": (Keep.OLDEST, Sample.RANDOM),
    "random": (Keep.SAMPLED, Sample.RANDOM),
    "redis_lru": (Keep.SAMPLED, Sample.LRU),
    "redis_lfu": (Keep.SAMPLED, Sample.LFU),
    "static": (Keep.STATIC, Sample.RANDOM),
}


class Assembly(Layout):
    """Adds pools, groups, stores, channels and their like."""

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
                    0,
                ),
            )
        station.pools.extend(range(first, first + on))
        self.laid[first] = laid
        return first

    def meter(self) -> int:
        """Add a meter that belongs to no station, for what only some want to know."""
        self._meters += 1
        return self._meters - 1

    def group(self, policy: Policy, first: int, count: int, draws: int = 2) -> int:
        """Add a group of `count` pools from `first` on, to pick from."""
        return self._add("groups", (policy, first, count, draws, 0, 0))

    def shared_group(self, name: str, policy: Policy, first: int, count: int, draws: int) -> int:
        """Return the group of this name, made on first use."""
        known = ("group", name)
        if known not in self._known:
            self._known[known] = self.group(policy, first, count, draws)
        return self._known[known]

    def watch(
        self,
        group: int,
        first: int,
        count: int,
        max_fails: int,
        fail_timeout_seconds: float,
        *,
        in_a_row: int = 0,
        ejection_seconds: float = 0.0,
        ejected_max: float = 0.0,
    ) -> None:
        """Watch the servers of a group: passive health checks, as nginx does them.

        A server alone is never left alone (ngx_http_upstream_round_robin.c: `peers->single`).
        After `in_a_row` failures a server is ejected, as Envoy does it; 0: never.  Not more than
        a share of `ejected_max` are, but for the first.
        """
        if count > WATCHED:
            raise ScenarioError(
                f"edge.balancer.max_fails watches up to {WATCHED} servers, not {count};"
                " set it to 0 or have fewer"
            )
        *row, _ = self._rows["groups"][group]
        self._rows["groups"][group] = (*row, 1)
        rule = Watch(max_fails, fail_timeout_seconds, in_a_row, ejection_seconds, ejected_max)
        self.watches[first] = rule, count

    def panic(self, group: int, share: float) -> None:
        """Let all servers of a group be picked when less than a share of them are up; 0: never.

        Envoy's panic threshold, 0.5 by default ("Panic threshold", docs of its load balancing).
        """
        self.panics[group] = share

    def limit(self, rate: float, burst: float, clients: int = 1, window: float = 0.0) -> int:
        """Add limits of so many a second, one a client; return the first."""
        first = len(self._rows["limits"])
        for _ in range(clients):
            self._add("limits", (rate, burst, window, burst, 0.0, 0.0, 0.0, 0))
        return first

    def breaker(self, failures: int = 5, rest_seconds: float = 30.0, probes: int = 1) -> int:
        """Add a circuit breaker, closed."""
        row = (failures, probes, 0, 0, 0, 0, rest_seconds, 0.0, 0, 0)
        return self._add("breakers", row)

    def processors(self, station: Station, count: int, cores: int, laid: int = 0) -> int:
        """Lay out processors that share their cores, one a server; return the first."""
        laid = max(laid, count)
        pools = self.pools(station, laid, cores, NOBODY, 0, (1,), self.meter())
        station.cpus = list(range(pools, pools + count))
        first = len(self._rows["processors"])
        for pool in range(pools, pools + laid):
            self._add("processors", (cores, 0, NOBODY, NOBODY, pool, NOBODY, 0.0, 0.0, 1.0))
        return first

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
        self,
        station: Station,
        keys: int,
        capacity: int,
        ttl: Distribution,
        warm: bool = False,
        *,
        policy: str = "lru",
        samples: int = 5,
        sliding: bool = False,
        early_ms: float = 0.0,
        personal: bool = False,
    ) -> int:
        """Add a store of at most `capacity` of `keys` keys; a warm one begins filled.

        `policy` says which key goes when it is full (KEEPS); a sliding one gives a key its whole
        time to live again at every hit; `early_ms` is the mean lead of early expiry (XFetch); a
        personal one holds a copy for each user, `keys` places in all.
        """
        keep, sample = KEEPS[policy] if capacity < keys else (Keep.ALL, Sample.RANDOM)
        sampled = keep == Keep.SAMPLED
        residents, victims = self._sizes["residents"], self._sizes["victims"]
        self._sizes["residents"] += keys * sampled  # a run may be given a larger capacity
        self._sizes["victims"] += VICTIMS * sampled
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
                keep,
                int(sampled or sliding or early_ms > 0),
                int(personal),
                int(sliding),
                sample,
                samples,
                residents,
                victims,
                early_ms / 1e3,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
            ),
        )
        self._sizes["entries"] += keys
        station.stores.append(index)
        if (warm or keep == Keep.STATIC) and ttl.mean_ms > 0:
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
        budget: int = NOBODY,
        keeps: bool = False,
    ) -> int:
        """Add a rule for trying again; times in seconds; each retry takes one from the budget."""
        row = (attempts, int(cancels), jitter, otherwise, budget, int(keeps), base, cap)
        return self._add("retries", row)

    def say_otherwise(self, rule: int, row: int) -> None:
        """Say where a rule goes on after its last attempt."""
        attempts, cancels, jitter, _, *rest = self._rows["retries"][rule]
        self._rows["retries"][rule] = (attempts, cancels, jitter, row, *rest)

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
        retention: float = 0.0,
        prefetch: int = 0,
        travel: float = 0.0,
    ) -> int:
        """Add a channel whose partition p is served by `workers[owners[p]]`, or by nobody.

        Messages that wait longer than `retention` seconds are dropped; 0: none are.  With a
        `prefetch` the first partition is a line that nobody serves: the others are dealt what is
        in it, up to so many each that are not acknowledged, and it gets there `travel` seconds
        later.
        """
        first = len(self._rows["partitions"])
        for owner in owners:
            worker = NOBODY if owner == NOBODY else workers[owner]
            self._add("partitions", (NOBODY, NOBODY, 0, worker))
        row = (
            first,
            len(owners),
            len(workers),
            0,
            self.dist(again),
            station.meter,
            attempts,
            room,
            prefetch,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0.0,
            0.0,
            retention,
            travel,
            0,
            0,
            0,
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
