"""Faults: what users see of each, and that it is over when it is over."""

import contextlib
from typing import Any

import pytest

from engine import Fault, Result, Scenario, ScenarioError, Simulation, catalogue, load, simulate
from engine.layers.replication import lag_seconds
from tests.books import check_books

FAULT_SECONDS = (10.0, 20.0)  # from when to when each of these tests breaks something


def shop(**changes: object) -> Scenario:
    """Return a small shop with something of every layer, 100 requests a second for 30 s."""
    tree: dict[str, Any] = {
        "duration_seconds": 30, "warm_up_seconds": 0,
        "client": {"requests_per_second": 100, "timeout_seconds": 2, "attempts": 1,
                   "regions": [{"name": "north", "share": 1}, {"name": "south", "share": 1}]},
        "edge": {"dns": {"ttl_seconds": 5}, "cdn": {"ttl_seconds": 3600, "capacity": 1000}},
        "application": {"replicas": 2, "threads": 8, "cores": 2,
                        "services": {"shop": {"cpu_time": {"exponential": 4}}}},
        "cache": {"ttl_seconds": 300, "capacity": 1000},
        "asynchronous": {"workers": 4, "partitions": 4,
                         "kinds": {"mail": {"service_time": {"exponential": 20}}}},
        "data": {"read_replicas": 2, "connections": 10,
                 "read_time": {"exponential": 5}, "write_time": {"exponential": 5}},
        "datasets": {"things": {"keys": 200, "zipf": 0.5}, "orders": {"keys": 1000},
                     "images": {"keys": 200}},
        "journeys": {
            "look": {"weight": 3, "steps": [
                {"do": "fetch", "dataset": "images"},
                {"do": "call", "service": "shop", "then": [
                    {"do": "lookup", "dataset": "things", "then": [
                        {"do": "read", "dataset": "things"}]}]}]},
            "buy": {"steps": [{"do": "call", "service": "shop", "then": [
                {"do": "write", "dataset": "orders"}, {"do": "publish", "to": ["mail"]}]}]},
        },
    }  # fmt: skip
    return Scenario.model_validate(tree).change(changes)


def hurt(do: str, scenario: Scenario | None = None, **fields: object) -> Result:
    """Return what comes out of a shop in which something is wrong from 10 s to 20 s."""
    begin, end = FAULT_SECONDS
    fault: dict[str, object] = {"do": do, "at_seconds": begin, **fields}
    if "length_seconds" in Fault.kinds[do].model_fields:
        fault |= {"length_seconds": end - begin}
    run = Simulation((scenario or shop()).change({"faults": [fault]}))
    run.advance_to(run.scenario.duration_seconds)
    check_books(run)
    return run.result()


def during(result: Result, column: str, first: float = 10.3, last: float = 20.0) -> float:
    """Return the mean of a column of the time series while something is wrong."""
    series = result.timeseries
    window = series[(series["time_s"] > first) & (series["time_s"] <= last)]
    return float(window[column].mean())


def after(result: Result, column: str) -> float:
    """Return its mean once that is over and what it left behind has gone."""
    return during(result, column, 24.0, 30.0)


def before(result: Result, column: str) -> float:
    """Return its mean before it."""
    return during(result, column, 4.0, 10.0)


ERRORS, SLOW, ASKED = "failed_per_s", "latency_ms_p95", "started_per_s"


# ---------------------------------------------------------------- what users see


FAIL = {  # a fault, its fields, what changes in the shop for it, and why requests fail
    "kill_server": ({}, {"edge.balancer.next_upstream": 1}, "connection refused"),
    "hang_server": ({}, {"edge.balancer.policy": "round_robin"}, "timed out"),
    "bad_deploy": ({"error_rate": 0.3}, {}, "shop release is bad"),
    "cdn_down": ({}, {}, "CDN down"),
    "dns_down": ({"timeout_seconds": 0.5}, {"edge.dns.ttl_seconds": 0}, "name not found"),
    "region_down": ({"region": "south"}, {"edge.dns.failover": True}, "region down"),
    "cache_down": ({}, {}, "cache down"),
    "broker_down": ({}, {}, "broker down"),
    "primary_down": ({}, {}, "no primary"),
    "shard_down": ({}, {"cache.ttl_seconds": 0}, "no replica"),
    "network_loss": ({"link": "client-edge", "share": 0.5, "resent": False}, {}, "network loss"),
    "partition": ({"timeout_seconds": 1}, {"cache.ttl_seconds": 0}, "network partition"),
}


