"""The twin: a few small runs whose every bit is the same compiled and interpreted.

Run as a program it prints the digest of each table of each run; `NUMBA_DISABLE_JIT=1` in the
environment makes that the interpreted twin.
"""

import hashlib
import json
from typing import Any

import numpy as np

from engine import Scenario, Simulation, load
from engine.kernel.tables import TABLES

FAMILIES = [
    {"exponential": 3},
    {"lognormal": {"median": 3, "p99": 30}},
    {"uniform": {"low": 1, "high": 9}},
    {"bimodal": {"fast": 1, "slow": 40, "slow_share": 0.2}},
    {"bimodal": {"fast": 1, "slow": 40, "slow_share": 0.2, "exponential": True}},
    {"empirical": [1, 2, 4, 4, 30]},
    {"erlang": {"mean": 6, "phases": 3}},
]


def call(service: str, *within: Any) -> dict[str, Any]:
    """Return a call of a service and the steps within."""
    return {"do": "call", "service": service, "then": list(within)}


def storm() -> Scenario:
    """Return a system in a retry storm: time-outs, rests, refusals, cancelled calls, orphans."""
    read = {"do": "read", "dataset": "things"}
    return Scenario.model_validate({
        "duration_seconds": 1.5,
        "warm_up_seconds": 0.2,
        "client": {"requests_per_second": 120, "timeout_seconds": 0.06, "attempts": 3,
                   "backoff_ms": 10, "jitter": "equal", "web_round_trip": 5,
                   "mobile_round_trip": {"exponential": 10}},
        "edge": {"dns": {"resolvers": 9}, "balancer": {"policy": "power_of_two"}},
        "application": {
            "replicas": 2, "threads": 3, "cores": 1, "queue_limit": 3,
            "services": {"front": {"cpu_time": {"exponential": 12}},
                         "back": {"cpu_time": 2, "queue_timeout_ms": {"exponential": 15}}},
        },
        "cache": {"enabled": False},
        "data": {"shards": 2, "sharding": "consistent_hash", "connections": 1},
        "datasets": {"things": {"keys": 30, "zipf": 1.1}},
        "journeys": {"visit": {"steps": [call("front", call("back", read), read)]}},
    })  # fmt: skip


def families() -> Scenario:
    """Return a system that draws from every family of distributions, in parallel legs."""
    legs = [call(f"s{index}") for index in range(len(FAMILIES))]
    return Scenario.model_validate({
        "duration_seconds": 1.0,
        "warm_up_seconds": 0,
        "client": {"requests_per_second": 20, "gap": "fixed"},
        "application": {
            "replicas": 3, "threads": 2, "cores": 1,
            "services": {f"s{i}": {"cpu_time": time} for i, time in enumerate(FAMILIES)},
        },
        "edge": {"balancer": {"policy": "ip_hash"}},
        "journeys": {"visit": {"steps": [{"do": "parallel", "repeat": 2, "then": legs}]}},
    })  # fmt: skip


def queues() -> Scenario:
    """Return a closed system with evictions, expiries, messages that fail, and a write buffer."""
    things = {"dataset": "things"}
    return Scenario.model_validate({
        "duration_seconds": 2.0,
        "warm_up_seconds": 0,
        "client": {"arrivals": "closed", "users": 8, "think_time": 60},
        "edge": {"balancer": {"policy": "weighted"}, "cdn": {"capacity": 4, "ttl_seconds": 1}},
        "application": {"services": {"server": {"weights": [3, 1]}}},
        "cache": {"capacity": 6, "ttl_seconds": 0.4, "buffer": {"flush_seconds": 0.5, "batch": 3}},
        "asynchronous": {"workers": 2, "partitions": 3, "attempts": 3, "retry_delay_ms": 40,
                         "kinds": {"mail": {"service_time": 30, "failure_rate": 0.4}}},
        "datasets": {"things": {"keys": 20, "zipf": 0.8}},
        "journeys": {
            "look": {"weight": 3, "steps": [
                {"do": "fetch", **things},
                call("server", {"do": "lookup", **things, "then": [{"do": "search"}]},
                     {"do": "count", **things})]},
            "buy": {"steps": [call("server", {"do": "write", **things},
                                   {"do": "publish", "to": ["mail"]})]},
        },
    })  # fmt: skip


def runs() -> dict[str, Scenario]:
    """Return the scenarios that both twins run, each worth about a second interpreted."""
    short = {"duration_seconds": 2.0, "warm_up_seconds": 0.5}
    few = {"client.users": 15, "client.think_time.exponential": 400}
    return {
        "amazon": load("amazon").change({**short, "client.requests_per_second": 60}),
        "monolith": load("monolith").change({**short, **few}),
        "storm": storm(),
        "families": families(),
        "queues": queues(),
    }


def hurt(run: Simulation) -> None:
    """Let servers crash, steps be disturbed and stores be passed by, a little of each."""
    plane = run.plane
    for station in plane.program.stations.values():
        plane.crash(station.pools[:1], "killed")
    rows = plane.program.rows()[::4]
    plane.disturb(rows, factor=1.5, extra_seconds=0.001, loss=0.05, reason="lost")
    plane.bypass(range(0, len(plane.world.stores), 2))


def digest(array: np.ndarray) -> str:
    """Return a digest of what a table holds; padding between fields is no state."""
    fields = [array[name] for name in array.dtype.names] if array.dtype.names else [array]
    seen = hashlib.sha256()
    for field in fields:
        seen.update(np.ascontiguousarray(field).tobytes())
    return seen.hexdigest()[:16]


def digests() -> dict[str, dict[str, str]]:
    """Return the digest of each table of each run; of a result's summary, its text."""
    found = {}
    for name, scenario in runs().items():
        run = Simulation(scenario, seed=11)
        run.advance_to(0.6 * scenario.duration_seconds)
        hurt(run)
        run.advance_to(scenario.duration_seconds)
        found[name] = {table: digest(getattr(run.plane.world, table)) for table in TABLES}
        found[name]["summary"] = run.result().summary.model_dump_json()
    return found


if __name__ == "__main__":
    print(json.dumps(digests()))
