"""Balancers: the picks of real programs, in order; and mean responses by policy."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from engine import Scenario
from engine.kernel.choice import pick
from engine.kernel.tables import NOBODY
from engine.layers.edge import Balancer
from tests.truth.answer import Beside, Pair
from tests.truth.case import Case
from tests.truth.machine import NO_LIMIT, call, one_server, play, system

POLICIES = {"least_conn": "least_connections", "ip_hash": "ip_hash", "": "weighted"}
CLIENT = 10 << 16  # 10.0.0.x, where a case does not say who asks
SERVICE_MS = 100.0  # the unit of time of the cases whose mean service is 1


def balanced(
    count: int,
    per_second: float,
    policy: str,
    draws: int = 2,
    checks: dict[str, Any] | None = None,
    gap: str = "poisson",
    **more: Any,
) -> Scenario:
    """Return a scenario of a balancer in front of servers that work one request at a time."""
    balancer = {"policy": policy, "draws": draws, "latency": 0, **(checks or {})}
    service = {
        "replicas": count,
        "threads": 1,
        "cores": 1,
        "queue_limit": NO_LIMIT,
        "cpu_time": {"exponential": SERVICE_MS},
        **more,
    }
    edge = {"dns": {"on": False}, "cdn": {"on": False}, "balancer": balancer}
    return system(
        [call("server")],
        per_second,
        client={"enabled": False, "gap": gap},
        edge=edge,
        application={"services": {"server": service}},
    )


# ---------------------------------------------------------------- picks


class Desk:
    """The kernel's own picks over the tables of a real program, one request after the other."""

    def __init__(self, policy: str, weights: Iterable[int], down: Iterable[str] = ()) -> None:
        weights = tuple(weights)
        program = balanced(len(weights), 1.0, policy, weights=weights).program()
        self.world = program.world(7)
        self.first = program.stations["application.server"].pools[0]
        self.pools = self.world.pools[self.first : self.first + len(weights)]
        for name in down:
            self.pools["up"][ord(name) - ord("a")] = 0

    def pick(self, client: int = CLIENT) -> str:
        """Return the name of the server that a request goes to; "" where there is none."""
        zero = np.uint64(0)
        index = pick(0, client, zero, zero, 0, self.world)
        return "" if index == NOBODY else chr(ord("a") + index - self.first)

    def hold(self, client: int = CLIENT) -> str:
        """Pick a server for a request that stays there."""
        name = self.pick(client)
        if name:
            self.pools["busy"][ord(name) - ord("a")] += 1
        return name

    def release(self) -> None:
        """Let all requests go."""
        self.pools["busy"] = 0


def picks(case: Case) -> dict[str, Any]:
    """Return the servers picked for requests that are held, or that come one after the other."""
    given = case.given
    method = given.get("method", "least_conn" if "least_conn" in case.id else "")
    desk = Desk(POLICIES[method], given["weights"], given.get("down", ()))
    if "concurrent" in given:
        return told([desk.hold() for _ in range(given["concurrent"])], len(given["weights"]))
    if held := re.match(r"(\d+) held requests then released", given.get("after", "")):
        for _ in range(int(held[1])):
            desk.hold()
        desk.release()
    count = given.get("picks") or given["requests"]
    return told([desk.pick() for _ in range(count)], len(given["weights"]))


def told(names: list[str], servers: int) -> dict[str, Any]:
    """Return picks as a sequence, as counts, and by name."""
    counts = Counter(names)
    letters = [chr(ord("a") + index) for index in range(servers)]
    return {
        "sequence": "".join(names),
        "counts": [counts[letter] for letter in letters],
        "rejected": counts[""],
        **{letter: counts[letter] for letter in letters},
    }


def by_address(case: Case) -> dict[str, Any]:
    """Return the server of each client's address."""
    given = case.given
    weights = given.get("weights") or [1] * given["peers"]
    desk = Desk("ip_hash", weights, given.get("down", ()))
    addresses = given["ips"] if isinstance(given["ips"], list) else spelled(given["ips"])
    found = {address: desk.pick(octets(address)) for address in addresses}
    return {"peer": found, **told(list(found.values()), len(weights))}


def resized(case: Case) -> dict[str, Any]:
    """Return the share of clients that another number of servers sends elsewhere."""
    given = case.given
    clients = [octets(address) for address in spelled(given["ip_set"])]
    assert len(clients) == given["clients"]
    before, after = (Desk("ip_hash", [1] * given[key]) for key in ("peers_before", "peers_after"))
    moved = [before.pick(client) != after.pick(client) for client in clients]
    return {"moved_fraction": sum(moved) / len(moved)}


def octets(address: str) -> int:
    """Return the first three octets, which are all that ip_hash looks at."""
    first, second, third, _ = map(int, address.split("."))
    return first << 16 | second << 8 | third


