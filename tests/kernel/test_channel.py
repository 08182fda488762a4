"""Channels: messages wait in partitions, are delivered at least once, and none is lost."""

from collections import defaultdict
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.assembly import Station
from engine.distribution import Distribution
from engine.kernel.tables import Op, State
from engine.plane import Plane
from engine.program import WAITING, Program
from tests.books import check_messages
from tests.workshop import (
    FAR,
    POISSON,
    constant,
    events,
    exponential,
    idle,
    outcome,
    plane_of,
    play,
    reasons,
    visits,
)


def topic(
    work: Distribution,
    workers: int = 1,
    owners: tuple[int, ...] = (0,),
    *,
    failure: float = 0.0,
    attempts: int = 1,
    again: float = 0.0,
    room: int = -1,
    slots: int = 1,
):
    """Return what emits a publish to a random partition; partition p is owners[p]'s."""

    def emit(program: Program, place: Station) -> None:
        crew = program.station("asynchronous.crew", "Crew", "worker", workers)
        first = program.pools(crew, workers, slots, -1, workers)
        channel = program.channel(
            crew, list(range(first, first + workers)), owners, attempts, constant(again), room
        )
        partition = program.register("partition")
        program.step(Op.SPLIT, "way", register=partition, site=program.choice([1.0] * len(owners)))
        program.step(
            Op.PUBLISH, site=channel, register=partition, reason=program.reason("topic full")
        )

        def process() -> None:
            with program.at(crew, "process", background=True):
                again_row = program.step(Op.REQUEUE, kind=WAITING)
                program.start_channel(channel, again_row + 1)
                program.hold("process", work)
                program.chance("failure", failure, lambda: program.fail("broken"))
                program.step(Op.ACK)

        program.later(process)

    return emit


def books(plane: Plane) -> dict[str, int]:
    """Return where the messages of the only channel are."""
    row, pools = plane.world.channels[0], plane.world.pools
    counted = {
        name: int(row[name])
        for name in ("published", "processed", "dead", "waiting", "delayed", "redelivered")
    }
    return counted | {"in_progress": int(pools["busy"].sum())}


def at_work(plane: Plane) -> dict[int, int]:
    """Return the request that is being worked on in each partition."""
    tokens = plane.world.tokens
    busy = tokens[
        (tokens["state"] != State.FREE) & (tokens["channel"] == 0) & (tokens["holds"] > 0)
    ]
    return {int(token["partition"]): int(token["request"]) for token in busy}


rules = st.fixed_dictionaries({
    "workers": st.integers(1, 4),
    "partitions": st.integers(1, 6),
    "failure": st.sampled_from([0.0, 0.3, 1.0]),
    "attempts": st.integers(1, 4),
    "again": st.sampled_from([0.0, 20.0, 500.0]),
    "room": st.sampled_from([-1, 3, 40]),
    "time": st.sampled_from([2.0, 15.0]),
    "seed": st.integers(0, 99),
})  # fmt: skip


@settings(max_examples=30)
@given(rules)
def test_every_message_is_somewhere_at_any_instant(rule: dict) -> None:
    """Published = processed + dead + waiting + in progress + delayed, or a message was lost."""
    workers = rule["workers"]
    owners = tuple(partition % workers for partition in range(rule["partitions"]))
    emit = topic(
        exponential(rule["time"]), workers, owners, failure=rule["failure"],
        attempts=rule["attempts"], again=rule["again"], room=rule["room"],
    )  # fmt: skip
    plane = plane_of(emit, rate=200.0, gap=POISSON, seed=rule["seed"])
    for _ in events(plane, 0.5):
        seen = books(plane)
        assert min(seen.values()) >= 0
        assert seen["published"] == (
            seen["processed"]
            + seen["dead"]
            + seen["waiting"]
            + seen["in_progress"]
            + seen["delayed"]
        )
        assert seen["waiting"] == plane.world.partitions["waiting"].sum()
        assert plane.world.pools["busy"].max() <= 1
    plane.set_rate(0.0)
    plane.advance(FAR)
    seen = books(plane)
    assert seen["published"] == seen["processed"] + seen["dead"]
    assert idle(plane)
    assert plane.world.clock["spare_messages"][0] == len(plane.world.messages)
    refused = int(plane.world.channels["refused"][0])
    assert outcome(plane).started == seen["published"] + refused


