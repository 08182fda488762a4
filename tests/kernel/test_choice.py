"""Choices: which server, which of several ways, which key."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from scipy import stats

from engine.distribution import zipf
from engine.kernel.choice import pick
from engine.kernel.randomness import base_of
from engine.kernel.tables import NOBODY, Op, Policy
from engine.kernel.world import World
from engine.plane import Plane
from engine.program import WAITING
from tests.workshop import (
    POISSON,
    attempt,
    constant,
    exponential,
    mean_latency,
    plane_of,
    play,
    reasons,
    visits,
)

ALPHA = 1e-4
EACH = [Policy.ROUND_ROBIN, Policy.WEIGHTED, Policy.LEAST, Policy.IP_HASH, Policy.CHOICES]


@njit
def picks_of(clients: np.ndarray, world: World) -> np.ndarray:
    """Return which pool of group 0 each client gets, one after the other."""
    out = np.empty(len(clients), np.int64)
    for turn in range(len(clients)):
        base = base_of(world.clock[0].seed, turn)
        out[turn] = pick(0, clients[turn], base, np.uint64(1), 0, world)
    return out


def group(policy: Policy, weights: tuple[int, ...] = (1, 1, 1), draws: int = 2) -> Plane:
    """Return a plane with a group of pools of these weights."""

    def emit(program, place):
        first = program.pools(place, len(weights), 4, -1, len(weights), weights)
        program.group(policy, first, len(weights), draws)

    return plane_of(emit)


def picks(plane: Plane, count: int) -> list[int]:
    """Return which pool each of `count` different clients gets."""
    return [int(index) for index in picks_of(np.arange(count) * 7919, plane.world)]


def farm(policy: Policy, times: tuple[float, ...], draws: int = 2, slots: int = 100):
    """Return what emits a balancer in front of servers that take these times, ms."""

    def emit(program, place):
        count = len(times)
        first = program.pools(place, count, slots, -1, count)
        server = program.register("server")
        chosen = program.group(policy, first, count, draws)
        speeds = program.dists([(exponential(time), 1.0) for time in times])
        program.step(Op.ROUTE, "route", site=chosen, register=server, jump=first,
                     reason=program.reason("no healthy server"))  # fmt: skip
        program.step(Op.SEIZE, kind=WAITING, site=first, by=server)
        program.step(Op.HOLD, "work", dist=speeds, by=server)
        program.step(Op.RELEASE)

    return emit


# ---------------------------------------------------------------- servers


def test_round_robin_takes_turns() -> None:
    """Each in turn: with equal servers and equal work nothing is fairer."""
    assert picks(group(Policy.ROUND_ROBIN), 7) == [0, 1, 2, 0, 1, 2, 0]


def test_smooth_weighted_spreads_the_heavy_server() -> None:
    """Nginx's own example: weights 5, 1, 1 give a a b a c a a, not a a a a a b c."""
    assert picks(group(Policy.WEIGHTED, (5, 1, 1)), 14) == [0, 0, 1, 0, 2, 0, 0] * 2


@settings(max_examples=40)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6).map(tuple))
def test_weights_are_kept_exactly_in_every_cycle(weights: tuple[int, ...]) -> None:
    """A server of weight 3 gets 3 of every sum(weights) requests, in whatever order."""
    counted = Counter(picks(group(Policy.WEIGHTED, weights), sum(weights)))
    assert [counted[index] for index in range(len(weights))] == list(weights)


def test_least_connections_takes_the_least_busy() -> None:
    """Fewest in hand, those in line included; a policy that forgot the line would feed it."""
    plane = group(Policy.LEAST)
    plane.world.pools["busy"][:3] = [2, 1, 1]
    plane.world.pools["waiting"][:3] = [0, 3, 0]
    assert picks(plane, 1) == [2]


def test_least_connections_counts_by_weight() -> None:
    """Three in hand at weight 3 is less than two at weight 1."""
    plane = group(Policy.LEAST, (3, 1))
    plane.world.pools["busy"][:2] = [3, 2]
    assert picks(plane, 1) == [0]


