"""Clusters: the machines of one shard while a run goes on, and what a crash takes from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from engine.component import ControlPlane
from engine.kernel.tables import NOBODY
from engine.layers.connections import DATABASE_DOWN
from engine.layers.replication import synchronous

PRIMARY = "data.primary"
REPLICAS = "data.replicas"


@dataclass(frozen=True)
class Fallen:
    """A machine of a shard that does not answer; to be handed in when it does again."""

    shard: int
    term: int  # how many had been promoted in this shard when it fell
    primary: bool
    pools: tuple[int, ...]
    hangs: bool


@dataclass
class Cluster:
    """The machines of one shard, while a run goes on."""

    shard: int
    primary: int  # pool of whichever machine is the primary
    replicas: tuple[int, ...]  # pools
    term: int = 0  # how many have been promoted
    shuts: int = 0  # how often the primary of this term was shut
    down_at: float = 0.0  # when it was shut first, seconds
    also: int | None = None  # a replica's pool on the primary's machine: reads have no other
    lost: dict[int, float] = field(default_factory=dict)  # replica that is behind -> since when
    waits: bool = False  # commits wait for a standby that is not there
    vacant: dict[int, int] = field(default_factory=dict)  # replica that has left -> since term

    @property
    def name(self) -> str:
        """What the shard is called in the log."""
        return f"shard {self.shard + 1}"

    def member(self, pool: int) -> str:
        """Return what a replica is called in the log."""
        return f"replica {self.replicas.index(pool) + 1}"

    def leave(self, run: ControlPlane, pool: int, why: str) -> None:
        """Let no more reads go to a replica, for one reason more."""
        run.plane.mark_up(pool, up=False, by=why)

    def join(self, run: ControlPlane, pool: int, why: str) -> None:
        """Take a reason away; without any, reads go to a replica again."""
        run.plane.mark_up(pool, up=True, by=why)

    def fill(self, run: ControlPlane, pool: int) -> None:
        """Let a machine that has all rows take the place that a promoted replica has left."""
        del self.vacant[pool]
        if self.also == pool:
            self.also = None
        self.join(run, pool, "promoted")
        self.settle(run)

    def settle(self, run: ControlPlane) -> None:
        """Let replicas catch up that can, and commits wait if too few standbys are left for them.

        Alone PostgreSQL waits for ever; Patroni lets the primary go on without
        (synchronous_mode_strict is off by default), and so does failover here.
        """
        data, plane = run.scenario.data, run.plane
        if self.primary == NOBODY:
            return
        if plane.answers(self.primary):
            self.lost = {p: since for p, since in self.lost.items() if not plane.answers(p)}
        there = [p for p in self.replicas if plane.answers(p) and p not in self.vacant]
        waits = bool(self.replicas) and not data.failover.on and len(there) < synchronous(data)
        gate = plane.program.named.get("standbys")
        if waits == self.waits or gate is None:
            return
        self.waits = waits
        if waits:
            plane.shut([gate + self.shard], refuses=False)
            run.note("outage", PRIMARY, f"{self.name}: commits wait for a standby")
        else:
            plane.reopen([gate + self.shard])
            run.note("outage", PRIMARY, f"{self.name}: commits have their standbys again")


def lost_writes(run: ControlPlane, cluster: Cluster, lag_seconds: float) -> int:
    """Return how many acknowledged writes of a shard a replica so far behind does not have."""
    if lag_seconds <= 0:
        return 0
    world, named, lost = run.plane.world, run.plane.program.named, 0
    for dataset, data in run.scenario.datasets.items():
        if acknowledged(dataset) not in named:
            continue
        first = int(world.ledgers["first"][named[acknowledged(dataset)]])
        marks = world.marks[first : first + data.keys]
        keys = np.flatnonzero(marks > cluster.down_at - lag_seconds)
        table = named.get(f"shards {dataset}")
        if table is not None:
            keys = keys[world.lookups[table + keys] == cluster.shard]
        lost += len(keys)
    return lost


def laid_out(run: ControlPlane) -> Iterator[Cluster]:
    """Yield the shards of a run as its program has laid them out."""
    data, named = run.scenario.data, run.plane.program.named
    if "primaries" not in named and "replicas" not in named:
        return
    count = data.read_replicas if "replicas" in named else 0
    for shard in range(data.shards):
        first = named.get("replicas", 0) + shard * count
        primary = named["primaries"] + shard if "primaries" in named else NOBODY
        yield Cluster(shard, primary, tuple(range(first, first + count)))


def stop(run: ControlPlane, pools: tuple[int, ...], *, hangs: bool) -> None:
    """Let databases give no connection any more; a dead one loses those that it has given."""
    run.plane.shut(pools, refuses=not hangs)
    if not hangs:
        run.plane.crash(pools, DATABASE_DOWN)


def acknowledged(dataset: str) -> str:
    """Return the name of the ledger of a dataset's acknowledged writes."""
    return f"acknowledged {dataset}"
