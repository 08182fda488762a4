"""What a topic, a queue and their workers do: who gets what, how often, and what is lost."""

from typing import Any

import pandas as pd
import pytest

from engine import LAYERS, Result, Scenario, Simulation, inspect, simulate
from engine.hashing import kafka_partition
from engine.layers.partitions import partitions_of
from tests.books import check_books, check_drained
from tests.workshop import FAR

SECONDS = 20
SLOW = {"exponential": 60}
SLOW_WORKER = {"service_time": 60_000}


def scenario(
    rate: float = 100, steps: list[dict[str, Any]] | None = None, **layer: Any
) -> Scenario:
    """Return requests that publish a message to one kind of worker, and nothing else."""
    kinds = {"mail": {"service_time": 20, **layer.pop("worker", {})}}
    tree = {name: {"enabled": False} for name in LAYERS}
    tree |= {
        "client": {"enabled": False, "requests_per_second": rate},
        "asynchronous": {"publish_time": 0, "retry_delay_ms": 0, "kinds": kinds, **layer},
        "duration_seconds": SECONDS,
        "warm_up_seconds": 0,
        "datasets": {"things": {"keys": 1000, "zipf": 0}},
        "journeys": {"buy": {"steps": steps or [{"do": "publish", "to": ["mail"]}]}},
    }
    return Scenario.model_validate(tree)


def played(rate: float = 100, **layer: Any) -> Result:
    """Return a run of such a scenario."""
    return simulate(scenario(rate, **layer))


def letters(result: Result) -> Any:
    """Return what has become of the messages."""
    return result.messages.loc["asynchronous.mail"]


def figure(result: Result, name: str) -> float:
    """Return a figure of the mail workers."""
    return float(result.figures.loc[f"Mail: {name}", "value"])


def test_books_balance_and_run_dry_whatever_is_on() -> None:
    """A message that is in no column was lost from sight; one that never ends is a leak."""
    for layer in (
        {"broker": "queue", "visibility_seconds": 0.05, "worker": {"service_time": SLOW}},
        {"broker": "queue", "dispatch": "in_turn", "worker": {"poison_rate": 0.2}},
        {"broker": "queue", "dispatch": "in_turn", "prefetch": 3, "worker": {"poison_rate": 0.2}},
        {"partitioner": "key", "tries": {"attempts": 3}, "worker": {"failure_rate": 0.5}},
        {"outbox": {"on": True}, "bounded": True, "capacity": 3, "when_full": "block"},
        {"idempotency": True, "worker": {"lost_ack_rate": 0.3}},
        {"retention_seconds": 0.3, "workers": 1, "worker": {"service_time": 40}},
    ):  # fmt: skip
        run = Simulation(scenario(60, **layer))
        for moment in (0.5, 3.0, 7.7, SECONDS):
            run.advance_to(moment)
            check_books(run)
        run.plane.set_rate(0.0)
        run.plane.advance(FAR)
        check_books(run)
        check_drained(run.plane)


# ---------------------------------------------------------------- who gets what


def test_messages_about_one_thing_go_to_one_worker() -> None:
    """Spread over workers they would overtake each other: the order per key would be lost."""
    one = {"datasets": {"things": {"keys": 1}}}
    steps = [{"do": "publish", "to": ["mail"], "dataset": "things"}]
    done = {}
    for partitioner in ("random", "key"):
        system = scenario(200, steps, workers=4, partitions=8, partitioner=partitioner).change(one)
        done[partitioner] = int(letters(simulate(system))["processed"])
    assert done["key"] == pytest.approx(SECONDS / 0.020, rel=0.02)  # what one worker can do
    assert done["random"] > 3 * done["key"]


def test_a_key_goes_to_the_partition_that_kafka_puts_it_on() -> None:
    """A picture of another hash would show hot partitions where there are none."""
    found = partitions_of(100_001, 24)
    for key in (0, 7, 10, 99, 100, 4321, 12_345, 99_999, 100_000):
        assert found[key] == kafka_partition(str(key), 24)


def test_users_have_an_order_of_their_own_where_no_dataset_is_named() -> None:
    """Messages without a key in common would need none: by user they still spread."""
    result = played(200, workers=4, partitions=8, partitioner="key")
    assert letters(result)["processed"] > 3 * SECONDS / 0.020


def test_a_queue_is_one_line_for_all_its_workers() -> None:
    """Partitions limit Kafka's workers; a queue that they limited would be no queue."""
    done = {
        broker: int(letters(played(400, workers=8, partitions=2, broker=broker))["processed"])
        for broker in ("kafka", "queue")
    }
    assert done["queue"] == pytest.approx(4 * done["kafka"], rel=0.02)


