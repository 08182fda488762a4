"""The parallel step: legs run side by side, the slowest decides, and one that fails fails all."""

import math

import pytest

from engine import Result, ScenarioError, simulate
from engine.scenario import parse

OFF = {"enabled": False}


def played(legs: list[dict], **service: object) -> Result:
    """Return a run of one journey whose only step forks into these legs, everything else off."""
    layers = dict.fromkeys(("client", "edge", "cache", "asynchronous", "data"), OFF)
    layers["client"] = {"enabled": False, "requests_per_second": 10, "gap": "fixed"}
    services = {
        "fast": {"cpu_time": 10, "threads": 4, "cores": 4},
        "slow": {"cpu_time": 30, "threads": 4, "cores": 4, **service},
    }
    steps = [{"do": "parallel", "then": legs}]
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
