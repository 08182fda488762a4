"""Failures: retries that multiply, storms that feed themselves, caches that are lost."""

from __future__ import annotations

import functools
import statistics
from typing import Any

import numpy as np

from engine import Scenario, ScenarioError, Simulation
from engine.program import Program
from engine.theory import cache_flush, retry_storm
from tests.truth.answer import Beside, NotExpressibleError, Pair
from tests.truth.bench import bench
from tests.truth.case import Case
from tests.truth.machine import SEED, begin, call, server, system

AT = "application.server"
REQUESTS_MIN, REQUESTS_MAX = 2_000_000, 50_000_000
FAILURES = 5_000  # that make a share of failures exact to 1.4 %
SEEDS = 2  # runs of 900 s; what is averaged over 290 s of each hardly differs
DRAINS = 20  # runs: how long a backlog takes is a random walk's first passage
WELL, IN_A_ROW = 0.85, 10  # it has recovered once so many seconds answer so much of the load
AT_ONCE: dict[str, Any] = {
    "backoff_ms": 0,
    "web_round_trip": 0,
    "mobile_round_trip": 0,
    "regions": [{"name": "here", "share": 1, "origin_round_trip": 0}],
}


# ---------------------------------------------------------------- retries multiply


def amplified(case: Case) -> dict[str, Any]:
    """Attempts fail independently of one another, and are made again."""
    p, attempts = case.given["p_fail"], case.given["max_retries"] + 1
    rows: list[int] = []

    def one(program: Program) -> None:
        rows.append(program.here)
        program.chance("fails", p, lambda: program.fail("an attempt failed"))

    plane = bench(
        lambda program, _: program.attempt(functools.partial(one, program), attempts=attempts),
        1000.0,
        poisson=False,
    )
    wanted = FAILURES / p**attempts
    too_rare = wanted > 2 * REQUESTS_MAX
    count = REQUESTS_MIN if too_rare else min(REQUESTS_MAX, max(REQUESTS_MIN, wanted))
    plane.advance(count / 1000.0)
    journey = plane.world.journeys[0]
    failed: Any = int(journey["failed"]) / int(journey["started"])
    if too_rare:
        failed = Beside(f"one request in {1 / p**attempts:,.0f} fails: too few come in any run")
    return {
        "mean_attempts": int(plane.world.visits[rows[0]]) / int(journey["started"]),
        "user_visible_failure": failed,
    }


def layered(case: Case) -> dict[str, Any]:
    """Every layer tries several times, and the bottom one is down."""
    layers, attempts = case.given["layers"], case.given["attempts_per_layer"]
    care = {"attempts": attempts, "backoff_ms": 0}
    names = [f"layer{number}" for number in range(layers)]
    steps: list[dict[str, Any]] = []
    for name in reversed(names):
        steps = [call(name, *steps)]
    services = {name: server(0, 200, care=care) for name in names}
    scenario = system(steps, 10.0, application={"hop": 0, "services": services})
    try:
        run = dead(scenario, 10.0, f"application.{names[-1]}")
    except ScenarioError as error:
        raise NotExpressibleError(str(error)) from None
    run.advance_to(10.0)
    asked = attempts_at(run, f"application.{names[-1]}")
    return {"bottom_attempts_per_user_request": asked / int(run.plane.world.journeys["started"][0])}


def dead(scenario: Scenario, seconds: float, station: str) -> Simulation:
    """Return a run that is about to begin, with a station that refuses everybody."""
    run = begin(scenario, seconds)
    run.plane.shut(run.plane.program.stations[station].pools, refuses=True)
    return run


