"""Checks: the balancer asks every server now and then whether it is well, whoever else asks.

A check is a request like any other: it crosses the network, waits for a worker thread and takes
some CPU time, so a server that is dead, hangs, stands still, is cut off or has too long a line
fails it.  What the balancer does with the results is `policy.Check`.
"""

from __future__ import annotations

import functools
from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.assembly import Station
from engine.component import Component, ControlPlane, knob
from engine.distribution import Distribution, Time
from engine.kernel.tables import Op
from engine.layers.servers import Servers, luck
from engine.policy import Check, priority_load
from engine.program import NETWORK, WAITING, Program

if TYPE_CHECKING:
    from engine.scenario import Scenario

CHECKED = "checked"  # the program lays out under this name: service -> first row of results


class Checks(Component):
    """Active health checks: servers that fail them get no requests until they pass again."""

    on: bool = knob(
        False,
        "Health checks",
        help="Ask every server regularly; who fails leaves the pool until it is well again."
        " nginx: check (nginx_upstream_check_module); HAProxy: option httpchk.",
    )
    interval_seconds: float = knob(
        10.0,
        "Check interval",
        unit="s",
        low=0.1,
        high=3600,
        step=1,
        slider_high=60,
        help="From one check to the next. HAProxy: inter 2 s; Kubernetes: periodSeconds 10 s;"
        " nginx's check module: 30 s.",
    )
    timeout_seconds: float = knob(
        1.0,
        "Check time-out",
        unit="s",
        low=0.001,
        high=3600,
        step=0.1,
        slider_high=10,
        help="A server that takes longer fails the check, but never longer than the interval."
        " nginx's check module and Kubernetes: 1 s.",
    )
    fall: int = knob(
        3,
        "Fall",
        unit="checks",
        low=1,
        high=100,
        step=1,
        slider_high=10,
        help="After so many failures in a row a server is down. HAProxy, Kubernetes: 3; nginx's"
        " check module: 5.",
    )
    rise: int = knob(
        2,
        "Rise",
        unit="checks",
        low=1,
        high=100,
        step=1,
        slider_high=10,
        help="After so many successes in a row it is up again. HAProxy, nginx's check module: 2.",
    )
    cpu_time: Time = knob(
        Distribution(constant=0.5),
        "Check CPU time",
        unit="ms",
        help="What a server computes for a check; an assumption.",
    )
    panic_percent: float = knob(
        0.0,
        "Panic threshold",
        unit="%",
        low=0,
        high=100,
        step=5,
        help="Where fewer servers than that are well, all are tried: some answer is better than"
        " none. Envoy: 50 %. 0: who is down is never tried, and when all are down requests fail at"
        " once (nginx: no live upstreams).",
    )

    def emit(self, program: Program, scenario: Scenario, service: str, place: Servers) -> None:
        """Emit the check of a service's servers: an errand, whose key is the server's number."""
        unseen = Station(service, service, "edge", "service")  # on no map
        results = program.pools(unseen, place.laid, 0, 0, 0, meter=program.meter())
        program.laid_out.setdefault(CHECKED, {})[service] = results
        program.named[f"check {service}"] = -1

        def emit() -> None:
            balancer = program.station("edge.balancer", "Load balancer", "balancer")
            with program.at(place.station, "health check", background=True):
                there = program.node
            program.named[f"check {service}"] = program.begin("check")
            with program.at(balancer, "health check", background=True):
                server = program.register("server 0")
                program.step(Op.LOOKUP, site=program.lookup(np.arange(place.laid)), register=server)
                patience = min(self.timeout_seconds, self.interval_seconds)
                program.attempt(
                    functools.partial(ask, there),
                    timeout=Distribution(constant=patience * 1e3),
                    cancels=True,
                    otherwise=lambda: end(0),
                    what="check",
                )
                end(1)

        def ask(there: int) -> None:
            program.hold("forward", scenario.edge.balancer.latency, NETWORK)
            server = program.register("server 0")
            full = program.reason(f"{service} accept queue full")
            with program.beside(there):
                program.step(Op.SEIZE, kind=WAITING, site=place.first, by=server, reason=full)
                place.compute(program, "check", server, self.cpu_time)
                program.step(Op.RELEASE)

        def end(well: int) -> None:
            server = program.register("server 0")
            program.step(Op.OUTCOME, site=results, by=server, number=well, jump=place.laid)
            program.step(Op.LEAVE)

        program.later(emit)

    def tend(self, run: ControlPlane) -> Iterator[Generator[Any, Any, Any]]:
        """Check every service, each from a moment of its own on."""
        for service in run.plane.program.laid_out.get(CHECKED, {}):
            yield Checker(run, service).run()


