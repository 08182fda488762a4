"""Common random numbers: what differs between two scenarios is the knob, not the noise."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import Scenario, Simulation, simulate
from engine.kernel.tables import Op
from tests.workshop import spells

BASE = Scenario.model_validate({
    "duration_seconds": 60,
    "warm_up_seconds": 0,
    "client": {"requests_per_second": 50, "web_round_trip": {"exponential": 20},
               "mobile_round_trip": {"exponential": 60}, "timeout_seconds": 5},
    "application": {"services": {"server": {"cpu_time": {"exponential": 8}}}},
    "data": {"read_time": {"exponential": 6}, "write_time": {"exponential": 9}},
    "datasets": {"things": {"keys": 100}},
    "journeys": {
        "look": {"weight": 3, "steps": [
            {"do": "call", "service": "server", "then": [
                {"do": "lookup", "dataset": "things",
                 "then": [{"do": "read", "dataset": "things"}]}]}]},
        "buy": {"steps": [{"do": "call", "service": "server",
                           "then": [{"do": "write", "dataset": "things"}]}]},
    },
})  # fmt: skip
KNOBS = {
    "application.replicas": 7,
    "application.threads": 3,
    "application.queue_limit": 2,
    "edge.balancer.policy": "round_robin",
    "edge.dns.on": False,
    "cache.ttl_seconds": 1.0,
    "cache.enabled": False,
    "data.shards": 3,
    "data.read_replicas": 0,
    "data.connections": 2,
    "client.timeout_seconds": 1.0,
    "observability.enabled": False,
    "asynchronous.enabled": False,
}
Times = dict[int, dict[int, list[float]]]


def times_of(scenario: Scenario, seed: int = 7) -> Times:
    """Return how long each step of each kept request took, by request and by label."""
    run = Simulation(scenario, seed)
    run.advance_to(scenario.duration_seconds)
    found: Times = {}
    for request, said in spells(run.plane.world).items():
        times = defaultdict(list)
        for spell in said:
            if spell.op == Op.HOLD:
                times[spell.label].append(spell.end - spell.start)
        found[request] = dict(times)
    return found


def assert_same_where_both_know(one: Times, other: Times, at_least: int) -> None:
    """Assert that requests kept in both took as long at every step that both have."""
    compared = 0
    for request in one.keys() & other.keys():
        for label in one[request].keys() & other[request].keys():
            mine, theirs = one[request][label], other[request][label]
            count = min(len(mine), len(theirs))
            assert mine[:count] == pytest.approx(theirs[:count], abs=2e-6), (request, label)
            compared += count
    assert compared >= at_least


@pytest.mark.parametrize("knob", KNOBS)
def test_turning_a_knob_leaves_every_service_time_alone(knob: str) -> None:
    """If service times changed with a knob, an A/B difference would be part noise."""
    changed = BASE.change({knob: KNOBS[knob]})
    assert_same_where_both_know(times_of(BASE), times_of(changed), at_least=40)


def test_another_seed_changes_the_service_times() -> None:
    """The comparison above means something only if times can differ at all."""
    with pytest.raises(AssertionError):
        assert_same_where_both_know(times_of(BASE, 7), times_of(BASE, 8), at_least=0)


def test_a_longer_mean_stretches_the_same_draws() -> None:
    """Twice the CPU time is the same requests, each taking twice as long there."""
    slow = BASE.change({"application.services.server.cpu_time": {"exponential": 16}})
    one, other = times_of(BASE), times_of(slow)
    ratios = [
        theirs / mine
        for request in one.keys() & other.keys()
        for label in one[request].keys() & other[request].keys()
        for mine, theirs in zip(one[request][label], other[request][label], strict=False)
        if mine > 1e-3
    ]
    doubled = np.isclose(ratios, 2.0, atol=0.01)
    alike = np.isclose(ratios, 1.0, atol=0.01)
    assert np.all(doubled | alike)
    assert doubled.sum() >= 10
    assert alike.sum() >= 10


def test_adding_a_component_leaves_all_other_draws_alone() -> None:
    """A service more in one journey must not reshuffle the luck of the other journey."""
    tree = BASE.model_dump(mode="json", exclude_unset=True)
    tree["application"]["services"]["audit"] = {"cpu_time": {"exponential": 3}}
    tree["journeys"]["buy"]["steps"].insert(0, {"do": "call", "service": "audit"})
    tree["asynchronous"] = {"kinds": {"mail": {}}}
    tree["journeys"]["buy"]["steps"].append({"do": "publish", "to": ["mail"]})
    more = Scenario.model_validate(tree)
    assert_same_where_both_know(times_of(BASE), times_of(more), at_least=60)


def test_requests_come_at_the_same_times_whatever_the_system() -> None:
    """Arrivals that depended on the system would be another experiment."""
    started = []
    for change in ({}, {"application.replicas": 1}, {"edge.enabled": False}, {"cache.warm": True}):
        series = simulate(BASE.change({"duration_seconds": 20, **change})).timeseries
        started.append(series["started_per_s"].tolist())
    assert all(other == started[0] for other in started[1:])


# ---------------------------------------------------------------- one more server


def farm(count: int, rate: float, policy: str, threads: int = 1, seconds: float = 40) -> Scenario:
    """Return servers of 10 ms behind a balancer, and nothing else."""
    return Scenario.model_validate({
        "duration_seconds": seconds,
        "warm_up_seconds": 0,
        "client": {"enabled": False, "requests_per_second": rate},
        "edge": {"balancer": {"policy": policy, "latency": 0}},
        "application": {"replicas": count, "threads": threads, "cores": threads,
                        "queue_limit": 1_000_000,
                        "services": {"server": {"cpu_time": {"exponential": 10}}}},
        "journeys": {"visit": {"steps": [{"do": "call", "service": "server"}]}},
    })  # fmt: skip


def mean_wait(scenario: Scenario, seed: int) -> float:
    """Return the mean wait for a thread over all that have been served, ms."""
    return float(simulate(scenario, seed).stations.loc["application.server", "wait_ms_mean"])


@settings(max_examples=20)
@given(threads=st.integers(1, 6), load=st.floats(0.3, 1.2), seed=st.integers(0, 999))
def test_one_more_slot_never_makes_anybody_wait_longer(threads, load, seed) -> None:
    """In one line with the same arrivals and services that is a theorem, not a tendency."""
    rate = 100.0 * threads * load
    few, more = (farm(1, rate, "round_robin", count, 10) for count in (threads, threads + 1))
    assert mean_wait(more, seed) <= mean_wait(few, seed) + 1e-9


@settings(max_examples=15)
@given(
    count=st.integers(1, 6),
    load=st.floats(0.5, 0.9),
    policy=st.sampled_from(["round_robin", "least_connections", "power_of_two", "random"]),
    seed=st.integers(0, 999),
)
def test_one_more_server_never_makes_the_mean_wait_longer(count, load, policy, seed) -> None:
    """Whatever the policy, more of the same cannot hurt beyond the noise of who goes where.

    Each server less loaded, the mean wait falls by more than a tenth; noise is far below that.
    """
    rate = 100.0 * count * load
    few, more = (mean_wait(farm(n, rate, policy), seed) for n in (count, count + 1))
    assert more < few
