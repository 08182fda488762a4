"""Locks: what keeps two writers of one row from undoing each other's work."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np

from engine.component import Component, Figure, Inner, knob
from engine.distribution import Distribution, Time
from engine.kernel.tables import NOBODY, Op
from engine.layers.replication import committed
from engine.program import WAITING, Program

if TYPE_CHECKING:
    from engine.assembly import Station
    from engine.measured import Measured
    from engine.scenario import Scenario

Lock = Literal["none", "optimistic", "pessimistic"]
STRIPES = 512  # row locks are kept in so many stripes; a key's is its rank modulo that


class Locks(Component):
    """How a write step that reads its row first protects what it has read.

    pessimistic: SELECT … FOR UPDATE; others wait, each with a connection in its hand.
    optimistic: UPDATE … WHERE version = …; who comes second has worked for nothing and begins anew.
    """

    think: Time = knob(
        Distribution(constant=5),
        "Between read and write",
        unit="ms",
        help="What the application does with the row before it writes it back.",
    )
    attempts: int = knob(
        10,
        "Attempts",
        low=1,
        high=1000,
        step=1,
        slider_high=50,
        help="How often an optimistic write begins anew before it fails.",
    )
    backoff_ms: float = knob(
        10.0,
        "Back-off",
        unit="ms",
        low=0,
        high=60_000,
        step=1,
        slider_high=200,
        help="Before the first new attempt; then twice that, and so on. AWS's simulator of"
        " optimistic locking: 10 ms, twice its base of 5.",
    )
    backoff_cap_ms: float = knob(
        2000.0,
        "Longest back-off",
        unit="ms",
        low=0,
        high=600_000,
        step=100,
        slider_high=10_000,
        help="AWS's simulator: 2 s.",
    )
    jitter: Literal["none", "full", "equal", "decorrelated"] = knob(
        "full",
        "Jitter",
        help="How the rest is spread (M. Brooker, “Exponential Backoff and Jitter”, AWS, 2015).",
    )

    def optimistic(
        self,
        program: Program,
        scenario: Scenario,
        dataset: str,
        what: str,
        place: tuple[int, int],
        commit: Inner,
    ) -> None:
        """Emit read, think, write; the write fails if the row was written in between."""
        data, version = scenario.data, program.register("lock")
        ledger = versions(program, scenario, dataset)

        def verify() -> None:
            program.step(
                Op.VERIFY, site=ledger, register=version, reason=program.reason("lock conflict")
            )
            program.laid_out.setdefault("verified", []).append(program.here - 1)
            commit()

        write = functools.partial(data.work, program, what, verify)

        def once() -> None:
            program.step(Op.STAMP, site=ledger, register=version)
            select = functools.partial(program.hold, f"{what} select", data.read_time)
            data.query(program, f"{what} select", place, select)
            program.hold(f"{what} think", self.think)
            data.query(program, what, place, write)
            committed(program)

        program.attempt(
            once,
            attempts=self.attempts,
            base=self.backoff_ms / 1e3,
            cap=self.backoff_cap_ms / 1e3,
            jitter=self.jitter,
            what="optimistic",
        )

    def pessimistic(
        self,
        program: Program,
        scenario: Scenario,
        dataset: str,
        what: str,
        place: tuple[int, int],
        commit: Inner,
    ) -> None:
        """Emit one transaction: a connection, the row's lock, read, think, write, commit."""
        data, stripe = scenario.data, program.register("lock")
        station = program.stations["data.primary"]

        def locked() -> None:
            first, table = self._stripes(program, scenario, station, dataset)
            program.step(Op.LOOKUP, site=table, register=stripe)
            program.step(Op.SEIZE, kind=WAITING, site=first, by=stripe)
            program.hold(f"{what} select", data.read_time)
            program.hold(f"{what} think", self.think)
            data.work(program, what, commit)
            program.step(Op.RELEASE)

        data.query(program, what, place, locked)
        committed(program)

    def figures(self, result: Measured) -> Iterator[Figure]:
        """How many optimistic writes came too late, how long pessimistic ones waited."""
        tried = result.visited("verified")
        if tried:
            lost = tried - result.visited("verified", 1)
            yield Figure(
                name="Optimistic writes in conflict",
                station="data.primary",
                value=lost / tried,
                unit="share",
                help="Of all attempts: somebody else had written the row meanwhile.",
            )
        meters = result.program.laid_out.get("lock meters", [])
        if meters:
            grown = result.grown("meters")
            count = max(1, int(grown["served"][meters].sum()))
            yield Figure(
                name="Wait for a row's lock",
                station="data.primary",
                value=float(grown["wait"][meters].sum()) / count * 1e3,
                unit="ms",
                help="Mean over pessimistic writes; each holds a connection meanwhile.",
            )

    def _stripes(
        self, program: Program, scenario: Scenario, station: Station, dataset: str
    ) -> tuple[int, int]:
        """Return the first lock of a dataset, and its table from a key to a lock.

        Locks have a meter of their own: who waits for a row does not wait for the database.
        """
        name = f"locks {dataset}"
        if name not in program.laid_out:
            keys, meter = scenario.datasets[dataset].keys, program.meter()
            count = min(keys, STRIPES)
            first = program.pools(station, count, 1, NOBODY, 0, (1,), meter)
            table = program.lookup(np.arange(keys) % count)
            program.laid_out[name] = first, table
            program.laid_out.setdefault("lock meters", []).append(meter)
        return program.laid_out[name]


def guarded(scenario: Scenario, dataset: str) -> bool:
    """Return whether some write of a dataset is optimistic, so that all have to leave a mark."""
    return any(
        getattr(step, "lock", "none") == "optimistic" and getattr(step, "dataset", "") == dataset
        for _, _, step in scenario.walk()
    )


def versions(program: Program, scenario: Scenario, dataset: str) -> int:
    """Return the ledger that knows when each row was last written on the primary."""
    return program.ledger(f"versions {dataset}", scenario.datasets[dataset].keys)