def test_least_connections_breaks_ties_in_turn() -> None:
    """Ties that always fell on the first server would overload it whenever all are idle."""
    assert sorted(picks(group(Policy.LEAST), 6)) == [0, 0, 1, 1, 2, 2]


def test_least_connections_avoids_the_slow_server() -> None:
    """Round robin sends a third of all to a server ten times as slow; this must not."""
    times, served, latency = (5.0, 5.0, 50.0), {}, {}
    for policy in (Policy.ROUND_ROBIN, Policy.LEAST):
        plane = plane_of(farm(policy, times, slots=1), rate=60.0, gap=POISSON)
        plane.advance(100.0)
        done = plane.world.pools["busy_area"] / np.array(times)
        served[policy], latency[policy] = done[2] / done.sum(), mean_latency(plane)
    assert served[Policy.ROUND_ROBIN] > 0.3
    assert served[Policy.LEAST] < 0.2
    assert latency[Policy.LEAST] < latency[Policy.ROUND_ROBIN] / 3


def test_ip_hash_keeps_a_client_on_its_server() -> None:
    """Sessions that live in a server's memory need their client to come back to it."""
    plane = group(Policy.IP_HASH, (1, 1, 1, 1))
    clients = np.repeat(np.arange(200) * 65_537 % (1 << 24), 3)
    found = picks_of(clients, plane.world).reshape(200, 3)
    assert np.all(found == found[:, :1])
    assert set(found[:, 0]) == {0, 1, 2, 3}


def test_random_picks_are_uniform() -> None:
    """A random policy that preferred the first would not be one."""
    counted = Counter(picks(group(Policy.RANDOM, (1,) * 5, draws=1), 10_000))
    assert stats.chisquare([counted[index] for index in range(5)]).pvalue > ALPHA


def test_two_choices_are_much_better_than_one() -> None:
    """Mitzenmacher 1996: the longest line of n servers is about log log n, not log n."""
    longest = {}
    for draws in (1, 2):
        plane = plane_of(farm(Policy.CHOICES, (10.0,) * 50, draws, slots=1), 4500.0, POISSON)
        deepest = []
        for tick in range(40):
            plane.advance(2.0 + tick * 0.25)
            deepest.append((plane.world.pools["busy"] + plane.world.pools["waiting"]).max())
        longest[draws] = np.mean(deepest)
    assert longest[2] < 0.4 * longest[1]


@pytest.mark.parametrize("policy", EACH)
def test_a_server_that_is_down_gets_nothing(policy: Policy) -> None:
    """A balancer that sent requests to a dead server would fail them for nothing."""
    plane = group(policy, draws=8)
    plane.world.pools["up"][1] = 0
    assert set(picks(plane, 60)) == {0, 2}


@pytest.mark.parametrize("policy", EACH)
def test_a_backup_gets_requests_only_when_all_others_are_down(policy: Policy) -> None:
    """A backup that took its turn would be no backup."""
    plane = group(policy, draws=8)
    plane.world.pools["backup"][2] = 1
    assert set(picks(plane, 60)) == {0, 1}
    plane.world.pools["up"][:2] = 0
    assert set(picks(plane, 60)) == {2}


@pytest.mark.parametrize("policy", EACH)
def test_a_server_at_its_ceiling_gets_nothing(policy: Policy) -> None:
    """max_conns protects a server from what its neighbours cannot take."""
    plane = group(policy, draws=8)
    plane.world.pools["ceiling"][0] = 2
    plane.world.pools["busy"][:3] = [2, 2, 2]
    assert set(picks(plane, 60)) == {1, 2}


@pytest.mark.parametrize("policy", EACH)
def test_with_no_server_left_nobody_is_picked(policy: Policy) -> None:
    """Whoever is picked then would be a server that is down."""
    plane = group(policy)
    plane.world.pools["up"] = 0
    assert set(picks(plane, 5)) == {NOBODY}


