"""The cache beside a real Redis: the same commands at the same times, the same answers."""

import random
import time

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.kernel.tables import Sample
from engine.microscope.clock import Clock
from engine.microscope.sampling import Sampler
from engine.microscope.shelves import RedisShelf
from tests.servers import redis_running

KEYS = 4
commands = st.lists(
    st.tuples(
        st.sampled_from(["look", "look", "put", "put half", "renew", "drop", "clear"]),
        st.integers(0, KEYS - 1),
        st.sampled_from([0.0, 0.25, 0.5, 1.0, 1.9999, 2.0]),  # seconds until the command
    ),
    max_size=30,
)
SOME = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def obey(shelf: RedisShelf, command: str, key: int) -> object:
    """Do one thing to a shelf; return what there is to compare."""
    if command == "look":
        return shelf.look(key)
    if command == "put":
        return shelf.put(key, 2.0, f"value {key}")
    if command == "put half":
        return shelf.put(key, 0.5004, "brief")
    if command == "renew":
        return shelf.renew(key, 2.0)
    return shelf.drop(key) if command == "drop" else shelf.clear()


@SOME
@given(commands)
def test_a_real_redis_keeps_and_expires_what_the_embedded_one_does(both, given_commands) -> None:
    """A cache under the microscope would forget when no Redis does, or answer what none would."""
    clocks = Clock(), Clock()
    stores = both()
    shelves = [
        RedisShelf(clock, "key:{}".format, each.keys("cache", clock))
        for clock, each in zip(clocks, stores, strict=True)
    ]
    now = 0.0
    for command, key, pause in given_commands:
        now += pause
        for clock in clocks:
            clock.play(now)
        one, other = (obey(shelf, command, key) for shelf in shelves)
        assert one == other
        names = [shelf.redis.execute_command("KEYS", "*") for shelf in shelves]
        assert sorted(names[0]) == sorted(names[1])
        for name in names[0]:
            lives = [shelf.redis.execute_command("PTTL", name) for shelf in shelves]
            assert abs(lives[0] - lives[1]) <= 1, name
    for each in stores:
        each.close()


def test_a_key_dies_on_a_real_server_by_its_own_clock_as_here_by_ours(redis_url) -> None:
    """What we hold expiry to is the server's own word: SETEX, and the wall."""
    with redis.Redis.from_url(redis_url) as server:
        server.execute_command("PSETEX", "own", 60, "x")
        assert server.get("own") == b"x"
        assert 0 < server.pttl("own") <= 60
        time.sleep(0.08)
        assert server.get("own") is None
        assert server.pttl("own") == -2


def test_the_wall_never_ends_a_key_of_the_microscope(both) -> None:
    """Who thinks for ten minutes between two steps would find an empty cache."""
    _, real = both()
    clock = Clock()
    keys = real.keys("cache", clock)
    keys.execute_command("PSETEX", "brief", 5, "x")
    time.sleep(0.05)
    assert keys.execute_command("GET", "brief") == "x"
    at = real.redis.client.pexpiretime(f"{keys.prefix}brief")
    assert at / 1e3 > time.time() + 20 * 86_400
    clock.play(0.005)
    assert keys.execute_command("GET", "brief") is None
    assert real.redis.client.exists(f"{keys.prefix}brief") == 0  # the server let it go itself


# ---------------------------------------------------------------- eviction


def fill(server: redis.Redis, number: int, **life: int) -> None:
    """Put a key of a kilobyte."""
    server.set(f"key:{number}", "x" * 1000, **life)


@pytest.mark.parametrize(
    ("policy", "goes", "fails"),
    [
        ("noeviction", "", True),
        ("allkeys-lru", "any", False),
        ("allkeys-random", "any", False),
        ("volatile-lru", "with an end", False),
        ("volatile-random", "with an end", False),
        ("volatile-ttl", "the sooner end", False),
    ],
)
def test_an_eviction_class_says_who_may_go(policy, goes, fails) -> None:
    """A policy that takes keys it must not take loses sessions; one that takes none, writes."""
    words = ("--maxmemory-policy", policy, "--maxmemory-samples", "64")
    with redis_running(*words) as url, redis.Redis.from_url(url) as server:
        for number in range(300):  # even keys have an end, and of those the first 200 soon
            life = {} if number % 2 else {"ex": 1000 if number < 200 else 100_000}
            fill(server, number, **life)
        server.config_set("maxmemory", server.info("memory")["used_memory"])
        refused = False
        for number in range(1000, 1060):
            try:
                fill(server, number)
            except redis.exceptions.OutOfMemoryError:
                refused = True
        assert refused == fails
        gone = [number for number in range(300) if not server.exists(f"key:{number}")]
        assert bool(gone) == bool(goes)
        if goes == "with an end":
            assert all(number % 2 == 0 for number in gone)
        if goes == "the sooner end":
            assert all(number % 2 == 0 for number in gone)
            sooner = sum(number < 200 for number in gone)
            assert sooner == 100 or sooner > 0.9 * len(gone)  # all of them, then others


@pytest.mark.parametrize(
    ("policy", "rule"), [("allkeys-random", Sample.RANDOM), ("allkeys-lfu", Sample.LFU)]
)
def test_a_full_store_hits_as_often_as_a_full_redis(policy, rule) -> None:
    """The hit ratio is what a cache is bought for; ours has to be the real one's."""
    asked = _popular(12_000)
    hits, entries = _real_hits(policy, asked)
    assert _our_hits(rule, asked, entries) == pytest.approx(hits, abs=0.035)


def _popular(count: int) -> list[int]:
    draw = random.Random(7)
    keys = range(2000)
    return draw.choices(keys, [1 / (key + 1) ** 0.9 for key in keys], k=count)


def _real_hits(policy: str, asked: list[int]) -> tuple[float, int]:
    """Return a real Redis's hit ratio in the second half, and how many keys it had room for."""
    with redis_running("--maxmemory-policy", policy) as url, redis.Redis.from_url(url) as server:
        for number in range(300):
            fill(server, number)
        used = server.info("memory")["used_memory"]
        server.flushall()
        server.config_set("maxmemory", used)
        hits, sizes = 0, []
        for turn, key in enumerate(asked):
            hit = server.get(f"key:{key}") is not None
            if not hit:
                fill(server, key)
            if turn >= len(asked) // 2:
                hits += hit
                if turn % 500 == 0:
                    sizes.append(server.dbsize())
    return hits / (len(asked) // 2), round(sum(sizes) / len(sizes))


def _our_hits(rule: int, asked: list[int], entries: int) -> float:
    """Return our store's hit ratio in the second half."""
    sampler, hits = Sampler(rule, 5), 0
    for turn, key in enumerate(asked):
        hit = key in sampler.places
        if hit:
            sampler.touch(key, random.Random(turn).random(), 0.0)
        else:
            if len(sampler.places) >= entries:
                sampler.victim(turn, 7, 0, 0.0)
            sampler.move_in(key, 0.0)
        hits += hit and turn >= len(asked) // 2
    return hits / (len(asked) // 2)