def budgeted(case: Case) -> dict[str, Any]:
    """Retries are a share of requests at most, and the backend is down."""
    attempts = case.given["attempts_without_budget"]

    def multiplier(budget: float | None) -> float:
        rules = {"attempts": attempts, "retry_budget": budget, "retry_budget_least_per_second": 0}
        run = dead(impatient(1000.0, rules, server(0)), 400.0, AT)
        run.advance_to(100.0)  # what was saved up is spent
        before = attempts_at(run, AT), int(run.plane.world.journeys["started"][0])
        run.advance_to(400.0)
        asked = attempts_at(run, AT) - before[0]
        return asked / (int(run.plane.world.journeys["started"][0]) - before[1])

    return {
        "load_multiplier_with_budget": multiplier(case.given["budget"]),
        "load_multiplier_without": multiplier(None),
    }


def throttled(case: Case) -> dict[str, Any]:
    """Clients that are refused too often refuse some of their requests themselves."""
    given, window = case.given, 120.0
    capacity = given["backend_capacity"]
    scenario = system(
        [call("server")],
        given["offered"],
        client={
            **AT_ONCE,
            "gap": "fixed",
            "attempts": 1,
            "throttle": {"on": True, "multiplier": given["K"], "window_seconds": window},
        },
        edge={
            "dns": {"on": False},
            "limiter": {"on": True, "rate": capacity, "burst": capacity},
            "balancer": {"on": False},
        },
        application={"services": {"server": server(0, 200)}},
    )
    end = 10 * window
    seconds = 5 * window
    run = begin(scenario, end, warm_up=end - seconds)
    run.advance_to(end)
    result = run.result()
    gates = run.plane.program.laid_out["client.throttle"]
    made, accepted = (
        int((result._end.visits[list(rows)] - result._base.counters.visits[list(rows)]).sum())
        for rows in zip(*gates, strict=True)
    )
    limiter = result.stations.loc["edge.limiter"]
    sent = float(limiter["rate_per_s"])
    return {
        "steady_state_sent_to_backend": sent,
        "local_reject_fraction": 1.0 - sent * seconds / made,
        "backend_rejects_per_s": sent - accepted / seconds,
    }


# ---------------------------------------------------------------- storms


def impatient(load: float, client: dict[str, Any], only: dict[str, Any], **more: Any) -> Scenario:
    """Return a scenario of one service and of clients that are next to it and give up."""
    return system(
        [call("server")],
        load,
        client={**AT_ONCE, **client},
        application={"hop": 0, "services": {"server": only}, **more},
    )


def stormy(given: dict[str, Any], **client: Any) -> Scenario:
    """Return a first-come-first-served server that hangs for a while, and clients that retry."""
    rules = {"timeout_seconds": given["timeout_s"], "attempts": given["retries"] + 1, **client}
    time = {"exponential": 1000.0 / given["capacity"]}
    scenario = impatient(given["load"], rules, server(time), deadlines=given["drop_expired"])
    start, end = given["trigger"]
    fault = {"do": "hang_server", "at_seconds": start, "length_seconds": end - start}
    return lasting(scenario, 900.0).change({"faults": [fault]})


def lasting(scenario: Scenario, seconds: float) -> Scenario:
    """Return the scenario with a length, and no warm-up."""
    return scenario.change({"duration_seconds": seconds, "warm_up_seconds": 0})


def attempts_at(run: Simulation, station: str) -> int:
    """Return how many calls have come to a station."""
    return int(run.plane.world.meters["asked"][run.plane.program.stations[station].meter])


