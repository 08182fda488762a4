"""Tries: given up in time, tried again after a rest, and a server that knows nothing of it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.kernel.tables import Op
from tests.workshop import (
    FAR,
    METRONOME,
    Outcome,
    attempt,
    constant,
    exponential,
    failed_latency,
    idle,
    mean_latency,
    outcome,
    plane_of,
    play,
    reasons,
    spells,
    visits,
    work,
)

NONE, FULL, EQUAL = 0, 1, 2


def slow_server(time_ms: float, slots: int = 1, **rules):
    """Return what emits a try around a slow server."""

    def emit(program, place):
        pool = program.pool(place, slots)
        attempt(program, lambda: work(program, pool, constant(time_ms)), **rules)

    return emit


def broken(**rules):
    """Return what emits a try around what fails at once."""

    def emit(program, _place):
        attempt(program, lambda: program.fail("broken"), **rules)

    return emit


# ---------------------------------------------------------------- orphans and heirs


def test_a_timeout_ends_the_wait_but_not_the_work() -> None:
    """A server that stopped when its client left would make overload look harmless."""
    plane = plane_of(slow_server(100, patience=constant(30)))
    plane.advance(0.1 + 0.05)  # the request came at 100 ms and was given up at 130 ms
    plane.set_rate(0.0)
    assert outcome(plane) == (1, 0, 1, 0)
    assert plane.world.pools[0]["busy"] == 1
    plane.advance(0.205)
    assert plane.world.pools[0]["busy"] == 0
    assert plane.world.clock["wasted"][0] == 1
    assert plane.world.meters[0]["served"] == 1
    assert plane.world.pools[0]["busy_area"] == pytest.approx(0.1)
    assert failed_latency(plane) == pytest.approx(0.03)
    assert idle(plane)


def test_abandoned_work_keeps_others_waiting() -> None:
    """The second request waits behind the first one's orphan: this is how retry storms grow."""
    plane = play(slow_server(100, patience=constant(130)), requests=2, rate=20.0)
    # Asked at 50 and 100 ms; the second starts at 150 ms and would end at 250 ms, 150 ms on.
    assert outcome(plane) == (2, 1, 1, 0)
    assert plane.world.meters[0]["wait"] == pytest.approx(0.05)


def test_an_heir_tries_again_while_the_orphan_works() -> None:
    """Each try is its own load on the server: three tries of one request are three pieces."""
    plane = play(slow_server(100, slots=5, patience=constant(30), attempts=3), requests=1)
    assert outcome(plane) == (1, 0, 1, 0)
    assert reasons(plane) == {"timed out": 1}
    assert plane.world.meters[0]["served"] == 3
    assert plane.world.clock["wasted"][0] == 3
    assert failed_latency(plane) == pytest.approx(0.09)
    assert idle(plane)


def test_a_later_try_may_be_answered() -> None:
    """A retry that drew the same service time again could never succeed."""

    def emit(program, place):
        pool = program.pool(place, 100)
        attempt(program, lambda: work(program, pool, exponential(20)), patience=constant(20),
                attempts=40)  # fmt: skip

    plane = play(emit, requests=200)
    assert outcome(plane) == (200, 200, 0, 0)
    tries = visits(plane, Op.TRY)
    # Each try is in time with probability 1 - 1/e, so a request takes 1.58 tries on average.
    assert tries / 200 == pytest.approx(1.58, abs=0.3)
    assert plane.world.clock["wasted"][0] == tries - 200


def test_an_answer_in_time_leaves_nothing_behind() -> None:
    """A timer that were not stopped would end a request that was answered."""
    plane = play(slow_server(10, patience=constant(30), attempts=3), requests=100)
    assert outcome(plane) == (100, 100, 0, 0)
    assert plane.world.clock["wasted"][0] == 0
    assert plane.world.lanes[0]["head"] == plane.world.lanes[0]["tail"] == -1


def test_an_heir_keeps_what_was_held_before_the_try() -> None:
    """A thread that calls a slow service is not free when the call is given up, only later."""

    def emit(program, place):
        thread, slow = program.pool(place, 1), program.pool(place, 10)
        program.step(Op.SEIZE, site=thread)
        attempt(program, lambda: work(program, slow, constant(500)), patience=constant(30),
                attempts=2)  # fmt: skip
        program.step(Op.RELEASE)

    plane = plane_of(emit)
    held = []
    for milliseconds in (120, 140, 155, 165):
        plane.advance(milliseconds / 1e3)
        held.append(plane.world.pools["busy"].tolist())
    assert held == [[1, 1], [1, 2], [1, 2], [0, 2]]
    plane.set_rate(0.0)
    plane.advance(FAR)
    assert idle(plane)
    assert plane.world.pools["busy"].tolist() == [0, 0]


