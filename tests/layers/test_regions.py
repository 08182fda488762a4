"""Regions that go down while a run goes on: who is refused, who notices, who comes back."""

from typing import Any

import pytest

from engine import Simulation
from tests.books import check_books
from tests.layers.test_layers import call, servers, system

DNS = {"lookup": 1, "ttl_seconds": 4, "detection_seconds": 9, "resolvers": 20, "detour": 80}
NEAR = {
    "enabled": True,
    "requests_per_second": 100,
    "web_round_trip": 10,
    "mobile_share": 0,
    "attempts": 1,
    "regions": [{"name": name, "origin_round_trip": 0} for name in "abc"],
}


def run_of(client: Any = None, **dns: Any) -> Simulation:
    """Return a run of users of three regions that are alike."""
    return Simulation(
        system(
            call(),
            application=servers(0),
            client=NEAR | (client or {}),
            edge={"dns": DNS | {"failover": True} | dns},
            duration_seconds=120,
        )
    )


def told(run: Simulation) -> list[tuple[float, str]]:
    """Return when and what the log says of regions."""
    return [(when, text) for when, kind, _, text in run.recorder.events if kind == "region"]


def refused(run: Simulation) -> int:
    """Return how many have found their region down; nothing else fails."""
    failures = run.result().summary.failures
    assert set(failures) <= {"region down"}
    return failures.get("region down", 0)


def test_a_region_that_goes_down_at_any_time_is_noticed_by_three_checks() -> None:
    """A fault that only a time in the scenario could cause could not be injected."""
    run = run_of()
    dns = run.scenario.edge.dns
    run.advance_to(10)
    gate = dns.region_down(run, "b")
    run.advance_to(18)
    assert refused(run) == pytest.approx(800 / 3, rel=0.2)
    run.advance_to(40)
    assert told(run) == [(18, "users of b are sent elsewhere")]  # checks at 12, 15, 18
    resolved = refused(run)
    run.advance_to(61)
    assert refused(run) == resolved  # resolvers have forgotten the old address
    dns.region_back(run, gate)
    run.advance_to(80)
    assert told(run)[1:] == [(69, "users of b are sent there again")]  # checks at 63, 66, 69
    assert refused(run) == resolved
    check_books(run)


def test_nobody_is_sent_to_a_region_that_is_known_to_be_down() -> None:
    """Users would be sent from one outage to the next."""
    run = run_of()
    dns = run.scenario.edge.dns
    run.advance_to(10)
    for name in "ab":
        dns.region_down(run, name)
    run.advance_to(30)
    run.change("edge.dns.detour", 90)  # a knob that is turned alters nothing of it
    before = refused(run)
    run.advance_to(60)
    assert refused(run) == before
    check_books(run)


def test_all_regions_down_leave_nowhere_to_go() -> None:
    """Somebody would be answered by nobody."""
    run = run_of()
    run.advance_to(10)
    for name in "abc":
        run.scenario.edge.dns.region_down(run, name)
    run.advance_to(40)
    assert refused(run) == pytest.approx(3000, rel=0.1)
    check_books(run)


def test_a_region_with_a_time_to_go_down_is_checked_too() -> None:
    """The knob and the fault would be two worlds."""
    regions = [{"name": "a", "down_at_seconds": 10, "up_at_seconds": 30}, {"name": "b"}]
    run = run_of({"regions": regions})
    run.advance_to(60)
    assert told(run) == [
        (10, "a is down"),
        (18, "users of a are sent elsewhere"),
        (30, "a is up again"),
        (39, "users of a are sent there again"),
    ]
    check_books(run)


def test_a_blink_of_a_region_moves_nobody() -> None:
    """Addresses that change at every blink are worse than the blink."""
    run = run_of()
    run.advance_to(10)
    gate = run.scenario.edge.dns.region_down(run, "b")
    run.advance_to(15.5)
    run.scenario.edge.dns.region_back(run, gate)
    run.advance_to(60)
    assert told(run) == []


def test_why_no_region_can_go_down_is_said() -> None:
    """A button that does nothing would be pressed again."""
    run = run_of()
    assert run.scenario.edge.dns.why_no_region(run.scenario) == ""
    off = run.scenario.change({"edge.dns.failover": False})
    assert "edge.dns.failover is off" in off.edge.dns.why_no_region(off)
    off = run.scenario.change({"edge.dns.on": False})
    assert "have to be on" in off.edge.dns.why_no_region(off)


def test_names_that_are_not_remembered_are_looked_up_at_known_rows() -> None:
    """A failure of the name service could not be injected."""
    run = run_of(failover=False)
    rows = run.scenario.edge.dns.lookup_rows(run)
    assert len(rows) == 1
    handle = run.plane.disturb(rows, loss=1.0, reason="name not resolved")
    run.plane.calm(handle)
