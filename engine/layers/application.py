"""Application: stateless services; each server has worker threads and CPU cores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator

from engine.assembly import Station
from engine.component import Component, Inner, Layer, Line, Step, knob
from engine.distribution import Distribution, Time
from engine.kernel.tables import NOBODY, Op, Policy
from engine.program import NETWORK, WAITING, Program

if TYPE_CHECKING:
    from engine.component import AnyStep
    from engine.scenario import Scenario

REPLICAS_MAX = 1000
REPEAT_MAX = 4096
BLOCK = 32  # servers are laid out in blocks, so that a run can scale out


class Service(Component):
    """A service of the call graph; what it leaves empty it takes from the layer."""

    title: str = Field(default="", max_length=60)
    cpu_time: Time = knob(
        Distribution(exponential=4),
        "CPU time",
        unit="ms",
        help="What one call computes, without what it waits for.",
    )
    replicas: int | None = knob(
        None,
        "Servers",
        low=1,
        high=REPLICAS_MAX,
        step=1,
        slider_high=32,
        help="Servers of this service; empty: as the layer says.",
    )
    threads: int | None = knob(
        None,
        "Worker threads",
        low=1,
        high=10_000,
        step=1,
        slider_high=200,
        help="Calls that one server handles at once; empty: as the layer says.",
    )
    cores: int | None = knob(
        None,
        "CPU cores",
        low=1,
        high=256,
        step=1,
        slider_high=32,
        help="Cores of one server; empty: as the layer says.",
    )
    weights: tuple[Annotated[int, Field(ge=1, le=1000)], ...] = Field(
        default=(), title="Weights", description="Of its servers, for weighted policies."
    )
    queue_timeout_ms: Time | None = knob(
        None,
        "Queue time-out",
        unit="ms",
        help="A call that waits longer for a thread is given up; empty: never.",
    )
    queue_limit: int | None = knob(
        None,
        "Accept queue",
        unit="calls",
        low=0,
        high=1_000_000,
        step=1,
        slider_high=2000,
        help="Calls that may wait for a thread; empty: as the layer says.",
    )


class Application(Layer):
    """The services and the servers that they run on."""

    replicas: int = knob(
        4,
        "App servers",
        low=1,
        high=REPLICAS_MAX,
        step=1,
        main=True,
        slider_high=32,
        help="Servers of each service.",
    )
    threads: int = knob(
        16,
        "App worker threads",
        low=1,
        high=10_000,
        step=1,
        main=True,
        slider_high=128,
        help="Calls one server handles at once. A thread is held while its call"
        " waits for cache, database or another service.",
    )
    cores: int = knob(
        4,
        "CPU cores",
        low=1,
        high=256,
        step=1,
        slider_high=32,
        help="Cores of one server, which its threads share.",
    )
    queue_limit: int = knob(
        511,
        "Accept queue",
        unit="calls",
        low=0,
        high=1_000_000,
        step=10,
        slider_high=2000,
        help="Calls that may wait for a thread; more are refused. nginx: backlog 511.",
    )
    hop: Time = knob(
        Distribution(constant=0.25),
        "Network hop",
        unit="ms",
        help="Between two services in one zone, there and back.",
    )
    services: dict[str, Service] = Field(default_factory=lambda: {"server": Service()})

    @field_validator("services")
    @classmethod
    def some_service(cls, services: dict[str, Service]) -> dict[str, Service]:
        """There is at least one service."""
        if not services:
            raise ValueError("there is no service; add at least one, or switch the layer off")
        return services

    def servers(self, name: str) -> int:
        """Return how many servers a service has."""
        return self.services[name].replicas or self.replicas

    def bill(self, scenario: Scenario) -> Iterator[Line]:
        """Servers by the hour, by their cores."""
        for name, service in self.services.items():
            if scenario.uses("call", name):
                cores = service.cores or self.cores
                yield Line(
                    item=f"{service.title or name} servers, {cores} cores",
                    station=f"application.{name}",
                    quantity=self.servers(name),
                    usd_per_hour_each=cores * scenario.prices.app_core_usd_per_hour,
                )


class Call(Step):
    """Call a service, and do the steps within while its thread is held."""

    do: Literal["call"] = "call"
    service: str
    cpu_time: Time | None = Field(
        default=None,
        title="CPU time",
        description="What this call computes, ms; empty: as the service says.",
    )
    then: tuple[AnyStep, ...] = ()

    def names(self) -> list[tuple[str, str]]:
        """The service."""
        return [("service", self.service)]

    def emit(self, program: Program, scenario: Scenario, inner: Inner) -> None:
        """Emit the way to a server, its thread, its CPU, and what it does meanwhile."""
        if not scenario.application.enabled:
            inner()
        elif program.inside("application"):
            self._serve(program, scenario, inner, Policy.ROUND_ROBIN, 1)
        else:
            policy, draws = scenario.edge.policy()
            with scenario.edge.front(program):
                scenario.client.travel(program, "to the origin")
                scenario.edge.forward(program)
                self._serve(program, scenario, inner, policy, draws)

    def _serve(
        self, program: Program, scenario: Scenario, inner: Inner, policy: Policy, draws: int
    ) -> None:
        """Emit a server's part; it is picked by a policy, among so many draws."""
        layer = scenario.application
        service, depth = layer.services[self.service], program.depth("application")
        place = lay_out(program, scenario, self.service)
        server = program.register(f"server {depth}")
        name = f"{self.service} {'inner' if depth else 'entry'}"
        group = program.shared_group(name, policy, place.first, place.count, draws)
        with program.at(place.station, "handle"):
            if depth:
                program.hold("hop", layer.hop, NETWORK)
            program.step(
                Op.ROUTE,
                "route",
                site=group,
                register=server,
                jump=place.first,
                reason=program.reason("no healthy server"),
            )
            self._thread(program, service, place, server)
            cpu = self.cpu_time or service.cpu_time
            if place.cpus == NOBODY:
                program.hold("cpu", cpu)
            elif cpu.constant != 0:
                program.step(Op.SEIZE, kind=WAITING, site=place.cpus, by=server)
                program.hold("cpu", cpu)
                program.step(Op.RELEASE)
            inner()
            program.step(Op.RELEASE)

    def _thread(self, program: Program, service: Service, place: Servers, server: int) -> None:
        """Emit the wait for a thread, given up after the queue time-out if there is one."""
        full = program.reason(f"{self.service} accept queue full")
        if service.queue_timeout_ms is None:
            program.step(Op.SEIZE, kind=WAITING, site=place.first, by=server, reason=full)
            return
        program.step(
            Op.TRY,
            "patience",
            WAITING,
            site=program.lane(),
            dist=program.dist(service.queue_timeout_ms),
            jump=program.retry(cancels=True),
        )
        program.step(Op.SEIZE, kind=WAITING, site=place.first, by=server, reason=full)
        program.step(Op.DONE)


