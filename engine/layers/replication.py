"""Replication: what a commit waits for, and quorums of equal replicas."""

from __future__ import annotations

import functools
import math
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, Literal

from engine.assembly import Station
from engine.component import Component, ControlPlane, Figure, knob
from engine.distribution import Distribution, Lognormal, Time
from engine.kernel.tables import NOBODY, Op
from engine.program import NETWORK, WAITING, Program

if TYPE_CHECKING:
    import numpy as np

    from engine.layers.data import Data
    from engine.measured import Measured
    from engine.scenario import Scenario

Commit = Literal["local", "off", "on", "remote_write", "remote_apply", "quorum"]
REMOTE = ("on", "remote_write", "remote_apply")
OPEN = 1 << 30  # slots of a gate that everybody may pass
WAL_WRITER_DELAY_SECONDS = 0.2  # PostgreSQL's default; off can lose three times that


class Standby(Component):
    """The standbys that a commit waits for: PostgreSQL's synchronous_standby_names.

    `FIRST k`: the first k replicas are synchronous, the others follow when they can.
    """

    synchronous: int = knob(
        1,
        "Synchronous standbys",
        low=1,
        high=32,
        step=1,
        slider_high=4,
        help="How many replicas a commit waits for: FIRST k in synchronous_standby_names.",
    )
    hop: Time = knob(
        Distribution(constant=1.0),
        "Hop to the standby",
        unit="ms",
        help="Between primary and standby, there and back; within a region about 1 ms.",
    )
    flush: Time = knob(
        Distribution(lognormal=Lognormal(median=1, p99=8)),
        "Standby flush",
        unit="ms",
        help="Until the standby has the log on its disk.",
    )

    outage_at_seconds: float = knob(
        0.0,
        "Standby lost at",
        unit="s",
        low=0,
        high=86_400,
        step=5,
        slider_high=600,
        help="When one synchronous standby stops to answer; 0: never. If no other replica can take"
        " its place, commits do not fail: they hang until it is back.",
    )
    outage_seconds: float = knob(
        10.0,
        "Standby lost for",
        unit="s",
        low=0.1,
        high=86_400,
        step=5,
        slider_high=600,
        help="Until it answers again.",
    )

    def stalls(self, data: Data) -> bool:
        """Return whether the loss of one standby leaves too few for a commit."""
        return (
            self.outage_at_seconds > 0
            and data.commit in REMOTE
            and 0 < data.read_replicas <= self.synchronous
        )

    def lose(self, run: ControlPlane) -> Generator[Any, Any, Any]:
        """Lose a standby of every shard for a while: commits come to the gate and hang there."""
        yield run.env.timeout(self.outage_at_seconds)
        first = run.plane.program.named.get("standbys")
        gates = [] if first is None else list(range(first, first + run.scenario.data.shards))
        run.plane.shut(gates, refuses=False)
        run.note("outage", "data.primary", "a synchronous standby is lost: commits hang")
        yield run.env.timeout(self.outage_seconds)
        run.plane.reopen(gates)
        run.note("outage", "data.primary", "the standby is back")

    def _gate(self, program: Program, data: Data) -> None:
        """Emit the way through a shard's gate, shut while too few standbys are there."""
        if "standbys" not in program.named:
            station = program.stations["data.primary"]
            program.named["standbys"] = program.pools(
                station, data.shards, OPEN, NOBODY, 0, (1,), program.meter()
            )
        shard = program.register("shard") if data.shards > 1 else 0
        program.step(Op.SEIZE, kind=WAITING, site=program.named["standbys"], by=shard)
        program.step(Op.RELEASE)

    def wait(self, program: Program, scenario: Scenario) -> None:
        """Emit what a commit waits for once the primary has it: PostgreSQL's synchronous_commit.

        remote_write: the standby has it in memory.  on: on its disk.  remote_apply: a query there
        sees it.  off and local wait for nobody.
        """
        data = scenario.data
        count = synchronous(data)
        if not count:
            return
        self._gate(program, data)
        if count == 1:
            self._reply(program, data)
        else:
            program.together([functools.partial(self._reply, program, data)], repeat=count)

    def _reply(self, program: Program, data: Data) -> None:
        program.hold("standby", self.hop, NETWORK)
        if data.commit != "remote_write":
            program.hold("standby flush", self.flush)
        if data.commit == "remote_apply" and data.lag.constant != 0:
            program.step(Op.HOLD, "standby apply", dist=lag_row(program, data))

    def fresh(self, data: Data) -> float:
        """Return the share of replicas that have a write as soon as it is committed."""
        if data.commit != "remote_apply" or not data.read_replicas:
            return 0.0
        return min(1.0, self.synchronous / data.read_replicas)


