"""Benches: small programs of mechanisms, for facts that no scenario says or says so exactly.

One station, one stream of requests, and a body that emits what each of them does.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.assembly import Station
from engine.distribution import Distribution
from engine.kernel.tables import Op
from engine.plane import Plane
from engine.program import Program
from tests.truth.machine import SEED
from tests.workshop import METRONOME, POISSON

Body = Callable[[Program, Station], None]
NEVER = 1e8  # s; when an entry expires that is not meant to
MANY = 1 << 24  # requests that may be under way at once


def bench(body: Body, rate: float, *, poisson: bool = True) -> Plane:
    """Return a plane of requests, `rate` a second, that each do `body`."""
    program = Program()
    place = program.station("application.place", "Place", "service")
    with program.at(place, "ask"):
        program.step(Op.ARRIVE)
    start = program.begin("request")
    program.journeys.append("request")
    with program.at(place, "request"):
        body(program, place)
        program.step(Op.FINISH)
    program.flush()
    gap = POISSON if poisson else METRONOME
    program.source("users", [1.0], [start], rate, gap, METRONOME, MANY, 0)
    return Plane(program, SEED)


def mean_latency(plane: Plane) -> float:
    """Return the mean latency of the answered requests, seconds."""
    journey = plane.world.journeys[0]
    return float(journey["seconds"] / journey["answered"])


def cache(
    rate: float,
    keys: int,
    zipf: float,
    capacity: int,
    ttl_seconds: float,
    fetch: Distribution | None = None,
    **more: float | str | bool,
) -> Plane:
    """Return a plane of look-ups in a store; a miss takes a while and fills it."""

    def body(program: Program, place: Station) -> None:
        time = Distribution(constant=ttl_seconds * 1e3)
        store = program.store(place, keys, capacity, time, **more)  # type: ignore[arg-type]
        program.key("entries", keys, zipf)
        hit = program.step(Op.GET, "get", site=store)
        if fetch is not None:
            program.hold("fetch", fetch)
        program.step(Op.PUT, "keep", site=store)
        program.patch(hit, jump=program.here)

    return bench(body, rate)


def hit_ratio(plane: Plane, warm_up: float, seconds: float) -> float:
    """Play, and return the share of look-ups after the warm-up that hit, as the store counts."""
    plane.advance(warm_up)
    before = plane.world.stores.copy()
    plane.advance(warm_up + seconds)
    after = plane.world.stores
    return float((after["hits"] - before["hits"])[0] / (after["gets"] - before["gets"])[0])
