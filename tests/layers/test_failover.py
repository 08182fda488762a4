"""Failover: who notices that a primary is dead, which replica takes over, and what is lost."""

from typing import Any

import numpy as np
import pytest

from engine import LAYERS, Scenario, Simulation, inspect
from engine.layers.failover import Failover
from engine.layers.replication import behind, lag_less, lag_more, lag_seconds
from engine.layers.servers import luck
from tests.books import check_books

THING = {"dataset": "things"}
READ, WRITE = {"do": "read", **THING}, {"do": "write", **THING}
WATCH = {
    "on": True,
    "check_every_seconds": 2,
    "failures": 3,
    "promotion_seconds": 4,
    "rebuild_seconds": 30,
}
LAG = {"uniform": {"low": 1000, "high": 2000}}


def run_of(*steps: dict[str, Any], rate: float = 100, **data: Any) -> Simulation:
    """Return a run of requests that meet nothing but databases; half of them write."""
    tree: dict[str, Any] = {name: {"enabled": False} for name in LAYERS}
    journeys = {"read": {"steps": [READ]}, "write": {"steps": [WRITE]}}
    tree |= {
        "client": {"enabled": False, "requests_per_second": rate},
        "data": {"hop": 0, "read_time": 1, "write_time": 1, "lag": LAG, "failover": WATCH} | data,
        "duration_seconds": 120,
        "warm_up_seconds": 0,
        "datasets": {"things": {"keys": 100_000, "zipf": 0}},
        "journeys": {"visit": {"steps": list(steps)}} if steps else journeys,
    }
    return Simulation(Scenario.model_validate(tree))


def failover(run: Simulation) -> Failover:
    """Return the component of a run."""
    return run.scenario.data.failover


def told(run: Simulation, *kinds: str) -> list[tuple[float, str]]:
    """Return when and what the log says of some kinds."""
    return [(when, text) for when, kind, _, text in run.recorder.events if kind in kinds]


def failed(run: Simulation) -> dict[str, int]:
    """Return how many requests have failed why."""
    return run.result().summary.failures


def answered(run: Simulation, journey: str) -> int:
    """Return how many requests of a journey have been answered."""
    index = run.plane.program.journeys.index(journey)
    return int(run.plane.world.journeys["answered"][index])


# ---------------------------------------------------------------- detection and promotion


def test_the_primary_dies_and_the_most_caught_up_replica_is_promoted_after_detection() -> None:
    """A failover that came at once, or took any replica, would teach that it is free."""
    run = run_of(read_replicas=3)
    run.advance_to(10.5)
    failover(run).primary_down(run)
    run.advance_to(60)
    ((seen, why),) = told(run, "failover")
    ((done, text),) = told(run, "promotion")
    assert seen == 16  # checks at 12, 14, 16
    assert "did not answer 3 checks, one every 2 s" in why
    assert done == 20
    rng = luck(run, "failover 0", 0)
    lags = [behind(run, rng) for _ in range(3)]
    assert 1 < min(lags) < max(lags) < 2
    best = f"replica {int(np.argmin(lags)) + 1} of 3 is promoted 9.5 s after the primary fell"
    assert f"{best}; it was {min(lags) * 1e3:,.1f} ms behind" in text
    check_books(run)


def test_writes_of_the_lag_are_lost_and_counted() -> None:
    """Asynchronous replication would look as safe as synchronous."""
    run = run_of(lag=1500)
    run.advance_to(8.5)
    before = answered(run, "write")
    run.advance_to(10)
    acknowledged = answered(run, "write") - before  # within the lag of 1.5 s
    failover(run).primary_down(run)
    run.advance_to(60)
    figures = run.result().figures
    assert figures.loc["Writes lost", "value"] == pytest.approx(acknowledged, abs=1)
    assert acknowledged > 50
    assert (
        f"{int(figures.loc['Writes lost', 'value']):,} acknowledged writes are lost"
        in told(run, "promotion")[0][1]
    )
    assert figures.loc["Without a primary", "value"] == pytest.approx(8)


