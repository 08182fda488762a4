"""Browser: what a page or an app does around a request, before the network and after it.

Typing, its own cache, forms that are checked, pages that are loaded, and time spent offline.
All of it is off unless a scenario switches it on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from engine.component import Component, ControlPlane, Inner, knob
from engine.distribution import Distribution, Lognormal, Time, Uniform
from engine.kernel.tables import NOBODY, Op
from engine.program import NETWORK, WAITING, Program

if TYPE_CHECKING:
    from engine.scenario import Journey, Scenario

FIRST_WINDOW = 14_600  # bytes: ten segments of 1,460 (RFC 6928)
PLACES = 1 << 20  # of all browsers' copies together
SENDS = {"write", "publish"}  # steps that change something: such an answer is not kept


def does(journey: Journey, kinds: set[str]) -> bool:
    """Return whether a journey has a step of one of these kinds."""
    return any(getattr(step, "do", "") in kinds for _, step in journey.walk())


class Typing(Component):
    """Search as you type: every keystroke asks, unless a pause is waited for (debounce)."""

    journeys: tuple[str, ...] = Field(
        default=(),
        title="Typed journeys",
        description="Names of journeys that begin with typing; empty: none. The request is the"
        " last keystroke's; its time counts from the first.",
    )
    letters: int = knob(
        8, "Letters", low=1, high=10, step=1, help="Keystrokes of one search, each after a gap."
    )
    gap: Time = knob(
        Distribution(lognormal=Lognormal(median=200, p99=900)),
        "Keystroke gap",
        unit="ms",
        help="Between two keystrokes. 52 words a minute, the mean of 168,000 typists, is some"
        " 240 ms a key (Dhakal et al., CHI 2018).",
    )
    debounce_ms: float = knob(
        300.0,
        "Debounce",
        unit="ms",
        low=0,
        high=10_000,
        step=50,
        help="A call goes out after a pause of this length. 0: each keystroke sends one. An answer"
        " to what is no longer typed is thrown away; the server has worked for it.",
    )

    def emit(self, program: Program, ask: Callable[[bool], None]) -> None:
        """Emit keystrokes, each of which may send a call, and the last, whose answer counts.

        `ask` emits a call; told True, one whose failure does no harm.
        """
        pause = Distribution(constant=self.debounce_ms)
        # Longer than any gap, yet bounded: whoever looks when the next key is struck looks on.
        look = Distribution(constant=50.0 * self.gap.mean_ms + 1.0)

        def keystroke() -> None:
            program.hold("debounce", pause, WAITING)
            program.step(Op.STILL)  # the next keystroke has come: nothing is sent for this one
            ask(True)
            program.step(Op.STILL)
            program.hold("look at the answer", look, WAITING)

        if self.letters > 1:
            program.attempt(
                keystroke,
                timeout=self.gap,
                attempts=self.letters - 1,
                jitter="none",
                otherwise=lambda: None,
                what="keystroke",
            )
        program.hold("debounce", pause, WAITING)
        ask(False)


class BrowserCache(Component):
    """A service worker's or HTTP cache in each user's browser, in front of the network."""

    on: bool = knob(
        False,
        "Browser cache",
        help="Keep what a journey has read of its first dataset, for each user apart. Journeys"
        " that write are never kept.",
    )
    ttl_seconds: float = knob(
        600.0,
        "Browser TTL",
        unit="s",
        low=0,
        high=31_536_000,
        step=60,
        slider_high=3600,
        help="How long a copy is used without asking; Cache-Control: max-age. GitHub Pages: 600 s.",
    )
    hit_time: Time = knob(
        Distribution(constant=3),
        "Browser hit time",
        unit="ms",
        help="What the browser takes for a copy of its own.",
    )

    def emit(self, program: Program, scenario: Scenario, journey: Journey, ask: Inner) -> None:
        """Emit the look into the browser's cache, and the request behind a miss."""
        dataset = self._dataset(journey)
        if not self.on or dataset is None:
            ask()
            return
        station = program.station("client.cache", "Browser cache", "store")
        with program.at(station, "look"):
            if not station.stores:
                lives = Distribution(constant=self.ttl_seconds * 1e3)
                program.store(station, PLACES, PLACES, lives, personal=True)
            scenario.draw_key(program, dataset)
            known = program.step(Op.GET, site=station.stores[0])
            missed = program.step(Op.GO)  # a step of its own: the try behind it is walked again
            program.patch(missed, jump=program.here)
        ask()
        with program.at(station, "keep"):
            scenario.draw_key(program, dataset)
            program.step(Op.PUT, "keep", site=station.stores[0])
            over = program.step(Op.GO)
            program.patch(known, jump=program.here)
            program.hold("hit", self.hit_time)
            program.patch(over, jump=program.here)
            program.forget_key()

    @staticmethod
    def _dataset(journey: Journey) -> str | None:
        """Return what a journey reads first; None if it changes something."""
        if does(journey, SENDS):
            return None
        names = (pair for _, step in journey.walk() for pair in step.names())
        return next((name for kind, name in names if kind == "dataset"), None)


