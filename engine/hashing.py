"""Hashing: how real programs turn a key into a partition, a slot, a server or a shard.

Pure functions, each bit for bit what the program that its docstring names computes, so that keys
land here where they land there.  They need nothing of ours.
"""

from __future__ import annotations

import binascii
import hashlib
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

REDIS_SLOTS = 16_384
NGINX_POINTS = 160  # on its ring, for each unit of a server's weight
RING_POINTS = 160  # ketama's number of points a server
MASK32, MASK64 = (1 << 32) - 1, (1 << 64) - 1


class Ring(NamedTuple):
    """The points of a consistent-hash ring in ascending order, and whose each one is."""

    places: np.ndarray  # 32-bit hashes, ascending
    owners: np.ndarray  # index of the server that each point belongs to

    def owner(self, hashes: np.ndarray) -> np.ndarray:
        """Return the owner of every 32-bit hash: the first point at it or behind it."""
        at = np.searchsorted(self.places, hashes.astype(self.places.dtype), side="left")
        owners: np.ndarray = self.owners[at % len(self.places)]
        return owners


# ---------------------------------------------------------------- Kafka


def murmur2(data: bytes) -> int:
    """Return Kafka's 32-bit hash of a key, with its sign.

    A. Appleby's MurmurHash2 with Kafka's seed, as org.apache.kafka.common.utils.Utils.murmur2.

    >>> murmur2(b"foobar")
    -790332482
    """
    multiplier, whole = 0x5BD1E995, len(data) & ~3
    value = 0x9747B28C ^ len(data)
    for start in range(0, whole, 4):
        part = int.from_bytes(data[start : start + 4], "little") * multiplier & MASK32
        part = (part ^ part >> 24) * multiplier & MASK32
        value = value * multiplier & MASK32 ^ part
    if whole < len(data):
        value = (value ^ int.from_bytes(data[whole:], "little")) * multiplier & MASK32
    value = (value ^ value >> 13) * multiplier & MASK32
    value ^= value >> 15
    return value - (value >> 31 << 32)


def kafka_partition(key: str, partitions: int) -> int:
    """Return the partition that Kafka's default partitioner puts a key on.

    `toPositive(murmur2(key)) % partitions`: BuiltInPartitioner.partitionForKey.  Another number
    of partitions moves keys, and with them the order among one key's messages.

    >>> [kafka_partition("foobar", 6), kafka_partition("foobar", 12)]
    [0, 6]
    """
    return (murmur2(key.encode()) & 0x7FFFFFFF) % partitions


# ---------------------------------------------------------------- Redis Cluster


def crc16(data: bytes) -> int:
    """Return the CRC-16/XMODEM of some bytes: polynomial 0x1021, beginning with 0.

    The one that the Redis Cluster specification names, with its test value.

    >>> hex(crc16(b"123456789"))
    '0x31c3'
    """
    return binascii.crc_hqx(data, 0)


def redis_slot(key: str) -> int:
    """Return a key's slot of the 16,384 of Redis Cluster.

    CRC16 of the key, or of what stands between the first { and the next }, if that is something:
    keys of one hash tag share a slot (Redis Cluster specification, "Hash tags").

    >>> redis_slot("foo"), redis_slot("{user1000}.following") == redis_slot("{user1000}.followers")
    (12182, True)
    """
    _, brace, behind = key.partition("{")
    tag, closing, _ = behind.partition("}")
    hashed = tag if brace and closing and tag else key
    return crc16(hashed.encode()) % REDIS_SLOTS


# ---------------------------------------------------------------- nginx


