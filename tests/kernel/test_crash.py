"""Crashes: whom a dead server had in hand fails at once, and nothing is lost from sight."""

import numpy as np
import pytest

from engine.kernel.tables import NOBODY, Op, State
from engine.plane import Plane
from tests.books import check_drained, check_messages, check_pools, check_requests, check_time
from tests.workshop import (
    FAR,
    Spell,
    constant,
    idle,
    outcome,
    plane_of,
    reasons,
    spells,
    work,
)

KILLED = "server killed"


def check(plane: Plane) -> None:
    """Assert that the books balance right now."""
    check_requests(plane)
    check_pools(plane)
    check_messages(plane)
    check_time(plane.world)


def end(plane: Plane) -> None:
    """Let no more requests come, wait until all is over, and assert that nothing is left."""
    plane.set_rate(0.0)
    plane.advance(FAR)
    check(plane)
    check_drained(plane)
    assert idle(plane)


def serving(program, place, slots: int = 1, milliseconds: float = 500.0) -> None:
    """Emit a visit to a server, pool 0."""
    work(program, program.pool(place, slots), constant(milliseconds))


# ---------------------------------------------------------------- requests


def test_who_is_in_hand_and_who_waits_fail_together() -> None:
    """Requests at 0.1, 0.2 and 0.3 s: one is worked on, two wait; the crash is at 0.35 s."""
    plane = plane_of(serving)
    plane.advance(0.35)
    assert plane.crash([0], KILLED) == 3
    plane.set_rate(0.0)
    plane.advance(0.35)
    check(plane)
    assert reasons(plane) == {KILLED: 3}
    assert plane.world.journeys["failed"].sum() == 3
    end(plane)


def test_a_failure_takes_until_the_crash_and_no_longer() -> None:
    """The work that was not done any more is not charged; the slot was busy until the crash."""
    plane = plane_of(serving)
    plane.advance(0.25)
    plane.crash([0], KILLED)
    plane.set_rate(0.0)
    plane.advance(0.25)
    assert plane.world.pools["busy_area"][0] == pytest.approx(0.15)
    assert plane.world.pools["waiting_area"][0] == pytest.approx(0.05)
    meter = plane.world.meters[plane.world.pools["meter"][0]]
    assert (meter["asked"], meter["served"], meter["failed"]) == (2, 0, 2)
    assert meter["work"] == pytest.approx(0.15)
    spans = [spell for found in spells(plane.world).values() for spell in found]
    assert spans == [Spell(Op.HOLD, spans[0].label, 0.0, pytest.approx(0.15))]
    end(plane)


def test_others_are_left_alone() -> None:
    """A crash of one server is no business of the next."""

    def emit(program, place):
        first = program.pools(place, 2, 1, -1, 2)
        by = program.register("server")
        program.step(Op.SPLIT, "way", register=by, site=program.choice([1, 1]))
        program.step(Op.SEIZE, site=first, by=by)
        program.hold("work", constant(5000))
        program.step(Op.RELEASE)

    plane = plane_of(emit)
    plane.advance(2.05)
    there = int(plane.world.pools["busy"][1] + plane.world.pools["waiting"][1])
    struck = plane.crash([0], KILLED)
    assert struck + there == 20
    check(plane)
    assert plane.world.pools["busy"][1] + plane.world.pools["waiting"][1] == there
    end(plane)


def test_tries_outside_of_the_dead_server_are_made_again() -> None:
    """A caller whose connection is reset retries, after its rest."""

    def emit(program, place):
        pool = program.pool(place, 1)
        program.attempt(
            lambda: work(program, pool, constant(500)), attempts=2, base=1.0, cap=1.0, jitter="none"
        )

    plane = plane_of(emit, rate=1.0)
    plane.advance(1.25)
    plane.crash([0], KILLED)
    plane.set_rate(0.0)
    plane.advance(2.2)
    assert plane.world.pools["busy"][0] == 0
    plane.advance(FAR)
    assert outcome(plane).answered == 1
    assert plane.world.journeys["seconds"].sum() == pytest.approx(0.25 + 1.0 + 0.5)
    end(plane)


