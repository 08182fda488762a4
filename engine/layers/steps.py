"""Steps of a journey through the application: call a service, do things side by side, hedge."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from engine.component import Inner, Step
from engine.distribution import Distribution, Time
from engine.kernel.tables import Op, Policy
from engine.layers.application import Service
from engine.layers.care import CallBreaker, Care, calling
from engine.layers.servers import Servers, lay_out
from engine.program import NETWORK, WAITING, Program

if TYPE_CHECKING:
    from engine.component import AnyStep
    from engine.scenario import Scenario

REPEAT_MAX = 4096

Route = Callable[[str, Servers, int], None]  # emit the pick of a server into a register


class Call(Step):
    """Call a service, and do the steps within while its thread is held."""

    do: Literal["call"] = "call"
    service: str
    cpu_time: Time | None = Field(
        default=None,
        title="CPU time",
        description="What this call computes, ms; empty: as the service says.",
    )
    timeout_ms: Time | None = Field(
        default=None, title="Time-out", description="Of this call, ms; empty: as the service says."
    )
    attempts: int | None = Field(
        default=None, ge=1, le=10, title="Attempts", description="Empty: as the service says."
    )
    breaker: CallBreaker | None = Field(
        default=None, title="Circuit breaker", description="Empty: as the service says."
    )
    bulkhead: int | None = Field(
        default=None, ge=0, le=100_000, title="Bulkhead", description="Empty: as the service says."
    )
    then: tuple[AnyStep, ...] = ()

    def names(self) -> list[tuple[str, str]]:
        """The service."""
        return [("service", self.service)]

    def emit(self, program: Program, scenario: Scenario, inner: Inner) -> None:
        """Emit the way to a server, its thread, its CPU, and what it does meanwhile."""
        if not scenario.application.enabled:
            inner()
            return
        body = functools.partial(self._call, program, scenario, inner)
        self._care(scenario).emit(program, self.service, calling(program), body)

    def _care(self, scenario: Scenario) -> Care:
        """Return the care that is taken: the service's, but for what this call says itself."""
        own = {
            "timeout_ms": self.timeout_ms,
            "attempts": self.attempts,
            "breaker": self.breaker,
            "bulkhead": self.bulkhead,
        }
        said = {name: value for name, value in own.items() if value is not None}
        care = scenario.application.services[self.service].care
        return care.model_copy(update=said) if said else care

    def _call(self, program: Program, scenario: Scenario, inner: Inner) -> None:
        """Emit the way to a server: through the balancer, or from another server."""
        if program.inside("application"):
            self._serve(program, scenario, inner, picked(program, Policy.ROUND_ROBIN, 1))
            return
        place = functools.partial(lay_out, program, scenario, self.service)
        serve = functools.partial(self._serve, program, scenario, inner)
        scenario.edge.balance(program, scenario, place, self.service, serve)

    def _serve(
        self,
        program: Program,
        scenario: Scenario,
        inner: Inner,
        route: Route,
        scale: float = 1.0,
    ) -> None:
        """Emit a server's part, once `route` has picked it; CPU time is `scale` times as long."""
        layer = scenario.application
        service, depth = layer.services[self.service], program.depth("application")
        place = lay_out(program, scenario, self.service)
        layer.agree_on_plans(program)
        server = program.register(f"server {depth}")
        with program.at(place.station, "handle"):
            if depth:
                program.hold("hop", layer.hop, NETWORK)
            route(f"{self.service} {'inner' if depth else 'entry'}", place, server)
            self._shed(program, scenario, place, server)
            self._thread(program, scenario, service, place, server)
            self._still(program, scenario)
            layer.sessions.emit(program, scenario, place, server)
            scale *= scenario.observability.overhead()
            place.compute(program, "cpu", server, self.cpu_time or service.cpu_time, scale)
            self._still(program, scenario)
            inner()
            program.step(Op.RELEASE)

    def _shed(self, program: Program, scenario: Scenario, place: Servers, server: int) -> None:
        """Emit that a sheddable journey is refused where the line is long."""
        line = scenario.application.shed_line
        journey = scenario.journeys.get(program.journey)
        if line is None or journey is None or journey.priority != "sheddable":
            return
        reason = program.reason(f"{self.service} sheds load")
        program.step(Op.SHED, site=place.first, by=server, number=line, reason=reason)

    def _still(self, program: Program, scenario: Scenario) -> None:
        """Emit that work ends here if its deadline has passed, where deadlines are carried."""
        if scenario.application.deadlines:
            program.step(Op.STILL)

    def _thread(
        self,
        program: Program,
        scenario: Scenario,
        service: Service,
        place: Servers,
        server: int,
    ) -> None:
        """Emit the wait for a thread, given up after the queue time-out if there is one."""
        full = program.reason(f"{self.service} accept queue full")
        patience = service.queue_timeout_ms or scenario.application.queue_timeout_ms

        def seize() -> None:
            program.step(Op.SEIZE, kind=WAITING, site=place.first, by=server, reason=full)

        if patience is None and scenario.application.full == "drop":
            late = scenario.edge.balancer.connect_timeout_seconds * 1e3

            def hang() -> None:
                program.hold("connect", Distribution(constant=late), WAITING)
                program.step(Op.FAIL)

            program.attempt(seize, otherwise=hang, what="connect")
            return
        if patience is None:
            seize()
            return
        program.step(
            Op.TRY,
            "patience",
            WAITING,
            site=program.lane(),
            dist=program.dist(patience),
            jump=program.retry(cancels=True),
        )
        program.step(Op.SEIZE, kind=WAITING, site=place.first, by=server, reason=full)
        program.step(Op.DONE)


