"""Messaging: partitions and their readers, rests between tries, deliveries that come again."""

from __future__ import annotations

from collections import Counter
from typing import Any

from engine.hashing import kafka_partition, murmur2
from engine.layers.asynchronous import assigned
from engine.policy import Jitter, assign_range, assign_round_robin, backoff_range
from tests.truth.case import Case
from tests.workshop import attempt, mean_latency, play

KEYS = 10_000
DRAWS = 10_000
JITTERS: dict[Jitter, int] = {"none": 0, "full": 1, "equal": 2}


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

    def emit(program, _place):
        row = attempt(
            program,
            lambda: program.fail("broken"),
            attempts=retries + 1,
            rest=(first / 1e3, cap / 1e3),
            jitter=JITTERS[jitter],
            otherwise=program.here + 3,
        )
        assert row == 0

    return mean_latency(play(emit, DRAWS, rate=1e4)) * 1e3


ADAPTERS = [
    (lambda case: "murmur2" in case.expect, keyed),
    (lambda case: "partitions_before" in case.given, repartitioned),
    (lambda case: case.id.startswith("kafka.assign."), handed_out),
    (lambda case: "partitions_per_consumer" in case.expect, shared_out),
    (lambda case: {"base_ms", "cap_ms", "attempt"} <= set(case.given), backoff),
]
