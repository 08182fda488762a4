"""Samples: which key goes when a full store looks at a few only, and one that never changes."""

import numpy as np
import pytest

from engine.kernel.tables import Op
from engine.plane import Plane
from tests.workshop import POISSON, constant, plane_of

KEYS, ROOM = 2000, 400


def hit_ratio(policy: str, rate: float = 1000.0, seconds: float = 120.0, **more) -> float:
    """Return how often a Zipf(1) stream finds its key, cache-aside."""
    plane = cached(policy, rate, **more)
    plane.advance(seconds / 4)
    gets, hits = (int(plane.world.stores[name][0]) for name in ("gets", "hits"))
    plane.advance(seconds)
    check_residents(plane)
    return (plane.world.stores["hits"][0] - hits) / (plane.world.stores["gets"][0] - gets)


def cached(policy: str, rate: float, ttl_ms: float = 1e9, **more) -> Plane:
    """Return a plane with one store."""

    def emit(program, place):
        store = program.store(place, KEYS, ROOM, constant(ttl_ms), policy=policy, **more)
        program.key("things", KEYS, 1.0)
        hit = program.step(Op.GET, "get", site=store)
        program.step(Op.PUT, "keep", site=store)
        program.patch(hit, jump=program.here)

    return plane_of(emit, rate, POISSON)


def check_residents(plane: Plane) -> None:
    """What a sampling store holds is listed once, where its entry says."""
    store, world = plane.world.stores[0], plane.world
    there = np.flatnonzero(world.entries["before"][:KEYS] != -2)
    assert len(there) == store["count"] <= ROOM
    if store["bounded"] == 3:
        listed = world.residents[: int(store["count"])]
        assert sorted(listed.tolist()) == there.tolist()
        assert (world.entries["before"][listed] == np.arange(len(listed))).all()


def test_the_order_of_policies_is_that_of_theory() -> None:
    """FIFO and random are alike, sampling comes near to LRU, LFU is better, the best is static."""
    found = {
        policy: hit_ratio(policy)
        for policy in ("fifo", "random", "redis_lru", "lru", "redis_lfu", "static")
    }
    assert found["fifo"] == pytest.approx(found["random"], abs=0.01)
    assert found["random"] + 0.01 < found["redis_lru"] < found["lru"] + 0.005
    assert found["lru"] < found["redis_lfu"] < found["static"]
    weights = 1 / np.arange(1, KEYS + 1)
    assert found["static"] == pytest.approx(weights[:ROOM].sum() / weights.sum(), abs=0.005)


def test_more_samples_come_nearer_to_lru() -> None:
    """With one sample Redis's LRU is random eviction; its default of 5 is not."""
    one, five = hit_ratio("redis_lru", samples=1), hit_ratio("redis_lru", samples=5)
    assert five > one + 0.005


def test_a_clock_of_whole_seconds_blinds_lru_under_fast_traffic() -> None:
    """When the cache turns over within a second, all keys look alike to Redis."""
    fast = hit_ratio("redis_lru", rate=50_000.0, seconds=8.0)
    assert fast == pytest.approx(hit_ratio("random", rate=50_000.0, seconds=8.0), abs=0.012)


def test_a_sliding_entry_lives_as_long_as_it_is_asked_for() -> None:
    """With requests closer than the TTL a sliding entry never expires; a fixed one does."""

    def expired(sliding):
        def emit(program, place):
            store = program.store(place, 1, 1, constant(1000), sliding=sliding)
            hit = program.step(Op.GET, "get", site=store)
            program.step(Op.PUT, "keep", site=store)
            program.patch(hit, jump=program.here)

        plane = plane_of(emit, 10.0)
        plane.advance(100.0)
        return int(plane.world.stores["expired"][0])

    assert expired(sliding=True) == 0
    assert expired(sliding=False) > 80


def test_early_expiry_spares_the_herd() -> None:
    """With XFetch one request refreshes a hot key before it expires under all others."""

    def queries(early_ms):
        def emit(program, place):
            store = program.store(place, 1, 1, constant(10_000), early_ms=early_ms)
            hit = program.step(Op.GET, "get", site=store)
            program.hold("compute", constant(100))
            program.step(Op.PUT, "keep", site=store)
            program.patch(hit, jump=program.here)

        plane = plane_of(emit, 100.0, POISSON)
        plane.advance(1000.0)
        store = plane.world.stores[0]
        return int(store["gets"] - store["hits"])

    assert queries(0.0) > 3 * queries(100.0)


def test_a_personal_copy_is_of_use_to_its_user_alone() -> None:
    """A browser's cache: with many users the same keys are fetched again by each."""

    def misses(users):
        def emit(program, place):
            store = program.store(place, 4096, 4096, constant(1e9), personal=True)
            program.key("things", 8, 0.0)
            hit = program.step(Op.GET, "get", site=store)
            program.step(Op.PUT, "keep", site=store)
            program.patch(hit, jump=program.here)

        plane = plane_of(emit, 100.0)
        plane.world.sources["users"][0] = users
        plane.advance(100.0)
        store = plane.world.stores[0]
        return int(store["gets"] - store["hits"])

    assert misses(1) == 8
    assert 8 * 40 * 0.9 < misses(40) <= 8 * 40
