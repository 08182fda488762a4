"""A real Redis and a real PostgreSQL for tests: on loopback, in temporary folders, ended after.

They are always started here.  A server that somebody has anyway (`REDIS_URL`, `DATABASE_URL`) is
never asked: tests turn settings that would harm what lies there.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence

import psycopg
import pytest
import redis

START_SECONDS = 60
POSTGRES = "postgres"  # whom Debian's package adds; a PostgreSQL does not run as root
DEBIAN = pathlib.Path("/usr/lib/postgresql")


def lacking(what: str) -> None:
    """Skip at home, and fail where every test must run."""
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(f"{what} is not installed; .ci/run installs it")
    pytest.skip(f"{what} is not installed; on Debian or Ubuntu: sudo apt install {what}")


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def folder(owner: str | None = None) -> Iterator[pathlib.Path]:
    """Make a folder for a server's data, and remove it after."""
    made = pathlib.Path(tempfile.mkdtemp(prefix="strata-"))
    if owner:
        shutil.chown(made, owner, owner)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@contextlib.contextmanager
def running(words: Sequence[str], place: pathlib.Path, end: int, **who: object) -> Iterator[None]:
    """Run a server until the end of the tests."""
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(words, cwd=place, stdout=log, stderr=log, **who)
    try:
        yield
    finally:
        process.send_signal(end)
        try:
            process.wait(timeout=START_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


def wait_for(url: str, place: pathlib.Path) -> None:
    """Return when a server answers."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            if url.startswith("redis"):
                with redis.Redis.from_url(url) as client:
                    client.ping()
            else:
                psycopg.connect(url, connect_timeout=2).close()
        except redis.AuthenticationError:  # it is there, and wants a password
            return
        except (redis.RedisError, psycopg.Error) as error:
            if time.monotonic() > deadline:
                log = (place / "log").read_text("utf-8")
                pytest.fail(f"{url} did not start: {error}\n{log}")
            time.sleep(0.05)
        else:
            return


@contextlib.contextmanager
def redis_running(*settings: str) -> Iterator[str]:
    """Run a Redis; give its address."""
    program = shutil.which("redis-server")
    if program is None:
        lacking("redis-server")
    port = free_port()
    words = [str(program), "--bind", "127.0.0.1", "--port", str(port), "--save", "", *settings]
    url = f"redis://127.0.0.1:{port}/0"
    with folder() as place, running(words, place, signal.SIGTERM):
        wait_for(url, place)
        yield url


def postgres_program(name: str) -> str:
    """Return one of PostgreSQL's programs; Debian has them beside the path."""
    found = [str(path) for path in sorted(DEBIAN.glob(f"*/bin/{name}"))]
    program = found[-1] if found else shutil.which(name)
    if program is None:
        lacking("postgresql")
    return str(program)


def as_postgres() -> dict[str, object]:
    """Return how to start a process that root may not be."""
    if os.geteuid() != 0:
        return {}
    return {"user": POSTGRES, "group": POSTGRES, "extra_groups": []}


def _serve(data: pathlib.Path, port: int, *settings: str) -> list[str]:
    words = [postgres_program("postgres"), "-D", str(data), "-p", str(port)]
    for setting in ("listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off",
                    *settings):  # fmt: skip
        words += ["-c", setting]
    return words


@contextlib.contextmanager
def postgres_running(*settings: str) -> Iterator[str]:
    """Run a PostgreSQL; give its address."""
    initdb, who, port = postgres_program("initdb"), as_postgres(), free_port()
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    with folder(POSTGRES if who else None) as place:
        data = place / "data"
        words = [initdb, "-D", str(data), "-A", "trust", "-U", "postgres", "-E", "UTF8",
                 "--locale=C", "--no-sync"]  # fmt: skip
        subprocess.run(words, check=True, capture_output=True, cwd=place, **who)
        with running(_serve(data, port, *settings), place, signal.SIGINT, **who):
            wait_for(url, place)
            yield url


@contextlib.contextmanager
def standby_running(primary: str) -> Iterator[str]:
    """Run a hot standby of a PostgreSQL; give its address."""
    program, who, port = postgres_program("pg_basebackup"), as_postgres(), free_port()
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    with folder(POSTGRES if who else None) as place:
        data = place / "data"
        words = [program, "-D", str(data), "-d", primary, "-R", "--no-sync", "-c", "fast"]
        subprocess.run(words, check=True, capture_output=True, cwd=place, **who)
        with running(_serve(data, port), place, signal.SIGINT, **who):
            wait_for(url, place)
            yield url


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """Return the address of a real Redis that is the tests' alone."""
    with redis_running() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Return the address of a real PostgreSQL that is the tests' alone."""
    with postgres_running() as url:
        yield url


@pytest.fixture(autouse=True, scope="session")
def nobody_s_servers() -> Iterator[None]:
    """Keep away from servers that somebody has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("REDIS_URL", raising=False)
        patch.delenv("DATABASE_URL", raising=False)
        yield


@pytest.fixture(params=["embedded", "servers"])
def backends(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the microscope stand on embedded parts, and then on real servers."""
    if request.param == "servers":
        monkeypatch.setenv("REDIS_URL", request.getfixturevalue("redis_url"))
        monkeypatch.setenv("DATABASE_URL", request.getfixturevalue("postgres_url"))
    return str(request.param)
