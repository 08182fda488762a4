"""Balancers that notice failures by themselves, and balancers by hash: nginx's own picks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from engine.hashing import nginx_hash, nginx_ring, nginx_ring_pick
from engine.kernel.tables import NOBODY, State
from tests.truth.adapters.balancers import balanced
from tests.truth.case import Case
from tests.truth.machine import begin

STATUS = {True: 200, False: 502}
RATE = 10.0  # requests a second, one after the other
CALL_SECONDS = 0.01  # after which a server that does not answer is given up, so that it is seen

# A ring hangs on the servers' addresses, which the case does not tell.  Of all rows of ports on
# 127.0.0.1 this is the only one that gives both the counts and the share that were recorded.
FIRST_PORT = 19_081
ROWS_OF_PORTS = 25  # over which the ideal is a mean: one row's share moves by some percent


# ---------------------------------------------------------------- failures


class Proxy:
    """The balancer in front of servers of which some do not answer."""

    def __init__(self, weights: list[int], failing: list[str], max_fails: int, rest: float) -> None:
        run = begin(
            balanced(
                len(weights),
                RATE,
                "weighted",
                checks={
                    "max_fails": max_fails,
                    "fail_timeout_seconds": rest,
                    "next_upstream": 0,
                    "read_timeout_seconds": CALL_SECONDS,
                },
                weights=weights,
                cpu_time=CALL_SECONDS * 900,
                gap="fixed",
            ),
            60.0,
        )
        self.plane, self.names = run.plane, [chr(ord("a") + n) for n in range(len(weights))]
        first = self.plane.program.stations["application.server"].pools[0]
        for name in failing:
            self.plane.world.pools["slots"][first + self.names.index(name)] = 0

    def ask(self, requests: int) -> Iterator[tuple[list[str], int]]:
        """Send requests; yield the servers that each one was sent to, and its status."""
        self.plane.set_rate(RATE)
        journeys, reasons = self.plane.world.journeys, self.plane.world.reasons
        none = self.plane.program.reasons["no healthy server"]
        for _ in range(requests):
            started, answered = int(journeys["started"][0]), int(journeys["answered"][0])
            alone = int(reasons[0, none])
            while journeys["started"][0] == started:
                self.wait(CALL_SECONDS / 10)
            names: list[str] = []
            while journeys["in_flight"][0]:
                names += self._asked(names[-1:])
                self.wait(CALL_SECONDS / 10)
            if not names and reasons[0, none] > alone:
                names = ["alldead"]
            yield names, STATUS[int(journeys["answered"][0]) > answered]

    def _asked(self, before: list[str]) -> list[str]:
        """Return the server that the request is at, if it is another than before."""
        tokens = self.plane.world.tokens
        own = (tokens["state"] != State.FREE) & (tokens["orphan"] == NOBODY)
        (who,) = np.flatnonzero(own)
        server = self.plane.world.registers[who, self.plane.program.register("server 0")]
        name = self.names[server]
        return [] if [name] == before else [name]

    def wait(self, seconds: float) -> None:
        """Let time pass on the data plane; nobody there alters the traffic."""
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
    proxy.plane.set_rate(0.0)
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
