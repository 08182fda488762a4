"""Client: who asks, how often, over which network, and how patiently."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from engine.component import ControlPlane, Inner, Layer, knob
from engine.distribution import Distribution, Frozen, Jitter, Lognormal, Time
from engine.kernel.tables import Op
from engine.program import NETWORK, WAITING, Program

if TYPE_CHECKING:
    from engine.scenario import Scenario

JITTER: dict[Jitter, int] = {"none": 0, "full": 1, "equal": 2, "decorrelated": 3}


class Pattern(Frozen):
    """How the request rate changes over a run, as a factor on requests per second."""

    shape: Literal["constant", "ramp", "spike", "diurnal"] = knob(
        "constant", "Shape", help="How the request rate changes over the run."
    )
    factor: float = knob(
        3.0,
        "Factor",
        unit="×",
        low=0,
        high=100,
        step=0.5,
        help="Where the ramp ends, how high the spike or the peak of the day is.",
    )
    start_seconds: float = knob(
        20.0, "Start", unit="s", low=0, high=86_400, step=1, help="When the ramp or spike begins."
    )
    length_seconds: float = knob(
        15.0,
        "Length",
        unit="s",
        low=0.1,
        high=86_400,
        step=1,
        help="How long the ramp, the spike or one whole day takes.",
    )

    def at(self, seconds: float) -> float:
        """Return the factor at a time."""
        since = seconds - self.start_seconds
        if self.shape == "ramp":
            return 1.0 + (self.factor - 1.0) * min(1.0, max(0.0, since / self.length_seconds))
        if self.shape == "spike":
            return self.factor if 0.0 <= since < self.length_seconds else 1.0
        if self.shape == "diurnal":
            swing = (1.0 - math.cos(2 * math.pi * seconds / self.length_seconds)) / 2
            return 1.0 + (self.factor - 1.0) * swing
        return 1.0


class Region(Frozen):
    """Where some of the users are."""

    name: str
    share: float = knob(1.0, "Share", low=0, high=1_000_000, help="Weight of this region's users.")
    origin_round_trip: Time = knob(
        Distribution(constant=10),
        "Round trip to the origin",
        unit="ms",
        help="From the edge in this region to where the application runs.",
    )


class Client(Layer):
    """Browsers and phones: their arrivals, their networks, their time-outs and retries."""

    arrivals: Literal["open", "closed"] = knob(
        "open",
        "Arrivals",
        help="Open: requests come at a rate whatever happens. Closed: each user waits for the"
        " answer and thinks before asking again.",
    )
    requests_per_second: float = knob(
        1000.0,
        "Request rate",
        unit="requests/s",
        low=0,
        high=200_000,
        step=50,
        main=True,
        slider_low=50,
        slider_high=5000,
        help="New user requests a second, all journeys together.",
    )
    gap: Literal["poisson", "fixed"] = knob(
        "poisson", "Gaps", help="Poisson: independent users. Fixed: a load generator's metronome."
    )
    pattern: Pattern = Pattern()
    users: int = knob(
        1000,
        "Users",
        low=1,
        high=1_000_000,
        step=50,
        help="Closed: how many there are. Open: how many addresses requests come from.",
    )
    think_time: Time = knob(
        Distribution(exponential=5000),
        "Think time",
        unit="ms",
        help="What a closed user takes between an answer and the next request.",
    )
    mobile_share: float = knob(
        0.6,
        "Mobile share",
        low=0,
        high=1,
        step=0.05,
        help="Share of requests from phones; the others come from the web.",
    )
    web_round_trip: Time = knob(
        Distribution(lognormal=Lognormal(median=25, p99=120)),
        "Web round trip",
        unit="ms",
        help="Network round trip to the nearest edge over broadband.",
    )
    mobile_round_trip: Time = knob(
        Distribution(lognormal=Lognormal(median=50, p99=300)),
        "Mobile round trip",
        unit="ms",
        help="Network round trip to the nearest edge over 4G.",
    )
    regions: tuple[Region, ...] = Field(
        default=(Region(name="home"),),
        min_length=1,
        max_length=12,
        title="Regions",
        description="Where users are, and how far that is from the application.",
    )
    timeout_seconds: float = knob(
        5.0,
        "Time-out",
        unit="s",
        low=0.01,
        high=600,
        step=0.5,
        help="When the client stops waiting. The servers do not know.",
    )
    attempts: int = knob(
        3,
        "Attempts",
        low=1,
        high=10,
        step=1,
        help="The first try and its retries. 1 means no retry.",
    )
    backoff_ms: float = knob(
        100.0,
        "Backoff",
        unit="ms",
        low=0,
        high=60_000,
        step=50,
        help="Rest before the first retry; doubled before each further one.",
    )
    backoff_cap_ms: float = knob(
        2000.0,
        "Backoff limit",
        unit="ms",
        low=0,
        high=600_000,
        step=100,
        help="No rest is longer than this.",
    )
    jitter: Jitter = knob(
        "full",
        "Jitter",
        help="Whether rests are drawn at random, so that retries do not come all at once.",
    )

    @model_validator(mode="after")
    def users_are_somewhere(self) -> Client:
        """Somebody has to be somewhere."""
        if not any(region.share > 0 for region in self.regions):
            raise ValueError("the shares of all regions are 0; give at least one a share above 0")
        return self

    def emit(self, program: Program, resolve: Inner, inner: Inner) -> None:
        """Emit a whole journey: the try, the way there, what happens there, the way back."""
        if not self.enabled:
            with program.at(program.station("client.web", "Requests", "source"), "request"):
                inner()
                program.step(Op.FINISH)
            return
        web = program.station("client.web", "Web users", "source")
        program.station("client.mobile", "Mobile users", "source")
        device = program.register("device")
        halves = program.dists([(self.web_round_trip, 0.5), (self.mobile_round_trip, 0.5)])
        with program.at(web, "request"):
            retry = program.retry(
                self.attempts, self.backoff_ms / 1e3, self.backoff_cap_ms / 1e3, JITTER[self.jitter]
            )
            lane = self._lane(program)
            patience = program.dist(Distribution(constant=self.timeout_seconds * 1e3))
            program.step(Op.TRY, "try", WAITING, site=lane, dist=patience, jump=retry)
            program.step(
                Op.SPLIT,
                "device",
                register=device,
                site=program.choice([1 - self.mobile_share, self.mobile_share]),
            )
            program.step(
                Op.SPLIT,
                "region",
                register=program.register("region"),
                site=program.choice([region.share for region in self.regions]),
            )
            resolve()
            program.step(Op.HOLD, "request", NETWORK, dist=halves, by=device)
            inner()
            program.step(Op.HOLD, "answer", NETWORK, dist=halves, by=device)
            program.step(Op.DONE)
            program.step(Op.FINISH)

    def travel(self, program: Program, what: str) -> None:
        """Emit the way between the edge and the origin, there and back at once."""
        if self.enabled:
            trips = [(region.origin_round_trip, 1.0) for region in self.regions]
            program.step(
                Op.HOLD, what, NETWORK, dist=program.dists(trips), by=program.register("region")
            )

    def _lane(self, program: Program) -> int:
        if "client.timeouts" not in program.named:
            program.named["client.timeouts"] = program.lane()
        return program.named["client.timeouts"]

    def source(self, program: Program, scenario: Scenario, starts: list[int]) -> None:
        """Emit where requests come from; the first row is where a closed user asks again."""
        gap = (
            Distribution(exponential=1000) if self.gap == "poisson" else Distribution(constant=1000)
        )
        closed = self.arrivals == "closed"
        rate = -1.0 if closed else self.requests_per_second * self.pattern.at(0.0)
        program.source(
            "client",
            [j.weight for j in scenario.journeys.values()],
            starts,
            rate,
            gap,
            self.think_time,
            self.users,
            0,
        )

    def tend(self, run: ControlPlane) -> Iterator[Generator[Any, Any, Any]]:
        """Follow the traffic pattern, in steps of a two-hundredth of the run at most."""
        if self.arrivals == "open":
            yield self._follow(run)

    def _follow(self, run: ControlPlane) -> Generator[Any, Any, Any]:
        part = run.scenario.duration_seconds / 200
        due = 0.0
        while True:
            client = run.scenario.client
            # A constant rate needs no following, only a look now and then whether it still is one.
            tick = max(1.0, part) if client.pattern.shape == "constant" else min(1.0, part)
            # At the time meant: a sum of ticks may fall just short of a spike's end.
            run.plane.set_rate(client.requests_per_second * client.pattern.at(due))
            due = tick * (math.floor(due / tick + 1e-6) + 1)
            yield run.env.timeout(max(0.0, due - run.env.now))
