"""Databases: replicas that lag, commits that wait, quorums, and shards that all inserts go to."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from engine import Scenario
from tests.truth.answer import Pair
from tests.truth.case import Case
from tests.truth.machine import SEED, begin, play_for, system

READS, WRITES = 100.0, 40_000  # of replicas: a second; in all
ROWS = 1_000_000  # so many that hardly one is written twice within a lag
FAILOVERS = 200
AT_ONCE = {"hop": 0, "read_time": 0, "write_time": 0}
READ = {"do": "read", "dataset": "rows"}
WRITE = {"do": "write", "dataset": "rows"}


def database(steps: list[dict[str, Any]], per_second: float, keys: int, **data: Any) -> Scenario:
    """Return a scenario of a database alone."""
    return system(
        steps, per_second, data={**AT_ONCE, **data}, datasets={"rows": {"keys": keys, "zipf": 0}}
    )


def stale_share(scenario: Scenario, seconds: float) -> float:
    """Return the share of reads that are stale, after a second of warm-up."""
    ratio = play_for(scenario, seconds, 1.0).result.summary.stale_read_ratio
    assert ratio is not None, "nobody has read what somebody writes"
    return ratio


# ---------------------------------------------------------------- replicas


def stale(case: Case) -> dict[str, Any]:
    """A key is written now and then; a replica that is read has the write a little later."""
    rate, lag_ms = case.given["write_rate_per_key"], case.given["lag_s"] * 1e3
    journeys = {
        "write": {"weight": rate, "steps": [WRITE]},
        "read": {"weight": READS, "steps": [READ]},
    }

    def share(lag: Any) -> float:
        scenario = database([READ], rate + READS, 1, read_replicas=1, lag=lag)
        return stale_share(scenario.change({"journeys": journeys}), WRITES / rate)

    return {
        "p_stale_fixed_lag": share(lag_ms),
        "p_stale_uniform_10_100ms": share({"uniform": {"low": 10, "high": 100}}),
    }


def failed_over(case: Case) -> dict[str, Any]:
    """A primary dies at any moment; a replica has all but what was committed within its lag."""
    rate, lag = case.given["commit_rate"], case.given["lag_s"]
    scenario = database([WRITE, READ], rate, ROWS, read_replicas=1, lag=lag * 1e3)
    chance = np.random.default_rng(SEED)
    run = begin(scenario, FAILOVERS)
    marks = run.plane.world.marks
    lost = []
    for second in range(1, FAILOVERS):
        run.advance_to(second + float(chance.random()))
        lost.append(int((marks > run.env.now - lag).sum()))
    waiting = play_for(scenario.change({"data.commit": "on"}), 5.0, 1.0)
    kept = unreplicated(waiting.result, waiting.result.scenario)
    return {"mean_lost_commits_async": float(np.mean(lost)), "lost_commits_sync": kept}


def unreplicated(result: Any, scenario: Scenario, name: str = "Commits not replicated") -> float:
    """Return how many commits the layer says are at risk."""
    return float(sum(each.value for each in scenario.data.figures(result) if each.name == name))


# ---------------------------------------------------------------- commits

# Times that no sum of others gives, ms, so that the time of a commit tells what it waited for.
FLUSH, HOP, STANDBY_FLUSH, APPLY = 10.0, 100.0, 1000.0, 10_000.0
WAITED = {
    0.0: "nothing",
    FLUSH: "local flush",
    FLUSH + HOP: "standby OS write",
    FLUSH + HOP + STANDBY_FLUSH: "standby flush",
    FLUSH + HOP + STANDBY_FLUSH + APPLY: "standby apply",
}


def commit(case: Case) -> dict[str, Any]:
    """PostgreSQL's synchronous_commit: what a commit waits for, and what that is good for."""
    level = case.given["level"]
    times = {
        "commit": level,
        "read_replicas": 1,
        "write_time": FLUSH,
        "unflushed_time": 0,
        "lag": APPLY,
        "standby": {"hop": HOP, "flush": STANDBY_FLUSH},
        "connections": 10_000,
    }
    scenario = database([WRITE, READ], 10.0, ROWS, **times)
    run = play_for(scenario, 60.0, 20.0)
    rate = run.result.summary.requests_per_second
    fresh = stale_share(scenario, 60.0) == 0
    found: dict[str, Any] = {
        "commit_waits_for": WAITED[round(run.latency_s_mean * 1e3, 6)],
        "read_your_write_on_standby": fresh,
    }
    loss = "loss_on_primary_crash_and_promotion"
    if case.expect[loss].startswith("none"):
        safe = unreplicated(run.result, scenario) == 0
        return {**found, f"{loss}, none": Pair(expected=True, value=safe)}
    behind = unreplicated(run.result, scenario, "Commits not on disk, at most") / rate
    if behind:
        wal_writer_delay = 0.2  # PostgreSQL's default
        told = f"up to {behind / wal_writer_delay:.0f} x wal_writer_delay even without failover"
    else:
        told = "replication tail" if unreplicated(run.result, scenario) else "none"
    return {**found, loss: told}


