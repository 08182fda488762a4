"""Client: who asks, how often, over which network, and how patiently."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from engine.component import ControlPlane, Inner, Layer, knob
from engine.distribution import Distribution, Frozen, Jitter, Lognormal, Time
from engine.kernel.tables import NOBODY, Op
from engine.layers.browser import BrowserCache, Offline, Page, Typing, Validation
from engine.layers.throttle import Throttle
from engine.layers.traffic import Pattern
from engine.program import JITTER, NETWORK, WAITING, Program

if TYPE_CHECKING:
    from engine.scenario import Scenario


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
    down_at_seconds: float | None = knob(
        None,
        "Down at",
        unit="s",
        low=0,
        high=86_400,
        step=5,
        help="When this region's edge fails; empty: never. Whoever is sent there is refused, until"
        " the name service sends them to another region.",
    )
    up_at_seconds: float | None = knob(
        None,
        "Up again at",
        unit="s",
        low=0,
        high=86_400,
        step=5,
        help="When it is back; empty: never.",
    )

    def down(self, seconds: float, late: float = 0.0) -> bool:
        """Return whether it is down at a time, for somebody who hears of it so much later."""
        if self.down_at_seconds is None or seconds < self.down_at_seconds + late:
            return False
        return self.up_at_seconds is None or seconds < self.up_at_seconds + late


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

    hedge_after_ms: Time | None = knob(
        None,
        "Hedge after",
        unit="ms",
        help="If there is no answer by then, the same is asked a second time and the first answer"
        ' counts; empty: never. Dean and Barroso, "The Tail at Scale", 2013, take the P95.',
    )
    retry_budget: float | None = knob(
        None,
        "Retry budget",
        low=0,
        high=10,
        step=0.05,
        slider_high=1,
        help="Retries as a share of requests, all clients together; empty: no limit. Finagle,"
        " Linkerd and Envoy: 0.2.",
    )
    retry_budget_least_per_second: float = knob(
        10.0,
        "Retries always allowed",
        unit="1/s",
        low=0,
        high=100_000,
        step=1,
        slider_high=100,
        help="With a budget: so many retries a second are free. Finagle and Linkerd: 10. What is"
        " saved up in 10 s is the most that can be spent at once.",
    )
    throttle: Throttle = Throttle()
    typing: Typing = Typing()
    cache: BrowserCache = BrowserCache()
    validation: Validation = Validation()
    page: Page = Page()
    offline: Offline = Offline()

    @model_validator(mode="after")
    def users_are_somewhere(self) -> Client:
        """Somebody has to be somewhere."""
        if not any(region.share > 0 for region in self.regions):
            raise ValueError("the shares of all regions are 0; give at least one a share above 0")
        if not any(region.down_at_seconds is None and region.share > 0 for region in self.regions):
            raise ValueError("all regions go down; leave down_at_seconds of at least one empty")
        return self

    @property
    def fails_over(self) -> bool:
        """Whether some region goes down."""
        return any(region.down_at_seconds is not None for region in self.regions)

    def rate_at(self, seconds: float, seed: int) -> float:
        """Return the request rate that the pattern makes of the mean at a time."""
        return self.requests_per_second * self.pattern.at(seconds, seed)

    # ------------------------------------------------------------ a journey

    def emit(self, program: Program, scenario: Scenario, name: str, inner: Inner) -> None:
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
        journey = scenario.journeys[name]

        def trip(there: Inner) -> None:
            scenario.edge.resolve(program, scenario)
            program.step(Op.HOLD, "request", NETWORK, dist=halves, by=device)
            there()
            program.step(Op.HOLD, "answer", NETWORK, dist=halves, by=device)

        # Where a request is followed over several tries, its user has to stay the same one.
        one_user = name in self.typing.journeys or self.fails_over or scenario.edge.dns.failover

        def attempt() -> None:
            if not one_user:
                self._place(program, device)
            self.validation.emit(program, scenario, journey, trip)
            self.throttle.emit(program, lambda: self._hedged(program, lambda: trip(inner)))

        def fetch(in_vain: bool) -> None:
            self._try(program, attempt, in_vain)
            if self.page.loads(name):
                self.page.emit(program, [self.web_round_trip, self.mobile_round_trip], device)

        def ask(in_vain: bool = False) -> None:
            self.cache.emit(program, scenario, journey, lambda: fetch(in_vain))

        with program.at(web, "request"):
            self.offline.emit(program)
            if one_user:
                self._place(program, device)
            if name in self.typing.journeys:
                self.typing.emit(program, ask)
            else:
                ask()
            program.step(Op.FINISH)

    def _try(self, program: Program, body: Inner, in_vain: bool) -> None:
        """Emit a try with its time-out and retries; one that is in vain may fail without harm."""
        budget = self._budget(program)
        retry = program.retry(
            self.attempts,
            self.backoff_ms / 1e3,
            self.backoff_cap_ms / 1e3,
            JITTER[self.jitter],
            budget=budget,
        )
        lane = self._lane(program)
        patience = program.dist(Distribution(constant=self.timeout_seconds * 1e3))
        if budget != NOBODY:
            program.step(Op.CREDIT, site=budget, number=self.retry_budget or 0.0)
        program.step(Op.TRY, "try", WAITING, site=lane, dist=patience, jump=retry)
        program.forget_key()  # a further try begins with the key that the one before ended with
        body()
        program.step(Op.DONE)
        if in_vain:
            program.say_otherwise(retry, program.here)

    def _place(self, program: Program, device: int) -> None:
        """Emit what the user holds in the hand, and where that is."""
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

    def _hedged(self, program: Program, trip: Inner) -> None:
        """Emit a request, and a second one if the first takes too long."""
        wait = self.hedge_after_ms
        if wait is None:
            trip()
            return

        def second() -> None:
            program.hold("hedge", wait, WAITING)
            program.step(Op.STILL)  # the first has been answered: there is no second
            trip()

        program.together([trip, second], needed=1)

    def round_trips(self, program: Program, what: str, times: float) -> None:
        """Emit so many round trips between the user and the edge."""
        trips = [(self.web_round_trip, times), (self.mobile_round_trip, times)]
        program.step(
            Op.HOLD, what, NETWORK, dist=program.dists(trips), by=program.register("device")
        )

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

    def _budget(self, program: Program) -> int:
        """Return what retries of all clients are paid from: ten seconds' worth at most."""
        if self.retry_budget is None:
            return NOBODY
        if "client.retry budget" not in program.named:
            least = self.retry_budget_least_per_second
            burst = 10.0 * (least + self.retry_budget * self.requests_per_second)
            program.named["client.retry budget"] = program.limit(least, max(1.0, burst))
        return program.named["client.retry budget"]

    # ------------------------------------------------------------ all journeys

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
        """Follow the traffic pattern, and lose and find the network."""
        if self.arrivals == "open":
            yield self._follow(run)
        if self.enabled and self.offline.share > 0:
            yield self.offline.watch(run)
        if self.enabled:
            yield from self.throttle.tend(run)

    def _follow(self, run: ControlPlane) -> Generator[Any, Any, Any]:
        """Set the rate in steps of a two-hundredth of the run at most, and where it jumps."""
        part = run.scenario.duration_seconds / 200
        seed = int(run.plane.world.clock["seed"][0])
        due = 0.0
        while True:
            client = run.scenario.client
            # A constant rate needs no following, only a look now and then whether it still is one.
            tick = max(1.0, part) if client.pattern.shape == "constant" else min(1.0, part)
            # At the time meant: a sum of ticks may fall just short of a spike's end.
            run.plane.set_rate(client.rate_at(due, seed))
            regular = tick * (math.floor(due / tick + 1e-6) + 1)
            due = min(regular, client.pattern.next_change(due, seed))
            yield run.env.timeout(max(0.0, due - run.env.now))