@pytest.mark.parametrize("failure", [0.0, 0.5])
def test_every_message_is_processed_at_least_once(failure: float) -> None:
    """A message that failed and was not delivered again would be lost without a word."""
    plane = play(topic(constant(1), failure=failure, attempts=100), requests=300, rate=100.0)
    seen = books(plane)
    assert seen["processed"] == seen["published"] == 300
    assert seen["dead"] == 0
    # With a failure rate of one half a message needs two deliveries on average.
    assert seen["redelivered"] == pytest.approx(300 * failure * 2, abs=60)


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_a_message_is_dead_after_so_many_deliveries(attempts: int) -> None:
    """A poison message that were delivered for ever would block its partition for ever."""
    plane = play(topic(constant(1), failure=1.0, attempts=attempts), requests=40)
    seen = books(plane)
    assert (seen["dead"], seen["processed"]) == (40, 0)
    assert visits(plane, Op.FAIL) == 40 * attempts
    assert seen["redelivered"] == 40 * (attempts - 1)


def test_a_partition_is_worked_in_order() -> None:
    """Kafka promises order within a partition: 'paid' must not overtake 'ordered'."""
    plane = plane_of(topic(exponential(8), 2, (0, 0, 1, 1)), rate=200.0)
    taken = defaultdict(list)
    for _ in events(plane, 4.0):
        for partition, request in at_work(plane).items():
            if request not in taken[partition][-1:]:
                taken[partition].append(request)
    assert sorted(taken) == [0, 1, 2, 3]
    for requests in taken.values():
        assert len(requests) > 50
        assert all(one < other for one, other in pairwise(requests))


def test_a_worker_takes_the_oldest_message_of_its_partitions() -> None:
    """One partition that were always served first would starve the others."""
    plane = plane_of(topic(constant(1), 1, (0, 0, 0)), rate=100.0)
    plane.world.pools["slots"] = 0  # nobody works while the messages gather
    plane.advance(1.005)
    plane.set_rate(0.0)
    plane.world.pools["slots"] = 1
    assert plane.adopt(plane.program)
    order = []
    for _ in events(plane, 3.0):
        order += [request for request in at_work(plane).values() if request not in order]
    assert order == list(range(100))


def test_a_partition_has_one_worker_at_a_time() -> None:
    """Two workers on one partition would break its order."""
    plane = plane_of(topic(exponential(20), 3, (0, 1, 2)), rate=200.0)
    for _ in events(plane, 1.0):
        tokens = plane.world.tokens
        busy = tokens[(tokens["state"] != State.FREE) & (tokens["holds"] > 0)]
        places = busy["partition"].tolist()
        assert len(places) == len(set(places))


def test_a_worker_without_a_partition_stands_idle() -> None:
    """More workers than partitions do not help; that they seem to would be a lie about Kafka."""
    plane = play(topic(constant(20), 4, (0, 1)), requests=100, rate=100.0)
    busy = plane.world.pools["busy_area"]
    assert busy[:2].min() > 0.5
    assert busy[2:].tolist() == [0.0, 0.0]


def test_a_failed_message_comes_again_after_its_delay() -> None:
    """A redelivery at once would hammer whatever is down."""
    plane = play(topic(constant(10), failure=1.0, attempts=3, again=500), requests=1)
    # Asked at 100 ms; three deliveries of 10 ms and two delays of 500 ms.
    assert plane.world.channels[0]["last"] == pytest.approx(0.1 + 2 * 0.51)
    assert plane.world.meters[1]["work"] == pytest.approx(0.03)


def test_others_go_ahead_while_a_message_is_delayed() -> None:
    """A message that waits for its next delivery must not hold its worker."""
    plane = plane_of(topic(constant(10), failure=1.0, attempts=2, again=1000), rate=10.0)
    plane.advance(0.95)
    assert books(plane)["delayed"] == 9
    assert books(plane)["in_progress"] == 0


def test_a_full_topic_refuses_the_next_message() -> None:
    """A bounded topic that took more would hide that its workers cannot keep up."""
    plane = play(topic(constant(10_000), room=3), requests=10, rate=100.0)
    assert reasons(plane) == {"topic full": 6}  # one in progress, three waiting
    assert outcome(plane) == (10, 4, 6, 0)


def test_a_publisher_does_not_wait_for_the_work() -> None:
    """Answering before the work is done is the whole point of a queue."""
    plane = play(topic(constant(10_000)), requests=20, rate=100.0)
    assert outcome(plane) == (20, 20, 0, 0)
    assert plane.world.journeys["seconds"][0] == 0.0
    assert books(plane)["processed"] == 20


