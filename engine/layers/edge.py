"""Edge: name service, content delivery network, load balancer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Literal

from engine.assembly import Station
from engine.component import Component, Inner, Layer, Line, Step, knob
from engine.distribution import Distribution, Lognormal, Time
from engine.kernel.tables import Op, Policy
from engine.program import NETWORK, Program

if TYPE_CHECKING:
    from engine.component import AnyStep
    from engine.scenario import Scenario

POLICIES = {
    "round_robin": Policy.ROUND_ROBIN,
    "weighted": Policy.WEIGHTED,
    "least_connections": Policy.LEAST,
    "ip_hash": Policy.IP_HASH,
    "random": Policy.RANDOM,
    "power_of_two": Policy.CHOICES,
}
PolicyName = Literal[
    "round_robin", "weighted", "least_connections", "ip_hash", "random", "power_of_two"
]


class Dns(Component):
    """GeoDNS: sends each user to the nearest edge; resolvers remember the answer for its TTL."""

    on: bool = knob(True, "DNS", help="Look the name up before each request.")
    lookup: Time = knob(
        Distribution(lognormal=Lognormal(median=20, p99=120)),
        "Look-up time",
        unit="ms",
        help="When the resolver does not remember the name.",
    )
    ttl_seconds: float = knob(
        60.0,
        "DNS TTL",
        unit="s",
        low=0,
        high=86_400,
        step=10,
        help="How long resolvers remember. CloudFront and Route 53 aliases: 60 s.",
    )
    resolvers: int = knob(
        500,
        "Resolvers",
        low=1,
        high=100_000,
        step=100,
        help="How many resolvers the users share, with Zipf popularity.",
    )

    def emit(self, program: Program) -> None:
        """Emit the look-up: remembered by the resolver or not."""
        station = program.station("edge.dns", "DNS", "service")
        with program.at(station, "resolve"):
            if not station.stores:
                program.store(
                    station,
                    self.resolvers,
                    self.resolvers,
                    Distribution(constant=self.ttl_seconds * 1e3),
                )
            program.key("resolvers", self.resolvers, 1.0)
            known = program.step(Op.GET, site=station.stores[0])
            program.hold("lookup", self.lookup, NETWORK)
            program.step(Op.PUT, "remember", site=station.stores[0])
            program.patch(known, jump=program.here)


class Cdn(Component):
    """A content delivery network: a cache near the users of each region."""

    on: bool = knob(True, "CDN", help="Serve cacheable content near the users.")
    hit_time: Time = knob(
        Distribution(lognormal=Lognormal(median=5, p99=15)),
        "Hit time",
        unit="ms",
        help="What the edge takes for an object that it has.",
    )
    origin_time: Time = knob(
        Distribution(lognormal=Lognormal(median=150, p99=450)),
        "Origin time",
        unit="ms",
        help="What object storage takes for one the edge lacks.",
    )
    ttl_seconds: float = knob(
        86_400.0,
        "CDN TTL",
        unit="s",
        low=0,
        high=31_536_000,
        step=60,
        slider_high=86_400,
        help="How long an object stays fresh. CloudFront: 24 h.",
    )
    capacity: int = knob(
        20_000,
        "CDN capacity",
        unit="objects",
        low=0,
        high=10_000_000,
        step=1000,
        slider_high=50_000,
        help="Objects that one region's edge can hold.",
    )
    warm: bool = knob(True, "Warm CDN", help="Begin with the most popular objects in place.")


class Balancer(Component):
    """A load balancer in front of the application."""

    on: bool = knob(True, "Load balancer", help="Off: names resolve to a server at random.")
    policy: PolicyName = knob(
        "least_connections", "Policy", help="Which server gets the next request."
    )
    latency: Time = knob(
        Distribution(constant=0.5), "Latency", unit="ms", help="What the balancer itself takes."
    )
    draws: int = knob(
        2,
        "Draws",
        low=2,
        high=16,
        step=1,
        help="Power of two: how many servers are drawn to choose the least busy of.",
    )


class Edge(Layer):
    """What stands between the users and the application."""

    dns: Dns = Dns()
    cdn: Cdn = Cdn()
    balancer: Balancer = Balancer()

    def resolve(self, program: Program) -> None:
        """Emit the name look-up at the start of a journey."""
        if self.enabled and self.dns.on:
            self.dns.emit(program)

    def policy(self) -> tuple[Policy, int]:
        """Return how a server of the first service is picked, and among how many draws."""
        if not (self.enabled and self.balancer.on):
            return Policy.RANDOM, 1
        name = self.balancer.policy
        return POLICIES[name], 1 if name == "random" else self.balancer.draws

    def front(self, program: Program) -> AbstractContextManager[None]:
        """Emit what follows as a visit to the balancer, if there is one."""
        if not (self.enabled and self.balancer.on):
            return nullcontext()
        station = program.station("edge.balancer", "Load balancer", "balancer")
        return program.at(station, "forward")

    def forward(self, program: Program) -> None:
        """Emit what the balancer itself takes, if there is one."""
        if self.enabled and self.balancer.on:
            program.hold("forward", self.balancer.latency)

    def bill(self, scenario: Scenario) -> Iterator[Line]:
        """A balancer by the hour; requests through the CDN and names by the million."""
        prices = scenario.prices
        if self.balancer.on:
            yield Line(
                item="Load balancer",
                station="edge.balancer",
                quantity=1,
                usd_per_hour_each=prices.balancer_usd_per_hour,
            )
        if self.cdn.on and scenario.uses("fetch"):
            per_hour = scenario.share_of("fetch") * scenario.client.requests_per_second * 3600 / 1e6
            yield Line(
                item="CDN, per million requests",
                station="edge.cdn",
                quantity=per_hour,
                usd_per_hour_each=prices.cdn_usd_per_million,
            )


class Fetch(Step):
    """Get a cacheable object: from the edge if it has it, else from the origin."""

    do: Literal["fetch"] = "fetch"
    dataset: str
    then: tuple[AnyStep, ...] = ()

    def names(self) -> list[tuple[str, str]]:
        """The dataset."""
        return [("dataset", self.dataset)]

    def emit(self, program: Program, scenario: Scenario, inner: Inner) -> None:
        """Emit the look-up at the region's edge, and the way to the origin behind a miss."""
        edge, data = scenario.edge, scenario.datasets[self.dataset]
        if not (edge.enabled and edge.cdn.on):
            self._origin(program, scenario, inner)
            return
        cdn = edge.cdn
        station = program.station("edge.cdn", "CDN", "store", len(scenario.client.regions))
        with program.at(station, "fetch"):
            store = self._stores(program, scenario, station)
            program.hold("serve", cdn.hit_time)
            program.key(self.dataset, data.keys, data.zipf)
            region = program.register("region") if scenario.client.enabled else 0
            hit = program.step(Op.GET, site=store, by=region)
            self._origin(program, scenario, inner)
            program.key(self.dataset, data.keys, data.zipf)
            program.step(Op.PUT, "keep", site=store, by=region)
            program.patch(hit, jump=program.here)
            program.forget_key()

    def _stores(self, program: Program, scenario: Scenario, station: Station) -> int:
        """Return the first region's store of the dataset, made on first use."""
        name = f"cdn {self.dataset}"
        if name not in program.named:
            cdn, keys = scenario.edge.cdn, scenario.datasets[self.dataset].keys
            room = scenario.room_for(self.dataset, "fetch", cdn.capacity)
            ttl = Distribution(constant=cdn.ttl_seconds * 1e3)
            stores = [
                program.store(station, keys, room, ttl, cdn.warm) for _ in scenario.client.regions
            ]
            program.named[name] = stores[0]
        return program.named[name]

    def _origin(self, program: Program, scenario: Scenario, inner: Inner) -> None:
        """Emit the origin: the steps within, or object storage if there are none."""
        if self.then:
            inner()
            return
        station = program.station("edge.origin", "Object storage", "service")
        with program.at(station, "read"):
            scenario.client.travel(program, "to the origin")
            program.hold("read", scenario.edge.cdn.origin_time)
