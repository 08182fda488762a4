"""Laws of databases, caches and regions that break: nothing is lost, and all comes back."""

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine import Scenario, Simulation
from tests.books import check_books
from tests.strategies import scenarios

PLACES = ("primary", "replica", "shard", "node", "cache", "sessions", "region", "flush", "crash")
End = Callable[[], None]


def nothing() -> None:
    """End what is over at once."""


def broken(run: Simulation, place: str, number: int, *, hangs: bool) -> End:
    """Break something of a run, if it is there; return what puts it right."""
    data, cache = run.scenario.data, run.scenario.cache
    failover, dns = data.failover, run.scenario.edge.dns
    sessions = run.scenario.application.sessions
    clusters = failover.clusters(run)
    fallen: list[Any] = []
    if place in {"primary", "replica", "shard"} and clusters:
        shard = number % len(clusters)
        count = len(clusters[shard].replicas)
        if place == "shard":
            fallen = failover.shard_down(run, shard, hangs=hangs)
        elif place == "replica" and count:
            fallen = [failover.replica_down(run, shard, number % count, hangs=hangs)]
        elif place == "primary" and failover.primary_pools(run, shard):
            fallen = [failover.primary_down(run, shard, hangs=hangs)]
        return lambda: [failover.back(run, each) for each in fallen] and None
    if place in {"node", "cache"} and cache.enabled:
        node = number % cache.nodes if place == "node" else None
        gone = cache.node_down(run, node, hangs=hangs)
        return lambda: cache.node_back(run, gone)
    if place == "sessions" and cache.enabled:
        away = sessions.store_down(run, hangs=hangs)
        return lambda: sessions.store_back(run, away)
    if place == "region" and not dns.why_no_region(run.scenario):
        gate = dns.region_down(run, run.scenario.client.regions[0].name)
        return lambda: dns.region_back(run, gate)
    if place == "flush" and cache.enabled:
        cache.flush(run)
    if place == "crash" and cache.enabled:
        cache.crash(run)
    return nothing


@settings(max_examples=40)
@given(
    scenarios(),
    st.lists(
        st.tuples(st.sampled_from(PLACES), st.integers(0, 5), st.booleans()), min_size=1, max_size=4
    ),
)
def test_whatever_breaks_the_books_balance_and_all_comes_back(
    scenario: Scenario, breaks: list[tuple[str, int, bool]]
) -> None:
    """A request, a slot or a machine that is lost with a fault would never be found again."""
    run = Simulation(scenario)
    ends: list[End] = []
    for place, number, hangs in breaks:
        run.advance(0.23)
        ends.append(broken(run, place, number, hangs=hangs))
        check_books(run)
    run.advance(0.4)
    for end in ends:
        end()
        check_books(run)
    run.advance(2.0)
    check_books(run)
    assert not run.plane.gates.shuttings or not any(
        run.plane.gates.is_shut(pool)
        for pool in run.scenario.data.failover.primary_pools(run)
        + run.scenario.data.failover.replica_pools(run)
        + run.scenario.cache.node_pools(run)
    )
