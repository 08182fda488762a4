"""Runs: the data plane driven by SimPy, whose processes watch, decide and act.

The hook between the two planes is `Clockwork.step`: before each event of the control plane
the data plane is brought to that event's time, so every process sees, and changes, an exact
state.  A live run, `simulate()` and a test are all the same run.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any

import simpy

from engine.component import ControlPlane
from engine.errors import ScenarioError
from engine.kernel.compile import FOLDER
from engine.plane import TOKENS_MAX, Plane, TooManyInFlightError
from engine.record import Recorder
from engine.result import Result

if TYPE_CHECKING:
    from engine.scenario import Scenario

WINDOWS = 120  # points of a time series
STAMP = "ready"  # written beside the machine code when all of it is there


class Clockwork(simpy.Environment):
    """A SimPy environment whose every step finds the data plane at the same time."""

    def __init__(self, plane: Plane) -> None:
        super().__init__()
        self.plane = plane

    def step(self) -> None:
        """Bring the data plane to the next control event, then let that happen."""
        self.plane.advance(self.peek())
        super().step()


class Simulation(ControlPlane):
    """A run that can be advanced, looked at, changed, and advanced again."""

    def __init__(self, scenario: Scenario, seed: int = 7) -> None:
        self.scenario = scenario
        self.seed = seed
        self.plane = Plane(scenario.program(), seed)
        self.env = Clockwork(self.plane)
        self.recorder = Recorder(self.plane, scenario)
        for _, layer in scenario.layers():
            for process in layer.tend(self):
                self.env.process(process)
        self.env.process(self._record())

    def advance(self, seconds: float) -> None:
        """Play so many simulated seconds."""
        self.advance_to(self.env.now + seconds)

    def advance_to(self, until: float) -> None:
        """Play until this simulated time, in seconds."""
        if until <= self.env.now:
            return
        try:
            self.env.run(until=until)
            self.plane.advance(until)
        except TooManyInFlightError:
            raise ScenarioError(
                f"at {self.plane.now:.1f} s more than {TOKENS_MAX:,} requests are in the system"
                " at once; lower client.requests_per_second, or set time-outs and queue limits"
            ) from None

    def change(self, path: str, value: Any) -> None:
        """Turn one knob now.  Raises ScenarioError if it cannot be turned while running."""
        self.change_all({path: value})

    def change_all(self, changes: Mapping[str, Any]) -> None:
        """Turn several knobs at once."""
        scenario = self.scenario.change(changes)
        if not self.plane.adopt(scenario.program()):
            names = ", ".join(changes)
            raise ScenarioError(
                f"{names} alters the structure of a running system; start a new run with it"
            )
        self.scenario = scenario
        client = scenario.client
        if client.arrivals == "open":
            seed = int(self.plane.world.clock["seed"][0])
            self.plane.set_rate(client.rate_at(float(self.env.now), seed))
        for path, value in changes.items():
            self.note("change", path.split(".")[0], f"{path} is now {value}")

    def note(self, kind: str, station: str, text: str) -> None:
        """Write an event in the log."""
        self.recorder.events.append((float(self.env.now), kind, station, text))

    def scrape(self) -> None:
        """Read all metrics, as Prometheus would."""
        self.recorder.scrape()

    def result(self) -> Result:
        """Return what has come out so far."""
        return Result(self.scenario, self.seed, self.recorder)

    def _record(self) -> Generator[Any, Any, Any]:
        window = self.scenario.duration_seconds / WINDOWS
        warm_up, number = self.scenario.warm_up_seconds, 0
        measuring = False
        while True:
            if not measuring and number * window >= warm_up:
                measuring = True
                self.recorder.start_measuring()
            self.recorder.snapshot()
            number += 1
            due = number * window
            if not measuring and due > warm_up:
                yield self.env.timeout(max(0.0, warm_up - self.env.now))
                measuring = True
                self.recorder.start_measuring()
            yield self.env.timeout(max(0.0, due - self.env.now))


def simulate(scenario: Scenario, seed: int = 7) -> Result:
    """Return what comes out of a scenario: pure, the same arguments give the same result."""
    run = Simulation(scenario, seed)
    run.advance_to(scenario.duration_seconds)
    return run.result()


def warm_up() -> None:
    """Compile the kernel, or load what was compiled before; about a minute the first time."""
    from engine.reading import load  # noqa: PLC0415  (only the first start needs a preset)

    for name in ("amazon", "monolith"):
        run = Simulation(load(name).change({"duration_seconds": 2, "warm_up_seconds": 0}))
        run.advance(1.0)
        run.change("application.replicas", run.scenario.application.replicas + 1)
        run.plane.set_rate(1.0)
        run.plane.crash([])
        run.advance(1.0)
    (FOLDER / STAMP).touch()


def ready() -> bool:
    """Return whether the kernel has been compiled here before, all of it."""
    return (FOLDER / STAMP).exists()
