"""Balancers that notice failures by themselves, and balancers by hash: nginx's own picks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from engine.assembly import Station
from engine.distribution import Distribution
from engine.hashing import nginx_hash, nginx_ring, nginx_ring_pick
from engine.kernel.tables import Op, Policy, State
from engine.plane import Plane
from engine.program import Program
from tests.truth.bench import bench
from tests.truth.case import Case

STATUS = {True: 200, False: 502}
RATE = 10.0  # requests a second, one after the other
CALL_MS = 1.0  # what one call takes, so that it is seen
NO_SERVER = "no live upstreams"

# A ring hangs on the servers' addresses, which the case does not tell.  Of all rows of ports on
# 127.0.0.1 this is the only one that gives both the counts and the share that were recorded.
FIRST_PORT = 19_081
ROWS_OF_PORTS = 25  # over which the ideal is a mean: one row's share moves by some percent


# ---------------------------------------------------------------- failures


class Proxy:
    """A proxy in front of servers of which some refuse every connection."""

    def __init__(self, weights: list[int], failing: list[str], max_fails: int, rest: float) -> None:
        self.weights, self.max_fails, self.rest = weights, max_fails, rest
        self.plane: Plane = bench(self.emit, RATE, poisson=False)
        for name in failing:
            self.plane.world.pools["slots"][ord(name) - ord("a")] = 0
        self.plane.set_rate(0.0)

    def emit(self, program: Program, place: Station) -> None:
        """Emit what nginx does with a request: each server at most once, until one answers."""
        count = len(self.weights)
        first = program.pools(place, count, 100, 0, count, weights=tuple(self.weights))
        group = program.group(Policy.WEIGHTED, first, count)
        program.watch(group, first, count, self.max_fails, self.rest)
        tried, server = program.register("tried"), program.register("server")

        def forward() -> None:
            program.step(
                Op.ROUTE,
                site=group,
                register=server,
                jump=first,
                number=tried,
                reason=program.reason(NO_SERVER),
            )
            program.attempt(serve, otherwise=failed)
            program.step(Op.OUTCOME, site=first, by=server, number=1)

        def serve() -> None:
            program.hold("connect", Distribution(constant=CALL_MS))
            program.step(Op.SEIZE, site=first, by=server, reason=program.reason("refused"))
            program.step(Op.RELEASE)

        def failed() -> None:
            program.step(Op.OUTCOME, site=first, by=server, number=0)
            program.step(Op.FAIL)

        program.step(Op.SET, register=tried, number=0)
        program.attempt(forward, attempts=count)

    def ask(self, requests: int) -> Iterator[tuple[list[str], int]]:
        """Send requests; yield the servers that each one was sent to, and its status."""
        plane, server = self.plane, self.plane.program.register("server")
        journeys, reasons = plane.world.journeys, plane.world.reasons
        none = plane.program.reasons[NO_SERVER]
        plane.set_rate(RATE)
        for _ in range(requests):
            started, answered = int(journeys["started"][0]), int(journeys["answered"][0])
            lost = int(reasons[0, none])
            while journeys["started"][0] == started:
                plane.advance(plane.now + CALL_MS / 4e3)
            names = []
            while (at := np.flatnonzero(plane.world.tokens["state"] != State.FREE)).size:
                names.append(chr(ord("a") + plane.world.registers[at[0], server]))
                plane.advance(plane.now + CALL_MS / 1e3)
            if not names and reasons[0, none] > lost:
                names = ["alldead"]
            yield names, STATUS[int(journeys["answered"][0]) > answered]
        plane.set_rate(0.0)

    def wait(self, seconds: float) -> None:
        """Let time pass without requests."""
        self.plane.advance(self.plane.now + seconds)


def passive(case: Case) -> dict[str, Any]:
    """Return the servers that each request was sent to, one after the other."""
    given = {"max_fails": 1, "fail_timeout_s": 10.0, **case.given}
    weights = given.get("weights") or [1] * (2 if "all_dead" in case.id else 1)
    failing = given.get("failing") or ["a", "b"]
    proxy = Proxy(weights, failing, given["max_fails"], given["fail_timeout_s"])
    return told(list(proxy.ask(given["requests"])))


def probed(case: Case) -> dict[str, Any]:
    """The same servers some seconds later: one request finds out."""
    proxy = Proxy([1, 1, 1], ["b"], 1, 3.0)
    list(proxy.ask(9))
    proxy.wait(case.given["wait_s"])
    found = told(list(proxy.ask(case.given["requests"])))
    to_b = sum("b" in names for names in found["attempts"])
    return {**found, "probe_requests_to_b": to_b}


def told(seen: list[tuple[list[str], int]]) -> dict[str, Any]:
    """Return what is told of requests."""
    return {
        "attempts": [names for names, _ in seen],
        "statuses": [status for _, status in seen],
    }


# ---------------------------------------------------------------- hashes


def by_hash(case: Case) -> dict[str, Any]:
    """Plain hash: one server more."""
    before, after = (
        np.array([nginx_hash(key, [1] * case.given[name]) for key in keys(case)])
        for name in ("peers_before", "peers_after")
    )
    moved = float((before != after).mean())
    return {
        "moved_fraction": moved,
        "ideal": moved,
        "counts_before": np.bincount(before).tolist(),
    }


def by_ring(case: Case) -> dict[str, Any]:
    """Consistent hash: the last server goes."""
    sizes = case.given["peers_before"], case.given["peers_after"]
    before, after = (ring_picks(FIRST_PORT, size, keys(case)) for size in sizes)
    others = [
        (ring_picks(port, sizes[0], keys(case)) != ring_picks(port, sizes[1], keys(case))).mean()
        for port in range(20_000, 20_000 + 10 * ROWS_OF_PORTS, 10)
    ]
    return {
        "moved_fraction": float((before != after).mean()),
        "ideal": float(np.mean(others)),
        "moved_only_from_removed": set(before[before != after]) == {case.given["peers_after"]},
        "counts_after": np.bincount(after).tolist(),
    }


def ring_picks(first_port: int, count: int, names: list[str]) -> np.ndarray:
    """Return the server of every key, where servers stand on ports in a row."""
    ring = nginx_ring([f"127.0.0.1:{first_port + index}" for index in range(count)])
    return np.array([nginx_ring_pick(name, ring) for name in names])


def keys(case: Case) -> list[str]:
    """Return the keys of `user{0..3999}`."""
    name, _, numbers = case.given["keys"].rstrip("}").partition("{")
    low, high = map(int, numbers.split(".."))
    return [f"{name}{number}" for number in range(low, high + 1)]


ADAPTERS = [
    (lambda case: case.id == "nginx.passive.reprobe", probed),
    (lambda case: case.id.startswith("nginx.passive."), passive),
    (lambda case: case.id.startswith("nginx.hash."), by_hash),
    (lambda case: case.id.startswith("nginx.chash."), by_ring),
]
