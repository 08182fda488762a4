"""Programs: what a scenario says, spelled in mechanisms.

A `Program` collects rows of steps and the tables behind them while components emit
themselves; `world()` turns it into the arrays that the kernel runs on.  Labels are kept
for people, and as the names under which random numbers are drawn: a label is the journey,
the station, what is done there and the how-manyth time that is, so that adding one
component leaves the draws of all others as they were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from engine.assembly import Assembly, Station, label_hash
from engine.distribution import Distribution, Jitter
from engine.errors import ScenarioError
from engine.kernel import tables
from engine.kernel.tables import HOLDS, NOBODY, SCOPES, About, Op, Reason
from engine.kernel.world import World

Emit = Callable[[], None]

SHAPE = ("op", "site", "by", "jump", "register", "label")
LAYERS = ("client", "edge", "application", "cache", "asynchronous", "data", "observability")
WAITING, WORKING, NETWORK = 0, 1, 2
KINDS = ("waiting", "working", "network")
JITTER: dict[Jitter, int] = {"none": 0, "full": 1, "equal": 2, "decorrelated": 3}
ABOUT = {"user": About.USER, "request": About.REQUEST, "newest": About.NEWEST}
DISTURBABLE = (Op.HOLD, Op.SHARE, Op.GET, Op.PUBLISH)
REASONS = {
    "timed out": Reason.TIMED_OUT,
    "queue full": Reason.REFUSED,
    "no healthy server": Reason.NO_SERVER,
    "gave up": Reason.GAVE_UP,
}


@dataclass(frozen=True)
class Node:
    """A visit to a station in a journey's program; the tree of a trace."""

    parent: int
    station: str
    operation: str
    background: bool


