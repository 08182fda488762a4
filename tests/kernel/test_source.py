"""Sources: open ones keep their rate whatever happens, closed ones wait for their answers."""

import numpy as np
import pytest
from scipy import stats

from engine.distribution import Distribution
from engine.kernel.tables import Op
from engine.plane import Plane
from engine.program import Program
from tests.workshop import (
    METRONOME,
    POISSON,
    constant,
    events,
    exponential,
    outcome,
    plane_of,
    work,
)

ALPHA = 1e-4
WEIGHTS = [0.9, 0.1]


def nothing(_program, _place) -> None:
    """Emit nothing: an answer at once."""


def two_journeys(gap: Distribution = POISSON, rate: float = 100.0) -> Plane:
    """Return a plane whose requests go one of two ways."""
    program = Program()
    place = program.station("application.place", "Place", "service")
    with program.at(place, "ask"):
        program.step(Op.ARRIVE)
    starts = []
    for name in ("often", "seldom"):
        starts.append(program.begin(name))
        program.journeys.append(name)
        with program.at(place, name):
            program.step(Op.FINISH)
    program.source("users", WEIGHTS, starts, rate, gap, METRONOME, 1 << 24, 0)
    return Plane(program, 7)


def arrivals(plane: Plane, until: float) -> np.ndarray:
    """Return when requests came; each is answered at once."""
    return np.array(list(events(plane, until)))


def test_poisson_arrivals_have_exponential_gaps() -> None:
    """Independent users make Poisson arrivals; anything steadier would understate waits."""
    gaps = np.diff(arrivals(plane_of(nothing, 100.0, POISSON), 100.0))
    assert stats.kstest(gaps, stats.expon(scale=0.01).cdf).pvalue > ALPHA


def test_a_metronome_keeps_its_time() -> None:
    """A load generator's fixed gaps have to be fixed."""
    times = arrivals(plane_of(nothing, 100.0, METRONOME), 5.0)
    assert np.diff(times) == pytest.approx(np.full(len(times) - 1, 0.01))


def test_an_open_source_does_not_wait_for_answers() -> None:
    """Users who come whatever happens are what makes overload dangerous."""
    plane = plane_of(lambda program, _place: program.hold("slow", constant(1e6)), rate=100.0)
    plane.advance(10.005)
    assert outcome(plane) == (1000, 0, 0, 1000)


def test_a_gap_does_not_tell_what_comes_after_it() -> None:
    """If it did, one journey's requests would come in bursts and the other's never."""
    plane = two_journeys()
    started, gaps, ways = plane.world.journeys["started"], [], []
    while len(gaps) < 4000:
        gaps.append(float(plane.world.sources["left"][0]))
        before = int(started[1])
        plane.advance(float(plane.world.due[0]))
        ways.append(int(started[1]) - before)
    for later in range(4):
        after = np.array(ways[later:])
        before_seldom = np.array(gaps[: len(after)])[after == 1]
        assert stats.kstest(before_seldom, "expon").pvalue > ALPHA


def test_journeys_come_by_weight() -> None:
    """One in ten is one in ten."""
    plane = two_journeys(rate=1000.0)
    plane.advance(20.0)
    often, seldom = plane.world.journeys["started"].tolist()
    assert stats.binomtest(seldom, often + seldom, 0.1).pvalue > ALPHA


def test_a_rate_of_zero_stops_the_requests_and_another_starts_them() -> None:
    """A source that could not be stopped could not be drained."""
    plane = plane_of(nothing, 100.0, METRONOME)
    plane.advance(1.005)
    plane.set_rate(0.0)
    plane.advance(50.0)
    assert outcome(plane).started == 100
    plane.set_rate(100.0)
    plane.advance(51.0)
    assert outcome(plane).started == pytest.approx(200, abs=1)


def test_a_new_rate_stretches_the_rest_of_the_gap() -> None:
    """Half of a gap at 1 /s is over after 0.5 s; at 10 /s the other half takes 0.05 s."""
    plane = plane_of(nothing, 1.0, METRONOME)
    plane.advance(0.5)
    plane.set_rate(10.0)
    assert float(plane.world.due[: int(plane.world.clock["pending"][0])].min()) == pytest.approx(
        0.55
    )
    plane.set_rate(2.0)
    plane.advance(0.7499)
    assert outcome(plane).started == 0
    plane.advance(0.7501)
    assert outcome(plane).started == 1


def test_setting_the_same_rate_changes_nothing() -> None:
    """A knob that is set to what it is must not redraw the gap at hand."""
    one, other = plane_of(nothing, 50.0, POISSON), plane_of(nothing, 50.0, POISSON)
    for tick in range(100):
        one.advance(tick / 10)
        one.set_rate(50.0)
    other.advance(9.9)
    assert one.world.due[0] == other.world.due[0]
    assert outcome(one) == outcome(other)


def test_closed_users_have_one_request_at_a_time() -> None:
    """Users who wait cannot be more than there are, however slow the answers."""
    plane = plane_of(
        lambda program, _place: program.hold("slow", exponential(500)),
        users=20,
        think=exponential(100),
    )
    for _ in events(plane, 5.0):
        assert 0 <= outcome(plane).in_flight <= 20
    assert outcome(plane).started > 100


def test_closed_users_keep_the_interactive_law() -> None:
    """Throughput × (response + think) = users (Denning and Buzen 1978)."""

    def emit(program, place):
        work(program, program.pool(place, 1), exponential(10))

    plane = plane_of(emit, users=30, think=exponential(400))
    plane.advance(400.0)
    rate = outcome(plane).answered / 400.0
    response = plane.world.journeys["seconds"][0] / outcome(plane).answered
    assert rate * (response + 0.4) == pytest.approx(30, rel=0.01)


def test_a_user_who_fails_asks_again() -> None:
    """Users who vanished at their first failure would make any outage heal itself."""
    plane = plane_of(lambda program, _place: program.fail("broken"), users=5, think=constant(100))
    plane.advance(1.05)
    assert outcome(plane) == (50, 0, 50, 0)
