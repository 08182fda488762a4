"""Comparisons, trials, sweeps, explanations: what they say is so."""

import math

import pytest

from engine import ScenarioError, load, simulate
from engine.study.compare import compare
from engine.study.explain import explain
from engine.study.headroom import Objective, headroom
from engine.study.lab import Lab
from engine.study.sweep import Precision, axis, knee, law, ranged, scalability, sweep
from engine.study.trials import what_next
from tests.study.small import small


def test_a_system_does_not_differ_from_itself() -> None:
    """Noise would be told as a difference."""
    found = compare({"a": small(), "b": small()}, Lab(), runs=4)
    assert all(not verdict.change.real for verdict in found.verdicts)
    assert "no difference beyond noise" in found.of("b", "latency_ms_p99").sentence


def test_a_second_server_is_told_as_faster_and_dearer_and_what_differs_is_named() -> None:
    """The engineer's question would stay open."""
    other = small(client__requests_per_second=90, application__replicas=2)
    found = compare({"one": small(client__requests_per_second=90), "two": other}, Lab(), runs=5)
    verdict = found.of("two", "latency_ms_p99")
    assert verdict.change.real
    assert verdict.change.mean < 0
    assert verdict.sentence.endswith("better")
    assert found.of("two", "cost_usd_per_hour").change.mean > 0
    assert found.differs["two"] == [("application.replicas", 1, 2)]


def test_the_lever_that_helps_most_stands_first() -> None:
    """The user would turn what does nothing."""
    trials = what_next(small(client__requests_per_second=95), Lab(), runs=4)
    assert "server" in trials[0].label.lower() or "core" in trials[0].label.lower()
    assert trials[0].effect("latency_ms_p99") < 0
    assert any("no effect beyond noise" in trial.sentence for trial in trials)


def test_headroom_is_the_load_at_which_theory_puts_the_p99() -> None:
    """M/M/1 with a mean of 10 ms: the P99 of the stay is ln(100) / (μ - λ) = 200 ms at λ = 77."""
    calm = small(
        duration_seconds=1500,
        client__web_round_trip=0,
        client__mobile_round_trip=0,
        application__threads=500,
    )
    found = headroom(calm, Lab(), Objective(200.0, 0.01))
    assert found.rate == pytest.approx(100 - math.log(100) / 0.2, rel=0.05)
    assert found.first == "application.server"
    assert 0 < found.half_width < 0.1 * found.rate
    assert f"± {found.half_width:,.0f} requests/s" in found.sentence


def test_little_holds_at_every_station_and_erlang_at_a_simple_one() -> None:
    """Theory beside the measurement would accuse the engine, or hide its faults."""
    scenario = small(duration_seconds=600, application__threads=1, client__requests_per_second=60)
    row = explain(simulate(scenario)).stations.loc["application.server"]
    assert row["number_mean"] == pytest.approx(row["little_number"], rel=0.02)
    assert row["wait_ms_mean"] == pytest.approx(row["theory_wait_ms"], rel=0.15)
    assert abs(row["wait_ms_mean"] - row["theory_wait_ms"]) < 2 * row["wait_half_width_ms"]
    assert row["wait_half_width_ms"] < 0.3 * row["wait_ms_mean"]
    assert explain(simulate(scenario)).bottleneck == "application.server"


def test_a_part_that_nobody_waits_for_is_named_where_it_is_busier() -> None:
    """Else the busiest part on the map would be another than the one in words."""
    result = simulate(load("amazon"))
    busiest = result.stations["utilisation"].idxmax()
    assert result.stations.loc[busiest, "layer"] == "asynchronous"
    said = " ".join(explain(result).sentences)
    assert f"In the background {result.stations.loc[busiest, 'title']} is busier" in said


def test_a_sweep_bends_where_the_server_is_full() -> None:
    """The hockey stick would be straight."""
    scenario = small()
    found = sweep(scenario, [ranged(scenario, "client.requests_per_second", 20, 140, 7)], Lab(), 2)
    assert found.whole
    curve = found.curve("latency_ms_mean")["value"].tolist()
    assert curve[-1] > 5 * curve[0]
    flow = found.curve("answered_per_second")["value"].tolist()
    assert (
        found.curve("client.requests_per_second" and "latency_ms_p99")["runs"].tolist() == [2] * 7
    )
    load = [row["client.requests_per_second"] for row in found.table.to_dict("records")]
    assert 40 <= load[knee(load, flow, curve)] <= 80
    fitted = law(found)
    assert fitted is not None
    assert fitted.fit == scalability(found)
    assert fitted.fit.beta > 0 or fitted.fit.alpha > 0
    assert fitted.alpha.runs == 2


def test_each_cell_is_played_until_it_is_as_sure_as_asked() -> None:
    """A full server needs more runs than an idle one, and both would get as many."""
    scenario, told = small(), list[tuple[int, int]]()
    axes = [axis(scenario, "client.requests_per_second", [20, 95])]
    lab = Lab(report=lambda done, total: told.append((done, total)))
    found = sweep(scenario, axes, lab, 2, Precision("latency_ms_p99", 0.1, 60))
    idle, full = found.cells
    assert len(idle.outcomes) < len(full.outcomes)
    for cell in found.cells:
        sure = cell.interval("latency_ms_p99")
        assert sure.within(0.1) or sure.runs == 60
    played = len(idle.outcomes) + len(full.outcomes)
    assert told[-1] == (played, played)


def test_a_range_can_be_linear_logarithmic_or_a_list() -> None:
    """A TTL is asked for in powers of ten, replicas in whole numbers."""
    scenario = small()
    assert ranged(scenario, "application.replicas", 1, 4, 4).points == (1, 2, 3, 4)
    assert axis(scenario, "application.full", ["refuse", "drop"]).points == ("refuse", "drop")
    log = ranged(scenario, "client.requests_per_second", 10, 1000, 3, "log")
    assert log.points == pytest.approx((10, 100, 1000))


@pytest.mark.parametrize(
    ("path", "low", "high", "count", "says"),
    [
        ("application.replicas", 5, 2, 3, "turn them around"),
        ("application.replica", 1, 2, 3, "did you mean application.replicas"),
        ("application.replicas", 1, 4, 1, "at least 2"),
        ("application.replicas", -5, 2, 3, "application.replicas"),
        ("edge.balancer.policy", 1, 2, 2, "is no number"),
    ],
)
def test_a_bad_range_gets_one_line(
    path: str, low: float, high: float, count: int, says: str
) -> None:
    """A traceback would not say what to change."""
    with pytest.raises(ScenarioError, match=says) as error:
        ranged(small(), path, low, high, count)
    assert "\n" not in str(error.value)
