"""Faults of application servers: they die, hang, are slow, or run a release that is bad."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from engine.component import ControlPlane, knob
from engine.errors import ScenarioError, close_to, shown
from engine.faults.fault import Lasting
from engine.faults.words import counted, numbered
from engine.layers.servers import Servers
from engine.program import WORKING

if TYPE_CHECKING:
    import numpy as np

    from engine.scenario import Scenario

SERVERS_MAX = 1000


class OfService(Lasting):
    """A fault of a service's servers: one of them, several, or a share."""

    layer = "application"

    service: str = knob("", "Service", help="Which service; empty: the first that is called.")
    server: int = knob(
        1, "Server", low=1, high=SERVERS_MAX, step=1, slider_high=32, help="The first it befalls."
    )
    servers: int = knob(
        1, "Servers", low=1, high=SERVERS_MAX, step=1, slider_high=32, help="How many it befalls."
    )
    share: float | None = knob(
        None,
        "Share of the servers",
        low=0,
        high=1,
        step=0.05,
        help="Instead of a number: this share of the service's servers, rounded up.",
    )

    def refuse(self, scenario: Scenario) -> str:
        """The service exists, is called, and has that many servers."""
        line = super().refuse(scenario) or no_service(self.service, scenario)
        if line:
            return line
        name, count = self.name(scenario), most_servers(scenario, self.name(scenario))
        if self.server > count:
            return f"server is {self.server}, but {name} has {count}; use at most {count}"
        if self.share is None and self.server + self.servers - 1 > count:
            left = count - self.server + 1
            return (
                f"servers is {self.servers}, but {name} has {left} from server {self.server} on;"
                f" use at most {left}"
            )
        return ""

    def name(self, scenario: Scenario) -> str:
        """Return the service's name."""
        return self.service or called(scenario)[0]

    def indices(self, scenario: Scenario, count: int | None = None) -> list[int]:
        """Return which servers it befalls, counted from 0, of those that there are now."""
        most = scenario.application.servers(self.name(scenario)) if count is None else count
        wanted = self.servers if self.share is None else math.ceil(self.share * most)
        return list(range(self.server - 1, min(most, self.server - 1 + wanted)))

    def targets(self, scenario: Scenario) -> Iterator[str]:
        """Each server, where it is taken away."""
        if self.state:
            for index in self.indices(scenario, most_servers(scenario, self.name(scenario))):
                yield f"server {index + 1} of {self.name(scenario)}"

    def found(self, run: ControlPlane) -> tuple[Servers, list[int], str]:
        """Return where the service's servers stand, which ones it befalls, and their names."""
        name = self.name(run.scenario)
        if name not in run.plane.program.laid_out:
            raise ScenarioError(f"no request of this run calls {name}; nobody would notice")
        place: Servers = run.plane.program.laid_out[name]
        indices = self.indices(run.scenario, run.plane.scaled(place.station.name))
        return place, indices, numbered(f"{name} server", indices)

    @classmethod
    def choices(cls, scenario: Scenario) -> Mapping[str, tuple[str, ...]]:
        """Services that some journey calls."""
        return {"service": tuple(called(scenario))}

    @classmethod
    def drawn(cls, scenario: Scenario, rng: np.random.Generator) -> dict[str, Any]:
        """One server of one service."""
        fields = super().drawn(scenario, rng)
        count = scenario.application.servers(fields["service"])
        return {**fields, "server": 1 + int(rng.integers(count))}


class KillServer(OfService):
    """Servers die: their calls are cut off, and nobody can connect until they are started again.

    What was in their memory, such as sessions, is gone.
    """

    do: Literal["kill_server"] = "kill_server"
    title = "Kill servers"
    state = "killed"

    def act(self, run: ControlPlane) -> Iterator[tuple[str, str]]:
        """Refuse connections and reset those there are; the memory is lost."""
        place, indices, who = self.found(run)
        pools = [place.first + index for index in indices]
        run.plane.shut(pools, refuses=True, reason="connection refused")
        cut = run.plane.crash(pools, "connection reset")
        for index in indices:
            run.scenario.application.sessions.lose_memory(run, self.name(run.scenario), index)
        yield place.station.name, f"{who} killed: {counted(cut, 'call')} cut off"
        run.plane.reopen(pools)
        yield place.station.name, f"{who} started again"


