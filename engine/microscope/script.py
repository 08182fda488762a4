"""The script: a program's tables as plain Python values, read once.

They are the very rows that the kernel runs on.  What changes while requests walk, pools and
lines and levels, is in `scene.py`; here stands only what a run does not change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.assembly import label_hash
from engine.kernel.tables import NOBODY
from engine.microscope.luck import Dist

if TYPE_CHECKING:
    from engine.program import Program
    from engine.scenario import Scenario

PREFIXES = ("cache", "absent", "leases", "near", "sessions", "browser", "buffer", "writes")


@dataclass(frozen=True, slots=True)
class Step:
    """A row of the program, and the place on the map that it belongs to."""

    row: int
    op: int
    site: int
    by: int
    jump: int
    dist: int
    account: int
    reason: int
    register: int
    number: float
    label: int
    what: str
    node: int
    station: str
    operation: str
    background: bool


@dataclass(frozen=True, slots=True)
class Retry:
    """A rule for trying again; times in seconds."""

    attempts: int
    cancels: int
    jitter: int
    otherwise: int
    budget: int
    keeps: int
    rest: float
    cap: float


class Script:
    """All that a program says and a run leaves as it is."""

    def __init__(self, scenario: Scenario, program: Program, seed: int) -> None:
        self.scenario, self.program = scenario, program
        self.world = world = program.world(seed, tokens=1, messages=1)
        self.seed = int(world.clock["seed"][0])
        self.steps = [self._step(row) for row in range(len(world.steps))]
        self.dists = [_dist(row, world.samples) for row in world.dists.tolist()]
        self.retries = [Retry(*row) for row in world.retries.tolist()]
        self.reasons = {code: text for text, code in program.reasons.items()}
        self.reasons[0] = ""
        self.registers = {number: name for name, number in program._registers.items()}  # noqa: SLF001
        self.named = dict(program.named)
        self.stores_named = self._stores_named()
        self.ledgers_named = {
            index: name
            for name, index in self.named.items()
            if name.split(" ", maxsplit=1)[0] in {"writes", "buffer", "versions"}
        }
        self.about = self._keys_drawn()
        self.paths = [tuple(reversed(self._way_up(node))) for node in range(len(program.nodes))]
        self.pool_names = self._pool_names()

    def _step(self, row: int) -> Step:
        values: dict[str, Any] = {}
        names = self.world.steps.dtype.names
        assert names is not None
        for name in names:
            values[name] = self.world.steps[name][row].item()
        if row >= len(self.program.node_of):  # the last row, at which those fail who are made to
            return Step(
                row=row, what="", node=NOBODY, station="", operation="", background=False, **values
            )
        number = self.program.node_of[row]
        node = self.program.nodes[number]
        return Step(
            row=row,
            what=self.program.whats[row],
            node=number,
            station=node.station,
            operation=node.operation,
            background=node.background,
            **values,
        )

    def _way_up(self, node: int) -> list[int]:
        path = []
        while node != NOBODY:
            path.append(node)
            node = self.program.nodes[node].parent
        return path

    def _stores_named(self) -> dict[int, str]:
        """Return what stores are called, such as `cache products` or `edge.cdn`."""
        found: dict[int, str] = {}
        for name, index in self.named.items():
            prefix = name.split(" ", maxsplit=1)[0]
            if prefix in {"cache", "absent", "leases"} and not name.startswith("cache nodes"):
                found.setdefault(index, name)
        for station in self.program.stations.values():
            for place, index in enumerate(station.stores):
                number = f" {place}" if len(station.stores) > 1 else ""
                found.setdefault(index, f"{station.name}{number}")
        return found

    def _keys_drawn(self) -> dict[int, str]:
        """Return which dataset's key a label draws."""
        names = [*self.scenario.datasets, "resolvers"]
        journeys = [*self.program.journeys, "worker", "relay"]
        return {
            label_hash(f"{journey}/key of {name}"): name for journey in journeys for name in names
        }

    def _pool_names(self) -> dict[int, str]:
        """Return what the instances of stations are called: `data.replicas 2`."""
        found: dict[int, str] = {}
        for station in self.program.stations.values():
            for index, pool in enumerate(station.pools):
                many = len(station.pools) > 1
                found[pool] = f"{station.name} {index + 1}" if many else station.name
        return found

    def kind_of(self, channel: int) -> str:
        """Return the kind of worker that reads a channel."""
        stations = self.program.stations.values()
        name = next(station.name for station in stations if station.channel == channel)
        return name.partition(".")[2]

    def consumer(self, pool: int, kind: str) -> str:
        """Return what the worker of a pool is called in its group."""
        station = self.program.stations[f"asynchronous.{kind}"]
        number = pool - station.pools[0] if station.pools else 0
        return f"{kind}-{number + 1}"

    def title(self, station: str) -> str:
        """Return what a station is called on the map."""
        known = self.program.stations.get(station)
        return known.title if known else station


def _dist(row: tuple[Any, ...], samples: np.ndarray) -> Dist:
    family, first, count, a, b, c = row
    own = tuple(float(x) for x in samples[first : first + count]) if family == 5 else ()
    return Dist(int(family), int(count), float(a), float(b), float(c), own)
