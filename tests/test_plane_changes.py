"""The plane when a run is scaled or changed: how many there are, and what outlasts a change."""

import pytest

from engine import Simulation
from engine.kernel.tables import NOBODY, Op
from tests.books import check_books
from tests.workshop import shop

# ---------------------------------------------------------------- counts


def used(run: Simulation, station: str) -> list[int]:
    """Return which of a station's laid-out pools have been at work in the last second."""
    plane = run.plane
    first = plane.program.stations[station].pools[0]
    rows = plane.world.pools[first : first + plane.program.laid[first]]
    before = rows["busy_area"].copy()
    run.advance(1.0)
    return [place for place, more in enumerate(rows["busy_area"] > before) if more]


def test_a_service_has_as_many_servers_as_it_is_scaled_to() -> None:
    """All of them are picked, and no other."""
    run = Simulation(shop())
    assert used(run, "application.server") == [0, 1]
    run.plane.scale("server", 5)
    assert run.plane.scaled("server") == 5
    assert used(run, "application.server") == [0, 1, 2, 3, 4]
    run.plane.scale("server", 1)
    run.advance(0.5)  # the others finish what they have in hand
    assert used(run, "application.server") == [0]
    check_books(run)


def test_workers_are_scaled_with_their_partitions() -> None:
    """A third worker gets its share of the partitions at once."""
    run = Simulation(shop())
    for count in (3, 6, 1):
        run.plane.scale("mail", count)
        run.advance(1.0)
        assert used(run, "asynchronous.mail") == list(range(count))
        check_books(run)


def test_one_line_of_workers_is_scaled_by_its_hands() -> None:
    """SQS: workers are so many hands of one line, and idle ones take what waits at once."""
    scenario = shop().change({"asynchronous.broker": "queue"})
    run = Simulation(scenario)
    run.advance(2.0)
    waiting = int(run.plane.world.channels["waiting"][0])
    run.plane.scale("mail", 20)
    assert run.plane.world.channels["waiting"][0] == waiting - 18
    assert run.plane.scaled("mail") == 20
    run.advance(1.0)
    check_books(run)


def test_scaling_stays_within_what_is_laid_out() -> None:
    """Tables do not grow while a run goes on."""
    plane = Simulation(shop()).plane
    assert plane.scale_max("server") == 32
    with pytest.raises(ValueError, match="1 to 32"):
        plane.scale("server", 33)
    with pytest.raises(KeyError, match="no service"):
        plane.scale("nothing", 2)


def test_server_seconds_are_the_integral_of_the_count() -> None:
    """2 · 3 s + 5 · 2 s + 1 · 5 s: what is paid for."""
    run = Simulation(shop())
    for seconds, count in ((3.0, 5), (2.0, 1), (5.0, 1)):
        run.advance(seconds)
        run.plane.scale("server", count)
    assert run.plane.server_seconds("server") == pytest.approx(21.0)
    assert run.plane.server_seconds("mail") == pytest.approx(20.0)


def test_a_scaled_service_that_is_watched_is_watched_as_a_whole() -> None:
    """New servers are taken out when they fail, as the old ones."""
    scenario = shop().change({"edge.balancer.max_fails": 1, "edge.balancer.next_upstream": 0})
    run = Simulation(scenario)
    run.plane.scale("server", 4)
    first = run.plane.program.stations["application.server"].pools[0]
    assert run.plane.world.peers["max_fails"][first : first + 5].tolist() == [1, 1, 1, 1, 0]
    outcomes = run.plane.world.steps[run.plane.world.steps["op"] == Op.OUTCOME]
    assert set(outcomes["jump"].tolist()) == {4}
    run.change("application.replicas", 3)
    assert run.plane.scaled("server") == 3
    assert run.plane.world.peers["max_fails"][first : first + 4].tolist()[:3] == [1, 1, 1]


# ---------------------------------------------------------------- what stands over a change


def test_faults_outlast_a_change_of_something_else() -> None:
    """A knob that is turned during an outage must not end it."""
    run = Simulation(shop())
    plane = run.plane
    station = plane.program.stations["application.server"]
    run.advance(1.0)
    plane.scale("server", 3)
    plane.shut(station.pools[:1], refuses=True, reason="connection refused")
    plane.disturb(plane.program.rows(what="cpu"), factor=2.0)
    crew = plane.program.stations["asynchronous.mail"]
    plane.assign(crew.channel, [NOBODY] * 6)
    steps = plane.world.steps["op"].copy()
    run.change("application.threads", 8)
    assert plane.world.pools["slots"][station.pools].tolist() == [0, 8, 8]
    assert plane.world.steps["op"].tolist() == steps.tolist()
    assert plane.scaled("server") == 3
    assert plane.program.stations["application.server"].pools == station.pools
    assert set(plane.world.partitions["worker"].tolist()) == {NOBODY}
    plane.reopen(station.pools[:1])
    assert plane.world.pools["slots"][station.pools].tolist() == [8, 8, 8]
    assert "connection refused" in plane.program.reasons
    run.advance(1.0)
    check_books(run)


def test_a_count_outlasts_every_change_but_its_own() -> None:
    """Who turns the knob takes over from who has scaled."""
    run = Simulation(shop())
    run.plane.scale("server", 5)
    run.plane.scale("mail", 4)
    run.change("application.threads", 8)
    assert (run.plane.scaled("server"), run.plane.scaled("mail")) == (5, 4)
    run.change("application.replicas", 3)
    assert (run.plane.scaled("server"), run.plane.scaled("mail")) == (3, 4)
    run.change("asynchronous.workers", 3)
    assert (run.plane.scaled("server"), run.plane.scaled("mail")) == (3, 3)
    assert used(run, "asynchronous.mail") == [0, 1, 2]


def test_reasons_of_faults_outlast_a_change() -> None:
    """A code that meant another reason after a change would blame the wrong one."""
    run = Simulation(shop())
    run.advance(1.0)
    struck = run.plane.crash(run.plane.program.stations["application.server"].pools, "killed")
    run.change("application.threads", 8)
    run.advance(0.1)
    assert struck > 0
    assert run.result().summary.failures == {"killed": struck}
