"""A real Redis behind the microscope: keys under a prefix of its own, dropped at the end.

Whose time?  A server's clock is the wall's, and cannot be set; the microscope's stands while
somebody thinks.  So a key's end is kept on the server as `PXAT base + simulated milliseconds`,
with a base that lies 30 days ahead: `PEXPIRETIME` tells the simulated moment, and the wall never
reaches it.  When simulated time does, the server is told `PEXPIREAT key 1` before it is asked
anything else, and lets the key expire itself.
"""

from __future__ import annotations

import contextlib
import heapq
import math
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from engine.microscope.place import (
    DAY_SECONDS,
    MARK,
    PREFIX,
    WAIT_SECONDS,
    PlaceError,
    told,
    without_password,
)

if TYPE_CHECKING:
    from engine.microscope.clock import Clock

Answer = TypeVar("Answer")
AHEAD_MS = 30 * DAY_SECONDS * 1000
SCAN_COUNT = 5000
SUM_MS = 1e-6  # sums of binary fractions are off by less
VERSION_MIN = 7  # PEXPIRETIME, and XADD's `1000-*`
STAMP_SECONDS = 3600  # how often it is said that somebody is still here
# Commands that name one key, the first word after them; others are translated here, or refused.
OF_ONE_KEY = frozenset(
    ("GET", "SET", "HINCRBY", "HGETALL", "TYPE", "EXISTS", "XADD", "XACK", "XRANGE", "XDEL",
     "XPENDING", "XCLAIM", "XGROUP CREATE", "XINFO GROUPS", "XLEN")
)  # fmt: skip


class Server:
    """One session's keys on a server."""

    way_out = "; put it right, or unset REDIS_URL for the embedded one"

    def __init__(self, url: str, token: str) -> None:
        self.prefix = f"{PREFIX}:{token}:"
        self.where = f"REDIS_URL {without_password(url)}"
        self.pool = self._pool(url)
        self.client: Any = redis.Redis(connection_pool=self.pool)
        self.rooms: list[OwnKeys] = []
        try:
            version = self._version()
            self.say(self._look_around)
            seconds, micros = self.say(self.client.time)
            self.base_ms = seconds * 1000 + micros // 1000 + AHEAD_MS
            self._stamp()
        except BaseException:
            self.pool.disconnect()
            raise
        self.name = f"Redis {version} at {without_password(url).partition('://')[2]}"

    def _version(self) -> str:
        """Return the server's version, if it is one that will do."""
        info = self.say(lambda: self.client.info("server"))
        version = str(info.get("redis_version", "?"))
        line = ""
        if int(version.split(".", maxsplit=1)[0]) < VERSION_MIN:
            line = f"it is Redis {version}, and the microscope needs {VERSION_MIN} or newer"
        elif info.get("redis_mode") == "cluster":
            line = "it is a node of a cluster, and the microscope needs a Redis that is whole"
        if line:
            raise PlaceError(f"{self.where}: {line}{self.way_out}")
        return version

    def _pool(self, url: str) -> redis.ConnectionPool:
        try:
            kind = urlsplit(url).scheme
        except ValueError:
            kind = ""
        if kind not in {"redis", "rediss", "unix"}:
            line = f"{self.where}: a Redis is named redis://host:6379/0"
            raise PlaceError(line + self.way_out)
        try:
            return redis.ConnectionPool.from_url(
                url,
                decode_responses=True,
                protocol=2,
                socket_timeout=WAIT_SECONDS,
                socket_connect_timeout=WAIT_SECONDS,
                retry=Retry(NoBackoff(), 0),
            )
        except (ValueError, TypeError) as error:
            raise PlaceError(f"{self.where}: {told(error)}{self.way_out}") from None

    def say(self, ask: Callable[[], Answer]) -> Answer:
        """Ask the server; raises PlaceError in one line if it does not answer as it should."""
        try:
            return ask()
        except (redis.RedisError, OSError, UnicodeDecodeError) as error:
            raise PlaceError(f"{self.where}: {_why(error)}{self.way_out}") from None

    # ------------------------------------------------------------ whose it is

    def _look_around(self) -> None:
        """Drop what a session left that has died, and refuse where there is something foreign."""
        rooms: dict[str, list[str]] = {}
        deadline = time.monotonic() + WAIT_SECONDS
        cursor: Any = 0
        while True:
            cursor, names = self.client.scan(cursor, match=f"{PREFIX}*", count=SCAN_COUNT)
            for name in map(str, names):
                room = ":".join(name.split(":", 2)[:2])
                rooms.setdefault(room, []).append(name)
            if int(cursor) == 0:
                break
            if time.monotonic() > deadline:
                line = "it holds too many keys to look through: give the microscope another number"
                raise PlaceError(f"{self.where}: {line}, as in redis://host:6379/9")
        for room, held in sorted(rooms.items()):
            self._judge(room, held)

    def _judge(self, room: str, names: list[str]) -> None:
        """Refuse keys that are not the microscope's; sweep those of a session long dead."""
        owner = f"{room}:owner"
        is_text = room.startswith(f"{PREFIX}:") and self.client.type(owner) == "string"
        mark, _, since = str((self.client.get(owner) or "") if is_text else "").rpartition(" ")
        if mark != MARK or not since.isdecimal():
            if not self.client.exists(names[0]):  # another session has just ended
                return
            raise PlaceError(
                f"{self.where}: there is a key {names[0]!r} that the microscope has not made;"
                " rename it, or give the microscope another number, as in redis://host:6379/9"
            )
        if time.time() - int(since) > DAY_SECONDS:
            for name in names:
                self.client.delete(name)

    def _stamp(self) -> None:
        """Say that this session is alive."""
        self.stamped = time.monotonic()
        self.say(lambda: self.client.set(f"{self.prefix}owner", f"{MARK} {int(time.time())}"))

    # ------------------------------------------------------------ using

    def room(self, name: str, clock: Clock) -> OwnKeys:
        """Return a Redis that is empty, for one purpose."""
        found = OwnKeys(self, f"{self.prefix}{name}:", clock)
        self.rooms.append(found)
        return found

    def send(self, *args: Any, **options: Any) -> Any:
        """Send a command as it is."""
        if time.monotonic() - self.stamped > STAMP_SECONDS:
            self._stamp()
        return self.say(lambda: self.client.execute_command(*args, **options))

    def clear(self) -> None:
        """Delete every key of this session, but for whose it is."""
        for room in self.rooms:
            room.flushall()
        self.rooms.clear()

    def close(self) -> None:
        """Delete every key of this session; a server that is gone is swept by the next one."""
        with contextlib.suppress(PlaceError):
            self.clear()
            self.send("DEL", f"{self.prefix}owner")
        self.pool.disconnect()


