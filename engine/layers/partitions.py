"""Partitions: which one a key's messages go to, and who reads it."""

from __future__ import annotations

import functools
from collections.abc import Generator, Iterable
from typing import Any

import numpy as np

from engine.component import Component, ControlPlane, knob
from engine.kernel.tables import NOBODY
from engine.layers.workers import WORKERS_MAX
from engine.policy import assign_range

MULTIPLIER, SEED, MASK = np.uint64(0x5BD1E995), 0x9747B28C, np.uint64(0xFFFFFFFF)


class Rebalance(Component):
    """A rebalance of all consumer groups: nobody reads while partitions change hands.

    Eager, as with RangeAssignor, the first of Kafka's defaults; KIP-429's cooperative ones pause
    only what moves.
    """

    at_seconds: float = knob(
        0.0,
        "Rebalance at",
        unit="s",
        low=0,
        high=86_400,
        step=5,
        slider_high=600,
        help="When a worker joins or leaves; 0: never.",
    )
    pause_seconds: float = knob(
        3.0,
        "Rebalance takes",
        unit="s",
        low=0,
        high=600,
        step=1,
        slider_high=60,
        help="Until partitions are read again, also when workers are added, removed or dead."
        " Kafka: group.initial.rebalance.delay.ms 3 s.",
    )
    session_timeout_seconds: float = knob(
        45.0,
        "Session time-out",
        unit="s",
        low=1,
        high=1800,
        step=5,
        slider_high=120,
        help="A worker that was not heard of for so long is out of its group, and the others take"
        " its partitions over. Kafka: session.timeout.ms 45 s.",
    )
    heartbeat_seconds: float = knob(
        3.0,
        "Heartbeats",
        unit="s",
        low=0.1,
        high=600,
        step=1,
        slider_high=15,
        help="How often a worker is heard of. Kafka: heartbeat.interval.ms 3 s.",
    )
    leaving: int = knob(
        0,
        "Workers that leave",
        low=0,
        high=WORKERS_MAX,
        step=1,
        slider_high=16,
        help="Of each kind, for good; the others take over their partitions. One always stays.",
    )

    def run(self, run: ControlPlane) -> Generator[Any, Any, Any]:
        """Take all partitions away, wait, and give them to those who are left."""
        yield run.env.timeout(self.at_seconds)
        layer, plane = run.scenario.asynchronous, run.plane
        used = [kind for kind in layer.kinds if plane.has(f"channel {kind}")]
        channels = {kind: plane.program.named[f"channel {kind}"] for kind in used}
        for channel in channels.values():
            plane.assign(channel, [NOBODY] * layer.partitions)
        run.note("rebalance", "asynchronous.topic", "partitions are taken away from all workers")
        yield run.env.timeout(self.pause_seconds)
        for kind, channel in channels.items():
            left = max(1, layer.workers_of(kind) - self.leaving)
            plane.assign(channel, assigned(layer.partitions, left))
        run.note("rebalance", "asynchronous.topic", "partitions are read again")


def assigned(partitions: int, workers: int) -> list[int]:
    """Return which worker each partition belongs to, as Kafka's RangeAssignor gives them out.

    >>> assigned(12, 5)
    [0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 4]
    """
    names = [f"{worker:06}" for worker in range(workers)]  # consumers go by name
    given = assign_range({"topic": partitions}, dict.fromkeys(names, ("topic",)))
    return [worker for worker, name in enumerate(names) for _ in given[name]]


def dealt(places: int, workers: Iterable[int]) -> list[int]:
    """Return whom each partition is of where messages are dealt out: the first, the line, nobody's.

    >>> dealt(6, [0, 2])
    [-1, 0, -1, 2, -1, -1]
    """
    theirs = set(workers)
    return [NOBODY, *(worker if worker in theirs else NOBODY for worker in range(places - 1))]


@functools.lru_cache(maxsize=16)
def partitions_of(keys: int, partitions: int) -> np.ndarray:
    """Return the partition of every key from 0 on, each hashed as the text of its number.

    `hashing.kafka_partition` for all keys at once: a million one by one would take seconds.

    >>> partitions_of(12, 6).tolist()
    [2, 3, 2, 5, 1, 0, 4, 3, 3, 5, 4, 0]
    """
    found = np.empty(keys, np.int64)
    for digits in range(1, len(str(keys - 1)) + 1):
        low, high = 10 ** (digits - 1) * (digits > 1), min(keys, 10**digits)
        hashes = murmur2_of_numbers(np.arange(low, high, dtype=np.uint64), digits)
        found[low:high] = (hashes & np.uint64(0x7FFFFFFF)) % np.uint64(partitions)
    found.flags.writeable = False
    return found


def murmur2_of_numbers(numbers: np.ndarray, digits: int) -> np.ndarray:
    """Return Kafka's murmur2 of numbers that all have so many digits, as unsigned 32 bits."""

    def word(start: int, count: int) -> np.ndarray:
        """Return some characters of the text as one little-endian number."""
        parts = [
            (
                numbers // np.uint64(10 ** (digits - 1 - start - place)) % np.uint64(10)
                + np.uint64(48)
            )
            << np.uint64(8 * place)
            for place in range(count)
        ]
        return np.bitwise_or.reduce(parts)

    value = np.full(len(numbers), SEED ^ digits, np.uint64)
    whole = digits & ~3
    for start in range(0, whole, 4):
        part = word(start, 4) * MULTIPLIER & MASK
        part = (part ^ part >> np.uint64(24)) * MULTIPLIER & MASK
        value = value * MULTIPLIER & MASK ^ part
    if whole < digits:
        value = (value ^ word(whole, digits - whole)) * MULTIPLIER & MASK
    value = (value ^ value >> np.uint64(13)) * MULTIPLIER & MASK
    return value ^ value >> np.uint64(15)
