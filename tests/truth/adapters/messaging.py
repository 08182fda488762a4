"""Messaging: partitions and their readers, rests between tries, deliveries that come again."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from scipy.special import ndtri

from engine.assembly import Station
from engine.distribution import Distribution
from engine.hashing import kafka_partition, murmur2
from engine.kernel.tables import Op
from engine.layers.partitions import assigned
from engine.policy import Jitter, assign_range, assign_round_robin, backoff_range
from engine.program import Program
from tests.truth.answer import Pair
from tests.truth.bench import bench, mean_latency
from tests.truth.case import Case
from tests.workshop import FAR

KEYS = 10_000
DRAWS = 10_000
ROWS = 100  # that clients contend for, each row apart: as many runs at once
STRATEGIES: dict[str, Jitter] = {
    "none": "none",
    "expo": "none",
    "equal": "equal",
    "full": "full",
    "decorr": "decorrelated",
}


# ---------------------------------------------------------------- Kafka


def keyed(case: Case) -> dict[str, Any]:
    """The hash of a key, and where it goes."""
    key = case.given["key"]
    counts = case.given["partitions"]
    found = {f"partition_of_{count}": kafka_partition(key, count) for count in counts}
    return {"murmur2": murmur2(key.encode()), **found}


def repartitioned(case: Case) -> dict[str, Any]:
    """The share of keys that more partitions send elsewhere."""
    before, after = case.given["partitions_before"], case.given["partitions_after"]
    moved = [
        kafka_partition(f"key{index}", before) != kafka_partition(f"key{index}", after)
        for index in range(KEYS)
    ]
    return {"moved_fraction": sum(moved) / KEYS}


def handed_out(case: Case) -> dict[str, Any]:
    """What each consumer of a group gets to read, spelled t0p0."""
    given = case.given
    if "subscriptions" in given:
        topics, readers = given["partitions"], given["subscriptions"]
    else:
        topics = Counter(name.partition("p")[0] for name in given["partitions"])
        readers = {consumer: list(topics) for consumer in given["consumers"]}
    assign = assign_range if case.id.endswith("range") else assign_round_robin
    return {
        consumer: [f"{topic}p{number}" for topic, number in held]
        for consumer, held in assign(topics, readers).items()
    }


def shared_out(case: Case) -> dict[str, Any]:
    """How many partitions of one topic each worker of the layer has."""
    partitions, consumers = case.given["partitions"], case.given["consumers"]
    counts = Counter(assigned(partitions, consumers))
    held = [counts[worker] for worker in range(consumers)]
    return {
        "partitions_per_consumer": held,
        "active_consumers": sum(count > 0 for count in held),
        "idle_consumers": held.count(0),
        "speedup_limit": len(counts),
    }


# ---------------------------------------------------------------- rests


def backoff(case: Case) -> dict[str, Any]:
    """The rest before a retry: its bounds, and the mean of those that the engine drew."""
    given = case.given
    base, cap, number = given["base_ms"], given["cap_ms"], given["attempt"]
    found: dict[str, Any] = {"expo_ms": drawn(base, cap, number, "none")}
    for jitter in ("full", "equal"):
        bounds = backoff_range(base, cap, number, jitter)
        found[f"{jitter}_jitter_range_ms"] = list(bounds)
        found[f"{jitter}_jitter_mean_ms"] = drawn(base, cap, number, jitter)
    return found


def drawn(base: float, cap: float, number: int, jitter: Jitter) -> float:
    """Return the mean rest after failed attempt `number`, ms: all rests, less those before it.

    AWS's attempt 1 rests for twice the base; the engine's knob is that first rest.
    """
    return resting(2 * base, cap, number, jitter) - resting(2 * base, cap, number - 1, jitter)


def resting(first: float, cap: float, retries: int, jitter: Jitter) -> float:
    """Return how long requests rest in all, ms, that fail at every try."""

    def body(program: Program, place: Station) -> None:
        program.attempt(
            lambda: program.fail("broken"),
            attempts=retries + 1,
            base=first / 1e3,
            cap=cap / 1e3,
            jitter=jitter,
            otherwise=lambda: None,
        )

    plane = bench(body, rate=1e4, poisson=False)
    plane.advance((DRAWS + 0.5) / 1e4)
    plane.set_rate(0.0)
    plane.advance(FAR)
    return mean_latency(plane) * 1e3


def contention(case: Case) -> dict[str, Any]:
    """Clients that all want to write one row, each once, with an optimistic lock."""
    found: dict[str, Any] = {}
    calls: dict[str, float] = {}
    for name, jitter in STRATEGIES.items():
        calls[name], completion = contended(case, name, jitter)
        for figure, value in (("total_write_calls", calls[name]), ("completion_ms", completion)):
            found[f"{figure}, {name}"] = Pair(case.expect[figure][name], value)
    ordered = calls["full"] < calls["equal"] < calls["expo"] < calls["none"]
    found["total_write_calls, full < equal < expo < none"] = Pair(expected=True, value=ordered)
    return found


def contended(case: Case, name: str, jitter: Jitter) -> tuple[float, float]:
    """Return the calls to write, and the ms until all have written; means of many rows at once."""
    given = case.given
    clients, base, cap = given["clients"], given["base_ms"] / 1e3, given["cap_ms"] / 1e3
    net = Distribution(empirical=tuple(np.abs(10 + 2 * ndtri((np.arange(2000) + 0.5) / 2000))))
    first = {"none": 0.0, "decorr": base}.get(name, 2 * base)

    def body(program: Program, place: Station) -> None:
        rows, version = program.ledger("rows", ROWS), program.register("version")

        def write() -> None:
            program.step(Op.VERIFY, site=rows, register=version, reason=program.reason("stale"))
            program.step(Op.MARK, site=rows)

        def refused() -> None:
            program.hold("answer", net)
            program.step(Op.FAIL)

        def read_and_write() -> None:
            program.hold("to read", net)
            program.step(Op.STAMP, site=rows, register=version)
            program.hold("answer", net)
            program.hold("to write", net)
            program.attempt(write, otherwise=refused)
            program.hold("answer", net)

        program.key_by("request", ROWS)
        program.attempt(read_and_write, attempts=10_000, base=first, cap=cap, jitter=jitter)
        program.step(Op.MARK, site=program.ledger("done", ROWS))

    at_once = 1e9
    plane = bench(body, at_once, poisson=False)
    plane.advance((clients * ROWS + 0.5) / at_once)
    plane.set_rate(0.0)
    plane.advance(FAR)
    assert int(plane.world.journeys["answered"][0]) == clients * ROWS
    world = plane.world
    done = int(world.ledgers["first"][plane.program.named["done"]])
    calls = int(world.visits[world.steps["op"] == Op.VERIFY].sum())
    return calls / ROWS, float(world.marks[done : done + ROWS].mean()) * 1e3


ADAPTERS = [
    (lambda case: "murmur2" in case.expect, keyed),
    (lambda case: "partitions_before" in case.given, repartitioned),
    (lambda case: case.id.startswith("kafka.assign."), handed_out),
    (lambda case: "partitions_per_consumer" in case.expect, shared_out),
    (lambda case: {"base_ms", "cap_ms", "attempt"} <= set(case.given), backoff),
    (lambda case: {"base_ms", "cap_ms", "clients"} <= set(case.given), contention),
]