class Quorum(Component):
    """Equal replicas, as in Dynamo and Cassandra: a request goes to all, some answers suffice.

    Reads meet every earlier write if r + w > n (Gifford 1979).
    """

    n: int = knob(3, "Replicas of a key", low=1, high=9, step=1, help="Dynamo's N.")
    r: int = knob(2, "Reads wait for", low=1, high=9, step=1, help="Dynamo's R; at most N.")
    w: int = knob(2, "Writes wait for", low=1, high=9, step=1, help="Dynamo's W; at most N.")

    @property
    def missed(self) -> float:
        """How likely a read set is to miss a write set, with nothing propagated yet.

        P. Bailis et al., "Probabilistically Bounded Staleness", VLDB 2012, equation 1.

        >>> Quorum(n=3, r=1, w=1).missed, Quorum(n=3, r=2, w=2).missed
        (0.6666666666666666, 0.0)
        """
        r, w = min(self.r, self.n), min(self.w, self.n)
        return math.comb(self.n - w, r) / math.comb(self.n, r)

    def write(
        self, program: Program, scenario: Scenario, dataset: str, what: str, mark: bool
    ) -> None:
        """Emit a write to all replicas of the key's shard, done when w of them have it."""
        data = scenario.data
        with program.at(self._station(program, data), what):
            program.about[program.node] = dataset
            shard = data.choose_shard(program, scenario, dataset)
            self._ask(program, data, what, data.write_time, shard, self.w)
            committed(program)
            if mark and scenario.uses("read", dataset):
                keys = scenario.datasets[dataset].keys
                program.step(Op.MARK, site=program.ledger(f"writes {dataset}", keys))

    def read(self, program: Program, scenario: Scenario, dataset: str) -> None:
        """Emit a read from all replicas of the key's shard, done when r of them have answered."""
        data = scenario.data
        with program.at(self._station(program, data), f"read {dataset}"):
            shard = data.choose_shard(program, scenario, dataset)
            self._ask(program, data, "read", data.read_time, shard, self.r)
            check(program, scenario, dataset, 1.0 - self.missed)

    def _ask(
        self, program: Program, data: Data, what: str, time: Distribution, shard: int, needed: int
    ) -> None:
        """Emit a leg to each replica; so many answers suffice."""
        first = self._replicas(program, data)

        def leg(replica: int) -> None:
            place = first + replica * data.shards, shard
            data.query(program, what, place, functools.partial(program.hold, what, time))

        legs = [functools.partial(leg, replica) for replica in range(self.n)]
        program.together(legs, needed=min(needed, self.n))

    def _station(self, program: Program, data: Data) -> Station:
        return program.station("data.quorum", "Quorum replicas", "database", data.shards * self.n)

    def _replicas(self, program: Program, data: Data) -> int:
        """Return the first pool; replica r of shard s is `r * shards + s` behind it."""
        if "quorum" not in program.named:
            total = data.shards * self.n
            program.named["quorum"] = program.pools(
                self._station(program, data), total, data.connections, NOBODY, total
            )
        return program.named["quorum"]


# ---------------------------------------------------------------- lag


def lag_row(program: Program, data: Data) -> int:
    """Return a new row of the replicas' lag, which a run may make longer."""
    row = program.dist(data.lag)
    program.laid_out.setdefault("lags", []).append(row)
    return row