def test_with_synchronous_commit_nothing_is_lost_and_each_write_costs_more() -> None:
    """Nobody would know what the latency of a synchronous commit buys."""
    times = []
    for commit in ("local", "on"):
        run = run_of(WRITE, commit=commit, lag=1500)
        run.advance_to(10)
        times.append(run.result().summary.latency_ms_mean)
        failover(run).primary_down(run)
        run.advance_to(60)
        lost = run.result().figures.loc["Writes lost", "value"]
        assert (lost == 0) == (commit == "on")
    assert "it had every commit: no write is lost" in told(run, "promotion")[0][1]
    assert times[1] > times[0] + 1.5


def test_meanwhile_writes_have_no_primary_and_afterwards_they_have_one() -> None:
    """The outage would be invisible, or would never end."""
    run = run_of()
    run.advance_to(10)
    failover(run).primary_down(run)
    run.advance_to(19.5)
    outage = answered(run, "write")
    assert set(failed(run)) == {"no primary"}
    assert 300 < failed(run)["no primary"] < 700
    run.advance_to(20)
    refused = failed(run)
    run.advance_to(40)
    assert answered(run, "write") > outage + 800
    assert failed(run) == refused
    assert answered(run, "read") > 1800  # replicas go on all the time


def test_without_failover_the_shard_stays_down_until_the_primary_is_back() -> None:
    """What failover is good for would not show."""
    run = run_of(failover={"on": False})
    run.advance_to(10)
    fallen = failover(run).primary_down(run)
    run.advance_to(50)
    assert 1800 < failed(run)["no primary"] < 2200
    failover(run).back(run, fallen)
    refused = failed(run)
    run.advance_to(60)
    assert failed(run) == refused
    assert not told(run, "failover", "promotion")


def test_other_shards_do_not_notice() -> None:
    """That a shard is a failure domain of its own is half of why there are shards."""
    run = run_of(WRITE, shards=4)
    run.advance_to(10)
    failover(run).primary_down(run, 2)
    run.advance_to(18)
    assert failed(run)["no primary"] == pytest.approx(800 / 4, rel=0.2)
    run.advance_to(60)
    (promoted,) = told(run, "promotion")
    assert promoted[1].startswith("shard 3:")
    served = run.result()._end.pools["busy_area"][failover(run).primary_pools(run)]
    assert served[2] < 0.95 * np.delete(served, 2).min()


def test_a_primary_that_is_back_before_the_promotion_stays_the_primary() -> None:
    """There would be two primaries."""
    run = run_of()
    run.advance_to(10)
    fallen = failover(run).primary_down(run)
    run.advance_to(18)
    failover(run).back(run, fallen)
    run.advance_to(60)
    assert not told(run, "promotion")
    assert "answers again; nobody is promoted" in told(run, "failover")[-1][1]


def test_a_blink_shorter_than_the_detection_promotes_nobody() -> None:
    """Failing over at every blink loses writes for nothing."""
    run = run_of()
    run.advance_to(10.5)
    fallen = failover(run).primary_down(run)
    run.advance_to(15.5)
    failover(run).back(run, fallen)
    run.advance_to(60)
    assert not told(run, "failover", "promotion")


# ---------------------------------------------------------------- who comes back


def test_the_old_primary_comes_back_as_a_replica() -> None:
    """Opened a second time, it would be a second primary: a split brain."""
    run = run_of()
    run.advance_to(10)
    fallen = failover(run).primary_down(run)
    run.advance_to(25)
    up = [run.plane.is_up(pool) for pool in failover(run).replica_pools(run)]
    assert sorted(up) == [False, True]
    failover(run).back(run, fallen)
    assert all(run.plane.is_up(pool) for pool in failover(run).replica_pools(run))
    assert "the old primary is back; it is fenced and follows" in told(run, "server_up")[0][1]
    again = failover(run).primary_down(run)
    assert not run.plane.answers(failover(run).primary_pools(run)[0]), "opened once too often"
    failover(run).back(run, again)
    run.advance_to(100)
    assert len(told(run, "server_up")) == 1, "the place is taken: none is built"


