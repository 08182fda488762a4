"""Workers: one kind of consumer, what it does with a message, and what can go wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from engine.assembly import Station
from engine.component import Component, Figure, Inner, knob
from engine.distribution import Distribution, Jitter, Lognormal, Time
from engine.kernel.tables import Op
from engine.program import NETWORK, Program

if TYPE_CHECKING:
    from engine.measured import Measured
    from engine.scenario import Scenario

WORKERS_MAX = 512
# Places for idempotency keys: primes, so that users and their turns spread over them.
REMEMBERED = (100_003, 1_000_003, 4_000_037, 16_000_057)


class Worker(Component):
    """One kind of worker: a consumer group with its own pace and failures."""

    title: str = Field(default="", max_length=60)
    service_time: Time = knob(
        Distribution(lognormal=Lognormal(median=50, p99=400)),
        "Service time",
        unit="ms",
        help="What one message takes.",
    )
    failure_rate: float = knob(
        0.0,
        "Failure rate",
        low=0,
        high=1,
        step=0.01,
        help="Share of attempts that fail and are delivered again.",
    )
    poison_rate: float = knob(
        0.0,
        "Poison messages",
        low=0,
        high=1,
        step=0.001,
        help="Share of messages that fail however often they are delivered.",
    )
    lost_ack_rate: float = knob(
        0.0,
        "Lost acknowledgements",
        low=0,
        high=1,
        step=0.01,
        help="Share of deliveries that are done and then forgotten: the worker died before it"
        " could say so, and the message comes again.",
    )
    workers: int | None = knob(
        None,
        "Workers",
        low=1,
        high=WORKERS_MAX,
        step=1,
        slider_high=64,
        help="Workers of this kind; empty: as the layer says.",
    )

    def work(self, program: Program, kind: str) -> None:
        """Emit what one message takes, and that it may fail."""
        program.hold("work", self.service_time)
        program.chance("failure", self.failure_rate, lambda: program.fail(f"{kind} failed"))
        poisoned = f"{kind} poisoned"
        program.chance("poison", self.poison_rate, lambda: program.fail(poisoned), always=True)


class Tries(Component):
    """Tries in place: a worker that fails rests and tries again before it gives a message back.

    That blocks its partition, and so keeps the order that redelivery breaks.
    """

    attempts: int = knob(
        1,
        "Tries in place",
        low=1,
        high=60,
        step=1,
        slider_high=10,
        help="How often a worker tries a message each time it gets it. Spring Kafka: 10.",
    )
    base_ms: float = knob(
        100.0,
        "First rest",
        unit="ms",
        low=0,
        high=600_000,
        step=50,
        slider_high=10_000,
        help="Before the second try; then twice that, and so on.",
    )
    cap_ms: float = knob(
        10_000.0,
        "Longest rest",
        unit="ms",
        low=0,
        high=3_600_000,
        step=500,
        slider_high=60_000,
        help="Rests grow no longer than this.",
    )
    jitter: Jitter = knob("full", "Jitter", help="How rests are spread (Brooker, AWS, 2015).")

    def emit(self, program: Program, once: Inner) -> None:
        """Emit something that is tried again if it fails."""
        if self.attempts == 1:
            once()
            return
        base, cap = self.base_ms / 1e3, self.cap_ms / 1e3
        program.attempt(
            once, attempts=self.attempts, base=base, cap=cap, jitter=self.jitter, what="tries"
        )


class Keys(Component):
    """Idempotency keys: what was done for a request once is not done for it again.

    A worker looks its message's key up first; and it writes the key together with the effect,
    where a unique index refuses the second, so that two workers at once do no harm either.
    """

    look_up: Time = knob(
        Distribution(constant=1.0),
        "Key look-up",
        unit="ms",
        help="Whether this message was seen before.",
    )
    remember_seconds: float = knob(
        86_400.0,
        "Keys are kept for",
        unit="s",
        low=0,
        high=2_592_000,
        step=60,
        slider_high=86_400,
        help="What comes later is done again. Stripe: 24 hours; an SQS FIFO queue: 5 minutes.",
    )

    def emit(self, program: Program, scenario: Scenario, kind: str, work: Inner) -> None:
        """Emit work whose effect may be there already, and count what has it twice.

        Without the layer's `idempotency` it is only counted, which takes no time.
        """
        ttl = Distribution(constant=self.remember_seconds * 1e3)
        places = remembered(scenario)
        nowhere = Station(kind, kind, "asynchronous", "store", 1, program.meter())
        store = program.store(nowhere, places, places, ttl)  # of no station of the map
        program.key_by("request", places)
        skips = scenario.asynchronous.idempotency
        if skips:
            program.hold("look up", self.look_up, NETWORK)
            seen = program.step(Op.GET, "seen", site=store)
            program.step(Op.GO, jump=program.here + 1)  # walked once a miss, whatever the work is
            program.laid_out.setdefault(f"seen {kind}", []).append(seen)
        work()
        done = program.step(Op.GET, "done", site=store)
        program.laid_out.setdefault(f"done {kind}", []).append(done)
        program.step(Op.PUT, "keep", site=store)
        program.patch(done, jump=program.here)
        if skips:
            program.patch(seen, jump=program.here)

    def figures(self, result: Measured, kind: str, title: str) -> Iterator[Figure]:
        """How many effects there were twice, or would have been."""
        if f"done {kind}" not in result.program.laid_out:
            return
        station, skips = f"asynchronous.{kind}", result.scenario.asynchronous.idempotency
        twice = result.visited(f"done {kind}") - result.visited(f"done {kind}", 1)
        skipped = result.visited(f"seen {kind}") - result.visited(f"seen {kind}", 1)
        yield Figure(
            name=f"{title}: done twice",
            station=station,
            value=0 if skips else twice,
            unit="messages",
            help="Work that had its effect more than once: delivered at least once, without keys.",
        )
        yield Figure(
            name=f"{title}: doubles avoided",
            station=station,
            value=skipped + twice if skips else 0,
            unit="messages",
            help="Deliveries of what was done already, found out by their idempotency key.",
        )


def remembered(scenario: Scenario) -> int:
    """Return how many places idempotency keys need, so that no two requests share one."""
    client = scenario.client
    a_second = client.requests_per_second if client.arrivals == "open" else client.users
    requests = 4 * a_second * scenario.duration_seconds  # with room for a rate that is turned up
    return next((places for places in REMEMBERED if places >= requests), REMEMBERED[-1])