class OwnKeys(redis.Redis):
    """A Redis of which every key lies under a prefix, and dies by a simulated clock.

    A command that could touch anything else is not known here.
    """

    def __init__(self, server: Server, prefix: str, clock: Clock) -> None:
        super().__init__(connection_pool=server.pool)
        self.server, self.prefix = server, prefix
        self._clock = weakref.ref(clock)  # who drops the keys at the end must not keep it alive
        self.mine: set[str] = set()
        self.ends: dict[str, float] = {}  # simulated seconds
        self._agenda: list[tuple[float, str]] = []

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command about our own keys."""
        verb, rest = str(args[0]).upper(), list(args[1:])
        self._settle()
        special = {"KEYS": self._keys, "DEL": self._delete, "FLUSHALL": self._flush,
                   "SETEX": self._setex, "PSETEX": self._setex, "PEXPIRE": self._pexpire,
                   "PTTL": self._pttl, "TIME": self._time, "XREADGROUP": self._read}  # fmt: skip
        if verb in special:
            return special[verb](verb, *rest)  # type: ignore[operator]
        if verb not in OF_ONE_KEY:
            raise PlaceError(f"the microscope does not send {verb} to a real Redis")
        name = str(rest[0])
        self.mine.add(name)
        if verb == "SET":
            self.ends.pop(name, None)
        return self.server.send(verb, self.prefix + name, *rest[1:], **options)

    @property
    def _now(self) -> float:
        """Simulated seconds; when nobody keeps time any more, none goes by."""
        clock = self._clock()
        return clock.now if clock is not None else -math.inf

    def live_until(self, name: str, until: float) -> None:
        """Let a key live to the exact moment; the server knows it to the millisecond."""
        self.ends[name] = until
        heapq.heappush(self._agenda, (until, name))

    def _settle(self) -> None:
        """Let the server expire what simulated time has passed by."""
        while self._agenda and self._agenda[0][0] <= self._now:
            until, name = heapq.heappop(self._agenda)
            if self.ends.get(name) == until:
                self.server.send("PEXPIREAT", self.prefix + name, 1)
                self._forget(name)

    def _forget(self, name: str) -> None:
        self.mine.discard(name)
        self.ends.pop(name, None)

    def _at(self, until: float) -> int:
        """Return the server's millisecond of a simulated moment."""
        return self.server.base_ms + math.ceil(until * 1e3 - SUM_MS)

    # ------------------------------------------------------------ in other words

    def _setex(self, verb: str, name: str, life: int, value: str) -> Any:
        until = self._now + (life if verb == "SETEX" else life / 1e3)
        answer = self.server.send("SET", self.prefix + name, value, "PXAT", self._at(until))
        self.mine.add(name)
        self.live_until(name, until)
        return answer

    def _pexpire(self, _verb: str, name: str, life: int) -> Any:
        until = self._now + life / 1e3
        answer = self.server.send("PEXPIREAT", self.prefix + name, self._at(until))
        if answer:
            self.live_until(name, until)
        return answer

    def _pttl(self, _verb: str, name: str) -> int:
        at = int(self.server.send("PEXPIRETIME", self.prefix + name))
        return at if at < 0 else math.floor(at - self.server.base_ms - self._now * 1e3)

    def _keys(self, _verb: str, _pattern: str = "*") -> list[str]:
        return [n for n in sorted(self.mine) if self.server.send("EXISTS", self.prefix + n)]

    def _delete(self, _verb: str, *names: str) -> int:
        count = 0
        for name in names:
            count += int(self.server.send("DEL", self.prefix + name))
            self._forget(name)
        return count

    def _flush(self, _verb: str, *_options: Any) -> bool:
        self._delete("DEL", *sorted(self.mine))
        return True

    def _time(self, _verb: str) -> Any:
        return self.server.send("TIME")

    def _read(self, _verb: str, *rest: Any) -> Any:
        words = list(rest)
        place = next(n for n, word in enumerate(words) if word in {"STREAMS", b"STREAMS"}) + 1
        words[place] = self.prefix + str(words[place])
        return self.server.send("XREADGROUP", *words)


def _why(error: Exception) -> str:
    """Return why a server cannot be used, in a few words."""
    text = str(error)
    if isinstance(error, redis.TimeoutError | TimeoutError):
        return f"it does not answer within {WAIT_SECONDS} s"
    if isinstance(error, redis.AuthenticationError | redis.exceptions.AuthorizationError):
        return f"it does not let us in ({told(error)})"
    if isinstance(error, redis.InvalidResponse | UnicodeDecodeError):
        return "what answers there is no Redis"
    if "refused" in text:
        return "nobody listens there"
    if "closed by server" in text or "reset by peer" in text:
        return "it hangs up: it is no Redis, or it has just ended"
    return told(error)
