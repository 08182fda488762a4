"""Data: rings, slots and shards; and how far a system scales."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.hashing import jump, redis_slot, ring
from engine.layers.data import Data
from engine.theory import usl, usl_fit
from tests.truth.case import Case

KEYS = 100_000
RINGS_MIN, POINTS_ALL = 200, 1_000_000


# ---------------------------------------------------------------- rings and shards


def slot(case: Case) -> dict[str, Any]:
    """A key's slot of Redis Cluster."""
    return {"slot": redis_slot(case.given["key"])}


def jumps(case: Case) -> dict[str, Any]:
    """Jump consistent hash, before and after one bucket more."""
    before, after = (
        np.array([jump(key, case.given[name]) for key in range(KEYS)])
        for name in ("from_n", "to_n")
    )
    counts = np.bincount(before)
    return {
        "moved": float((before != after).mean()),
        "max_over_mean": float(counts.max() / counts.mean()),
    }


def balance(case: Case) -> dict[str, Any]:
    """How evenly rings share the space of keys out, over many rings."""
    nodes, points = case.given["nodes"], case.given["vnodes"]
    count = max(RINGS_MIN, min(3000, POINTS_ALL // (nodes * points)))
    loads = np.array([shares(f"ring {index} node", nodes, points) for index in range(count)])
    worst = loads.max(axis=1) * nodes
    return {
        "coefficient_of_variation_of_load": float(loads.std() * nodes),
        "mean_max_over_mean": float(worst.mean()),
        "p95_max_over_mean": float(np.quantile(worst, 0.95)),
        "exact_mean_max_over_mean_H_n": float(worst.mean()),
    }


def shares(name: str, nodes: int, points: int) -> np.ndarray:
    """Return each node's share of a ring: all that lies between a point and the one before."""
    places, owners = ring([f"{name} {node}" for node in range(nodes)], points)
    arcs = np.diff(places.astype(np.int64), prepend=int(places[-1]) - (1 << 32))
    return np.bincount(owners, weights=arcs, minlength=nodes) / 2.0**32


def grown(case: Case) -> dict[str, Any]:
    """One shard more: the share of keys that move, on a ring and by modulo."""
    before, after = case.given["nodes_before"], case.given["nodes_after"]

    def shards(count: int, way: str) -> np.ndarray:
        return Data(shards=count, sharding=way).shard_of(KEYS)

    old, new = shards(before, "consistent_hash"), shards(after, "consistent_hash")
    modulo = shards(before, "hash") != shards(after, "hash")
    return {
        "consistent_moved": float((old != new).mean()),
        "modulo_moved": float(modulo.mean()),
        "moved_only_to_new_node": set(new[old != new]) == {before},
    }


# ---------------------------------------------------------------- scalability


def capacity(case: Case) -> dict[str, Any]:
    """The universal scalability law."""
    given = case.given
    return {"relative_capacity": usl(given["n"], given["alpha"], given["beta"])}


def fitted(case: Case) -> dict[str, Any]:
    """The law that fits a test set."""
    return usl_fit(case.given["load"], case.given["throughput"])._asdict()


ADAPTERS = [
    (lambda case: "slot" in case.expect, slot),
    (lambda case: {"from_n", "to_n"} <= set(case.given), jumps),
    (lambda case: {"nodes", "vnodes"} <= set(case.given), balance),
    (lambda case: {"nodes_before", "nodes_after"} <= set(case.given), grown),
    (lambda case: "relative_capacity" in case.expect, capacity),
    (lambda case: {"load", "throughput"} <= set(case.given), fitted),
]
