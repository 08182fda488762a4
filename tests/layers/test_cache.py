"""The cache: who stays, who fetches, what a write does, what a crash loses."""

from typing import Any

import numpy as np
import pytest

from engine import Result, Simulation, simulate
from engine.hashing import REDIS_SLOTS, redis_slot
from engine.layers.hashslots import nodes_of, slots
from tests.books import check_books
from tests.layers.test_layers import THING, system

READ = {"do": "read", **THING}
LOOK = {"do": "lookup", **THING, "then": [READ]}
WRITE = {"do": "write", **THING}
BOTH = {"look": {"steps": [LOOK]}, "save": {"steps": [WRITE]}}


def played(rate: float = 200, dataset: dict[str, Any] | None = None, **cache: Any) -> Result:
    """Return a run of look-ups of one key, behind which a read takes 100 ms."""
    journeys = cache.pop("journeys", {"look": {"steps": [LOOK]}})
    return simulate(
        system(
            cache={"hop": 0, "command_time": 0.01, **cache},
            data={"read_replicas": 0, "read_time": 100, "hop": 0, "connections": 1000},
            datasets={"things": {"keys": 1, "zipf": 0, **(dataset or {})}},
            client={"enabled": False, "requests_per_second": rate},
            journeys=journeys,
        )
    )


def queries(result: Result) -> int:
    """Return how many queries the database had."""
    return round(result.stations.loc["data.primary", "rate_per_s"] * 20)


# ---------------------------------------------------------------- stampedes


@pytest.mark.parametrize("cure", ["single_flight", "lease"])
def test_of_equal_misses_one_fetches(cure) -> None:
    """A key that expires every 2 s would be fetched by each of the 20 who come in 100 ms."""
    assert queries(played(ttl_seconds=2)) > 150
    cured = played(ttl_seconds=2, stampede=cure)
    assert queries(cured) in (9, 10)
    assert cured.summary.failed == 0
    assert cured.summary.latency_ms_p99 > 50, "those who did not fetch have to wait"


def test_who_waited_for_a_fetch_does_not_fetch_again() -> None:
    """Without a second look behind the lock, those in line would fetch one after the other."""
    assert played(ttl_seconds=300, stampede="single_flight").summary.latency_ms_max < 110


def test_a_lease_runs_out_when_its_holder_fails() -> None:
    """Others would wait for ever for an answer that nobody is fetching."""
    result = simulate(
        system(
            {"do": "lookup", **THING, "then": [{"do": "call", "service": "server"}]},
            cache={"hop": 0, "stampede": "lease", "lease_seconds": 4},
            # For the first two seconds there is no server.
            application={
                "replicas": 1,
                "deploy": {"at_seconds": 0, "surge": 0, "start_seconds": 2},
            },
            datasets={"things": {"keys": 1}},
        )
    )
    assert result.summary.failures == {"no healthy server": 1}
    assert 3900 < result.summary.latency_ms_max < 4100


def test_early_refreshes_keep_entries_from_expiring() -> None:
    """XFetch that waited for the expiry would have the stampede that it is to prevent."""
    plain = played(ttl_seconds=2)
    early = played(ttl_seconds=2, stampede="xfetch", recompute_ms=100)
    assert queries(early) < 0.35 * queries(plain)
    never = played(ttl_seconds=2, stampede="xfetch", recompute_ms=100, xfetch_beta=0)
    assert queries(never) == queries(plain)


# ---------------------------------------------------------------- who stays


def test_eviction_policies_rank_as_theory_has_them() -> None:
    """Policies that did the same would not be worth a knob.

    For independent requests perfect LFU is best, LRU next, and FIFO and random are alike
    (E. Gelenbe, "A unified approach to the evaluation of a class of replacement algorithms",
    1973); Redis's samples come near to what they stand for.
    """
    ratios = {}
    for policy in ("static", "redis_lfu", "lru", "redis_lru", "fifo", "random"):
        scenario = system(
            {"do": "lookup", **THING},
            cache={"capacity": 200, "policy": policy, "ttl_seconds": 100_000},
            datasets={"things": {"keys": 2000, "zipf": 1.0}},
            client={"enabled": False, "requests_per_second": 50},
            duration_seconds=2000,
            warm_up_seconds=200,
        )
        ratios[policy] = simulate(scenario).summary.cache_hit_ratio
    assert ratios["static"] > ratios["redis_lfu"] > ratios["lru"] > ratios["fifo"] + 0.03
    assert ratios["redis_lru"] == pytest.approx(ratios["lru"], abs=0.01)
    assert ratios["random"] == pytest.approx(ratios["fifo"], abs=0.01)


def test_sliding_expiry_keeps_what_is_in_use() -> None:
    """A session that ended in the middle of a visit would surprise its user."""
    assert queries(played(ttl_seconds=2)) > 150
    assert queries(played(ttl_seconds=2, sliding=True)) < 40  # the first stampede only


