"""One session's bench: its microscope, every moment it has shown, and what was done to it.

The browser looks at moments that it has been sent; looking back costs nothing.  Who does something
while looking back undoes what came after: the microscope begins anew and repeats what was done up
to there, which is the same to the last digit.
"""

import dataclasses
import functools
import time
from typing import Any

from engine import (
    EMBEDDED,
    LAYERS,
    Backends,
    Entry,
    Microscope,
    PlaceError,
    Scenario,
    ScenarioError,
    Simulation,
)
from pages.parts import scopelimits, scopetables, scopewords

WORK_SECONDS = 0.25  # of the server, for one answer; the browser asks again for the rest
MOMENTS_MAX = 2000
ADVANCE_MAX = 86_400.0
QUIET_MAX = 40  # steps without anything to see that one click passes by


@dataclasses.dataclass
class Moment:
    """What the browser shows at once: a step, and how everything stood after it."""

    shown: dict[str, Any]
    stores: int  # which picture of the stores
    deeds: int  # how much had been done by then, for a way back


class Bench:
    """A microscope, its moments, and what led to them."""

    def __init__(
        self,
        number: int,
        scenario: Scenario,
        seed: int,
        left_out: list[str] | None = None,
        servers: Backends = EMBEDDED,
        before: "Bench | None" = None,
    ) -> None:
        self.scenario, self.seed = scenario, seed
        self.left_out = left_out or []
        self.made_of = (scenario.digest(), seed)
        self.id = f"scope-{number}"
        self.servers = servers  # that somebody has
        like = before if before is not None and before.servers == servers else None
        self.on: Backends = like.on if like else servers  # what the stores are on now
        self.trouble: str = like.trouble if like else ""  # why not on the servers
        self.scope = self._microscope()
        self.scope.scene.journal.watch = self._notice
        self.deeds: list[tuple[Any, ...]] = []  # what was done, in order: name and arguments
        self.moments: list[Moment] = []
        self.stores: list[
            list[dict[str, Any]]
        ] = []  # pictures of the stores, each other than the last
        self.heard = 0  # the newest ask
        self.known = 0  # moments that the browser has
        self.epoch = 0  # how often moments were taken back
        self.told = scopelimits.left_out(self.left_out)
        self.refused = self.trouble
        self.file: dict[str, str] | None = None  # to be saved by the browser

    @property
    def begun(self) -> bool:
        """Whether anything has been done."""
        return bool(self.deeds)

    # ------------------------------------------------------------ what the stores are on

    def _microscope(self) -> Microscope:
        """Return a new microscope; if a server cannot be used, one on embedded parts."""
        try:
            return Microscope(self.scenario, self.seed, backends=self.on)
        except PlaceError as error:
            self._give_up(error)
            return Microscope(self.scenario, self.seed, backends=EMBEDDED)

    def _give_up(self, error: PlaceError) -> None:
        """Go on with embedded parts, and remember why."""
        self.on = EMBEDDED
        self.trouble = scopewords.sentence(f"{error}. Until then the embedded parts go on")

    def close(self) -> None:
        """Drop what was made on servers."""
        self.scope.close()

    # ------------------------------------------------------------ what the browser says

    def hear(self, ask: dict[str, Any]) -> None:
        """Do the one thing that an ask wants, unless it was heard before."""
        if ask.get("bench") != self.id:
            return
        same = ask.get("epoch") == self.epoch
        self.known = min(int(ask.get("known") or 0), len(self.moments)) if same else 0
        number = int(ask.get("number") or 0)
        if number <= self.heard:
            return
        self.heard = number
        self.told = self.refused = ""
        self.file = None
        try:
            at = ask.get("at")
            if isinstance(at, int) and 0 <= at < len(self.moments) - 1:
                self._undo_after(at)
            self._do(ask)
        except PlaceError as error:
            self._fail(error)
        except ScenarioError as error:
            self.refused = scopewords.sentence(str(error))

    def _fail(self, error: PlaceError) -> None:
        """Begin anew on embedded parts: a server has failed midway."""
        self._give_up(error)
        self._anew([])
        self.refused = self.trouble

    def _do(self, ask: dict[str, Any]) -> None:
        """Do what is asked for."""
        kind = ask.get("do")
        if kind == "export":
            name = str(ask.get("name"))
            self.file = {"name": f"strata-{name}", "text": self.scope.export(name)}
            self.told = f"strata-{name} is saved: what has happened up to now."
            return
        if kind == "stand":
            self.on = self.servers if ask.get("on") == "servers" else EMBEDDED
            self.trouble = ""
            self._anew([])
            self.refused = self.trouble
            self.told = "Begun anew: the clock is at 0 and every store is empty."
            return
        if kind == "restart":
            self._anew([])
            self.told = "Begun anew: the clock is at 0 and every store is empty."
            return
        if len(self.moments) >= MOMENTS_MAX:
            raise ScenarioError(f"{MOMENTS_MAX} steps are all that is kept; ↺ begins anew")
        if kind == "step":
            self._steps(1)
        elif kind == "run":
            self._steps(MOMENTS_MAX)
        elif kind == "request":
            about = str(ask.get("about") or "").strip()
            key = int(about) if about.isdecimal() else about or None
            self._deed("request", str(ask.get("journey")), key)
        elif kind == "advance":
            self._advance(float(ask.get("seconds") or 0))
        else:
            self._break(str(kind), ask)

    def _break(self, kind: str, ask: dict[str, Any]) -> None:
        """Break something, and say what has come of it: now, and at the step itself."""
        before = len(self.moments)
        if kind == "kill_worker":
            self._kill(str(ask.get("worker")))
        elif kind == "crash_cache":
            self.told = scopewords.cache_lost(self._deed("crash_cache"), self.scope)
        elif kind == "promote":
            replica, shard = int(ask.get("replica") or 0), int(ask.get("shard") or 0)
            self.told = scopewords.promoted(self._deed("promote", replica, shard), replica, shard)
        elif kind == "split_shard":
            self.told = scopewords.split(self._deed("split_shard"))
        for moment in self.moments[before:]:
            if moment.shown["who"] == scopewords.YOU:
                moment.shown["why"] = self.told

    def _kill(self, worker: str) -> None:
        kind, _, number = worker.rpartition("-")
        place = number.partition(".")[0]  # payment-2.3 is the third life of payment-2
        index = int(place) - 1 if place.isdecimal() else -1
        self.told = scopewords.killed(worker, self._deed("kill_worker", kind, index))

    def _advance(self, seconds: float) -> None:
        """Let time go by, and keep a moment at its end even if nothing happens."""
        if not 0 < seconds <= ADVANCE_MAX:
            raise ScenarioError(f"the clock can go on by at most {ADVANCE_MAX:g} s at a time")
        before = scopetables.keys(self.scope.state())
        self._deed("advance", seconds)
        after = scopetables.keys(self.scope.state())
        self.told = scopewords.advanced(seconds, sorted(before - after))
        self._keep(scopewords.pause(self.scope.now, self.told))

    def _steps(self, count: int) -> None:
        """Play some moments, as far as the work of one answer goes."""
        deadline = time.monotonic() + WORK_SECONDS
        wanted = min(len(self.moments) + count, MOMENTS_MAX)
        for _ in range(QUIET_MAX * count):
            if not self._deed("step"):
                self.told = "Nobody is on the way any more. Send another request."
                return
            if len(self.moments) >= wanted or time.monotonic() > deadline:
                return

    # ------------------------------------------------------------ the microscope

    def _deed(self, name: str, *args: Any) -> Any:
        """Do something that can be repeated, and keep the moments that come of it."""
        self.deeds.append((name, *args))
        try:
            return getattr(self.scope, name)(*args)
        except ScenarioError:  # refused: nothing has been done
            self.deeds.pop()
            raise

    def _notice(self, entry: Entry) -> None:
        """Keep a moment of an entry of the journal, as everything stands when it is written."""
        if not entry.minor:
            self._keep(scopewords.shown(entry, self.scenario))

    def _keep(self, shown: dict[str, Any]) -> None:
        """Keep a moment; a picture of the stores that is the last one again is kept once."""
        stores = scopetables.tables(self.scope.state(), self.scope.scenario)
        if not self.stores or stores != self.stores[-1]:
            self.stores.append(stores)
        self.moments.append(Moment(shown, len(self.stores) - 1, len(self.deeds)))

    def _undo_after(self, at: int) -> None:
        """Go back to a moment for good."""
        self._anew(self.deeds[: self.moments[at].deeds])

    def _anew(self, deeds: list[tuple[Any, ...]]) -> None:
        """Begin with an empty microscope, and repeat what was done."""
        self.scope.close()
        self.scope = self._microscope()
        moments, self.moments = self.moments, []
        self.known = 0
        self.epoch += 1
        for name, *args in deeds:
            getattr(self.scope, name)(*args)
        self.scope.scene.journal.watch = self._notice
        self.deeds = list(deeds)
        self.moments = [each for each in moments if each.deeds <= len(deeds)] if deeds else []
        self.stores = self.stores[: self.moments[-1].stores + 1] if self.moments else []

    # ------------------------------------------------------------ what the browser is told

    def data(self) -> dict[str, Any]:
        """Return what the browser does not have yet, and how things stand."""
        try:
            stand = self.scope.state()
        except PlaceError as error:
            self._fail(error)
            stand = self.scope.state()
        new = self.moments[self.known :]
        first = new[0].stores if new else len(self.stores)
        return {
            "bench": self.id,
            "epoch": self.epoch,
            "heard": self.heard,
            "first": self.known,
            "moments": [moment.shown | {"stores": moment.stores} for moment in new],
            "firstStores": first,
            "stores": self.stores[first:],
            "now": self.scope.now,
            "busy": self.scope.busy,
            "told": self.told,
            "refused": self.refused,
            "workers": scopetables.workers(stand),
            "shards": len(stand["shards"]),
            "file": self.file,
            "stand": self._standing(stand["on"]),
            "still": self.still,
        }

    def _standing(self, on: dict[str, str]) -> dict[str, Any] | None:
        """Return what the stores are on, if there is a choice."""
        if self.servers.embedded:
            return None
        return {
            "on": "embedded" if self.on.embedded else "servers",
            "text": f"{on['redis']}; {on['database']}",
            "trouble": self.trouble,
        }

    @functools.cached_property
    def still(self) -> dict[str, Any]:
        """What stays as it is: the map, the journeys, what one can do."""
        graph = Simulation(self.scenario).result().topology
        names = list(graph.nodes)
        nodes = [
            {
                "id": name,
                "title": graph.nodes[name]["title"],
                "layer": LAYERS.index(graph.nodes[name]["layer"]),
                "copies": int(graph.nodes[name]["instances"]),
            }
            for name in names
            if graph.nodes[name]["on"]
        ]
        known = {node["id"] for node in nodes}
        return {
            "layers": [
                {"name": name, "title": name.capitalize(), "on": layer.enabled}
                for name, layer in self.scenario.layers()
            ],
            "nodes": nodes,
            "edges": [
                [source, target]
                for source, target, attributes in graph.edges(data=True)
                if not attributes["telemetry"] and {source, target} <= known
            ],
            "journeys": scopelimits.journeys(self.scenario),
            "replicas": self.scenario.data.read_replicas if self.scenario.data.enabled else 0,
            "kinds": list(self.scope.state()["queues"]),
            "cache": self.scenario.cache.enabled,
            "data": self.scenario.data.enabled,
            "leftOut": scopelimits.left_out(self.left_out),
            "notCovered": scopelimits.not_covered(),
        }
