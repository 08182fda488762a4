"""Goals: what is promised, on an ordinary day and on a bad one."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

from engine.errors import ScenarioError, close_to, shown
from engine.faults import catalogue
from engine.scenario import Scenario
from engine.study.headroom import Objective, load_knob

LENGTH_SECONDS = 60.0  # of a fault on a bad day
CALM_SECONDS = 5.0  # before it at least, so that there is something to break
ALLOWED = 0.05  # share of errors while it lasts, unless another is asked for


@dataclasses.dataclass(frozen=True)
class BadDay:
    """A fault that has to be lived through, and the share of errors allowed meanwhile."""

    name: str
    fault: Mapping[str, Any]  # as a scenario has it, without its time
    error_ratio: float = ALLOWED
    length_seconds: float = LENGTH_SECONDS

    @property
    def objective(self) -> Objective:
        """What is promised on it: availability; slow answers are forgiven."""
        return Objective(math.inf, self.error_ratio)

    def of(self, scenario: Scenario) -> Scenario | None:
        """Return the scenario on that day; None where there is nothing that could break.

        Figures count from the fault's first second to its last, so that a share of errors is that
        of the fault's time, however long a run is.
        """
        start = max(scenario.warm_up_seconds, CALM_SECONDS)
        try:
            return scenario.change(
                {
                    "warm_up_seconds": start,
                    "duration_seconds": start + self.length_seconds,
                    "faults": [{**self.fault, "at_seconds": start}],
                    "changes": [],
                }
            )
        except ScenarioError:
            return None


def bad_day(
    scenario: Scenario,
    do: str,
    error_ratio: float = ALLOWED,
    length_seconds: float = LENGTH_SECONDS,
) -> BadDay:
    """Return the day on which a kind of fault befalls a scenario.  Raises ScenarioError.

    What does not last, such as a flushed cache, happens at the beginning of that time.
    """
    known = {info.do: info for info in catalogue(scenario)}
    if do not in known:
        raise ScenarioError(
            f"there is no fault {shown(do)}{close_to(do, known)}; use one of {', '.join(known)}"
        )
    if not 0.0 <= error_ratio <= 1.0:
        raise ScenarioError(f"{do}: {error_ratio:g} of requests may fail; use a share from 0 to 1")
    if not 1.0 <= length_seconds <= 3600.0:
        raise ScenarioError(f"{do} lasts {length_seconds:g} s; use 1 to 3600")
    info = known[do]
    if info.why_not:
        raise ScenarioError(f"{info.title} cannot be here: {info.why_not}")
    fault: dict[str, Any] = {"do": do}
    for field in info.fields:
        if field.kind == "choice" and field.value:
            fault[field.path] = field.value
    if info.lasts:
        fault["length_seconds"] = length_seconds
    return BadDay(f"{info.title}, {length_seconds:g} s", fault, error_ratio, length_seconds)


@dataclasses.dataclass(frozen=True)
class Goal:
    """What is promised, and under which circumstances."""

    objective: Objective = dataclasses.field(default_factory=Objective)
    headroom: float = 0.0  # share of load above today's that it must take as well
    bad_days: tuple[BadDay, ...] = ()

    def days(self, scenario: Scenario) -> Iterator[tuple[str, Scenario, Objective]]:
        """Yield (name, scenario, objective) of every circumstance; the ordinary day first."""
        name = f"at {1 + self.headroom:.0%} of the load" if self.headroom else ""
        yield name, self.loaded(scenario), self.objective
        for day in self.bad_days:
            system = day.of(scenario)
            if system is not None:
                yield day.name, system, day.objective

    def loaded(self, scenario: Scenario) -> Scenario:
        """Return an ordinary day with the headroom's load.  Raises ScenarioError."""
        if not self.headroom:
            return scenario
        path = load_knob(scenario)
        load = scenario.get(path) * (1 + self.headroom)
        return scenario.change({path: math.ceil(load) if path.endswith("users") else load})
