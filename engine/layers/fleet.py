"""Fleets: the servers of a service, or workers of a kind, while controllers change their number.

A server that is asked for takes calls once it has started, and is paid for from the moment that
it was asked for.  One that is taken away finishes what it has in hand and gets nothing new.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from engine.component import ControlPlane

AGES_AGO = -1e9  # seconds: when the servers that a run begins with were started


@dataclass
class Batch:
    """Servers that were asked for together and have not started yet."""

    count: int
    since: float  # seconds


class Fleet:
    """Who takes calls, who is starting, and since when."""

    def __init__(self, run: ControlPlane, station: str) -> None:
        self.run = run
        self.station = station
        self.batches: list[Batch] = []  # those asked for last stand last
        self.started: list[float] = []  # by server: when it was asked for, seconds
        self.ready_since: list[float] = []  # by server: when it began to take calls

    @property
    def ready(self) -> int:
        """How many take calls."""
        return int(self.run.plane.scaled(self.station))

    @property
    def starting(self) -> int:
        """How many were asked for and do not take calls yet."""
        return sum(batch.count for batch in self.batches)

    @property
    def count(self) -> int:
        """How many there are, those that start included."""
        return self.ready + self.starting

    @property
    def most(self) -> int:
        """How many there can be at most in this run."""
        return int(self.run.plane.scale_max(self.station))

    def ages(self) -> list[tuple[float, float]]:
        """Return, by server that takes calls, when it was asked for and when it was ready, s."""
        missing = self.ready - len(self.started)
        self.started += [AGES_AGO] * missing  # whoever was there before, or came by a knob
        self.ready_since += [AGES_AGO] * missing
        del self.started[self.ready :], self.ready_since[self.ready :]
        return list(zip(self.started, self.ready_since, strict=True))

    def resize(self, wanted: int, startup_seconds: float) -> None:
        """Have so many from now on: start some, or give up those that start, then others."""
        more = min(wanted, self.most) - self.count
        if more > 0:
            batch = Batch(more, float(self.run.env.now))
            self.batches.append(batch)
            self.run.env.process(self._start(batch, startup_seconds))
        elif more < 0:
            self._shrink(-more)
        self.bill()

    def have(self, count: int) -> None:
        """Let so many take calls from now on."""
        self.run.plane.scale(self.station, count)

    def bill(self) -> None:
        """Say how many are paid for from now on."""
        self.run.recorder.pay(self.station, self.count)

    def _start(self, batch: Batch, seconds: float) -> Generator[Any, Any, Any]:
        """Let a batch take calls when it has started, less those given up meanwhile."""
        yield self.run.env.timeout(seconds)
        self.batches.remove(batch)
        if not batch.count:
            return
        self.ages()
        self.started += [batch.since] * batch.count
        self.ready_since += [float(self.run.env.now)] * batch.count
        self.have(min(self.most, self.ready + batch.count))

    def _shrink(self, fewer: int) -> None:
        """Take servers away: first those that do not take calls yet, as Kubernetes does."""
        for batch in reversed(self.batches):
            given_up = min(batch.count, fewer)
            batch.count -= given_up
            fewer -= given_up
        if fewer:
            self.have(self.ready - fewer)
        self.ages()
