"""Results: tables that agree with each other, with the laws of queueing, and with their traces."""

import functools
import gc
import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import LAYERS, Result, Scenario, Simulation, Trace, inspect, load, simulate
from engine.kernel.world import World
from engine.program import KINDS
from tests.strategies import scenarios

WHICH = ("p50", "p95", "p99", "slowest", "failed")


@functools.cache
def shop() -> Result:
    """Return a busy shop: some calls wait, some time out, some messages fail."""
    tight = {
        "client.requests_per_second": 1400,
        "client.timeout_seconds": 0.4,
        "client.attempts": 1,
        "asynchronous.workers": 12,
    }
    return simulate(load("amazon").change(tight), seed=3)


@functools.cache
def monolith() -> Result:
    """Return the monolith."""
    return simulate(load("monolith"))


def both() -> list[Result]:
    """Return the two results that most tests look at."""
    return [shop(), monolith()]


# ---------------------------------------------------------------- tables agree


@pytest.mark.parametrize("result", both(), ids=["shop", "monolith"])
def test_the_summary_is_the_sum_of_the_journeys(result: Result) -> None:
    """A headline that its own parts contradict is worth nothing."""
    said, journeys, seconds = result.summary, result.journeys, result.measured_seconds
    assert said.requests_per_second == pytest.approx(journeys["started"].sum() / seconds)
    assert said.answered_per_second == pytest.approx(journeys["answered"].sum() / seconds)
    ended = journeys["answered"].sum() + journeys["failed"].sum()
    assert said.error_ratio == pytest.approx(journeys["failed"].sum() / ended)
    weighted = journeys["latency_ms_mean"] * journeys["answered"]
    assert said.latency_ms_mean == pytest.approx(weighted.sum() / journeys["answered"].sum())
    assert said.in_flight == journeys["in_flight"].sum()
    assert seconds == result.scenario.duration_seconds - result.scenario.warm_up_seconds


@pytest.mark.parametrize("result", both(), ids=["shop", "monolith"])
def test_the_time_series_add_up_to_the_summary(result: Result) -> None:
    """A chart that showed other requests than the headline counts would mislead quietly."""
    series, warm_up = result.timeseries, result.scenario.warm_up_seconds
    seconds = np.diff(series["time_s"], prepend=0.0)
    for name in ("started", "answered", "failed"):
        counts = series[f"{name}_per_s"] * seconds
        assert counts.sum() == pytest.approx(getattr(result.summary, name))
        measured = counts[series["time_s"] > warm_up + 1e-9].sum()
        assert measured == pytest.approx(result.journeys[name].sum())
    assert len(series) == 120
    assert series["in_flight"].iloc[-1] == result.summary.in_flight


def test_time_series_start_with_the_run_and_end_with_it() -> None:
    """Windows that drifted would put an outage where it was not, or add an empty one."""
    for seconds in (0.1, 0.7, 1, 3.3, 9, 60, 61, 97.3):
        short = load("monolith").change(
            {"duration_seconds": seconds, "warm_up_seconds": 0, "client.users": 3}
        )
        times = simulate(short).timeseries["time_s"]
        assert len(times) == 120
        assert times.iloc[-1] == seconds
        assert np.diff(times, prepend=0.0) == pytest.approx(np.full(120, seconds / 120))


@pytest.mark.parametrize("result", both(), ids=["shop", "monolith"])
def test_quantiles_are_in_order(result: Result) -> None:
    """A P95 above the P99 would be nonsense on the first glance."""
    for row in [result.summary.model_dump(), *result.journeys.to_dict("records")]:
        found = [row[f"latency_ms_{name}"] for name in ("p50", "p95", "p99")]
        assert found == sorted(found)
    assert result.summary.latency_ms_p99 <= result.summary.latency_ms_max
    series = result.timeseries.dropna()
    assert (series["latency_ms_p50"] <= series["latency_ms_p99"]).all()


