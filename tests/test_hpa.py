"""The Horizontal Pod Autoscaler, turn by turn: what follows from its rules over time."""

import pytest

from engine import hpa

SAME = (hpa.Policy("Percent", 100, 15.0),)


def turns(
    wanted: list[int], current: int = 4, high: int = 100, every: float = 15.0, **rules: hpa.Rules
) -> list[int]:
    """Return the replicas after each turn of a controller whose metrics ask for so many."""
    memory, counts = hpa.Memory(), []
    for turn, recommended in enumerate(wanted):
        decision = hpa.decide(current, recommended, 1, high, memory, turn * every, **rules)
        current, memory = decision.replicas, decision.memory
        counts.append(current)
    return counts


def pods(count: int, **fields: object) -> dict[str, hpa.Pod]:
    """Return pods that each request a core."""
    return {str(index): hpa.Pod(1000, **fields) for index in range(count)}  # type: ignore[arg-type]


def test_it_doubles_each_quarter_of_a_minute_on_the_way_up() -> None:
    """Four pods or as many again, whichever is more: a spike is met within minutes."""
    assert turns([50] * 5, current=1) == [5, 10, 20, 40, 50]


def test_it_comes_down_only_when_five_minutes_have_asked_for_less() -> None:
    """The highest recommendation of the last 300 s counts: a trough does not cost the servers."""
    counts = turns([10] + [2] * 25, current=10)
    assert counts[:20] == [10] * 20
    assert counts[20:] == [2] * 6


def test_one_high_turn_begins_the_five_minutes_anew() -> None:
    """That is what flapping load does to the bill."""
    counts = turns([10, *[2] * 10, 9, *[2] * 22], current=10)
    assert counts[:20] == [10] * 20
    assert counts[20:31] == [9] * 11
    assert counts[31:] == [2] * 3


def test_without_a_window_it_follows_at_once() -> None:
    """What the window is for shows without it."""
    assert turns([2, 6, 3], down=hpa.Rules(SAME)) == [2, 6, 3]


def test_a_direction_that_is_disabled_is_never_taken() -> None:
    """Some services must not be scaled in by a machine."""
    disabled = hpa.Rules(SAME, "Disabled")
    assert turns([1] * 30, down=disabled) == [4] * 30
    assert turns([9] * 5, up=disabled) == [4] * 5


def test_the_least_of_several_policies_can_be_chosen() -> None:
    """Select Min: one pod a minute, whatever the percentage says."""
    slow = hpa.Rules((hpa.Policy("Pods", 1, 60.0), hpa.Policy("Percent", 100, 15.0)), "Min")
    assert turns([20] * 9, up=slow) == [5, 5, 5, 5, 6, 6, 6, 6, 7]


def test_a_scale_outside_of_its_limits_is_brought_back_at_once() -> None:
    """Whatever the metrics say."""
    assert turns([50], current=12, high=10) == [10]


@pytest.mark.parametrize(("percent", "wanted"), [(72, 4), (87, 4), (89, 5), (60, 3)])
def test_a_tenth_beside_the_target_is_close_enough(percent: int, wanted: int) -> None:
    """Without the tolerance it would add and remove a server all day long."""
    metrics = {name: hpa.Metric(percent * 10) for name in pods(4)}
    assert hpa.resource(4, pods(4), metrics, 80).replicas == wanted


def test_a_fraction_of_a_percent_is_cut_off() -> None:
    """87.9 % is 87 %, which is within a tenth of 80 %; 88 % is not, by a rounding of 1.1."""
    metrics = {name: hpa.Metric(879) for name in pods(4)}
    assert hpa.resource(4, pods(4), metrics, 80) == (4, 87)
    metrics = {name: hpa.Metric(880) for name in pods(4)}
    assert hpa.resource(4, pods(4), metrics, 80) == (5, 88)


def test_servers_that_start_do_not_make_it_add_more() -> None:
    """Pods that are not ready yet count as idle before it scales up."""
    running = pods(4)
    starting = {f"new {index}": hpa.Pod(1000, "Pending", ready=False) for index in range(4)}
    metrics = {name: hpa.Metric(1500) for name in running}
    assert hpa.resource(4, running, metrics, 80).replicas == 8
    assert hpa.resource(8, running | starting, metrics, 80).replicas == 8


def test_servers_without_metrics_keep_it_from_taking_some_away() -> None:
    """Who is silent may be busy: before a scale-down it counts as using all it has."""
    metrics = {name: hpa.Metric(300) for name in pods(2)}
    assert hpa.resource(2, pods(2), metrics, 80).replicas == 1
    assert hpa.resource(4, pods(4), metrics, 80).replicas == 4


def test_without_any_metric_it_does_nothing() -> None:
    """An autoscaler that took silence for idleness would finish an outage off."""
    with pytest.raises(hpa.MissingError):
        hpa.resource(4, pods(4), {}, 80)
    with pytest.raises(hpa.MissingError):
        hpa.resource(4, pods(4, phase="Pending"), {"0": hpa.Metric(1)}, 80)


def test_a_queue_is_shared_out_among_its_workers() -> None:
    """So many messages a worker: the depth decides, not how busy they are."""
    assert hpa.average(6, usage=60_000, target=5000).replicas == 12
    assert hpa.average(12, usage=61_000, target=5000).replicas == 12
    assert hpa.average(12, usage=0, target=5000).replicas == 0