def test_jitter_spreads_expiries() -> None:
    """What is stored together would expire together, and be fetched in one burst."""
    bursts = []
    for jitter in (0.0, 0.5):
        result = played(
            rate=2000, dataset={"keys": 400}, ttl_seconds=3, ttl_jitter=jitter,
            stampede="single_flight",
        )  # fmt: skip
        series = result.station_series
        rates = series[series["station"] == "data.primary"]["rate_per_s"].to_numpy()
        late = rates[len(rates) // 2 :]
        bursts.append(late.max() / late.mean())
    assert bursts[0] > 1.5 * bursts[1]


# ---------------------------------------------------------------- nodes


def test_a_key_is_on_the_node_that_its_hash_slot_says() -> None:
    """CRC16 of the specification's own example, and every key within bounds."""
    assert slots(np.frombuffer(b"123456789", np.uint8)[None]).tolist() == [0x31C3]
    assert REDIS_SLOTS == 16384
    names = [f"things:{number:04}" for number in range(0, 1000, 7)]
    spelled = np.array([list(name.encode()) for name in names], np.uint8)
    assert slots(spelled).tolist() == [redis_slot(name) for name in names]
    nodes = nodes_of("things", 100_000, 6)
    assert np.bincount(nodes).min() > 0.97 * 100_000 / 6


def test_more_nodes_share_the_work_but_not_of_one_hot_key() -> None:
    """A cluster does not help against a hot key; that it seems to would be a costly surprise."""
    busiest = []
    for hot in (0.0, 0.9):
        scenario = system(
            {"do": "lookup", **THING},
            cache={"hop": 0, "command_time": 2, "nodes": 4, "warm": True},
            datasets={"things": {"keys": 2000, "zipf": 0, "hot_share": hot}},
            client={"enabled": False, "requests_per_second": 400},
        )
        result = simulate(scenario)
        pools = result.program.stations["cache.read"].pools
        busiest.append(result._end.pools["busy_area"][pools].max() / 20)
    assert busiest[0] == pytest.approx(400 * 0.002 / 4, rel=0.1)
    assert busiest[1] == pytest.approx(400 * 0.002 * (0.9 + 0.1 / 4), rel=0.1)


def test_a_near_cache_takes_the_heat_off_a_hot_key() -> None:
    """Each server asks for it once a TTL; without, one node has all the work."""
    asked = []
    for on in (False, True):
        scenario = system(
            {"do": "call", "service": "server", "then": [{"do": "lookup", **THING}]},
            application={"replicas": 4, "hop": 0},
            cache={"nodes": 4, "warm": True, "near": {"on": on, "capacity": 10, "ttl_seconds": 5}},
            datasets={"things": {"keys": 2000, "zipf": 0, "hot_share": 0.9}},
            client={"enabled": False, "requests_per_second": 400},
        )
        stations = simulate(scenario).stations
        asked.append(stations.loc["cache.read", "rate_per_s"])
    assert asked[1] < 0.15 * asked[0]
    assert stations.loc["cache.near", "hit_ratio"] == pytest.approx(0.9, abs=0.02)


def test_a_slow_command_stops_all_others() -> None:
    """The one thread of a node cannot do anything else meanwhile."""
    calm = played(ttl_seconds=300)
    slow = played(ttl_seconds=300, slow_share=0.01)
    # About the whole of 40 ms for one in a hundred, and a part of it for those behind.
    assert slow.stations.loc["cache.read", "wait_ms_mean"] > 1.0
    assert calm.stations.loc["cache.read", "wait_ms_mean"] < 0.01


# ---------------------------------------------------------------- what is not there


def test_what_does_not_exist_is_asked_for_again_and_again() -> None:
    """Without negative caching each such look-up reaches the database."""
    dataset = {"keys": 10, "missing_share": 0.2}
    assert queries(played(dataset=dataset)) == pytest.approx(0.2 * 4000, rel=0.1)
    assert queries(played(dataset=dataset, negative=True)) < 100


# ---------------------------------------------------------------- writes


def test_write_policies_differ_in_hits_and_in_the_load_on_the_database() -> None:
    """Through keeps the copy fresh, around leaves it old, behind spares the database."""
    results = {
        policy: played(dataset={"keys": 50}, write_policy=policy, journeys=BOTH)
        for policy in ("invalidate", "through", "around", "behind")
    }
    hits = {policy: result.summary.cache_hit_ratio for policy, result in results.items()}
    assert hits["invalidate"] < 0.6
    assert min(hits[policy] for policy in ("through", "around", "behind")) > 0.9
    assert queries(results["through"]) > 1900
    assert queries(results["behind"]) < 200


def test_a_crash_loses_what_was_not_flushed() -> None:
    """Write-behind would look as safe as a database."""
    result = played(
        dataset={"keys": 50}, write_policy="behind", journeys=BOTH, flush_at_seconds=9.5
    )
    lost = result.events[result.events["kind"] == "loss"]
    assert lost["time_s"].tolist() == [9.5]
    count = int(lost["text"].iloc[0].split()[1])
    assert count == pytest.approx(100 * 4.5, rel=0.2)  # since the flush at 5 s


def test_after_a_crash_the_database_has_all_the_work() -> None:
    """A cache that came back warm would hide why restarts are done at night."""
    calm, crashed = (
        played(dataset={"keys": 200}, warm=True, ttl_seconds=100_000, flush_at_seconds=at)
        for at in (None, 10.0)
    )
    assert queries(calm) == 0
    assert queries(crashed) > 150
    assert crashed.events["kind"].tolist() == ["crash"]


def test_the_books_of_an_emptied_store_balance() -> None:
    """Entries that were neither there nor gone would be lost from sight."""
    scenario = system(
        LOOK,
        cache={"hop": 0, "capacity": 20, "flush_at_seconds": 5},
        data={},
        datasets={"things": {"keys": 50}},
    )
    run = Simulation(scenario)
    run.advance(5.0)
    store = run.plane.program.named["cache things"]
    run.advance(3.0)
    assert 0 < run.plane.world.stores[store]["count"] <= 20
    check_books(run)