@pytest.mark.parametrize(("do", "case"), FAIL.items(), ids=FAIL)
def test_what_is_down_fails_requests_for_its_reason_and_only_as_long_as_it_is(do, case) -> None:
    """A fault that nobody noticed would teach nothing; one that stayed would be a change."""
    fields, changes, reason = case
    result = hurt(do, shop(**changes), **fields)
    assert during(result, ERRORS) > 2
    assert before(result, ERRORS) == 0
    assert after(result, ERRORS) == 0
    assert result.summary.failures[reason] > 10
    assert after(result, SLOW) == pytest.approx(before(result, SLOW), rel=0.3)


LAST = {  # a fault, its fields, what changes in the shop for it, how much slower users are
    "slow_server": ({"servers": 2, "factor": 20}, {}, 1.2),
    "slow_cache": ({"factor": 500}, {}, 1.2),
    "slow_disk": ({"factor": 15}, {"cache.ttl_seconds": 0}, 1.2),
    "lock_storm": ({"wait_ms": 500}, {}, 1.5),
    "network_latency": ({"link": "application-data", "extra_ms": 500}, {}, 1.3),
    "network_loss": ({"link": "client-edge", "share": 0.1}, {}, 1.5),
}


@pytest.mark.parametrize(("do", "case"), LAST.items(), ids=LAST)
def test_what_is_slow_makes_users_wait_and_only_as_long_as_it_is(do, case) -> None:
    """Slow is the fault that is hardest to see; it has to be in the tail, and to leave it."""
    fields, changes, slower = case
    result = hurt(do, shop(**changes), **fields)
    assert during(result, SLOW) > slower * before(result, SLOW)
    assert after(result, SLOW) == pytest.approx(before(result, SLOW), rel=0.3)


def test_a_flushed_cache_sends_everybody_to_the_database_until_it_is_full_again() -> None:
    """That is the stampede of which so many outages tell."""
    result = hurt("cache_flush")
    series = result.station_series
    reads = series[series["station"] == "data.replicas"].set_index("time_s")["rate_per_s"]
    at_once = reads[(reads.index > 10) & (reads.index < 11)].mean()
    assert at_once > 4 * reads[(reads.index > 8) & (reads.index < 10)].mean()
    assert reads[reads.index > 25].mean() < 0.3 * at_once
    assert result.summary.error_ratio == 0


def test_a_purged_cdn_goes_to_the_origin_for_everything_once() -> None:
    """A purge that cost nothing would be done before every release."""
    result = hurt("cdn_purge", shop(**{"datasets.images.keys": 20}))
    assert during(result, SLOW, 10.0, 11.0) > 1.2 * before(result, SLOW)
    assert after(result, SLOW) == pytest.approx(before(result, SLOW), rel=0.3)


def test_a_traffic_spike_is_as_high_and_as_long_as_it_was_said() -> None:
    """All that is said of capacity depends on it."""
    result = hurt("traffic_spike", factor=4)
    assert during(result, ASKED) == pytest.approx(400, rel=0.05)
    assert before(result, ASKED) == pytest.approx(100, rel=0.15)
    assert after(result, ASKED) == pytest.approx(100, rel=0.15)


def test_spikes_at_one_time_multiply_and_leave_nothing_behind() -> None:
    """Sums of floating-point numbers that come and go would leave a trace of traffic."""
    run = Simulation(shop())
    for factor in (3, 0.1, 7):
        run.inject({"do": "traffic_spike", "factor": factor, "length_seconds": factor})
    run.advance(0.05)
    assert run.plane.world.sources["rate"][0] == pytest.approx(210)
    run.advance(9)
    assert run.plane.world.sources["rate"][0] == 100


def test_messages_of_a_dead_worker_are_delivered_again() -> None:
    """At least once is the promise; who dies must not take a message along."""
    result = hurt("worker_crash", shop(**{"asynchronous.workers": 1}))
    letters = result.messages.iloc[0]
    assert letters["dead"] == 0
    assert letters["processed"] + letters["in_progress"] >= letters["published"] - 2
    assert result.summary.error_ratio == 0, "nobody waits for it"
    depth = result.station_series
    mail = depth[depth["station"] == "asynchronous.mail"].set_index("time_s")["waiting"]
    assert mail[(mail.index > 18) & (mail.index < 20)].mean() > 50
    assert mail[mail.index > 28].mean() < 5


