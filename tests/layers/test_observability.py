"""What those who run the system get to see: sampled traces, logs, guesses; and their price."""

import json
import math
import re
from typing import Any

import pytest

from engine import Result, ScenarioError, load, simulate
from engine.buckets import histogram_quantile
from tests.layers.test_layers import call, servers, system

RARE = {"bimodal": {"fast": 5, "slow": 800, "slow_share": 0.001}}


def seen(time: Any = 5, per_second: float = 200, **watch: Any) -> Result:
    """Return a run of one service under observation."""
    client = {"enabled": False, "requests_per_second": per_second}
    app = servers(time, threads=100, cores=100, replicas=1)
    return simulate(system(call(), client=client, application=app, observability=watch))


def test_head_sampling_misses_what_is_rare() -> None:
    """It decides before anything has happened; tail sampling keeps the slowest."""
    tail, head = seen(RARE), seen(RARE, sampling="head", trace_share=0.01)
    slowest = tail.trace("visit", "slowest")
    assert slowest is not None
    assert slowest.latency_ms > 700
    common = head.trace("visit", "slowest")
    assert common is not None  # of 4,000 alike some were sampled
    assert common.latency_ms < 10
    everything = seen(RARE, sampling="head", trace_share=1.0)
    assert everything.trace("visit", "slowest") == slowest


def test_logs_are_json_and_lead_to_their_trace() -> None:
    """A line without a trace id is a needle without a thread."""
    result = simulate(load("amazon").change({"duration_seconds": 20, "warm_up_seconds": 0}))
    lines = [json.loads(line) for line in result.logs().splitlines()]
    trace = result.trace("buy", "slowest")
    assert trace is not None
    mine = [line for line in lines if line["trace_id"] == trace.trace_id]
    assert {"application.gateway", "application.inventory"} <= {line["service"] for line in mine}
    assert [line["message"] for line in mine if line.get("whole")] == ["buy answered"]
    assert all(re.fullmatch("[0-9a-f]{32}", line["trace_id"]) for line in lines)
    assert all(re.fullmatch("[0-9a-f]{16}", line["span_id"]) for line in lines)
    assert [line["timestamp"] for line in lines] == sorted(line["timestamp"] for line in lines)


def test_log_sampling_never_drops_a_failure() -> None:
    """A log that saves money on errors saves on the wrong lines."""
    full = {"threads": 1, "cores": 1, "replicas": 1, "queue_limit": 0}
    client = {"enabled": False, "requests_per_second": 100}
    watch = {"log_share": 0.0}
    scenario = system(call(), client=client, application=servers(20, **full), observability=watch)
    lines = [json.loads(line) for line in simulate(scenario).logs().splitlines()]
    assert lines
    assert {line["error"] for line in lines if line.get("whole")} == {"server accept queue full"}
    assert {line["level"] for line in lines if line.get("whole")} == {"ERROR"}


def test_another_seed_gives_other_trace_ids() -> None:
    """Two runs' logs in one place would be mixed up."""
    scenario = load("monolith").change({"duration_seconds": 5, "warm_up_seconds": 0})
    journey = next(iter(scenario.journeys))
    ids = [simulate(scenario, seed).trace(journey, "p50").trace_id for seed in (1, 2)]  # type: ignore[union-attr]
    assert ids[0] != ids[1]


def test_quantiles_from_coarse_buckets_are_guesses() -> None:
    """The default buckets know nothing between 0.5 s and 1 s; finer ones know better."""
    coarse, fine = (
        seen(600, per_second=50, **more)
        .buckets.query("journey == 'all' and quantile == 0.99")
        .iloc[0]
        for more in ({}, {"bucket_seconds": [0.59, 0.595, 0.6, 0.605, 0.61]})
    )
    assert coarse["true_ms"] == pytest.approx(600, rel=0.01)
    assert coarse["seen_ms"] == pytest.approx(995, rel=0.001)  # 0.5 + 0.99 × 0.5
    assert fine["seen_ms"] == pytest.approx(600, rel=0.01)


def test_beyond_the_last_bucket_nothing_is_known() -> None:
    """A P99 that stands at 10 s for hours is the last bucket's bound, not the latency."""
    result = seen(20_000, per_second=5, bucket_seconds=[1, 5])
    assert result.buckets["seen_ms"].dropna().empty or (result.buckets["seen_ms"] <= 5000).all()
    assert histogram_quantile(0.99, [(1, 0), (5, 0), (math.inf, 10)]) == 5


def test_bounds_that_fall_are_refused() -> None:
    """Prometheus would sort them; who wrote them meant something else."""
    with pytest.raises(ScenarioError, match=r"bucket_seconds.*rise"):
        load("monolith").change({"observability.bucket_seconds": [1, 0.5]})


def test_instrumentation_takes_cpu_time() -> None:
    """Tracing all of everything is not free for the traced either."""
    plain, traced = seen(10), seen(10, cpu_overhead=0.2)
    assert plain.summary.latency_ms_mean == pytest.approx(10)
    assert traced.summary.latency_ms_mean == pytest.approx(12)


def test_telemetry_by_volume_is_paid_by_interval_and_share() -> None:
    """Scraping half as often, keeping half as much costs half."""

    def usd(**watch: Any) -> dict[str, float]:
        cost = seen(volume={"on": True}, **watch).cost
        return dict(zip(cost["item"], cost["usd_per_hour"], strict=True))

    whole, half = usd(), usd(scrape_interval_seconds=10, trace_share=0.005, log_share=0.5)
    for item in ("Metrics, per million samples", "Traces, per GB", "Logs, per GB"):
        assert half[item] == pytest.approx(whole[item] / 2)
    assert whole["Logs, per GB"] == pytest.approx(200 * 300 * 3600 / 1e9 * 0.5)