def test_tries_inside_of_the_dead_server_die_with_it() -> None:
    """A server that is dead cannot retry its query; nor do its timers go off."""

    def emit(program, place):
        server, database = program.pool(place, 9), program.pool(place, 1)
        program.step(Op.SEIZE, site=server)

        def query():
            work(program, database, constant(800))

        program.attempt(query, timeout=constant(2000), attempts=5, what="query")
        program.step(Op.RELEASE)

    plane = plane_of(emit)
    plane.advance(0.55)  # five hold a thread, one of these the only connection
    assert plane.crash([0], KILLED) == 5
    check(plane)
    assert (plane.world.lanes["head"] == NOBODY).all()
    assert plane.world.pools["busy"].tolist() == [0, 0]
    plane.set_rate(0.0)
    plane.advance(0.6)
    assert reasons(plane) == {KILLED: 5}
    end(plane)


def test_what_the_dead_server_held_elsewhere_goes_to_who_waits_for_it() -> None:
    """Its connections are closed: the next in the database's line is let in at once."""

    def emit(program, place):
        servers, database = program.pools(place, 2, 1, -1, 2), program.pool(place, 1)
        by = program.register("server")
        program.step(Op.ROUTE, "way", site=program.group(0, servers, 2), register=by, jump=servers)
        program.step(Op.SEIZE, site=servers, by=by)
        work(program, database, constant(1000))
        program.step(Op.RELEASE)

    plane = plane_of(emit)
    plane.advance(0.25)
    assert plane.world.pools["waiting"][2] == 1
    plane.crash([0], KILLED)
    assert (plane.world.pools["busy"][2], plane.world.pools["waiting"][2]) == (1, 0)
    check(plane)
    end(plane)
    assert outcome(plane).answered == 1


def test_a_fallback_is_taken_after_a_crash() -> None:
    """`otherwise` is for failures of every kind."""

    def emit(program, place):
        pool = program.pool(place, 1)
        program.attempt(
            lambda: work(program, pool, constant(500)),
            otherwise=lambda: program.hold("fallback", constant(10)),
        )

    plane = plane_of(emit)
    plane.advance(0.35)
    plane.crash([0], KILLED)
    plane.set_rate(0.0)
    plane.advance(0.4)
    assert outcome(plane) == (3, 3, 0, 0)
    end(plane)


def test_a_parent_fails_and_its_legs_come_back_to_nobody() -> None:
    """Calls to others go on for nothing: those do not know that the caller is dead."""

    def emit(program, place):
        server, other = program.pool(place, 9), program.pool(place, 9)
        program.step(Op.SEIZE, site=server)
        leg = [lambda: work(program, other, constant(300))] * 2
        program.together(leg)
        program.step(Op.RELEASE)

    plane = plane_of(emit, rate=1.0)
    plane.advance(1.1)
    plane.set_rate(0.0)
    assert plane.crash([0], KILLED) == 1
    plane.advance(1.2)
    check(plane)
    assert reasons(plane) == {KILLED: 1}
    assert plane.world.pools["busy"].tolist() == [0, 2]
    end(plane)
    assert plane.world.clock["wasted"][0] == 2


def test_a_leg_that_dies_fails_its_parent() -> None:
    """All legs are needed, and one of them was on the dead server."""

    def emit(program, place):
        pools = [program.pool(place, 9), program.pool(place, 9)]
        program.together([lambda pool=pool: work(program, pool, constant(300)) for pool in pools])

    plane = plane_of(emit, rate=1.0)
    plane.advance(1.1)
    plane.set_rate(0.0)
    assert plane.crash([0], KILLED) == 1
    plane.advance(1.2)
    assert outcome(plane).failed == 0  # it waits for the other
    plane.advance(1.4)
    assert reasons(plane) == {KILLED: 1}
    end(plane)


