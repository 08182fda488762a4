"""Breakers: after some failures in a row calls are refused at once, and later probed again."""

from engine.kernel.tables import Guard, Op
from tests.workshop import constant, outcome, plane_of, reasons


def guarded(failures: int = 5, rest: float = 2.0, probes: int = 1, fails_until: float = 5.0):
    """Return what emits a call behind a breaker; the callee is broken for the first seconds."""

    def emit(program, place):
        site = program.breaker(failures, rest, probes)
        pool = program.pool(place, 0, 0)  # down: it refuses every call

        def body():
            program.step(Op.SEIZE, site=pool, reason=program.reason("connection refused"))
            program.hold("work", constant(1))
            program.step(Op.RELEASE)

        program.guarded(site, body, "circuit open")

    plane = plane_of(emit, 10.0)
    plane.advance(fails_until)
    plane.world.pools["slots"][0] = 1
    return plane


def test_an_open_breaker_refuses_at_once() -> None:
    """Five failures open it; until the callee is well again one probe every 2 s is all it gets."""
    plane = guarded()
    assert reasons(plane)["connection refused"] == 5 + 2
    assert reasons(plane)["circuit open"] == outcome(plane).failed - 7


def test_a_breaker_closes_when_its_probes_go_well() -> None:
    """One that stayed open would be an outage of its own."""
    plane = guarded(probes=3)
    plane.advance(9.0)
    assert plane.world.breakers["state"][0] == Guard.CLOSED
    before = outcome(plane).failed
    plane.advance(20.0)
    assert outcome(plane).failed == before


def test_failures_must_come_in_a_row() -> None:
    """One failure now and then is life."""

    def emit(program, _place):
        site = program.breaker(3, 5.0)
        program.guarded(
            site, lambda: program.chance("bad luck", 0.2, lambda: program.fail("bad")), "open"
        )

    plane = plane_of(emit, 10.0)
    plane.advance(30.0)
    calls = outcome(plane).answered + reasons(plane)["bad"]
    assert calls > 150
    assert int(plane.world.breakers["trips"][0]) <= 6