def test_a_call_that_gives_up_in_line_leaves_it_if_the_server_checks() -> None:
    """A server with a queue time-out spares itself what nobody waits for any more."""

    def emit(program, place):
        pool = program.pool(place, 1)
        attempt(program, lambda: program.step(Op.SEIZE, site=pool), patience=constant(30),
                cancels=True)  # fmt: skip
        program.hold("work", constant(100))
        program.step(Op.RELEASE)

    plane = play(emit, requests=3, rate=100.0)
    assert outcome(plane) == (3, 1, 2, 0)
    assert plane.world.meters[0]["served"] == 1
    assert plane.world.pools[0]["busy_area"] == pytest.approx(0.1)
    assert plane.world.pools[0]["waiting_area"] == pytest.approx(0.06)
    assert idle(plane)


def test_a_call_given_up_in_line_counts_at_its_station() -> None:
    """Otherwise a station that loses half of its calls would show no failure at all."""

    def emit(program, place):
        pool = program.pool(place, 1)
        attempt(program, lambda: program.step(Op.SEIZE, site=pool), patience=constant(30),
                cancels=True)  # fmt: skip
        program.hold("work", constant(100))
        program.step(Op.RELEASE)

    meter = play(emit, requests=3, rate=100.0).world.meters[0]
    assert (meter["asked"], meter["served"], meter["failed"]) == (3, 1, 2)


def test_any_number_of_timers_may_be_due_at_once() -> None:
    """Users who ask in step give up in step; none of them may be lost for want of room."""
    users = 5000
    plane = plane_of(
        slow_server(900, patience=constant(100), attempts=2),
        users=users,
        think=constant(1000),
    )
    plane.advance(1.15)
    assert outcome(plane).started == users
    tokens = plane.world.tokens
    alive = (tokens["state"] != 0) & (tokens["orphan"] == -1)
    assert int(alive.sum()) == users
    assert plane.world.clock["spare"][0] == int((tokens["state"] == 0).sum())


# ---------------------------------------------------------------- retries and rests


def test_a_retry_makes_as_many_attempts_as_it_says() -> None:
    """One attempt too many is a quarter more load in the worst moment."""
    for attempts in (1, 2, 5):
        plane = play(broken(attempts=attempts), requests=10)
        assert outcome(plane) == (10, 0, 10, 0)
        assert visits(plane, Op.FAIL) == 10 * attempts
        assert reasons(plane) == {"broken": 10}


def test_rests_double_up_to_their_limit() -> None:
    """Exponential backoff: 10, 20, 40, 50, 50 ms, so that retries thin out."""
    plane = play(broken(attempts=6, rest=(0.010, 0.050)), requests=1)
    assert failed_latency(plane) == pytest.approx(0.170)


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), jitter=st.sampled_from([FULL, EQUAL]))
def test_jitter_keeps_a_rest_within_its_bounds(seed: int, jitter: int) -> None:
    """Full jitter draws from 0 to the rest, equal jitter from half of it (Brooker 2015)."""
    plane = play(broken(attempts=5, rest=(0.010, 0.040), jitter=jitter), requests=1, seed=seed)
    rests = [spell.end - spell.start for spell in spells(plane.world)[0]]
    assert len(rests) == 4
    for rest, longest in zip(rests, (0.010, 0.020, 0.040, 0.040), strict=True):
        assert (0.0 if jitter == FULL else longest / 2) < rest < longest
    assert failed_latency(plane) == pytest.approx(sum(rests), rel=1e-5)


def test_jitter_spreads_requests_that_failed_together() -> None:
    """Rests of one length would bring everybody back at the same moment."""
    latencies = set()
    for seed in range(20):
        plane = play(broken(attempts=2, rest=(1.0, 1.0), jitter=FULL), requests=1, seed=seed)
        latencies.add(failed_latency(plane))
    assert len(latencies) == 20
    assert max(latencies) > 0.8
    assert min(latencies) < 0.2


def test_a_rest_counts_as_time_of_the_request() -> None:
    """A client that rests is a customer who waits."""

    def emit(program, _place):
        def body():
            program.step(Op.CHANCE, "luck", number=0.5, jump=program.here + 2)
            program.fail("unlucky")

        attempt(program, body, attempts=20, rest=(0.1, 0.1))

    plane = play(emit, requests=400)
    retries = visits(plane, Op.FAIL)
    assert outcome(plane).answered == 400
    assert mean_latency(plane) * 400 == pytest.approx(0.1 * retries)


