"""Care in calling: time-outs, retries, circuit breakers and bulkheads between services."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator

from engine.assembly import Station
from engine.component import Component, Inner, knob
from engine.distribution import Distribution, Time
from engine.kernel.tables import NOBODY, Op
from engine.layers.servers import Servers
from engine.program import Program

RETRIES_IN_STOCK = 10.0  # retries that the budget begins with, so that a quiet service may retry


class Breaker(Component):
    """A circuit breaker: after failures in a row it refuses at once, and tries again later."""

    on: bool = knob(False, "Circuit breaker", help="Stop calling a service that keeps failing.")
    failures: int = knob(
        5,
        "Failures in a row",
        low=1,
        high=10_000,
        step=1,
        slider_high=50,
        help="Before it opens. Envoy: consecutive_5xx 5.",
    )
    rest_seconds: float = knob(
        30.0,
        "Open for",
        unit="s",
        low=0.001,
        high=86_400,
        step=1,
        slider_high=120,
        help="How long it refuses before it lets probes through. Envoy: 30 s.",
    )
    probes: int = knob(
        1,
        "Probes",
        low=1,
        high=1000,
        step=1,
        slider_high=20,
        help="Calls that it lets through then: all good, it closes; one bad, it opens again.",
    )


def _switched_on(value: Any) -> Any:
    """Let `breaker: true` stand for the usual one, and one that is spelled out be on."""
    if isinstance(value, bool):
        return {"on": value}
    return {"on": True, **value} if isinstance(value, dict) else value


CallBreaker = Annotated[Breaker, BeforeValidator(_switched_on)]


class Care(Component):
    """How others call a service, whoever they are; a call may say otherwise.

    From outside in: retries, circuit breaker, time-out, bulkhead, as in Resilience4j.
    """

    timeout_ms: Time | None = knob(
        None,
        "Call time-out",
        unit="ms",
        help="A caller waits no longer; the service works on. Empty: for ever.",
    )
    attempts: int = knob(
        1,
        "Call attempts",
        low=1,
        high=10,
        step=1,
        help="The first call and its retries. 1 means no retry.",
    )
    backoff_ms: float = knob(
        25.0,
        "Call backoff",
        unit="ms",
        low=0,
        high=60_000,
        step=5,
        slider_high=1000,
        help="Rest before the first retry, doubled each time up to ten times as much, drawn from"
        " zero up. Envoy: 25 ms.",
    )
    retry_budget: float | None = knob(
        None,
        "Call retry budget",
        low=0,
        high=1,
        step=0.05,
        help="Retries as a share of calls; beyond it a failure is final. Finagle, Envoy: 20 %,"
        " and ten to begin with. Empty: no limit.",
    )
    bulkhead: int | None = knob(
        None,
        "Bulkhead",
        unit="calls",
        low=0,
        high=100_000,
        step=1,
        slider_high=100,
        help="Calls that one calling server has on the way at once; more are refused."
        " Resilience4j: 25. Empty: no limit.",
    )
    breaker: Breaker = Breaker()

    def emit(self, program: Program, service: str, caller: Caller, body: Inner) -> None:
        """Emit a call, and around it the care that is taken."""
        emit, patience, attempts = body, self.timeout_ms, self.attempts
        if self.bulkhead is not None:
            emit = self._bulkhead(program, service, caller, emit)
        if self.breaker.on:
            emit, patience = self._breaker(program, service, caller, emit), None
        if patience is not None or attempts > 1:
            emit = self._attempt(program, service, emit, patience)
        emit()

    def _attempt(
        self, program: Program, service: str, body: Inner, patience: Distribution | None
    ) -> Inner:
        """Return `body` as a try with a time-out, or with retries, or both."""

        def emit() -> None:
            budget = NOBODY
            if self.attempts > 1 and self.retry_budget is not None:
                budget = shared(
                    program, f"retry budget {service}", lambda: program.limit(0.0, RETRIES_IN_STOCK)
                )
                program.step(Op.CREDIT, site=budget, number=self.retry_budget)
            base = self.backoff_ms / 1e3
            program.attempt(
                body,
                timeout=patience,
                attempts=self.attempts,
                base=base,
                cap=10 * base,
                budget=budget,
                what=f"call {service}",
            )

        return emit

    def _breaker(self, program: Program, service: str, caller: Caller, body: Inner) -> Inner:
        """Return `body` behind a circuit breaker, which counts a time-out as a failure.

        All servers of the calling service have one breaker together.  Time-out and breaker share
        one try, because a request can have few at once.
        """

        def emit() -> None:
            rules = self.breaker
            site = shared(
                program,
                f"breaker {caller.name} {service}",
                lambda: program.breaker(rules.failures, rules.rest_seconds, rules.probes),
            )

            def went_wrong() -> None:
                program.step(Op.REPORT, site=site, number=0)
                program.step(Op.FAIL)

            program.step(Op.PASS, site=site, reason=program.reason(f"{service} circuit open"))
            program.attempt(
                body, timeout=self.timeout_ms, otherwise=went_wrong, what=f"guarded {service}"
            )
            program.step(Op.REPORT, site=site, number=1)

        return emit

    def _bulkhead(self, program: Program, service: str, caller: Caller, body: Inner) -> Inner:
        """Return `body` with a place in the bulkhead, of which each calling server has its own."""

        def emit() -> None:
            places = self.bulkhead or 0
            name = f"bulkhead {caller.name} {service}"
            first = shared(program, name, lambda: caller.pools(program, places))
            reason = program.reason(f"{service} bulkhead full")
            program.step(Op.SEIZE, site=first, by=caller.server, reason=reason)
            body()
            program.step(Op.RELEASE)

        return emit


@dataclass(frozen=True)
class Caller:
    """Who calls: the servers of a service, or whatever is in front of the first one."""

    name: str
    count: int
    laid: int
    server: int  # the register that names the calling server; 0 where there is one

    def pools(self, program: Program, places: int) -> int:
        """Return the first of a pool for each calling server, without room to wait."""
        unseen = Station(self.name, self.name, "application", "service")  # on no map
        return program.pools(unseen, self.laid, places, 0, 0, (1,), program.meter())


def shared(program: Program, name: str, make: Callable[[], int]) -> int:
    """Return the place of this name, made on first use."""
    if program.named.get(name, NOBODY) == NOBODY:
        program.named[name] = make()
    return program.named[name]


def calling(program: Program) -> Caller:
    """Return who calls from where the program is: the innermost service, or what is in front."""
    node = program.node
    while node != NOBODY:
        layer, _, name = program.nodes[node].station.partition(".")
        if layer == "application":
            place: Servers = program.laid_out[name]
            server = program.register(f"server {program.depth('application') - 1}")
            return Caller(name, place.count, place.laid, server)
        node = program.nodes[node].parent
    return Caller("", 1, 1, 0)
