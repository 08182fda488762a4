"""Releases that are bad, and how soon somebody takes them back."""

from typing import Any

import pytest

from engine import Simulation
from tests.books import check_books
from tests.layers.test_layers import call, servers, system


def release(seconds: float = 120, **rules: Any) -> Simulation:
    """Return eight servers of which four at a time get a version that fails half of its calls."""
    deploy = {"at_seconds": 10, "start_seconds": 5, "watch_seconds": 15, "error_rate": 0.5}
    app = servers(5, replicas=8, deploy=deploy | rules)
    scenario = system(
        call(),
        application=app,
        client={"enabled": False, "requests_per_second": 400},
        edge={"dns": {"on": False}, "balancer": {"latency": 0, "policy": "round_robin"}},
        observability={"enabled": True, "scrape_interval_seconds": 5},
        duration_seconds=seconds,
    )
    run = Simulation(scenario)
    run.advance(seconds)
    return run


def told(run: Simulation) -> list[tuple[float, str]]:
    """Return when and what was noted of the deployment."""
    events = run.result().events
    rows = events[events["kind"] == "deploy"]
    return list(zip(rows["time_s"], rows["text"], strict=True))


def test_a_bad_release_that_nobody_watches_fails_half_of_all_calls() -> None:
    """A rolling deployment spares nobody if it rolls on."""
    run = release()
    result = run.result()
    after = result.timeseries[result.timeseries["time_s"] > 100]["error_ratio"].mean()
    assert after == pytest.approx(0.5, abs=0.03)
    assert set(result.summary.failures) == {"server new version"}
    assert told(run)[-1][1] == "server is replaced"
    check_books(run)


def test_a_release_that_fails_too_much_is_rolled_back_after_its_first_batch() -> None:
    """Half of the servers fail half of their calls; what was scraped says so, a bit late."""
    run = release(rollback_above=0.05)
    times, texts = zip(*told(run), strict=True)
    assert times == (10.0, 30.0, 35.0)
    assert texts[1].endswith("above 5 %: 4 new servers rolled back")
    assert texts[1].startswith("server: 1")
    assert texts[2] == "server is rolled back"
    series = run.result().timeseries.set_index("time_s")["error_ratio"]
    assert series.loc[18:30].mean() == pytest.approx(0.25, abs=0.03)
    assert series.loc[37:].max() == 0.0
    check_books(run)


def test_a_good_release_is_watched_and_rolls_on() -> None:
    """A guard that stops what is well would be switched off soon."""
    run = release(rollback_above=0.05, error_rate=0)
    assert [time for time, _ in told(run)] == [10.0, 50.0]
    assert run.result().summary.failed == 0


def test_a_release_that_is_slow_takes_more_cpu() -> None:
    """A new version that computes three times as long needs three times the cores."""
    run = release(error_rate=0, cpu_factor=3, watch_seconds=0)
    series = run.result().timeseries.set_index("time_s")["latency_ms_p50"]
    assert series.loc[:9].max() == pytest.approx(5, rel=0.05)
    assert series.loc[40:].min() == pytest.approx(15, rel=0.05)
