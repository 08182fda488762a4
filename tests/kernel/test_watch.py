"""Watches: a server that fails is left alone for a while, and tried again with one request."""

from engine.kernel.tables import Op, Policy
from engine.plane import Plane
from tests.workshop import constant, outcome, plane_of, reasons

DEAD = 1  # which of three


def watched(max_fails: int = 1, timeout: float = 3.0, tries: int = 3, servers: int = 3) -> Plane:
    """Return a plane of equal servers, one of which refuses every connection."""

    def emit(program, place):
        first = program.pools(place, servers, 100, 0, servers)
        group = program.group(Policy.ROUND_ROBIN, first, servers)
        program.watch(group, first, servers, max_fails, timeout)
        tried, server = program.register("tried"), program.register("server")

        def call():
            program.step(
                Op.ROUTE,
                "route",
                site=group,
                register=server,
                jump=first,
                number=tried,
                reason=program.reason("no live upstreams"),
            )

            def serve():
                refused = program.reason("connection refused")
                program.step(Op.SEIZE, site=first, by=server, reason=refused)
                program.hold("work", constant(1))
                program.step(Op.RELEASE)

            def failed():
                program.step(Op.OUTCOME, site=first, by=server, number=0)
                program.step(Op.FAIL)

            program.attempt(serve, otherwise=failed)
            program.step(Op.OUTCOME, site=first, by=server, number=1)

        program.step(Op.SET, register=tried, number=0)
        program.attempt(call, attempts=tries)

    plane = plane_of(emit, 10.0)
    plane.world.pools["slots"][DEAD if servers > 1 else 0] = 0
    return plane


def calls_to_the_dead(plane: Plane) -> int:
    """Return how many calls a server refused."""
    return int(plane.world.peers["fails"].sum())


def test_nobody_notices_that_one_server_is_dead() -> None:
    """The next server is tried, and the dead one gets one request each fail_timeout."""
    plane = watched()
    plane.advance(31.05)
    assert outcome(plane).failed == 0
    assert calls_to_the_dead(plane) == 10  # at 0.2 s, then one probe some 3.1 s after the last


def test_without_a_next_server_the_probe_is_a_failure() -> None:
    """One failure each fail_timeout is what proxy_next_upstream off costs."""
    plane = watched(tries=1)
    plane.advance(31.05)
    assert reasons(plane) == {"connection refused": 10}


def test_a_server_that_is_well_again_takes_its_part() -> None:
    """After the probe went well the server counts as if nothing had been."""
    plane = watched()
    plane.advance(5.0)
    plane.world.pools["slots"][DEAD] = 100
    plane.advance(20.0)
    before = plane.world.pools["busy_area"].copy()
    plane.advance(80.0)
    parts = plane.world.pools["busy_area"] - before
    assert parts.max() < 1.02 * parts.min()


def test_a_server_alone_is_never_left_alone() -> None:
    """Nginx ignores max_fails when there is nobody else to ask."""
    plane = watched(servers=1, tries=1)
    plane.advance(10.05)
    assert calls_to_the_dead(plane) == 100
