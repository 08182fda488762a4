"""Disturbances: steps take longer, fail or pass a store by, and then are as they were."""

import numpy as np
import pytest

from engine.kernel.tables import Op
from engine.plane import Plane
from engine.program import NETWORK, WORKING, Program
from tests.books import check_drained, check_messages, check_pools, check_requests, check_time
from tests.workshop import (
    FAR,
    Spell,
    alike,
    constant,
    exponential,
    outcome,
    plane_of,
    reasons,
    spells,
    work,
)

LOST = "packet lost"


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


TENTH = constant(100)


def trip(program: Program, place, time=TENTH) -> None:
    """Emit a way there, work and a way back."""
    program.hold("there", time, NETWORK)
    program.hold("work", time, WORKING)
    program.hold("back", time, NETWORK)


# ---------------------------------------------------------------- time


def test_rows_are_those_of_a_place_a_kind_and_a_name() -> None:
    """What a fault is about is said by where it is, not by numbers of rows."""
    program = plane_of(trip).program
    there, working, back = program.rows(station="application.place")
    assert program.rows(kind=NETWORK) == [there, back]
    assert program.rows(kind=WORKING, layer="application") == [working]
    assert program.rows(what="back") == [back]
    assert program.rows(station="application.elsewhere") == []


def test_factor_and_extra_seconds_make_a_step_longer_until_it_is_calm() -> None:
    """100 ms · 3 + 0.5 s, twice a request; then 100 ms again."""
    plane = plane_of(trip, rate=1.0)
    handle = plane.disturb(plane.program.rows(kind=NETWORK), factor=3.0, extra_seconds=0.5)
    plane.advance(3.5)
    plane.set_rate(0.0)
    plane.advance(50.0)
    assert plane.world.journeys["seconds"].sum() == pytest.approx(3 * (0.8 + 0.1 + 0.8))
    plane.calm(handle)
    plane.set_rate(1.0)
    plane.advance(52.0)
    end(plane)
    calm = outcome(plane).answered - 3
    assert plane.world.journeys["seconds"].sum() == pytest.approx(3 * 1.7 + calm * 0.3)


def test_what_has_begun_ends_as_it_was_drawn() -> None:
    """A disturbance is about what begins from now on."""
    plane = plane_of(trip, rate=1.0)
    plane.advance(1.05)
    plane.disturb(plane.program.rows(), factor=100.0)
    plane.set_rate(0.0)
    plane.advance(2.0)
    assert plane.world.journeys["seconds"].sum() == pytest.approx(0.3)


def test_the_draws_stay_the_same_draws() -> None:
    """A slow disk is the same disk, slower: every time is so many times as long."""
    plain, slow = (plane_of(lambda p, s: trip(p, s, exponential(10)), rate=50.0) for _ in range(2))
    slow.disturb(slow.program.rows(), factor=4.0)
    for plane in (plain, slow):
        plane.advance(10.0)
        plane.set_rate(0.0)
        plane.advance(FAR)
    took = [plane.world.journeys["seconds"].sum() for plane in (plain, slow)]
    assert took[1] == pytest.approx(4.0 * took[0], rel=1e-9)


def test_disturbances_of_one_row_combine() -> None:
    """Factors are multiplied, seconds are added; each ends on its own."""
    plane = plane_of(trip, rate=1.0)
    rows = plane.program.rows(what="work")
    one = plane.disturb(rows, factor=2.0, extra_seconds=0.1)
    plane.disturb(rows, factor=3.0, extra_seconds=0.2)
    plane.advance(1.5)
    plane.set_rate(0.0)
    plane.advance(20.0)
    assert plane.world.journeys["seconds"].sum() == pytest.approx(0.2 + 0.1 * 6 + 0.3)
    plane.calm(one)
    plane.set_rate(1.0)
    plane.advance(21.2)
    plane.set_rate(0.0)
    plane.advance(40.0)
    second = 0.2 + 0.1 * 3 + 0.2
    assert plane.world.journeys["seconds"].sum() == pytest.approx(1.1 + second)
    with pytest.raises(KeyError):
        plane.calm(one)


def test_a_disturbance_that_disturbs_nothing_changes_nothing() -> None:
    """The way through the rare op is the way of the op that it stands for."""
    plain, twin = (plane_of(lambda p, s: trip(p, s, exponential(10)), rate=50.0) for _ in range(2))
    plain.advance(3.0)
    handle = twin.disturb(twin.program.rows())
    twin.advance(3.0)
    twin.calm(handle)
    differ = set(alike(plain.world, twin.world))
    assert differ <= {"clock", "order", "who", "due", "tokens", "sources"}  # more events, no more
    assert np.array_equal(plain.world.journeys, twin.world.journeys)


