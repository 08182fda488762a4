"""Caches: time to live, eviction, stampedes, write-behind."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from engine import Scenario, Simulation
from tests.truth.answer import Beside, Lacking
from tests.truth.case import Case
from tests.truth.machine import FOREVER, begin, census, play, system

ONLY_LRU = Lacking("a full cache lets the least recently used entry go; there is no other policy")
NO_LOCK = Lacking("a miss takes no lock, so nobody waits for somebody else's recomputation")
NO_XFETCH = Lacking("entries are not refreshed early (XFetch)")
LOOKUP = {"do": "lookup", "dataset": "entries"}


def cached(rate: float, keys: int, zipf: float, seconds: float, capacity: int) -> Scenario:
    """Return a scenario of a cache alone, whose commands take no time."""
    return system(
        [LOOKUP],
        rate,
        cache={"ttl_seconds": seconds, "capacity": capacity, "hop": 0, "command_time": 0},
        datasets={"entries": {"keys": keys, "zipf": zipf}},
    )


def time_to_live(case: Case) -> dict[str, Any]:
    """One key that lives for a while after each miss."""
    rate = case.given["rate"]
    run = play(cached(rate, 1, 0, case.given["ttl_s"], 1), 2_000_000)
    row = run.row("cache.read")
    return {
        "hit_ratio": row["hit_ratio"],
        "miss_rate_to_db": row["rate_per_s"] * (1 - row["hit_ratio"]),
    }


def eviction(case: Case) -> dict[str, Any]:
    """Zipf keys in a cache that is too small for all of them."""
    given = case.given
    scenario = cached(100_000, given["keys"], given["zipf_alpha"], FOREVER, given["capacity"])
    run = play(scenario, 2_000_000, 0.25)  # a third of what was simulated there is plenty
    hits = run.row("cache.read")["hit_ratio"]
    return {
        "lru_hit_che": hits,
        "lru_hit_simulated": hits,
        "fifo_or_random_hit_che": ONLY_LRU,
        "fifo_hit_simulated": ONLY_LRU,
        "perfect_lfu_hit": ONLY_LRU,
        "redis_approx_lru_samples5_model": ONLY_LRU,
        "redis_approx_lru_samples10_model": ONLY_LRU,
        "characteristic_time_requests": Beside("a step of Che's formula, not a figure of a run"),
    }


def stampede(case: Case) -> dict[str, Any]:
    """A hot key expires, and until it is there again everybody asks the database."""
    queries, peak = stampedes(*hot_key(case))
    return {
        "db_queries_per_expiry_no_lock": queries,
        "db_peak_concurrency_no_lock": peak,
        "db_queries_per_expiry_with_lock": NO_LOCK,
        "cycle_s_with_lock": NO_LOCK,
    }


def early_refresh(case: Case) -> dict[str, Any]:
    """The same, beside entries that are refreshed before they expire."""
    queries, _ = stampedes(*hot_key(case))
    return {
        "queries_per_ttl_plain": queries,
        "plain_expected": queries,
        "queries_per_ttl_xfetch": NO_XFETCH,
    }


def hot_key(case: Case) -> tuple[float, float, float]:
    """Return what a case says of its key: requests a second, time to live, recomputation, s."""
    return case.given["rate"], case.given["ttl_s"], case.given["recompute_s"]


@functools.cache
def stampedes(rate: float, ttl: float, recompute: float) -> tuple[float, float]:
    """Return the mean over expiries of database queries, and of most at once."""
    scenario = system(
        [{**LOOKUP, "then": [{"do": "read", "dataset": "entries"}]}],
        rate,
        cache={"ttl_seconds": ttl, "capacity": 1, "hop": 0, "command_time": 0},
        data={"read_replicas": 0, "connections": 10_000, "hop": 0, "read_time": recompute * 1e3},
        datasets={"entries": {"keys": 1, "zipf": 0}},
    )
    count = max(10, min(400, round(3_000_000 / rate / ttl)))
    run = begin(scenario, count * (ttl + 3 * recompute))
    run.advance(3 * recompute + 10 / rate)
    seen = [one_expiry(run, recompute / 50) for _ in range(count)]
    queries, peaks = np.mean(seen, axis=0)
    return float(queries), float(peaks)


def one_expiry(run: Simulation, step: float) -> tuple[int, int]:
    """Play over the next expiry of the only key; return database queries, and most at once."""
    world = run.plane.world
    database = run.plane.program.stations["data.primary"].pools[0]
    while world.entries["until"][0] > run.env.now:
        run.advance_to(float(world.entries["until"][0]))
    meter = world.meters[run.plane.program.stations["data.primary"].meter]
    before = int(meter["asked"])
    peak = 0
    while not peak or world.pools["busy"][database]:
        run.advance(step)
        peak = max(peak, int(world.pools["busy"][database]))
    return int(meter["asked"]) - before, peak


def write_behind(case: Case) -> dict[str, Any]:
    """Writes gather in a buffer that is flushed now and then; a crash loses what is in it.

    The mean staleness is by Little's law: what waits in the buffer over the rate of writes.
    """
    given = case.given
    rate, flush = given["write_rate"], given["flush_s"]
    scenario = system(
        [{"do": "count", "dataset": "entries"}],
        rate,
        cache={"hop": 0, "command_time": 0, "buffer": {"flush_seconds": flush}},
        data={"write_time": 1, "hop": 0},
        datasets={"entries": {"keys": given["keys"], "zipf": 0}},
    )
    run = begin(scenario, 400 * flush)
    ledger = run.plane.world.ledgers[run.plane.program.named["buffer entries"]]
    parts = 20
    run.advance(flush / parts / 2)
    waiting = census(run, 400 * flush, flush / parts, lambda: int(ledger["marks"]))
    before_flush, distinct, moments = at_flushes(scenario, flush)
    writes = float(before_flush.mean())
    return {
        "mean_staleness_s": float(waiting.mean()) / rate,
        "max_staleness_s": float(np.diff(moments).max()),
        "writes_per_flush": writes,
        "distinct_keys_per_flush": float(distinct.mean()),
        "db_write_reduction": 1 - float(distinct.mean()) / writes,
        "acknowledged_writes_lost_on_crash_mean": float(waiting.mean()),
        "lost_max_mean": writes,
    }


def at_flushes(scenario: Scenario, flush: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what is in the buffer just before each flush: writes, keys; and when flushes were."""
    run = begin(scenario, 400 * flush)
    ledger = run.plane.world.ledgers[run.plane.program.named["buffer entries"]]
    writes, keys = [], []
    for number in range(1, 400):
        run.advance_to(number * flush - 1e-9)
        writes.append(int(ledger["marks"]))
        keys.append(int(ledger["distinct"]))
    events = run.result().events
    return np.array(writes), np.array(keys), events[events["kind"] == "flush"]["time_s"].to_numpy()


ADAPTERS = [
    (lambda case: case.given.get("reset_on_hit") is False, time_to_live),
    (lambda case: {"keys", "zipf_alpha", "capacity", "requests"} <= set(case.given), eviction),
    (lambda case: "ttl_starts" in case.given, stampede),
    (lambda case: "queries_per_ttl_plain" in case.expect, early_refresh),
    (lambda case: {"flush_s", "write_rate", "keys"} <= set(case.given), write_behind),
]
