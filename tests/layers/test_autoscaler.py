"""Autoscalers: when servers come and go, why, what it costs, and whom it helps."""

from typing import Any

import pytest

from engine import Scenario, ScenarioError, Simulation
from tests.books import check_books
from tests.layers.test_layers import call, servers, system

HALF = {"enabled": True, "scrape_interval_seconds": 5}


def scaled(
    rate: float = 100,
    traffic: Any = None,
    seconds: float = 600,
    replicas: int = 2,
    app: Any = None,
    **rules: Any,
) -> Scenario:
    """Return servers of one core and 10 ms, 100 calls a second each, with an autoscaler."""
    client: dict[str, Any] = {"enabled": False, "requests_per_second": rate}
    if traffic:
        client["pattern"] = traffic
    fields = {"replicas": replicas, "threads": 8, "cores": 1, "queue_limit": 100_000}
    fields["autoscaler"] = {"on": True, "startup_seconds": 20} | rules
    return system(
        call(),
        client=client,
        edge={"dns": {"on": False}, "balancer": {"latency": 0}},
        application=servers(10, **fields | (app or {})),
        observability=HALF,
        duration_seconds=seconds,
    )


def told(run: Simulation) -> list[tuple[float, str]]:
    """Return when and what was decided."""
    events = run.result().events
    rows = events[events["kind"] == "scale"]
    return list(zip(rows["time_s"], rows["text"], strict=True))


def count(run: Simulation) -> int:
    """Return how many servers take calls."""
    return int(run.plane.scaled("server"))


def test_servers_follow_the_load_to_the_target() -> None:
    """310 calls a second at 80 % need four servers of a hundred: 3.9, rounded up."""
    run = Simulation(scaled(rate=310, replicas=2))
    run.advance(16.0)
    ((time, text),) = told(run)
    assert time == 15.0
    assert text == "server: CPU 99 % of 80 %, 2 → 3 servers; ready in 20 s"
    assert count(run) == 2
    run.advance(20.0)
    assert count(run) == 3
    run.advance(400.0)
    assert count(run) == 4
    check_books(run)


def test_within_the_tolerance_nothing_is_done() -> None:
    """A scale that answered every ripple would never rest: 82 % is near enough to 80 %."""
    run = Simulation(scaled(rate=328, replicas=4))
    run.advance(300.0)
    assert told(run) == []
    run = Simulation(scaled(rate=328, replicas=4, tolerance=0.0))
    run.advance(300.0)
    assert told(run) != []


def test_a_server_that_starts_takes_no_calls_and_is_paid_for() -> None:
    """Capacity that were there at once would make every autoscaler a good one."""
    run = Simulation(scaled(rate=310, replicas=2, startup_seconds=60, seconds=60))
    run.advance(60.0)
    assert count(run) == 2
    result = run.result()
    (quantity,) = result.cost[result.cost["station"] == "application.server"]["quantity"]
    # Two for a quarter of the minute, then three, and what was decided while one started.
    assert 2.5 < quantity <= 4.0
    assert len(told(run)) == 1  # who starts counts as using nothing: no panic


def test_scaling_down_waits_for_five_minutes_of_lower_recommendations() -> None:
    """Kubernetes takes the highest recommendation of the last 300 s; a dip costs nobody."""
    traffic = {"shape": "spike", "start_seconds": 0, "length_seconds": 100, "factor": 3}
    run = Simulation(scaled(rate=100, traffic=traffic, replicas=4))
    run.advance(390.0)
    assert count(run) == 4
    run.advance(45.0)
    assert count(run) == 2
    ((time, text),) = told(run)
    assert 400 <= time <= 435
    assert "4 → 2 servers" in text
    run.advance(100.0)
    assert count(run) == 2


def test_the_pace_limits_how_fast_servers_come() -> None:
    """By default four or twice as many in 15 s, whichever is more."""
    rules = {"startup_seconds": 0, "min_replicas": 1, "cpu_initialization_seconds": 0}
    run = Simulation(scaled(rate=2000, replicas=1, **rules))
    run.advance(16.0)
    assert count(run) == 2  # one server at 100 % asks for two: CPU says no more than that
    slow = {"up": {"servers": 1, "percent": 0, "period_seconds": 60}}
    run = Simulation(scaled(rate=2000, replicas=4, **rules, **slow))
    run.advance(130.0)
    texts = [text for _, text in told(run)]
    assert "4 → 5 servers" in texts[0]
    assert [time for time, _ in told(run)] == pytest.approx([15, 75], abs=16)