def hung(case: Case) -> dict[str, Any]:
    """The standbys that commits wait for are lost for the whole of what is measured."""
    replicas = case.given["sync_standbys"]
    assert case.given["down"] == replicas
    rules = {
        "commit": "on",
        "read_replicas": replicas,
        "connections": 10_000,
        "standby": {"synchronous": replicas, "outage_at_seconds": 5, "outage_seconds": 1000},
    }
    journeys = {name: {"steps": [step]} for name, step in (("write", WRITE), ("read", READ))}
    scenario = database([READ], 100.0, ROWS, **rules).change({"journeys": journeys})
    counts = play_for(scenario, 60.0, 10.0).result.journeys
    return {
        "write_throughput": int(counts.at["write", "answered"]),
        "reads_ok": bool(counts.at["read", "answered"] == counts.at["read", "started"]),
    }


# ---------------------------------------------------------------- quorums


def quorum(case: Case) -> dict[str, Any]:
    """Equal replicas: reads right after a write of the same key, and replicas that are dead."""
    n, r, w = (case.given[name] for name in "NRW")
    rules = {"commit": "quorum", "quorum": {"n": n, "r": r, "w": w}, "lag": 1e9}
    missed = stale_share(database([WRITE, READ], 1000.0, ROWS, **rules), 200.0)
    survives = functools.partial(survived, rules, n)
    return {
        "strong_read_your_write": missed == 0,
        "prob_read_set_misses_write_set": missed,
        "writes_survive_failures_of": survives(WRITE),
        "reads_survive_failures_of": survives(READ),
    }


def survived(rules: dict[str, Any], replicas: int, step: dict[str, Any]) -> int:
    """Return how many replicas may be dead, and answer nothing, before requests hang."""
    for dead in range(replicas + 1):
        run = begin(database([step], 100.0, ROWS, **rules), 2.0)
        first = run.plane.program.named["quorum"]
        run.plane.world.pools["slots"][first : first + dead] = 0
        run.advance_to(2.0)
        if run.plane.world.journeys["answered"][0] < run.plane.world.journeys["started"][0]:
            return dead - 1
    return replicas


# ---------------------------------------------------------------- shards


def inserts(case: Case) -> dict[str, Any]:
    """Rows whose key only grows, sharded by range and by hash."""
    shards, rate = case.given["shards"], case.given["inserts_per_s"]

    def share(sharding: str, shard: int) -> float:
        insert = {**WRITE, "insert": True}
        times = {"write_time": 1, "shards": shards, "sharding": sharding, "connections": 10_000}
        run = begin(database([insert], rate, ROWS, **times), 60.0)
        run.advance_to(60.0)
        first = run.plane.program.named["primaries"]
        areas = run.plane.world.pools["busy_area"][first : first + shards]
        return float(areas[shard] / areas.sum())

    spread = [share("hash", shard) for shard in range(shards)]
    return {
        "range_last_shard_share": share("range", shards - 1),
        "hash_share": max(spread, key=lambda part: abs(part - 1 / shards)),
    }


ADAPTERS = [
    (lambda case: "write_rate_per_key" in case.given, stale),
    (lambda case: {"commit_rate", "lag_s"} <= set(case.given), failed_over),
    (lambda case: {"level", "sync_standby"} <= set(case.given), commit),
    (lambda case: {"sync_standbys", "down"} <= set(case.given), hung),
    (lambda case: {"N", "R", "W"} <= set(case.given), quorum),
    (lambda case: "inserts_per_s" in case.given, inserts),
]