def test_a_new_replica_is_built_where_the_old_primary_stays_away() -> None:
    """Reads would be short of a replica for ever."""
    run = run_of()
    run.advance_to(10)
    fallen = failover(run).primary_down(run)
    run.advance_to(47)
    assert not all(run.plane.is_up(pool) for pool in failover(run).replica_pools(run))
    run.advance_to(51)
    assert all(run.plane.is_up(pool) for pool in failover(run).replica_pools(run))
    assert told(run, "server_up")[0][0] == 48
    failover(run).back(run, fallen)
    assert "not needed" in told(run, "server_up")[1][1]


def test_the_only_replica_goes_on_answering_reads_when_it_is_promoted() -> None:
    """Reads would fail although a machine with all rows is there."""
    run = run_of(read_replicas=1)
    run.advance_to(10)
    failover(run).primary_down(run)
    run.advance_to(40)
    assert set(failed(run)) == {"no primary"}
    assert answered(run, "read") > 1800
    second = failover(run).primary_down(run)
    run.advance_to(42)
    assert "no replica" in failed(run) or "database down" in failed(run)
    failover(run).back(run, second)
    run.advance_to(45)
    check_books(run)


def test_a_shard_without_a_replica_left_waits() -> None:
    """Nobody can be promoted who is dead."""
    run = run_of()
    run.advance_to(10)
    fallen = failover(run).shard_down(run)
    run.advance_to(60)
    assert [text for _, text in told(run, "failover")][1:] == ["shard 1: no replica can take over"]
    assert set(failed(run)) == {"no primary", "no replica"}
    for each in fallen:
        failover(run).back(run, each)
    refused = failed(run)
    run.advance_to(90)
    assert failed(run) == refused


def test_a_primary_that_hangs_is_fenced_too() -> None:
    """Whoever waits for it would wait for ever."""
    run = run_of()
    run.advance_to(10)
    fallen = failover(run).primary_down(run, hangs=True)
    run.advance_to(17)
    assert not failed(run)
    run.advance_to(40)
    assert set(failed(run)) == {"database down"}
    assert told(run, "promotion")
    failover(run).back(run, fallen)
    assert run.plane.answers(failover(run).primary_pools(run)[0])


# ---------------------------------------------------------------- replicas


def test_reads_of_a_dead_replica_go_to_the_others() -> None:
    """One replica in two would be half of all reads."""
    run = run_of(READ)
    run.advance_to(10)
    fallen = failover(run).replica_down(run, 0, 1)
    run.advance_to(30)
    assert set(failed(run)) <= {"database down"}
    assert sum(failed(run).values()) <= 2  # those that it had in hand
    failover(run).back(run, fallen)
    run.advance_to(50)
    areas = run.result()._end.pools["busy_area"][failover(run).replica_pools(run)]
    assert areas[1] < 0.9 * areas[0]


def test_a_replica_that_hangs_is_noticed_by_checks() -> None:
    """Who hangs refuses nobody: only a check can tell."""
    run = run_of(READ)
    run.advance_to(10)
    fallen = failover(run).replica_down(run, 0, 1, hangs=True)
    run.advance_to(30)
    assert told(run, "server_down")[0][0] == 14
    failover(run).back(run, fallen)
    run.advance_to(40)
    assert [when for when, _ in told(run, "server_up")] == [30]
    assert not failed(run)


def test_a_longer_lag_makes_more_reads_stale_until_it_ends() -> None:
    """The fault would be one in name only."""
    stale = []
    run = run_of(READ, WRITE, lag=100, failover={"on": False})
    run = Simulation(run.scenario.change({"datasets.things.keys": 20}))
    assert lag_seconds(run) == pytest.approx(0.1)
    number = 0
    for until in (20, 40, 60):
        if until == 40:
            number = lag_more(run, 5)
            run.change("data.read_time", 2)  # what was broken stays broken
            assert lag_seconds(run) == pytest.approx(0.5)
        if until == 60:
            lag_less(run, number)
            assert lag_seconds(run) == pytest.approx(0.1)
        run.advance_to(until)
        stale.append(int(run.plane.world.ledgers["stale"].sum()))
    assert stale[1] - stale[0] > 1.3 * stale[0]
    assert stale[2] - stale[1] == pytest.approx(stale[0], rel=0.2)