class Parallel(Step):
    """Do the steps within side by side, and go on when the last of them is done.

    Each step within is a leg of its own; one leg that fails fails the whole.
    """

    do: Literal["parallel"] = "parallel"
    repeat: int = Field(
        default=1,
        ge=1,
        le=REPEAT_MAX,
        title="Repeat",
        description="How many legs each step within gets: a fan-out.",
    )
    then: tuple[AnyStep, ...] = Field(min_length=1)

    def emit(self, program: Program, scenario: Scenario, inner: Inner) -> None:
        """Emit where the ways part and meet again; the legs stand behind the journey."""
        node, journey = program.node, program.journey
        fork = program.step(Op.FORK, kind=WAITING, jump=len(self.then), register=self.repeat)
        program.step(Op.GATHER)
        program.later(lambda: self._emit_legs(program, scenario, fork, node, journey))

    def _emit_legs(
        self, program: Program, scenario: Scenario, fork: int, node: int, journey: str
    ) -> None:
        """Emit each leg under the visit that it parts from; it draws the same keys again."""
        starts = []
        for step in self.then:
            starts.append(program.begin(journey))
            with program.beside(node):
                scenario.emit(program, (step,))
                program.step(Op.JOIN)
        program.patch(fork, site=program.legs(starts, self.repeat))


@dataclass(frozen=True)
class Servers:
    """Where a service's servers stand in the tables."""

    station: Station
    first: int  # pool of the first server's threads
    count: int
    cpus: int  # pool of the first server's cores, NOBODY where threads never outnumber them


def lay_out(program: Program, scenario: Scenario, name: str) -> Servers:
    """Return a service's servers, laid out on first use: threads each, then CPUs each."""
    if name in program.laid_out:
        found: Servers = program.laid_out[name]
        return found
    layer = scenario.application
    service = layer.services[name]
    count = layer.servers(name)
    threads, cores = service.threads or layer.threads, service.cores or layer.cores
    limit = layer.queue_limit if service.queue_limit is None else service.queue_limit
    station = program.station(
        f"application.{name}", service.title or name.capitalize(), "service", count
    )
    laid = -(-(count + BLOCK // 4) // BLOCK) * BLOCK
    weights = service.weights or (1,)
    first = program.pools(station, laid, threads, limit, count, weights)
    cpus = NOBODY
    if threads > cores:
        cpus = program.pools(station, laid, cores, NOBODY, 0, (1,), program.meter())
        station.cpus = list(range(cpus, cpus + count))
    place = Servers(station, first, count, cpus)
    program.laid_out[name] = place
    return place