@pytest.mark.parametrize("cores", [1, 2])
def test_jobs_of_the_dead_leave_the_processor_to_others(cores: int) -> None:
    """Two of three jobs vanish half-way; the one that is left goes on alone, at full speed."""

    def emit(program, place):
        servers = program.pools(place, 3, 1, -1, 3)
        cpu = program.processors(place, 1, cores)
        by = program.register("server")
        program.step(Op.ROUTE, "way", site=program.group(0, servers, 3), register=by, jump=servers)
        program.step(Op.SEIZE, site=servers, by=by)
        program.compute("work", cpu, 0, constant(1000))
        program.step(Op.RELEASE)

    plane = plane_of(emit, rate=10.0)
    plane.advance(0.35)
    plane.set_rate(0.0)
    processor = plane.world.processors[0]
    assert processor["jobs"] == 3
    assert plane.crash([0, 2], KILLED) == 2
    assert processor["jobs"] == 1
    done = {1: 0.05 + 0.05 / 3, 2: 0.1 + 0.05 * 2 / 3}[cores]  # by the second one, until now
    plane.advance(FAR)
    assert outcome(plane) == (3, 1, 2, 0)
    assert plane.world.journeys["seconds"].sum() == pytest.approx(0.15 + 1.0 - done)
    end(plane)


def test_an_orphan_that_dies_frees_what_it_holds() -> None:
    """The client has gone; the server works on, and then it is killed."""

    def emit(program, place):
        pool = program.pool(place, 1)
        program.attempt(lambda: work(program, pool, constant(5000)), timeout=constant(200))

    plane = plane_of(emit, rate=1.0)
    plane.advance(1.5)
    plane.set_rate(0.0)
    assert plane.world.pools["busy"][0] == 1
    assert plane.crash([0], KILLED) == 1
    plane.advance(1.5)
    assert plane.world.pools["busy"][0] == 0
    assert reasons(plane) == {"timed out": 1}
    end(plane)


def test_closed_users_think_and_come_again() -> None:
    """A crash takes requests, not users."""
    plane = plane_of(serving, users=5, think=constant(100))
    plane.advance(0.3)
    assert plane.crash([0], KILLED) == 5
    plane.advance(0.35)
    assert outcome(plane).failed == 5
    plane.advance(0.45)
    assert outcome(plane).in_flight == 5
    check(plane)


def test_two_crashes_in_one_instant_are_one() -> None:
    """Nobody fails twice, however many of the servers that it needs die."""

    def emit(program, place):
        outer, inner = program.pool(place, 9), program.pool(place, 9)
        program.step(Op.SEIZE, site=outer)
        work(program, inner, constant(500))
        program.step(Op.RELEASE)

    plane = plane_of(emit)
    plane.advance(0.35)
    assert plane.crash([1], KILLED) == 3
    assert plane.crash([0], "and again") == 3
    plane.set_rate(0.0)
    plane.advance(0.35)
    assert outcome(plane) == (3, 0, 3, 0)
    assert reasons(plane) == {"and again": 3}
    end(plane)


# ---------------------------------------------------------------- messages


def topic(program, place, *, keeps: float = 0.0, slots: int = 1, attempts: int = 3) -> None:
    """Emit a publish to one partition, and its worker, who takes a second for a message."""
    crew = program.station("asynchronous.crew", "Crew", "worker", 1)
    pool = program.pools(crew, 1, slots, -1, 1)
    channel = program.channel(crew, [pool], [0], attempts, constant(50))
    program.step(Op.PUBLISH, site=channel)

    def process():
        with program.at(crew, "process", background=True):
            program.start_channel(channel, program.step(Op.REQUEUE) + 1)

            def body():
                program.hold("process", constant(1000))

            if keeps:
                program.attempt(body, timeout=constant(keeps), keeps=True)
            else:
                body()
            program.step(Op.ACK)

    program.later(process)


def books(plane: Plane) -> tuple[int, ...]:
    """Return how many messages were published, processed, redelivered, wait, are delayed."""
    row = plane.world.channels[0]
    names = ("published", "processed", "redelivered", "waiting", "delayed", "dead")
    return tuple(int(row[name]) for name in names)


def test_a_dead_workers_message_goes_back_to_the_head_of_its_partition() -> None:
    """Messages of 0.1, 0.2 and 0.3 s; the first was in hand, and is the first again."""
    plane = plane_of(topic)
    plane.advance(0.35)
    plane.set_rate(0.0)
    pool = plane.program.stations["asynchronous.crew"].pools[0]
    plane.shut([pool], refuses=False)
    assert plane.crash([pool], KILLED) == 1
    assert books(plane) == (3, 0, 1, 3, 0, 0)
    head = plane.world.partitions["head"][0]
    assert plane.world.messages["request"][head] == 0
    check(plane)
    plane.advance(10.0)
    assert books(plane)[1] == 0
    plane.reopen([pool])
    plane.advance(10.5)
    assert plane.world.pools["busy"][pool] == 1
    end(plane)
    assert books(plane) == (3, 3, 1, 0, 0, 0)


