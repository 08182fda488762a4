"""Faults of the databases: machines die, replicas fall behind, disks and locks are slow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from engine.component import ControlPlane, knob
from engine.errors import ScenarioError
from engine.faults.fault import Lasting
from engine.kernel.tables import NOBODY
from engine.layers.replication import lag_less, lag_more
from engine.program import WORKING

if TYPE_CHECKING:
    import numpy as np

    from engine.scenario import Scenario

SHARDS_MAX = 64
PRIMARY, REPLICAS, QUORUM = "data.primary", "data.replicas", "data.quorum"
READS = ("read", "warm", "backup")  # what holds a connection of the primary and takes no row lock


def unused(scenario: Scenario) -> str:
    """Return why nobody would notice what happens to the databases, or nothing."""
    if any(scenario.uses(do) for do in ("read", "write", "count")):
        return ""
    return "no journey reads or writes; add a step do: read"


class OfShard(Lasting):
    """A fault of one shard's machines."""

    layer = "data"

    shard: int = knob(1, "Shard", low=1, high=SHARDS_MAX, step=1, slider_high=16, help="Which.")

    def refuse(self, scenario: Scenario) -> str:
        """There is such a shard."""
        line = super().refuse(scenario) or unused(scenario)
        shards = scenario.data.shards
        if not line and self.shard > shards:
            return f"shard is {self.shard}, but there are {shards}; use at most {shards}"
        return line

    @classmethod
    def drawn(cls, scenario: Scenario, rng: np.random.Generator) -> dict[str, Any]:
        """Any of the shards."""
        return {"shard": 1 + int(rng.integers(scenario.data.shards))}

    def need(self, run: ControlPlane, *, primary: bool) -> None:
        """Raise ScenarioError if no request of this run comes to the shard's machines."""
        clusters = run.scenario.data.failover.clusters(run)
        if not clusters or (primary and clusters[self.shard - 1].primary == NOBODY):
            what = "primary" if primary else "database"
            raise ScenarioError(f"no request of this run needs the {what}; nobody would notice")

    def primary(self, scenario: Scenario) -> Iterator[str]:
        """Yield the primary, unless another can have taken its place meanwhile."""
        if not scenario.data.failover.on:
            yield f"primary of shard {self.shard}"


class PrimaryDown(OfShard):
    """The primary of a shard dies: its writes fail until it is back or a replica is promoted."""

    do: Literal["primary_down"] = "primary_down"
    title = "Primary down"
    state = "down"

    hangs: bool = knob(False, "It hangs", help="Queries wait instead of being refused.")

    def refuse(self, scenario: Scenario) -> str:
        """There is a primary that somebody would miss."""
        return super().refuse(scenario) or scenario.data.failover.why_no_primary(scenario)

    def targets(self, scenario: Scenario) -> Iterator[str]:
        """The machine."""
        return self.primary(scenario)

    def act(self, run: ControlPlane) -> Iterator[tuple[str, str]]:
        """Kill it, or let it hang."""
        self.need(run, primary=True)
        failover = run.scenario.data.failover
        fallen = failover.primary_down(run, self.shard - 1, hangs=self.hangs)
        yield PRIMARY, f"the primary of shard {self.shard} {'hangs' if self.hangs else 'is dead'}"
        run.scenario.data.failover.back(run, fallen)
        yield PRIMARY, f"the machine that was the primary of shard {self.shard} is back"


