"""Commit levels beside a real PostgreSQL with a hot standby: who sees a write, and when.

The standby's replay is paused, so that what a level waits for can be told apart without luck.
"""

import contextlib
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest

from tests.microscope.shop import amazon, commands, played
from tests.servers import postgres_running, standby_running

Pair = tuple[psycopg.Connection, psycopg.Connection]
WAIT_SECONDS = 30
HANGS_SECONDS = 0.7
WAITS_FOR_REPLAY = "remote_apply"
LEVELS = ["off", "local", "remote_write", "on", WAITS_FOR_REPLAY]


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """Return a primary and a synchronous standby that is hot."""
    with contextlib.ExitStack() as stack:
        primary = stack.enter_context(postgres_running("wal_writer_delay=10ms"))
        standby = stack.enter_context(standby_running(primary))
        one, other = (
            stack.enter_context(psycopg.connect(url, autocommit=True)) for url in (primary, standby)
        )
        one.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        one.execute("SELECT pg_reload_conf()")
        until(one, "SELECT sync_state = 'sync' FROM pg_stat_replication")
        one.execute("CREATE TABLE products (id INT PRIMARY KEY, version INT)")
        one.execute("INSERT INTO products VALUES (1, 1)")
        until(other, "SELECT to_regclass('products') IS NOT NULL")
        yield one, other


def until(base: psycopg.Connection, question: str) -> None:
    """Wait until a question is answered with yes."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        row = base.execute(question).fetchone()
        if row and row[0]:
            return
        time.sleep(0.02)
    pytest.fail(f"never true: {question}")


def write(base: psycopg.Connection, level: str) -> None:
    """Commit a write at a level."""
    base.execute(f"SET synchronous_commit = {level}")
    base.execute("UPDATE products SET version = version + 1 WHERE id = 1")


def version(base: psycopg.Connection) -> int:
    """Return the version that a query sees."""
    (found,) = base.execute("SELECT version FROM products WHERE id = 1").fetchone()
    return int(found)


@pytest.mark.parametrize("level", LEVELS)
def test_only_remote_apply_waits_until_a_standby_answers_with_it(pair, level) -> None:
    """`on` is often taken for read-your-writes; it is not, here as there."""
    primary, standby = pair
    until(primary, "SELECT pg_current_wal_insert_lsn() = replay_lsn FROM pg_stat_replication")
    before = version(standby)
    standby.execute("SELECT pg_wal_replay_pause()")
    until(standby, "SELECT pg_get_wal_replay_pause_state() = 'paused'")
    writer = threading.Thread(target=write, args=(primary, level), daemon=True)
    writer.start()
    writer.join(HANGS_SECONDS if level == WAITS_FOR_REPLAY else WAIT_SECONDS)
    hangs = writer.is_alive()
    seen = version(standby)  # right after the write, or while it hangs: the old row
    standby.execute("SELECT pg_wal_replay_resume()")
    writer.join(WAIT_SECONDS)
    assert hangs == (level == WAITS_FOR_REPLAY)
    assert seen == before
    until(primary, "SELECT pg_current_wal_insert_lsn() = replay_lsn FROM pg_stat_replication")
    assert version(standby) == before + 1


def test_after_remote_apply_every_read_on_the_standby_is_fresh(pair) -> None:
    """Read-your-writes is a promise about each read, not about most."""
    primary, standby = pair
    for _ in range(50):
        write(primary, WAITS_FOR_REPLAY)
        assert version(standby) == version(primary)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.usefixtures("backends")
def test_under_the_microscope_the_same_levels_read_their_own_writes(level) -> None:
    """What a page shows right after a write has to be what that commit level promises."""
    late = {"data.lag": {"constant": 5000}, "data.commit": level}
    with amazon(**late, **{"data.standby.synchronous": 2, "data.read_replicas": 2}) as scope:
        scope.request("buy", key="iPhone 15")
        while scope.step() and "answered" not in scope.journal[-1].text:
            pass
        start = played(scope, "view", "iPhone 15")
        (read,) = [answer for command, answer in commands(scope, start) if "@replica" in command]
        assert ("stale" in read) == (level != WAITS_FOR_REPLAY)