class Program(Assembly):
    """Rows of steps under construction, and the places that they stand for."""

    def __init__(self) -> None:
        super().__init__()
        self.nodes: list[Node] = []
        self.node_of: list[int] = []  # of each step
        self.whats: list[str] = []  # of each step: what its draws are called
        self.about: dict[int, str] = {}  # of some nodes: the dataset that is written there
        self.entries: list[tuple[int, str, str]] = []  # (row, from station, to station)
        self.reasons: dict[str, int] = dict(REASONS)
        self.journeys: list[str] = []
        self.replaceable: set[str] = set()  # stations where another takes over from one that dies
        self.laid_out: dict[str, Any] = {}  # what components have laid out already
        self._seen: Counter[str] = Counter()
        self._registers: dict[str, int] = {}
        self._later: list[Callable[[], None]] = []
        self._node = NOBODY
        self._key = ""
        self._held = self._tries = 0
        self.journey = ""

    # ------------------------------------------------------------ places

    def station(self, name: str, title: str, kind: str, instances: int = 1) -> Station:
        """Return the station of this name, made on first use."""
        if name not in self.stations:
            station = Station(
                name, title, name.split(".", maxsplit=1)[0], kind, instances, self._meters
            )
            self.stations[name] = station
            self._meters += 1
        return self.stations[name]

    @contextmanager
    def at(self, station: Station, operation: str, background: bool = False) -> Iterator[None]:
        """Emit the steps within as a visit to a station, a span of the trace."""
        outer = self._node
        parent = self.nodes[outer] if outer != NOBODY else None
        background = background or (parent is not None and parent.background)
        self.nodes.append(Node(outer, station.name, operation, background))
        self._node = len(self.nodes) - 1
        row = len(self._steps)
        try:
            yield
        finally:
            if len(self._steps) > row:
                self.entries.append((row, parent.station if parent else "", station.name))
            self._node = outer

    @contextmanager
    def beside(self, node: int) -> Iterator[None]:
        """Emit the steps within under another node: legs and messages, emitted later."""
        outer, self._node = self._node, node
        try:
            yield
        finally:
            self._node = outer

    @property
    def node(self) -> int:
        """The node that steps are being emitted under."""
        return self._node

    def inside(self, layer: str) -> bool:
        """Return whether steps are being emitted within a visit to a layer."""
        return self.depth(layer) > 0

    def depth(self, layer: str) -> int:
        """Return how many visits to a layer are open around the steps being emitted."""
        node, count = self._node, 0
        while node != NOBODY:
            count += self.nodes[node].station.startswith(layer + ".")
            node = self.nodes[node].parent
        return count

    @property
    def here(self) -> int:
        """The row that comes next."""
        return len(self._steps)

    def register(self, name: str) -> int:
        """Return the register of this name; register 0 is always 0."""
        if name not in self._registers:
            self._registers[name] = len(self._registers) + 1
            assert len(self._registers) < tables.REGISTERS, "out of registers"
        return self._registers[name]

    def later(self, emit: Callable[[], None]) -> None:
        """Emit something after the journey at hand: legs and messages stand apart."""
        self._later.append(emit)

    def flush(self) -> None:
        """Emit all that was put off."""
        while self._later:
            self._held = self._tries = 0
            self._later.pop(0)()

    # ------------------------------------------------------------ steps

    def step(self, op: Op, what: str = "", kind: int = WORKING, **fields: float) -> int:
        """Add a step and return its row; `what` names its random draws."""
        assert self._node != NOBODY, "a step belongs to a station"
        station = self.nodes[self._node].station
        self._count(op)
        self._steps.append({"op": op, "account": account(station.split(".")[0], kind), **fields})
        if what:
            label = f"{self.journey}/{station}:{what}"
            self._seen[label] += 1
            self._steps[-1]["label"] = label_hash(f"{label}#{self._seen[label]}")
        self.node_of.append(self._node)
        self.whats.append(what)
        return len(self._steps) - 1

    def _count(self, op: Op) -> None:
        """Keep count of what one token may hold at once; the kernel's tables have that width."""
        self._held += (op == Op.SEIZE) - (op == Op.RELEASE)
        self._tries += (op == Op.TRY) - (op == Op.DONE)
        self._publishes += op == Op.PUBLISH
        self._check_width()

    def _check_width(self) -> None:
        """Raise if a token would have to hold more than the kernel's tables have room for."""
        if self._held > HOLDS or self._tries > SCOPES:
            raise ScenarioError(
                f"journeys.{self.journey} nests calls too deep: a request can hold {HOLDS} threads,"
                f" CPUs and connections and have {SCOPES} time-outs at once; flatten it"
            )

    def patch(self, row: int, **fields: float) -> None:
        """Set fields of an earlier step, once it is known where it leads."""
        self._steps[row].update(fields)

    def hold(self, what: str, time: Distribution, kind: int = WORKING, scale: float = 1.0) -> None:
        """Let time pass; a constant of zero is no step at all."""
        if time.constant == 0:
            return
        self.step(Op.HOLD, what, kind, dist=self.dist(time, scale))

    def fail(self, reason: str) -> None:
        """End in failure."""
        self.step(Op.FAIL, reason=self.reason(reason))

    def reason(self, text: str) -> int:
        """Return the code of a reason for failure."""
        return self.reasons.setdefault(text, len(self.reasons) + 1)

    def key(self, dataset: str, keys: int, exponent: float) -> None:
        """Draw which thing of a dataset the request is about, unless that is drawn already.

        In one journey it is the same thing however often it is drawn.
        """
        if self._key == dataset:
            return
        row = self.step(Op.KEY, site=self.keyspace(keys, exponent))
        self.patch(row, label=label_hash(f"{self.journey}/key of {dataset}"))
        self._key = dataset

    def key_by(self, what: Literal["user", "request", "newest"], keys: int) -> None:
        """Let the token's key be who asks, the request's number, or the newest thing there is."""
        self.step(Op.KEY, register=ABOUT[what], jump=keys)
        self.forget_key()

    def forget_key(self) -> None:
        """Draw keys anew from here on: ways with different keys may meet here."""
        self._key = ""

    def calls(self, source: str, target: str) -> None:
        """Note that the last step goes from one station to another."""
        self.entries.append((len(self._steps) - 1, source, target))

    def begin(self, journey: str) -> int:
        """Begin a journey; return its first row."""
        self.journey = journey
        self.forget_key()
        return self.here

    def chance(self, what: str, probability: float, body: Emit, *, always: bool = False) -> None:
        """Do `body` with a probability; nothing is drawn where it is 0.

        `always`: it comes out alike at every try and delivery, as with a poison message.
        """
        if probability <= 0:
            return
        row = self.step(Op.CHANCE, what, number=1.0 - probability, register=int(always))
        key = self._key
        body()
        self.patch(row, jump=self.here)
        if self._key != key:
            self.forget_key()

    def attempt(
        self,
        body: Emit,
        *,
        timeout: Distribution | None = None,
        attempts: int = 1,
        base: float = 0.0,
        cap: float = 0.0,
        jitter: Jitter = "full",
        cancels: bool = False,
        otherwise: Emit | None = None,
        budget: int = NOBODY,
        keeps: bool = False,
        what: str = "attempt",
    ) -> None:
        """Emit `body` as a try that may be given up and made again; rests in seconds.

        What was on its way when the time-out came goes on by itself, unless it `cancels` and
        still stands in a line; it `keeps` all that it held before, or hands it on.  After the
        last attempt `otherwise` is done, else it has failed.
        """
        rule = self.retry(attempts, base, cap, JITTER[jitter], cancels, NOBODY, budget, keeps)
        lane = NOBODY if timeout is None else self.lane()
        dist = 0 if timeout is None else self.dist(timeout)
        held = self._held
        self.step(Op.TRY, what, WAITING, site=lane, dist=dist, jump=rule)
        self.forget_key()  # a later try begins with the key that the one before has left
        body()
        self.step(Op.DONE)
        if otherwise is None:
            return
        over, after = self.step(Op.GO), self._held
        self._held = held
        self.say_otherwise(rule, self.here)
        self.forget_key()
        otherwise()
        self._held = after
        self.patch(over, jump=self.here)
        self.forget_key()

    def guarded(self, breaker: int, body: Emit, reason: str, by: int = 0) -> None:
        """Emit `body` behind a circuit breaker; `reason` is why it fails while that is open."""
        self.step(Op.PASS, site=breaker, by=by, reason=self.reason(reason))

        def went_wrong() -> None:
            self.step(Op.REPORT, site=breaker, by=by, number=0)
            self.step(Op.FAIL)

        self.attempt(body, otherwise=went_wrong, what="guarded")
        self.step(Op.REPORT, site=breaker, by=by, number=1)

    def compute(self, what: str, processor: int, by: int, time: Distribution) -> None:
        """Emit a job on a processor that shares its cores; `by` tells which of several."""
        if time.constant == 0:
            return
        self._held += 1  # a job stands where one more thing held would
        self._check_width()
        self.step(Op.SHARE, what, site=processor, by=by, dist=self.dist(time))
        self._held -= 1

    def together(
        self, bodies: Sequence[Emit], needed: int = 0, repeat: int = 1, number_in: int = 0
    ) -> None:
        """Emit bodies side by side, each a leg of its own, each so many times.

        It goes on when `needed` legs have succeeded, 0 for all; the others run on for nothing.
        `number_in` is a register that tells each leg its number, from 0 on.
        """
        node, journey = self._node, self.journey
        fork = self.step(
            Op.FORK, kind=WAITING, jump=len(bodies), register=repeat, number=needed, by=number_in
        )
        self.step(Op.GATHER)
        self.later(lambda: self._emit_legs(bodies, repeat, fork, node, journey))

    def _emit_legs(
        self, bodies: Sequence[Emit], repeat: int, fork: int, node: int, journey: str
    ) -> None:
        """Emit each leg under the visit that it parts from; it draws the same keys again."""
        starts = []
        for body in bodies:
            starts.append(self.begin(journey))
            with self.beside(node):
                body()
                self.step(Op.JOIN)
        self.patch(fork, site=self.legs(starts, repeat))

    # ------------------------------------------------------------ the whole

    def way_up(self, row: int) -> list[int]:
        """Return the node of a step, its parent, and so on up to the root."""
        node, path = self.node_of[row], []
        while node != NOBODY:
            path.append(node)
            node = self.nodes[node].parent
        return path

    def kind_of(self, row: int) -> int:
        """Return whether a step is WAITING, WORKING or NETWORK."""
        return int(self._steps[row]["account"]) % 3

    def op_of(self, row: int) -> int:
        """Return what a step does."""
        return int(self._steps[row]["op"])

    def rows(
        self,
        station: str | None = None,
        kind: int | None = None,
        what: str | None = None,
        layer: str | None = None,
    ) -> list[int]:
        """Return the rows that `Plane.disturb` can disturb: time, look-ups, messages.

        Those of a station or a layer by name, of one kind (WAITING, WORKING, NETWORK), or whose
        draws are called `what`, such as "cpu", "publish" or "read hop"; None: of any.  A time of
        zero is no step, and so is not among them.
        """
        return [
            row
            for row, step in enumerate(self._steps)
            if step["op"] in DISTURBABLE
            and (station is None or self.station_of(row) == station)
            and (layer is None or self.station_of(row).split(".")[0] == layer)
            and (kind is None or self.kind_of(row) == kind)
            and (what is None or self.whats[row] == what)
        ]

    def station_of(self, row: int) -> str:
        """Return the name of the station that a step belongs to."""
        return self.nodes[self.node_of[row]].station

    def shape(self) -> list[list[float | None]]:
        """Return what of the steps no change may touch; how many are watched is a number."""
        return [
            [
                None if name == "jump" and step["op"] == Op.OUTCOME else step.get(name)
                for name in SHAPE
            ]
            for step in self._steps
        ]

    def same_shape(self, other: Program) -> bool:
        """Return whether two programs differ in numbers only, so that one run can go on."""
        return (
            self.shape() == other.shape()
            and self.named == other.named
            and list(self.reasons)[: len(other.reasons)] == list(other.reasons)
            and all(len(rows) == len(other._rows[name]) for name, rows in self._rows.items())
        )

    def world(self, seed: int, tokens: int = 4096, messages: int = 4096) -> World:
        """Return the arrays of a run that has not begun."""
        return self.assemble(seed, max(1, len(self.journeys)), len(self.reasons), tokens, messages)


def account(layer: str, kind: int) -> int:
    """Return the account that time in a layer is booked on."""
    return LAYERS.index(layer) * 3 + kind