class ReplicaDown(OfShard):
    """A read replica dies; reads go to the others, or nowhere if it was the last."""

    do: Literal["replica_down"] = "replica_down"
    title = "Replica down"
    state = "down"

    replica: int = knob(1, "Replica", low=1, high=32, step=1, slider_high=12, help="Which one.")
    hangs: bool = knob(False, "It hangs", help="Reads wait instead of being sent elsewhere.")

    def refuse(self, scenario: Scenario) -> str:
        """There is such a replica, and it is read."""
        line, count = super().refuse(scenario), scenario.data.read_replicas
        return line or unread(scenario) or _within("replica", self.replica, count)

    def targets(self, scenario: Scenario) -> Iterator[str]:
        """The machine."""
        yield f"replica {self.replica} of shard {self.shard}"

    def act(self, run: ControlPlane) -> Iterator[tuple[str, str]]:
        """Kill it, or let it hang."""
        self.need(run, primary=False)
        failover = run.scenario.data.failover
        if not failover.replica_pools(run, self.shard - 1):
            raise ScenarioError("no request of this run reads a replica; nobody would notice")
        fallen = failover.replica_down(run, self.shard - 1, self.replica - 1, hangs=self.hangs)
        who = f"replica {self.replica} of shard {self.shard}"
        yield REPLICAS, f"{who} {'hangs' if self.hangs else 'is dead'}"
        run.scenario.data.failover.back(run, fallen)
        yield REPLICAS, f"{who} is back"


class ShardDown(OfShard):
    """All machines of a shard are down: its rows cannot be had, all others can."""

    do: Literal["shard_down"] = "shard_down"
    title = "Shard down"
    state = "down"

    hangs: bool = knob(False, "It hangs", help="Queries wait instead of being refused.")

    def refuse(self, scenario: Scenario) -> str:
        """The shard is a primary with replicas, not a quorum of equals."""
        line = super().refuse(scenario)
        if not line and scenario.data.commit == "quorum":
            return "data.commit is quorum: a key has equals, no shard of its own"
        return line

    def targets(self, scenario: Scenario) -> Iterator[str]:
        """All its machines."""
        yield from self.primary(scenario)
        for replica in range(scenario.data.read_replicas):
            yield f"replica {replica + 1} of shard {self.shard}"

    def act(self, run: ControlPlane) -> Iterator[tuple[str, str]]:
        """Kill all its machines, or let them hang."""
        self.need(run, primary=False)
        failover = run.scenario.data.failover
        fallen = failover.shard_down(run, self.shard - 1, hangs=self.hangs)
        who = f"all {len(fallen)} machines" if len(fallen) > 1 else "the machine"
        yield PRIMARY, f"{who} of shard {self.shard} {'hang' if self.hangs else 'down'}"
        for each in fallen:
            run.scenario.data.failover.back(run, each)
        yield PRIMARY, f"shard {self.shard} is back"


class ReplicaLag(Lasting):
    """Replicas fall behind: reads are stale for longer, and a promotion would lose more.

    A long transaction, a bulk load, a slow link between the machines.
    """

    do: Literal["replica_lag"] = "replica_lag"
    title = "Replica lag"
    layer = "data"

    factor: float = knob(
        100.0,
        "More lag",
        unit="×",
        low=1,
        high=1_000_000,
        step=10,
        slider_high=1000,
        help="How many times as far behind as data.lag says.",
    )

    def refuse(self, scenario: Scenario) -> str:
        """Replicas are read, and lag."""
        line = super().refuse(scenario) or unread(scenario)
        if not line and scenario.data.lag.mean_ms == 0:
            return "data.lag is 0, and so is any multiple; set it above 0"
        return line

    def act(self, run: ControlPlane) -> Iterator[tuple[str, str]]:
        """Multiply the lag."""
        handle = lag_more(run, self.factor)
        yield REPLICAS, f"replicas lag {self.factor:g} times as far behind"
        lag_less(run, handle)
        yield REPLICAS, "replicas catch up"