def test_messages_dealt_out_in_turn_wait_behind_the_slow_one() -> None:
    """With unlimited prefetch a message waits for its worker while others stand idle."""
    slow = {"service_time": {"bimodal": {"fast": 5, "slow": 500, "slow_share": 0.05}}}
    waits = {}
    for dispatch in ("fair", "in_turn"):
        result = played(100, workers=6, broker="queue", dispatch=dispatch, worker=slow)
        waits[dispatch] = result.stations.loc["asynchronous.mail", "wait_ms_mean"]
    assert waits["in_turn"] > 3 * waits["fair"]


def test_a_prefetch_of_one_is_as_fair_as_one_line() -> None:
    """Each waits for whoever is free first; only the round trip is paid on top of it."""
    slow = {"service_time": {"bimodal": {"fast": 5, "slow": 500, "slow_share": 0.05}}}
    waits = {}
    for name, layer in {
        "one line": {},
        "pushed": {"dispatch": "in_turn", "prefetch": 1, "round_trip_ms": 0},
        "three": {"dispatch": "in_turn", "prefetch": 3, "round_trip_ms": 0},
        "without limit": {"dispatch": "in_turn", "prefetch": 0, "round_trip_ms": 0},
    }.items():
        result = played(100, workers=6, broker="queue", worker=slow, **layer)
        waits[name] = result.stations.loc["asynchronous.mail", "wait_ms_mean"]
    assert waits["pushed"] == pytest.approx(waits["one line"], rel=1e-9)
    assert waits["one line"] < waits["three"] < waits["without limit"]


@pytest.mark.parametrize("prefetch", [1, 2, 5, 10, 30])
def test_a_prefetch_hides_the_round_trip(prefetch: int) -> None:
    """So many are on the way or in hand in the time of one's work and a round trip (Little)."""
    work, trip = 0.002, 0.018
    result = played(
        800, workers=1, broker="queue", dispatch="in_turn", prefetch=prefetch,
        round_trip_ms=trip * 1e3, worker={"service_time": work * 1e3},
    )  # fmt: skip
    rate = min(1 / work, prefetch / (work + trip))
    assert letters(result)["processed"] / SECONDS == pytest.approx(rate, rel=0.005)


def test_what_was_dealt_out_takes_no_room_in_a_queue() -> None:
    """RabbitMQ's x-max-length counts the messages that are ready, not those that are pushed."""
    layer = {"workers": 1, "broker": "queue", "dispatch": "in_turn", "worker": SLOW_WORKER}
    waiting = {
        prefetch: int(
            letters(played(50, prefetch=prefetch, bounded=True, capacity=10, **layer))["waiting"]
        )
        for prefetch in (1, 20, 0)
    }
    assert waiting[1] == 10
    assert waiting[20] == 10 + 19  # one of the twenty is in hand
    assert waiting[0] > 900  # without a limit all are dealt out, and none is ever refused


def test_messages_are_dealt_to_workers_that_are_added_while_the_run_goes_on() -> None:
    """A worker that joins gets its turn from then on; what one leaves behind goes to others."""
    run = Simulation(scenario(100, workers=1, broker="queue", dispatch="in_turn", prefetch=5,
                              round_trip_ms=0))  # fmt: skip
    run.advance_to(10.0)
    assert letters(run.result())["waiting"] > 400  # about 50 of 100 a second stay behind
    run.plane.scale("mail", 4)
    run.advance_to(17.0)
    assert letters(run.result())["waiting"] < 20  # 500 / (200 - 100) = 5 s
    run.plane.scale("mail", 2)
    run.advance_to(SECONDS)
    row = letters(run.result())
    assert row["published"] == row["processed"] + row["waiting"] + row["in_progress"]
    check_books(run)


# ---------------------------------------------------------------- how often


def test_a_message_that_takes_too_long_is_given_to_another_while_the_first_works_on() -> None:
    """SQS does not know that the first is alive: the work is done twice, and both are busy."""
    slow = {"service_time": 200}
    layer = {"broker": "queue", "workers": 20, "attempts": 3, "worker": slow}
    calm = played(10, visibility_seconds=0.5, **layer)
    hasty = played(10, visibility_seconds=0.1, **layer)
    assert letters(calm)["redelivered"] == figure(calm, "done twice") == 0
    count = letters(hasty)["published"]
    assert letters(hasty)["redelivered"] == pytest.approx(2 * count, rel=0.03)
    assert letters(hasty)["dead"] == pytest.approx(count, rel=0.03)  # received three times
    assert figure(hasty, "done twice") == pytest.approx(2 * count, rel=0.03)
    busy = [result.stations.loc["asynchronous.mail", "utilisation"] for result in (calm, hasty)]
    assert busy[1] == pytest.approx(3 * busy[0], rel=0.03)