def lag_factor(run: ControlPlane) -> float:
    """Return how many times as long as usual replicas lag at the moment."""
    return math.prod(run.memory.get("data.lag factors", {}).values())


def lag_seconds(run: ControlPlane) -> float:
    """Return the mean lag of replicas at the moment: what `replica_lag_seconds` exposes."""
    return run.scenario.data.lag.mean_ms / 1e3 * lag_factor(run)


def lag_more(run: ControlPlane, factor: float) -> int:
    """Let replicas lag so many times as long; return what `lag_less` takes to end it."""
    factors = run.memory.setdefault("data.lag factors", {})
    number = run.memory["data.lag number"] = run.memory.get("data.lag number", 0) + 1
    factors[number] = factor
    set_lag(run)
    return int(number)


def lag_less(run: ControlPlane, number: int) -> None:
    """End what `lag_more` began."""
    del run.memory["data.lag factors"][number]
    set_lag(run)


def set_lag(run: ControlPlane) -> None:
    """Let stale reads, and commits that wait for them to be none, see the lag of the moment."""
    world, rows = run.plane.world, run.plane.program.laid_out.get("lags", [])
    (family, count, a, b, c), samples = run.scenario.data.lag.row(lag_factor(run))
    for row in rows:
        dist = world.dists[row]
        dist["family"], dist["count"], dist["a"], dist["b"], dist["c"] = family, count, a, b, c
        first = int(dist["first"])
        world.samples[first : first + len(samples)] = samples


def behind(run: ControlPlane, rng: np.random.Generator) -> float:
    """Draw how far a replica is behind the primary, seconds.

    With commits that do not wait for the disk, the log is not sent before it is written there.
    """
    unsent = WAL_WRITER_DELAY_SECONDS if run.scenario.data.commit == "off" else 0.0
    lag_ms = run.scenario.data.lag.drawn_ms(rng)
    return lag_ms / 1e3 * lag_factor(run) + unsent


def synchronous(data: Data) -> int:
    """Return how many replicas have a commit before it is acknowledged."""
    return min(data.standby.synchronous, data.read_replicas) if data.commit in REMOTE else 0


# ---------------------------------------------------------------- stale reads, commits at risk


def check(program: Program, scenario: Scenario, dataset: str, fresh: float) -> None:
    """Emit whether a read was stale; a share of reads cannot be, they saw the commit itself."""
    if not scenario.writes(dataset):
        return
    ledger = program.ledger(f"writes {dataset}", scenario.datasets[dataset].keys)
    at_once = Distribution(constant=0)
    rows: list[int] = []

    def seen() -> None:
        program.step(Op.CHECK, "fresh", site=ledger, dist=program.dist(at_once))
        rows.append(program.step(Op.GO))

    if fresh >= 1.0:
        program.step(Op.CHECK, "fresh", site=ledger, dist=program.dist(at_once))
        return
    program.chance("is fresh", fresh, seen)
    program.step(Op.CHECK, "lag", site=ledger, dist=lag_row(program, scenario.data))
    for row in rows:
        program.patch(row, jump=program.here)


def committed(program: Program) -> None:
    """Note that whoever walks over the last step has committed a write."""
    program.laid_out.setdefault("commits", []).append(program.here - 1)


def at_risk(result: Measured, data: Data) -> Iterator[Figure]:
    """How many commits are acknowledged but not yet where a failure cannot take them."""
    commits = result.visited("commits") / result.measured_seconds
    if commits and data.read_replicas and data.commit in {"local", "off"}:
        yield Figure(
            name="Commits not replicated",
            station="data.primary",
            value=commits * data.lag.mean_ms / 1e3,
            unit="commits",
            help="What a failover loses: commits a second × mean lag. None if a commit waits for"
            " a standby.",
        )
    if commits and data.commit == "off":
        yield Figure(
            name="Commits not on disk, at most",
            station="data.primary",
            value=commits * 3 * WAL_WRITER_DELAY_SECONDS,
            unit="commits",
            help="What a crash loses: PostgreSQL's log writer is at most three times its delay of"
            " 0.2 s behind.",
        )
