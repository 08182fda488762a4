"""The microscope: one request on real parts, step by step, forwards and backwards.

    scope = Microscope(load("amazon"), seed=7)
    scope.request("search", key="iPhone 15")
    while scope.step():
        print(scope.journal[-1].command, "→", scope.journal[-1].answer)

Nothing here reads the time of the process or writes a global: two microscopes, in two browser
sessions say, never see each other.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Self

from engine.errors import ScenarioError, close_to
from engine.microscope import flush, hands, looks, takeout, walk
from engine.microscope.backends import Backends, Stores
from engine.microscope.clock import Clock
from engine.microscope.coverage import NOT_COVERED, uncovered
from engine.microscope.journal import Entry, Journal
from engine.microscope.names import find, key_name
from engine.microscope.parts import Parts
from engine.microscope.scene import Scene
from engine.microscope.script import Script

if TYPE_CHECKING:
    from engine.scenario import Scenario

STEPS_MAX = 1_000_000  # of one move


class Microscope:
    """A scenario under the microscope; `traffic` lets requests come as in a run.

    `backends` says where its stores are: by default, where `REDIS_URL` and `DATABASE_URL` say,
    else embedded.  What it makes on a server is dropped by `close`, at the end of a `with`, when
    nobody knows the microscope any more, and at the end of the process.

    Raises ScenarioError in one line, naming it, if the scenario has something that the
    microscope does not know (`NOT_COVERED`), or if a server cannot be used (PlaceError).
    """

    not_covered = NOT_COVERED

    def __init__(
        self,
        scenario: Scenario,
        seed: int = 7,
        *,
        traffic: bool = False,
        backends: Backends | None = None,
    ) -> None:
        why = uncovered(scenario)
        if why:
            raise ScenarioError(f"the microscope does not know {why[0]}")
        self.scenario, self.seed, self.traffic = scenario, seed, traffic
        self._first = scenario
        self._scripts: dict[int, Script] = {}  # by number of shards
        self._moves: list[tuple[str, tuple[Any, ...]]] = []  # an event, or what a hand did
        self._marks: list[int] = []  # of each: how long the journal was then
        self.behind: Stores = (backends or Backends.from_environment()).open()
        self._drop = weakref.finalize(self, self.behind.close)
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Let it be closed at the end."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Drop what it has made on servers."""
        self.close()

    def close(self) -> None:
        """Drop what it has made on servers; nothing can be asked of it afterwards."""
        self._drop()

    def _begin(self) -> None:
        """Set everything up as it is at time 0."""
        self.clock = Clock()
        self.scenario = self._first
        self.script = self.script_of(self.scenario)
        self.parts = Parts(self.clock, self.script, self.seed, self.behind)
        self.scene = Scene(
            self.clock, self.script, self.parts, Journal(self.script, self.parts.telemetry)
        )
        self.scene.live = walk.live
        flush.begin(self.scene)
        if not self.traffic:
            return
        if self.scenario.client.arrivals == "closed":
            walk.add_users(self.scene, self.scenario.client.users)
        else:
            walk.plan(self.scene)

    def script_of(self, scenario: Scenario) -> Script:
        """Return what a scenario says, read once for each number of shards."""
        shards = scenario.data.shards
        if shards not in self._scripts:
            self._scripts[shards] = Script(scenario, scenario.program(), self.seed)
        return self._scripts[shards]

    # ------------------------------------------------------------ looking

    @property
    def now(self) -> float:
        """Simulated seconds."""
        return self.scene.now

    @property
    def journal(self) -> list[Entry]:
        """What has happened so far, an entry a step."""
        return self.scene.journal.entries

    @property
    def busy(self) -> bool:
        """Whether somebody is still on the way: a request, a message, a flush."""
        return bool(self.scene.walking) or any(c.waiting for c in self.scene.channels)

    def state(self) -> dict[str, Any]:
        """Return what every store holds at this moment, as plain values."""
        return looks.state(self.scene)

    def export(self, name: str) -> str:
        """Return what has happened as a file: otlp.json, jaeger.json, metrics.txt, logs.jsonl."""
        return takeout.export(self, name)

    # ------------------------------------------------------------ moving

    def request(self, journey: str, key: int | str | None = None) -> int:
        """Send a request on its way; return its number.

        `key` says what it is about: a number, or a name such as "iPhone 15".  Raises
        ScenarioError if there is no such journey or thing.
        """
        journeys = self.script.program.journeys
        if journey not in journeys:
            raise ScenarioError(f"there is no journey {journey!r}{close_to(journey, journeys)}")
        asked = {} if key is None else self._asked(journey, key)
        self._do("_request", journey, asked)
        return self.scene.requests - 1

    def _asked(self, journey: str, key: int | str) -> dict[str, int]:
        """Return the key of each dataset of a journey that has one of this name."""
        names = [
            name
            for _, step in self.scenario.journeys[journey].walk()
            for kind, name in step.names()
            if kind == "dataset"
        ]
        found: dict[str, int] = {}
        for name in names:
            try:
                found[name] = find(name, self.scenario.datasets[name].keys, key)
            except KeyError:
                continue
        if not found:
            raise ScenarioError(f"journeys.{journey} asks for nothing that is called {key!r}")
        return found

    def _request(self, journey: str, asked: dict[str, int]) -> None:
        scene = self.scene
        token = scene.fresh(scene.requests, 0, scene.now)
        token.source, token.asked = 0, asked
        token.carries["by hand"] = True
        walk.begin(token, scene, self.script.program.journeys.index(journey))
        scene.requests += 1
        names = ", ".join(key_name(name, key) for name, key in asked.items())
        title = self.scenario.journeys[journey].title or journey
        scene.journal.say(
            scene, token, scene.steps[token.step], f"{title}{': ' if names else ''}{names}"
        )
        scene.start(token, at_once=True)

    def step(self) -> bool:
        """Play until the journal has one entry more; False if nothing is left to happen."""
        before = len(self.journal)
        for _ in range(STEPS_MAX):
            if not self.busy or self.clock.peek() == float("inf"):
                return False
            self._tick()
            if len(self.journal) > before:
                return True
        return False

    def play_until(self, seconds: float) -> None:
        """Play all that is due by a simulated time."""
        while self.clock.peek() <= seconds:
            self._tick()
        self._do("_stand", seconds)

    def advance(self, seconds: float) -> None:
        """Let so many simulated seconds go by."""
        self.play_until(self.now + seconds)

    def finish(self, limit_seconds: float = 600.0) -> None:
        """Play until nobody is on the way any more, for so many simulated seconds at most."""
        end = self.now + limit_seconds
        while self.busy and self.clock.peek() <= end:
            self._tick()

    def back(self) -> bool:
        """Go back by one entry of the journal, by replaying all before it; False at the start."""
        if not self.journal:
            return False
        moves, marks = self._moves, self._marks
        wanted = max((mark for mark in marks if mark < len(self.journal)), default=0)
        left = marks.index(wanted) + 1 if wanted else 0
        self._moves, self._marks = [], []
        self.behind.clear()
        self._begin()
        for name, args in moves[:left]:
            if name == "_tick":
                self._tick()
            else:
                self._do(name, *args)
        return True

    # ------------------------------------------------------------ what can break

    def kill_worker(self, kind: str, index: int) -> int:
        """Kill the `index`-th worker of a kind, from 0 on; it is started anew at once.

        What it had in hand is delivered again.  Returns how many messages that were.
        """
        return int(self._do("_hand", "kill_worker", kind, index))

    def crash_cache(self) -> dict[str, dict[str, int]]:
        """Let the cache restart empty; return what was counted and is lost, by dataset."""
        return dict(self._do("_hand", "crash_cache"))

    def promote(self, replica: int, shard: int = 0) -> list[str]:
        """Make a replica the primary of its shard; return the writes that are lost."""
        return list(self._do("_hand", "promote", replica, shard))

    def split_shard(self) -> list[str]:
        """Add a shard; return which rows have moved, as `products 3: shard 1 → 2`."""
        return list(self._do("_hand", "split_shard"))

    def _hand(self, name: str, *args: Any) -> Any:
        return getattr(hands, name)(self, *args)

    # ------------------------------------------------------------ moves

    def _do(self, name: str, *args: Any) -> Any:
        """Make a move that can be made again."""
        result = getattr(self, name)(*args)
        self._moves.append((name, args))
        self._marks.append(len(self.journal))
        return result

    def _tick(self) -> None:
        """Play one event."""
        self.clock.step()
        self._moves.append(("_tick", ()))
        self._marks.append(len(self.journal))

    def _stand(self, seconds: float) -> None:
        """Let it be a time at which nothing happens."""
        self.clock.play(seconds)
