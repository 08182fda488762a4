"""Workers that follow the backlog, and groups that miss a worker."""

from typing import Any

import pytest

from engine import LAYERS, Scenario, ScenarioError, Simulation
from tests.books import check_books

KIND = "asynchronous.mail"


def letters(rate: float = 100, **layer: Any) -> Scenario:
    """Return requests that send a letter each, 50 ms of work: 20 letters a second and worker."""
    tree: dict[str, Any] = {name: {"enabled": False} for name in LAYERS}
    tree |= {
        "client": {"enabled": False, "requests_per_second": rate},
        "asynchronous": {
            "publish_time": 0,
            "retry_delay_ms": 0,
            "workers": 4,
            "kinds": {"mail": {"service_time": 50}},
            **layer,
        },
        "observability": {"enabled": True, "scrape_interval_seconds": 5},
        "duration_seconds": 600,
        "warm_up_seconds": 0,
        "journeys": {"buy": {"steps": [{"do": "publish", "to": ["mail"]}]}},
    }
    return Scenario.model_validate(tree)


def scaled(rate: float = 200, layer: Any = None, **rules: Any) -> Simulation:
    """Return four workers, 80 letters a second, with an autoscaler."""
    rules = {"on": True, "add_above": 1000, "remove_below": 100, "startup_seconds": 20} | rules
    return Simulation(letters(rate, autoscaler=rules, **(layer or {})))


def told(run: Simulation, kind: str = "scale") -> list[tuple[float, str]]:
    """Return when and what was noted."""
    events = run.result().events
    rows = events[events["kind"] == kind]
    return list(zip(rows["time_s"], rows["text"], strict=True))


def owners(run: Simulation) -> set[int]:
    """Return the workers that partitions belong to, -1 for nobody."""
    first = run.plane.program.stations[KIND].pools[0]
    return {max(-1, pool - first) for pool in run.plane.world.partitions["worker"].tolist()}


# ---------------------------------------------------------------- more workers, and fewer


@pytest.mark.parametrize("layer", [{}, {"broker": "queue"}])
def test_a_long_line_gets_more_workers_and_a_short_one_fewer(layer: Any) -> None:
    """A backlog that only grows is an outage in slow motion."""
    run = scaled(layer=layer, cooldown_seconds=60, sync_seconds=10)
    run.advance(21.0)
    time, text = told(run)[0]
    assert time == pytest.approx(10, abs=11)
    assert text.startswith("Mail: 1,")
    assert text.endswith("messages wait, 4 → 8 workers; ready in 20 s")
    run.advance(200.0)
    assert run.plane.scaled(KIND) >= 12  # 200 a second need ten, and a backlog is to be worked off
    check_books(run)
    run.plane.surge(0.05)
    run.advance(400.0)
    assert run.plane.scaled(KIND) == 1
    assert "only 0 messages wait and workers are" in told(run)[-1][1]
    check_books(run)


def test_no_more_workers_go_than_the_others_can_do_without() -> None:
    """A short line says that there are enough workers, not that there are too many."""
    run = scaled(rate=60, cooldown_seconds=30, sync_seconds=10)
    run.advance(200.0)
    assert told(run) == []  # three quarters busy: three workers would have to be all of the time
    run = scaled(rate=30, cooldown_seconds=30, sync_seconds=10)
    run.advance(200.0)
    assert run.plane.scaled(KIND) == 2


def test_more_workers_than_partitions_are_not_started() -> None:
    """They would stand idle and cost all the same."""
    run = scaled(layer={"partitions": 6}, sync_seconds=10)
    run.advance(200.0)
    assert run.plane.scaled(KIND) == 6
    texts = [text for _, text in told(run)]
    assert texts[0].endswith("4 → 6 workers; ready in 20 s; no more than the topic's partitions")
    assert texts[1].endswith("but 6 workers are as many as the topic's partitions")
    assert len(texts) == 2  # it is said once


def test_nobody_reads_while_workers_join() -> None:
    """A rebalance pauses the whole group: scaling out makes the line longer at first."""
    run = scaled(sync_seconds=10, layer={"rebalance": {"pause_seconds": 4}})
    run.advance(40.1)  # decided at 20 s, started at 40 s
    assert owners(run) == {-1}
    run.advance(4.0)
    assert owners(run) == set(range(8))
    assert told(run, "rebalance") == [
        (44.0, "Mail: 24 partitions are read again, by 8 workers"),
    ]


def test_what_workers_cost_follows_their_number() -> None:
    """Those that start are paid for as well."""
    run = scaled(sync_seconds=20)
    run.advance(60.0)
    quantity = run.result().cost.set_index("station").loc[KIND, "quantity"]
    paid = run.recorder.paid[KIND]
    assert paid[0] == (0.0, 4)
    assert paid[1] == (20.0, 8)
    assert quantity == pytest.approx(4 / 3 + 8 / 3 + paid[-1][1] / 3)


def test_marks_that_contradict_are_refused_in_one_line() -> None:
    """Workers that come and go at once would never work."""
    with pytest.raises(ScenarioError, match="remove_below is 1000, not below add_above 1000"):
        letters().change({"asynchronous.autoscaler.add_above": 1000})


# ---------------------------------------------------------------- workers that are gone


