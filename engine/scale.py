"""Scale: how many servers a service has while a run goes on, and workers a kind."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from engine.assembly import Station
from engine.kernel.tables import WATCHED, Op
from engine.layers.partitions import assigned, dealt
from engine.layers.workers import WORKERS_MAX
from engine.program import Program

if TYPE_CHECKING:
    from engine.plane import Plane


class Scale:
    """The counts that stand over those of the program, and what each has come to so far."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        self.said = counts(plane.program)  # what the program says
        self.wanted: dict[str, int] = {}  # what stands over that, by station
        self._spent: dict[str, tuple[float, float]] = {}  # server-seconds until a time

    # ------------------------------------------------------------ asking

    def station(self, name: str) -> Station:
        """Return the station of a service or a kind of worker; KeyError if there is none."""
        stations = self.plane.program.stations
        for known in (name, f"application.{name}", f"asynchronous.{name}"):
            if known in stations:
                return stations[known]
        raise KeyError(f"there is no service or kind of worker {name!r}")

    def most(self, name: str) -> int:
        """Return how many there can be: what is laid out, as far as its pick can reach them."""
        station, program = self.station(name), self.plane.program
        laid = program.laid.get(station.pools[0], len(station.pools)) if station.pools else 0
        if station.channel >= 0:
            return WORKERS_MAX if laid == 1 else laid
        if not self._groups(station):
            return station.instances
        return min(laid, WATCHED) if station.pools[0] in program.watches else laid

    def seconds(self, name: str) -> float:
        """Return the time integral of the count since the start, in server-seconds."""
        station = self.station(name)
        area, last = self._spent.get(station.name, (0.0, 0.0))
        return area + station.instances * (self.plane.now - last)

    # ------------------------------------------------------------ turning

    def set(self, name: str, count: int) -> None:
        """Let there be so many from now on."""
        station, most = self.station(name), self.most(name)
        if not 1 <= count <= most:
            raise ValueError(f"{name} can have 1 to {most} servers in this run, not {count}")
        before, self.wanted[station.name] = station.instances, count
        self._apply(station, count)
        service = station.name.partition(".")[2]
        for first in self.plane.program.laid_out.get(f"memory of {service}", []):
            for server in range(before, count):
                self.plane.empty(first + server)  # a new server remembers nothing

    def take_over(self) -> None:
        """Let counts stand over a new program's, but for those that it says otherwise."""
        fresh = counts(self.plane.program)
        for name, count in self.said.items():
            self._note(name, self.wanted.get(name, count))
            if fresh[name] != count:
                self.wanted.pop(name, None)
        self.said = fresh
        for name, count in self.wanted.items():
            station = self.plane.program.stations[name]
            if station.channel in self.plane.assigned:  # perhaps a rebalance is under way
                self._resize(station, count)
            else:
                self._apply(station, count)

    def _note(self, name: str, count: int) -> None:
        """Add what a station has come to with its count until now."""
        area, last = self._spent.get(name, (0.0, 0.0))
        self._spent[name] = area + count * (self.plane.now - last), self.plane.now

    def _apply(self, station: Station, count: int) -> None:
        if station.channel >= 0:
            self._apply_workers(station, count)
        else:
            self._apply_servers(station, count)

    def _apply_servers(self, station: Station, count: int) -> None:
        """Let groups pick among so many of a service's servers."""
        self._note(station.name, station.instances)
        world, program = self.plane.world, self.plane.program
        first = station.pools[0]
        world.groups["count"][self._groups(station)] = count
        outcomes = (world.steps["op"] == Op.OUTCOME) & (world.steps["site"] == first)
        world.steps["jump"][outcomes] = count
        if first in program.watches:
            program.watches[first][0].write(world.peers[first : first + count])
        self._resize(station, count)
        service = station.name.partition(".")[2]
        if service in program.laid_out:
            place = dataclasses.replace(program.laid_out[service], count=count)
            program.laid_out[service] = place
            if service in program.laid_out.get("balanced", {}):
                program.laid_out["balanced"][service] = place

    def _apply_workers(self, station: Station, count: int) -> None:
        """Give a channel's partitions, or its one line, to so many workers."""
        self._note(station.name, station.instances)
        plane, first = self.plane, station.pools[0]
        if plane.program.laid.get(first, 1) == 1:
            plane.gates.resize(first, count)
            station.instances = count
            plane.serve(station.channel)
            return
        self._resize(station, count)
        places, deals = plane.partitions_of(station.channel), plane.deals(station.channel)
        plane.assign(
            station.channel, dealt(places, range(count)) if deals else assigned(places, count)
        )

    def _resize(self, station: Station, count: int) -> None:
        """Say on the map how many there are."""
        station.instances = count
        first = station.pools[0]
        station.pools[:] = range(first, first + count)
        if station.cpus:
            station.cpus[:] = range(station.cpus[0], station.cpus[0] + count)

    def _groups(self, station: Station) -> list[int]:
        """Return the groups that pick among a station's servers."""
        first = station.pools[0] if station.pools else -1
        return [i for i, group in enumerate(self.plane.world.groups) if group["first"] == first]


def counts(program: Program) -> dict[str, int]:
    """Return how many servers or workers each station has."""
    return {name: station.instances for name, station in program.stations.items()}