class Checker:
    """What the balancer knows of one service's servers, and who it lets have requests."""

    def __init__(self, run: ControlPlane, service: str) -> None:
        self.plane = run.plane
        self.service = service
        self.control = run
        self.checks: dict[int, Check] = {}  # server -> what its checks have come to
        self.out: set[int] = set()  # servers that get no requests, because of their checks
        self.panics = False  # so few are well that all are tried

    @property
    def rules(self) -> Checks:
        """The knobs as they are set now."""
        return self.control.scenario.edge.balancer.checks

    @property
    def place(self) -> Servers:
        """Where the servers are."""
        found: Servers = self.plane.program.laid_out[self.service]
        return found

    def run(self) -> Generator[Any, Any, Any]:
        """Check all servers, wait for the results, act upon them, and rest until the next time."""
        env, phase = self.control.env, luck(self.control, f"{self.service} checks", 0).uniform()
        yield env.timeout(self.rules.interval_seconds * phase)
        while True:
            count = self.plane.scaled(self.service)
            well = self._well(count)
            interval = self.rules.interval_seconds
            patience = min(self.rules.timeout_seconds, interval)
            self.plane.launch(f"check {self.service}", count)
            yield env.timeout(patience)
            self._judge((self._well(count) - well) > 0)
            yield env.timeout(max(1e-6, interval - patience))

    def _well(self, count: int) -> np.ndarray:
        """Return how many checks each server has passed so far."""
        first = self.plane.program.laid_out[CHECKED][self.service]
        peers = self.plane.world.peers[first : first + count]
        return np.asarray(peers["calls"] - peers["bad"])

    def _judge(self, passed: np.ndarray) -> None:
        """Take results in, note who goes down or comes up, and set who gets requests."""
        rules, station = self.rules, self.place.station.name
        for gone in [server for server in self.checks if server >= len(passed)]:
            del self.checks[gone]  # scaled in; who takes its place begins anew
        fallen: list[int] = []
        risen: list[int] = []
        for server, ok in enumerate(passed.tolist()):
            before = self.checks.get(server, Check())
            after = replace(before, fall=rules.fall, rise=rules.rise).after(ok)
            self.checks[server] = after
            if after.up != before.up:
                (risen if after.up else fallen).append(server)
        if fallen:
            text = f"{self.service}: {_named(fallen)} down, {_checks(rules.fall)} in a row"
            text += f" without a good answer within {rules.timeout_seconds:g} s"
            self.control.note("server_down", station, text)
        if risen:
            text = f"{self.service}: {_named(risen)} up, {_checks(rules.rise)} in a row answered"
            self.control.note("server_up", station, text)
        self._let_in(station)

    def _let_in(self, station: str) -> None:
        """Let balancers pick who is well; or, in a panic, anybody."""
        down = {server for server, check in self.checks.items() if not check.up}
        healthy = 100.0 * (len(self.checks) - len(down)) / max(1, len(self.checks))
        panics = priority_load([healthy], self.rules.panic_percent).panics[0]
        out = set() if panics else down
        if panics and not self.panics:
            text = f"{self.service}: {healthy:.0f} % of servers are well, below the panic threshold"
            text += f" of {self.rules.panic_percent:g} %: all are tried"
            self.control.note("panic", station, text)
        for server in sorted(self.out ^ out):
            self.plane.mark_up(self.place.first + server, up=server not in out, by="checks")
        self.out, self.panics = out, panics


def _named(servers: list[int]) -> str:
    """Return who it is, counted from 1, with the verb.

    >>> _named([1]), _named([0, 2])
    ('server 2 is', 'servers 1, 3 are')
    """
    numbers = ", ".join(str(server + 1) for server in servers)
    return f"servers {numbers} are" if len(servers) > 1 else f"server {numbers} is"


def _checks(count: int) -> str:
    """Return so many checks in words.

    >>> _checks(1), _checks(3)
    ('1 check', '3 checks')
    """
    return f"{count} check" + "s" * (count != 1)