class Validation(Component):
    """Forms that are filled in wrongly: who notices, the page or only the application."""

    invalid_share: float = knob(
        0.0,
        "Invalid forms",
        low=0,
        high=1,
        step=0.05,
        help="Share of journeys that write whose form is wrong at first. It is mended and sent"
        " again; the mending takes no time here.",
    )
    where: Literal["client", "application"] = knob(
        "application",
        "Checked by",
        help="Client: the page says so at once. Application: after a whole round trip, and the"
        " server's work. The application checks in any case: a page can be got round.",
    )
    client_time: Time = knob(
        Distribution(constant=2), "Check in the page", unit="ms", help="What the page takes for it."
    )
    app_time: Time = knob(
        Distribution(exponential=1),
        "Check in the application",
        unit="ms",
        help="CPU time until the application refuses a wrong form.",
    )

    def emit(
        self, program: Program, scenario: Scenario, journey: Journey, trip: Callable[[Inner], None]
    ) -> None:
        """Emit what a wrong form costs; `trip` emits a request around what happens there."""
        if self.invalid_share <= 0 or not does(journey, SENDS):
            return
        if self.where == "client":
            program.hold("check the form", self.client_time)
            return
        front = next((s for _, s in journey.walk() if getattr(s, "do", "") == "call"), None)

        def refused() -> None:
            if front is not None:
                check = front.model_copy(update={"then": (), "cpu_time": self.app_time})
                check.emit(program, scenario, lambda: None)

        program.chance("invalid", self.invalid_share, lambda: trip(refused))
        program.forget_key()  # most have not come this way


