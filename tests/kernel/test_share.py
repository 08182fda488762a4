"""Shares: all who compute on a processor go on at once, each the slower the more there are."""

import pytest

from engine.kernel.tables import Op
from engine.plane import Plane
from tests.workshop import (
    METRONOME,
    POISSON,
    constant,
    exponential,
    idle,
    mean_latency,
    outcome,
    plane_of,
    reasons,
)


def computing(time, cores: int = 1, rate: float = 10.0, gap=METRONOME, patience=None) -> Plane:
    """Return a plane whose requests compute on one processor."""

    def emit(program, place):
        site = program.processors(place, 1, cores)

        def body():
            program.compute("work", site, 0, time)

        if patience is None:
            body()
        else:
            program.attempt(body, timeout=constant(patience))

    return plane_of(emit, rate, gap)


def test_two_jobs_on_one_core_take_twice_as_long() -> None:
    """Requests at 0.1, 0.2 … of 150 ms each: each overlaps its neighbours, none waits its turn."""
    plane = computing(constant(150), rate=10.0)
    plane.advance(0.25)  # two have come; alone the first would have been done at 0.25
    assert outcome(plane).answered == 0
    plane.set_rate(0.0)
    plane.advance(10.0)
    # 0.1-0.2 alone, 0.2-0.3 at half speed: done at 0.3; the second's last 0.1 s alone: 0.4.
    assert plane.world.journeys["seconds"].sum() == pytest.approx(0.2 + 0.2)
    assert idle(plane)


def test_jobs_up_to_the_number_of_cores_do_not_slow_each_other() -> None:
    """Four cores and three jobs at a time are three jobs at full speed."""
    plane = computing(constant(290), cores=4)
    plane.advance(50.0)
    assert mean_latency(plane) == pytest.approx(0.290)


@pytest.mark.parametrize("time", [exponential(50), constant(50)])
def test_the_mean_stay_does_not_depend_on_the_kind_of_service_time(time) -> None:
    """M/G/1-PS is insensitive: E[T] = s / (1 - rho), 100 ms at half load (Kleinrock 1967)."""
    plane = computing(time, rate=10.0, gap=POISSON)
    plane.advance(12_000.0)
    assert mean_latency(plane) == pytest.approx(0.100, rel=0.03)


def test_a_processor_at_a_standstill_goes_on_where_it_stopped() -> None:
    """A pause of 1 s makes the job that it meets 1 s longer, and loses nothing."""
    plane = computing(constant(50), rate=10.0)
    plane.advance(0.12)
    plane.set_speed(0, 0.0)
    plane.set_rate(0.0)
    plane.advance(1.12)
    assert outcome(plane).answered == 0
    plane.set_speed(0, 1.0)
    plane.advance(5.0)
    assert plane.world.journeys["seconds"].sum() == pytest.approx(1.050)


def test_work_goes_on_after_its_client_has_gone() -> None:
    """A server does not know that its client has gone: the processor stays as full as it was."""
    plane = computing(constant(300), rate=5.0, patience=100.0)
    plane.advance(20.0)
    plane.set_rate(0.0)
    plane.advance(200.0)
    assert reasons(plane) == {"timed out": outcome(plane).started}
    assert plane.world.clock["wasted"][0] == outcome(plane).started
    assert idle(plane)


def test_what_a_processor_did_is_what_was_asked_of_it() -> None:
    """Busy core-seconds are the sum of the jobs' sizes."""
    plane = computing(exponential(80), cores=2, rate=20.0, gap=POISSON)
    plane.advance(200.0)
    plane.set_rate(0.0)
    plane.advance(400.0)
    meter = plane.world.pools["meter"][0]
    assert plane.world.pools["busy_area"][0] == pytest.approx(plane.world.meters["work"][meter])
    assert plane.world.steps["op"].tolist().count(Op.SHARE) == 1
