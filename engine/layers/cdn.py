"""CDN: caches near the users of each region, a shield in front of the origin, and the origin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from engine.assembly import Station
from engine.component import Component, Inner, Step, knob
from engine.distribution import Distribution, Lognormal, Time
from engine.kernel.tables import Op
from engine.program import WAITING, Program

if TYPE_CHECKING:
    from engine.component import AnyStep
    from engine.scenario import Scenario

LANDED_SECONDS = 1.0  # how long those who waited for an object have to take it
STRIPES = 1024  # locks that the keys of a dataset share; two keys in flight seldom share one


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
    stale_seconds: float = knob(
        0.0,
        "Stale while revalidating",
        unit="s",
        low=0,
        high=31_536_000,
        step=10,
        slider_high=3600,
        help="How long after its TTL an object is still served, at once, while one request fetches"
        " it anew behind the scenes (stale-while-revalidate, RFC 5861).",
    )
    collapse: bool = knob(
        False,
        "Request collapsing",
        help="Misses of one object at one time become one request to the origin; the others wait"
        " for it (nginx's proxy_cache_lock, Varnish's waiting list).",
    )
    shield: bool = knob(
        False,
        "Origin shield",
        help="A cache of its own in front of the origin, which all regions ask first.",
    )
    shield_capacity: int = knob(
        100_000,
        "Shield capacity",
        unit="objects",
        low=0,
        high=10_000_000,
        step=1000,
        slider_high=500_000,
        help="Objects that the shield can hold.",
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
        if not (scenario.edge.enabled and scenario.edge.cdn.on):
            self._origin(program, scenario, inner)
            return
        cdn = scenario.edge.cdn
        station = program.station("edge.cdn", "CDN", "store", len(scenario.client.regions))
        with program.at(station, "fetch"):
            store = self._stores(program, scenario, station)
            program.hold("serve", cdn.hit_time)
            scenario.draw_key(program, self.dataset)
            region = program.register("region") if scenario.client.enabled else 0
            hit = program.step(Op.GET, site=store, by=region)
            if cdn.collapse:
                self._collapsed(program, scenario, store, region, inner)
            else:
                self._refill(program, scenario, store, region, inner)
            if cdn.stale_seconds > 0:
                fetched = program.step(Op.GO)
                program.patch(hit, jump=program.here)
                self._revalidate(program, scenario, station, store, region, inner)
                program.patch(fetched, jump=program.here)
            else:
                program.patch(hit, jump=program.here)
            program.forget_key()

    # ------------------------------------------------------------ behind a miss

    def _refill(
        self, program: Program, scenario: Scenario, store: int, region: int, inner: Inner
    ) -> None:
        """Emit the way to the origin, and the keeping of what it answers."""
        if scenario.edge.cdn.shield:
            self._shielded(program, scenario, inner)
        else:
            self._origin(program, scenario, inner)
        scenario.draw_key(program, self.dataset)
        program.step(Op.PUT, "keep", site=store, by=region)
        for what in ("fresh", "landed"):
            mark = program.named.get(f"cdn {what} {self.dataset}")
            if mark is not None:
                program.step(Op.PUT, what, site=mark, by=region)

    def _collapsed(
        self, program: Program, scenario: Scenario, store: int, region: int, inner: Inner
    ) -> None:
        """Emit a miss that waits for the one before it, if that is on its way already."""
        stripe, locks = self._lock(program, scenario, "collapse", None)
        program.step(Op.SEIZE, kind=WAITING, site=locks, by=stripe)
        landed = program.named[f"cdn landed {self.dataset}"]
        there = program.step(Op.GET, "get again", site=landed, by=region)
        self._refill(program, scenario, store, region, inner)
        program.patch(there, jump=program.here)
        program.step(Op.RELEASE)

    def _revalidate(
        self,
        program: Program,
        scenario: Scenario,
        station: Station,
        store: int,
        region: int,
        inner: Inner,
    ) -> None:
        """Emit that an object past its TTL is fetched anew, once, while nobody waits for it."""
        fresh = program.named[f"cdn fresh {self.dataset}"]
        known = program.step(Op.GET, "fresh?", site=fresh, by=region)

        def begin() -> None:
            program.step(
                Op.SEIZE,
                site=program.named[f"cdn renew {self.dataset}"],
                by=program.register("stripe"),
            )

        def leave() -> None:
            program.step(Op.LEAVE)

        def renew() -> None:
            with program.at(station, "revalidate", background=True):
                scenario.draw_key(program, self.dataset)
                self._lock(program, scenario, "renew", 0)
                program.attempt(begin, otherwise=leave, what="renew")  # unless another is at it
                self._refill(program, scenario, store, region, inner)
                program.step(Op.RELEASE)
                leave()

        program.together([lambda: None, renew], needed=1)
        program.patch(known, jump=program.here)

    def _lock(
        self, program: Program, scenario: Scenario, what: str, room: int | None
    ) -> tuple[int, int]:
        """Emit which lock the key has; return its register and the first lock."""
        keys, name = scenario.datasets[self.dataset].keys, f"cdn {what} {self.dataset}"
        count = min(keys, STRIPES)
        if name not in program.named:
            cdn = program.station("edge.cdn", "CDN", "store")
            line = -1 if room is None else room
            program.named[name] = program.pools(cdn, count, 1, line, 0, meter=program.meter())
            program.named[f"{name} stripes"] = program.lookup(np.arange(keys) % count)
        stripe = program.register("stripe")
        program.step(Op.LOOKUP, site=program.named[f"{name} stripes"], register=stripe)
        return stripe, program.named[name]

    # ------------------------------------------------------------ stores

    def _stores(self, program: Program, scenario: Scenario, station: Station) -> int:
        """Return the first region's store of the dataset, made on first use."""
        name = f"cdn {self.dataset}"
        if name not in program.named:
            cdn, keys = scenario.edge.cdn, scenario.datasets[self.dataset].keys
            room = scenario.room_for(self.dataset, "fetch", cdn.capacity)
            ttl = Distribution(constant=(cdn.ttl_seconds + cdn.stale_seconds) * 1e3)
            stores = [
                program.store(station, keys, room, ttl, cdn.warm) for _ in scenario.client.regions
            ]
            program.named[name] = stores[0]
            if cdn.stale_seconds > 0:
                self._marks(program, scenario, station, "fresh", cdn.ttl_seconds)
            if cdn.collapse:
                lives = min(LANDED_SECONDS, cdn.ttl_seconds + cdn.stale_seconds)
                self._marks(program, scenario, station, "landed", lives)
        return program.named[name]

    def _marks(
        self, program: Program, scenario: Scenario, station: Station, what: str, seconds: float
    ) -> None:
        """Lay out what each region knows of its objects; that takes no room and is no look-up."""
        cdn, keys = scenario.edge.cdn, scenario.datasets[self.dataset].keys
        ttl = Distribution(constant=seconds * 1e3)
        warm = cdn.warm and what == "fresh"
        marks = [program.store(station, keys, keys, ttl, warm) for _ in scenario.client.regions]
        for mark in marks:
            station.stores.remove(mark)
        program.named[f"cdn {what} {self.dataset}"] = marks[0]

    def _shielded(self, program: Program, scenario: Scenario, inner: Inner) -> None:
        """Emit the look-up at the shield, and the origin behind a miss there."""
        cdn, keys = scenario.edge.cdn, scenario.datasets[self.dataset].keys
        station = program.station("edge.shield", "Origin shield", "store")
        name = f"shield {self.dataset}"
        with program.at(station, "fetch"):
            if name not in program.named:
                room = scenario.room_for(self.dataset, "fetch", cdn.shield_capacity)
                ttl = Distribution(constant=cdn.ttl_seconds * 1e3)
                program.named[name] = program.store(station, keys, room, ttl)
            scenario.draw_key(program, self.dataset)
            hit = program.step(Op.GET, "get", site=program.named[name])
            self._origin(program, scenario, inner)
            scenario.draw_key(program, self.dataset)
            program.step(Op.PUT, "keep", site=program.named[name])
            over = program.step(Op.GO)
            program.patch(hit, jump=program.here)
            scenario.client.travel(program, "to the shield")
            program.patch(over, jump=program.here)
            program.forget_key()

    def _origin(self, program: Program, scenario: Scenario, inner: Inner) -> None:
        """Emit the origin: the steps within, or object storage if there are none."""
        if self.then:
            inner()
            return
        station = program.station("edge.origin", "Object storage", "service")
        with program.at(station, "read"):
            scenario.client.travel(program, "to the origin")
            program.hold("read", scenario.edge.cdn.origin_time)
