"""Tails: a root waits for its slowest leaf."""

from __future__ import annotations

from typing import Any

from engine import Scenario
from tests.truth.adapters.queues import endless
from tests.truth.case import Case
from tests.truth.machine import Run, play, system

REQUESTS = 4_000_000  # so that one in ten thousand is some hundreds
RATE = 1000.0
FAST_MS, SLOW_MS = 1.0, 100.0


def fan_out(case: Case) -> dict[str, Any]:
    """Every leaf is slow with a small probability; the root is slow if any leaf is."""
    fanout = case.given["fanout"]
    time = {"fast": FAST_MS, "slow": SLOW_MS, "slow_share": case.given["p_slow"]}
    legs = {"do": "parallel", "repeat": fanout, "then": [{"do": "fetch", "dataset": "leaves"}]}
    edge = {"enabled": False, "cdn": {"origin_time": {"bimodal": time}}}
    scenario = system([legs], 100, edge=edge, datasets={"leaves": {}})
    run = play(scenario, max(20_000, min(100_000, 40_000_000 / fanout)))
    latency = run.result.latency()
    slow = latency["latency_ms"] > (FAST_MS + SLOW_MS) / 2
    return {"p_root_slow": float(latency[slow]["share"].sum())}


def hedged(case: Case) -> dict[str, Any]:
    """A mix of a fast and a slow exponential; what takes long is asked for once more."""
    (_, fast), (share, slow) = case.given["mix"]
    mix = {"fast": fast * 1e3, "slow": slow * 1e3, "slow_share": share, "exponential": True}
    plain = play(endless(RATE, {"bimodal": mix}), REQUESTS)
    run = play(hedge({"bimodal": mix}, case.given["hedge_after_s"] * 1e3), REQUESTS)
    levels = {"p99": 0.99, "p999": 0.999, "p9999": 0.9999}
    return {
        **{f"{name}_plain_s": plain.latency(q) for name, q in levels.items()},
        **{f"{name}_hedged_s": run.latency(q) for name, q in levels.items()},
        "extra_requests": extra(run),
    }


def hedge(time: Any, after_ms: float) -> Scenario:
    """Return a scenario of queries that are sent once more if there is no answer in time."""
    search = {"slots": 10_000, "query_time": time}
    twice = {"do": "hedge", "after_ms": after_ms, "then": [{"do": "search"}]}
    return system([twice], RATE, data={"hop": 0, "search": search})


def extra(run: Run) -> float:
    """Return how many queries there were beyond one a request, as a share."""
    return run.row("data.search")["rate_per_s"] / run.result.summary.requests_per_second - 1


def after_percentile(case: Case) -> dict[str, Any]:
    """Whoever takes longer than most is asked for once more: the others are the extra load."""
    service = {"lognormal": {"median": 10, "p99": 80}}
    plain = play(endless(RATE, service), 400_000)
    patience = plain.latency(case.given["hedge_percentile"] / 100) * 1e3
    return {"extra_load_fraction": extra(play(hedge(service, patience), 400_000))}


ADAPTERS = [
    (lambda case: {"fanout", "p_slow"} <= set(case.given), fan_out),
    (lambda case: "mix" in case.given and "hedge_after_s" in case.given, hedged),
    (lambda case: "hedge_percentile" in case.given, after_percentile),
]
