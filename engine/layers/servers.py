"""Servers: the threads and cores that a service runs on, and what stops them over time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.assembly import Station, label_hash
from engine.component import ControlPlane
from engine.distribution import Distribution
from engine.kernel.tables import NOBODY, Op
from engine.program import WAITING, Program

if TYPE_CHECKING:
    from engine.scenario import Scenario

BLOCK = 32  # servers are laid out in blocks, so that a run can scale out
TIMES = ("median", "p99", "low", "high", "fast", "slow", "mean")  # of distributions, in ms
NOTES_MAX = 40  # breakdowns of a service that are written in the log


@dataclass(frozen=True)
class Servers:
    """Where a service's servers stand in the tables."""

    station: Station
    first: int  # pool of the first server's threads
    count: int
    laid: int
    cpus: int  # the first server's cores; NOBODY where threads never outnumber them
    shared: bool  # whether cores are processors, shared by time slices; else they are pools

    def compute(
        self, program: Program, what: str, server: int, time: Distribution, scale: float = 1.0
    ) -> None:
        """Emit CPU time on the server that a register names."""
        if time.constant == 0:
            return
        if self.shared:
            program.compute(what, self.cpus, server, scaled(time, scale))
        elif self.cpus == NOBODY:
            program.hold(what, time, scale=scale)
        else:
            program.step(Op.SEIZE, kind=WAITING, site=self.cpus, by=server)
            program.hold(what, time, scale=scale)
            program.step(Op.RELEASE)


def scaled(time: Distribution, scale: float) -> Distribution:
    """Return a distribution whose times are so many times as long.

    >>> scaled(Distribution(uniform={"low": 2, "high": 4}), 1.5).uniform
    Uniform(low=3.0, high=6.0)
    """
    if scale == 1.0:
        return time
    ((family, said),) = time.model_dump(exclude_none=True).items()
    if isinstance(said, dict):
        said = {name: v * scale if name in TIMES else v for name, v in said.items()}
    elif isinstance(said, tuple):
        said = tuple(v * scale for v in said)
    else:
        said *= scale
    return Distribution.model_validate({family: said})


def lay_out(program: Program, scenario: Scenario, name: str) -> Servers:
    """Return a service's servers, laid out on first use: threads each, then CPUs each."""
    if name in program.laid_out:
        found: Servers = program.laid_out[name]
        return found
    layer = scenario.application
    service = layer.services[name]
    count = layer.servers(name)
    threads, cores = service.threads or layer.threads, service.cores or layer.cores
    limit = layer.queue_limit if service.queue_limit is None else service.queue_limit
    station = program.station(
        f"application.{name}", service.title or name.capitalize(), "service", count
    )
    most = max(count + BLOCK // 4, layer.autoscaler.max_replicas)
    laid = -(-most // BLOCK) * BLOCK
    weights = service.weights or (1,)
    first = program.pools(station, laid, threads, limit, count, weights)
    cpus, shared = NOBODY, layer.shares_cores
    if shared:
        cpus = program.processors(station, count, cores, laid)
    elif threads > cores:
        cpus = program.pools(station, laid, cores, NOBODY, 0, (1,), program.meter())
        station.cpus = list(range(cpus, cpus + count))
    place = Servers(station, first, count, laid, cpus, shared)
    program.laid_out[name] = place
    edge = scenario.edge
    if edge.enabled and edge.balancer.on and edge.balancer.checks.on:
        edge.balancer.checks.emit(program, scenario, name, place)
    return place


class Halts:
    """Which processors stand still: a server that pauses while it is broken stays broken."""

    def __init__(self, run: ControlPlane) -> None:
        self.run = run
        self.reasons: Counter[int] = Counter()

    def stop(self, processor: int) -> None:
        """Stop a processor for one more reason."""
        self.reasons[processor] += 1
        if self.reasons[processor] == 1:
            self.run.plane.set_speed(processor, 0.0)

    def go(self, processor: int) -> None:
        """Take one reason away; without any the processor goes on with what it had in hand."""
        self.reasons[processor] -= 1
        if self.reasons[processor] == 0:
            self.run.plane.set_speed(processor, 1.0)


def luck(run: ControlPlane, what: str, server: int) -> np.random.Generator:
    """Return the draws of one server for one purpose, the same in every run with this seed."""
    return np.random.default_rng([int(run.plane.world.clock["seed"][0]), label_hash(what), server])


def pause(
    run: ControlPlane, halts: Halts, name: str, place: Servers, server: int
) -> Generator[Any, Any, Any]:
    """Stop one server for each garbage collection; servers do not collect in step."""
    rng = luck(run, f"{name} pauses", server)
    yield run.env.timeout((run.scenario.application.pauses.every_seconds or 0.0) * rng.uniform())
    if server == 0:
        run.note("pause", place.station.name, f"{name} begins to pause for garbage collection")
    while True:
        rules = run.scenario.application.pauses
        assert rules.every_seconds is not None, "a run cannot be changed to have no pauses"
        seconds = rules.pause_ms / 1e3
        halts.stop(place.cpus + server)
        yield run.env.timeout(seconds)
        halts.go(place.cpus + server)
        yield run.env.timeout(max(1e-3, rules.every_seconds - seconds))


def break_down(
    run: ControlPlane, halts: Halts, name: str, place: Servers, server: int
) -> Generator[Any, Any, Any]:
    """Let one server work and stand still by turns; what it was at goes on after the repair."""
    rng = luck(run, f"{name} breakdowns", server)
    noted = 0
    while True:
        yield run.env.timeout(rng.exponential(run.scenario.application.mtbf_seconds or 0.0))
        in_use = server < run.scenario.application.servers(name) and noted < NOTES_MAX
        if in_use:
            run.note("breakdown", place.station.name, f"server {server + 1} of {name} stands still")
            noted += 1
        halts.stop(place.cpus + server)
        yield run.env.timeout(rng.exponential(run.scenario.application.mttr_seconds))
        halts.go(place.cpus + server)
        if in_use:
            run.note("repair", place.station.name, f"server {server + 1} of {name} works again")