@pytest.mark.parametrize("result", both(), ids=["shop", "monolith"])
def test_the_distribution_of_latency_is_that_of_the_quantiles(result: Result) -> None:
    """Chart and headline are read off the same bins; they must say the same."""
    for journey in ("all", *result.journeys.index):
        table = result.latency(journey)
        assert table["share"].sum() == pytest.approx(1.0)
        assert table["cumulative"].iloc[-1] == pytest.approx(1.0)
        row = result.summary if journey == "all" else result.journeys.loc[journey]
        median = table.loc[table["cumulative"].searchsorted(0.5), "latency_ms"]
        assert row.latency_ms_p50 == pytest.approx(median, rel=0.02)
        mean = (table["latency_ms"] * table["share"]).sum()
        assert row.latency_ms_mean == pytest.approx(mean, rel=0.01)


@settings(max_examples=40)
@given(scenarios(), st.integers(0, 99))
def test_shares_add_up_to_the_mean_latency(scenario: Scenario, seed: int) -> None:
    """Where time goes has to be all the time there is: no gap, nothing counted twice."""
    result = simulate(scenario, seed)
    shares = result.shares[result.shares["of"] == "mean"].groupby("journey")
    means = {"all": result.summary.latency_ms_mean, **result.journeys["latency_ms_mean"].to_dict()}
    for journey, parts in shares:
        mean = means[journey]
        if mean is None or math.isnan(mean):
            assert parts["ms"].sum() == 0.0
            continue
        assert parts["ms"].sum() == pytest.approx(mean, rel=1e-3, abs=1e-3)
        assert len(parts) == len(LAYERS) * len(KINDS)
        if mean > 1e-6:
            assert parts["share"].sum() == pytest.approx(1.0)
        assert parts["ms"].min() >= -1e-3


def test_the_slowest_hundredth_waits_more_than_the_mean() -> None:
    """In a busy shop the tail is made of waiting; shares of the P99 have to show it."""
    shares = shop().shares
    waiting = shares[(shares["journey"] == "all") & (shares["kind"] == "waiting")]
    by_of = waiting.groupby("of")["ms"].sum()
    assert by_of["p99"] > 3 * by_of["mean"]
    total = shares[(shares["journey"] == "all") & (shares["of"] == "p99")]["ms"].sum()
    assert total >= shop().summary.latency_ms_p99 * 0.95


@pytest.mark.parametrize("result", both(), ids=["shop", "monolith"])
def test_station_series_average_to_the_stations(result: Result) -> None:
    """The same station on the map and in the chart is the same station."""
    after = result.station_series[
        result.station_series["time_s"] > result.scenario.warm_up_seconds + 1e-9
    ]
    for name, rows in after.groupby("station"):
        station = result.stations.loc[name]
        pairs = {"rate_per_s": "rate_per_s", "waiting": "waiting_mean",
                 "in_service": "in_service_mean", "failed_per_s": "failed_per_s"}  # fmt: skip
        for series, total in pairs.items():
            if not rows[series].isna().any():
                assert rows[series].mean() == pytest.approx(station[total], rel=1e-6), (name, total)


@pytest.mark.parametrize("result", both(), ids=["shop", "monolith"])
def test_what_flows_into_a_station_is_its_rate(result: Result) -> None:
    """A map whose arrows did not add up to its stations would lead nowhere."""
    flows = result.flows[result.flows["time_s"] > result.scenario.warm_up_seconds + 1e-9]
    windows = flows["time_s"].nunique()
    inward = flows.groupby("target")["rate_per_s"].sum() / windows
    for name, rate in inward.items():
        assert rate == pytest.approx(result.stations.loc[name, "rate_per_s"], rel=1e-6), name
    assert set(inward.index) <= set(result.stations.index)
    edges = {(source, target) for source, target in flows.groupby(["source", "target"]).groups}
    assert edges <= set(result.topology.edges)


@pytest.mark.parametrize("result", both(), ids=["shop", "monolith"])
def test_the_bill_is_the_sum_of_its_lines(result: Result) -> None:
    """A total that is not the sum of what is listed is no bill."""
    lines, said = result.cost, result.summary
    each = lines["quantity"] * lines["usd_per_hour_each"]
    assert lines["usd_per_hour"].to_numpy() == pytest.approx(each.to_numpy())
    assert said.cost_usd_per_hour == pytest.approx(lines["usd_per_hour"].sum())
    per_million = said.cost_usd_per_hour / (said.answered_per_second * 3600) * 1e6
    assert said.cost_usd_per_million_requests == pytest.approx(per_million)


# ---------------------------------------------------------------- laws of queueing


