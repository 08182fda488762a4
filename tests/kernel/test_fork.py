"""Forks: legs run side by side, and the parent goes on when the last has come in."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.kernel.tables import Op
from tests.workshop import (
    POISSON,
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
    visits,
    work,
)


def legs(*bodies, repeat: int = 1):
    """Return what emits a fork with a leg for each body, `repeat` times over."""

    def emit(program, _place):
        node = program.node
        row = program.step(Op.FORK, jump=len(bodies), register=repeat)
        program.step(Op.GATHER)

        def emit_legs():
            starts = []
            for body in bodies:
                starts.append(program.begin("visit"))
                with program.beside(node):
                    body(program)
                    program.step(Op.JOIN)
            program.patch(row, site=program.legs(starts, repeat))

        program.later(emit_legs)

    return emit


def taking(time):
    """Return a leg that takes a time."""
    return lambda program: program.hold("leg", time)


def test_the_parent_waits_for_its_slowest_leg() -> None:
    """A page is ready when its last part is, not after the sum of all parts, nor the first."""
    plane = play(legs(taking(constant(5)), taking(constant(40)), taking(constant(9))), requests=20)
    assert outcome(plane) == (20, 20, 0, 0)
    assert mean_latency(plane) == pytest.approx(0.040)
    assert idle(plane)


@pytest.mark.parametrize("count", [1, 5, 40])
def test_the_slowest_of_many_takes_as_long_as_theory_says(count: int) -> None:
    """The maximum of n exponentials has the mean H(n): the tail at scale.

    Legs that shared their draws would have the mean of one.
    """
    plane = play(legs(taking(exponential(10)), repeat=count), requests=3000, rate=100.0)
    harmonic = sum(1 / n for n in range(1, count + 1))
    assert mean_latency(plane) == pytest.approx(0.010 * harmonic, rel=0.04)


def test_every_leg_runs_once() -> None:
    """A leg that ran twice would be load that nobody asked for."""
    both = taking(constant(1)), taking(constant(2))
    plane = play(legs(*both, repeat=3), requests=10)
    assert visits(plane, Op.JOIN) == 60
    assert visits(plane, Op.GATHER) == 10


def test_a_leg_that_fails_fails_the_request_when_all_have_come_in() -> None:
    """A page with a missing part is a failure, and it is known when the legs are in."""

    def broken(program):
        program.hold("leg", constant(10))
        program.fail("part missing")

    plane = play(legs(broken, taking(constant(30))), requests=5)
    assert outcome(plane) == (5, 0, 5, 0)
    assert reasons(plane) == {"part missing": 5}
    assert failed_latency(plane) == pytest.approx(0.030)
    assert idle(plane)


def test_time_side_by_side_is_charged_once() -> None:
    """Shares of latency have to add up to latency, however many legs there were."""
    plane = play(legs(taking(exponential(10)), repeat=4), requests=200)
    shares = plane.world.shares.sum()
    assert shares == pytest.approx(plane.world.journeys["seconds"][0], rel=1e-5)


def test_a_fork_may_be_given_up() -> None:
    """The legs of an abandoned fork go on, and nobody waits for them twice."""

    def emit(program, place):
        fork = legs(taking(constant(100)), taking(constant(50)))
        attempt(program, lambda: fork(program, place), patience=constant(20), attempts=3)

    plane = play(emit, requests=10)
    assert outcome(plane) == (10, 0, 10, 0)
    assert visits(plane, Op.JOIN) == 60
    assert plane.world.clock["wasted"][0] == 30
    assert failed_latency(plane) == pytest.approx(0.060)
    assert idle(plane)


@settings(max_examples=25)
@given(
    repeat=st.integers(1, 5),
    slots=st.integers(1, 3),
    patience=st.sampled_from([3, 20]),
    seed=st.integers(0, 99),
)
def test_however_legs_end_nothing_is_lost(repeat, slots, patience, seed) -> None:
    """Legs have tries of their own; an orphan of a leg must not come in for its heir."""

    def emit(program, place):
        pool = program.pool(place, slots, 5)

        def leg(inner):
            attempt(inner, lambda: work(inner, pool, exponential(4)), patience=constant(patience),
                    attempts=2)  # fmt: skip

        legs(leg, taking(exponential(3)), repeat=repeat)(program, place)

    plane = plane_of(emit, 100.0, POISSON, seed=seed)
    plane.advance(1.0)
    done = outcome(plane)
    assert done.started == done.answered + done.failed + done.in_flight
    plane.set_rate(0.0)
    plane.advance(1e4)
    assert outcome(plane).in_flight == 0
    assert idle(plane)
    assert plane.world.pools["busy"][0] == 0


# ---------------------------------------------------------------- some legs are enough


def racing(*bodies, needed: int):
    """Return what emits a fork that goes on when some legs have come in."""

    def emit(program, _place):
        whole = [(lambda body=body: body(program)) for body in bodies]
        program.together(whole, needed=needed)

    return emit


def failing(after):
    """Return a leg that fails after a time."""

    def body(program):
        program.hold("leg", after)
        program.fail("leg failed")

    return body


def test_a_quorum_waits_for_the_second_of_three() -> None:
    """A write to two of three copies takes as long as the second fastest."""
    legs_of = [taking(constant(each)) for each in (5, 40, 9)]
    plane = play(racing(*legs_of, needed=2), requests=20)
    assert mean_latency(plane) == pytest.approx(0.009)
    assert plane.world.clock["wasted"][0] == 20
    assert idle(plane)


def test_a_race_is_lost_only_when_nobody_can_win_it() -> None:
    """One copy may fail of three where two are enough; of two failures the request dies."""
    one = play(racing(failing(constant(1)), taking(constant(5)), taking(constant(7)), needed=2), 10)
    two = play(
        racing(failing(constant(1)), failing(constant(2)), taking(constant(7)), needed=2), 10
    )
    assert outcome(one).answered == 10
    assert reasons(two) == {"leg failed": 10}
    assert failed_latency(two) == pytest.approx(0.002)
    assert idle(one)
    assert idle(two)


def test_a_hedge_is_sent_only_if_the_first_is_late() -> None:
    """The second request starts after its delay, and not at all if an answer has come."""

    def emit(program, _place):
        def late():
            program.hold("delay", constant(20))
            program.step(Op.STILL)
            program.hold("second", constant(5))

        def first():
            program.hold("first", exponential(10))

        program.together([first, late], needed=1)

    plane = plane_of(emit, 100.0, POISSON)
    plane.advance(200.0)
    plane.set_rate(0.0)
    plane.advance(1000.0)
    world = plane.world
    second = world.visits[world.steps["op"] == Op.HOLD][-1]
    assert second / outcome(plane).started == pytest.approx(0.1353, rel=0.06)  # e^-2
    assert world.latency[0].nonzero()[0].max() < 64 * 15  # nobody waits over 25 ms
    assert idle(plane)


def test_each_leg_knows_its_number() -> None:
    """A query to all shards sends one to each."""

    def emit(program, place):
        first = program.pools(place, 4, 1, -1, 4)
        shard = program.register("shard")

        def leg():
            program.step(Op.SEIZE, site=first, by=shard)
            program.hold("work", constant(1))
            program.step(Op.RELEASE)

        program.together([leg], repeat=4, number_in=shard)

    plane = play(emit, requests=10)
    assert plane.world.pools["busy_area"][:4] == pytest.approx([0.01] * 4)


def test_a_leg_that_is_refused_without_a_reason_has_failed_all_the_same() -> None:
    """A parent that took silence for success would answer from a dead server."""

    def emit(program, place):
        dead = program.pool(place, 0, 0)
        program.together([lambda: program.step(Op.SEIZE, site=dead)], needed=1)

    plane = play(emit, requests=10)
    assert reasons(plane) == {"queue full": 10}


def test_a_leg_that_went_well_at_its_second_try_has_gone_well() -> None:
    """What went wrong on the way is forgotten when it is mended."""

    def emit(program, _place):
        def body():
            program.hold("leg", constant(1))
            program.attempt(
                lambda: program.chance("bad luck", 0.5, lambda: program.fail("bad")), attempts=9
            )

        program.together([body])

    plane = play(emit, requests=100)
    assert outcome(plane).answered >= 99
