"""Stores: a key lives for its time, and when the store is full the least recently used goes."""

from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from engine.distribution import Distribution
from engine.kernel.store import drop, get, put
from engine.kernel.tables import Op
from engine.kernel.world import World
from engine.plane import Plane
from tests.workshop import METRONOME, constant, exponential, outcome, plane_of, visits

KEYS = 8
GET, PUT, DROP = 0, 1, 2
FAR_ROW = 999  # where a hit jumps, so that it can be told from a miss

commands = st.lists(
    st.tuples(
        st.sampled_from([GET, GET, PUT, PUT, DROP]),
        st.integers(0, KEYS - 1),
        st.sampled_from([0.0, 0.0, 0.25, 1.0]),  # seconds until the command
    ),
    max_size=80,
)


def plane_with(capacity: int, ttl: Distribution, warm: bool = False, keys: int = KEYS) -> Plane:
    """Return a plane whose one store is asked, filled and emptied by steps 1, 2 and 3."""

    def emit(program, place):
        store = program.store(place, keys, capacity, ttl, warm)
        program.step(Op.GET, site=store, jump=FAR_ROW)
        program.step(Op.PUT, "keep", site=store)
        program.step(Op.DROP, site=store)

    return plane_of(emit)


@njit
def obey(command: int, key: int, now: float, world: World) -> bool:
    """Give a command about a key at a time; return whether a GET hit."""
    token = world.tokens[0]
    world.clock[0].now = now
    token.key, token.step = key, 0
    step = world.steps[command + 1]
    if command == 0:
        get(step, 0, world)
    elif command == 1:
        put(step, 0, world)
    else:
        drop(step, 0, world)
    return token.step == 999


class Model:
    """An OrderedDict of key → until, the least recently used first."""

    def __init__(self, capacity: int, ttl: float) -> None:
        self.rows: OrderedDict[int, float] = OrderedDict()
        self.capacity, self.ttl = capacity, ttl
        self.evicted = self.expired = 0

    def obey(self, command: int, key: int, now: float) -> bool:
        """Do as a store does; return whether a GET hit."""
        if command == GET:
            return self.get(key, now)
        if command == DROP:
            self.rows.pop(key, None)
        elif self.ttl > 0 and self.capacity:
            if key not in self.rows and len(self.rows) >= self.capacity:
                self.rows.popitem(last=False)
                self.evicted += 1
            self.rows[key] = now + self.ttl
            self.rows.move_to_end(key)
        return False

    def get(self, key: int, now: float) -> bool:
        """Return whether the key is there and alive; that makes it the most recently used."""
        alive = self.rows.get(key, -1.0) > now
        self.expired += key in self.rows and not alive
        if alive:
            self.rows.move_to_end(key)
        return alive


def kept(plane: Plane) -> list[int]:
    """Return the keys in a bounded store, the least recently used first."""
    store, found = plane.world.stores[0], []
    place = int(store["tail"])
    while place >= 0:
        found.append(place)
        place = int(plane.world.entries["before"][place])
    return found


@settings(max_examples=200)
@given(
    commands=commands,
    capacity=st.integers(0, KEYS + 1),
    ttl=st.sampled_from([0.0, 0.5, 2.0, 1e6]),
)
def test_a_store_is_a_dictionary_that_forgets(commands, capacity, ttl) -> None:
    """A wrong neighbour in the list of recency would evict what is asked for most."""
    plane, model, now = plane_with(capacity, constant(ttl * 1e3)), Model(capacity, ttl), 0.0
    store = plane.world.stores[0]
    gets = hits = 0
    for command, key, pause in commands:
        now += pause
        hit = obey(command, key, now, plane.world)
        assert hit == model.obey(command, key, now)
        gets, hits = gets + (command == GET), hits + hit
        assert store["count"] == len(model.rows) <= capacity
        if store["bounded"]:
            assert kept(plane) == list(model.rows)
    counted = [int(store[name]) for name in ("gets", "hits", "evicted", "expired")]
    assert counted == [gets, hits, model.evicted, model.expired]


def test_an_entry_is_dead_at_its_very_end() -> None:
    """A TTL of 5 min that lived a moment longer would be served once more by everybody."""
    plane = plane_with(KEYS, constant(1000))
    obey(PUT, 3, 10.0, plane.world)
    assert obey(GET, 3, 10.999, plane.world)
    assert not obey(GET, 3, 11.0, plane.world)


def test_a_hit_does_not_prolong_a_life() -> None:
    """SETEX sets a time to live, GET leaves it alone; a sliding one would never refresh."""
    plane = plane_with(KEYS, constant(1000))
    obey(PUT, 3, 0.0, plane.world)
    for now in (0.3, 0.6, 0.9):
        assert obey(GET, 3, now, plane.world)
    assert not obey(GET, 3, 1.2, plane.world)


@pytest.mark.parametrize("capacity", [3, KEYS])
def test_a_warm_store_begins_with_the_most_popular_keys(capacity: int) -> None:
    """A warm cache that held the wrong keys would start cold all the same."""
    plane = plane_with(capacity, constant(10_000), warm=True)
    there = [obey(GET, key, 0.0, plane.world) for key in range(KEYS)]
    assert sum(there) == plane.world.stores["count"][0] == capacity
    assert all(there[:capacity])


def test_a_warm_store_does_not_expire_all_at_once() -> None:
    """Entries of equal age would make a stampede at a moment that means nothing."""
    plane = plane_with(500, constant(10_000), warm=True, keys=1000)
    lives = plane.world.entries["until"][:500]
    assert lives.min() > 0.0
    assert lives.max() <= 10.0
    assert np.histogram(lives, 4, (0, 10))[0].min() > 90


def test_a_steady_stream_hits_as_often_as_theory_says() -> None:
    """For Poisson requests and a TTL, the hit ratio of a key is λT / (1 + λT)."""

    def emit(program, place):
        store = program.store(place, 1, 1, constant(40))
        program.key("thing", 1, 0.0)
        hit = program.step(Op.GET, site=store)
        program.step(Op.PUT, "keep", site=store)
        program.patch(hit, jump=program.here)

    plane = plane_of(emit, rate=100.0, gap=exponential(METRONOME.mean_ms))
    plane.advance(400.0)
    store = plane.world.stores[0]
    assert store["hits"] / store["gets"] == pytest.approx(4 / 5, abs=0.01)


def test_gets_are_hits_and_misses() -> None:
    """A look-up that were neither would make a hit ratio of any number."""

    def emit(program, place):
        store = program.store(place, 50, 20, exponential(300))
        program.key("thing", 50, 0.9)
        hit = program.step(Op.GET, site=store)
        program.hold("fetch", constant(2))
        program.step(Op.PUT, "keep", site=store)
        program.patch(hit, jump=program.here)

    plane = plane_of(emit, rate=500.0)
    plane.advance(4.0)
    store, answered = plane.world.stores[0], outcome(plane).answered
    misses = visits(plane, Op.HOLD)
    assert store["gets"] == visits(plane, Op.GET) == store["hits"] + misses
    assert 0 < store["hits"] < answered
    assert store["evicted"] > 0
    assert store["expired"] > 0
