"""Deploy: a service's servers are replaced by new ones, which may be bad, and may be taken back."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Any

from engine.component import Component, ControlPlane, knob
from engine.layers.servers import Servers


class Deploy(Component):
    """A rolling deployment: servers are replaced batch by batch while requests come."""

    at_seconds: float | None = knob(
        None,
        "Deploy at",
        unit="s",
        low=0,
        high=86_400,
        step=5,
        slider_high=300,
        help="When every service begins to be replaced. Empty: never.",
    )
    max_unavailable: float = knob(
        0.25,
        "Max unavailable",
        low=0,
        high=1,
        step=0.05,
        help="Share of a service's servers that are away at once, rounded down. Kubernetes: 25 %.",
    )
    surge: float = knob(
        0.25,
        "Max surge",
        low=0,
        high=1,
        step=0.05,
        help="Share that there may be more meanwhile, rounded up. Kubernetes: 25 %.",
    )
    start_seconds: float = knob(
        10.0,
        "Start-up time",
        unit="s",
        low=0.1,
        high=3600,
        step=5,
        slider_high=120,
        help="Until a new server takes calls; an assumption, some tens of seconds for a JVM.",
    )

    error_rate: float = knob(
        0.0,
        "Errors of the new version",
        low=0,
        high=1,
        step=0.05,
        help="Share of its calls that fail: a bad release.",
    )
    cpu_factor: float = knob(
        1.0,
        "CPU of the new version",
        unit="×",
        low=0.01,
        high=100,
        step=0.5,
        slider_high=10,
        help="CPU time of its calls, against that of the old one.",
    )
    watch_seconds: float = knob(
        0.0,
        "Watch each batch",
        unit="s",
        low=0,
        high=3600,
        step=15,
        slider_high=300,
        help="How long a batch is looked at before the next one. Kubernetes: minReadySeconds 0; at"
        " least a scrape interval, or there is nothing to be seen.",
    )
    rollback_above: float | None = knob(
        None,
        "Roll back above",
        low=0,
        high=1,
        step=0.01,
        slider_high=0.2,
        help="Share of the service's calls that fail, as scraped, at which the old version comes"
        " back, batch by batch. Flagger: success rate below 99 %. Empty: nobody looks.",
    )

    def batch(self, count: int) -> tuple[int, int]:
        """Return how many of `count` servers are away at once, and how many are replaced at once.

        >>> Deploy().batch(8), Deploy().batch(1), Deploy(surge=0).batch(1)
        ((2, 4), (0, 1), (1, 1))
        """
        away, more = int(count * self.max_unavailable), math.ceil(count * self.surge)
        if away + more == 0:  # else it would never come to an end; Kubernetes refuses it
            away = 1
        return away, away + more


class Rollout:
    """The deployment of one service.

    As in a Kubernetes Deployment, what is taken away gets no new calls and ends those that it
    has; its place is taken once a new server has started.  Surge adds servers meanwhile, so that
    fewer are missing.  What was in the memory of the old ones is gone.
    """

    def __init__(self, control: ControlPlane, name: str, place: Servers) -> None:
        self.control = control
        self.plane = control.plane
        self.name = name
        self.place = place
        self.new: list[int] = []  # servers that run the new version
        self.handle: int | None = None  # of what is wrong with the new version

    @property
    def rules(self) -> Deploy:
        """The knobs as they are set now."""
        found: Deploy = self.control.scenario.application.deploy
        return found

    def run(self) -> Generator[Any, Any, Any]:
        """Replace the servers batch by batch, and look at each batch if that is wanted."""
        yield self.control.env.timeout(self.rules.at_seconds or 0.0)
        count = self.plane.scaled(self.place.station.name)
        away, batch = self.rules.batch(count)
        self._note(f"{self.name} is replaced, {batch} of {count} at a time, {away} of them away")
        for start in range(0, count, batch):
            servers = list(range(start, min(count, start + batch)))
            yield from self._replace(servers, away, new=True)
            yield self.control.env.timeout(self.rules.watch_seconds)
            seen = self._errors()
            if seen is not None:
                yield from self._roll_back(seen, away, batch)
                return
        self._note(f"{self.name} is replaced")

    def _replace(self, servers: list[int], away: int, *, new: bool) -> Generator[Any, Any, Any]:
        """Let servers go, start others in their places, and let those take calls."""
        first = self.place.first
        for server in servers[:away]:
            self.plane.mark_up(first + server, up=False, by="deploy")
        yield self.control.env.timeout(self.rules.start_seconds)
        for server in servers:
            sessions = self.control.scenario.application.sessions
            sessions.lose_memory(self.control, self.name, server)
        self._become(servers, new=new)
        for server in servers[:away]:
            self.plane.mark_up(first + server, up=True, by="deploy")

    def _become(self, servers: list[int], *, new: bool) -> None:
        """Let servers run the new version, or the old one again."""
        self.new = self.new + servers if new else [s for s in self.new if s not in servers]
        if self.handle is not None:
            self.plane.calm(self.handle)
            self.handle = None
        rules = self.rules
        if self.new and (rules.error_rate > 0 or rules.cpu_factor != 1.0):
            self.handle = self.plane.disturb(
                self.plane.program.rows(station=self.place.station.name, what="cpu"),
                factor=rules.cpu_factor,
                loss=rules.error_rate,
                reason=f"{self.name} new version",
                servers=[self.place.first + server for server in self.new],
            )

    def _errors(self) -> float | None:
        """Return the share of calls that fail, if that is too many."""
        rules = self.rules
        if rules.rollback_above is None:
            return None
        window = max(rules.watch_seconds, 1e-3)
        seen = float(self.control.metrics.value("error_ratio", self.place.station.name, window))
        return seen if seen > rules.rollback_above else None

    def _roll_back(self, seen: float, away: int, batch: int) -> Generator[Any, Any, Any]:
        """Give the old version its servers back."""
        limit = self.rules.rollback_above or 0.0
        text = f"{self.name}: {100 * seen:.1f} % of calls fail, above {100 * limit:g} %"
        count = len(self.new)
        self._note(f"{text}: {count} new server{'s' * (count != 1)} rolled back")
        while self.new:
            yield from self._replace(self.new[:batch], away, new=False)
        self._note(f"{self.name} is rolled back")

    def _note(self, text: str) -> None:
        self.control.note("deploy", self.place.station.name, text)
