"""Hashing: keys land where the real programs put them, and rings keep what they promise."""

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.hashing import (
    Ring,
    jump,
    kafka_partition,
    murmur2,
    nginx_hash,
    nginx_ring,
    nginx_ring_pick,
    redis_slot,
    ring,
    scattered,
)

KEYS = np.arange(40_000)


def owners(of: Ring) -> np.ndarray:
    """Return the owner of every key on a ring."""
    return of.owner(scattered(KEYS) >> np.uint64(32))


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"abc", 479470107),
        (b"", 275646681),
    ],
)
def test_murmur2_is_kafkas(key: bytes, hashed: int) -> None:
    """Another hash would put keys on other partitions than Kafka (UtilsTest.testMurmur2)."""
    assert murmur2(key) == hashed


@given(st.binary(max_size=40))
def test_murmur2_is_a_32_bit_number_with_a_sign(key: bytes) -> None:
    """A number outside of Java's int would be another one there."""
    assert -(1 << 31) <= murmur2(key) < 1 << 31


@pytest.mark.parametrize(
    ("key", "same_as"),
    [
        ("{user1000}.following", "user1000"),
        ("foo{}{bar}", "foo{}{bar}"),
        ("foo{{bar}}zap", "{bar"),
        ("foo{bar}{zap}", "bar"),
        ("foo{bar", "foo{bar"),
    ],
)
def test_hash_tags_are_the_specifications(key: str, same_as: str) -> None:
    """The examples of the Redis Cluster specification; a wrong tag splits what belongs together."""
    assert redis_slot(key) == slot_of_whole(same_as)


def slot_of_whole(text: str) -> int:
    """Return the slot of a text that is hashed as a whole."""
    crc = 0
    for byte in text.encode():
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc % 16_384


def test_nginx_goes_on_from_a_server_that_it_cannot_use() -> None:
    """Without the sum of hashes a second try would ask the same server again."""
    first, second = zlib.crc32(b"user7") >> 16 & 0x7FFF, zlib.crc32(b"1user7") >> 16 & 0x7FFF
    assert nginx_hash("user7", [1] * 5) == first % 5
    assert nginx_hash("user7", [1] * 5, tries=1) == (first + second) % 5


def test_weights_are_shares_of_nginxs_hash() -> None:
    """A server with three times the weight gets three times the keys."""
    picks = [nginx_hash(f"user{n}", [3, 1]) for n in range(4000)]
    assert picks.count(0) == pytest.approx(3000, rel=0.03)
    owned = [nginx_ring_pick(f"user{n}", nginx_ring(["a:1", "b:1"], [3, 1])) for n in range(400)]
    assert owned.count(0) > 2 * owned.count(1)


def test_a_ring_is_the_same_by_whatever_name_a_port_is_left_out() -> None:
    """No port is an empty one: host and port are hashed apart."""
    assert np.array_equal(nginx_ring(["host"]).places, nginx_ring(["host:"]).places)
    assert not np.array_equal(nginx_ring(["host:80"]).places, nginx_ring(["host"]).places)


def test_a_new_node_takes_keys_and_moves_none_between_old_ones() -> None:
    """Karger's monotonicity: all that a ring is for."""
    before, after = owners(ring(9)), owners(ring(10))
    assert set(after[before != after]) == {9}
    assert (before != after).mean() == pytest.approx(0.1, abs=0.03)


def test_nodes_go_by_name_and_not_by_place() -> None:
    """Whoever takes a node out of the middle must not rename those behind it."""
    whole, less = owners(ring(["a", "b", "c"])), owners(ring(["a", "c"]))
    stayed = whole != 1
    assert np.array_equal(whole[stayed] // 2, less[stayed])


@given(st.integers(0, (1 << 64) - 1), st.integers(1, 200))
def test_jump_moves_only_to_the_new_bucket(key: int, buckets: int) -> None:
    """A key that moves between old buckets moved for nothing."""
    before, after = jump(key, buckets), jump(key, buckets + 1)
    assert 0 <= before < buckets
    assert after in (before, buckets)


def test_more_partitions_move_half_of_the_keys() -> None:
    """Twice as many partitions: a key stays or goes to its partition's other half."""
    moves = {(kafka_partition(str(n), 6), kafka_partition(str(n), 12)) for n in range(2000)}
    assert {after - before for before, after in moves} == {0, 6}


def test_scattered_spreads_neighbours() -> None:
    """Neighbours that stay together would all fall on one shard."""
    hashes = scattered(np.arange(64_000))
    assert len(np.unique(hashes)) == len(hashes)
    counts = np.bincount((hashes % np.uint64(64)).astype(np.int64))
    assert abs(counts / 1000 - 1).max() < 0.15
