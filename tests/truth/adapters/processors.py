"""Processors: cores that all jobs share, and cores that stand still now and then."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.assembly import Station
from engine.distribution import Distribution
from engine.program import Program
from tests.truth.adapters.queues import arrivals_for
from tests.truth.bench import Body, bench, kinds, mean_latency
from tests.truth.case import Case
from tests.truth.machine import SEED

LARGE_SHARE = 0.1  # of the jobs, where those of three times the mean are told apart
BREAKDOWNS = 10_000
CPU = "the processor"  # made on first use; all kinds of jobs share it


def job(time: Distribution) -> Body:
    """Return what emits a job on the one core there is."""

    def body(program: Program, place: Station) -> None:
        if CPU not in program.named:
            program.named[CPU] = program.processors(place, 1, 1)
        program.compute("work", program.named[CPU], 0, time)

    return body


def shared(case: Case) -> dict[str, Any]:
    """M/G/1-PS: the mean sojourn follows from the mean service alone."""
    rate, mean = case.given["arrival_rate"], case.given["mean_service_s"] * 1e3
    count = arrivals_for(rate * mean / 1e3, off=0.03)
    services = {
        "": Distribution(exponential=mean),
        ", deterministic service": Distribution(constant=mean),
        ", H2 service": Distribution.model_validate(
            {"bimodal": {"fast": mean / 1.8, "slow": mean * 5, "slow_share": 0.1, **EXPONENTIAL}}
        ),
    }
    found: dict[str, Any] = {}
    for how, time in services.items():
        plane = bench(job(time), rate)
        plane.advance(count / rate)
        found[f"mean_sojourn_s{how}"] = mean_latency(plane)
        found[f"slowdown{how}"] = mean_latency(plane) / time.mean_ms * 1e3
    small = Distribution(constant=mean * (1 - 3 * LARGE_SHARE) / (1 - LARGE_SHARE))
    large = Distribution(constant=mean * 3)
    plane = kinds({"small": (0.9, job(small)), "large": (LARGE_SHARE, job(large))}, rate)
    plane.advance(count / rate)
    found["conditional_sojourn_of_job_size_3x_mean_s"] = mean_latency(plane, 1)
    return found


EXPONENTIAL = {"exponential": True}


def breaking_down(case: Case) -> dict[str, Any]:
    """M/M/1 whose server stands still now and then, and then goes on where it stopped."""
    given = case.given
    chance = np.random.default_rng(SEED)
    time = Distribution(exponential=1e3 / given["service_rate"])
    plane, well = bench(job(time), given["arrival_rate"]), bench(job(time), given["arrival_rate"])
    up = 0.0
    for _ in range(BREAKDOWNS):
        seconds = chance.exponential(given["mtbf_s"])
        up += seconds
        plane.advance(plane.now + seconds)
        plane.set_speed(0, 0.0)
        plane.advance(plane.now + chance.exponential(given["mttr_s"]))
        plane.set_speed(0, 1.0)
    well.advance(plane.now)
    return {
        "availability": up / plane.now,
        "mean_sojourn_s": mean_latency(plane),
        "mean_in_system_L": float(plane.world.journeys["seconds"][0]) / plane.now,
        "mm1_without_failures_L": float(well.world.journeys["seconds"][0]) / well.now,
    }


ADAPTERS = [
    (lambda case: str(case.given.get("model")).endswith("-PS"), shared),
    (lambda case: {"mtbf_s", "mttr_s"} <= set(case.given), breaking_down),
]
