"""Game days: what is known of failures comes out of the presets, and what ends them does."""

import pytest

from benchmarks.day import game_day
from engine import Result, Scenario, load, simulate
from engine.expect import NEVER, measured
from engine.scenario import Expectation


def of(result: Result, figure: str, start: float | None = None, end: float | None = None) -> float:
    """Return a figure of a result, over all of it or between two times."""
    asked = Expectation(of=figure, from_seconds=start, to_seconds=end)
    return measured(result, figure, asked)


def storm(**changes: object) -> Scenario:
    """Return the retry storm with some knobs turned."""
    return load("retry_storm").change({name.replace("__", "."): v for name, v in changes.items()})


def test_a_retry_storm_goes_on_long_after_its_trigger() -> None:
    """A metastable failure would not be one: it would end with what set it off."""
    assert of(simulate(storm(duration_seconds=600)), "error_ratio", 500, 600) > 0.99


@pytest.mark.parametrize(
    ("measure", "changes"),
    [
        (
            "a retry budget",
            {"client__retry_budget": 0.1, "client__retry_budget_least_per_second": 0},
        ),
        ("load shedding", {"application__queue_limit": 150}),
        ("deadline propagation", {"application__deadlines": True}),
        ("no retries", {"client__attempts": 1}),
    ],
)
def test_a_retry_storm_ends_with(measure: str, changes: dict[str, object]) -> None:
    """The cures of the literature would not cure."""
    result = simulate(storm(**changes))
    assert of(result, "error_ratio", 270, 300) < 0.01, measure


def test_a_load_that_is_stable_with_its_retries_finds_back_by_itself() -> None:
    """The criterion would be wrong: 140 × 2 is less than 300."""
    assert of(simulate(storm(client__requests_per_second=140)), "error_ratio", 200, 300) < 0.001


def test_shedding_load_ends_a_storm_that_is_under_way() -> None:
    """An operator could do nothing about it."""
    cure = {"at_seconds": 150, "set": {"application.queue_limit": 150}}
    result = simulate(storm(changes=[cure]))
    assert of(result, "error_ratio", 120, 150) > 0.99
    assert of(result, "error_ratio", 270, 300) < 0.01  # the old line has to be worked off first


def test_single_flight_shortens_the_stampede_after_a_flush() -> None:
    """Everybody would still ask the database for the same page."""
    flushed = load("cache_flush")
    before = simulate(flushed)
    after = simulate(flushed.change({"cache.stampede": "single_flight"}))
    assert of(after, "impact:harmed_seconds") < of(before, "impact:harmed_seconds")
    assert of(after, "data.primary:rate_per_s", 60, 64) < of(
        before, "data.primary:rate_per_s", 60, 64
    )


def test_somebody_notices_a_dead_server_where_nothing_is_watched() -> None:
    """The preset would be quiet because the fault does nothing."""
    careless = {
        "edge.balancer.max_fails": 0,
        "edge.balancer.next_upstream": 1,
        "edge.balancer.checks.on": False,
        "client.attempts": 1,
    }
    result = simulate(load("app_server_dies").change(careless))
    assert of(result, "error_ratio", 65, 180) > 0.2
    assert of(result, "impact:detected_after_seconds") < 60


def test_a_backlog_drains_in_the_time_that_theory_says() -> None:
    """Backlog / (capacity - arrivals): an operator could not say when it will be over."""
    result = simulate(load("worker_outage"))
    series = result.station_series
    queue = series[series["station"] == "asynchronous.payment"]
    backlog = float(queue.loc[queue["time_s"] <= 150, "waiting"].iloc[-1])
    drained = float(queue.loc[(queue["time_s"] > 150) & (queue["waiting"] < 20), "time_s"].iloc[0])
    rate, capacity = 40.0, 6 / 0.1
    assert drained - 150 == pytest.approx(backlog / (capacity - rate), rel=0.15)


def test_twice_the_workers_drain_a_backlog_four_times_as_fast() -> None:
    """60 - 40 a second are left with six workers, 120 - 40 with twelve."""
    result = simulate(load("worker_outage").change({"asynchronous.workers": 12}))
    assert of(result, "asynchronous.payment:waiting", 147, 154) > 3000
    assert of(result, "asynchronous.payment:waiting", 203, 240) < 20


def test_a_synchronous_commit_loses_no_write_and_costs_latency() -> None:
    """The choice between the two would be none."""
    failover = load("primary_failover")
    fast, safe = simulate(failover), simulate(failover.change({"data.commit": "on"}))
    assert of(fast, "Writes lost") > 0
    assert of(safe, "Writes lost") == 0
    slower = safe.journeys.latency_ms_mean["buy"] - fast.journeys.latency_ms_mean["buy"]
    assert slower > 0


def test_without_failover_writes_fail_until_the_machine_is_back() -> None:
    """Failover would not be worth anything."""
    result = simulate(load("primary_failover").change({"data.failover.on": False}))
    assert of(result, "impact:harmed_seconds") > 100


def test_a_fast_autoscaler_fails_a_fraction_of_what_a_slow_one_does() -> None:
    """Start-up time and looking often would be of no account."""
    slow, fast = simulate(load("spike_slow_autoscaler")), simulate(load("spike_fast_autoscaler"))
    assert fast.summary.failed < slow.summary.failed / 4


def test_more_shards_do_not_cool_a_hot_one_but_a_cache_does() -> None:
    """A class would learn the wrong cure."""
    hot = load("hot_shard")
    more = simulate(hot.change({"data.shards": 8}))
    cached = simulate(hot.change({"cache.enabled": True, "cache.ttl_seconds": 60}))
    assert of(more, "error_ratio", 70, 150) > 0.03
    assert of(cached, "error_ratio", 70, 150) < 0.005


def test_users_of_a_lost_region_come_back_sooner_with_a_shorter_ttl() -> None:
    """A name's time to live would be a number on a form."""
    lost = load("region_loss")
    short = simulate(lost.change({"edge.dns.ttl_seconds": 10, "edge.dns.detection_seconds": 30}))
    assert of(short, "impact:harmed_seconds") < 0.4 * of(simulate(lost), "impact:harmed_seconds")
    assert of(short, "impact:ended_seconds") < NEVER


def test_half_an_hour_of_the_shop_plays_in_one_go() -> None:
    """Controllers, alerts and faults would get into each other's way in the long run."""
    result = simulate(game_day().change({"client.requests_per_second": 100}))
    kinds = set(result.events["kind"])
    assert {"fault", "fault_over", "server_down", "server_up", "promotion", "alert"} <= kinds
    books = result.accounting
    ended = books["answered"] + books["failed"] + books["in_flight"]
    assert (books["started"] == ended).all()
    assert of(result, "error_ratio", 1700, 1800) < 0.001