class HangServer(OfService):
    """Servers hang: connections are still taken, but nothing is answered until they go on.

    A deadlock, a full disk, a debugger: worse than death, because nobody is told.
    """

    do: Literal["hang_server"] = "hang_server"
    title = "Hang servers"
    state = "hung"

    def act(self, run: ControlPlane) -> Iterator[tuple[str, str]]:
        """Let nobody begin, and what has begun go no further than the step that it is at."""
        place, indices, who = self.found(run)
        pools = [place.first + index for index in indices]
        now = float(run.env.now)
        rest = min(self.until, max(now, run.scenario.duration_seconds)) - now
        run.plane.shut(pools, refuses=False)
        handle = run.plane.disturb(run.plane.program.rows(), extra_seconds=rest, servers=pools)
        yield place.station.name, f"{who} hung: calls are taken and not answered"
        run.plane.calm(handle)
        run.plane.reopen(pools)
        yield place.station.name, f"{who} working again"


class SlowServer(OfService):
    """Servers are slow: each call computes so many times as long there.

    A noisy neighbour, a failing fan, a log level left at debug.
    """

    do: Literal["slow_server"] = "slow_server"
    title = "Slow servers"

    factor: float = knob(
        5.0,
        "Slower",
        unit="×",
        low=1,
        high=10_000,
        step=1,
        slider_high=50,
        help="How many times as long computing takes.",
    )

    def act(self, run: ControlPlane) -> Iterator[tuple[str, str]]:
        """Stretch what is computed on these servers."""
        place, indices, who = self.found(run)
        pools = [place.first + index for index in indices]
        rows = run.plane.program.rows(station=place.station.name, kind=WORKING)
        handle = run.plane.disturb(rows, factor=self.factor, servers=pools)
        text = f"{who} slow: computing takes {self.factor:g} times as long"
        yield place.station.name, text
        run.plane.calm(handle)
        yield place.station.name, f"{who} as fast as before"


class BadDeploy(OfService):
    """A release that is bad: a share of its calls fails, and all take longer, until rolled back.

    `share` is how far the release has got: 0.1 is a canary.
    """

    do: Literal["bad_deploy"] = "bad_deploy"
    title = "Bad deploy"

    share: float | None = knob(
        1.0,
        "Share of the servers",
        low=0,
        high=1,
        step=0.05,
        help="How many of the service's servers run the release, rounded up; a canary is few.",
    )
    error_rate: float = knob(
        0.2, "Error rate", low=0, high=1, step=0.05, help="Share of its calls that fail."
    )
    factor: float = knob(
        1.5,
        "Slower",
        unit="×",
        low=0.01,
        high=1000,
        step=0.5,
        slider_high=20,
        help="How many times as long it computes.",
    )

    def act(self, run: ControlPlane) -> Iterator[tuple[str, str]]:
        """Stretch what is computed and let some of it fail; the end is the rollback."""
        place, indices, who = self.found(run)
        pools = [place.first + index for index in indices]
        name = self.name(run.scenario)
        rows = run.plane.program.rows(station=place.station.name, kind=WORKING)
        handle = run.plane.disturb(
            rows,
            factor=self.factor,
            loss=self.error_rate,
            reason=f"{name} release is bad",
            servers=pools,
        )
        text = f"{who} given a new release"
        yield (
            place.station.name,
            f"{text}: {self.error_rate:.0%} of calls fail, computing takes {self.factor:g} ×",
        )
        run.plane.calm(handle)
        yield place.station.name, f"{name} is rolled back"


# ---------------------------------------------------------------- words


def called(scenario: Scenario) -> list[str]:
    """Return the services that journeys call, in the order in which they are met."""
    names = (
        name
        for _, _, step in scenario.walk()
        for kind, name in step.names()
        if kind == "service" and getattr(step, "do", "") == "call"
    )
    return list(dict.fromkeys(names))


def no_service(name: str, scenario: Scenario) -> str:
    """Return why a service's servers cannot be meant, or nothing."""
    names = called(scenario)
    if not names:
        return "no journey calls a service; add a step do: call"
    if not name or name in names:
        return ""
    if name in scenario.application.services:
        return f"service is {shown(name)}, which no journey calls{close_to(name, names)}"
    return f"service is {shown(name)}, which does not exist{close_to(name, names)}"


def most_servers(scenario: Scenario, name: str) -> int:
    """Return how many servers a service can have, with those that an autoscaler may add."""
    layer = scenario.application
    most = layer.autoscaler.max_replicas if layer.autoscaler.scales(name) else 0
    return max(layer.servers(name), most)
