"""Edge: what stands between the users and the application."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Literal

from engine.component import Component, ControlPlane, Layer, Line, knob
from engine.distribution import Distribution, Time
from engine.kernel.tables import Op, Policy
from engine.layers.balancer import Balancer, Place, Serve, Servers
from engine.layers.cdn import Cdn
from engine.layers.names import Dns
from engine.program import Program

if TYPE_CHECKING:
    from engine.scenario import Scenario


class Tls(Component):
    """Connections: what opening one costs before the first byte of a request."""

    on: bool = knob(
        False, "Connections", help="Let requests that need a new connection wait for it."
    )
    version: Literal["tls1.3", "tls1.2", "quic", "none"] = knob(
        "tls1.3",
        "TLS version",
        help="Round trips before a request: TCP's one, and one of TLS 1.3 (RFC 8446) or two of TLS"
        " 1.2 (RFC 5246); one for both in QUIC (RFC 9000). None: TCP alone.",
    )
    new_connections: float = knob(
        0.1,
        "New connections",
        low=0,
        high=1,
        step=0.05,
        help="Share of requests that find no open one. 1: no keep-alive at all. nginx closes a"
        " connection after 1,000 requests or 75 s without one.",
    )
    handshake_time: Time = knob(
        Distribution(constant=1),
        "Handshake time",
        unit="ms",
        help="What the edge computes for one: a signature.",
    )

    def emit(self, program: Program, scenario: Scenario) -> None:
        """Emit the handshake of those who need one."""
        station = program.station("edge.tls", "Connections", "service")
        trips = {"tls1.3": 2, "tls1.2": 3, "quic": 1, "none": 1}[self.version]

        def shake() -> None:
            scenario.client.round_trips(program, "handshake", trips)
            if self.version != "none":
                program.hold("sign", self.handshake_time)

        with program.at(station, "connect"):
            program.chance("connect", self.new_connections, shake)


class Waf(Component):
    """A web application firewall: looks into each request and blocks some."""

    on: bool = knob(False, "WAF", help="Inspect every request before anything else is done.")
    inspection: Time = knob(
        Distribution(constant=1), "Inspection", unit="ms", help="What the rules take for a request."
    )
    blocked_share: float = knob(
        0.01,
        "Attacks",
        low=0,
        high=1,
        step=0.01,
        help="Share of requests that are attacks and are blocked.",
    )
    false_positive_share: float = knob(
        0.0,
        "False positives",
        low=0,
        high=1,
        step=0.001,
        help="Share of honest requests that are blocked all the same, every time they are sent.",
    )

    def emit(self, program: Program) -> None:
        """Emit the inspection and its verdict."""
        with program.at(program.station("edge.waf", "WAF", "service"), "inspect"):
            program.hold("inspect", self.inspection)
            for what, share, reason in (
                ("attack", self.blocked_share, "blocked as an attack"),
                ("mistake", self.false_positive_share, "blocked by mistake"),
            ):
                program.chance(what, share, lambda why=reason: program.fail(why), always=True)  # type: ignore[misc]


class Limiter(Component):
    """A rate limiter: refuses what comes faster than its rate."""

    on: bool = knob(False, "Rate limiter", help="Refuse what comes too fast.")
    rate: float = knob(
        1000.0,
        "Rate limit",
        unit="requests/s",
        low=0,
        high=200_000,
        step=10,
        slider_high=5000,
        help="What may pass in the long run, of all together or of each client.",
    )
    burst: float = knob(
        100.0,
        "Burst",
        unit="requests",
        low=1,
        high=1_000_000,
        step=10,
        slider_high=1000,
        help="Token bucket: what may come at once after a quiet time.",
    )
    per_client: bool = knob(
        False, "Per client", help="Each user has a limit of its own; off: one limit for all."
    )
    algorithm: Literal["token_bucket", "sliding_window"] = knob(
        "token_bucket",
        "Algorithm",
        help="Token bucket: filled at the rate, as in Envoy and AWS. Sliding window: at most rate"
        " × window in any window, as Cloudflare counts.",
    )
    window_seconds: float = knob(
        1.0,
        "Window",
        unit="s",
        low=0.01,
        high=86_400,
        step=1,
        slider_high=60,
        help="Length of the sliding window.",
    )

    def emit(self, program: Program, users: int) -> None:
        """Emit the question whether there is something left."""
        station = program.station("edge.limiter", "Rate limiter", "service")
        clients = users if self.per_client else 1
        if "edge.limiter" not in program.named:
            window = self.window_seconds if self.algorithm == "sliding_window" else 0.0
            program.named["edge.limiter"] = program.limit(self.rate, self.burst, clients, window)
        with program.at(station, "limit"):
            program.step(
                Op.LIMIT,
                site=program.named["edge.limiter"],
                number=clients,
                reason=program.reason("rate limited"),
            )


class Edge(Layer):
    """What stands between the users and the application."""

    dns: Dns = Dns()
    tls: Tls = Tls()
    waf: Waf = Waf()
    limiter: Limiter = Limiter()
    cdn: Cdn = Cdn()
    balancer: Balancer = Balancer()

    def resolve(self, program: Program, scenario: Scenario) -> None:
        """Emit what comes before a request leaves the user: its name, and a connection."""
        if not self.enabled:
            return
        if self.dns.on:
            self.dns.emit(program, scenario)
        if self.tls.on:
            self.tls.emit(program, scenario)

    def admit(self, program: Program, scenario: Scenario) -> None:
        """Emit what a request meets first when it has come to the edge."""
        if self.enabled and self.waf.on:
            self.waf.emit(program)
        if self.enabled and self.limiter.on:
            self.limiter.emit(program, scenario.client.users)

    def balance(
        self, program: Program, scenario: Scenario, place: Place, service: str, serve: Serve
    ) -> None:
        """Emit the way from the edge to one of a service's servers, and that one's part."""
        with self._front(program):
            scenario.client.travel(program, "to the origin")
            if self._balances:
                program.hold("forward", self.balancer.latency)
                self.balancer.hand_over(program, scenario, place, service, serve)
            else:
                serve(_anybody(program), 1.0)

    @property
    def _balances(self) -> bool:
        return self.enabled and self.balancer.on

    def _front(self, program: Program) -> AbstractContextManager[None]:
        """Emit what follows as a visit to the balancer, if there is one."""
        if not self._balances:
            return nullcontext()
        station = program.station("edge.balancer", "Load balancer", "balancer")
        return program.at(station, "forward")

    def tend(self, run: ControlPlane) -> Iterator[Generator[Any, Any, Any]]:
        """Lose regions and send their users elsewhere; warm up servers that come up."""
        if self.enabled:
            yield from self.dns.tend(run)
            yield from self.balancer.tend(run)

    def adopted(self, run: ControlPlane) -> None:
        """Keep sending users only to regions that are up."""
        self.dns.adopted(run)

    def bill(self, scenario: Scenario) -> Iterator[Line]:
        """A balancer by the hour; requests through the CDN and the WAF by the million."""
        prices = scenario.prices
        if self.balancer.on:
            yield Line(
                item="Load balancer",
                station="edge.balancer",
                quantity=1,
                usd_per_hour_each=prices.balancer_usd_per_hour,
            )
        millions_per_hour = scenario.client.requests_per_second * 3600 / 1e6
        if self.cdn.on and scenario.uses("fetch"):
            yield Line(
                item="CDN, per million requests",
                station="edge.cdn",
                quantity=scenario.share_of("fetch") * millions_per_hour,
                usd_per_hour_each=prices.cdn_usd_per_million,
            )
        if self.waf.on:
            yield Line(
                item="WAF, per million requests",
                station="edge.waf",
                quantity=millions_per_hour,
                usd_per_hour_each=prices.waf_usd_per_million,
            )


def _anybody(program: Program) -> Any:
    """Return what emits the pick of any server: names resolve to one at random."""

    def route(name: str, place: Servers, server: int) -> None:
        program.step(
            Op.ROUTE,
            "route",
            site=program.shared_group(name, Policy.RANDOM, place.first, place.count, 1),
            register=server,
            jump=place.first,
            reason=program.reason("no healthy server"),
        )

    return route
