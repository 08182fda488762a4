"""Servers that somebody has: what is theirs stays theirs, and what fails is said in a line."""

import contextlib
import gc
import http.server
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest
import redis
from psycopg import sql

from engine import ScenarioError, load
from engine.microscope import EMBEDDED, Backends, Microscope, PlaceError
from engine.microscope.place import MARK, PREFIX
from tests.microscope.shop import amazon, played
from tests.servers import redis_running

DATA = {"strata": "mine", "product:0": "mine", "search:iphone-15": "mine"}


@pytest.fixture
def server(redis_url) -> Iterator[redis.Redis]:
    """Return a Redis that holds somebody's data."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        client.mset(DATA)
        yield client
        client.delete(*DATA)


@pytest.fixture
def database(postgres_url) -> Iterator[psycopg.Connection]:
    """Return a PostgreSQL that holds somebody's data."""
    with psycopg.connect(postgres_url, autocommit=True) as base:
        base.execute("CREATE TABLE products (id INT, name TEXT)")
        base.execute("INSERT INTO products VALUES (0, 'mine')")
        yield base
        base.execute("DROP TABLE products")


def on(redis_url: str = "", database_url: str = "") -> Microscope:
    """Return the shop on servers."""
    return Microscope(load("amazon"), backends=Backends(redis_url, database_url))


def left(server: redis.Redis, database: psycopg.Connection) -> tuple[dict[str, str], list[str]]:
    """Return all keys with their values, and all schemas that are the microscope's."""
    keys = {
        name: server.get(name) if server.type(name) == "string" else "…"
        for name in server.scan_iter()
    }
    question = "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s)"
    return keys, [name for (name,) in database.execute(question, (PREFIX,))]


# ---------------------------------------------------------------- what is somebody's


@pytest.mark.parametrize("end", ["close", "with", "error", "forgotten"])
def test_nothing_is_left_and_nothing_of_the_user_s_is_touched(
    server, database, redis_url, postgres_url, end
) -> None:
    """A look through the microscope must never cost anybody a row."""
    scope = on(redis_url, postgres_url)
    played(scope, "buy", "iPhone 15")
    played(scope, "search", "iPhone 15")
    scope.crash_cache()
    scope.promote(0)
    played(scope, "view", "iPhone 15")
    scope.back()
    assert len(left(server, database)[0]) > len(DATA)
    if end == "close":
        scope.close()
    elif end == "with":
        with scope:
            pass
    elif end == "error":
        with pytest.raises(ZeroDivisionError), scope:
            raise ZeroDivisionError
    else:
        scope.scene.journal.watch = scope._hand  # as a page does, in a circle
        del scope
        gc.collect()
    assert left(server, database) == (DATA, [])
    assert database.execute("SELECT * FROM products").fetchall() == [(0, "mine")]


@pytest.mark.thorough
def test_a_process_that_ends_with_an_error_leaves_nothing(
    server, database, redis_url, postgres_url
) -> None:
    """Who forgets to close is not punished with leftovers."""
    program = (
        "from engine import load; from engine.microscope import Microscope;"
        "scope = Microscope(load('amazon')); scope.request('buy', key='iPhone 15');"
        "scope.finish(); 1 / 0"
    )
    env = {**os.environ, "REDIS_URL": redis_url, "DATABASE_URL": postgres_url}
    ended = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False
    )
    assert ended.stderr.rstrip().endswith("ZeroDivisionError: division by zero")
    assert left(server, database) == (DATA, [])


def test_two_microscopes_on_one_server_never_meet(redis_url, postgres_url) -> None:
    """A class shares a server; one's clock must not end another's keys."""
    with on(redis_url, postgres_url) as one, on(redis_url, postgres_url) as other:
        played(one, "search", "iPhone 15")
        played(other, "search", "iPhone 15")
        one.advance(1000)
        assert one.state()["redis"] == []
        assert [row["key"] for row in other.state()["redis"]] == ["search:iphone-15"]
        one.close()
        played(other, "buy", "iPhone 15")
        assert other.state()["effects"]


@pytest.mark.parametrize("key", [PREFIX, f"{PREFIX}:mine", f"{PREFIX}:mine:owner"])
def test_a_redis_with_foreign_keys_under_our_prefix_is_refused(server, redis_url, key) -> None:
    """They could be somebody's own; who drops a prefix drops all of it."""
    server.set(key, "not yours")
    try:
        with pytest.raises(PlaceError) as caught:
            on(redis_url)
        assert_line(caught.value, "REDIS_URL", f"a key '{key}' that the microscope has not made")
        assert server.get(key) == "not yours"
    finally:
        server.delete(key)


def test_a_database_with_a_foreign_schema_of_our_name_is_refused(database, postgres_url) -> None:
    """The same for tables."""
    name = f"{PREFIX}_mine"
    database.execute(f"CREATE SCHEMA {name}")
    try:
        with pytest.raises(PlaceError) as caught:
            on("", postgres_url)
        assert_line(caught.value, "DATABASE_URL", f"a schema {name} that the microscope has not")
    finally:
        database.execute(f"DROP SCHEMA {name}")


