"""Tails: a root waits for its slowest leaf."""

from __future__ import annotations

from typing import Any

from engine.assembly import Station
from engine.distribution import Distribution
from engine.kernel.tables import Op
from engine.plane import Plane
from engine.program import Program
from engine.record import quantiles
from tests.truth.adapters.queues import endless
from tests.truth.bench import bench
from tests.truth.case import Case
from tests.truth.machine import play, system

REQUESTS = 6_000_000  # so that one in ten thousand is some hundreds
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
    """A mix of a fast and a slow exponential; the slow are asked for once more."""
    (_, fast), (share, slow) = case.given["mix"]
    mix = {"fast": fast * 1e3, "slow": slow * 1e3, "slow_share": share, "exponential": True}
    run = play(endless(1000, {"bimodal": mix}), REQUESTS)
    plane, more = hedge(
        Distribution.model_validate({"bimodal": mix}), case.given["hedge_after_s"] * 1e3
    )
    levels = {"p99": 0.99, "p999": 0.999, "p9999": 0.9999}
    told = plane.world.latency.sum(axis=0)
    hedged_levels = dict(zip(levels, quantiles(told, tuple(levels.values())), strict=True))
    return {
        **{f"{name}_plain_s": run.latency(q) for name, q in levels.items()},
        **{f"{name}_hedged_s": float(value) for name, value in hedged_levels.items()},
        "extra_requests": more,
    }


def hedge(time: Distribution, after_ms: float) -> tuple[Plane, float]:
    """Play requests that are sent once more if there is no answer in time; the first one wins.

    Return the plane, and the share of requests that were sent twice.
    """

    def body(program: Program, place: Station) -> None:
        def ask() -> None:
            program.hold("ask", time)

        def ask_again() -> None:
            program.hold("patience", Distribution(constant=after_ms))
            program.step(Op.STILL)
            program.step(Op.MARK, site=program.ledger("hedges", 1))
            program.hold("ask again", time)

        program.together([ask, ask_again], needed=1)

    plane = bench(body, 1000)
    plane.advance(REQUESTS / 1000)
    again = int(plane.world.ledgers["marks"][plane.program.named["hedges"]])
    return plane, again / int(plane.world.journeys["started"][0])


def after_percentile(case: Case) -> dict[str, Any]:
    """Whoever waits longer than most is asked for once more: the others are the extra load."""
    service = {"lognormal": {"median": 10, "p99": 80}}
    plain = play(endless(1000, service), 400_000)
    patience = plain.latency(case.given["hedge_percentile"] / 100) * 1e3
    return {"extra_load_fraction": hedge(Distribution.model_validate(service), patience)[1]}


ADAPTERS = [
    (lambda case: {"fanout", "p_slow"} <= set(case.given), fan_out),
    (lambda case: "mix" in case.given and "hedge_after_s" in case.given, hedged),
    (lambda case: "hedge_percentile" in case.given, after_percentile),
]
