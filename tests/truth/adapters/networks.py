"""Several queues: in a row, in a circle, side by side; and laws that hold for any system."""

from __future__ import annotations

import re
from typing import Any

from engine import Scenario, load
from tests.truth.adapters.queues import arrivals_for
from tests.truth.answer import Pair
from tests.truth.case import Case
from tests.truth.machine import (
    FOREVER,
    Run,
    begin,
    call,
    census,
    one_server,
    play,
    play_for,
    server,
    system,
)


def fork_join(case: Case) -> dict[str, Any]:
    """Two backends are asked side by side; the slower one decides."""
    rate, service = case.given["arrival_rate"], {"exponential": 1e3 / case.given["service_rate"]}
    legs = re.search(r"K=(\d+)", case.given["model"])
    assert legs, "a fork-join case says how many backends there are"
    names = [f"backend {index}" for index in range(int(legs[1]))]
    scenario = system(
        [{"do": "parallel", "then": [call(name) for name in names]}],
        rate,
        application={"services": {name: server(service) for name in names}},
    )
    run = play(scenario, arrivals_for(rate / case.given["service_rate"], off=0.03))
    single = run.row(f"application.{names[0]}")["residence_ms_mean"] / 1e3
    return {"mean_response_s": run.latency_s_mean, "ratio_to_single": run.latency_s_mean / single}


def fan_out(case: Case) -> dict[str, Any]:
    """Many backends without a queue: the mean and percentiles of the slowest."""
    mean_ms = re.search(r"exponential mean ([\d.]+) ms", case.given["service"])
    assert mean_ms, "a fan-out case says its service time"
    search = {"slots": 10_000, "query_time": {"exponential": float(mean_ms[1])}}
    legs = {"do": "parallel", "repeat": case.given["fanout"], "then": [{"do": "search"}]}
    run = play(system([legs], 1000, data={"hop": 0, "search": search}), 400_000)
    return {
        "mean_max_s": run.latency_s_mean,
        "p50_max_s": run.latency(0.5),
        "p99_max_s": run.latency(0.99),
    }


def amdahl(case: Case) -> dict[str, Any]:
    """A request with a part that only one worker can do and a part that many share."""
    share, workers = case.given["parallel_fraction"], case.given["processors"]
    alone = divided(share, 1, 1.0)
    return {
        "speedup": alone / divided(share, workers, 1.0 / workers),
        "limit": alone / divided(share, 1, 0.0),
    }


def divided(share: float, legs: int, each: float) -> float:
    """Return the latency where `share` of a second is done by legs, each doing a part of it."""
    serial, parallel = server((1 - share) * 1e3, 256), server(share * each * 1e3, 256)
    steps = [call("serial"), {"do": "parallel", "repeat": legs, "then": [call("parallel")]}]
    services = {"serial": serial, "parallel": parallel}
    run = play_for(system(steps, 1, application={"services": services}), 60.0, 10.0)
    return run.latency_s_mean


def feedback(case: Case) -> dict[str, Any]:
    """Each completion fails with a probability and rejoins the queue at once: a retry."""
    given = case.given
    flaky = {"check": {"service_time": 0, "failure_rate": given["fail_probability"]}}
    scenario = system(
        [call("server"), {"do": "publish", "to": ["check"]}],
        given["external_rate"],
        client={
            "web_round_trip": 0,
            "mobile_round_trip": 0,
            "attempts": 10,
            "backoff_ms": 0,
            "timeout_seconds": 600,
            "regions": [{"name": "here", "origin_round_trip": 0}],
        },
        application={"services": {"server": server({"exponential": 1e3 / given["service_rate"]})}},
        asynchronous={"enabled": False, "kinds": flaky},
    )
    run = play(scenario, 3_000_000)
    row = run.row("application.server")
    return {
        "effective_rate": row["rate_per_s"],
        "utilisation": row["utilisation"],
        "mean_visits": row["rate_per_s"] / run.result.summary.requests_per_second,
        "mean_total_sojourn_s": run.latency_s_mean,
    }


def split(case: Case) -> dict[str, Any]:
    """Cache-aside as a network of two queues: the database gets the misses.

    Keys that are all alike hit with the probability that they are in the cache, whatever came
    before: a coin toss for each request, as Jackson's theorem asks.
    """
    given = case.given
    keys = 1000
    run = play(
        system(
            [{"do": "lookup", "dataset": "rows", "then": [{"do": "read", "dataset": "rows"}]}],
            given["arrival_rate"],
            cache={
                "ttl_seconds": FOREVER,
                "capacity": round(given["hit_ratio"] * keys),
                "hop": 0,
                "command_time": {"exponential": 1e3 / given["cache_mu"]},
            },
            data={
                "read_replicas": 0,
                "connections": 1,
                "hop": 0,
                "read_time": {"exponential": 1e3 / given["db_mu"]},
            },
            datasets={"rows": {"keys": keys, "zipf": 0}},
        ),
        6_000_000,
    )
    cache, database = run.row("cache.read"), run.row("data.primary")
    return {
        "db_rate": database["rate_per_s"],
        "mean_cache_s": cache["residence_ms_mean"] / 1e3,
        "mean_db_s": database["residence_ms_mean"] / 1e3,
        "mean_end_to_end_s": run.latency_s_mean,
        "db_utilisation": database["utilisation"],
    }


