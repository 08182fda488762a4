"""Resilience: health checks, weights, panics, budgets; as the programs' documents count them."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from engine.policy import (
    Check,
    grpc_backoff,
    grpc_may_retry,
    grpc_throttle,
    least_request_weight,
    outlier_threshold,
    priority_load,
    retry_budget,
    slow_start_factor,
)
from tests.truth.adapters.balancers import balanced
from tests.truth.case import Case
from tests.truth.machine import begin

PHASES = 501  # of the moment of a crash between two checks, both ends included


def least_request(case: Case) -> dict[str, Any]:
    """Envoy's weighted least request."""
    given = case.given
    weight = least_request_weight(given["weight"], given["active"], given["bias"])
    return {"effective_weight": weight}


def outliers(case: Case) -> dict[str, Any]:
    """Envoy's success rate outliers."""
    rates, factor = case.given["success_rates"], case.given["factor"]
    threshold = outlier_threshold(rates, factor)
    mean = outlier_threshold(rates, 0.0)
    return {
        "mean": mean,
        "stdev": (mean - threshold) / factor,
        "threshold": threshold,
        "ejected": [rate for rate in rates if rate < threshold],
    }


def panic(case: Case) -> dict[str, Any]:
    """Envoy's levels of priority, some of whose servers are not well."""
    given = case.given
    load = priority_load(
        given["healthy_pct"], given["panic_threshold_pct"], given["overprovisioning_factor"]
    )
    return {
        "traffic_pct": list(load.percent),
        "in_panic": list(load.panics),
        "normalized_total_health": load.health,
    }


def all_dead(case: Case) -> dict[str, Any]:
    """Nobody is well: a panic asks everybody, no panic asks nobody."""
    found = {}
    for threshold in case.given["panic_threshold_pct"]:
        load = priority_load(case.given["healthy_pct"], threshold)
        assert load.health == 0
        if load.panics[0]:
            told = "all traffic to all P0 hosts" if load.percent == (100, 0) else str(load)
        else:
            told = "503 no healthy upstream"
        found[f"threshold_{threshold}"] = told
    return found


def budget(case: Case) -> dict[str, Any]:
    """Envoy's retry budget."""
    given = case.given
    retries = retry_budget(
        given["active_plus_pending"], given["budget_percent"], given["min_retry_concurrency"]
    )
    return {"max_concurrent_retries": retries}


def slow_start(case: Case) -> dict[str, Any]:
    """Envoy's slow start."""
    given = case.given
    return {
        "weight_factor": slow_start_factor(given["t_s"], given["window_s"], given["aggression"])
    }


def rests(case: Case) -> dict[str, Any]:
    """The rests between gRPC's retries."""
    given = case.given
    rest = grpc_backoff(given["attempt"], given["initial_s"], given["multiplier"], given["max_s"])
    return {"min_s": rest.low, "max_s": rest.high, "mean_s": rest.mean}


def throttle(case: Case) -> dict[str, Any]:
    """The tokens that gRPC's retries need: failures in a row, then successes in a row."""
    most, ratio = case.given["maxTokens"], case.given["tokenRatio"]
    tokens, failures = float(most), 0
    while grpc_may_retry(tokens, most):
        tokens = grpc_throttle(tokens, succeeded=False, most=most, ratio=ratio)
        failures += 1
    left, successes = tokens, 0
    while not grpc_may_retry(tokens, most):
        tokens = grpc_throttle(tokens, succeeded=True, most=most, ratio=ratio)
        successes += 1
    earned = grpc_throttle(left, succeeded=True, most=most, ratio=ratio) - left
    paid = left - grpc_throttle(left, succeeded=False, most=most, ratio=ratio)
    return {
        "failed_attempts_until_retry_disabled": failures,
        "tokens_then": left,
        "successes_to_reenable_just_after": successes,
        "sustainable_failure_to_success_ratio": earned / paid,
        "failure_fraction_threshold": earned / (earned + paid),
    }


def defaults(case: Case) -> dict[str, Any]:
    """What a check does of which nothing is said."""
    known = {name: each.default for name, each in inspect.signature(Check).parameters.items()}
    return {
        "inter_ms": known["interval_seconds"] * 1e3,
        "fall": known["fall"],
        "rise": known["rise"],
    }


def spelled(case: Case) -> dict[str, Any]:
    """Return the state after each result, S for success and F for failure."""
    given = case.given
    check = Check(fall=given["fall"], rise=given["rise"], up=not given["default_down"])
    states = []
    for letter in given["results"]:
        check = check.after(letter == "S")
        states.append("up" if check.up else "down")
    return {"state_after_each": states}


def checked(case: Case) -> dict[str, Any]:
    """A server crashes, and comes back, at any moment between two checks."""
    given = case.given
    check = Check(given["interval_s"], given["fall"], given["rise"])
    down = [seconds_until_told(check, phase) for phase in phases(check)]
    up = [
        seconds_until_told(Check(check.interval_seconds, check.fall, check.rise, up=False), phase)
        for phase in phases(check)
    ]
    return {
        **{f"detect_{name}_s": value for name, value in summed_up(down).items()},
        **{f"recover_{name}_s": value for name, value in summed_up(up).items()},
        "lost_requests_if_1_of_4_rr_at_1000rps": lost(float(np.mean(down))),
    }


def phases(check: Check) -> np.ndarray:
    """Return how long before the next check something happens."""
    return np.linspace(0.0, check.interval_seconds, PHASES)


def seconds_until_told(check: Check, phase: float) -> float:
    """Return how long it takes until checks tell what has happened `phase` before the next one."""
    before, seconds = check.up, phase
    while (check := check.after(not before)).up == before:
        seconds += check.interval_seconds
    return seconds


def summed_up(seconds: list[float]) -> dict[str, float]:
    """Return the mean, the least and the most."""
    return {"mean": float(np.mean(seconds)), "min": min(seconds), "max": max(seconds)}


def lost(seconds: float) -> int:
    """Return how many requests fail while one of four servers is dead and nobody knows."""
    scenario = balanced(4, 1000.0, "round_robin", cpu_time=0)
    run = begin(scenario, 1.0 + seconds)
    run.advance_to(1.0)
    dead = run.plane.program.stations["application.server"].pools[0]
    run.plane.world.pools["slots"][dead] = run.plane.world.pools["room"][dead] = 0
    run.advance_to(1.0 + seconds)
    return int(run.plane.world.journeys["failed"].sum())


ADAPTERS = [
    (lambda case: {"weight", "active", "bias"} <= set(case.given), least_request),
    (lambda case: {"success_rates", "factor"} <= set(case.given), outliers),
    (lambda case: {"healthy_pct", "overprovisioning_factor"} <= set(case.given), panic),
    (lambda case: "threshold_50" in case.expect, all_dead),
    (lambda case: "min_retry_concurrency" in case.given, budget),
    (lambda case: {"window_s", "t_s", "aggression"} <= set(case.given), slow_start),
    (lambda case: {"initial_s", "multiplier", "attempt"} <= set(case.given), rests),
    (lambda case: "tokenRatio" in case.given, throttle),
    (lambda case: {"inter_ms", "fall", "rise"} <= set(case.expect), defaults),
    (lambda case: "results" in case.given, spelled),
    (lambda case: {"interval_s", "fall", "rise"} <= set(case.given), checked),
]