def test_what_a_killed_session_left_is_swept_a_day_later(
    server, database, redis_url, postgres_url
) -> None:
    """A process that is killed cannot clean up after itself."""
    for days in (0, 2):
        mark = f"{MARK} {int(time.time()) - days * 86_400}"
        server.set(f"{PREFIX}:dead{days}:owner", mark)
        server.set(f"{PREFIX}:dead{days}:cache:x", "1")
        database.execute(f"CREATE SCHEMA {PREFIX}_dead{days}")
        comment = sql.SQL("COMMENT ON SCHEMA {} IS {}")
        database.execute(comment.format(sql.Identifier(f"{PREFIX}_dead{days}"), mark))
    on(redis_url, postgres_url).close()
    keys, schemas = left(server, database)
    assert set(keys) - set(DATA) == {f"{PREFIX}:dead0:owner", f"{PREFIX}:dead0:cache:x"}
    assert schemas == [f"{PREFIX}_dead0"]
    server.delete(*keys)
    database.execute(f"DROP SCHEMA {PREFIX}_dead0")


# ---------------------------------------------------------------- what is broken


def assert_line(error: ScenarioError, *parts: str) -> None:
    """Hold an error to one line that names place, value and way out."""
    text = str(error)
    assert "\n" not in text
    assert all(part in text for part in parts), text
    assert "secret" not in text
    assert "unset" in text or "rename" in text


@contextlib.contextmanager
def silent() -> Iterator[int]:
    """Listen, and never say a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        yield listener.getsockname()[1]


@contextlib.contextmanager
def web() -> Iterator[int]:
    """Serve HTTP."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as found:
        thread = threading.Thread(target=found.serve_forever, daemon=True)
        thread.start()
        yield found.server_port
        found.shutdown()


@contextlib.contextmanager
def nobody() -> Iterator[int]:
    """Give a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    yield port


@pytest.mark.parametrize("kind", ["redis", "postgresql"])
@pytest.mark.parametrize(
    ("there", "says"),
    [(nobody, "nobody listens there"), (silent, "within 2 s"), (web, "is no Redis|within 2 s")],
)
def test_a_server_that_is_down_slow_or_another_is_named_in_a_line(kind, there, says) -> None:
    """A traceback from a driver tells nobody what to do; and nobody waits for a minute."""
    with there() as port:
        url = f"{kind}://me:secret@127.0.0.1:{port}/0"
        began = time.monotonic()
        with pytest.raises(PlaceError) as caught:
            on(url) if kind == "redis" else on("", url)
        assert time.monotonic() - began < 5
    name = "REDIS_URL" if kind == "redis" else "DATABASE_URL"
    assert_line(caught.value, name, f"me@127.0.0.1:{port}")
    assert re.search(says, str(caught.value))
    with Microscope(load("amazon"), backends=EMBEDDED) as scope:  # it stays available
        played(scope, "search", "iPhone 15")


def test_a_server_of_the_other_kind_is_named_in_a_line(redis_url, postgres_url) -> None:
    """Two addresses are easily taken for each other."""
    for redis_at, database_at, says in (
        (postgres_url, "", "a Redis is named redis://"),
        ("", redis_url, "a PostgreSQL is named postgresql://"),
        ("", "sqlite:///x.db", "a PostgreSQL is named postgresql://"),
        ("localhost:6379", "", "a Redis is named redis://"),
        ("redis://localhost:port/0", "", "REDIS_URL"),
        ("redis://localhost/zero?db=x", "", "REDIS_URL"),
        (postgres_url.replace("postgresql", "redis"), "", "it hangs up: it is no Redis"),
        ("", redis_url.replace("redis", "postgresql"), "within 2 s"),
        ("", postgres_url.replace("/postgres", "/nowhere"), "does not exist"),
    ):
        with pytest.raises(PlaceError) as caught:
            on(redis_at, database_at)
        assert_line(caught.value, says)


def test_a_password_that_is_wrong_is_said_and_never_shown() -> None:
    """An error is pasted into chats; a password must not be in it."""
    with redis_running("--requirepass", "right") as url:
        for user in ("", ":secret@"):
            with pytest.raises(PlaceError) as caught:
                on(url.replace("://", f"://{user}"))
            assert_line(caught.value, "it does not let us in")
        on(url.replace("://", "://:right@")).close()


def test_a_server_that_dies_or_hangs_midway_is_said_in_a_line() -> None:
    """The page has to go on with embedded parts, not with a traceback."""
    with redis_running() as url:
        scope = on(url)
        played(scope, "search", "iPhone 15")
        pid = redis.Redis.from_url(url).info("server")["process_id"]
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(PlaceError) as caught:
                scope.state()
            assert_line(caught.value, "does not answer within 2 s")
        finally:
            os.kill(pid, signal.SIGCONT)
        scope = on(url)
        redis.Redis.from_url(url).shutdown(nosave=True)
        with pytest.raises(PlaceError) as caught:
            played(scope, "search", "iPhone 15")
        assert_line(caught.value, "REDIS_URL")
        scope.close()


def test_a_query_that_hangs_is_given_up(postgres_url, monkeypatch) -> None:
    """A table that somebody has locked must not hang a page for ever."""
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    with amazon() as scope, psycopg.connect(postgres_url) as other:
        table = scope.parts.effects.base._named("effects")
        other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(PlaceError) as caught:
            scope.state()
        assert_line(caught.value, "within 2 s")
        other.rollback()
        assert scope.state()["effects"] == []


def test_the_addresses_come_from_the_environment() -> None:
    """The names are those that every platform sets."""
    found = Backends.from_environment({"REDIS_URL": " redis://x ", "DATABASE_URL": ""})
    assert found == Backends("redis://x", "")
    assert Backends.from_environment({}).embedded