def closed_loop(case: Case) -> dict[str, Any]:
    """A fixed number of users think, ask, and wait for three stations one after the other."""
    given = case.given
    names = [f"station {index}" for index in range(len(given["demands_s"]))]
    times = [{"exponential": demand * 1e3} for demand in given["demands_s"]]
    scenario = system(
        [call(name) for name in names],
        1.0,
        client={
            "enabled": False,
            "arrivals": "closed",
            "users": given["users"],
            "think_time": {"exponential": given["think_s"] * 1e3},
        },
        application={"services": dict(zip(names, map(server, times), strict=True))},
    )
    run = play_for(scenario, 1_000_000 / given["users"], 1000)
    rows = [run.row(f"application.{name}") for name in names]
    return {
        "throughput": run.result.summary.answered_per_second,
        "response_s": run.latency_s_mean,
        "bottleneck_utilisation": max(row["utilisation"] for row in rows),
        "mean_queue_lengths": [row["waiting_mean"] + row["in_service_mean"] for row in rows],
    }


def spike(case: Case) -> dict[str, Any]:
    """A spike above capacity leaves a backlog that takes its time to drain.

    Gaps and services of one length make the fluid itself; random ones would move the peak
    by a hundredth from seed to seed.
    """
    given = case.given
    pattern = {
        "shape": "spike",
        "factor": given["spike_rate"] / given["after_rate"],
        "start_seconds": 0,
        "length_seconds": given["spike_s"],
    }
    scenario = system(
        [call("server")],
        given["after_rate"],
        client={"enabled": False, "gap": "fixed", "pattern": pattern},
        application={"services": {"server": server(1e3 / given["capacity"])}},
    )
    run = begin(scenario, 10 * given["spike_s"])
    backlog = census(
        run, given["spike_s"] * 10, 0.25, lambda: int(run.plane.world.pools["waiting"][0])
    )
    peak = int(backlog.argmax())
    empty = peak + int((backlog[peak:] == 0).argmax())
    longest = run.result().summary.latency_ms_max
    assert longest is not None
    return {
        "peak_backlog": float(backlog[peak]),
        "delay_at_peak_s": longest / 1e3,
        "drain_s": (empty - peak) * 0.25,
        "total_disturbance_s": (empty + 1) * 0.25,
    }


def little(case: Case) -> dict[str, Any]:
    """L = λW at every station and for the whole, in every preset; exactly from empty to empty."""
    found: dict[str, Any] = {}
    for name in ("amazon", "monolith"):
        scenario = load(name)
        found[f"identity, {name}: worst station"] = worst_station(scenario)
        found[f"identity, {name}: whole system"] = whole_system(scenario)
    found["identity, from empty to empty"] = empty_to_empty()
    return found


def worst_station(scenario: Scenario) -> Pair:
    """Return the station whose time average is farthest from its visits' average."""
    run = play_for(scenario, 200.0, 50.0)
    pairs = []
    for station in run.result.program.stations.values():
        if station.pools:
            row, meter = run.row(station.name), run.meter(station.name)
            visits = (meter["wait"] + meter["work"]) / run.result.measured_seconds
            pairs.append(Pair(row["waiting_mean"] + row["in_service_mean"], visits))
    return max(pairs, key=lambda pair: abs(pair.value / pair.expected - 1))


def whole_system(scenario: Scenario) -> Pair:
    """Return requests in flight, counted now and then, and rate times latency."""
    run = begin(scenario, 250.0)
    run.advance(50.0)
    before = run.plane.world.journeys.copy()
    found = census(run, 250.0, 0.02, lambda: int(run.plane.world.journeys["in_flight"].sum()))
    after = run.plane.world.journeys
    return Pair(float(found.mean()), float((after["seconds"] - before["seconds"]).sum()) / 200.0)


def empty_to_empty() -> Pair:
    """Return both sides for a queue that starts empty and is left to run empty."""
    run = begin(one_server(80, {"exponential": 10}), 600)
    run.advance(500)
    run.change("client.requests_per_second", 0)
    run.advance(100)
    figures = Run(run.result())
    row, meter = figures.row("application.server"), figures.meter("application.server")
    assert not run.result().summary.in_flight, "the queue has to have run empty"
    total = (row["waiting_mean"] + row["in_service_mean"]) * run.env.now
    return Pair(total, meter["served"] * row["residence_ms_mean"] / 1e3)


ADAPTERS = [
    (lambda case: "fork-join" in str(case.given.get("model")), fork_join),
    (lambda case: {"fanout", "service"} <= set(case.given), fan_out),
    (lambda case: {"parallel_fraction", "processors"} <= set(case.given), amdahl),
    (lambda case: case.given.get("model") == "M/M/1 with Bernoulli feedback", feedback),
    (lambda case: {"hit_ratio", "cache_mu", "db_mu"} <= set(case.given), split),
    (lambda case: "closed product-form" in str(case.given.get("model")), closed_loop),
    (lambda case: {"capacity", "spike_rate", "spike_s", "after_rate"} <= set(case.given), spike),
    (lambda case: "identity" in case.expect, little),
]