def test_only_requests_on_some_servers_are_disturbed() -> None:
    """One server of two is slow: half of the requests take longer."""

    def emit(program, place):
        first = program.pools(place, 2, 9, -1, 2)
        by = program.register("server")
        program.step(Op.ROUTE, "way", site=program.group(0, first, 2), register=by, jump=first)
        program.step(Op.SEIZE, site=first, by=by)
        program.hold("work", constant(100))
        program.step(Op.RELEASE)

    plane = plane_of(emit, rate=1.0)
    plane.disturb(plane.program.rows(what="work"), factor=5.0, servers=[1])
    plane.advance(10.5)
    plane.set_rate(0.0)
    plane.advance(20.0)
    assert plane.world.journeys["seconds"].sum() == pytest.approx(5 * 0.1 + 5 * 0.5)
    end(plane)


def test_a_shared_processor_has_more_to_do() -> None:
    """A job of 100 ms is one of 300 ms."""

    def emit(program, place):
        program.compute("work", program.processors(place, 1, 1), 0, constant(100))

    plane = plane_of(emit, rate=1.0)
    plane.disturb(plane.program.rows(what="work"), factor=3.0)
    plane.advance(4.5)
    plane.set_rate(0.0)
    plane.advance(20.0)
    assert plane.world.journeys["seconds"].sum() == pytest.approx(4 * 0.3)
    end(plane)


# ---------------------------------------------------------------- loss


def test_what_is_lost_fails_after_its_time_for_the_reason_given() -> None:
    """All of the way there is lost; the server never hears of it."""
    plane = plane_of(trip, rate=1.0)
    plane.disturb(plane.program.rows(what="there"), extra_seconds=0.4, loss=1.0, reason=LOST)
    plane.advance(1.4)
    assert outcome(plane).in_flight == 1
    plane.set_rate(0.0)
    plane.advance(1.6)
    assert reasons(plane) == {LOST: 1}
    (found,) = spells(plane.world).values()
    assert found == [Spell(Op.DISTURBED, found[0].label, 0.0, pytest.approx(0.5))]
    end(plane)


def test_a_share_is_lost_and_losses_combine() -> None:
    """1 - (1 - 0.2) (1 - 0.5) = 0.6 of 4000 requests, by each for its own reason."""
    plane = plane_of(trip, rate=1000.0)
    rows = plane.program.rows(what="work")
    plane.disturb(rows, loss=0.2, reason=LOST)
    plane.disturb(rows, loss=0.5, reason="disk broken")
    plane.advance(4.0)
    end(plane)
    lost = reasons(plane)
    assert lost[LOST] == pytest.approx(800, abs=4 * 25)
    assert lost["disk broken"] == pytest.approx(1600, abs=4 * 31)


def test_who_is_lost_at_a_low_loss_is_lost_at_a_higher_one() -> None:
    """Common random numbers: a slider that is turned up makes no other request luckier."""
    lost = []
    for loss in (0.1, 0.3):
        plane = plane_of(lambda p, s: trip(p, s, constant(1)), rate=100.0)
        plane.disturb(plane.program.rows(what="work"), loss=loss, reason=LOST)
        gone = set()
        for number in range(1, 200):
            before = int(plane.world.journeys["failed"].sum())
            plane.advance(number / 100 + 0.009)
            if plane.world.journeys["failed"].sum() > before:
                gone.add(number)
        lost.append(gone)
    assert lost[0] < lost[1]


def test_what_tcp_sends_again_is_late_and_not_lost() -> None:
    """Of p lost each time, the mean delay is Σ pⁿ 0.2 2ⁿ⁻¹ = 0.2 p / (1 - 2 p) seconds: 25 ms."""
    plane = plane_of(lambda p, s: trip(p, s, constant(1)), rate=1000.0)
    calm = plane_of(lambda p, s: trip(p, s, constant(1)), rate=1000.0)
    rows = plane.program.rows(what="there")
    plane.disturb(rows, loss=0.1, reason=LOST, resend_seconds=0.2)
    for each in (plane, calm):
        each.advance(20.0)
        each.set_rate(0.0)
        each.advance(2000.0)
    done, before = (each.world.journeys[0] for each in (plane, calm))
    assert done["answered"] == before["answered"] == pytest.approx(20_000, abs=1)
    later = (done["seconds"] - before["seconds"]) / done["answered"]
    assert later == pytest.approx(0.2 * 0.1 / (1 - 2 * 0.1), abs=0.003)