def test_a_backlog_is_shared_out_when_workers_are_added() -> None:
    """New workers that waited for new messages would leave a backlog to the old one."""
    plane = plane_of(topic(constant(100), 4, (0, 0, 0, 0)), rate=100.0)
    plane.advance(1.0)
    plane.set_rate(0.0)
    before = books(plane)
    assert before["in_progress"] == 1
    assert before["waiting"] > 80
    spread = plane_of(topic(constant(100), 4, (0, 1, 2, 3)), rate=100.0).program
    assert plane.adopt(spread)
    assert books(plane)["in_progress"] == 4
    plane.advance(FAR)
    assert books(plane)["processed"] == before["published"]
    assert plane.world.pools["busy_area"].min() > 1.5


def test_many_messages_may_be_sent_at_once() -> None:
    """A fan-out that outran the free list would hand one token out twice."""
    kinds = 60

    def emit(program: Program, place: Station) -> None:
        for _ in range(kinds):
            topic(constant(60_000), 100, tuple(range(100)))(program, place)

    plane = plane_of(emit, rate=100.0)
    plane.advance(2.005)
    channels, world = plane.world.channels, plane.world
    assert channels["published"].sum() == 200 * kinds
    held = world.pools["busy"].sum() + channels["waiting"].sum()
    assert held == channels["published"].sum()
    assert world.clock["spare"][0] == int((world.tokens["state"] == State.FREE).sum())


def test_messages_older_than_the_retention_are_dropped_unread() -> None:
    """A consumer that comes back late finds only what the broker has kept."""

    def emit(program, place):
        station = program.station("asynchronous.slow", "Slow", "worker", 1)
        pool = program.pools(station, 1, 0, -1, 1)  # no worker yet
        channel = program.channel(station, [pool], [0], 1, constant(0), retention=2.0)
        program.step(Op.PUBLISH, site=channel, register=0)

        def work_off():
            program.journey = "worker"
            with program.at(station, "process", background=True):
                program.start_channel(channel, program.step(Op.REQUEUE) + 1)
                program.hold("work", constant(1))
                program.step(Op.ACK)

        program.later(work_off)

    plane = plane_of(emit, 10.0)
    plane.advance(10.05)
    plane.world.pools["slots"][0] = 1
    plane.advance(20.05)
    channel = plane.world.channels[0]
    assert channel["expired"] == pytest.approx(80, abs=1)
    assert channel["processed"] + channel["expired"] == channel["published"]
    check_messages(plane)


def test_a_message_whose_visibility_ends_is_delivered_while_its_worker_is_still_at_it() -> None:
    """SQS: work of 10 s under a visibility time-out of 4 s is done again and again."""

    def emit(program, place):
        station = program.station("asynchronous.slow", "Slow", "worker", 1)
        pool = program.pools(station, 1, 3, -1, 1)
        channel = program.channel(station, [pool], [0], 3, constant(0))
        program.step(Op.PUBLISH, site=channel, register=0)

        def work_off():
            program.journey = "worker"
            with program.at(station, "process", background=True):
                program.start_channel(channel, program.step(Op.REQUEUE) + 1)
                program.attempt(
                    lambda: program.hold("work", constant(10_000)),
                    timeout=constant(4000),
                    keeps=True,
                )
                program.step(Op.ACK)

        program.later(work_off)

    plane = plane_of(emit, 10.0)
    plane.advance(0.15)
    plane.set_rate(0.0)
    for second in range(1, 30):
        plane.advance(0.15 + second)
        check_messages(plane)
    channel = plane.world.channels[0]
    assert (channel["redelivered"], channel["dead"], channel["waiting"]) == (2, 1, 0)
    assert plane.world.pools["busy_area"][0] == pytest.approx(30.0)
    assert idle(plane)


def test_a_request_that_counts_little_does_not_join_a_long_line() -> None:
    """Load shedding: what is refused early costs nothing, and the rest is served in time."""

    def emit(program, place):
        pool = program.pool(place, 1)
        program.step(Op.SHED, site=pool, number=3, reason=program.reason("shed"))
        program.step(Op.SEIZE, site=pool)
        program.hold("work", constant(1000))
        program.step(Op.RELEASE)

    plane = plane_of(emit, 10.0)
    plane.advance(20.0)
    assert int(plane.world.pools["waiting"][0]) <= 3
    assert int(plane.world.reasons.sum()) == pytest.approx(180, abs=5)