def test_a_dead_worker_is_missed_after_the_session_timeout_and_its_partitions_go_on() -> None:
    """Until then nobody reads them: the price of not mistaking a pause for a death."""
    run = Simulation(letters(rate=40))
    run.advance(10.0)
    pool = run.plane.program.stations[KIND].pools[1]
    run.plane.shut([pool], refuses=True)
    run.advance(40.0)
    assert told(run, "redelivery") == []
    depth = run.plane.world.channels["waiting"][0]
    assert depth == pytest.approx(400, rel=0.2)  # a quarter of the letters waits
    run.advance(10.0)
    ((time, text),) = told(run, "redelivery")
    assert 52 <= time <= 58
    assert text.startswith("Mail: worker 2 was not heard of for 45 s; 4")
    run.advance(60.0)
    assert owners(run) == {0, 2, 3}
    assert run.plane.world.channels["waiting"][0] < 20
    check_books(run)


def test_a_worker_that_is_back_takes_partitions_again() -> None:
    """A group that never let anybody in again would shrink with every outage."""
    run = Simulation(letters(rate=40, rebalance={"session_timeout_seconds": 10}))
    run.advance(10.0)
    pool = run.plane.program.stations[KIND].pools[1]
    run.plane.shut([pool], refuses=True)
    run.advance(30.0)
    assert owners(run) == {0, 2, 3}
    run.plane.reopen([pool])
    run.advance(10.0)
    assert owners(run) == {0, 1, 2, 3}
    assert "worker 2 is back" in told(run, "rebalance")[1][1]
    check_books(run)


def test_a_worker_that_is_back_in_time_is_not_missed() -> None:
    """A restart shorter than the session time-out moves nothing."""
    run = Simulation(letters(rate=40))
    run.advance(10.0)
    pool = run.plane.program.stations[KIND].pools[1]
    run.plane.shut([pool], refuses=True)
    run.advance(30.0)
    run.plane.reopen([pool])
    run.advance(60.0)
    assert told(run, "redelivery") == told(run, "rebalance") == []
    assert run.plane.world.channels["waiting"][0] < 20
    check_books(run)


def test_all_workers_dead_is_waited_out() -> None:
    """There is nobody to give partitions to; when they are back all goes on."""
    run = Simulation(letters(rate=40, rebalance={"session_timeout_seconds": 6}))
    pools = list(run.plane.program.stations[KIND].pools)
    run.advance(5.0)
    run.plane.shut(pools, refuses=True)
    run.advance(30.0)
    run.plane.reopen(pools)
    run.advance(60.0)
    assert owners(run) == {0, 1, 2, 3}
    assert run.plane.world.channels["waiting"][0] < 20
    check_books(run)


def crash(run: Simulation, workers: list[int]) -> int:
    """Let workers die with what they have in hand; return how many messages that was."""
    pools = [run.plane.program.stations[KIND].pools[worker] for worker in workers]
    run.plane.shut(pools, refuses=False)
    return int(run.plane.crash(pools, "mail worker died"))


def test_what_a_dead_worker_had_in_hand_is_delivered_again_after_the_session_timeout() -> None:
    """At least once: a letter that was half written is written anew, by somebody else."""
    run = Simulation(letters(rate=60, idempotency=True))
    run.advance(10.0)
    cut = crash(run, [0, 1])
    assert 1 <= cut <= 2
    check_books(run)
    run.advance(40.0)
    assert told(run, "redelivery") == []
    run.advance(10.0)
    assert [time for time, _ in told(run, "redelivery")] == [54.0, 54.0]
    run.plane.surge(0.05)
    run.advance(100.0)
    row = run.result().messages.loc[KIND]
    assert row["redelivered"] == cut
    assert row["dead"] == row["expired"] == row["waiting"] == 0
    assert row["processed"] >= row["published"] - 2
    figures = run.result().figures["value"]
    assert figures["Mail: redelivered"] == cut
    assert figures["Mail: doubles avoided"] == 0  # it had not come to the effect
    check_books(run)


def test_a_queue_gives_a_dead_workers_message_to_others_after_the_visibility_timeout() -> None:
    """The broker does not know of the death; it only knows that nobody has said done."""
    slow = {"broker": "queue", "visibility_seconds": 20, "kinds": {"mail": {"service_time": 5000}}}
    run = Simulation(letters(rate=1, **slow))
    run.advance(10.0)
    lost = crash(run, [0])  # all hands of a queue are one pool
    assert lost == 4
    pool = run.plane.program.stations[KIND].pools[0]
    run.plane.reopen([pool])
    check_books(run)
    run.plane.surge(0.0)
    run.advance(14.0)
    assert run.result().messages.loc[KIND, "delayed"] == lost  # nobody sees them yet
    run.advance(60.0)
    row = run.result().messages.loc[KIND]
    assert row["delayed"] == row["waiting"] == 0
    assert row["redelivered"] >= lost
    assert row["processed"] == row["published"]
    check_books(run)


def test_what_was_dealt_out_to_a_worker_that_is_gone_is_dealt_out_anew() -> None:
    """Its connection is closed, so the broker knows at once; nothing waits for it in vain."""
    run = Simulation(letters(rate=50, broker="queue", dispatch="in_turn"))
    run.advance(10.0)
    pool = run.plane.program.stations[KIND].pools[2]
    crash(run, [2])
    run.advance(30.0)
    ((time, text),) = told(run, "redelivery")
    assert 10 < time <= 13
    assert text.startswith("Mail: worker 3 has closed its connection;")
    assert run.plane.world.channels["waiting"][0] < 30
    before = run.plane.world.meters["served"].sum()
    run.plane.reopen([pool])
    run.advance(10.0)
    assert owners(run) - {-1} == {0, 1, 2, 3}  # the line itself is nobody's
    assert run.plane.world.meters["served"].sum() > before + 400
    check_books(run)