def test_a_request_without_a_healthy_server_fails_and_says_so() -> None:
    """Nobody can tell an outage from an overload without the reason."""
    plane = plane_of(farm(Policy.ROUND_ROBIN, (1.0, 1.0)), rate=100.0)
    plane.world.pools["up"] = 0
    plane.advance(1.005)
    assert reasons(plane) == {"no healthy server": 100}


# ---------------------------------------------------------------- ways and keys


def test_ways_are_taken_by_weight() -> None:
    """A split that were off by one would send phones where the web goes."""
    weights = [5.0, 0.0, 3.0, 2.0]

    def emit(program, _place):
        way = program.register("way")
        program.step(Op.SPLIT, "way", register=way, site=program.choice(weights))
        times = program.dists([(constant(time), 1.0) for time in (1, 2, 4, 8)])
        program.step(Op.HOLD, "go", dist=times, by=way)

    plane = play(emit, requests=8000, rate=1000.0)
    counts = [plane.world.latency[0][bins].sum() for bins in np.split(np.arange(1920), EDGES)[1:5]]
    assert counts[1] == 0
    assert stats.chisquare(np.delete(counts, 1), np.array([0.5, 0.3, 0.2]) * 8000).pvalue > ALPHA


EDGES = [(20 - 10) * 64 - 4 + 64 * octave for octave in range(5)]  # around 1, 2, 4 and 8 ms


@pytest.mark.parametrize("exponent", [0.0, 0.9, 1.5])
def test_keys_come_by_their_popularity(exponent: float) -> None:
    """The hit ratio of every cache stands on this."""
    keys, requests = 40, 20_000

    def emit(program, _place):
        program.key("thing", keys, exponent)
        program.step(Op.LOOKUP, site=program.lookup(np.arange(keys)),
                     register=program.register("rank"))  # fmt: skip
        ledger = program.ledger("seen", keys)
        program.step(Op.MARK, site=ledger)

    plane = plane_of(emit, rate=1000.0)
    counts = np.zeros(keys)
    token = plane.world.tokens[0]
    for request in range(requests):
        plane.advance((request + 1.5) / 1000)
        counts[token["key"]] += 1
    popularity = np.diff(zipf(keys, exponent)[0], prepend=0.0)
    assert popularity[0] / popularity[3] == pytest.approx(4**exponent)
    assert stats.chisquare(counts, popularity * requests).pvalue > ALPHA
    assert plane.world.ledgers["distinct"][0] == keys


def test_a_retry_asks_for_the_same_thing() -> None:
    """A customer who tries again wants the same product."""

    def emit(program, _place):
        def body():
            program.key("thing", 1000, 0.5)
            program.step(Op.MARK, site=program.ledger("seen", 1000))
            program.fail("broken")

        attempt(program, body, attempts=5)

    plane = play(emit, requests=1)
    assert visits(plane, Op.MARK) == 5
    assert plane.world.ledgers["distinct"][0] == 1


def test_a_look_up_finds_what_the_table_says() -> None:
    """A key that were looked up elsewhere would be read from the wrong shard."""

    def emit(program, place):
        first = program.pools(place, 3, 100, -1, 3)
        program.key("thing", 30, 0.0)
        shard = program.register("shard")
        program.step(Op.LOOKUP, site=program.lookup(np.arange(30) // 10), register=shard)
        program.step(Op.SEIZE, site=first, by=shard)
        program.hold("query", constant(0.8))
        program.step(Op.RELEASE)

    plane = play(emit, requests=3000, rate=1000.0)
    shares = plane.world.pools["busy_area"] / plane.world.pools["busy_area"].sum()
    assert shares == pytest.approx(np.full(3, 1 / 3), abs=0.03)
    plane = plane_of(emit, rate=1000.0)
    for request in range(200):
        plane.advance((request + 1) / 1000 + 0.0005)
        at = int(np.argmax(plane.world.pools["busy"]))
        assert at == plane.world.tokens[0]["key"] // 10
