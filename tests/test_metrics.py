"""Metrics: what controllers and alerts see, which is what was scraped and nothing else."""

import math
import typing
from typing import Any

import pytest

from engine import Simulation, load
from engine.layers import alerts
from engine.metrics import NAMES
from tests.layers.test_layers import call, servers, system


def begun(seconds: float, per_second: float = 100, **sections: Any) -> Simulation:
    """Return a run of one service that has gone on for a while."""
    client = {"enabled": False, "requests_per_second": per_second}
    sections = {"observability": {"enabled": True}, **sections}
    run = Simulation(system(call(), **{"client": client, "duration_seconds": 600, **sections}))
    run.advance_to(seconds)
    return run


def test_before_the_first_scrape_nothing_is_known() -> None:
    """A controller that knew more than its metrics would react before anybody could."""
    run = begun(4.9, application=servers(5))
    assert all(math.isnan(run.metrics.value(name)) for name in NAMES)
    assert run.metrics.series("error_ratio") == []
    assert run.metrics.by_server("cpu_utilisation", "application.server") == []


def test_between_two_scrapes_nothing_new_is_seen() -> None:
    """A change shows at the next scrape, not when it happens."""
    run = begun(11, application=servers(5, replicas=1, threads=1, cores=1))
    before = run.metrics.value("cpu_utilisation", "application.server")
    run.change("client.requests_per_second", 190)
    run.advance(3.9)
    assert run.metrics.value("cpu_utilisation", "application.server") == before
    run.advance(5.2)
    assert run.metrics.value("cpu_utilisation", "application.server") > before + 0.3


@pytest.mark.parametrize(
    "app",
    [
        {"threads": 16, "cores": 2},
        {"threads": 16, "cores": 2, "cpu": "processor_sharing"},
        {"threads": 2, "cores": 2},
    ],
    ids=["cores are pools", "cores are shared", "threads alone"],
)
def test_cpu_utilisation_is_a_share_of_the_cores(app: dict[str, Any]) -> None:
    """An autoscaler that took threads for cores would scale by who waits, not by who works."""
    run = begun(60, application=servers(10, replicas=2, **app))
    seen = run.metrics.value("cpu_utilisation", "application.server", 50)
    assert seen == pytest.approx(100 * 0.010 / 4, abs=0.03)
    each = run.metrics.by_server("cpu_utilisation", "application.server", 50)
    assert sum(each) / 2 == pytest.approx(seen)
    assert run.metrics.value("cpu_utilisation", window_seconds=50) == seen


def test_servers_that_came_and_those_that_died_count_as_long_as_they_were_there() -> None:
    """A dead server that counted as idle would make an autoscaler take away a living one."""
    run = begun(31, application=servers(10, replicas=1, threads=4, cores=2))
    run.plane.scale("server", 4)
    run.advance_to(61)
    station = "application.server"
    assert run.metrics.value("cpu_utilisation", station) == pytest.approx(1 / 8, abs=0.02)
    both = run.metrics.value("cpu_utilisation", station, 60)
    assert both == pytest.approx((30 * 2 * 1 / 2 + 30 * 8 * 1 / 8) / (30 * 2 + 30 * 8), abs=0.02)
    dead = run.plane.program.stations[station].pools[3]
    run.plane.mark_up(dead, up=False)
    run.plane.shut([dead], refuses=True)
    run.advance_to(91)
    assert run.metrics.value("servers_up", station) == 3
    each = run.metrics.by_server("cpu_utilisation", station)
    assert [math.isnan(load) for load in each] == [False, False, False, True]
    assert run.metrics.value("cpu_utilisation", station) == pytest.approx(1 / 6, abs=0.02)


def test_a_window_that_is_longer_than_a_scrape_is_smoother() -> None:
    """Rates over a minute hide what rates over five seconds show."""
    run = begun(61, per_second=20, application=servers(5))
    short = [value for _, value in run.metrics.series("requests_per_second")]
    long = [value for _, value in run.metrics.series("requests_per_second", "", 30)]
    assert len(short) == len(long) == 12
    assert long[0] == short[0]
    assert max(short[6:]) - min(short[6:]) > max(long[6:]) - min(long[6:])
    assert long[-1] == pytest.approx(20, rel=0.2)


