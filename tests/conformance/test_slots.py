"""Hash slots beside a real Redis Cluster's own answer."""

from collections.abc import Iterator

import numpy as np
import pytest
import redis
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from redis.crc import key_slot

from engine.hashing import redis_slot
from engine.layers.hashslots import slots
from tests.servers import free_port, redis_running


@pytest.fixture(scope="module")
def node() -> Iterator[redis.Redis]:
    """Return a Redis that is a node of a cluster, of one."""
    # The bus is 10,000 ports above unless it is told, and not every free port has that room.
    bus = ("--cluster-port", str(free_port()))
    with (
        redis_running("--cluster-enabled", "yes", *bus) as url,
        redis.Redis.from_url(url) as server,
    ):
        yield server


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.text(alphabet="abc1{}:é", max_size=12))
@example("{user1000}.following")
@example("foo{}{bar}")
@example("foo{{bar}}zap")
def test_a_key_s_slot_is_the_server_s(node, key) -> None:
    """Keys would be on other nodes than those of a Redis Cluster."""
    assert redis_slot(key) == node.execute_command("CLUSTER KEYSLOT", key)
    assert redis_slot(key) == key_slot(key.encode())


def test_many_keys_at_once_have_the_same_slots(node) -> None:
    """The table of a million keys is made by another function than the slot of one."""
    names = [f"product:{number:06}" for number in range(0, 1_000_000, 9973)]
    rows = np.array([list(name.encode()) for name in names], np.uint8)
    real = [node.execute_command("CLUSTER KEYSLOT", name) for name in names]
    assert slots(rows).tolist() == real
