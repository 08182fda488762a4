"""The twin: kernel and microscope agree request by request, whatever the scenario.

The kernel is numba over tables and keeps its keys in arrays; the microscope is SimPy over
Redis, SQLite and streams.  They share the program and the random numbers, and nothing else
that decides.
"""

import re

import pytest
from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st

from engine import Scenario, ScenarioError, load
from engine.microscope import picks, uncovered
from tests import strategies
from tests.microscope.pair import DifferenceError, Pair

SECONDS = 0.8

# What the microscope does not know is left out of what is drawn.
LEFT_OUT = {
    "client": ("pattern", "offline"),
    "application": ("pauses", "deploy", "autoscaler", "mtbf_seconds", "mttr_seconds"),
    "cache": ("flush_at_seconds", "warm_up"),
    "asynchronous": ("rebalance", "autoscaler"),
    "data": ("failover", "backup"),
    "observability": ("alerts",),
}


@st.composite
def family(draw) -> Scenario:
    """Draw a scenario of a kind that both sides know."""
    tree = {
        "duration_seconds": 2.0,
        "warm_up_seconds": 0.0,
        "client": draw(strategies.clients(st.sampled_from(["open", "open", "closed"]))),
        "edge": draw(strategies.edges),
        "application": draw(strategies.applications),
        "cache": draw(strategies.caches),
        "asynchronous": draw(strategies.queues),
        "data": draw(strategies.databases),
        "observability": {"enabled": False},
        "datasets": draw(strategies.datasets),
        "journeys": draw(strategies.journeys),
    }
    for layer, names in LEFT_OUT.items():
        for name in names:
            tree[layer].pop(name, None)
    for region in tree["client"].get("regions", ()):
        region.pop("down_at_seconds", None)
        region.pop("up_at_seconds", None)
    balancer = tree["edge"]["balancer"]
    tree["edge"]["dns"]["failover"] = balancer["checks"]["on"] = False
    balancer["slow_start_seconds"] = 0
    tree["data"]["standby"]["outage_at_seconds"] = 0
    scenario = Scenario.model_validate(tree)
    try:
        scenario.program()
    except ScenarioError as error:
        assume("nests calls too deep" not in str(error))
        raise
    assert not uncovered(scenario)
    return scenario


@settings(max_examples=25, deadline=None)
@given(family(), st.integers(0, 1000))
def test_both_agree_request_by_request(scenario, seed) -> None:
    """A kernel that is fast and wrong would go unnoticed, and a picture that is not the run."""
    pair = Pair(scenario, seed)
    note(f"{len(pair.scope.script.steps)} steps")
    pair.play(SECONDS, requests=60)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("preset", "changes", "seconds", "least"),
    [
        ("amazon", {"client.requests_per_second": 150}, 7.4, 1000),
        ("monolith", {"client.users": 40}, 15.0, 40),
    ],
)
def test_the_presets_agree_journey_by_journey(preset, changes, seconds, least) -> None:
    """What the page shows of a preset would not be what its run does."""
    pair = Pair(load(preset).change(changes), seed=7)
    pair.play(seconds)
    assert len(pair.latencies) >= least


@pytest.mark.usefixtures("backends")
def test_both_agree_whatever_the_microscope_stands_on() -> None:
    """With a real Redis and PostgreSQL it would be another microscope."""
    changes = {"client.requests_per_second": 100, "asynchronous.idempotency": True}
    pair = Pair(load("amazon").change(changes), seed=11)
    pair.play(1.5)
    assert len(pair.latencies) >= 90
    pair.scope.close()


@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(scenario=family(), seed=st.integers(0, 1000))
def test_a_family_agrees_on_real_servers_too(redis_url, postgres_url, scenario, seed) -> None:
    """Expiry, claims and constraints are theirs there, and must still be the kernel's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REDIS_URL", redis_url)
        patch.setenv("DATABASE_URL", postgres_url)
        pair = Pair(scenario, seed)
        pair.play(SECONDS, requests=25)
        pair.scope.close()


def test_a_difference_shows_both_traces(monkeypatch) -> None:
    """A twin test that cannot fail, or says only that it has, is of no use."""
    monkeypatch.setattr(picks, "_round_robin", lambda group, _: group.first)
    pair = Pair(load("amazon"), seed=7)
    with pytest.raises(DifferenceError) as caught:
        pair.play(5.0)
    told = str(caught.value)
    assert told.startswith("they part at ")
    assert "≠" in told
    assert re.search(r"seconds +kernel +microscope", told)
    assert "server 1=1" in told