def spelled(pattern: str) -> Iterator[str]:
    """Yield the addresses that a pattern with ranges means: 10.{0..2}.1.1."""
    ranges = [
        [str(n) for n in range(int(low), int(high) + 1)] if low else [literal]
        for low, high, literal in re.findall(r"\{(\d+)\.\.(\d+)\}|([^{}]+)", pattern)
    ]
    return ("".join(parts) for parts in itertools.product(*ranges))


def limited(case: Case) -> dict[str, Any]:
    """Return the picks where servers take so many connections and no more."""
    words = [part.strip() for part in case.given["upstream"].split(";")]
    method = words[0] if words[0] in POLICIES else ""
    peers = [part for part in words if re.fullmatch(r"[a-z]( .*)?", part)]
    weights = [int(option(peer, "weight") or 1) for peer in peers]
    desk = Desk(POLICIES[method], weights)
    for index, peer in enumerate(peers):
        desk.pools["ceiling"][index] = int(option(peer, "max_conns") or 0)
        desk.pools["backup"][index] = int("backup" in peer)
    names = [desk.hold() for _ in range(case.given["concurrent"])]
    return told(names, len(peers))


def option(peer: str, name: str) -> str:
    """Return the value of an option such as `max_conns=2`, or ""."""
    found = re.search(rf"\b{name}=(\d+)", peer)
    return found[1] if found else ""


def least_connections(case: Case) -> dict[str, Any]:
    """HAProxy's leastconn: who stands in line counts; ties go round."""
    desk = Desk("least_connections", (1, 1, 1))
    desk.pools["busy"][:2] = 1
    desk.pools["waiting"][0] = 3
    desk.pools["busy"][2] = 2
    counts_queued = desk.pick() == "b"
    desk.pools["busy"] = desk.pools["waiting"] = 0
    desk.pools["current"] = 0
    turns = "".join(desk.pick() for _ in range(6))
    return {
        "counts_queued": counts_queued,
        "tie": "round robin" if turns == "abcabc" else turns,
        "random_default_draws": Balancer.model_fields["draws"].default,
    }


# ---------------------------------------------------------------- responses


def response(scenario: Scenario, arrivals: float) -> float:
    """Return the mean time in the system, in mean services."""
    return play(scenario, arrivals).latency_s_mean * 1e3 / SERVICE_MS


def policies(case: Case) -> dict[str, Any]:
    """The same servers behind every policy, and one shared queue."""
    count, load = case.given["servers"], case.given["load"]
    rate = count * load * 1e3 / SERVICE_MS
    base = 0.01 / (1 - load) ** 2
    little = base * min(1.0, 20 / count)  # many servers behind one choice vary less
    found = {
        "shared_queue_mmn": response(
            one_server(rate, {"exponential": SERVICE_MS}, count), 4e6 * little
        ),
        "jsq": response(balanced(count, rate, "least_connections"), 4e6 * little),
        "power_of_2": response(balanced(count, rate, "power_of_two"), 3e6 * little),
        "round_robin": response(balanced(count, rate, "round_robin"), 4e6 * base),
        "random": response(balanced(count, rate, "random"), 5e6 * base),
    }
    in_order = list(found.values()) == sorted(found.values())
    return {**found, "shared < JSQ < P2C < RR < random": Pair(expected=True, value=in_order)}


def supermarket(case: Case) -> dict[str, Any]:
    """The least busy of d servers drawn at random; 500 servers stand for infinitely many."""
    load = case.given["load"]
    found: dict[str, Any] = {}
    for name in case.expect:
        match = re.fullmatch(r"d(\d+)_n_?(\d+|infinite)(?:_simulated)?", name)
        assert match, f"{name} says no number of draws and servers"
        draws, servers = match.groups()
        if servers == "infinite" and load > 0.95:
            found[name] = Beside("the case compares infinitely many servers up to a load of 0.95")
            continue
        count = 500 if servers == "infinite" else int(servers)
        policy = "random" if draws == "1" else "power_of_two"
        scenario = balanced(count, count * load * 1e3 / SERVICE_MS, policy, max(2, int(draws)))
        needed = (5e4 if draws == "1" else 2e4) / (1 - load) ** 2
        found[name] = response(scenario, min(6e6 if draws != "1" else 3e7, max(1e6, needed)))
    return found


ADAPTERS = [
    (lambda case: "counts_queued" in case.expect, least_connections),
    (lambda case: {"servers", "load"} <= set(case.given), policies),
    (lambda case: "choices_with_replacement" in case.given, supermarket),
    (lambda case: "ip_set" in case.given, resized),
    (lambda case: "ips" in case.given, by_address),
    (lambda case: "upstream" in case.given and "concurrent" in case.given, limited),
    (lambda case: "weights" in case.given and "failing" not in case.given, picks),
]
