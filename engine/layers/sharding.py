"""Sharding: which shard a key is on, and how many keys move when there is one more.

Keys are ranks of popularity: 0 is asked for most.  A key's place is a pure function of the
way of sharding, so it is a table by key in the kernel.
"""

from __future__ import annotations

import functools
import heapq
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np

from engine.component import Figure
from engine.hashing import RING_POINTS, ring, scattered

if TYPE_CHECKING:
    from engine.scenario import Scenario

Sharding = Literal["hash", "range", "consistent_hash", "directory"]

VIRTUAL_NODES = RING_POINTS  # as ketama
PLACED_ONE_BY_ONE = 20_000  # keys whose weight can matter; the tail is dealt out in turn


def shards_of(
    keys: int,
    shards: int,
    sharding: Sharding,
    virtual_nodes: int = VIRTUAL_NODES,
    zipf: float = 0.0,
) -> np.ndarray:
    """Return the shard of every key.

    hash: a hash modulo the number of shards.  range: equal ranges, in order.  consistent_hash: a
    ring with `virtual_nodes` points a shard.  directory: a table that an operator keeps balanced;
    see `placed`.
    """
    ranks = np.arange(keys)
    if sharding == "range":
        return ranks * shards // keys
    if sharding == "directory":
        return placed(keys, shards, zipf)
    hashes = scattered(ranks)
    if sharding == "hash":
        return (hashes % np.uint64(shards)).astype(np.int64)
    return ring(shards, virtual_nodes).owner(hashes >> np.uint64(32))


def moved(
    keys: int,
    sharding: Sharding,
    before: int,
    after: int,
    virtual_nodes: int = VIRTUAL_NODES,
) -> float:
    """Return the share of keys that change their shard when `before` shards become `after`.

    Modulo hashing moves 1 - 1/(n+1) of them for one shard more, a ring only 1/(n+1)
    (D. Karger et al., STOC 1997).  A directory moves what balance asks for and no more: each new
    shard takes its part, nothing else stirs.

    >>> moved(100_000, "hash", 4, 5) > 0.79
    True
    >>> 0.15 < moved(100_000, "consistent_hash", 4, 5) < 0.25
    True
    >>> moved(100_000, "directory", 4, 5)
    0.2
    """
    if sharding == "directory":
        return abs(after - before) / max(after, before)
    one = shards_of(keys, before, sharding, virtual_nodes)
    other = shards_of(keys, after, sharding, virtual_nodes)
    return float((one != other).mean())


def hottest(
    keys: int,
    shards: int,
    sharding: Sharding,
    virtual_nodes: int = VIRTUAL_NODES,
    zipf: float = 0.0,
) -> float:
    """Return the share of requests that the busiest shard gets.

    >>> hottest(1000, 4, "range")
    0.25
    >>> hottest(1000, 4, "range", zipf=1.0) > 0.8
    True
    >>> hottest(1000, 4, "directory", zipf=0.9) < 0.26
    True
    """
    weights = popularity(keys, zipf)
    owners = shards_of(keys, shards, sharding, virtual_nodes, zipf)
    loads = np.bincount(owners, weights, minlength=shards)
    return float(loads.max() / weights.sum())


def evenness(scenario: Scenario) -> Iterator[Figure]:
    """How even the shards of each dataset are, and what one more would cost."""
    layer = scenario.data
    station = "data.quorum" if layer.commit == "quorum" else "data.primary"
    for name in sorted({*scenario.datasets_of("read"), *scenario.datasets_of("write")}):
        data = scenario.datasets[name]
        yield Figure(
            name=f"Busiest shard of {name}",
            station=station,
            value=hottest(data.keys, layer.shards, layer.sharding, layer.virtual_nodes, data.zipf),
            unit="share",
            help=f"Of all requests for it; {1 / layer.shards:.0%} would be even.",
        )
        yield Figure(
            name=f"Keys of {name} that one more shard moves",
            station=station,
            value=moved(
                data.keys, layer.sharding, layer.shards, layer.shards + 1, layer.virtual_nodes
            ),
            unit="share",
            help="Rows that have to be copied to another shard before it can serve.",
        )


def popularity(keys: int, zipf: float) -> np.ndarray:
    """Return how often each key is asked for, relative to the others."""
    return np.arange(1, keys + 1, dtype=float) ** -zipf


@functools.lru_cache(maxsize=16)
def placed(keys: int, shards: int, zipf: float) -> np.ndarray:
    """Return a directory that gives each key, the most popular first, to the shard with least load.

    R. Graham, "Bounds on Multiprocessing Timing Anomalies", SIAM J. Appl. Math. 1969: at most
    4/3 of the best.  Behind the first ones no key weighs anything; those are dealt out in turn.
    """
    single = min(keys, PLACED_ONE_BY_ONE)
    owners = np.arange(keys) % shards
    weights = popularity(single, zipf).tolist()
    loads = [(0.0, shard) for shard in range(shards)]
    for key, weight in enumerate(weights):
        load, shard = loads[0]
        owners[key] = shard
        heapq.heapreplace(loads, (load + weight, shard))
    owners.flags.writeable = False
    return owners
