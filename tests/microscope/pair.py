"""A pair: the kernel and the microscope play the same scenario, event by event, side by side.

After every instant at which something happens, both have to have the same tokens at the same
steps with the same picks in hand, and the same counts; at the end the same books.  Where they
part, `DifferenceError` shows what each of them has seen of the request that it is about.
"""

from __future__ import annotations

from collections import Counter, deque

import numpy as np

from engine import Scenario, Simulation
from engine.kernel.tables import NOBODY, State
from engine.microscope import Microscope
from engine.microscope.clock import AFTER_ALL
from engine.microscope.scene import UNSET

NEAR = 1e-9  # seconds
REMEMBERED = 4000  # instants of which the traces are kept
COLUMNS = (
    "request", "channel", "partition", "orphan", "step", "visit", "depth", "holds", "state",
    "journey",
)  # fmt: skip

WIDTH = len(COLUMNS)
Position = tuple[int, ...]  # the columns, then the registers


class DifferenceError(AssertionError):
    """Kernel and microscope have parted."""


class Pair:
    """Both sides of one scenario."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario = scenario
        self.kernel = Simulation(scenario, seed)
        self.scope = Microscope(scenario, seed, traffic=True)
        self.world = self.kernel.plane.world
        self.scene = self.scope.scene
        self.arrive = int(self.world.sources["arrive"][0])
        self.closed = float(self.world.sources["rate"][0]) < 0
        self.seen: deque[tuple[float, list[Position], list[Position]]] = deque(maxlen=REMEMBERED)
        self.latencies: dict[int, float] = {}
        self._under_way: dict[int, float] = {}
        self._before: set[Position] = set()

    # ------------------------------------------------------------ playing

    def play(self, until: float, requests: int = 10**9) -> None:
        """Play both until a time, or so many requests; raises DifferenceError where they part."""
        clock = self.world.clock[0]
        while clock["pending"] and self.world.due[0] <= until and len(self.latencies) < requests:
            now = float(self.world.due[0])
            self.kernel.env.play(now)
            self.world, clock = self.kernel.plane.world, self.kernel.plane.world.clock[0]
            self._play_scope(now)
            self._compare(now)
        self._compare_books()

    def _play_scope(self, now: float) -> None:
        """Play the microscope up to an instant, but for what the control plane does then."""
        queue = self.scope.clock._queue
        while queue and queue[0][:2] < (now, AFTER_ALL):
            self.scope.clock.step()

    # ------------------------------------------------------------ comparing

    def _compare(self, now: float) -> None:
        born, kernel = self._kernel_positions()
        scope_born, scope = self._scope_positions()
        self.seen.append((now, kernel, scope))
        bare = sorted(position[:WIDTH] for position in kernel)
        if bare != sorted(position[:WIDTH] for position in scope):
            raise DifferenceError(self._told(now, kernel, scope))
        moved = set(bare) - self._before
        self._before = set(bare)
        apart = _picked_apart(moved, kernel, scope)
        if apart is not None:
            raise DifferenceError(self._told(now, kernel, scope, apart))
        self._note_ends(now, born, scope_born)
        counts = self.world.journeys
        for index, mine in enumerate(self.scene.journeys):
            theirs = counts[index]
            pairs = [(int(theirs[name]), getattr(mine, name))
                     for name in ("started", "answered", "failed")]  # fmt: skip
            if any(one != other for one, other in pairs):
                raise DifferenceError(f"at {now!r} s, {self.scenario.journeys}: counts {pairs}")
            if abs(float(theirs["seconds"]) - mine.seconds) > NEAR * max(1, mine.answered):
                raise DifferenceError(
                    f"at {now!r} s: {theirs['seconds']} and {mine.seconds} seconds"
                )

    def _kernel_positions(self) -> tuple[dict[int, float], list[Position]]:
        tokens = self.world.tokens
        used = np.flatnonzero(tokens["state"] != State.FREE)
        columns = [tokens[name][used].astype(np.int64) for name in COLUMNS]
        columns[2][columns[1] == NOBODY] = NOBODY  # a partition is only a message's
        table = np.column_stack([*columns, self.world.registers[used]])
        own = (
            (tokens["source"][used] != NOBODY)
            & (tokens["parent"][used] == NOBODY)
            & (tokens["orphan"][used] == NOBODY)
            & (tokens["channel"][used] == NOBODY)
        )
        if self.closed:
            own &= tokens["step"][used] != self.arrive
        born = dict(
            zip(
                tokens["request"][used[own]].tolist(),
                tokens["born"][used[own]].tolist(),
                strict=True,
            )
        )
        return born, [tuple(row) for row in table.tolist()]

    def _scope_positions(self) -> tuple[dict[int, float], list[Position]]:
        born: dict[int, float] = {}
        found: list[Position] = []
        for token in self.scene.walking.values():
            found.append(
                (
                    token.request,
                    token.channel,
                    token.partition,
                    token.orphan,
                    token.step,
                    token.visit,
                    len(token.scopes),
                    len(token.holds),
                    token.state,
                    token.journey,
                    *token.registers,
                )
            )
            own = token.source != NOBODY and token.parent is None
            thinks = self.closed and token.step == self.arrive
            if own and token.orphan == NOBODY and token.channel == NOBODY and not thinks:
                born[token.request] = token.born
        return born, found

    def _note_ends(self, now: float, born: dict[int, float], scope_born: dict[int, float]) -> None:
        """Note latencies of requests that are over; both sides know the same ones."""
        if born.keys() != scope_born.keys():
            raise DifferenceError(
                f"at {now!r} s: {set(born) ^ set(scope_born)} are under way in one"
            )
        for request, since in born.items():
            if abs(since - scope_born[request]) > NEAR:
                raise DifferenceError(f"request {request}: born {since!r}, {scope_born[request]!r}")
        for request in self._under_way.keys() - born.keys():
            self.latencies[request] = now - self._under_way[request]
        self._under_way = born

    def _compare_books(self) -> None:
        """Compare every count of stores, ledgers, channels and steps."""
        world, scene = self.world, self.scene
        for index, store in enumerate(scene.parts.stores):
            row = world.stores[index]
            for name in ("gets", "hits", "expired", "evicted", "refreshed", "drops"):
                _same(f"{store.name}: {name}", int(row[name]), getattr(store, name))
            _same(f"{store.name}: count", int(row["count"]), len(store.places))
        for index, ledger in enumerate(scene.parts.ledgers):
            row = world.ledgers[index]
            for name in ("marks", "distinct", "checks", "stale"):
                _same(f"{ledger.name}: {name}", int(row[name]), getattr(ledger, name))
        for index, channel in enumerate(scene.channels):
            row = world.channels[index]
            for name in ("published", "processed", "dead", "refused", "redelivered", "waiting",
                         "delayed", "expired", "lapsed"):  # fmt: skip
                _same(f"{channel.kind}: {name}", int(row[name]), getattr(channel, name))
        for index, pool in enumerate(scene.pools):
            row = world.pools[index]
            place = scene.script.pool_names.get(index, f"pool {index}")
            _same(f"{place}: busy", int(row["busy"]), pool.busy)
            _same(f"{place}: waiting", int(row["waiting"]), pool.waiting)
        visits = world.visits[: len(scene.visits)].tolist()
        for row, (theirs, mine) in enumerate(zip(visits, scene.visits, strict=True)):
            _same(f"{self._place(row)} walked", theirs, mine)
        reasons = {
            (int(j), int(r)): int(world.reasons[j, r]) for j, r in np.argwhere(world.reasons)
        }
        _same("reasons", reasons, scene.reasons)
        _same("wasted", int(world.clock["wasted"][0]), scene.wasted)

    # ------------------------------------------------------------ telling

    def _told(
        self, now: float, kernel: list[Position], scope: list[Position], apart: int | None = None
    ) -> str:
        """Say where both have parted, and show the traces of the first such request."""
        one, other = Counter(_bare(kernel)), Counter(_bare(scope))
        parted = sorted((one - other) + (other - one))
        request = parted[0][0] if apart is None else apart
        lines = [f"they part at {now!r} s, about request {request}", ""]
        lines.append(f"{'seconds':>12}   {'kernel':<70}  microscope")
        before = ("", "")
        for time, theirs, mine in self.seen:
            known = {
                at
                for position in mine
                if position[0] == request
                for at, value in enumerate(position[WIDTH:])
                if value != UNSET
            }
            pair = self._trace(theirs, request, known), self._trace(mine, request, known)
            if pair not in {before, ("", "")}:
                mark = " " if pair[0] == pair[1] else "≠"
                lines.append(f"{time:>12.6f} {mark} {pair[0]:<70}  {pair[1]}")
            before = pair
        return "\n".join([*lines, "", self.scenario.to_yaml()])

    def _trace(self, positions: list[Position], request: int, known: set[int]) -> str:
        """Return where a request's tokens are, and what they have picked."""
        names = self.scene.script.registers
        told = []
        for position in sorted(each for each in positions if each[0] == request):
            picks = " ".join(
                f"{names[at]}={value}"
                for at, value in enumerate(position[WIDTH:])
                if at in known and at in names
            )
            state = State(position[8]).name.lower()
            told.append(f"{self._place(position[4] - 1)} ({state}, {picks})")
        return "; ".join(told)

    def _place(self, row: int) -> str:
        steps = self.scene.steps
        step = steps[min(max(row, 0), len(steps) - 1)]
        return f"{step.row}:{step.station} {step.what or step.operation}"


def _bare(positions: list[Position]) -> list[Position]:
    """Return positions without registers."""
    return [position[:WIDTH] for position in positions]


def _picked_apart(
    moved: set[Position], kernel: list[Position], scope: list[Position]
) -> int | None:
    """Return the request that has other picks on either side, of those who have moved.

    What nobody has written into a register yet, the kernel does not clear.
    """
    for place in sorted(moved):
        mine = [position[WIDTH:] for position in scope if position[:WIDTH] == place]
        theirs = [position[WIDTH:] for position in kernel if position[:WIDTH] == place]
        known = [at for at in range(len(mine[0])) if all(each[at] != UNSET for each in mine)]
        one = sorted([each[at] for at in known] for each in theirs)
        if one != sorted([each[at] for at in known] for each in mine):
            return place[0]
    return None


def _same(what: str, kernel: object, scope: object) -> None:
    if kernel != scope:
        raise DifferenceError(f"{what}: {kernel} in the kernel, {scope} under the microscope")
