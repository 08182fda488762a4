"""Runs: the data plane driven by SimPy, whose processes watch, decide and act.

The hook between the two planes is `Clockwork.step`: before each event of the control plane
the data plane is brought to that event's time, so every process sees, and changes, an exact
state.  A live run, `simulate()` and a test are all the same run.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import simpy

from engine.component import ControlPlane
from engine.errors import ScenarioError
from engine.faults import Fault, Timeline, parse_fault, turned, without_plan
from engine.kernel.compile import FOLDER
from engine.metrics import Metrics
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

    def play(self, until: float) -> None:
        """Play all that is due before a time; what is due at it comes when time goes on.

        `run(until=…)` would stop beside that time by the last bit of a difference.
        """
        while self.peek() < until:
            self.step()
        self.plane.advance(until)
        self._now = until

    def step(self) -> None:
        """Bring the data plane to the next control event, then let that happen."""
        self.plane.advance(self.peek())
        super().step()


class Simulation(ControlPlane):
    """A run that can be advanced, looked at, changed, and advanced again."""

    env: Clockwork

    def __init__(self, scenario: Scenario, seed: int = 7) -> None:
        self.scenario = self._set = without_plan(scenario)  # as it is, and as knobs are set
        self._overlays: dict[int, dict[str, Any]] = {}
        self.seed = seed
        self.spikes = []
        self.plane = Plane(scenario.program(), seed)
        self.env = Clockwork(self.plane)
        self.memory = {}
        self.recorder = Recorder(self.plane, scenario)
        self.timeline = Timeline(self, scenario, self._turn)
        self.metrics = Metrics(self.recorder)
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
            self.env.play(until)
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
        self.timeline.change(changes)

    def inject(self, fault: Fault | Mapping[str, Any]) -> Fault:
        """Let something go wrong now, such as {"do": "kill_server", "length_seconds": 30}.

        Raises ScenarioError in one line if that cannot be: a part that is off or does not exist,
        what is down already, or will be by plan.  The run goes on either way.
        """
        return self.timeline.inject(parse_fault(fault))

    def mend(self, number: int) -> None:
        """End the `number`-th of `timeline.in_force` now, from 0 on."""
        self.timeline.mend(number)

    def recorded(self) -> Scenario:
        """Return the scenario as it started with all that was done on its timeline.

        Played with the same seed it gives the same result to the last bit.
        """
        return self.timeline.recorded()

    def overlay(self, values: Mapping[str, Any]) -> int:
        """Lay values over knobs, by path, until `lift` takes them away again."""
        handle = max(self._overlays, default=0) + 1
        self._overlays[handle] = dict(values)
        self._adopt(self._set, values)
        return handle

    def lift(self, handle: int) -> None:
        """Let knobs be as they were set, or have been turned since."""
        values = self._overlays.pop(handle)
        self._adopt(self._set, values)

    def _turn(self, changes: Mapping[str, Any]) -> None:
        scenario = turned(self._set, changes)
        self._adopt(scenario, changes)
        self._set = scenario
        for path, value in changes.items():
            self.note("change", path.split(".")[0], f"{path} is now {value}")

    def _adopt(self, scenario: Scenario, changes: Iterable[str]) -> None:
        """Go on with a scenario, and what is laid over it."""
        for values in self._overlays.values():
            scenario = scenario.change(values)
        if not self.plane.adopt(scenario.program()):
            names = ", ".join(changes)
            raise ScenarioError(
                f"{names} alters the structure of a running system; start a new run with it"
            )
        self.scenario = scenario
        for _, layer in scenario.layers():
            layer.adopted(self)
        client = scenario.client
        if client.arrivals == "open":
            seed = int(self.plane.world.clock["seed"][0])
            self.plane.set_rate(client.rate_at(float(self.env.now), seed))

    def note(self, kind: str, station: str, text: str) -> None:
        """Write an event in the log."""
        self.recorder.events.append((float(self.env.now), kind, station, text))

    def tally(self, name: str, amount: float) -> None:
        """Count something for a layer's figures, under a name."""
        self.recorder.tallies[name] += amount

    def scrape(self) -> None:
        """Read all metrics, as Prometheus would."""
        self.recorder.scrape()

    def result(self) -> Result:
        """Return what has come out so far; its scenario has what was planned from the start."""
        plan = self.timeline.started
        scenario = self.scenario
        if plan.faults or plan.changes:
            planned = {"faults": plan.faults, "changes": plan.changes}
            scenario = scenario.model_copy(update=planned)
        return Result(scenario, self.seed, self.recorder)

    def end(self) -> Result:
        """Return what has come out, and let go of all else: nothing can be asked of it any more.

        Processes, planes and runs know one another: left to the collector, which counts objects
        and not their size, the arrays of a hundred runs would stay.
        """
        result = self.result()
        vars(self.plane).clear()
        vars(self).clear()
        return result

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
    return run.end()


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
