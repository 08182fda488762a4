"""Broken: runs in which a station stands still, or takes nobody."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from engine import Scenario, Simulation
from engine.kernel.loop import serve_line


def begin_with(scenario: Scenario, seed: int, seconds: float, warm_up: float = 0.0) -> Simulation:
    """Return a run of a scenario with a seed that is about to begin."""
    clock = {"duration_seconds": seconds, "warm_up_seconds": warm_up}
    return Simulation(scenario.change(clock), seed)


def accepting(run: Simulation, station: str, slots: int) -> None:
    """Give each of a station's servers so many slots from now on."""
    for pool in run.plane.program.stations[station].pools:
        run.plane.world.pools["slots"][pool] = slots
        run.plane._call(serve_line, pool)


def hung(run: Simulation, station: str, start: float, end: float) -> None:
    """Let a station stand still for a while: whoever comes waits, and finds no answer."""

    def stop() -> Generator[Any, Any, Any]:
        yield run.env.timeout(start)
        accepting(run, station, 0)
        yield run.env.timeout(end - start)
        accepting(run, station, 1)

    run.env.process(stop())