def nginx_hash(key: str, weights: Sequence[int], tries: int = 0) -> int:
    """Return the index of the server that nginx's `hash $key` picks.

    ngx_http_upstream_hash_module.c, get_hash_peer: bits 16 to 30 of the key's CRC-32, modulo the
    sum of weights.  Where that server cannot be used, hashes of "1key", "2key" … are added
    (`tries` of them); after 20, nginx goes by weighted round robin.

    >>> [nginx_hash(f"user{n}", [1, 1, 1, 1]) for n in range(4)]
    [2, 1, 0, 3]
    """
    spelled = [key, *(f"{turn}{key}" for turn in range(1, tries + 1))]
    total = sum(zlib.crc32(text.encode()) >> 16 & 0x7FFF for text in spelled)
    left = total % sum(weights)
    for index, weight in enumerate(weights):
        if left < weight:
            return index
        left -= weight
    raise AssertionError("what is left of a sum's modulus is below the sum")


def nginx_ring(servers: Sequence[str], weights: Sequence[int] | None = None) -> Ring:
    """Return the ring of nginx's `hash $key consistent` over servers named host:port.

    ngx_http_upstream_hash_module.c, init_chash: 160 points for each unit of weight, each the
    CRC-32 of host, a zero byte, port and the point before it; of equal points the first stays.
    """
    points: dict[int, int] = {}
    for index, server in enumerate(servers):
        host, port = _host_and_port(server)
        base, point = zlib.crc32(f"{host}\0{port}".encode()), 0
        for _ in range(NGINX_POINTS * (weights[index] if weights else 1)):
            point = zlib.crc32(point.to_bytes(4, "little"), base)
            points.setdefault(point, index)
    places = sorted(points)
    return Ring(
        np.array(places, np.uint32), np.array([points[place] for place in places], np.int64)
    )


def nginx_ring_pick(key: str, ring: Ring) -> int:
    """Return the index of the server whose point is the first at the key's CRC-32 or behind it."""
    return int(ring.owner(np.array([zlib.crc32(key.encode())], np.uint32))[0])


def _host_and_port(server: str) -> tuple[str, str]:
    """Return a server's name in two: nginx takes digits behind the last colon for the port."""
    if server.lower().startswith("unix:"):
        return server[5:], ""
    host, colon, port = server.rpartition(":")
    return (host, port) if colon and all("0" <= digit <= "9" for digit in port) else (server, "")


# ---------------------------------------------------------------- shards


def jump(key: int, buckets: int) -> int:
    """Return a 64-bit key's bucket; one bucket more takes 1/n of the keys and moves no others.

    J. Lamping and E. Veach, "A Fast, Minimal Memory, Consistent Hash Algorithm", 2014.

    >>> [jump(key, 10) for key in (0, 1, 256, 1 << 63)]
    [0, 6, 3, 5]
    """
    bucket, following = -1, 0
    while following < buckets:
        bucket = following
        key = (key * 2862933555777941757 + 1) & MASK64
        following = int((bucket + 1) * ((1 << 31) / ((key >> 33) + 1)))
    return bucket


def ring(nodes: int | Sequence[str], points: int = RING_POINTS) -> Ring:
    """Return a consistent-hash ring on which each node, by number or by name, has some points.

    D. Karger et al., "Consistent Hashing and Random Trees", STOC 1997; a point is four bytes of
    an MD5, as ketama's are.
    """
    names = [str(node) for node in range(nodes)] if isinstance(nodes, int) else list(nodes)
    hashed = [
        hashlib.md5(f"{name}-{point}".encode(), usedforsecurity=False).digest()[:4]
        for name in names
        for point in range(points)
    ]
    places = np.frombuffer(b"".join(hashed), "<u4").astype(np.uint64)
    order = np.argsort(places, kind="stable")
    owners = np.repeat(np.arange(len(names), dtype=np.int64), points)
    return Ring(places[order], owners[order])


def scattered(keys: np.ndarray) -> np.ndarray:
    """Return 64 bits that look random for every key, so that neighbours do not stay neighbours.

    SplitMix64's finaliser: G. Steele, D. Lea and C. Flood, "Fast Splittable Pseudorandom Number
    Generators", OOPSLA 2014.
    """
    z = keys.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