def test_a_poison_message_fails_at_every_delivery() -> None:
    """Bad luck passes with the next delivery; a message that nobody can read does not."""
    unlucky = letters(played(worker={"failure_rate": 0.1}, attempts=5))
    result = played(worker={"poison_rate": 0.1}, attempts=5)
    poisoned = letters(result)
    assert unlucky["dead"] < 0.001 * unlucky["published"]
    assert figure(result, "dead letters") == poisoned["dead"]
    assert poisoned["dead"] == pytest.approx(0.1 * poisoned["published"], rel=0.2)
    assert poisoned["redelivered"] == pytest.approx(4 * poisoned["dead"], rel=0.1)


def test_tries_in_place_spare_redeliveries_and_hold_the_worker_up() -> None:
    """They keep the order; the price is that all behind have to wait for the rests."""
    failing = {"worker": {"failure_rate": 0.3}, "workers": 8}
    once = played(**failing)
    thrice = played(**failing, tries={"attempts": 3, "base_ms": 50, "jitter": "none"})
    assert letters(thrice)["redelivered"] < 0.15 * letters(once)["redelivered"]
    key = "in_service_mean"
    row = "asynchronous.mail"
    assert thrice.stations.loc[row, key] > once.stations.loc[row, key] + 100 * 0.3 * 0.05 * 0.8


def test_what_is_acknowledged_early_is_lost_when_it_fails() -> None:
    """At most once: nothing comes twice, and what fails does not come again."""
    late, early = (
        played(worker={"failure_rate": 0.2}, attempts=10, acknowledge=when)
        for when in ("late", "early")
    )
    assert letters(late)["dead"] == 0
    assert letters(early)["redelivered"] == 0
    assert figure(early, "lost") == pytest.approx(0.2 * letters(early)["published"], rel=0.15)


def test_idempotency_keys_keep_a_message_from_being_done_twice() -> None:
    """At-least-once delivery doubles work whenever an acknowledgement is lost."""
    forgetful = {"worker": {"lost_ack_rate": 0.25}, "attempts": 20}
    plain, keyed = played(**forgetful), played(**forgetful, idempotency=True)
    doubles = figure(plain, "done twice")
    assert doubles == pytest.approx(letters(plain)["published"] / 3, rel=0.1)  # p / (1 - p)
    assert figure(keyed, "done twice") == 0
    assert figure(keyed, "doubles avoided") == pytest.approx(doubles, rel=0.1)
    work = [result.stations.loc["asynchronous.mail", "utilisation"] for result in (plain, keyed)]
    assert work[1] < 0.85 * work[0]


def test_idempotency_keys_hold_even_if_two_work_at_once() -> None:
    """Both look before either is done; only the key beside the effect refuses the second."""
    layer = {"broker": "queue", "workers": 20, "visibility_seconds": 0.1, "attempts": 2}
    result = played(10, **layer, worker={"service_time": 200}, idempotency=True)
    assert figure(result, "done twice") == 0
    assert figure(result, "doubles avoided") == pytest.approx(
        letters(result)["published"], rel=0.03
    )


# ---------------------------------------------------------------- when it is too much


def test_a_full_queue_refuses_or_makes_the_publisher_wait() -> None:
    """Without bounds the line hides the overload; back-pressure hands it to those who cause it."""
    small = {"bounded": True, "capacity": 5, "workers": 1}
    refused = played(100, **small)
    assert letters(refused)["refused"] > 0.4 * 100 * SECONDS
    assert refused.summary.failures == {"topic full": int(letters(refused)["refused"])}
    patient = played(48, **small, when_full="block", max_block_ms=60_000)
    assert patient.summary.failed == 0
    brief = played(100, **small, when_full="block", max_block_ms=500)
    assert set(brief.summary.failures) == {"topic full"}
    assert brief.summary.latency_ms_max == pytest.approx(500, abs=1)


def test_messages_older_than_the_retention_are_dropped_unread() -> None:
    """A line that grows for ever would keep every message; a topic does not."""
    result = played(100, workers=1, worker={"service_time": 50}, retention_seconds=2)
    assert figure(result, "expired") == letters(result)["expired"]
    assert letters(result)["expired"] > 0.5 * 80 * SECONDS * 0.8
    assert letters(result)["waiting"] <= 100 * 2.6


