"""A lab: who plays the runs of a study, what is kept, who hears of progress and who may stop it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from engine.errors import ScenarioError, close_to
from engine.scenario import Scenario
from engine.study.crew import Alone, Crew, Stop, played
from engine.study.figures import METRICS, Metric, Outcome, Task
from engine.study.shelf import Shelf
from engine.study.statistics import interval, runs_needed

FIRST_SEED = 1
SEEDS_MAX = 200
Report = Callable[[int, int], None]  # (runs done, runs in all)


def nobody(done: int, total: int) -> None:
    """Tell nobody how far it is."""


class StoppedError(Exception):
    """Whoever asked has called the study off; what was played is kept."""


@dataclasses.dataclass(frozen=True)
class Lab:
    """Where runs are played."""

    crew: Crew = dataclasses.field(default_factory=Alone)
    shelf: Shelf | None = None
    report: Report = nobody
    stop: Stop = lambda: False

    def stream(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Outcome]]:
        """Yield (place, outcome) as they come, saying how far it is."""
        self.report(0, len(tasks))
        found = played(tasks, self.crew, self.shelf, self.stop)
        for done, (index, outcome) in enumerate(found, 1):
            self.report(done, len(tasks))
            yield index, outcome

    def outcomes(self, tasks: Sequence[Task]) -> list[Outcome]:
        """Return every outcome, in order.  Raises StoppedError if it was called off."""
        found = dict(self.stream(tasks))
        if len(found) < len(tasks):
            raise StoppedError
        return [found[index] for index in range(len(tasks))]

    def samples(self, scenarios: Sequence[Scenario], seeds: Sequence[int]) -> list[list[Outcome]]:
        """Return each scenario's outcomes, one a seed; the same seeds for all: common luck."""
        tasks = [Task.of(scenario, seed) for scenario in scenarios for seed in seeds]
        flat = self.outcomes(tasks)
        return [flat[i * len(seeds) : (i + 1) * len(seeds)] for i in range(len(scenarios))]

    def rounds(
        self, scenarios: Sequence[Scenario], seeds: Sequence[int]
    ) -> Iterator[list[list[Outcome]]]:
        """Yield each scenario's outcomes so far, paired by seed, from two seeds on.

        All scenarios meet one seed before any meets the next; the last round has all seeds.
        Raises StoppedError if it is called off.
        """
        count, whole, told = len(scenarios), 0, 1
        tasks = [Task.of(scenario, seed) for seed in seeds for scenario in scenarios]
        found: dict[int, Outcome] = {}
        for index, outcome in self.stream(tasks):
            found[index] = outcome
            while whole in found:
                whole += 1
            if whole // count > told:
                told = whole // count
                yield [[found[i * count + k] for i in range(told)] for k in range(count)]
        if len(found) < len(tasks):
            raise StoppedError

    def precise(
        self,
        scenario: Scenario,
        metric: str,
        relative: float,
        first: int = 5,
        most: int = SEEDS_MAX,
    ) -> list[Outcome]:
        """Return so many runs that the metric's half-width is below a share of its mean.

        Sequential, as Law 2015, section 9.4.1: `first` runs, then as many as they say are needed,
        and so on; at most `most` in all.
        """
        found: list[Outcome] = []
        wanted = first
        while True:
            seeds = range(FIRST_SEED + len(found), FIRST_SEED + wanted)
            found += self.samples([scenario], list(seeds))[0]
            values = values_of(found, metric)
            so_far = interval(values)
            if so_far.runs == 0 or so_far.within(relative) or len(found) >= most:
                return found
            needed = runs_needed(values, relative * abs(so_far.mean))
            wanted = min(most, max(len(found) + 1, min(needed, 3 * len(found))))


def seeds(count: int) -> list[int]:
    """Return the seeds of so many replications."""
    return list(range(FIRST_SEED, FIRST_SEED + count))


def values_of(outcomes: Sequence[Outcome], metric: str) -> list[float]:
    """Return one figure of several runs."""
    return [outcome.get(metric) for outcome in outcomes]


def metric_of(name: str) -> Metric:
    """Return a metric by name.  Raises ScenarioError if there is none."""
    if name not in METRICS:
        raise ScenarioError(
            f"there is no metric {name!r}{close_to(name, METRICS)}; use one of {', '.join(METRICS)}"
        )
    return METRICS[name]


def differences(before: Scenario, after: Scenario) -> list[tuple[str, Any, Any]]:
    """Return (path, before, after) of everything in which two scenarios differ."""
    return sorted(_differ("", before.model_dump(mode="json"), after.model_dump(mode="json")))


def _differ(path: str, before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in {**before, **after}:
            here = f"{path}.{name}" if path else name
            yield from _differ(here, before.get(name), after.get(name))
    else:
        yield path, before, after