def test_tcp_gives_up_after_fifteen_resends() -> None:
    """0.2 + 0.4 + … + 102.4 + 6 · 120 = 924.6 s, as Linux's documentation of tcp_retries2 says."""
    plane = plane_of(trip, rate=1.0)
    there = plane.program.rows(what="there")
    plane.disturb(there, loss=1.0, reason=LOST, resend_seconds=0.2)
    plane.advance(1.5)
    plane.set_rate(0.0)
    plane.advance(1.0 + 924.6)
    assert outcome(plane).in_flight == 1
    plane.advance(1.2 + 924.6)
    assert reasons(plane) == {LOST: 1}
    end(plane)


def test_a_retry_has_another_chance() -> None:
    """What is lost once is not lost for good."""

    def emit(program, place):
        program.attempt(lambda: trip(program, place, constant(1)), attempts=10)

    plane = plane_of(emit, rate=100.0)
    plane.disturb(plane.program.rows(what="there"), loss=0.5, reason=LOST)
    plane.advance(10.0)
    end(plane)
    assert outcome(plane).failed < 10


def test_a_job_on_a_shared_processor_is_lost_when_it_ends() -> None:
    """It computes in vain, and others have to share with it."""

    def emit(program, place):
        program.compute("work", program.processors(place, 1, 1), 0, constant(100))

    plane = plane_of(emit, rate=1.0)
    plane.disturb(plane.program.rows(what="work"), loss=1.0, reason=LOST)
    plane.advance(1.05)
    plane.set_rate(0.0)
    assert outcome(plane).in_flight == 1
    plane.advance(1.2)
    assert reasons(plane) == {LOST: 1}
    assert plane.world.pools["busy_area"].sum() == pytest.approx(0.1)
    end(plane)


# ---------------------------------------------------------------- messages


def topic(program, place) -> None:
    """Emit a publish to a worker of 100 ms."""
    crew = program.station("asynchronous.crew", "Crew", "worker", 1)
    pool = program.pools(crew, 1, 1, -1, 1)
    channel = program.channel(crew, [pool], [0], 1, constant(50))
    program.step(Op.PUBLISH, site=channel)

    def process():
        with program.at(crew, "process", background=True):
            program.start_channel(channel, program.step(Op.REQUEUE) + 1)
            program.hold("process", constant(100))
            program.step(Op.ACK)

    program.later(process)


def test_a_broker_that_is_down_takes_no_messages_and_hands_out_none() -> None:
    """Publishing fails, and what waits stays there until it is back."""
    plane = plane_of(topic, rate=10.0)
    plane.advance(0.55)
    crew = plane.program.stations["asynchronous.crew"]
    handle = plane.disturb(plane.program.rows(layer="application"), loss=1.0, reason="broker down")
    plane.shut(crew.pools, refuses=False)
    plane.advance(1.55)
    check(plane)
    assert reasons(plane) == {"broker down": 10}
    row = plane.world.channels[0]
    assert row["published"] == 5
    assert row["waiting"] + row["processed"] == 5
    plane.calm(handle)
    plane.reopen(crew.pools)
    check(plane)
    plane.advance(2.0)
    end(plane)
    assert row["published"] == row["processed"]


def test_a_publish_may_have_to_wait_before_it_is_done() -> None:
    """A slow broker: the message is there, and the publisher goes on, half a second later."""
    plane = plane_of(topic, rate=1.0)
    plane.disturb(plane.program.rows(layer="application"), extra_seconds=0.5)
    plane.advance(1.4)
    plane.set_rate(0.0)
    assert plane.world.channels["published"][0] == 0
    plane.advance(1.6)
    assert plane.world.channels["published"][0] == 1
    assert plane.world.journeys["seconds"].sum() == pytest.approx(0.5)
    end(plane)


def test_who_waits_before_a_step_that_becomes_calm_does_it_as_any_other() -> None:
    """The wait is over when it was drawn to be over; the next time there is none."""
    plane = plane_of(topic, rate=1.0)
    handle = plane.disturb(plane.program.rows(layer="application"), extra_seconds=0.5)
    plane.advance(1.4)
    plane.calm(handle)
    again = plane.disturb(plane.program.rows(layer="application"), extra_seconds=0.25)
    plane.calm(again)
    assert not (plane.world.tokens["needed"] < 0).any()
    plane.set_rate(0.0)
    plane.advance(1.6)
    assert plane.world.channels["published"][0] == 1
    end(plane)


