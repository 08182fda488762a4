"""The scene: who walks, what they hold, and who stands in which line.

The same nouns as the kernel's tables, as objects.  The rules are in the files beside this
one, each the twin of the kernel's file that its docstring names.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import simpy
from simpy.events import URGENT

from engine.kernel.tables import LEAVES, NOBODY, REGISTERS, State
from engine.microscope.luck import base_of

if TYPE_CHECKING:
    from collections.abc import Generator

    from engine.microscope.clock import Clock
    from engine.microscope.done import Done
    from engine.microscope.journal import Journal
    from engine.microscope.parts import Parts
    from engine.microscope.script import Script


UNSET = -7  # of a register that nobody has written yet


@dataclass(slots=True)
class Held:
    """A slot that a token holds; NOBODY: its heir holds it."""

    pool: int
    asked: float
    got: float


@dataclass(slots=True, eq=False)
class Scope:
    """A try that is open."""

    token: Token
    step: int
    holds: int
    attempt: int = 0
    due: float = 0.0
    lane: int = NOBODY
    resting: bool = False


@dataclass(slots=True, eq=False)
class Token:
    """What walks the program: a request, a leg of one, a message, an errand."""

    request: int
    root: int
    born: float
    number: int = 0  # of all tokens, from 1 on
    began: float = 0.0
    step: int = 0
    key: int = 0
    visit: int = 0
    user: int = NOBODY
    journey: int = 0
    source: int = NOBODY
    parent: Token | None = None
    legs: int = 0
    needed: int = 0
    ticket: int = 0
    bound: int = 0
    channel: int = NOBODY
    partition: int = NOBODY
    worker: int = NOBODY  # the slot of whom it was given to, if it is a message
    delivery: int = 0
    entry: str = ""  # what a message is called in its stream
    orphan: int = NOBODY
    reason: int = 0
    state: int = State.EVENT
    queue: int = NOBODY
    leaves: int = 0
    registers: list[int] = field(default_factory=lambda: [0] + [UNSET] * (REGISTERS - 1))
    holds: list[Held] = field(default_factory=list)
    scopes: list[Scope] = field(default_factory=list)
    bell: simpy.Event | None = None
    life: simpy.Process | None = None
    gone: bool = False
    struck: bool = False  # its server has just died under it
    asked: dict[str, int] = field(default_factory=dict)  # keys that somebody wants it to be about
    carries: dict[str, Any] = field(default_factory=dict)  # what it has in hand on real parts
    spans: list[Any] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Pool:
    """Equal slots and one line."""

    slots: int
    room: int
    up: int
    ceiling: int
    backup: int
    weight: int
    effective: int
    reason: int
    current: int = 0
    busy: int = 0
    crowd: int = 0  # jobs that wait, of a processor that is shared
    line: dict[Token, None] = field(default_factory=dict)

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return len(self.line) + self.crowd


@dataclass(slots=True, eq=False)
class Peer:
    """What balancers know of a server's health."""

    max_fails: int
    timeout: float
    row_max: int
    rest: float
    most: float
    fails: int = 0
    in_a_row: int = 0
    times: int = 0
    checked: float = -1e18
    accessed: float = -1e18
    until: float = -1e18


@dataclass(slots=True, eq=False)
class Group:
    """Pools that a policy picks among."""

    policy: int
    first: int
    count: int
    draws: int
    watched: int
    turn: int = 0


@dataclass(slots=True, eq=False)
class Lane:
    """Timers of one length, in order of time."""

    timers: list[Scope] = field(default_factory=list)
    armed: float = math.inf
    alarm: simpy.Event | None = None


@dataclass(slots=True, eq=False)
class Limit:
    """What may pass in a time."""

    rate: float
    burst: float
    window: float
    level: float
    last: float = 0.0
    count: float = 0.0
    before: float = 0.0


@dataclass(slots=True, eq=False)
class Breaker:
    """A circuit breaker."""

    failures: int
    probes: int
    rest: float
    state: int = 0
    bad: int = 0
    sent: int = 0
    good: int = 0
    opened: float = 0.0


@dataclass(slots=True, eq=False)
class Job:
    """A job on a processor that is shared: when it ends by the virtual clock, and its size."""

    token: Token
    ends: float
    size: float


@dataclass(slots=True, eq=False)
class Processor:
    """Cores that all jobs share."""

    cores: int
    pool: int
    virtual: float = 0.0
    last: float = 0.0
    jobs: list[Job] = field(default_factory=list)
    plan: simpy.Event | None = None


@dataclass(slots=True, eq=False)
class Message:
    """A message that waits, and what it is called in its stream."""

    entry: str
    request: int
    sent: float
    delivery: int
    claimed: bool = False  # its worker has died: it is pending, and claimed by who takes it
    due: float = 0.0  # when it is at the worker that it was given to
    given: float | None = None  # since when it is pending with a worker
    fields: dict[str, str] = field(default_factory=dict)  # what is in it, once it was given
    done: Done | None = None  # how it was given


@dataclass(slots=True, eq=False)
class Partition:
    """Messages in order, and the pool of the worker that reads them."""

    worker: int
    queue: deque[Message] = field(default_factory=deque)


