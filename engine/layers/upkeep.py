"""Upkeep: what a database does besides answering: old rows go to cheap disks, all to a backup."""

from __future__ import annotations

import functools
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from engine.component import Component, ControlPlane, knob
from engine.distribution import Distribution, Lognormal, Time
from engine.kernel.tables import Op
from engine.layers.connections import DATABASE_DOWN
from engine.program import WAITING, Program

if TYPE_CHECKING:
    from engine.layers.data import Data


class Tiers(Component):
    """Partitions by age: hot rows on SSD in the page cache, warm ones on SSD, cold ones on HDD.

    Hot reads take the layer's read time.  Cold ones leave the database for an archive of its own.
    """

    on: bool = knob(False, "Tiers by age", help="Read old rows from slower disks.")
    warm_share: float = knob(
        0.15, "Warm reads", low=0, high=1, step=0.01, help="Share of reads of the last months."
    )
    cold_share: float = knob(
        0.02, "Cold reads", low=0, high=1, step=0.01, help="Share of reads of older rows."
    )
    warm_time: Time = knob(
        Distribution(lognormal=Lognormal(median=12, p99=60)),
        "Warm read time",
        unit="ms",
        help="A row that is on SSD but not in memory.",
    )
    cold_time: Time = knob(
        Distribution(lognormal=Lognormal(median=80, p99=900)),
        "Cold read time",
        unit="ms",
        help="A row on a spinning disk: some ten seeks of about 8 ms each.",
    )
    spindles: int = knob(
        4,
        "Archive disks",
        low=1,
        high=1000,
        step=1,
        slider_high=32,
        help="Each works on one query at a time.",
    )

    def archive(self, program: Program, data: Data, dataset: str) -> None:
        """Emit a read from the archive."""
        station = program.station("data.archive", "Archive", "database", self.spindles)
        with program.at(station, f"read {dataset}"):
            if not station.pools:
                program.pool(station, self.spindles)
            work = functools.partial(program.hold, "cold", self.cold_time)
            data.query(program, "cold", (station.pools[0], 0), work)

    def hold(self, program: Program, time: Distribution) -> None:
        """Emit how long a read of a row that is not cold takes; the shares are of all reads."""
        rest = 1.0 - self.cold_share
        if not self.on or rest <= 0 or self.warm_share <= 0:
            program.hold("read", time)
            return
        rows = []

        def warm() -> None:
            program.hold("warm", self.warm_time)
            rows.append(program.step(Op.GO))

        program.chance("is warm", min(1.0, self.warm_share / rest), warm)
        program.hold("read", time)
        for row in rows:
            program.patch(row, jump=program.here)


class Backup(Component):
    """A logical backup, such as pg_dump: reads everything, beside those who have work to do."""

    on: bool = knob(False, "Backup", help="Take a backup while the system runs.")
    source: Literal["primary", "replica"] = knob(
        "primary", "Backup from", help="A replica has less to lose; without replicas, the primary."
    )
    at_seconds: float = knob(
        20.0,
        "Backup begins",
        unit="s",
        low=0,
        high=86_400,
        step=5,
        slider_high=600,
        help="When the first one begins.",
    )
    every_seconds: float = knob(
        86_400.0,
        "Backup every",
        unit="s",
        low=1,
        high=604_800,
        step=60,
        help="From one beginning to the next.",
    )
    length_seconds: float = knob(
        20.0,
        "Backup length",
        unit="s",
        low=0.1,
        high=86_400,
        step=5,
        slider_high=600,
        help="How long each job reads.",
    )
    jobs: int = knob(
        4,
        "Backup jobs",
        low=1,
        high=1000,
        step=1,
        slider_high=32,
        help="Connections to each shard that are busy with it: pg_dump --jobs.",
    )
    chunk_ms: float = knob(
        250.0,
        "Backup chunk",
        unit="ms",
        low=1,
        high=60_000,
        step=50,
        slider_high=2000,
        help="What a job reads at a time; then it stands in line again.",
    )

    def lay_out(self, program: Program, data: Data, source: str, first: int, each: int) -> None:
        """Let the backup read here if this is its source: every `each`-th database from `first`."""
        wanted = self.source if data.read_replicas else "primary"
        if not self.on or wanted != source or "backup" in program.named:
            return
        program.named["backup"] = -1
        station = program.stations["data.primary" if source == "primary" else "data.replicas"]

        def emit() -> None:
            program.named["backup"] = program.here
            program.journey = "backup"
            with program.at(station, "backup", background=True):
                where = program.register("shard")
                jobs = np.arange(self.jobs * data.shards)
                table = program.lookup(jobs % data.shards * each)
                program.step(Op.LOOKUP, site=table, register=where)
                program.attempt(
                    read,
                    timeout=Distribution(constant=self.length_seconds * 1e3),
                    otherwise=leave,
                    what="backup",
                )
                leave()

        def read() -> None:
            begin = program.step(
                Op.SEIZE,
                kind=WAITING,
                site=first,
                by=program.register("shard"),
                reason=program.reason(DATABASE_DOWN),
            )
            program.hold("backup", Distribution(constant=self.chunk_ms))
            program.step(Op.RELEASE)
            program.step(Op.STILL)  # the timer has split the job from who waits for it: it ends
            program.step(Op.GO, jump=begin)

        def leave() -> None:
            program.step(Op.LEAVE)

        program.later(emit)

    def run(self, run: ControlPlane) -> Generator[Any, Any, Any]:
        """Let the jobs begin, every so often."""
        place = "data.primary" if self.source == "primary" else "data.replicas"
        if not run.plane.has("backup"):
            return
        yield run.env.timeout(self.at_seconds)
        jobs = self.jobs * run.scenario.data.shards
        while True:
            run.plane.launch("backup", jobs)
            run.note("backup", place, f"{jobs} jobs read everything, for {self.length_seconds:g} s")
            yield run.env.timeout(self.every_seconds)