@pytest.mark.parametrize("result", both(), ids=["shop", "monolith"])
def test_littles_law_holds_at_every_station(result: Result) -> None:
    """L = λW, whatever the distributions: what is inside is the rate times the stay."""
    seconds, checked = result.measured_seconds, 0
    served = result._delta("meters")["served"]
    for name, row in result.stations.iterrows():
        station = result.program.stations[name]
        count = int(served[station.meter])
        if not station.pools or count < 1000:
            continue
        inside = row["in_service_mean"] + row["waiting_mean"]
        rate = count / seconds + row["failed_per_s"]
        assert inside == pytest.approx(rate * row["residence_ms_mean"] / 1e3, rel=0.01), name
        checked += 1
    assert checked >= 2


@pytest.mark.parametrize("result", both(), ids=["shop", "monolith"])
def test_the_utilisation_law_holds_at_every_station(result: Result) -> None:
    """Busy slots = rate × service time; a pool that were busy without work would break it."""
    checked = 0
    for name, row in result.stations.iterrows():
        station = result.program.stations[name]
        count = int(result._delta("meters")["served"][station.meter])
        if not station.pools or count < 1000:
            continue
        busy = count / result.measured_seconds * row["service_ms_mean"] / 1e3
        assert row["in_service_mean"] == pytest.approx(busy, rel=0.01), name
        assert row["thread_utilisation"] == pytest.approx(
            row["in_service_mean"] / (row["slots"] * len(station.pools))
        )
        assert 0.0 <= row["utilisation"] <= 1.0 + 1e-9
        checked += 1
    assert checked >= 2


def test_theory_says_the_wait_of_the_simplest_queue() -> None:
    """The yardstick beside a measured wait has to be Erlang's, for the same load."""
    plain = Scenario.model_validate({
        "duration_seconds": 400, "warm_up_seconds": 20,
        "client": {"enabled": False, "requests_per_second": 160},
        "application": {"replicas": 1, "threads": 2, "cores": 2, "queue_limit": 1_000_000,
                        "services": {"server": {"cpu_time": {"exponential": 10}}}},
        "journeys": {"visit": {"steps": [{"do": "call", "service": "server"}]}},
    })  # fmt: skip
    row = simulate(plain).stations.loc["application.server"]
    # Erlang C for 1.6 erlangs on 2 servers: 0.7111 wait, 25 ms each: 17.78 ms.
    assert row["theory_wait_ms"] == pytest.approx(17.78, rel=0.05)
    assert row["wait_ms_mean"] == pytest.approx(17.78, rel=0.1)


# ---------------------------------------------------------------- traces


def kept() -> list[tuple[Trace, Result]]:
    """Return every kind of trace of every journey."""
    found = [
        (result.trace(journey, which), result)
        for result in both()
        for journey in result.journeys.index
        for which in WHICH
    ]
    return [(trace, result) for trace, result in found if trace is not None]


def test_every_journey_that_was_answered_has_its_traces() -> None:
    """A P99 request can always be shown; one that failed, if any has."""
    for result in both():
        for journey, row in result.journeys.iterrows():
            for which in WHICH:
                wanted = row["failed"] if which == "failed" else row["answered"]
                trace = result.trace(journey, which)
                assert (trace is not None) == (wanted > 0), (journey, which)
                assert trace is None or trace.journey == journey


def test_a_trace_of_a_quantile_is_about_that_slow() -> None:
    """A P99 trace that took the median would explain nothing."""
    for result in both():
        for journey, row in result.journeys.iterrows():
            for which in ("p50", "p95", "p99"):
                trace = result.trace(journey, which)
                assert trace is not None
                assert trace.latency_ms == pytest.approx(row[f"latency_ms_{which}"], rel=0.05)
    slowest = max(t.latency_ms for t, r in kept() if r is shop() and t.outcome == "answered")
    assert slowest == shop().summary.latency_ms_max


def test_spans_lie_within_their_trace() -> None:
    """A span before its request or after its answer would be somebody else's time."""
    for trace, _ in kept():
        root = trace.spans[0]
        assert root.parent is None
        assert (root.start_ms, root.duration_ms) == pytest.approx((0.0, trace.latency_ms))
        for span in trace.spans:
            assert span.start_ms >= -1e-3
            assert span.duration_ms >= 0.0
            assert -1e-3 <= span.wait_ms <= span.duration_ms + 1e-3
            if not span.background:
                assert span.start_ms + span.duration_ms <= trace.latency_ms + 0.01