def test_a_slow_autoscaler_lets_a_spike_hurt_and_a_fast_one_does_not() -> None:
    """The same load and the same servers; only how soon they are there differs."""
    traffic = {"shape": "ramp", "start_seconds": 30, "length_seconds": 240, "factor": 5}
    slowest = {}
    for startup, sync in ((5, 5), (120, 60)):
        rules = {"startup_seconds": startup, "sync_seconds": sync, "target_cpu_percent": 60}
        run = Simulation(scaled(rate=100, traffic=traffic, seconds=300, **rules))
        run.advance(300.0)
        slowest[startup] = run.result().timeseries["latency_ms_p99"].max()
    assert slowest[5] < 500
    assert slowest[120] > 10 * slowest[5]


def test_a_late_clock_decides_by_what_was_so_long_ago() -> None:
    """A spike that it sees two minutes later is answered two minutes later."""
    traffic = {"shape": "step", "start_seconds": 60, "factor": 4}
    first = []
    for late in (0, 120):
        run = Simulation(
            scaled(rate=50, traffic=traffic, replicas=1, min_replicas=1, late_seconds=late)
        )
        run.advance(300.0)
        first.append(told(run)[0][0])
    assert first[0] == pytest.approx(75, abs=15)
    assert first[1] - first[0] == pytest.approx(120, abs=15)


def test_the_simple_rule_adds_one_above_80_percent_and_takes_one_below_20() -> None:
    """The rule of the textbook, one step at a time, with a rest after each."""
    run = Simulation(scaled(rate=250, replicas=2, mode="simple", cooldown_seconds=60))
    run.advance(16.0)
    assert told(run)[0][1] == "server: CPU 100 %, above 80 %, 2 → 3 servers; ready in 20 s"
    run.advance(285.0)
    assert [time for time, _ in told(run)] == [15.0, 75.0]  # three at 83 %, then four at 63 %
    run = Simulation(scaled(rate=20, replicas=3, mode="simple", min_replicas=1))
    run.advance(300.0)
    texts = [text for _, text in told(run)]
    assert texts[0].startswith("server: CPU ")
    assert [text.split(", ")[-1] for text in texts] == ["3 → 2 servers", "2 → 1 servers"]
    assert count(run) == 1


def test_what_is_planned_happens_when_it_is_planned() -> None:
    """Who knows when the sale begins need not wait for the CPU to say so."""
    plan = [{"at_seconds": 40, "replicas": 6}, {"at_seconds": 100, "replicas": 2}]
    run = Simulation(scaled(mode="scheduled", schedule=plan, startup_seconds=10))
    run.advance(120.0)
    assert told(run) == [
        (40.0, "server: planned for 40 s, 2 → 6 servers; ready in 10 s"),
        (100.0, "server: planned for 100 s, 6 → 2 servers"),
    ]
    paid = run.recorder.paid["application.server"]
    assert paid == [(0.0, 2), (40.0, 6), (100.0, 2)]


def test_scaling_down_loses_nobody() -> None:
    """A server that goes ends what it has in hand, its line included."""
    plan = [{"at_seconds": 10, "replicas": 1}]
    rules = {"mode": "scheduled", "schedule": plan, "replicas": 5, "seconds": 20}
    run = Simulation(scaled(rate=450, **rules, app={"threads": 1}))
    run.advance(10.01)
    assert count(run) == 1
    went = run.plane.world.pools["busy"][1:5] + run.plane.world.pools["waiting"][1:5]
    assert went.sum() > 4
    run.advance(3.0)
    assert not run.plane.world.pools["busy"][1:5].any()
    assert run.result().summary.failed == 0
    check_books(run)


def test_the_cost_of_a_run_is_that_of_the_servers_over_time() -> None:
    """Ten servers for half of the time cost as much as five all the time."""
    plan = [{"at_seconds": 30, "replicas": 10}]
    half = Simulation(scaled(mode="scheduled", schedule=plan, replicas=2, seconds=60))
    half.advance(60.0)
    result = half.result()
    line = result.cost.set_index("station").loc["application.server"]
    assert line["quantity"] == pytest.approx(6.0)
    six = Simulation(scaled(replicas=6, seconds=60, on=False))
    six.advance(60.0)
    assert six.result().summary.cost_usd_per_hour == pytest.approx(result.summary.cost_usd_per_hour)