def test_the_outbox_spares_the_customer_the_broker() -> None:
    """A row is quick; the message itself comes later, by half a poll on average."""
    direct, boxed = (
        played(publish_time=40, outbox={"on": on, "row": 1, "poll_ms": 400}) for on in (False, True)
    )
    assert direct.summary.latency_ms_mean == pytest.approx(40)
    assert boxed.summary.latency_ms_mean == pytest.approx(1)
    row = "asynchronous.outbox.mail"
    assert boxed.messages.loc[row, "processed"] == letters(boxed)["published"]
    assert boxed.stations.loc[row, "residence_ms_mean"] == pytest.approx(200 + 40, rel=0.05)


def test_messages_about_different_things_have_relays_of_their_own() -> None:
    """A relay would look a user up among things, far behind the end of their table."""
    about = [
        {"do": "publish", "to": ["mail"], "dataset": "things"},
        {"do": "publish", "to": ["mail"]},
    ]
    result = played(
        10, steps=about, partitioner="key", partitions=4, outbox={"on": True, "poll_ms": 0}
    )
    rows = ["asynchronous.outbox.mail:things", "asynchronous.outbox.mail"]
    relayed = result.messages.loc[rows, "processed"]
    assert (relayed > 0).all()
    assert relayed.sum() == letters(result)["published"]


def test_one_waiter_who_waits_for_the_kitchen_serves_few_tables() -> None:
    """Synchronous, a thread is held until the work is done; asynchronous, it serves the next."""
    app = {"services": {"server": {"cpu_time": 1}}, "replicas": 1, "threads": 1, "cores": 1}
    answered = {}
    for wait in (True, False):
        order = {"do": "publish", "to": ["mail"], "wait": wait}
        steps = [{"do": "call", "service": "server", "then": [order]}]
        system = scenario(100, steps, workers=16, worker={"service_time": 99})
        result = simulate(system.change({"application": app}))
        answered[wait] = result.summary.answered
    assert answered[True] == pytest.approx(SECONDS / 0.1, abs=2)
    assert answered[False] > 9 * answered[True]


def test_nobody_reads_while_partitions_change_hands() -> None:
    """A rebalance stops a whole group, and what has come meanwhile has to be worked off."""
    rebalance = {"at_seconds": 5, "pause_seconds": 4, "leaving": 2}
    result = played(100, workers=4, partitions=8, rebalance=rebalance)
    series = result.station_series
    rows = series[series["station"] == "asynchronous.mail"].set_index("time_s")
    assert rows["in_service"].loc[5.5:8.9].max() == 0
    assert rows["waiting"].loc[8.5:9.0].max() == pytest.approx(400, rel=0.2)
    assert rows["in_service"].loc[9.5:15].max() == pytest.approx(2, abs=0.01)  # two are left
    assert result.events["kind"].tolist() == ["rebalance", "rebalance"]


def test_a_queue_is_paid_by_the_message() -> None:
    """A broker by the hour beside it would be paid for twice."""
    cost: pd.DataFrame = played(1000, broker="queue").cost
    rows = cost[cost["station"] == "asynchronous.topic"]
    assert rows["usd_per_hour"].tolist() == pytest.approx([1000 * 3600 / 1e6 * 3 * 0.4])


# ---------------------------------------------------------------- what to try


@pytest.mark.parametrize(
    ("layer", "labels"),
    [
        ({"partitions": 2}, ["+1 worker of each kind", "Double the partitions"]),
        ({"worker": {"workers": 3}}, ["+1 worker", "Double the partitions"]),
        ({"broker": "queue"}, ["+1 worker of each kind"]),
        ({"broker": "queue", "dispatch": "in_turn"}, ["+1 worker of each kind"]),
        ({"broker": "queue", "dispatch": "in_turn", "prefetch": 4},
         ["+1 worker of each kind", "Double the prefetch"]),
    ],
)  # fmt: skip
def test_what_is_offered_for_a_line_of_messages_is_what_can_help(layer, labels) -> None:
    """A queue has no partitions, and a kind with workers of its own gets none of the others'."""
    result = played(60, workers=2, outbox={"on": True}, **layer)
    for station in result.stations.index:
        assert inspect(result, station).sentences
    remedies = inspect(result, "asynchronous.mail").remedies
    assert [remedy.label for remedy in remedies] == labels
    for remedy in remedies:
        simulate(result.scenario.change(remedy.changes | {"duration_seconds": 1}))