class Parallel(Step):
    """Do the steps within side by side, and go on when the last of them is done.

    Each step within is a leg of its own; one leg that fails fails the whole.  Where some are
    enough, it goes on with the fastest of them, and the others work on for nothing.
    """

    do: Literal["parallel"] = "parallel"
    repeat: int = Field(
        default=1,
        ge=1,
        le=REPEAT_MAX,
        title="Repeat",
        description="How many legs each step within gets: a fan-out.",
    )
    needed: int = Field(
        default=0,
        ge=0,
        title="Needed",
        description="How many legs have to succeed; 0: all of them.",
    )
    then: tuple[AnyStep, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def can_be_reached(self) -> Parallel:
        """No more are needed than there are."""
        legs = len(self.then) * self.repeat
        if self.needed > legs:
            raise ValueError(f"needed is {self.needed}, but there are {legs} legs; need fewer")
        return self

    def emit(self, program: Program, scenario: Scenario, inner: Inner) -> None:
        """Emit the legs; each draws the same keys again."""
        bodies = [functools.partial(scenario.emit, program, (step,)) for step in self.then]
        program.together(bodies, needed=self.needed, repeat=self.repeat)


class Hedge(Step):
    """Do the steps within; if that takes long, do them once more and take the faster answer.

    J. Dean and L. Barroso, "The Tail at Scale", CACM 2013: hedged requests, sent after the
    95th percentile of the usual time, cost some 5 % more work and shorten the tail much.
    """

    do: Literal["hedge"] = "hedge"
    after_ms: Time = Field(
        default=Distribution(constant=50),
        title="Hedge after",
        description="How long to wait for the first answer before asking a second time, ms.",
    )
    then: tuple[AnyStep, ...] = Field(min_length=1)

    def emit(self, program: Program, scenario: Scenario, inner: Inner) -> None:
        """Emit the first leg and the late one, which is not sent if it is not needed."""

        def late() -> None:
            program.hold("hedge after", self.after_ms, WAITING)
            program.step(Op.STILL)
            inner()

        program.together([inner, late], needed=1)


def picked(program: Program, policy: Policy, draws: int) -> Route:
    """Return how one of a service's servers is picked by a policy, among so many draws."""

    def route(name: str, place: Servers, server: int) -> None:
        program.step(
            Op.ROUTE,
            "route",
            site=program.shared_group(name, policy, place.first, place.count, draws),
            register=server,
            jump=place.first,
            reason=program.reason("no healthy server"),
        )

    return route