@dataclass(slots=True, eq=False)
class Channel:
    """Partitions of messages for one kind of worker."""

    kind: str
    first: int
    partitions: int
    start: int
    again: int
    attempts: int
    room: int
    prefetch: int
    retention: float
    travel: float
    waiting: int = 0
    delayed: int = 0
    published: int = 0
    processed: int = 0
    dead: int = 0
    refused: int = 0
    redelivered: int = 0
    expired: int = 0
    lapsed: int = 0
    turn: int = 0


@dataclass(slots=True, eq=False)
class Counts:
    """How requests of a journey have gone."""

    started: int = 0
    answered: int = 0
    failed: int = 0
    seconds: float = 0.0


CHANNEL = (
    "first", "partitions", "start", "again", "attempts", "room", "prefetch", "retention", "travel"
)  # fmt: skip


class Scene:
    """Everything that one microscope knows, at an instant."""

    def __init__(self, clock: Clock, script: Script, parts: Parts, journal: Journal) -> None:
        self.clock, self.parts, self.journal = clock, parts, journal
        self.live: Callable[..., Generator[simpy.Event, Any, None]]
        self.walking: dict[int, Token] = {}  # by number
        self.lives: dict[int, int] = {}  # of workers that were killed: the how-manyth it is
        self.wasted = self.errands = self.tickets = self.requests = 0
        self._numbers = 0
        self.take_on(script)

    def take_on(self, script: Script) -> None:
        """Lay out what a script says; nobody walks yet."""
        assert not self.walking
        self.script, self.steps, self.dists = script, script.steps, script.dists
        world = script.world
        self.visits = [0] * len(script.steps)
        self.pools = [
            Pool(
                slots=row["slots"].item(),
                room=row["room"].item(),
                up=row["up"].item(),
                ceiling=row["ceiling"].item(),
                backup=row["backup"].item(),
                weight=row["weight"].item(),
                effective=row["effective"].item(),
                reason=row["reason"].item(),
            )
            for row in world.pools
        ]
        self.peers = [
            Peer(
                row["max_fails"].item(),
                row["timeout"].item(),
                row["row_max"].item(),
                row["rest"].item(),
                row["most"].item(),
            )
            for row in world.peers
        ]
        self.groups = [Group(p, f, c, d, w, t) for p, f, c, d, t, w in world.groups.tolist()]
        self.lanes = [Lane() for _ in world.lanes]
        self.limits = [
            Limit(rate, burst, window, level)
            for rate, burst, window, level, *_ in world.limits.tolist()
        ]
        self.breakers = [
            Breaker(row["failures"].item(), row["probes"].item(), row["rest"].item())
            for row in world.breakers
        ]
        self.processors = [
            Processor(row["cores"].item(), row["pool"].item()) for row in world.processors
        ]
        self.partitions = [Partition(row["worker"].item()) for row in world.partitions]
        self.channels = [
            Channel(
                kind=script.kind_of(index),
                **{name: row[name].item() for name in CHANNEL},
            )
            for index, row in enumerate(world.channels)
        ]
        self.journeys = [Counts() for _ in script.program.journeys]
        self.reasons: dict[tuple[int, int], int] = {}

    @property
    def now(self) -> float:
        """Simulated seconds."""
        return float(self.clock.now)

    def fresh(self, request: int, root: int, born: float) -> Token:
        """Return a token that has just begun to be."""
        self._numbers += 1
        token = Token(request, root, born, self._numbers, began=born)
        self.walking[token.number] = token
        return token

    def consumer(self, pool: int, kind: str) -> str:
        """Return what a worker is called in its group: after a death it is another."""
        name, life = self.script.consumer(pool, kind), self.lives.get(pool, 1)
        return name if life == 1 else f"{name}.{life}"

    def resume(self, token: Token) -> None:
        """Let a token walk on at once."""
        assert token.bell is not None
        self.clock.at(self.now, token.bell, URGENT)

    def start(self, token: Token, *, failing: bool = False, at_once: bool = False) -> None:
        """Let a token live: a SimPy process that walks the program."""
        token.life = self.clock.process(self.live(token, self, failing, at_once))

    def stop(self, token: Token) -> None:
        """Let a token's process end with it, whatever it waits for."""
        if token.life is not None and token.life.is_alive:
            token.life.interrupt("gone")

    def free(self, token: Token) -> None:
        """Let a token be no more."""
        token.gone, token.state = True, State.FREE
        self.walking.pop(token.number, None)
        self.journal.over(token, self.now)

    def wake(self, token: Token, due: float) -> None:
        """Let a token walk on at a moment."""
        token.state = State.EVENT
        if token.bell is None or token.bell.triggered:
            token.bell = simpy.Event(self.clock)
        self.clock.at(due, token.bell)

    def leaf(self, token: Token) -> None:
        """Count a span that the kernel would have kept; only so many holds make one event."""
        token.leaves = min(token.leaves + 1, LEAVES + 1)

    def draw(self, dist: int, token: Token, label: int) -> float:
        """Return a draw of a distribution for a token, seconds."""
        return self.dists[dist].draw(token.root, label, token.visit)

    def base(self, request: int) -> int:
        """Return the random base of a request."""
        return base_of(self.script.seed, request)
