"""Hash slots: which node of a Redis Cluster a key is on.

A key's slot is its CRC16 (XMODEM) modulo 16384, and the slots are shared out in ranges
(Redis Cluster specification, "Key distribution model"; `redis-cli --cluster create`).
"""

from __future__ import annotations

import functools

import numpy as np

from engine.hashing import REDIS_SLOTS

POLYNOMIAL = 0x1021
PART = 1 << 16  # keys whose names are spelled at once, so that ten million fit in memory


@functools.cache
def _table() -> np.ndarray:
    """Return CRC16's remainder of every byte."""
    rest = np.arange(256, dtype=np.uint32) << 8
    for _ in range(8):
        rest = np.where(rest & 0x8000, rest << 1 ^ POLYNOMIAL, rest << 1) & 0xFFFF
    return rest.astype(np.uint16)


def slots(names: np.ndarray) -> np.ndarray:
    """Return the slots of keys that are given as rows of bytes, all of one length.

    `hashing.redis_slot` for many keys at once; names here have no hash tags.

    >>> slots(np.frombuffer(b"123456789", np.uint8)[None])
    array([12739])
    """
    rest = np.zeros(len(names), np.uint16)
    for column in names.T:
        rest = (rest << np.uint16(8)) ^ _table()[(rest >> np.uint16(8)) ^ column]
    return (rest % np.uint16(REDIS_SLOTS)).astype(np.int64)


@functools.lru_cache(maxsize=32)
def nodes_of(name: str, keys: int, nodes: int) -> np.ndarray:
    """Return the node that each of `keys` keys of a name is on: `products:000042` and so on.

    >>> np.bincount(nodes_of("products", 3000, 3))
    array([1006,  995,  999])
    """
    places = 10 ** np.arange(len(str(keys)) - 1, -1, -1)
    prefix = np.frombuffer(f"{name}:".encode(), np.uint8)
    # redis-cli gives node i the slots from round(i * 16384 / nodes) on.
    firsts = np.rint(np.arange(1, nodes) * REDIS_SLOTS / nodes)
    found = np.empty(keys, np.int32)
    for first in range(0, keys, PART):
        ranks = np.arange(first, min(keys, first + PART))
        digits = (ord("0") + ranks[:, None] // places % 10).astype(np.uint8)
        whole = np.hstack([np.broadcast_to(prefix, (len(ranks), len(prefix))), digits])
        found[first : first + PART] = np.searchsorted(firsts, slots(whole), side="right")
    found.flags.writeable = False
    return found