class Page(Component):
    """First loads: a page's bytes have to come through the user's line."""

    first_loads: float = knob(
        0.0,
        "First loads",
        low=0,
        high=1,
        step=0.05,
        help="Share of requests that load a whole page for the first time. 0: weight costs no"
        " time.",
    )
    journeys: tuple[str, ...] = Field(
        default=(), title="Page journeys", description="Which load pages; empty: all."
    )
    web_weight_kb: float = knob(
        2652.0,
        "Page weight, web",
        unit="kB",
        low=0,
        high=100_000,
        step=100,
        slider_high=10_000,
        help="The median of desktop pages in October 2024 (HTTP Archive, Web Almanac 2024).",
    )
    mobile_weight_kb: float = knob(
        2311.0,
        "Page weight, mobile",
        unit="kB",
        low=0,
        high=100_000,
        step=100,
        slider_high=10_000,
        help="The median of mobile pages in October 2024 (HTTP Archive, Web Almanac 2024).",
    )
    lazy_share: float = knob(
        0.0,
        "Lazy loading",
        low=0,
        high=1,
        step=0.1,
        help="Share of the weight that is fetched only when it is scrolled to. Images are 40 % of"
        " the median page.",
    )
    web_mbit_per_second: float = knob(
        5.0,
        "Bandwidth, web",
        unit="Mbit/s",
        low=0.01,
        high=100_000,
        step=5,
        slider_high=100,
        help="WebPageTest's profile Cable has 5.",
    )
    mobile_mbit_per_second: float = knob(
        9.0,
        "Bandwidth, mobile",
        unit="Mbit/s",
        low=0.01,
        high=100_000,
        step=5,
        slider_high=100,
        help="WebPageTest's profile 4G has 9.",
    )

    def loads(self, journey: str) -> bool:
        """Return whether a journey loads pages at all."""
        return self.first_loads > 0 and (not self.journeys or journey in self.journeys)

    def emit(self, program: Program, round_trips: list[Distribution], device: int) -> None:
        """Emit the page's way through the line: TCP's slow start, then the line's own speed."""

        def load() -> None:
            waits = [self._load(d, trip.mean_ms) for d, trip in enumerate(round_trips)]
            starts = [(trip, w[0]) for trip, w in zip(round_trips, waits, strict=True)]
            sends = [(Distribution(constant=w[1]), 1.0) for w in waits]
            program.step(Op.HOLD, "slow start", NETWORK, dist=program.dists(starts), by=device)
            program.step(Op.HOLD, "transfer", NETWORK, dist=program.dists(sends), by=device)

        program.chance("first load", self.first_loads, load)

    def _load(self, device: int, round_trip_ms: float) -> tuple[float, float]:
        """Return (round trips of slow start, ms at full speed) of a page.

        The window doubles every round trip until the line is full or all is sent.
        """
        weight = (self.web_weight_kb, self.mobile_weight_kb)[device] * 1e3 * (1 - self.lazy_share)
        bytes_ms = (self.web_mbit_per_second, self.mobile_mbit_per_second)[device] * 125.0
        target = min(weight, bytes_ms * round_trip_ms)
        rounds = max(0, math.ceil(math.log2(target / FIRST_WINDOW + 1))) if target > 0 else 0
        sent = FIRST_WINDOW * (2.0**rounds - 1)
        # Never quite 0: the logarithm of no time is none.
        return max(rounds, 1e-9), max(0.0, weight - sent) / bytes_ms


class Offline(Component):
    """Some users lose the network for a while; what they do waits in the app and is sent later."""

    share: float = knob(
        0.0,
        "Offline share",
        low=0,
        high=1,
        step=0.05,
        help="Of actions meanwhile; they wait until the network is back.",
    )
    start_seconds: float = knob(
        20.0, "Offline from", unit="s", low=0, high=86_400, step=5, help="When the network goes."
    )
    length_seconds: float = knob(
        15.0, "Offline for", unit="s", low=0.1, high=86_400, step=5, help="How long it is away."
    )
    spread_seconds: float = knob(
        0.0,
        "Sync spread",
        unit="s",
        low=0,
        high=86_400,
        step=1,
        help="On return all send at once, a thundering herd; or each at a random moment of so"
        " many seconds.",
    )

    def emit(self, program: Program) -> None:
        """Emit the wait for the network."""
        if self.share <= 0:
            return
        late = Distribution(uniform=Uniform(low=0, high=self.spread_seconds * 1e3))
        row = program.step(Op.CHANCE, "offline", number=1.0)  # `tend` opens and closes this way
        program.step(
            Op.UNTIL, "sync", WAITING, site=NOBODY, dist=program.dist(late), number=self.end_seconds
        )
        program.patch(row, jump=program.here)
        program.named[f"offline {program.journey}"] = row

    @property
    def end_seconds(self) -> float:
        """When the network is back."""
        return self.start_seconds + self.length_seconds

    def watch(self, run: ControlPlane) -> Generator[Any, Any, Any]:
        """Send some users' actions into the queue of their app while the network is away."""
        while True:
            offline, now = run.scenario.client.offline, run.env.now
            away = offline.start_seconds <= now < offline.end_seconds
            for name in run.scenario.journeys:
                row = run.plane.program.named[f"offline {name}"]
                run.plane.world.steps["number"][row] = 1.0 - offline.share if away else 1.0
            due = [t for t in (offline.start_seconds, offline.end_seconds) if t > now]
            yield run.env.timeout(min(1.0, *(t - now for t in due)) if due else 1.0)
