"""The plane under faults: laws that hold whatever breaks, pools that are shut, who is down."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine import Scenario, Simulation
from engine.kernel.tables import Op
from engine.plane import Plane
from tests.books import check_books, check_drained
from tests.strategies import scenarios
from tests.workshop import (
    FAR,
    alike,
    constant,
    outcome,
    plane_of,
    program_of,
    reasons,
    shop,
    work,
)

seeds = st.integers(0, 1000)


# ---------------------------------------------------------------- laws


class Deed(NamedTuple):
    """Something that is done to a run at a time: what, to which place, how much of it."""

    at: float
    what: str
    place: int
    size: float


deeds = st.builds(
    Deed,
    st.floats(0.0, 2.0),
    st.sampled_from(
        ["crash", "crash", "kill", "hang", "slow", "lose", "bypass", "scale", "surge", "mend"]
    ),
    st.integers(0, 1000),
    st.floats(0.05, 1.0),
)


class Havoc:
    """What was broken in a run, and how it is mended."""

    def __init__(self, run: Simulation) -> None:
        self.run = run
        self.cures: list[Callable[[], None]] = []

    def do(self, deed: Deed) -> None:
        """Do one deed; it has to be the same in every run of the scenario."""
        plane = self.run.plane
        stations = [s for s in plane.program.stations.values() if s.pools]
        if deed.what == "mend":
            if self.cures:
                self.cures.pop(0)()
        elif deed.what == "surge":
            plane.surge(3.0 * deed.size)
        elif deed.what in {"slow", "lose"}:
            self._disturb(deed)
        elif deed.what == "bypass":
            stores = list(range(len(plane.program._rows["stores"])))[:: 1 + deed.place % 3]
            handle = plane.bypass(stores)
            self.cures.append(lambda: plane.calm(handle))
        elif stations:
            self._strike(deed, stations[deed.place % len(stations)])

    def _disturb(self, deed: Deed) -> None:
        plane = self.run.plane
        rows = plane.program.rows()[deed.place % 3 :: 3]
        if deed.what == "slow":
            handle = plane.disturb(rows, factor=4 * deed.size, extra_seconds=0.1 * deed.size)
        else:
            handle = plane.disturb(rows, loss=deed.size, reason="lost")
        self.cures.append(lambda: plane.calm(handle))

    def _strike(self, deed: Deed, station: Any) -> None:
        plane = self.run.plane
        pools = station.pools[: 1 + int(deed.size * len(station.pools))]
        if deed.what == "scale":
            if plane.scale_max(station.name) > 1:
                plane.scale(station.name, 1 + deed.place % min(6, plane.scale_max(station.name)))
            return
        if self.run.scenario.data.failover.on and station.name.startswith("data."):
            return  # who is primary, and whose pool is open, is the cluster's to say
        if deed.what in {"kill", "hang"}:
            plane.shut(pools, refuses=deed.what == "kill", reason="connection refused")
            self.cures.append(lambda: plane.reopen(pools, refuses=deed.what == "kill"))
        if deed.what in {"kill", "crash"}:
            plane.crash(pools, "connection reset")

    def mend(self) -> None:
        """End all that lasts."""
        while self.cures:
            self.cures.pop(0)()
        self.run.plane.surge(1.0)


def havoc(
    scenario: Scenario, seed: int, what: list[Deed], pauses: list[float], *, looks: bool = False
) -> Simulation:
    """Return a run in which all this has been done, with pauses, and all was mended at the end."""
    run = Simulation(scenario, seed)
    broken = Havoc(run)
    for at, deed in sorted([*((deed.at, deed) for deed in what), *((at, None) for at in pauses)],
                           key=lambda pair: (pair[0], pair[1] is not None)):  # fmt: skip
        run.advance_to(at)
        if deed is not None:
            broken.do(deed)
        if looks:
            check_books(run)
            run.result().summary  # noqa: B018  (looking changes nothing)
    run.advance_to(scenario.duration_seconds)
    broken.mend()
    return run


@settings(max_examples=60)
@given(scenarios(), seeds, st.lists(deeds, min_size=1, max_size=8))
def test_the_books_balance_whatever_breaks(scenario, seed, what) -> None:
    """A request that vanished in a crash would make the outage look shorter than it was."""
    run = havoc(scenario, seed, what, [], looks=True)
    check_books(run)
    run.advance(0.5)
    check_books(run)


@settings(max_examples=40)
@given(scenarios(arrivals="open"), seeds, st.lists(deeds, min_size=1, max_size=8))
def test_a_system_that_was_mended_runs_dry(scenario, seed, what) -> None:
    """What a crash left behind, a slot, a timer, a token, would be there for ever."""
    queue = scenario.asynchronous  # a relay offers a message for ever to a queue without places
    assume(not (queue.outbox.on and queue.bounded and queue.capacity == 0))
    run = havoc(scenario, seed, what, [])
    run.plane.set_rate(0.0)
    for processor in range(len(run.plane.program._rows["processors"])):
        run.plane.set_speed(processor, 1.0)  # no repair comes any more
    run.plane.advance(FAR)
    check_books(run)
    check_drained(run.plane)


@settings(max_examples=30)
@given(
    scenarios(),
    seeds,
    st.lists(deeds, min_size=1, max_size=6),
    st.lists(st.floats(0.001, 2.0), min_size=1, max_size=8),
)
def test_a_pause_changes_nothing_whatever_breaks(scenario, seed, what, pauses) -> None:
    """A fault that is injected into a paused run is the fault of its timeline."""
    one, other = havoc(scenario, seed, what, []), havoc(scenario, seed, what, pauses, looks=True)
    assert alike(one.plane.world, other.plane.world) == []
    assert one.result().summary == other.result().summary


@settings(max_examples=20)
@given(scenarios(), seeds, st.floats(0.1, 1.9))
def test_what_is_mended_at_once_was_never_broken(scenario, seed, at) -> None:
    """Shut and reopened, disturbed and calmed, all in one instant: the same bytes."""
    plain, other = Simulation(scenario, seed), Simulation(scenario, seed)
    for run in (plain, other):
        run.advance_to(at)
    pools = [pool for s in other.plane.program.stations.values() for pool in s.pools]
    other.plane.shut(pools, refuses=True)
    handle = other.plane.disturb(other.plane.program.rows(), factor=9.0)
    other.plane.calm(handle)
    other.plane.reopen(pools)
    for run in (plain, other):
        run.advance_to(scenario.duration_seconds)
    assert alike(plain.plane.world, other.plane.world) == []
    assert plain.result().summary == other.result().summary


# ---------------------------------------------------------------- shut and reopened


def visit(program, place, room: int = -1) -> None:
    """Emit a visit of 100 ms to a server with one thread, pool 0."""
    work(program, program.pool(place, 1, room), constant(100), "line full")


def test_a_dead_server_refuses_and_a_hung_one_lets_wait() -> None:
    """Who comes to a dead process is told at once; who comes to a hung one is told nothing."""
    for refuses in (True, False):
        plane = plane_of(visit, rate=1.0)
        plane.shut([0], refuses=refuses, reason="connection refused")
        assert not plane.answers(0)
        plane.advance(3.5)
        assert outcome(plane).failed == (3 if refuses else 0)
        assert plane.world.pools["waiting"][0] == (0 if refuses else 3)
        plane.reopen([0])
        assert plane.answers(0)
        plane.set_rate(0.0)
        plane.advance(10.0)
        assert outcome(plane).answered == (0 if refuses else 3)
        assert reasons(plane) == ({"connection refused": 3} if refuses else {})
        check_drained(plane)


def test_a_hung_server_refuses_when_its_line_is_full() -> None:
    """Nobody accepts, so the accept queue fills up."""
    plane = plane_of(lambda program, place: visit(program, place, room=2), rate=1.0)
    plane.shut([0], refuses=False)
    plane.advance(5.5)
    assert reasons(plane) == {"line full": 3}
    assert plane.world.pools["waiting"][0] == 2


def test_shut_twice_wants_to_be_reopened_twice() -> None:
    """Two faults hit one server; it is well when both are over, in whatever order."""
    plane = plane_of(visit, rate=1.0)
    plane.shut([0], refuses=True, reason="dead")
    plane.shut([0], refuses=False)
    plane.reopen([0], refuses=True)
    plane.advance(1.5)
    assert outcome(plane).failed == 0
    assert plane.world.pools["waiting"][0] == 1
    plane.reopen([0], refuses=False)
    assert plane.world.pools["busy"][0] == 1
    with pytest.raises(ValueError, match="not shut"):
        plane.reopen([0])


def test_who_holds_a_slot_of_a_pool_that_is_shut_keeps_it() -> None:
    """Nothing is broken off that nobody crashes."""
    plane = plane_of(visit, rate=1.0)
    plane.advance(1.05)
    plane.shut([0], refuses=True)
    plane.set_rate(0.0)
    plane.advance(2.0)
    assert outcome(plane).answered == 1


def test_a_run_has_room_for_a_few_reasons_of_its_own() -> None:
    """Beyond them the last stands for all others; nothing is lost from the count."""
    plane = plane_of(visit, rate=1.0)
    codes = [plane.reason(f"reason {number}") for number in range(20)]
    assert len(set(codes)) == 16
    assert max(codes) < plane.world.reasons.shape[1]


# ---------------------------------------------------------------- rate


def test_a_surge_multiplies_whatever_rate_is_asked_for() -> None:
    """A spike on top of a pattern: the pattern goes on, so many times as high."""
    plane = plane_of(visit, rate=10.0)
    plane.advance(1.0)
    plane.surge(3.0)
    plane.advance(2.0)
    assert outcome(plane).started == pytest.approx(40, abs=1)
    plane.set_rate(5.0)
    plane.advance(4.0)
    assert outcome(plane).started == pytest.approx(70, abs=1)
    plane.surge(1.0)
    plane.advance(6.0)
    assert outcome(plane).started == pytest.approx(80, abs=1)
    with pytest.raises(ValueError, match="makes no sense"):
        plane.surge(-1.0)


# ---------------------------------------------------------------- up and down


def group(program, place) -> None:
    """Emit a visit to one of four servers by turns, with a panic threshold of a half."""
    first = program.pools(place, 4, 1, -1, 4)
    group = program.group(0, first, 4)
    program.panic(group, 0.5)
    by = program.register("server")
    program.step(Op.ROUTE, "way", site=group, register=by, jump=first, reason=3)
    program.step(Op.SEIZE, site=first, by=by)
    program.hold("work", constant(10))
    program.step(Op.RELEASE)


def test_below_the_panic_threshold_all_are_picked() -> None:
    """Envoy: when over half are down, the checks are taken to be wrong, not the servers."""
    plane = Plane(program_of(group), seed=7)
    for pool in (0, 1):
        plane.mark_up(pool, up=False)
    assert plane.world.pools["up"].tolist() == [0, 0, 1, 1]
    plane.mark_up(2, up=False)
    assert plane.world.pools["up"].tolist() == [1, 1, 1, 1]
    assert [plane.is_up(pool) for pool in range(4)] == [False, False, False, True]
    plane.mark_up(0, up=True)
    assert plane.world.pools["up"].tolist() == [1, 0, 0, 1]


def test_a_server_is_picked_when_nobody_has_marked_it_down() -> None:
    """A deployment that ends must not bring a server back that fails its checks."""
    plane = plane_of(visit)
    plane.mark_up(0, up=False, by="checks")
    plane.mark_up(0, up=False)
    plane.mark_up(0, up=True)
    assert plane.world.pools["up"][0] == 0
    plane.mark_up(0, up=True, by="checks")
    assert plane.world.pools["up"][0] == 1


def test_a_server_that_stands_still_does_not_answer() -> None:
    """Its health checks run into their time-out."""
    run = Simulation(shop(cpu="processor_sharing"))
    place = run.plane.program.laid_out["server"]
    assert run.plane.answers(place.first + 1)
    run.plane.set_speed(place.cpus + 1, 0.0)
    assert not run.plane.answers(place.first + 1)
    assert run.plane.answers(place.first)


def test_a_pause_does_not_mend_a_slow_server() -> None:
    """Speeds are multiplied: at a third of its speed, still, and at a third of it again."""
    run = Simulation(shop(cpu="processor_sharing"))
    cpu = run.plane.program.laid_out["server"].cpus
    said = []
    for speed, by in ((1 / 3, "fault"), (0.0, ""), (1.0, ""), (1.0, "fault")):
        run.plane.set_speed(cpu, speed, by)
        said.append(float(run.plane.world.processors["speed"][cpu]))
    assert said == [pytest.approx(1 / 3), 0.0, pytest.approx(1 / 3), 1.0]