def test_a_worker_that_is_back_at_once_takes_its_message_again() -> None:
    """A restart that takes no time costs only what was done so far."""
    plane = plane_of(topic, rate=1.0)
    plane.advance(1.5)
    plane.set_rate(0.0)
    pool = plane.program.stations["asynchronous.crew"].pools[0]
    assert plane.crash([pool], KILLED) == 1
    assert plane.world.pools["busy"][pool] == 1
    plane.advance(2.45)
    assert books(plane)[1] == 0
    plane.advance(2.55)
    assert books(plane)[1] == 1
    end(plane)


def test_messages_of_one_line_go_back_in_their_order() -> None:
    """Three were in hand: the oldest is to be taken first again."""
    plane = plane_of(lambda program, place: topic(program, place, slots=3))
    plane.advance(0.45)
    plane.set_rate(0.0)
    pool = plane.program.stations["asynchronous.crew"].pools[0]
    plane.shut([pool], refuses=False)
    assert plane.crash([pool], KILLED) == 3
    place, order = int(plane.world.partitions["head"][0]), []
    while place != NOBODY:
        order.append(int(plane.world.messages["request"][place]))
        place = int(plane.world.messages["behind"][place])
    assert order == [0, 1, 2, 3]
    plane.reopen([pool])
    assert plane.world.pools["busy"][pool] == 3
    end(plane)


def test_a_hidden_message_comes_back_when_its_visibility_time_out_is_over() -> None:
    """A queue that never heard of the worker's death waits for the time-out, as SQS does."""
    plane = plane_of(lambda program, place: topic(program, place, keeps=3000), rate=1.0)
    plane.advance(1.5)
    plane.set_rate(0.0)
    pool = plane.program.stations["asynchronous.crew"].pools[0]
    assert plane.crash([pool], KILLED) == 1
    assert books(plane) == (1, 0, 1, 0, 1, 0)
    check(plane)
    plane.advance(3.9)
    assert plane.world.pools["busy"][pool] == 0
    plane.advance(4.1)
    assert plane.world.pools["busy"][pool] == 1
    end(plane)
    assert books(plane)[1] == 1


def test_a_worker_whose_message_was_given_to_another_dies_alone() -> None:
    """Its visibility time-out has run out before: the message is not delivered a third time."""
    plane = plane_of(lambda program, place: topic(program, place, keeps=300, slots=2), rate=1.0)
    plane.advance(1.4)
    plane.set_rate(0.0)
    pool = plane.program.stations["asynchronous.crew"].pools[0]
    assert plane.world.channels["lapsed"][0] == 1
    plane.crash([pool], KILLED)
    check(plane)
    assert plane.world.channels["lapsed"][0] == 0
    end(plane)


def test_a_message_acknowledged_on_receipt_dies_with_its_worker() -> None:
    """At most once: nobody has it any more."""
    plane = plane_of(lambda program, place: topic(program, place, attempts=1), rate=1.0)
    plane.advance(1.5)
    plane.set_rate(0.0)
    pool = plane.program.stations["asynchronous.crew"].pools[0]
    plane.crash([pool], KILLED, redelivers=False)
    plane.advance(1.5)
    assert books(plane) == (1, 0, 0, 0, 0, 1)
    end(plane)


def test_no_token_is_struck_that_is_not_there() -> None:
    """A crash of an idle server fails nobody."""
    plane = plane_of(serving, rate=1.0)
    before = {name: value.tobytes() for name, value in vars(plane.world).items() if name != "heads"
              and isinstance(value, np.ndarray)}  # fmt: skip
    assert plane.crash([0], KILLED) == 0
    after = {name: value.tobytes() for name, value in vars(plane.world).items() if name in before}
    assert before == after
    assert not (plane.world.tokens["state"] != State.FREE).any()