def storm(case: Case) -> dict[str, Any]:
    """A server stands still for a while, and its clients try again."""
    given = case.given
    load, (_, over) = float(given["load"]), given["trigger"]
    scenario = stormy(given)
    runs = [seconds_of(scenario, seed, 900) for seed in range(1, SEEDS + 1)]
    good = statistics.fmean(float(run.answered[600:890].mean()) / load for run in runs)
    drains = runs
    if good > 0.5:
        later = range(SEEDS + 1, DRAINS + 1)
        drains = runs + [seconds_of(scenario, seed, 400) for seed in later]
    waits = [recovery(run.answered[int(over) :] / load) for run in drains]
    recovered = [seconds for seconds in waits if seconds is not None]
    recovers = len(recovered) > len(waits) / 2
    rule = retry_storm(load, given["capacity"], given["retries"])
    words = {
        "stable": "stable (lam*(1+k) < mu)",
        "vulnerable": "vulnerable (lam < mu < lam*(1+k))",
        "overloaded": "overloaded (lam > mu)",
    }
    wanted = case.expect.get("seconds_to_recover_after_trigger")
    return {
        "region": words[rule.state(load)],
        "goodput_ratio_t600_890": good,
        "attempts_per_s_t600_890": statistics.fmean(float(r.asked[600:890].mean()) for r in runs),
        "seconds_to_recover_after_trigger": Pair(
            wanted, statistics.median(recovered) if recovers else None
        ),
        "recovers": recovers,
    }


class Seconds:
    """What came and what was answered, second by second."""

    def __init__(self, answered: list[int], asked: list[int]) -> None:
        self.answered, self.asked = np.diff(answered), np.diff(asked)


def seconds_of(scenario: Scenario, seed: int, until: int) -> Seconds:
    """Play a run, and count in each second."""
    run = Simulation(scenario, seed)
    answered, asked = [0], [0]
    for second in range(1, until + 1):
        run.advance_to(float(second))
        answered.append(int(run.plane.world.journeys["answered"][0]))
        asked.append(attempts_at(run, AT))
    return Seconds(answered, asked)


def recovery(shares: np.ndarray) -> float | None:
    """Return after how many seconds the load is answered, for `IN_A_ROW` of them in a row.

    Cases do not say how they tell; seconds are noisy, so `WELL` of each is enough.  By hand: a
    line of B is down to what one time-out sees after (B - capacity) / (capacity - attempts).
    """
    well = np.convolve(shares >= WELL, np.ones(IN_A_ROW), "valid") > IN_A_ROW - 0.5
    return float(np.argmax(well)) if well.any() else None


def example(case: Case) -> dict[str, Any]:
    """The example of the paper on metastable failures: an outage of ten seconds."""
    capacity, retries, load = (case.given[name] for name in ("capacity", "retries", "load"))
    given = {"capacity": capacity, "retries": retries, "load": load, "timeout_s": 1}
    given |= {"drop_expired": False, "trigger": [60.0, 70.0]}
    rule = retry_storm(load, capacity, retries)
    run = Simulation(stormy(given, gap="fixed"), SEED)
    half = 0.5 / load  # between two arrivals of a metronome: those of one second are all there
    run.advance_to(60.0 + retries + 1.0 + half)
    before = attempts_at(run, AT)
    run.advance_to(60.0 + retries + 2.0 + half)
    during = attempts_at(run, AT) - before
    answered = [int(run.plane.world.journeys["answered"][0])]
    for end in (200.0, 300.0):
        run.advance_to(end)
        answered.append(int(run.plane.world.journeys["answered"][0]))
    return {
        "stable_below": rule.stable_below,
        "vulnerable": [rule.stable_below, rule.capacity],
        "attempts_during_failure": during,
        "recovers": Pair(rule.state(load) != "vulnerable", answered[2] > answered[1]),
    }


# The artefact does not say how much its primary can do; README: "tuning the request frequency
# may be required".  One value, with which all four of its experiments come out as labelled.
MONGO_PER_CPU = 17_500.0  # inserts/s
MONGO_CPUS = 2.0  # m5a.large; `docker update --cpus` gives less for a while
MONGO_SCALE = 20.0  # times fewer requests, each as many times as long: the same queue, cheaper