def test_whole_and_station_agree_with_the_result() -> None:
    """What was scraped over the whole run is what came out of it."""
    app = servers({"exponential": 20}, replicas=1, threads=4, cores=2, queue_limit=2)
    run = begun(100.001, per_second=110, application=app)
    result = run.result()
    metrics, said = run.metrics, result.summary
    assert metrics.value("error_ratio", "", 100) == pytest.approx(said.error_ratio, rel=0.05)
    p99 = metrics.value("latency_p99_seconds", "", 101) * 1e3
    assert p99 == pytest.approx(said.latency_ms_p99)
    row = result.stations.loc["application.server"]
    own = metrics.value("latency_p99_seconds", "application.server", 101) * 1e3
    assert own == pytest.approx(row["residence_ms_p99"])
    cpu = metrics.value("cpu_utilisation", "application.server", 101)
    assert cpu == pytest.approx(row["cpu_utilisation"], rel=1e-4)


def test_a_station_without_a_figure_says_that_it_has_none() -> None:
    """A zero would be taken for a figure, and an alert on it for one that can fire."""
    run = begun(20, application=servers(5))
    for name in ("hit_ratio", "queue_depth", "replica_lag_seconds"):
        assert math.isnan(run.metrics.value(name, "application.server"))
    assert math.isnan(run.metrics.value("error_ratio", "application.nobody"))
    with pytest.raises(KeyError):
        run.metrics.value("temperature")


def test_replicas_that_fall_behind_are_seen() -> None:
    """The lag that is scraped is the one that a fault has made, from the next scrape on."""
    run = Simulation(load("amazon").change({"duration_seconds": 60}))
    run.advance_to(11)
    usual = run.metrics.value("replica_lag_seconds")
    run.inject({"do": "replica_lag", "factor": 40})
    run.advance(5)
    assert run.metrics.value("replica_lag_seconds", "data.replicas") == 40 * usual == 40 * 0.055


def test_a_component_may_say_a_figure_of_itself() -> None:
    """Replicas know how far they are behind; it is seen when they are scraped."""
    run = begun(10, application=servers(5))
    run.metrics.gauge("replica_lag_seconds", "data.replicas", lambda: float(run.env.now))
    assert math.isnan(run.metrics.value("replica_lag_seconds", "data.replicas"))
    run.advance(7)
    assert run.metrics.value("replica_lag_seconds", "data.replicas") == 15
    assert run.metrics.value("replica_lag_seconds") == 15


def test_without_observability_nobody_sees_anything() -> None:
    """Metrics that came from nowhere would let controllers work for free."""
    run = begun(30, application=servers(5), observability={"enabled": False})
    assert math.isnan(run.metrics.value("cpu_utilisation", "application.server"))


def test_every_figure_is_known_of_the_whole_of_a_large_system() -> None:
    """What a rule may name exists, and the other way round."""
    run = Simulation(load("amazon"))
    run.advance_to(30)
    known = {name: run.metrics.value(name) for name in NAMES}
    assert not [name for name, value in known.items() if math.isnan(value)]
    assert set(typing.get_args(alerts.Metric)) == set(NAMES)
    assert known["servers_up"] == 12
    assert run.metrics.stations("queue_depth") == [
        f"asynchronous.{kind}" for kind in ("payment", "inventory", "email", "analytics")
    ]


def test_looking_at_metrics_alters_nothing() -> None:
    """A run that is watched is the same run."""
    plain, watched = (Simulation(load("monolith")) for _ in range(2))
    for _ in range(30):
        watched.advance(2)
        for name in NAMES:
            watched.metrics.value(name, "", 10)
    plain.advance_to(60)
    assert plain.result().summary == watched.result().summary


def test_old_scrapes_are_dropped() -> None:
    """Memory that grew with the length of a run would end a long one."""
    run = begun(90, application=servers(5), observability={"scrape_interval_seconds": 0.1})
    assert len(run.recorder.scrapes) == 720
    assert run.recorder.scrapes[-1].time == pytest.approx(90)
