"""Simulations: a live run is the same run, changed while it goes on."""

import pytest

from engine import Scenario, ScenarioError, Simulation, load, simulate


def server(**client: object) -> Scenario:
    """Return one server of 10 ms and its users."""
    return Scenario.model_validate({
        "duration_seconds": 40, "warm_up_seconds": 0,
        "client": {"enabled": False, "requests_per_second": 80, **client},
        "application": {"replicas": 1, "threads": 1, "cores": 1, "queue_limit": 1_000_000,
                        "services": {"server": {"cpu_time": {"exponential": 10}}}},
        "journeys": {"visit": {"steps": [{"do": "call", "service": "server"}]}},
    })  # fmt: skip


def test_a_change_takes_effect_from_now_on() -> None:
    """A knob that acted on the past, or not at all, would make live mode a show."""
    run = Simulation(server(requests_per_second=130))
    run.advance(10)
    before = run.result().summary.in_flight
    run.change("application.replicas", 4)
    run.advance(20)
    assert before > 100
    assert run.result().summary.in_flight < 20
    series = run.result().timeseries
    assert series[series["time_s"] <= 10]["started_per_s"].mean() == pytest.approx(130, rel=0.1)


def test_a_new_rate_is_kept() -> None:
    """Double the traffic is twice as many requests from that moment on."""
    run = Simulation(server(requests_per_second=40))
    run.advance(10)
    run.change("client.requests_per_second", 80)
    run.advance(20)
    series = run.result().timeseries
    early, late = series[series["time_s"] <= 10], series[series["time_s"] > 10.5]
    assert early["started_per_s"].mean() == pytest.approx(40, rel=0.2)
    assert late["started_per_s"].mean() == pytest.approx(80, rel=0.1)


def test_a_change_of_structure_is_refused_and_harms_nothing() -> None:
    """What cannot be turned while running has to say so, and leave the run as it was."""
    one, other = Simulation(load("amazon")), Simulation(load("amazon"))
    one.advance(2)
    with pytest.raises(ScenarioError, match=r"data\.shards"):
        one.change("data.shards", 5)
    one.advance_to(4)
    other.advance_to(4)
    assert one.result().summary == other.result().summary


@pytest.mark.parametrize(
    ("path", "value"),
    [("client.users", 2000), ("datasets.records.zipf", 1.5), ("datasets.records.keys", 20_000)],
)
def test_a_change_that_could_have_no_effect_is_refused(path: str, value: float) -> None:
    """A knob that turns and does nothing is worse than one that is stuck."""
    run = Simulation(load("monolith"))
    run.advance(1)
    with pytest.raises(ScenarioError):
        run.change(path, value)


def test_a_change_is_written_in_the_log() -> None:
    """Who looks at a chart later has to see when which knob was turned."""
    run = Simulation(server())
    run.advance(3)
    run.change("application.replicas", 2)
    (event,) = run.result().events.to_dict("records")
    assert (event["time_s"], event["kind"]) == (3.0, "change")
    assert "application.replicas is now 2" in event["text"]


def test_control_events_happen_at_their_exact_times() -> None:
    """A scrape or a flush that came late would see another state than it should."""
    result = simulate(load("amazon").change({"duration_seconds": 21, "warm_up_seconds": 0}))
    assert result.scrapes["time_s"].unique().tolist() == [5.0, 10.0, 15.0, 20.0]
    flushes = result.events[result.events["kind"] == "flush"]
    assert flushes["time_s"].tolist() == [5.0, 10.0, 15.0, 20.0]


@pytest.mark.parametrize("shape", ["ramp", "spike", "diurnal"])
def test_a_traffic_pattern_follows_its_rate(shape: str) -> None:
    """A spike that came at another height or time would test another system."""
    pattern = {"shape": shape, "factor": 4, "start_seconds": 10, "length_seconds": 20}
    scenario = server(requests_per_second=500, pattern=pattern).change({"application.replicas": 40})
    series = simulate(scenario).timeseries
    for first, last in ((0, 10), (10, 20), (20, 30), (30, 40)):
        window = series[(series["time_s"] > first + 0.01) & (series["time_s"] <= last + 0.01)]
        middles = [first + (last - first) * (k + 0.5) / 100 for k in range(100)]
        expected = 500 * sum(scenario.client.pattern.at(time) for time in middles) / 100
        assert window["started_per_s"].mean() == pytest.approx(expected, rel=0.05)
