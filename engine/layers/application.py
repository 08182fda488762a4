"""Application: services; each server has worker threads and CPU cores."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from engine.component import Component, ControlPlane, Figure, Layer, Line, knob
from engine.distribution import Distribution, Time
from engine.errors import close_to
from engine.layers.autoscaler import Autoscaler
from engine.layers.care import Care
from engine.layers.deploy import Deploy, Rollout
from engine.layers.servers import Halts, break_down, pause
from engine.layers.sessions import Sessions

if TYPE_CHECKING:
    from engine.measured import Measured
    from engine.program import Program
    from engine.scenario import Scenario

REPLICAS_MAX = 1000


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
        help="A call that waits longer for a thread is given up; empty: as the layer says.",
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
    care: Care = Care()


class Pauses(Component):
    """Garbage collection: now and then a server stops altogether."""

    every_seconds: float | None = knob(
        None,
        "GC pause every",
        unit="s",
        low=0.05,
        high=3600,
        step=1,
        slider_high=60,
        help="How often each server stops, not in step; its cores are time-shared then. Empty:"
        " never.",
    )
    pause_ms: float = knob(
        200.0,
        "GC pause",
        unit="ms",
        low=0,
        high=60_000,
        step=10,
        slider_high=2000,
        help="How long it stops. Java's G1 aims at 200 ms at most (-XX:MaxGCPauseMillis).",
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
        help="Calls that may wait for a thread; more are refused, all of them at 0. nginx:"
        " backlog 511.",
    )
    queue_timeout_ms: Time | None = knob(
        None,
        "Queue time-out",
        unit="ms",
        help="A call that waits longer for a thread is given up; empty: never.",
    )
    hop: Time = knob(
        Distribution(constant=0.25),
        "Network hop",
        unit="ms",
        help="Between two services in one zone, there and back.",
    )
    full: Literal["refuse", "drop"] = knob(
        "refuse",
        "Full queue",
        help="What happens to a connection when the accept queue is full. refuse: it is reset, and"
        " the caller knows at once (tcp_abort_on_overflow). drop: Linux's default; the caller"
        " learns of it when its connect time-out runs out.",
    )
    cpu: Literal["fifo", "processor_sharing"] = knob(
        "fifo",
        "CPU scheduling",
        help="fifo: who has a core keeps it until done. processor_sharing: all share the cores in"
        " small time slices, as under Linux.",
    )
    deadlines: bool = knob(
        False,
        "Deadline propagation",
        help="Calls carry the client's deadline (gRPC, Go's context): whatever waited in a line"
        " is dropped if nobody waits for its answer any more.",
    )
    shed_line: int | None = knob(
        None,
        "Shed above",
        unit="calls",
        low=0,
        high=1_000_000,
        step=5,
        slider_high=200,
        help="A server whose line is as long refuses journeys of priority sheddable, so that the"
        " others get through (Google SRE book, 'Handling Overload').",
    )
    mtbf_seconds: float | None = knob(
        None,
        "Time between breakdowns",
        unit="s",
        low=0.01,
        high=1e9,
        step=10,
        slider_high=3600,
        help="Mean, of each server: its cores stand still, and go on after the repair with what"
        " they had in hand. Empty: never.",
    )
    mttr_seconds: float = knob(
        60.0,
        "Time to repair",
        unit="s",
        low=0.01,
        high=1e9,
        step=1,
        slider_high=600,
        help="Mean; of no account where there are no breakdowns.",
    )
    sessions: Sessions = Sessions()
    pauses: Pauses = Pauses()
    deploy: Deploy = Deploy()
    autoscaler: Autoscaler = Autoscaler()
    services: dict[str, Service] = Field(default_factory=lambda: {"server": Service()})

    @field_validator("services")
    @classmethod
    def some_service(cls, services: dict[str, Service]) -> dict[str, Service]:
        """There is at least one service."""
        if not services:
            raise ValueError("there is no service; add at least one, or switch the layer off")
        return services

    @model_validator(mode="after")
    def scaled_ones_exist(self) -> Application:
        """Every service that is to be scaled exists."""
        for name in self.autoscaler.services:
            if name not in self.services:
                raise ValueError(
                    f"autoscaler.services names {name!r}, which does not exist"
                    f"{close_to(name, self.services)}"
                )
        return self

    def servers(self, name: str) -> int:
        """Return how many servers a service has."""
        return self.services[name].replicas or self.replicas

    @property
    def shares_cores(self) -> bool:
        """Return whether cores are time-shared: as asked, or because they have to stop."""
        stops = self.pauses.every_seconds is not None or self.mtbf_seconds is not None
        return stops or self.cpu == "processor_sharing"

    def keeps_sessions(self, kind: str) -> bool:
        """Return whether users are known in this way."""
        return self.enabled and self.sessions.kind == kind

    def agree_on_plans(self, program: Program) -> None:
        """Make programs differ that plan otherwise: what happens over time is set going once."""
        plans = {
            "pauses": self.pauses.every_seconds is not None,
            "breakdowns": self.mtbf_seconds is not None,
            f"deployment at {self.deploy.at_seconds}": self.deploy.at_seconds is not None,
        }
        program.named.update({plan: 0 for plan, on in plans.items() if on})

    def tend(self, run: ControlPlane) -> Iterator[Generator[Any, Any, Any]]:
        """Let servers pause, break down, be replaced, become more and become fewer."""
        if self.enabled:
            yield from self.autoscaler.tend(run)
        halts = Halts(run)
        laid_out = run.plane.program.laid_out
        for name in self.services:
            if not self.enabled or name not in laid_out:
                continue
            place = laid_out[name]
            for server in range(place.laid):
                if self.pauses.every_seconds is not None:
                    yield pause(run, halts, name, place, server)
                if self.mtbf_seconds is not None:
                    yield break_down(run, halts, name, place, server)
            if self.deploy.at_seconds is not None:
                yield Rollout(run, name, place).run()

    def adopted(self, run: ControlPlane) -> None:
        """Note what servers are paid for, where a knob and no autoscaler has set their number."""
        for name in self.services:
            place = run.plane.program.laid_out.get(name)
            if self.enabled and place and not self.autoscaler.scales(name):
                run.recorder.pay(place.station.name, run.plane.scaled(place.station.name))

    def figures(self, result: Measured) -> Iterator[Figure]:
        """How many sessions were lost with servers."""
        if self.keeps_sessions("memory"):
            yield Figure(
                name="Sessions lost",
                station="application",
                value=result.tallied("sessions lost"),
                unit="sessions",
                help="In the memory of servers that died or were replaced; users sign in again.",
            )

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
