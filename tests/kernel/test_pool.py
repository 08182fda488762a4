"""Pools: equal slots and one line, first come, first served."""

import heapq

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from engine.kernel.randomness import base_of, draw
from engine.kernel.tables import NOBODY, Op
from engine.kernel.world import World
from engine.plane import Plane
from tests.workshop import (
    FAR,
    constant,
    events,
    exponential,
    mean_latency,
    outcome,
    plane_of,
    play,
    reasons,
    work,
)


def server(slots: int, time: object, room: int = NOBODY):
    """Return what emits one pool and the work that holds a slot of it."""

    def emit(program, place):
        work(program, program.pool(place, slots, room), time, "line full")

    return emit


@njit
def services_of(label: np.uint64, dist: int, count: int, world: World) -> np.ndarray:
    """Return the service times that the first requests draw, seconds."""
    out = np.empty(count)
    for request in range(count):
        base = base_of(world.clock[0].seed, request)
        out[request] = draw(world.dists[dist], base, label, 0, world)
    return out


def service_times(plane: Plane, count: int) -> np.ndarray:
    """Return the service times that the first requests draw at the plane's only HOLD."""
    step = plane.world.steps[plane.world.steps["op"] == Op.HOLD][0]
    return services_of(np.uint64(step["label"]), int(step["dist"]), count, plane.world)


def waits(arrivals: np.ndarray, services: np.ndarray, slots: int) -> np.ndarray:
    """Return each wait in a line for equal slots (Kiefer and Wolfowitz 1955)."""
    free = [0.0] * slots
    out = np.empty(len(arrivals))
    for index, (arrival, service) in enumerate(zip(arrivals, services, strict=True)):
        start = max(arrival, heapq.heappop(free))
        out[index] = start - arrival
        heapq.heappush(free, start + service)
    return out


@settings(max_examples=25)
@given(slots=st.integers(1, 6), load=st.floats(0.3, 1.3), seed=st.integers(0, 99))
def test_waits_are_those_of_first_come_first_served(slots: int, load: float, seed: int) -> None:
    """Any other discipline, or a slot handed out twice or late, gives other waits."""
    count, rate = 400, 100.0
    plane = play(server(slots, exponential(10.0 * slots * load)), count, rate, seed)
    arrivals = np.cumsum(np.full(count, 1 / rate))
    expected = waits(arrivals, service_times(plane, count), slots)
    meter = plane.world.meters[0]
    assert meter["asked"] == meter["served"] == count
    assert meter["wait"] == pytest.approx(expected.sum(), rel=1e-9, abs=1e-9)
    assert plane.world.waits[0].sum() == count


@settings(max_examples=25)
@given(slots=st.integers(1, 4), room=st.integers(0, 3), rate=st.sampled_from([50.0, 200.0, 800.0]))
def test_never_more_than_the_slots_and_the_room(slots: int, room: int, rate: float) -> None:
    """A pool that admits more than it has would hide every overload."""
    plane = plane_of(server(slots, exponential(10), room), rate)
    pool = plane.world.pools[0]
    for _ in events(plane, 1.0):
        assert 0 <= pool["busy"] <= slots
        assert 0 <= pool["waiting"] <= room
        assert pool["busy"] == slots or pool["waiting"] == 0  # nobody waits for a free slot


def test_a_full_line_refuses_the_next_request() -> None:
    """One too many in line, or one too few, shifts where a system begins to fail."""
    plane = play(server(1, constant(1000), room=2), requests=5, rate=100.0)
    assert outcome(plane) == (5, 3, 2, 0)
    assert reasons(plane) == {"line full": 2}


def test_without_room_nobody_waits() -> None:
    """Room 0 is a pool without a line: M/G/c/c, not a pool without a limit."""
    plane = play(server(2, constant(1000), room=0), requests=5, rate=100.0)
    assert outcome(plane) == (5, 2, 3, 0)
    assert plane.world.meters[0]["wait"] == 0.0


def test_a_line_without_limit_takes_everybody() -> None:
    """A hidden limit would drop requests that nobody said should be dropped."""
    plane = play(server(1, constant(100)), requests=500, rate=1000.0)
    assert outcome(plane) == (500, 500, 0, 0)
    # Request n asks at n ms and is answered at 1 + 100 n ms, so it takes 1 + 99 n ms.
    assert mean_latency(plane) == pytest.approx((1 + 99 * 250.5) / 1e3)


def test_integrals_are_the_time_that_slots_were_busy_and_tokens_waited() -> None:
    """Utilisation and Little's law are read off these; they have to be exact."""
    plane = play(server(1, constant(30)), requests=3, rate=100.0)
    pool = plane.world.pools[0]
    assert pool["busy_area"] == pytest.approx(0.090)
    assert pool["waiting_area"] == pytest.approx(0.020 + 0.040)
    assert plane.world.meters[0]["work"] == pytest.approx(0.090)
    assert plane.world.meters[0]["stay"] == pytest.approx(0.090 + 0.060)


def test_a_slot_is_held_through_what_comes_within() -> None:
    """A thread that were free while its call waits would hide thread exhaustion."""

    def emit(program, place):
        thread = program.pool(place, 1)
        connection = program.pool(place, 1)
        program.step(Op.SEIZE, site=thread)
        work(program, connection, constant(40))
        program.hold("cpu", constant(60))
        program.step(Op.RELEASE)

    plane = play(emit, requests=3, rate=1000.0)
    thread, connection = plane.world.pools
    assert thread["busy_area"] == pytest.approx(0.3)
    assert connection["busy_area"] == pytest.approx(0.12)
    assert connection["waiting_area"] == 0.0  # the one thread lets only one query through


def test_a_failure_gives_every_slot_back() -> None:
    """A slot that leaked at each failure would wear the pool down to nothing."""

    def emit(program, place):
        program.step(Op.SEIZE, site=program.pool(place, 2))
        program.step(Op.SEIZE, site=program.pool(place, 1))
        program.hold("work", constant(5))
        program.fail("broken")

    plane = play(emit, requests=50)
    assert outcome(plane) == (50, 0, 50, 0)
    assert plane.world.pools["busy"].tolist() == [0, 0]
    assert plane.world.meters["failed"][0] == 100  # both pools count at one meter


def test_slots_that_are_added_let_the_line_in() -> None:
    """Scaling out must help those who wait already, not only those who come later."""
    plane = plane_of(server(1, constant(1000)), rate=100.0)
    plane.advance(0.055)
    plane.set_rate(0.0)
    assert plane.world.pools[0]["waiting"] == 4
    assert plane.adopt(plane_of(server(3, constant(1000)), rate=100.0).program)
    assert plane.world.pools[0]["waiting"] == 2
    assert plane.world.pools[0]["busy"] == 3
    plane.advance(FAR)
    assert outcome(plane) == (5, 5, 0, 0)


def test_slots_that_are_taken_away_finish_their_work() -> None:
    """Scaling in breaks nothing off: busy falls to the new number as work ends."""
    plane = plane_of(server(3, constant(100)), rate=100.0)
    plane.advance(0.065)
    plane.set_rate(0.0)
    assert plane.adopt(plane_of(server(1, constant(100)), rate=100.0).program)
    assert plane.world.pools[0]["busy"] == 3
    plane.advance(0.125)
    assert plane.world.pools[0]["busy"] == 1
    plane.advance(FAR)
    assert outcome(plane) == (6, 6, 0, 0)