# ---------------------------------------------------------------- nested


def test_the_innermost_try_is_tried_first() -> None:
    """A call inside a call has its own retries: 3 attempts of 2 attempts are 6 calls."""

    def emit(program, _place):
        attempt(program, lambda: attempt(program, lambda: program.fail("broken"), attempts=2),
                attempts=3)  # fmt: skip

    plane = play(emit, requests=10)
    assert visits(plane, Op.FAIL) == 60
    assert outcome(plane) == (10, 0, 10, 0)


def test_the_outer_timeout_ends_the_inner_retries() -> None:
    """A client's patience counts for all that happens behind its call, rests included."""

    def emit(program, place):
        pool = program.pool(place, 10)

        def inner():
            attempt(program, lambda: work(program, pool, constant(100)), patience=constant(20),
                    attempts=100)  # fmt: skip

        attempt(program, inner, patience=constant(70))

    plane = play(emit, requests=1)
    assert outcome(plane) == (1, 0, 1, 0)
    assert failed_latency(plane) == pytest.approx(0.070)


def test_an_inner_timeout_leaves_the_outer_timer_running() -> None:
    """The heir inherits the outer try with its timer, not with a new one."""

    def emit(program, place):
        pool = program.pool(place, 10)

        def inner():
            attempt(program, lambda: work(program, pool, constant(100)), patience=constant(40),
                    attempts=2)  # fmt: skip

        attempt(program, inner, patience=constant(60), attempts=2)

    plane = play(emit, requests=1)
    assert failed_latency(plane) == pytest.approx(0.120)  # two outer tries of 60 ms
    assert idle(plane)


def test_a_fallback_takes_over_when_tries_are_used_up() -> None:
    """With another way out, a failure is an answer after all."""

    def emit(program, _place):
        over = program.step(Op.GO)
        fallback = program.here
        program.hold("fallback", constant(7))
        out = program.step(Op.GO)
        program.patch(over, jump=program.here)
        attempt(program, lambda: program.fail("broken"), attempts=3, otherwise=fallback)
        program.patch(out, jump=program.here)

    plane = play(emit, requests=10)
    assert outcome(plane) == (10, 10, 0, 0)
    assert mean_latency(plane) == pytest.approx(0.007)


@settings(max_examples=40)
@given(
    slots=st.integers(1, 4),
    patience=st.sampled_from([constant(5), constant(15), exponential(20)]),
    attempts=st.integers(1, 4),
    cancels=st.booleans(),
    rate=st.sampled_from([50.0, 300.0]),
    seed=st.integers(0, 99),
)
def test_however_tries_end_nothing_is_lost(slots, patience, attempts, cancels, rate, seed) -> None:
    """Orphans and heirs share a past; a slot or a token that both or neither owned would leak."""

    def emit(program, place):
        outer, inner = program.pool(place, 3 * slots, 50), program.pool(place, slots, 4)

        def body():
            program.step(Op.SEIZE, site=outer)
            attempt(program, lambda: work(program, inner, exponential(8)), patience=patience,
                    attempts=2, cancels=cancels)  # fmt: skip
            program.step(Op.RELEASE)

        attempt(program, body, patience=constant(25), attempts=attempts, rest=(0.005, 0.02),
                jitter=FULL)  # fmt: skip

    plane = plane_of(emit, rate, METRONOME, seed=seed)
    plane.advance(1.0)
    plane.set_rate(0.0)
    done = outcome(plane)
    assert done.started == done.answered + done.failed + done.in_flight
    plane.advance(FAR)
    done = outcome(plane)
    assert done == Outcome(done.started, done.answered, done.failed, 0)
    assert idle(plane)
    assert plane.world.pools["busy"].tolist() == [0, 0]
    assert plane.world.pools["waiting"].tolist() == [0, 0]
    assert plane.world.lanes["head"].tolist() == [-1] * len(plane.world.lanes)


def test_time_beyond_a_time_out_is_nobodys_however_many_spans_came_before() -> None:
    """Shares of layers would add up to more than the latency of requests with long traces."""

    def emit(program, place):
        pool = program.pool(place, 1000)
        for _ in range(60):
            work(program, pool, constant(1))

        def late():
            program.hold("late", constant(500))
            program.hold("later", constant(500))

        program.attempt(late, timeout=constant(30), otherwise=lambda: None)

    plane = play(emit, requests=5)
    spent = plane.world.shares.sum()
    assert outcome(plane).answered == 5
    assert spent == pytest.approx(plane.world.journeys["seconds"].sum(), rel=1e-4)
    assert mean_latency(plane) == pytest.approx(0.090)
