"""Limits: a bucket lets so many through at once and so many a second, a window so many in it."""

import pytest

from engine.kernel.tables import Op
from tests.workshop import METRONOME, outcome, plane_of, play, reasons


def limited(rate: float, burst: float, clients: int = 1, window: float = 0.0, **more):
    """Return what emits a limit and nothing behind it."""

    def emit(program, _place):
        site = program.limit(rate, burst, clients, window)
        program.step(Op.LIMIT, site=site, number=clients, reason=program.reason("too many"), **more)

    return emit


def test_a_bucket_lets_its_burst_through_and_then_its_rate() -> None:
    """100 a second for 10 s against 20 a second and a burst of 50: 50 + 10 x 20 pass."""
    plane = play(limited(rate=20, burst=50), requests=1000, rate=100.0)
    assert outcome(plane).answered == pytest.approx(250, abs=1)
    assert reasons(plane) == {"too many": outcome(plane).failed}


def test_a_rate_below_the_limit_never_meets_it() -> None:
    """A limit that refuses those who keep to it would be an outage."""
    assert outcome(play(limited(rate=20, burst=1), requests=200, rate=19.0)).failed == 0


def test_each_client_has_a_bucket_of_its_own() -> None:
    """With one bucket for all, one greedy client would lock everybody out."""
    one = play(limited(rate=1, burst=1), requests=1000, rate=100.0)
    many = play(limited(rate=1, burst=1, clients=50), requests=1000, rate=100.0)
    assert outcome(one).answered == pytest.approx(10, abs=1)
    assert outcome(many).answered > 300


def test_a_window_lets_no_more_through_than_it_says() -> None:
    """Two fixed windows, weighed, come close to one that slides: never over by more than a few."""
    plane = play(limited(rate=20, burst=0, window=1.0), requests=1000, rate=100.0)
    assert outcome(plane).answered == pytest.approx(200, abs=20)


def test_a_retry_budget_ends_retries_when_it_is_spent() -> None:
    """Every request puts 0.2 in and every retry takes 1: a fifth is tried again, no more."""

    def emit(program, _place):
        budget = program.limit(0.0, 10.0)
        program.step(Op.CREDIT, site=budget, number=0.2)

        def body():
            program.step(Op.SET, register=1, number=1)
            program.fail("down")

        program.attempt(body, attempts=4, budget=budget)

    plane = plane_of(emit, 100.0, METRONOME)
    plane.advance(10.0)
    world = plane.world
    tried = int(world.visits[world.steps["op"] == Op.SET].sum())
    sent = outcome(plane).started
    assert tried - sent == pytest.approx(10 + 0.2 * sent, abs=2)