def resent(case: Case) -> dict[str, Any]:
    """MongoDB's primary is given little processor time for a while; clients resend."""
    given = case.given
    rate = 1e9 / given["interval_ns"] / MONGO_SCALE
    full = MONGO_PER_CPU * MONGO_CPUS / MONGO_SCALE
    rules = {"timeout_seconds": given["timeout_s"], "attempts": given["resends"] + 1}
    start, seconds = given["trigger_start_s"], given["trigger_s"]
    scenario = impatient(rate, {**rules, "gap": "fixed"}, server(1000.0 / full))
    fault = {"do": "slow_server", "factor": MONGO_CPUS / given["trigger_cpu"]}
    fault |= {"at_seconds": start, "length_seconds": seconds}
    run = Simulation(lasting(scenario, start + seconds + 60.0).change({"faults": [fault]}), SEED)
    run.advance_to(start + seconds + 50.0)
    before = int(run.plane.world.journeys["answered"][0])
    run.advance_to(start + seconds + 60.0)
    answered = int(run.plane.world.journeys["answered"][0]) - before
    return {"outcome": "recovers" if answered > 0.9 * 10.0 * rate else "metastable"}


# ---------------------------------------------------------------- a cache is lost


def flushed(case: Case) -> dict[str, Any]:
    """A cache is flushed, and the database behind it cannot do without."""
    load, hit, capacity = (case.given[name] for name in ("load", "hit", "db_capacity"))
    rule = cache_flush(load, hit, capacity)
    before, after, shed = flush(load, hit, capacity)
    return {
        "db_load_warm": rule.warm,
        "db_load_cold": rule.cold,
        "safe_load_without_any_cache": rule.safe,
        "vulnerable": before > 0.99 and after < 0.5,
        "well before the flush": Pair(True, before > 0.99),
        "down until load is shed": Pair(rule.vulnerable, after < 0.5),
        "well after load was shed": Pair(True, shed > 0.99),
    }


def flush(load: float, hit: float, capacity: float) -> tuple[float, float, float]:
    """Return the share of answers: before a flush, long after it, and after shedding load."""
    keys = 20_000
    db = server(
        {"exponential": 1000.0 / capacity}, queue=int(2 * capacity), care={"timeout_ms": 500}
    )
    look = {"do": "lookup", "dataset": "things", "then": [call("database")]}
    scenario = system(
        [look],
        load,
        client={**AT_ONCE, "attempts": 1},
        edge={
            "dns": {"on": False},
            "limiter": {"on": True, "rate": 2 * load},
            "balancer": {"on": False},
        },
        application={"hop": 0, "services": {"database": db}},
        cache={"capacity": int(keys * hit), "warm": True, "ttl_seconds": 86_400.0},
        datasets={"things": {"keys": keys, "zipf": 0}},
    )
    plan = {
        "faults": [{"do": "cache_flush", "at_seconds": 20}],
        "changes": [
            {"at_seconds": 60, "set": {"edge.limiter.rate": 0.8 * capacity}},
            {"at_seconds": 150, "set": {"edge.limiter.rate": 2 * load}},
        ],
    }
    run = Simulation(lasting(scenario, 200.0).change(plan), SEED)
    shares = []
    for start, end in ((10.0, 20.0), (50.0, 60.0), (155.0, 165.0)):
        run.advance_to(start)
        before = run.plane.world.journeys[0].copy()
        run.advance_to(end)
        after = run.plane.world.journeys[0]
        answered = int(after["answered"] - before["answered"])
        shares.append(answered / max(1, answered + int(after["failed"] - before["failed"])))
    return shares[0], shares[1], shares[2]


ADAPTERS = [
    (lambda case: {"p_fail", "max_retries"} <= set(case.given), amplified),
    (lambda case: {"layers", "attempts_per_layer"} <= set(case.given), layered),
    (lambda case: {"budget", "attempts_without_budget"} <= set(case.given), budgeted),
    (lambda case: {"K", "offered", "backend_capacity"} <= set(case.given), throttled),
    (lambda case: {"capacity", "load", "retries", "trigger"} <= set(case.given), storm),
    (lambda case: "attempts_during_failure" in case.expect, example),
    (lambda case: {"interval_ns", "trigger_cpu"} <= set(case.given), resent),
    (lambda case: {"db_capacity", "hit"} <= set(case.given), flushed),
]