# ---------------------------------------------------------------- what it costs


def test_watching_changes_nothing_as_long_as_nothing_breaks() -> None:
    """A controller that disturbs what it watches would be a fault of its own."""
    runs = [run_of(failover=rules) for rules in (WATCH, {"on": False})]
    for run in runs:
        run.advance_to(60)
    assert np.array_equal(runs[0].plane.world.latency, runs[1].plane.world.latency)
    assert runs[0].recorder.events == runs[1].recorder.events == []


def test_the_same_seed_loses_the_same_writes() -> None:
    """A post-mortem that cannot be repeated proves nothing."""
    logs = []
    for _ in range(2):
        run = run_of(shards=2, read_replicas=3)
        run.advance_to(10)
        failover(run).primary_down(run, 1)
        run.advance_to(60)
        logs.append(run.recorder.events)
    assert logs[0] == logs[1]


def test_a_run_that_is_paused_fails_over_alike() -> None:
    """Stepping through a failover would show another one."""
    worlds = []
    for stops in ((10, 60), (3, 7.7, 10, 11.1, 16, 17.5, 18, 19, 33, 48, 60)):
        run = run_of(shards=2)
        for stop in stops:
            run.advance_to(stop)
            if stop == 10:
                failover(run).primary_down(run, 1)
        worlds.append((run.recorder.events, run.plane.world.latency.tobytes()))
    assert worlds[0] == worlds[1]


def test_a_fault_of_the_timeline_is_followed_by_its_failover() -> None:
    """Faults and failover would be two stories."""
    plan = [{"do": "primary_down", "at_seconds": 10, "length_seconds": 30, "shard": 1}]
    run = Simulation(Scenario.model_validate(run_of().scenario.model_dump() | {"faults": plan}))
    run.advance_to(60)
    kinds = [(when, kind) for when, kind, _, _ in run.recorder.events]
    assert kinds == [
        (10, "fault"),
        (14, "failover"),
        (18, "promotion"),
        (40, "server_up"),
        (40, "fault_over"),
    ]
    assert set(failed(run)) <= {"no primary", "database down"}
    assert all(run.plane.is_up(pool) for pool in failover(run).replica_pools(run))
    check_books(run)


def test_a_primary_with_a_failover_is_no_single_point_of_failure() -> None:
    """The map would warn of what has been taken care of, and not of what has not."""
    said = {}
    for on in (True, False):
        run = run_of(failover=WATCH | {"on": on})
        run.advance_to(5)
        said[on] = inspect(run.result(), "data.primary")
    assert not any("single point" in text for text in said[True].sentences)
    assert any("Failover, at most: 10 s" in text for text in said[True].sentences)
    assert any("single point" in text for text in said[False].sentences)
    assert said[False].remedies[0].changes == {"data.failover.on": True}


def test_equal_replicas_have_no_primary_to_lose() -> None:
    """A fault that cannot be has to say why."""
    run = run_of(commit="quorum")
    assert "no primary" in failover(run).why_no_primary(run.scenario)
    assert failover(run).primary_pools(run) == []
    run.advance_to(30)


def test_the_lag_of_the_moment_is_scraped() -> None:
    """An alert on replica lag would never fire."""
    run = run_of(lag=100)
    run.scrape()
    run.advance_to(10)
    run.scrape()
    assert run.metrics.value("replica_lag_seconds", "data.replicas") == pytest.approx(0.1)
    lag_more(run, 20)
    run.advance_to(20)
    run.scrape()
    assert run.metrics.value("replica_lag_seconds", "data.replicas") == pytest.approx(2.0)
