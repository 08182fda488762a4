"""Tails: a root waits for its slowest leaf."""

from __future__ import annotations

from typing import Any

from tests.truth.adapters.queues import endless
from tests.truth.answer import Lacking
from tests.truth.case import Case
from tests.truth.machine import play, system

NO_HEDGE = Lacking("a second request is not sent before the first has failed (hedging)")
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
    """The plain percentiles of a mix of a fast and a slow exponential."""
    (_, fast), (share, slow) = case.given["mix"]
    mix = {"fast": fast * 1e3, "slow": slow * 1e3, "slow_share": share, "exponential": True}
    run = play(endless(1000, {"bimodal": mix}), 6_000_000)
    found: dict[str, Any] = dict.fromkeys(case.expect, NO_HEDGE)
    levels = {"p99_plain_s": 0.99, "p999_plain_s": 0.999, "p9999_plain_s": 0.9999}
    return found | {name: run.latency(q) for name, q in levels.items()}


ADAPTERS = [
    (lambda case: {"fanout", "p_slow"} <= set(case.given), fan_out),
    (lambda case: "mix" in case.given and "hedge_after_s" in case.given, hedged),
]