def test_spans_lie_within_their_parents() -> None:
    """A tree whose branches stick out was put together wrongly."""
    for trace, _ in kept():
        for span in trace.spans:
            if span.parent is None or span.background:
                continue
            parent = trace.spans[span.parent]
            assert parent.id == span.parent
            assert parent.start_ms <= span.start_ms + 1e-3
            end = parent.start_ms + parent.duration_ms
            assert span.start_ms + span.duration_ms <= end + 0.01


def test_steps_on_the_critical_path_follow_one_another() -> None:
    """Without forks a request is at one place at a time; its durations add up to its latency."""
    for trace, _ in kept():
        for parent in trace.spans:
            inner = [s for s in trace.spans if s.parent == parent.id and s.critical]
            inner.sort(key=lambda span: span.start_ms)
            for one, other in itertools.pairwise(inner):
                assert one.start_ms + one.duration_ms <= other.start_ms + 0.01
            assert sum(span.duration_ms for span in inner) <= parent.duration_ms + 0.01
            assert parent.critical or not inner


def test_what_runs_in_the_background_is_not_critical() -> None:
    """Nobody waits for it, so making it faster would help no customer."""
    for trace, _ in kept():
        assert trace.spans[0].critical
        assert not any(span.critical for span in trace.spans if span.background)


def test_a_failed_trace_says_why_and_where() -> None:
    """A failure without a reason cannot be mended."""
    failed = [(trace, result) for trace, result in kept() if trace.outcome == "failed"]
    assert failed
    for trace, result in failed:
        assert trace.reason in result.summary.failures
        assert trace.spans[0].error == trace.reason


def test_what_workers_did_is_part_of_the_trace() -> None:
    """Buy Now is answered; what happens afterwards belongs to the same story."""
    trace = shop().trace("buy", "p50")
    assert trace is not None
    later = [span for span in trace.spans if span.background]
    assert {span.layer for span in later} == {"asynchronous"}
    assert all(span.start_ms > 0 for span in later)


# ---------------------------------------------------------------- odd runs


def test_a_run_without_requests_has_a_result_too() -> None:
    """Zero requests is an answer, not a crash: no latency, no errors, the same bill."""
    result = simulate(load("amazon").change({"client.requests_per_second": 0}))
    said = result.summary
    assert (said.started, said.failed, said.error_ratio) == (0, 0, 0.0)
    assert said.latency_ms_p99 is None
    assert said.cost_usd_per_million_requests is None
    assert said.cost_usd_per_hour > 1.0
    assert result.timeseries["latency_ms_p99"].isna().all()
    assert result.trace("search", "p99") is None
    assert (result.shares["ms"] == 0).all()
    assert not result.stations.empty


def test_a_run_that_has_not_begun_has_a_result_too() -> None:
    """A page that draws before the first step has been played must not fail."""
    result = Simulation(load("amazon")).result()
    assert result.summary.started == 0
    for name in ("timeseries", "stations", "station_series", "flows", "journeys", "scrapes"):
        assert isinstance(getattr(result, name), pd.DataFrame)


@settings(max_examples=20)
@given(scenarios(seconds=1.0), st.integers(0, 99))
def test_every_table_can_be_made_of_any_run(scenario: Scenario, seed: int) -> None:
    """A table that fails for one odd system fails in somebody's browser."""
    result = simulate(scenario, seed)
    for name in ("timeseries", "stations", "station_series", "flows", "journeys", "shares",
                 "accounting", "messages", "cost", "events", "scrapes"):  # fmt: skip
        assert isinstance(getattr(result, name), pd.DataFrame)
    for station in result.stations.index:
        assert inspect(result, station).sentences
    for journey in ("all", *result.journeys.index):
        assert (result.latency(journey)["requests"] > 0).all()


def test_a_run_that_is_over_holds_no_arrays() -> None:
    """Kept until Python happens to collect, they would fill a machine that plays a sweep."""
    gc.collect()
    gc.disable()
    before = sum(isinstance(each, World) for each in gc.get_objects())
    try:
        result = simulate(load("monolith"))
        assert sum(isinstance(each, World) for each in gc.get_objects()) == before
    finally:
        gc.enable()
    assert result.summary.answered > 0