class SlowDisk(Lasting):
    """Disks are slow: every query works longer, with its connection in hand.

    A failing disk, a volume whose burst credits are spent, a neighbour's backup.
    """

    do: Literal["slow_disk"] = "slow_disk"
    title = "Slow disk"
    layer = "data"

    where: Literal["primary", "replicas", "all"] = knob(
        "all", "Machines", help="Whose disks; all: also those of a quorum."
    )
    shard: int | None = knob(
        None, "Shard", low=1, high=SHARDS_MAX, step=1, slider_high=16, help="Which; empty: all."
    )
    factor: float = knob(
        10.0,
        "Slower",
        unit="×",
        low=1,
        high=10_000,
        step=1,
        slider_high=100,
        help="How many times as long a query works.",
    )

    def refuse(self, scenario: Scenario) -> str:
        """There are such machines, and somebody asks them."""
        line = super().refuse(scenario) or unused(scenario)
        if line:
            return line
        if scenario.data.commit == "quorum" and (self.where != "all" or self.shard):
            return "data.commit is quorum: its machines are equals; leave shard empty, where: all"
        if self.where == "replicas" and unread(scenario):
            return f"where is 'replicas', but {unread(scenario)}"
        return _within("shard", self.shard or 1, scenario.data.shards)

    def act(self, run: ControlPlane) -> Iterator[tuple[str, str]]:
        """Stretch what queries do."""
        plane, failover = run.plane, run.scenario.data.failover
        shard = None if self.shard is None else self.shard - 1
        places = {"primary": (PRIMARY,), "replicas": (REPLICAS,)}.get(
            self.where, (PRIMARY, REPLICAS, QUORUM)
        )
        rows = [row for place in places for row in plane.program.rows(place, WORKING)]
        pools = None
        if shard is not None:
            pools = failover.primary_pools(run, shard) + failover.replica_pools(run, shard)
        handle = plane.disturb(rows, factor=self.factor, servers=pools)
        of_shard = f" of shard {self.shard}" if self.shard else ""
        who = {"all": "all disks", "primary": "the primary's disk"}.get(
            self.where, "replicas' disks"
        )
        yield places[0], f"{who}{of_shard}: queries work {self.factor:g} times as long"
        plane.calm(handle)
        yield places[0], f"{who}{of_shard}: as fast as before"


class LockStorm(Lasting):
    """Writers wait for one another: each keeps its connection while it waits for a lock.

    A migration's ALTER TABLE, a forgotten transaction, an index that was dropped.
    """

    do: Literal["lock_storm"] = "lock_storm"
    title = "Lock storm"
    layer = "data"

    wait_ms: float = knob(
        1000.0,
        "Wait for the lock",
        unit="ms",
        low=1,
        high=600_000,
        step=100,
        slider_high=10_000,
        help="What every write waits longer. PostgreSQL: deadlock_timeout 1 s is when it first"
        " looks why.",
    )

    def refuse(self, scenario: Scenario) -> str:
        """Somebody writes, to a primary."""
        line = super().refuse(scenario)
        if line:
            return line
        if scenario.data.commit == "quorum":
            return "data.commit is quorum: equals have no row locks"
        if any(scenario.uses(do) for do in ("write", "count")):
            return ""
        return "no journey writes; add a step do: write"

    def act(self, run: ControlPlane) -> Iterator[tuple[str, str]]:
        """Let writes work longer on the primary."""
        program = run.plane.program
        rows = [row for row in program.rows(PRIMARY, WORKING) if program.whats[row] not in READS]
        handle = run.plane.disturb(rows, extra_seconds=self.wait_ms / 1e3)
        yield PRIMARY, f"each write waits {self.wait_ms:g} ms for a lock, with its connection"
        run.plane.calm(handle)
        yield PRIMARY, "the locks are released"


def unread(scenario: Scenario) -> str:
    """Return why no replica is read, or nothing."""
    data = scenario.data
    if data.commit == "quorum":
        return "data.commit is quorum: there are equals, no replicas"
    if not data.read_replicas:
        return "there are no replicas; set data.read_replicas above 0"
    if data.reads == "primary" or not scenario.uses("read"):
        return "nobody reads from replicas; set data.reads to replica, add a step do: read"
    return ""


def _within(field: str, number: int, count: int) -> str:
    """Return why there is no such machine, or nothing."""
    if number <= count:
        return ""
    return f"{field} is {number}, but there are {count}; use at most {count}"
