"""The agenda takes events in order of time, and those of one time in the order they were made."""

import heapq

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from engine.kernel.agenda import close_hole, put, take
from engine.kernel.world import World
from tests.workshop import events, exponential, plane_of

WORK = exponential(3)

# Few different delays, so that ties are the rule.
delays = st.lists(st.sampled_from([0.0, 0.0, 0.5, 0.5, 1.0, 2.0, 3.25]), max_size=6)


@njit
def turn(pauses: np.ndarray, first_name: int, world: World) -> tuple[int, float]:
    """Take an event, put one after each pause, as the loop does; return what was taken."""
    who, _ = take(world)
    for index in range(len(pauses)):
        put(world.clock[0].now + pauses[index], first_name + index, world)
    close_hole(world)
    return who, world.clock[0].now


@njit
def fill(dues: np.ndarray, world: World) -> None:
    """Put events named 0, 1, 2 … on an empty agenda."""
    for index in range(len(dues)):
        put(dues[index], index, world)


class Heap:
    """The model: Python's heap of (due, order, who)."""

    def __init__(self, dues: list[float]) -> None:
        self.rows = [(due, order, order) for order, due in enumerate(dues)]
        heapq.heapify(self.rows)
        self.made = len(dues)

    def turn(self, pauses: list[float]) -> tuple[int, float]:
        """Take an event and put one after each pause."""
        due, _, who = heapq.heappop(self.rows)
        for pause in pauses:
            heapq.heappush(self.rows, (due + pause, self.made, self.made))
            self.made += 1
        return who, due


@settings(max_examples=150)
@given(st.lists(st.sampled_from([0.0, 1.0, 1.0, 2.0, 5.5]), min_size=1, max_size=40),
       st.lists(delays, max_size=60))  # fmt: skip
def test_events_come_in_the_order_of_a_heap(dues: list[float], rounds: list[list[float]]) -> None:
    """A wrong order would let effects come before causes, or ties fall as they like."""
    world = plane_of(lambda _program, _place: None).world
    world.clock["pending"] = world.clock["order"] = 0
    fill(np.array(dues), world)
    model = Heap(dues)
    for pauses in [*rounds, *([[]] * len(dues))]:
        if not model.rows:
            break
        expected_name = model.made
        assert turn(np.array(pauses, float), expected_name, world) == model.turn(pauses)
        assert world.clock["pending"][0] == len(model.rows)


def test_a_long_agenda_comes_out_sorted() -> None:
    """Small heaps have no deep levels; an error down there shows only in a large one."""
    world = plane_of(lambda _program, _place: None).world
    world.clock["pending"] = world.clock["order"] = 0
    dues = np.random.default_rng(7).integers(0, 300, 4000).astype(float)
    fill(dues, world)
    taken = [turn(np.zeros(0), 0, world) for _ in dues]
    order = np.argsort(dues, kind="stable")
    assert [who for who, _ in taken] == order.tolist()
    assert [due for _, due in taken] == dues[order].tolist()


def test_the_clock_never_runs_backwards() -> None:
    """A clock that went back would give negative waits."""
    plane = plane_of(lambda program, _place: program.hold("work", WORK), rate=200.0)
    times = list(events(plane, 2.0))
    assert len(times) > 400
    assert times == sorted(times)


def test_the_agenda_grows_when_it_is_full() -> None:
    """A rate that is turned often leaves stale events; writing beyond the table ends the run."""
    plane = plane_of(lambda program, _place: program.hold("work", WORK), rate=1e-6)
    size = len(plane.world.due)
    for turn_number in range(size + 500):
        plane.set_rate(1e-6 * (turn_number + 2))
    assert plane.world.clock["pending"][0] <= len(plane.world.due)
    plane.set_rate(100.0)
    plane.advance(plane.now + 10.0)
    assert plane.world.journeys["answered"][0] > 900
