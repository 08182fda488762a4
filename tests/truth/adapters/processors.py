"""Processors: cores that all calls share, and servers that stand still now and then."""

from __future__ import annotations

from typing import Any

from engine import Scenario
from tests.truth.adapters.queues import arrivals_for
from tests.truth.case import Case
from tests.truth.machine import begin, call, census, play, server, system

THREADS = 10_000  # so that nobody waits for one: all that is in the system is on the core
LARGE_SHARE = 0.1  # of the calls, where those of three times the mean are told apart
CYCLES = 4_000  # breakdowns and repairs


def shared_core(rate: float, time: Any, **more: Any) -> Scenario:
    """Return a scenario of one core that all calls share."""
    services = {"server": server(time, THREADS, cores=1)}
    section = {"services": services, "cpu": "processor_sharing", **more}
    return system([call("server")], rate, application=section)


def shared(case: Case) -> dict[str, Any]:
    """M/G/1-PS: the mean sojourn follows from the mean service alone."""
    rate, mean = case.given["arrival_rate"], case.given["mean_service_s"] * 1e3
    count = arrivals_for(rate * mean / 1e3, off=0.03)
    often = {"fast": mean / 1.8, "slow": mean * 5, "slow_share": 0.1, "exponential": True}
    services: dict[str, Any] = {
        "": {"exponential": mean},
        ", deterministic service": mean,
        ", H2 service": {"bimodal": often},
    }
    found: dict[str, Any] = {}
    for how, time in services.items():
        sojourn = play(shared_core(rate, time), count).latency_s_mean
        found[f"mean_sojourn_s{how}"] = sojourn
        found[f"slowdown{how}"] = sojourn * 1e3 / mean
    small = mean * (1 - 3 * LARGE_SHARE) / (1 - LARGE_SHARE)
    kinds = {
        "small": {"weight": 1 - LARGE_SHARE, "steps": [call("server")]},
        "large": {"weight": LARGE_SHARE, "steps": [{**call("server"), "cpu_time": 3 * mean}]},
    }
    run = play(shared_core(rate, small).change({"journeys": kinds}), count)
    large = run.result.journeys.loc["large", "latency_ms_mean"] / 1e3
    return {**found, "conditional_sojourn_of_job_size_3x_mean_s": float(large)}


def breaking_down(case: Case) -> dict[str, Any]:
    """M/M/1 whose server stands still now and then, and then goes on where it stopped."""
    given = case.given
    rate, time = given["arrival_rate"], {"exponential": 1e3 / given["service_rate"]}
    halts = {"mtbf_seconds": given["mtbf_s"], "mttr_seconds": given["mttr_s"]}
    seconds = CYCLES * (given["mtbf_s"] + given["mttr_s"])
    run = begin(shared_core(rate, time, **halts), seconds)
    processors = run.plane.world.processors
    up = census(run, seconds, given["mttr_s"] * 5.0, lambda: processors["speed"][0] > 0)
    journey = run.plane.world.journeys[0]
    well = play(shared_core(rate, time), 500_000)
    return {
        "availability": float(up.mean()),
        "mean_sojourn_s": float(journey["seconds"] / journey["answered"]),
        "mean_in_system_L": float(journey["seconds"]) / run.env.now,
        "mm1_without_failures_L": well.latency_s_mean * rate,
    }


ADAPTERS = [
    (lambda case: str(case.given.get("model")).endswith("-PS"), shared),
    (lambda case: {"mtbf_s", "mttr_s"} <= set(case.given), breaking_down),
]
