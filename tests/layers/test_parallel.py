"""The parallel step: legs run side by side, the slowest decides, and one that fails fails all."""

import math

import pytest

from engine import Result, ScenarioError, simulate
from engine.scenario import parse

OFF = {"enabled": False}


def played(
    legs: list[dict], needed: int = 0, hedge: float | None = None, **service: object
) -> Result:
    """Return a run of one journey whose only step forks into these legs, everything else off."""
    layers = dict.fromkeys(("client", "edge", "cache", "asynchronous", "data"), OFF)
    layers["client"] = {"enabled": False, "requests_per_second": 10, "gap": "fixed"}
    services = {
        "fast": {"cpu_time": 10, "threads": 4, "cores": 4},
        "slow": {"cpu_time": 30, "threads": 4, "cores": 4, **service},
    }
    steps = [{"do": "parallel", "needed": needed, "then": legs}]
    if hedge is not None:
        steps = [{"do": "hedge", "after_ms": hedge, "then": legs}]
    tree = {"application": {"services": services}, "journeys": {"ask": {"steps": steps}}}
    return simulate(parse({"duration_seconds": 20, "warm_up_seconds": 1, **layers, **tree}))


def test_the_slowest_leg_decides() -> None:
    """Legs that ran one after the other would take the sum of their times."""
    result = played([{"do": "call", "service": "fast"}, {"do": "call", "service": "slow"}])
    assert result.summary.latency_ms_mean is not None
    assert math.isclose(result.summary.latency_ms_mean, 30.0, rel_tol=1e-9)
    assert result.stations["rate_per_s"]["application.fast"] == pytest.approx(10, rel=0.02)


def test_one_leg_that_fails_fails_the_whole() -> None:
    """An answer without one of its parts would count as an answer."""
    legs = [{"do": "call", "service": "fast"}, {"do": "call", "service": "slow"}]
    result = played(legs, cpu_time=1000, threads=1, cores=1, replicas=1, queue_limit=0)
    assert result.summary.failures["slow accept queue full"] == result.summary.failed > 0


def test_a_fork_without_legs_is_refused() -> None:
    """A fork into nothing would never meet again."""
    with pytest.raises(ScenarioError, match=r"journeys\.ask\.steps\[0\].*then"):
        played([])


def test_enough_legs_are_enough() -> None:
    """Two of three replicas have to answer; the slowest is not waited for, and works on."""
    fast, slow = {"do": "call", "service": "fast"}, {"do": "call", "service": "slow"}
    result = played([fast, fast, slow], needed=2)
    assert result.summary.latency_ms_mean == pytest.approx(10.0, rel=1e-6)
    assert result.stations["rate_per_s"]["application.slow"] == pytest.approx(10, rel=0.02)
    refusing = {"cpu_time": 1000, "threads": 1, "cores": 1, "replicas": 1, "queue_limit": 0}
    assert played([fast, fast, slow], needed=2, **refusing).summary.failed == 0
    assert played([fast, slow, slow], needed=2, **refusing).summary.failed > 0


def test_more_than_there_are_cannot_be_needed() -> None:
    """It would wait for ever."""
    with pytest.raises(ScenarioError, match="needed is 3, but there are 2 legs"):
        played([{"do": "call", "service": "fast"}] * 2, needed=3)


def test_a_hedge_cuts_the_tail_for_a_little_more_work() -> None:
    """A second request only where the first is slow (Dean and Barroso, "The Tail at Scale")."""
    mixed = {"bimodal": {"fast": 10, "slow": 500, "slow_share": 0.05}}
    ask = {"do": "call", "service": "slow"}
    room = {"cpu_time": mixed, "threads": 100, "cores": 100}
    plain, hedged = played([ask], **room), played([ask], hedge=20, **room)
    assert plain.summary.latency_ms_p99 == pytest.approx(500, rel=0.02)
    # A slow one in twenty is asked for again after 20 ms: one in four hundred is slow twice.
    assert hedged.summary.latency_ms_p95 <= 31
    assert hedged.summary.latency_ms_mean < 0.6 * plain.summary.latency_ms_mean
    asked = [run.stations["rate_per_s"]["application.slow"] for run in (plain, hedged)]
    assert asked[1] / asked[0] == pytest.approx(1.05, abs=0.04)
