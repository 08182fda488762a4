"""Stores beside Redis: the same commands at the same times find and lose the same keys.

fakeredis answers as Redis does, embedded; its clock is set to the simulated time.
"""

from unittest import mock

import fakeredis
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernel.test_store import DROP, GET, KEYS, PUT, constant, obey, plane_with

TTL_SECONDS = 2
EPOCH = 1_000_000_000.0  # Redis keeps time in whole milliseconds since 1970

commands = st.lists(
    st.tuples(
        st.sampled_from([GET, GET, PUT, DROP]),
        st.integers(0, KEYS - 1),
        st.integers(0, 12).map(lambda quarters: quarters / 4),  # seconds until the command
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(commands)
def test_a_store_forgets_when_redis_does(given_commands) -> None:
    """Hit ratios would be those of a cache that nobody runs."""
    plane = plane_with(KEYS, constant(TTL_SECONDS * 1000))
    now = 0.125  # off the grid of expiries: at the very instant Redis and we may differ
    with mock.patch("time.time") as clock:
        clock.return_value = EPOCH
        redis = fakeredis.FakeRedis(server=fakeredis.FakeServer())
        for number, (command, key, pause) in enumerate(given_commands):
            now += pause + (number + 1) / 1024
            clock.return_value = EPOCH + now
            hit = obey(command, key, now, plane.world)
            if command == GET:
                assert hit == (redis.get(str(key)) is not None)
            elif command == PUT:
                redis.set(str(key), "x", ex=TTL_SECONDS)
            else:
                redis.delete(str(key))