# ---------------------------------------------------------------- stores


def cached(program: Program, place) -> None:
    """Emit a look-up of one of two keys, and a fetch of 100 ms behind a miss."""
    store = program.store(place, 2, 2, constant(1e9))
    program.key("things", 2, 0.0)
    hit = program.step(Op.GET, site=store)
    program.hold("fetch", constant(100))
    program.step(Op.PUT, "keep", site=store)
    program.patch(hit, jump=program.here)


def test_a_store_that_is_passed_by_finds_nothing_and_keeps_what_it_has() -> None:
    """Gets = hits + misses + bypassed."""
    plane = plane_of(cached, rate=10.0)
    plane.advance(5.05)
    store = plane.world.stores[0]
    gets, hits = int(store["gets"]), int(store["hits"])
    handle = plane.bypass([0])
    plane.advance(6.05)
    assert (store["gets"] - gets, store["hits"] - hits, store["bypassed"]) == (10, 0, 10)
    assert store["count"] == 2
    plane.calm(handle)
    plane.advance(7.05)
    assert (store["gets"] - gets, store["hits"] - hits, store["bypassed"]) == (20, 10, 10)
    misses = int(plane.world.visits[plane.program.rows(what="fetch")].sum()) - 10
    assert store["gets"] == store["hits"] + misses + store["bypassed"]
    end(plane)


def test_nothing_is_kept_in_a_store_that_is_passed_by() -> None:
    """It comes back as empty as it went."""
    plane = plane_of(cached, rate=10.0)
    handle = plane.bypass([0])
    plane.advance(3.0)
    assert plane.world.stores["count"][0] == 0
    plane.calm(handle)
    plane.advance(6.0)
    assert plane.world.stores["count"][0] == 2
    end(plane)


def test_only_one_node_of_a_cluster_is_passed_by() -> None:
    """Keys of the other node are found as ever."""

    def emit(program, place):
        node = program.register("node")
        program.key("things", 2, 0.0)
        program.step(Op.LOOKUP, site=program.lookup(np.array([0, 1])), register=node)
        cached(program, place)

    plane = plane_of(emit, rate=100.0)
    plane.advance(2.0)
    store = plane.world.stores[0]
    hits = int(store["hits"])
    plane.bypass([0], register="node", value=1)
    plane.advance(6.0)
    assert store["bypassed"] == pytest.approx(200, abs=60)
    assert store["hits"] - hits + store["bypassed"] == pytest.approx(400, abs=1)
    end(plane)


def test_a_look_up_may_wait_or_fail_first() -> None:
    """A connect time-out of a second before each look-up in a store that is gone."""
    plane = plane_of(cached, rate=1.0)
    look = [row for row in plane.program.rows() if plane.program.op_of(row) == Op.GET]
    plane.bypass([0])
    plane.disturb(look, extra_seconds=1.0)
    plane.advance(1.5)
    plane.set_rate(0.0)
    plane.advance(5.0)
    assert plane.world.journeys["seconds"].sum() == pytest.approx(1.1)
    assert plane.world.visits[look].sum() == plane.world.stores["gets"][0] == 1
    plane.disturb(look, loss=1.0, reason=LOST)
    plane.set_rate(1.0)
    plane.advance(6.5)
    end(plane)
    assert reasons(plane) == {LOST: outcome(plane).started - 1}
    assert plane.world.visits[look].sum() == plane.world.stores["gets"][0] == 1


# ---------------------------------------------------------------- what cannot be


def test_what_makes_no_sense_is_refused_in_one_line() -> None:
    """A run must not be disturbed by half."""
    plane = plane_of(lambda p, s: work(p, p.pool(s, 1), constant(5)))
    (row,) = plane.program.rows()
    for wrong in ({"factor": -1.0}, {"extra_seconds": -1.0}, {"loss": 1.5, "reason": LOST},
                  {"loss": 0.5}):  # fmt: skip
        with pytest.raises(ValueError, match=";"):
            plane.disturb([row], **wrong)
    with pytest.raises(ValueError, match="cannot be disturbed"):
        plane.disturb([row - 1], factor=2.0)
    assert plane.world.steps["op"][row] == Op.HOLD