def test_a_knob_that_is_turned_half_way_costs_half() -> None:
    """Servers that somebody adds by hand are paid for from then on, not from the start."""
    run = Simulation(scaled(replicas=2, seconds=60, on=False))
    run.advance(30.0)
    run.change("application.replicas", 6)
    run.advance(30.0)
    quantity = run.result().cost.set_index("station").loc["application.server", "quantity"]
    assert quantity == pytest.approx(4.0)


def test_threads_that_all_wait_are_seen_by_the_busier_of_two_metrics_only() -> None:
    """A server that waits for others seems idle by its CPU, and is scaled down into an outage."""
    counts = []
    for metric in ("cpu", "busiest"):
        rules = {"metric": metric, "min_replicas": 1, "down": {"window_seconds": 60}}
        scenario = scaled(rate=100, replicas=4, seconds=300, **rules)
        read = {"do": "read", "dataset": "things"}
        slow = {"read_replicas": 0, "read_time": 200, "connections": 100, "hop": 0}
        run = Simulation(
            scenario.change({"data": slow, "journeys.visit.steps": [call(read)]})
        )  # 21 threads of 32 are taken, and one core of four
        run.advance(300.0)
        counts.append(count(run))
    assert counts[0] <= 2
    assert counts[1] == 4


def test_without_metrics_nothing_is_scaled_and_that_is_said_once() -> None:
    """An autoscaler sees what was scraped; it knows nothing else."""
    scenario = scaled(rate=310).change({"observability.enabled": False})
    run = Simulation(scenario)
    run.advance(100.0)
    assert told(run) == [(15.0, "server: no metrics were scraped, so 2 servers stay")]


def test_users_who_are_tied_to_servers_keep_them() -> None:
    """Servers that are taken away while a hash still leads to them would be there for nothing."""
    scenario = scaled(rate=310, replicas=3).change({"edge.balancer.policy": "hash"})
    run = Simulation(scenario)
    run.advance(60.0)
    assert told(run) == [(15.0, "server: policy hash ties users to servers, so 3 servers stay")]


def test_limits_hold_whatever_the_load() -> None:
    """A budget is a budget; and a scale outside of its limits is brought back at once."""
    run = Simulation(scaled(rate=900, replicas=2, max_replicas=4, startup_seconds=0))
    run.advance(200.0)
    assert count(run) == 4
    run = Simulation(scaled(rate=10, replicas=2, min_replicas=3))
    run.advance(40.0)
    assert count(run) == 3


def test_the_autoscaler_can_be_switched_on_while_the_system_runs() -> None:
    """What if I had one now: the question of every class."""
    run = Simulation(scaled(rate=310, on=False))
    run.advance(60.0)
    assert told(run) == []
    run.change("application.autoscaler.on", value=True)
    run.advance(30.0)
    assert len(told(run)) == 1


def test_a_knob_turned_meanwhile_is_where_the_autoscaler_goes_on_from() -> None:
    """Two who set one number: the last one to speak is heard, and the other goes on from there."""
    run = Simulation(scaled(rate=310, replicas=4))
    run.advance(20.0)
    run.change("application.replicas", 2)
    run.advance(30.0)
    assert told(run)[-1][1].endswith("2 → 3 servers; ready in 20 s")


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        ({"min_replicas": 5, "max_replicas": 4}, "min_replicas is 5, above max_replicas 4"),
        ({"mode": "scheduled"}, "there is no schedule"),
        ({"services": ["servr"]}, "did you mean server"),
        ({"down_below_percent": 90}, "not below up_above_percent"),
    ],
)
def test_rules_that_contradict_are_refused_in_one_line(rules: Any, sentence: str) -> None:
    """Nobody may have to find out from a run that goes nowhere."""
    with pytest.raises(ScenarioError, match=sentence) as error:
        scaled().change({f"application.autoscaler.{name}": value for name, value in rules.items()})
    assert "\n" not in str(error.value)


def test_a_run_in_pieces_scales_as_one_in_a_whole() -> None:
    """A pause changes nothing."""
    whole, pieces = Simulation(scaled(rate=310)), Simulation(scaled(rate=310))
    whole.advance(100.0)
    for _ in range(40):
        pieces.advance(2.5)
    assert told(whole) == told(pieces)
    assert whole.result().summary == pieces.result().summary
