"""Adaptive throttling: clients refuse what the servers would refuse."""

from engine import Result, Scenario, Simulation, simulate
from engine.layers.throttle import REASON
from engine.scenario import parse

SHOP = {
    "duration_seconds": 60,
    "warm_up_seconds": 30,
    "client": {"requests_per_second": 300, "attempts": 1, "throttle": {"on": True}},
    "edge": {"limiter": {"on": True, "rate": 50, "burst": 5}, "dns": {"on": False}},
    "journeys": {"visit": {"steps": [{"do": "call", "service": "server"}]}},
}


def played(**changes: object) -> Result:
    """Return what comes out of the shop with some knobs turned."""
    named = {path.replace("__", "."): value for path, value in changes.items()}
    return simulate(shop().change(named))


def shop() -> Scenario:
    """Return a shop that is asked six times as much as it lets in."""
    return parse(SHOP)


def test_clients_send_about_twice_what_is_accepted() -> None:
    """The servers would go on refusing five of six requests."""
    without = played(client__throttle__on=False).stations.rate_per_s["edge.limiter"]
    throttled = played(client__throttle__window_seconds=20).stations.rate_per_s["edge.limiter"]
    assert without > 280
    assert 85 < throttled < 115


def test_a_lower_multiplier_throttles_harder() -> None:
    """The knob would do nothing."""
    window = {"client__throttle__window_seconds": 20}
    hard = played(client__throttle__multiplier=1.1, **window).stations.rate_per_s["edge.limiter"]
    assert hard < 70


def test_clients_that_are_accepted_are_never_throttled() -> None:
    """It would do harm where nothing is wrong."""
    result = played(edge__limiter__rate=1000)
    assert REASON not in result.summary.failures
    assert result.events[result.events.kind == "throttle"].empty


def test_the_log_says_what_clients_saw_when_they_began_to_throttle() -> None:
    """Nobody would know why requests are not even sent."""
    first = played().events.query("kind == 'throttle'").iloc[0]
    assert "were accepted: clients reject some requests themselves" in first.text


def test_the_multiplier_is_turned_while_a_run_goes_on() -> None:
    """A class could not try it out."""
    run = Simulation(shop(), 7)
    run.advance_to(30)
    run.change("client.throttle.multiplier", 100.0)
    run.advance_to(32)
    before = run.result().summary.failures[REASON]
    run.advance_to(42)
    assert run.result().summary.failures[REASON] == before