def test_poison_messages_end_among_the_dead_letters() -> None:
    """A message that nobody can digest must not go round for ever."""
    changes = {"asynchronous.attempts": 2, "asynchronous.retry_delay_ms": 10}
    letters = hurt("poison_messages", shop(**changes), share=1).messages.iloc[0]
    assert letters["dead"] == pytest.approx(250, rel=0.3)


def test_a_poison_message_fails_at_every_delivery_of_the_fault() -> None:
    """Drawn anew each time, nearly every message would get through at the fifth."""
    changes = {"asynchronous.attempts": 5, "asynchronous.retry_delay_ms": 10}
    letters = hurt("poison_messages", shop(**changes), share=0.4).messages.iloc[0]
    assert letters["dead"] == pytest.approx(0.4 * 250, rel=0.3)


def test_replicas_that_lag_give_stale_reads_and_catch_up() -> None:
    """Who does not find his own order calls the hotline."""
    tree = shop(**{"cache.enabled": False, "datasets.things.keys": 20}).model_dump(mode="json")
    tree["journeys"]["buy"]["steps"][0]["then"][0]["dataset"] = "things"
    scenario = Scenario.model_validate(tree)
    healthy = simulate(scenario).summary.stale_read_ratio
    stale = hurt("replica_lag", scenario, factor=20).summary.stale_read_ratio
    assert stale > 2 * healthy


def test_a_late_autoscaler_has_its_clock_back_afterwards() -> None:
    """A fault of the control plane has to be over, too."""
    scenario = shop(**{"application.autoscaler.on": True})
    run = Simulation(scenario)
    run.inject({"do": "late_autoscaler", "late_seconds": 300, "length_seconds": 5})
    run.change("application.autoscaler.sync_seconds", 5)
    assert run.scenario.application.autoscaler.late_seconds == 300
    run.advance(6)
    rules = run.scenario.application.autoscaler
    assert (rules.late_seconds, rules.sync_seconds) == (0, 5)


def test_sessions_in_a_store_that_dies_are_gone() -> None:
    """All users sign in again at once: the second wave of such an outage."""
    changes = {"application.sessions.kind": "store", "client.users": 30}
    result = hurt("sessions_down", shop(**changes))
    assert result.summary.failures["session store down"] > 100
    assert during(result, SLOW, 20.3, 21.5) > 1.2 * before(result, SLOW)


def test_a_replica_that_dies_is_not_noticed_where_there_is_another() -> None:
    """That is what the second one is paid for."""
    result = hurt("replica_down", shop(**{"cache.ttl_seconds": 0}))
    assert result.summary.failed < 5
    assert after(result, SLOW) == pytest.approx(before(result, SLOW), rel=0.3)


# ---------------------------------------------------------------- exactly restored


@pytest.mark.parametrize("info", catalogue(load("amazon")), ids=lambda info: info.do)
def test_a_fault_that_overlaps_itself_leaves_nothing_behind(info) -> None:
    """What is undone in another order than it was done has to be undone all the same."""
    changes = {"edge.dns.failover": True, "application.autoscaler.on": True,
               "application.sessions.kind": "store", "data.read_replicas": 3}  # fmt: skip
    run = Simulation(shop(**changes))
    run.advance(1)
    seen = standing(run)
    for length in (2.0, 0.5, 1.0):
        with contextlib.suppress(ScenarioError):  # some cannot be twice
            run.inject({"do": info.do} | ({"length_seconds": length} if info.lasts else {}))
        run.advance(0.1)
    assert not info.lasts or standing(run) != seen
    run.advance(3)
    assert standing(run) == seen


def standing(run: Simulation) -> list[object]:
    """Return all that a fault may touch and has to give back."""
    world = run.plane.world
    return [
        world.steps["op"].tolist(),
        world.pools["slots"].tolist(),
        world.pools["room"].tolist(),
        world.pools["up"].tolist(),
        world.dists["a"].tolist(),
        world.dists["family"].tolist(),
        world.sources["rate"].tolist(),
        lag_seconds(run),
        run.scenario,
    ]
