"""Near caches: what a server keeps in its own memory, before the shared cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.component import Component, knob
from engine.distribution import Distribution
from engine.errors import ScenarioError
from engine.kernel.tables import Op
from engine.layers.care import calling
from engine.program import Program

if TYPE_CHECKING:
    from engine.scenario import Scenario

NEAR_MAX = 16_000_000  # places of near caches: servers times keys, some 250 MB


class NearCache(Component):
    """A small cache in each server's own memory, before the shared one (Caffeine, Guava).

    It takes the heat off a hot key; but a write elsewhere does not reach it, so that what it
    has is old until it expires.
    """

    on: bool = knob(False, "Near cache", help="Look into the server's own memory first.")
    capacity: int = knob(
        1000,
        "Near cache size",
        unit="entries",
        low=0,
        high=10_000_000,
        step=100,
        slider_high=10_000,
        help="Entries that each server keeps; when full, the least recently used goes.",
    )
    ttl_seconds: float = knob(
        5.0,
        "Near TTL",
        unit="s",
        low=0,
        high=86_400,
        step=1,
        slider_high=60,
        help="How long an entry may be served; short, an assumption, because nobody tells it"
        " of writes.",
    )

    def look(self, program: Program, scenario: Scenario, dataset: str) -> Near | None:
        """Emit a look into the memory of the server that asks; None if it has no near cache."""
        caller = calling(program)
        if not (self.on and caller.name):
            return None
        station = program.station("cache.near", "Near cache", "store", caller.count)
        name, keys = f"near {dataset} {caller.name}", scenario.datasets[dataset].keys
        if name not in program.named:
            if caller.laid * keys > NEAR_MAX:
                raise ScenarioError(
                    f"cache.near would need {caller.laid * keys:,} places for {dataset}; the"
                    f" limit is {NEAR_MAX:,}: use fewer keys or servers, or switch it off"
                )
            room = scenario.room_for(dataset, "lookup", self.capacity)
            life = Distribution(constant=self.ttl_seconds * 1e3)
            stores = [program.store(station, keys, room, life) for _ in range(caller.laid)]
            program.named[name] = stores[0]
            program.laid_out.setdefault(f"memory of {caller.name}", []).append(stores[0])
        with program.at(station, f"near {dataset}"):
            row = program.step(Op.GET, site=program.named[name], by=caller.server)
        return Near(row, program.named[name], caller.server, dataset)


@dataclass(frozen=True)
class Near:
    """A look into a near cache: its row, the first server's store, the register of the server."""

    look: int
    stores: int
    server: int
    dataset: str

    def keep(self, program: Program) -> None:
        """Emit that what was found elsewhere is kept here too."""
        with program.at(program.stations["cache.near"], f"keep {self.dataset}"):
            program.step(Op.PUT, "keep near", site=self.stores, by=self.server)
