"""Live runs: what is watched, acted on and branched is the run that it would have been."""

import itertools

import numpy as np
import pytest

from engine import Live, Scenario, ScenarioError, load, simulate
from engine.live import FRAMES_MAX


def shop() -> Scenario:
    """Return a small shop whose run is soon over."""
    return load("amazon").change(
        {"client.requests_per_second": 80, "duration_seconds": 20, "warm_up_seconds": 2}
    )


def played(live: Live, *pieces: float) -> list[object]:
    """Return all frames of a run that is advanced in pieces, as plain numbers."""
    frames = [frame for piece in pieces for frame in live.advance(piece)]
    return [[np.asarray(value).tolist() for value in frame] for frame in frames]


def test_pieces_equal_the_whole() -> None:
    """A run whose course depended on how often somebody looked would be no experiment."""
    whole, pieces = Live(shop()), Live(shop())
    assert np.array_equal(
        np.array(str(played(whole, 20))), np.array(str(played(pieces, 0.3, 4.45, 0, 7.77, 9)))
    )
    assert whole.result().summary == pieces.result().summary == simulate(shop()).summary


def test_frames_say_what_the_result_says() -> None:
    """Charts that grow and the tables of the same run must not tell two stories."""
    live = Live(shop())
    frames = live.advance(20)
    summary = live.result().summary
    assert sum(frame.answered_per_s for frame in frames) == pytest.approx(summary.answered)
    assert sum(frame.failed_per_s for frame in frames) == pytest.approx(summary.failed)
    series = live.result().station_series
    place = live.stations.index("application.product")
    busy = series[series["station"] == "application.product"]["utilisation"]
    mine = [frame.utilisation[place] for frame in frames]
    assert np.mean(mine) == pytest.approx(busy.mean(), rel=0.02)
    flows = live.result().flows
    for index, (source, target) in enumerate(live.edges):
        same = flows[(flows["source"] == source) & (flows["target"] == target)]
        seen = np.mean([frame.flow_per_s[index] for frame in frames])
        assert seen == pytest.approx(same["rate_per_s"].mean() if len(same) else 0.0, abs=0.01)


def test_a_branch_in_which_nothing_differs_is_the_same_run() -> None:
    """What was done must be done again at the very same moments."""
    live = Live(shop())
    live.advance(5.25)
    live.change("application.replicas", 2)
    live.advance(3.5)
    live.change_all({"client.requests_per_second": 150})
    live.advance(20)
    same = live.branch({"edge.balancer.policy": shop().edge.balancer.policy})
    same.advance(20)
    assert same.result().summary == live.result().summary
    assert [action.time for action in same.history] == [5.25, 8.75]


def test_a_branch_has_the_same_faults_at_the_same_moments() -> None:
    """Two lines in a chart compare nothing if the faults differ, in when or how long they were."""
    live = Live(shop())
    live.advance(3.25)
    live.inject({"do": "traffic_spike", "factor": 4, "length_seconds": 30})
    live.advance(2.5)
    live.inject({"do": "kill_server", "service": "product", "length_seconds": 5})
    live.advance(4.1)
    live.mend(0)
    live.advance(20)
    same = live.branch({})
    same.advance(20)
    assert [(action.time, action.do) for action in same.history] == [
        (3.25, "inject"),
        (5.75, "inject"),
        (9.85, "mend"),
    ]
    assert same.result().summary == live.result().summary
    assert simulate(live.recorded()).summary == live.result().summary


def test_workers_that_share_one_line_are_counted_one_by_one() -> None:
    """They are one pool of many hands: a chart that said 1 of six would be wrong."""
    live = Live(load("worker_outage"))
    place = live.stations.index("asynchronous.payment")
    counts = {round(frame.time): int(frame.servers[place]) for frame in live.advance(160)}
    assert (counts[50], counts[100], counts[155]) == (6, 0, 6)
    metrics = live.run.metrics
    assert metrics.value("servers_up", "asynchronous.payment") == 6


def test_servers_that_are_dead_are_not_in_service() -> None:
    """The chart of servers must show what a fault takes away, and that it comes back."""
    live = Live(shop())
    place = live.stations.index("application.product")
    live.advance(2)
    live.inject({"do": "kill_server", "service": "product", "servers": 2, "length_seconds": 5})
    counts = [int(frame.servers[place]) for frame in live.advance(8)]
    assert counts[:4] == [1, 1, 1, 1]
    assert counts[-1] == 3
    assert live.in_force() == []


def test_a_branch_differs_in_its_knob_from_its_moment_on() -> None:
    """A question about 0:08 must leave all before 0:08 as it was."""
    live = Live(shop())
    live.change("application.replicas", 1)
    frames = played(live, 20)
    other = live.branch({"application.replicas": 5}, at_seconds=8)
    others = played(other, 20)
    assert str(frames[:8]) == str(others[:8])
    assert str(frames[8:]) != str(others[8:])
    assert other.run.scenario.application.replicas == 5


def test_a_branch_forgets_who_turned_the_same_knob_later() -> None:
    """What is asked about would otherwise be undone by what was done."""
    live = Live(shop())
    live.advance(5)
    live.change("application.replicas", 1)
    other = live.branch({"application.replicas": 6})
    other.advance(10)
    assert other.run.scenario.application.replicas == 6
    assert other.history == []


def test_a_restart_is_the_run_with_nothing_done_to_it() -> None:
    """The same seed gives the same run, however the first one was treated."""
    live = Live(shop())
    live.advance(3)
    live.change("application.replicas", 1)
    live.advance(9)
    again = live.restart()
    again.advance(20)
    assert again.result().summary == simulate(shop()).summary


def test_a_change_that_is_refused_leaves_the_run_as_it_was() -> None:
    """A class must not lose its run to one wrong number."""
    live = Live(shop())
    live.advance(4)
    for path, value in [("application.replicas", 0), ("data.shards", 7), ("no.such", 1)]:
        with pytest.raises(ScenarioError) as told:
            live.change(path, value)
        assert "\n" not in str(told.value)
    live.advance(16)
    assert live.history == []
    assert live.result().summary == simulate(shop()).summary


def test_what_of_a_script_is_refused_is_told_and_the_run_goes_on() -> None:
    """A branch may lack what a fault strikes; that is an answer, not an end."""
    live = Live(shop())
    live.advance(2)
    other = live.branch({"data.shards": 7}, at_seconds=5)
    other.advance(20)
    [(moment, line)] = other.refused
    assert moment == 5
    assert "data.shards" in line
    assert other.ended


@pytest.mark.parametrize("duration", [20.0, 1800.0, 86_400.0])
def test_there_are_never_too_many_frames(duration: float) -> None:
    """A page keeps every frame of a run: their number must have a bound."""
    live = Live(shop().change({"duration_seconds": duration}))
    assert duration / live.frame_seconds <= FRAMES_MAX


def test_nothing_happens_after_the_end() -> None:
    """The scenario says how long to look."""
    live = Live(shop())
    frames = live.advance(99)
    assert len(frames) == 20
    assert live.ended
    assert live.advance(1) == []


def test_events_are_handed_out_once() -> None:
    """A log that says everything twice is no log."""
    live = Live(shop())
    live.advance(6)
    first = live.events()
    live.advance(6)
    second = live.events()
    assert first
    assert second
    times = [event[0] for event in itertools.chain(first, second)]
    assert times == sorted(times)
    assert not set(first) & set(second)
